"""Tickets without labels from a file of summaries, one in memory at a time.

Rows are mended as those of a run are (verdicts/intake/ticket.py), so that a student is asked what it was judged on.
What is said of a label is taken out unread. A group that stands twice is two tickets here: each row gets its verdict.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from verdicts.base.errors import UserError, mistake
from verdicts.base.json_text import Flaw, decode
from verdicts.base.jsonl import Placed, decode_json, stream_lines
from verdicts.base.text_files import BOM, open_bytes
from verdicts.intake.names import Door
from verdicts.intake.reader import door_digest
from verdicts.intake.ticket import OF_LABELS, NotTaken, Repair, mended_new_ticket
from verdicts.records.predictions import NewTicket
from verdicts.records.tickets import DoorRefusal, Entrance, RefusedTicket, TicketAside, TicketRepair


class NewTickets:
    """The tickets of a JSONL file of summaries, in its order; each pass reads the file.

    ``notes``: every repair, refused row and field kept aside, as lists beside the predictions have them. Raises
    UserError where the file cannot be read, holds nothing, or more than ``tickets.max_refused`` of its rows can be no
    ticket.
    """

    def __init__(self, path: Path, door: Door):
        self.path, self.door = path, door
        self.rows = self.labels_unread = self.count = 0
        self.refused: Counter[DoorRefusal] = Counter()
        self.notes: list[BaseModel] = []
        self._first: UserError | None = None
        with open_bytes(path) as file:
            if file.read(len(BOM)) == BOM:
                self._repaired(1, None, Repair("byte_order_mark", "", "BOM", ""))
        for placed in stream_lines(path, blank=True):
            self._look(placed)
        self._refuse_too_many()

    def __iter__(self) -> Iterator[NewTicket]:
        for placed in stream_lines(self.path):
            try:
                yield self._read(decode(placed.text), placed.line)[0]
            except (Flaw, NotTaken):
                continue  # listed when the file was first read

    def _read(self, value: Any, line: int) -> tuple[NewTicket, list[Repair], dict[str, Any]]:
        return mended_new_ticket(value, self.door, self.path, line)

    def _look(self, placed: Placed) -> None:
        """Take in one line: what it is, and what had to be done to it."""
        if not placed.text or placed.text.isspace():
            self._repaired(placed.line, None, Repair("blank_line", "", placed.text, ""))
            return
        self.rows += 1
        try:
            value = decode(placed.text)
            ticket, changes, aside = self._read(value, placed.line)
        except Flaw:
            self._refuse(placed, NotTaken("not_json", self._no_json(placed)))
            return
        except NotTaken as refusal:
            self._refuse(placed, refusal)
            return
        self.count += 1
        self.labels_unread += any(name in value for name in OF_LABELS)
        for change in changes:
            self._repaired(placed.line, ticket.group_id, change)
        if aside:
            row = TicketAside(file=str(self.path), line=placed.line, ticket_key=ticket.group_id, fields=aside)
            self.notes.append(row)

    def _no_json(self, placed: Placed) -> UserError:
        try:
            decode_json(placed.text, self.path, placed.line)
        except UserError as error:
            return error
        raise AssertionError("the line is JSON")

    def _repaired(self, line: int, group: str | None, change: Repair) -> None:
        self.notes.append(TicketRepair(file=str(self.path), line=line, ticket_key=group, **vars(change)))

    def _refuse(self, placed: Placed, refusal: NotTaken) -> None:
        self.refused[refusal.reason] += 1
        self._first = self._first or refusal.error
        self.notes.append(
            RefusedTicket(
                file=str(self.path), line=placed.line, reason=refusal.reason, detail=str(refusal.error),
                row=placed.text,
            )
        )  # fmt: skip

    def entrance(self) -> Entrance:
        """What was done, in figures; no label is among them."""
        kinds = Counter(note.kind for note in self.notes if isinstance(note, TicketRepair))
        aside = Counter(name for note in self.notes if isinstance(note, TicketAside) for name in note.fields)
        return Entrance(
            settings=door_digest(self.door), rows=self.rows, labels={}, replaced=0,
            repaired=dict(sorted(kinds.items())), refused=dict(sorted(self.refused.items())),
            aside=dict(sorted(aside.items())),
        )  # fmt: skip

    def _refuse_too_many(self) -> None:
        if not self.rows:
            raise mistake(
                "the file holds no record", "give a file with at least one JSON object a line", path=self.path
            )
        refused, most = self.refused.total(), self.door.knobs.max_refused
        if self._first and (refused > most * self.rows or not self.count):
            more = f" (and {refused - 1} more of {self.rows} rows, tickets.max_refused is {most:g})"
            raise UserError(str(self._first) + (more if refused > 1 else ""))
