"""What the taught student got wrong on held-out tickets: every false release, and where its errors lie.

The answers say which tickets; the held-out tickets themselves say what was seen. Where these are not there any more, or
have changed since, the page says so and shows the answers alone.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from verdicts.base.jsonl import stream_rows
from verdicts.config.tools import EvaluateConfig, read_section
from verdicts.evaluation.question_files import files_digest, held_out_file
from verdicts.evaluation.scores import answers_path
from verdicts.facts.summary import read_summary
from verdicts.facts.words import OBJECTS
from verdicts.intake.names import Door
from verdicts.intake.reader import read_tolerantly
from verdicts.records.evaluation import Evaluation, ScoredAnswer
from verdicts.records.tickets import StageA
from verdicts.report.evaluation import StudentResult
from verdicts.stage_b.protocol import cited_rules

GROUPS_SHOWN = 12  # of a kind, those with most errors first
MOST_SEEN, MOST_NAMED = 2_500_000, 1_500_000  # bytes of false releases with what was seen, and of those without
A_TICKET, A_PHOTO, A_LINE = 1_000, 270, 130  # bytes of markup around one, about


class Photo(NamedTuple):
    """A photo of a ticket. ``address``: relative to the page, "" where the photo is not there."""

    name: str
    summary: str
    address: str


class Released(NamedTuple):
    """A held-out ticket labelled fail that the student passed.

    ``answer``: its reason; ``people``: why people failed it. ``photos``: None where the ticket is not there, or where
    the page has no more room.
    """

    key: str
    answer: str
    people: list[str]
    photos: list[Photo] | None

    @property
    def anchor(self) -> str:
        """The name of its place on the page."""
        return "ticket-" + quote(self.key, safe="")


class Group(NamedTuple):
    """Held-out tickets that share something: how many fails of them were released, how many passes blocked."""

    name: str
    released: int
    fails: int
    blocked: int
    passes: int

    @property
    def wrong(self) -> int:
        """Both errors."""
        return self.released + self.blocked


class Grouped(NamedTuple):
    """The groups of one kind with errors, the worst first; ``more``: how many others have any."""

    kind: str
    groups: list[Group]
    more: int


@dataclass(frozen=True)
class Errors:
    """``absent``: the file of held-out tickets that is not there, or no longer as it was asked; "" where it is.

    ``more``: false releases for which the page has no room at all.
    """

    released: list[Released]
    grouped: list[Grouped]
    absent: str
    more: int = 0

    @property
    def bare(self) -> int:
        """False releases that are shown without their photos."""
        return sum(ticket.photos is None for ticket in self.released)


def read_errors(run_dir: Path, student: StudentResult | None, page: Path) -> Errors | None:
    """The errors of the student after training; None where it gave no answers. ``page``: photos are linked from it.

    Raises UserError for a file that is not what it should be.
    """
    if student is None or student.after is None:
        return None
    path = answers_path(run_dir / "evaluation" / student.name / "after.json")
    if not path.exists():
        return None
    rows = [row for row in stream_rows(path, ScoredAnswer) if row.task == "chat" and row.label]
    file, tickets = held_out(run_dir, student.after)
    wrong = sorted((row for row in rows if row.label == "fail" and row.verdict == "pass"), key=lambda row: row.key)
    shown = list(released(wrong, tickets, file, page))
    return Errors(shown, grouped_errors(rows, tickets), "" if tickets else str(file), len(wrong) - len(shown))


def held_out(run_dir: Path, evaluation: Evaluation) -> tuple[Path, dict[str, StageA]]:
    """The file of the tickets that were asked, and these by key: none where it is gone or holds others by now."""
    made = evaluation.made_from
    config = run_dir / "config" / "evaluate.yaml"
    if made is None:
        return Path("stage_a.jsonl"), {}
    file = held_out_file(Path(made.held_out), run_dir.resolve().name, "stage_a")
    if not (file.is_file() and config.exists()) or files_digest([file]) != made.files.get("tickets"):
        return file, {}
    cfg = read_section(config, EvaluateConfig)
    given = read_tolerantly(file, Door.of(cfg.mission, cfg.tickets))
    return file, {ticket.ticket_key: ticket for ticket in given.tickets}


def released(rows: Iterable[ScoredAnswer], tickets: Mapping[str, StageA], file: Path, page: Path) -> Iterable[Released]:
    """The tickets of these answers with what was seen, as far as the page has room; then without; then none."""
    seen, named = MOST_SEEN, MOST_NAMED
    for row in rows:
        ticket, reason = tickets.get(row.key), reason_of(row)
        photos = photos_of(ticket, file, page) if ticket and seen > 0 else None
        text = row.key + reason + "".join(map("".join, photos or ()))
        if photos is not None:
            seen -= len(text.encode()) + A_TICKET + A_PHOTO * len(photos)
        if photos is None or seen < 0:
            photos, named = None, named - len((row.key + reason).encode()) - A_LINE
        if named < 0:
            return
        yield Released(row.key, reason, ticket.fail_reasons if ticket else [], photos)


def photos_of(ticket: StageA, file: Path, page: Path) -> list[Photo]:
    """A ticket's photos with their summaries and addresses."""
    summaries = zip(ticket.images, ticket.per_image.values(), strict=True)
    return [Photo(name, summary, address(name, file, page)) for name, summary in summaries]


def reason_of(row: ScoredAnswer) -> str:
    """The answer's second line without its word."""
    return row.text.partition("\n")[2].partition(":")[2].strip()


def address(name: str, file: Path, page: Path) -> str:
    """Where a photo lies, from the page: named from here or from the tickets' file; "" where it is in neither place."""
    for path in (Path(name), file.parent / name):
        if path.is_file():
            return quote(Path(os.path.relpath(path.resolve(), page.resolve().parent)).as_posix())
    return ""


def grouped_errors(rows: list[ScoredAnswer], tickets: Mapping[str, StageA]) -> list[Grouped]:
    """Errors by rule that the answer cites, by object that the photos show, by number of photos."""
    seen = {key: objects_of(ticket) for key, ticket in tickets.items()}

    def objects(row: ScoredAnswer) -> Iterable[str]:
        return seen.get(row.key, ())

    def photos(row: ScoredAnswer) -> Iterable[str]:
        return [str(len(tickets[row.key].images))] if row.key in tickets else ()

    kinds: list[tuple[str, Callable[[ScoredAnswer], Iterable[str]]]]
    kinds = [("rule", lambda row: cited_rules(reason_of(row))), ("object", objects), ("photos", photos)]
    return [found for kind, names in kinds if (found := group(kind, rows, names)).groups]


def objects_of(ticket: StageA) -> list[str]:
    """The objects that a ticket's summaries name, each once, of those that we know."""
    facts = (fact for summary in ticket.per_image.values() for fact in read_summary(summary).facts)
    return sorted({name for fact in facts for name in fact.objects if name in OBJECTS})


def group(kind: str, rows: Iterable[ScoredAnswer], names: Callable[[ScoredAnswer], Iterable[str]]) -> Grouped:
    """Errors by what ``names`` says of an answer; an answer counts for each of its names."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for row in rows:
        at = 0 if row.label == "fail" else 2
        for name in names(row):
            counts[name][at] += row.verdict is not None and not row.right
            counts[name][at + 1] += 1
    found = [each for name, tally in counts.items() if (each := Group(name, *tally)).wrong]
    found.sort(key=lambda each: (-each.released, -each.blocked, len(each.name), each.name))
    return Grouped(kind, found[:GROUPS_SHOWN], max(0, len(found) - GROUPS_SHOWN))
