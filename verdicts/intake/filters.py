"""Which tickets a run takes: ticket filters as the configuration's section ``filters`` has them (docs/filters.md).

A filter leaves a ticket out whole or leaves it alone: it changes no byte of a ticket that stays, so the prompts of kept
tickets are those of a run without filters. Tickets pass twice, in file order: ``see`` collects what a filter has to
know of all of them (a digest a ticket, at most), ``judge`` decides. The first filter that fits names the reason.
"""

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, get_args

from pydantic import BaseModel

from verdicts.base.digests import digest_of_path, digest_of_text
from verdicts.base.errors import mistake
from verdicts.base.jsonl import stream_lines
from verdicts.config.sections import FiltersSection
from verdicts.facts.summary import read_summary
from verdicts.facts.words import IRRELEVANT
from verdicts.intake.photo_files import PhotoFiles
from verdicts.intake.same import EqualTickets, NearTickets, Same
from verdicts.intake.wording import counted
from verdicts.records.filtered import DroppedTicket, Filter, MarkedTicket
from verdicts.records.ticket_index import Keys, key_digest
from verdicts.records.tickets import Filtered, StageA, ticket_key
from verdicts.records.tickets import Verdict as Label

_KEY = re.compile(r".*\S.*::(pass|fail)")
# the lists of what filters left out, and of what they mark
SIFTED_OF: dict[type[BaseModel], str] = {DroppedTicket: "tickets.dropped.jsonl", MarkedTicket: "tickets.marked.jsonl"}
SIFTED = tuple(SIFTED_OF.values())
BY_PHOTOS = ("photos", "near_photos")
_COMMENT = re.compile(r"(^|\s)#.*")


class WhyOut(NamedTuple):
    """Why a ticket leaves; ``like`` names the other ticket, where there is one."""

    filter: Filter
    reason: str
    like: str | None = None


def is_filtering(section: FiltersSection) -> bool:
    """Whether any filter is on."""
    useful = section.min_useful_photos
    return bool(
        section.exclude
        or section.exclude_file
        or section.exclude_reasons
        or useful.pass_
        or useful.fail
        or section.suspicious.drop
        or section.duplicates.by != "nothing"
    )


def useful_photos(ticket: StageA) -> int:
    """How many photos of a ticket show anything of the site: their summaries say more than 无关图片."""
    # to read a summary takes as long as to read its row, and few hold the word
    return sum(
        IRRELEVANT not in summary or read_summary(summary).form != "irrelevant" for summary in ticket.per_image.values()
    )


Rows = Iterable[tuple[str, StageA]]


class Excluded:
    """The tickets named in ``exclude`` and ``exclude_file``: 21 bytes of memory each.

    Raises UserError for a file that is not there and for a line that is no ticket_key.
    """

    def __init__(self, keys: list[str], file: str):
        self._keys, self._file = keys, Path(file)
        digests, self._lines = bytearray(), array("I")
        for line, key in [(0, key) for key in keys]:
            digests += key_digest(key)
            self._lines.append(line)
        for line, key in keys_of(self._file) if file else ():
            digests += key_digest(key)
            self._lines.append(line)
        self._index, self._met = Keys(digests), bytearray(len(self._lines))
        self._firsts = self._index.firsts()

    def where(self, key: str) -> str | None:
        """Where a ticket is named first: ``filters.exclude``, or the file with its line; None where it is not."""
        number = self._index.number(key)
        if number is None:
            return None
        number = int(self._firsts[number])
        self._met[number] = 1
        return f"{self._file}:{self._lines[number]}" if self._lines[number] else "filters.exclude"

    def unknown(self) -> tuple[int, str]:
        """How many keys named no ticket that was asked for, and the first of them."""
        named = [at for at, first in enumerate(self._firsts) if first == at and not self._met[at]]
        if not named:
            return 0, ""
        if not (line := self._lines[named[0]]):
            return len(named), self._keys[named[0]]
        return len(named), next(key for at, key in keys_of(self._file) if at == line)


def keys_of(path: Path) -> Iterator[tuple[int, str]]:
    """The ticket_keys of an exclude file with their lines. A # at the start or behind a blank begins a comment.

    Raises UserError for a missing file and for a line that is no ticket_key.
    """
    if not path.is_file():
        raise mistake("no such file", "correct filters.exclude_file", path=path)
    for placed in stream_lines(path):
        key = _COMMENT.sub("", placed.text).strip()
        if key and not _KEY.fullmatch(key):
            raise mistake(
                f"{key!r} is no ticket_key", "write group_id::pass or group_id::fail", path=path, line=placed.line
            )
        if key:
            yield placed.line, key


@dataclass(frozen=True)
class Sieve:
    """The filters of a configuration. ``photos``: the folder that PHOTOS points at, with its digest."""

    section: FiltersSection
    photos: Path | None = None
    photos_digest: str = ""

    @cached_property
    def digest(self) -> str:
        """A digest of all that they go by beside the tickets; empty where none is on."""
        if not is_filtering(self.section):
            return ""
        listed = digest_of_path(Path(self.section.exclude_file)) if self.section.exclude_file else ""
        same, compared = self.section.duplicates, ""
        if same.by in BY_PHOTOS:
            compared = digest_of_path(Path(same.photos)) if same.photos else self.photos_digest
        return digest_of_text("\n".join([self.section.model_dump_json(), listed, compared]))

    def open(self) -> "Filters | None":
        """The filters at the start of a set of tickets; None where none is on.

        Raises UserError for a file or folder that is not there, and for a line of the exclude file that is no key.
        """
        folder, named = self.photos, self.section.duplicates.photos
        if named:
            folder = Path(named)
            if not folder.is_dir():
                raise mistake("no such folder", "correct filters.duplicates.photos", path=folder)
        return Filters(self.section, PhotoFiles(folder), self.digest) if self.digest else None


class Filters:
    """The filters of a run, for one set of tickets."""

    def __init__(self, section: FiltersSection, photos: PhotoFiles, digest: str = ""):
        self._section, self._digest = section, digest
        self._excluded = Excluded(section.exclude, section.exclude_file)
        self._reasons = [re.compile(pattern) for pattern in section.exclude_reasons]
        self._failed = _Groups()
        self._same = _same_of(section, photos)
        self._number = -1
        self.dropped: Counter[str] = Counter()
        self.kept: Counter[Label] = Counter()
        self.marked = 0

    def see(self, ticket: StageA) -> None:
        """Take in a ticket, all of them in file order."""
        doubt = self._section.suspicious
        if doubt.drop and ticket.label == "fail" and useful_photos(ticket) >= doubt.fail_at_least:
            self._failed.add(ticket.group_id)
        if self._same:
            self._same.see(ticket)

    def judge(self, ticket: StageA) -> DroppedTicket | MarkedTicket | None:
        """What becomes of a ticket, all of them in file order again; None: it stays, and there is nothing to say."""
        self._number += 1
        key = ticket.ticket_key
        found = self._alone(ticket) or self._suspicious(ticket)
        twin = self._same.first_like(self._number, ticket) if self._same and not found else None
        shown = self._same.what if self._same else ""
        if twin and twin.same_label is not None:
            reason = f"{shown} as {twin.same_label}, which stands before it"
            found = WhyOut("duplicates", reason, twin.same_label)
        if found:
            self.dropped[found.filter] += 1
            return DroppedTicket(
                ticket_key=key, filter=found.filter, reason=found.reason, like=found.like, ticket=ticket
            )
        self.kept[ticket.label] += 1
        if twin and twin.other_label is not None:
            self.marked += 1
            reason = f"{shown} as {twin.other_label}, which has the other label; both stay"
            return MarkedTicket(ticket_key=key, filter="duplicates", reason=reason, like=twin.other_label)
        return None

    def notes(self) -> list[str]:
        """What has to be said once all tickets are judged: names of no ticket, photos that are not there."""
        count, first = self._excluded.unknown()
        said = [f"{count} of the excluded keys name no ticket here ({first} first)"] if count else []
        if self._same and self._same.unseen:
            said.append(
                f"{self._same.unseen} tickets were not compared by their photos: "
                "one is not there, or is no picture (filters.duplicates.photos or PHOTOS names the folder)"
            )
        return said

    def filtered(self) -> Filtered:
        """What came of all tickets, in figures."""
        kept, dropped = self.kept.total(), {name: self.dropped[name] for name in get_args(Filter) if self.dropped[name]}
        return Filtered(
            digest=self._digest, read=kept + sum(dropped.values()), kept=kept, dropped=dropped, marked=self.marked,
            notes=self.notes(),
        )  # fmt: skip

    def _alone(self, ticket: StageA) -> WhyOut | None:
        """What a ticket says by itself."""
        if where := self._excluded.where(ticket.ticket_key):
            return WhyOut("exclude", f"named in {where}")
        if self._reasons and ticket.fail_reasons:
            hits = [self._pattern_in(text) for text in ticket.fail_reasons]
            if all(hits):
                return WhyOut("exclude_reasons", f"each reason holds a pattern ({', '.join(dict.fromkeys(hits))})")
        least = self._section.min_useful_photos
        wanted = least.pass_ if ticket.label == "pass" else least.fail
        useful, photos = useful_photos(ticket), len(ticket.per_image)
        if useful < wanted and not (least.beside_irrelevant and useful == photos):
            return WhyOut("min_useful_photos", f"{useful} of {photos} photos useful, a {ticket.label} needs {wanted}")
        return None

    def _pattern_in(self, text: str) -> str:
        """The first pattern that a reason holds; empty where it holds none."""
        return next((one.pattern for one in self._reasons if one.search(text)), "")

    def _suspicious(self, ticket: StageA) -> WhyOut | None:
        """Whether a pass is doubted because its group failed with more photos."""
        doubt = self._section.suspicious
        if not doubt.drop or ticket.label != "pass" or (useful := useful_photos(ticket)) > doubt.pass_at_most:
            return None
        if not self._failed.holds(ticket.group_id):
            return None
        reason = f"passed with {useful} useful photos, its group failed with {doubt.fail_at_least} or more"
        return WhyOut("suspicious", reason, ticket_key(ticket.group_id, "fail"))


def kept_rows(
    first: Rows, second: Rows, filters: Filters, source: Path, note: Callable[[BaseModel], None]
) -> Iterator[tuple[str, StageA]]:
    """The rows of the tickets that stay, as they are. ``note`` is handed the others, and those that are marked.

    ``first`` and ``second`` both give all of them, each row with its ticket. Raises UserError at the end where none
    stays.
    """
    for _, ticket in first:
        filters.see(ticket)
    for row, ticket in second:
        found = filters.judge(ticket)
        if found:
            note(found)
        if not isinstance(found, DroppedTicket):
            yield row, ticket
    if not filters.kept.total():
        what = f"they leave none of {filters.dropped.total()} tickets ({counted(filters.filtered().dropped)})"
        raise mistake(what, "loosen them", path=source, field="filters")


def _same_of(section: FiltersSection, photos: PhotoFiles) -> Same | None:
    """What finds duplicates; None where nobody asked for it."""
    match section.duplicates.by:
        case "summaries":
            return EqualTickets(None)
        case "photos":
            return EqualTickets(photos)
        case "near_photos":
            return NearTickets(photos, section.duplicates.distance)
    return None


class _Groups:
    """A set of groups, 16 bytes each; complete before it is asked."""

    def __init__(self) -> None:
        self._digests: bytearray | None = bytearray()
        self._keys: Keys | None = None

    def add(self, group: str) -> None:
        assert self._digests is not None
        self._digests += key_digest(group)

    def holds(self, group: str) -> bool:
        if self._keys is None:
            self._keys, self._digests = Keys(self._digests or bytearray()), None
        return self._keys.number(group) is not None
