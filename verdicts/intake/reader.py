"""The door: given tickets as they are, line by line, into strict ones, with a list of all that was done to them.

A file is read once to see what is to be done, and once more to do it. In memory stay 40 bytes a row.
"""

import hashlib
import json
import shutil
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
from pydantic import BaseModel

from verdicts.base.digests import digest_of_text
from verdicts.base.errors import UserError, mistake
from verdicts.base.json_text import Flaw, decode
from verdicts.base.jsonl import Placed, decode_json, dump, stream_lines, whole_files, write_rows
from verdicts.base.text_files import BOM, open_bytes
from verdicts.intake.filters import SIFTED, SIFTED_OF, Filters, kept_rows
from verdicts.intake.names import Door
from verdicts.intake.ticket import NotTaken, Repair, mended_ticket
from verdicts.records.ticket_index import DIGEST, Keys, key_digest
from verdicts.records.tickets import Entrance, RefusedTicket, RepairKind, StageA, TicketAside, TicketRepair, Verdict

# what the lists beside stage_a.jsonl hold
LIST_OF: dict[type[BaseModel], str] = {
    TicketRepair: "tickets.repaired.jsonl",
    RefusedTicket: "tickets.refused.jsonl",
    TicketAside: "tickets.aside.jsonl",
}
LISTS = tuple(LIST_OF.values())
_TakesNote = Callable[[BaseModel], None]


class Replaced(NamedTuple):
    """A row that another one on ``line`` stands for: the same ticket again, or one that was handed in anew."""

    kind: RepairKind
    line: int


class Reading:
    """One pass over a file of given tickets.

    ``note`` is handed every repair, refused row and field kept aside. ``replaced``: what an earlier pass found, by
    line.
    """

    def __init__(self, path: Path, door: Door, note: _TakesNote, replaced: dict[int, Replaced]):
        self.path, self.door, self._note, self._replaced = path, door, note, replaced
        self.rows = 0
        self.labels: Counter[Verdict] = Counter()
        self.repaired: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.aside: Counter[str] = Counter()
        self.first_refused: UserError | None = None
        self._keys, self._contents, self._lines = bytearray(), bytearray(), array("Q")

    def __iter__(self) -> Iterator[tuple[str, StageA]]:
        """The tickets, each with its row as the run has it. Raises UserError for a file that is no text in UTF-8."""
        with open_bytes(self.path) as file:
            if file.read(len(BOM)) == BOM:
                self._repair(1, None, Repair("byte_order_mark", "", "BOM", ""))
        for placed in stream_lines(self.path, blank=True):
            if not placed.text or placed.text.isspace():
                self._repair(placed.line, None, Repair("blank_line", "", placed.text, ""))
                continue
            self.rows += 1
            try:
                yield from self._row(placed)
            except NotTaken as refusal:
                self._refuse(placed, refusal)

    def _row(self, placed: Placed) -> Iterator[tuple[str, StageA]]:
        try:
            value = decode(placed.text)
        except Flaw as flaw:
            raise NotTaken("not_json", self._no_json(placed, flaw)) from None
        ticket, changes, aside = mended_ticket(value, self.door, self.path, placed.line)
        strict = ticket.model_dump(mode="json")
        row = placed.text if strict == value else dump(strict)  # by what it says: no byte of a row in order changes
        if found := self._replaced.get(placed.line):
            after = f"the row on line {found.line} counts"
            self._repair(placed.line, ticket, Repair(found.kind, "group_id", placed.text, after))
            return
        for change in changes:
            self._repair(placed.line, ticket, change)
        if aside:
            self.aside.update(list(aside))
            file = str(self.path)
            self._note(TicketAside(file=file, line=placed.line, ticket_key=ticket.ticket_key, fields=aside))
        self.labels[ticket.label] += 1
        self._keys += key_digest(ticket.ticket_key)
        self._contents += hashlib.blake2b(dump(strict).encode(), digest_size=DIGEST).digest()
        self._lines.append(placed.line)
        yield row, ticket

    def _no_json(self, placed: Placed, flaw: Flaw) -> UserError:
        """The sentence about a line that is no JSON; of the first one it says what the whole file is, where that helps.

        For that the file is read whole.
        """
        if self.first_refused is None:
            try:
                decode_json(placed.text, self.path, placed.line)
            except UserError as error:
                return error
        field = ".".join(map(str, flaw.loc)) or None
        return mistake(flaw.what, flaw.todo, path=self.path, line=placed.line, field=field)

    def _repair(self, line: int, ticket: StageA | None, change: Repair) -> None:
        self.repaired[change.kind] += 1
        key = ticket.ticket_key if ticket else None
        self._note(TicketRepair(file=str(self.path), line=line, ticket_key=key, **vars(change)))

    def _refuse(self, placed: Placed, refusal: NotTaken) -> None:
        self.refused[refusal.reason] += 1
        self.first_refused = self.first_refused or refusal.error
        row = RefusedTicket(
            file=str(self.path), line=placed.line, reason=refusal.reason, detail=str(refusal.error), row=placed.text
        )
        self._note(row)

    def twice(self) -> dict[int, Replaced]:
        """Of tickets that stand in the file twice, the rows that do not count, by line. The last one counts."""
        firsts = Keys(self._keys).firsts()
        rows: dict[int, list[int]] = {}
        for at in np.flatnonzero(firsts != np.arange(len(firsts))).tolist():
            rows.setdefault(int(firsts[at]), [int(firsts[at])]).append(at)
        found: dict[int, Replaced] = {}
        for of_one in rows.values():
            *earlier, last = of_one
            for at in earlier:
                kind: RepairKind = "same_ticket" if self._content(at) == self._content(last) else "resubmission"
                found[self._lines[at]] = Replaced(kind, self._lines[last])
        return found

    def _content(self, at: int) -> bytes:
        return bytes(self._contents[at * DIGEST : (at + 1) * DIGEST])

    def entrance(self) -> Entrance:
        """What was done, in figures. Raises UserError where too much was refused, or nothing is left."""
        refused = self.refused.total()
        if not self.rows:
            raise mistake(
                "the file holds no record", "give a file with at least one JSON object a line", path=self.path
            )
        if self.first_refused and (refused > self.door.knobs.max_refused * self.rows or not self.labels):
            more = (
                f" (and {refused - 1} more of {self.rows} rows, tickets.max_refused is {self.door.knobs.max_refused:g})"
            )
            raise UserError(str(self.first_refused) + (more if refused > 1 else ""))
        return Entrance(
            settings=door_digest(self.door),
            rows=self.rows,
            labels=dict(sorted(self.labels.items())),
            replaced=self.rows - refused - self.labels.total(),
            repaired=_counted(self.repaired),
            refused=_counted(self.refused),
            aside=_counted(self.aside),
        )


def _counted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def door_digest(door: Door) -> str:
    """What the tickets of a file depend on besides the file: a digest of the mission's name and the knobs."""
    return digest_of_text(json.dumps([door.mission, door.knobs.model_dump(mode="json")], ensure_ascii=False))


def checked(path: Path, door: Door) -> tuple[Entrance, dict[int, Replaced]]:
    """What would be done with a file, and the rows in it that other ones replace, by line. Writes nothing.

    Raises UserError for a file that cannot be read or holds nothing, and where more than ``tickets.max_refused`` of its
    rows can be no ticket.
    """
    reading = Reading(path, door, lambda record: None, {})
    for _ in reading:
        pass
    return reading.entrance(), reading.twice()


class Given(NamedTuple):
    """Given tickets in memory, what the door did, and the records of its lists."""

    tickets: list[StageA]
    entrance: Entrance
    notes: list[BaseModel]


def read_tolerantly(path: Path, door: Door) -> Given:
    """Given tickets in memory, for tools that keep no copy of them. Raises UserError as checked does."""
    _, replaced = checked(path, door)
    notes: list[BaseModel] = []
    reading = Reading(path, door, notes.append, replaced)
    return Given([ticket for _, ticket in reading], reading.entrance(), notes)


def write_lists(folder: Path, notes: Sequence[BaseModel]) -> None:
    """Write the lists that ``notes`` belong into, and remove those that hold nothing any more."""
    for model, name in LIST_OF.items():
        if rows := [note for note in notes if isinstance(note, model)]:
            write_rows(folder / name, rows)
        else:
            (folder / name).unlink(missing_ok=True)


def noting(file_of: dict[str, TextIO]) -> Callable[[BaseModel], None]:
    """What writes a record of a list into its file, by the list's name."""
    return lambda record: print(dump(record), file=file_of[(LIST_OF | SIFTED_OF)[type(record)]])


def take_given(path: Path, door: Door, folder: Path, filters: Filters | None = None) -> Entrance:
    """Write given tickets as ``folder``/stage_a.jsonl, and beside it the lists of LISTS that hold anything.

    A file in which nothing is to be done is copied as it is. ``filters`` see the tickets that the door takes, and write
    what they leave out. Raises UserError as checked does, and has then written nothing.
    """
    found, replaced = checked(path, door)
    lists = dict(zip(LISTS, (found.repaired or replaced, found.refused, found.aside), strict=True))
    names = [name for name in LISTS if lists[name]]
    names += SIFTED if filters else ()
    with whole_files(*(folder / name for name in ("stage_a.jsonl", *names))) as (copy, *files):
        if names:
            note = noting(dict(zip(names, files, strict=True)))
            reading = Reading(path, door, note, replaced)
            rows = iter(reading)
            if filters:
                first = iter(Reading(path, door, lambda record: None, replaced))
                rows = kept_rows(first, reading, filters, path, note)
            copy.writelines(row + "\n" for row, _ in rows)
            found = reading.entrance()
        else:
            with open(path, encoding="utf-8-sig") as text:
                shutil.copyfileobj(text, copy)
    for name in (*LISTS, *SIFTED):
        if name not in names:
            (folder / name).unlink(missing_ok=True)
    return found
