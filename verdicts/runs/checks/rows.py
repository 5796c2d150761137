"""Rules about rows: each names a ticket of Stage A, and none stands twice."""

from functools import cache
from pathlib import Path

from pydantic import BaseModel

from verdicts.intake.filters import SIFTED
from verdicts.intake.reader import LISTS
from verdicts.records.run_folder import ROW_NAMES, Once
from verdicts.records.ticket_index import Column
from verdicts.records.tickets import StageA
from verdicts.runs.checks.rule import Rule, wrong, wrong_row
from verdicts.runs.reader import PlacedRecord, RunUnderCheck


class TicketsAreKnown(Rule):
    """A record of a ticket names one of Stage A, and agrees with it on group, mission and label."""

    says = "records name known tickets"

    def see(self, row: PlacedRecord) -> None:
        if row.path.name in (*LISTS, *SIFTED):
            return  # what was given, before any edit of stage_a.jsonl
        fields = _fields_of_a_ticket(row.record.__class__)
        if fields is not None and row.record.ticket_key:
            self.found(self._stranger(row, row.record.ticket_key, fields))

    def _stranger(self, row: PlacedRecord, key: str, fields: tuple[str, ...]) -> str | None:
        tickets = self.tickets
        number = tickets.number(key)
        if number is None:
            what = f"{key!r} is not a ticket of stage_a.jsonl"
            return wrong_row(row, "ticket_key", what, "correct the key or delete the line")
        label = tickets.label(number)
        known = {
            "group_id": key.removesuffix(f"::{label}"),
            "mission": tickets.missions[tickets.mission_number(number)],
            "label": label,
            "gt_label": label,
        }
        for name in fields:
            if (said := getattr(row.record, name)) != known[name]:
                what = f"{said!r}, but ticket {key!r} has {known[name]!r}"
                return wrong_row(row, name, what, "correct one of the two")
        return None


@cache
def _fields_of_a_ticket(model: type) -> tuple[str, ...] | None:
    """What a record says of its ticket, besides its key; None where it is of no ticket.

    Kept by class: asking each record for a field that it lacks is slow.
    """
    if not issubclass(model, BaseModel) or not ("ticket_key" in model.model_fields or model is StageA):
        return None
    return tuple(name for name in ("group_id", "mission", "label", "gt_label") if name in model.model_fields)


class OneSelectionATicket(Rule):
    """The run's view holds each ticket once."""

    says = "one selection a ticket in the run's view"
    needs = frozenset({"selections.jsonl"})
    sees = ("selections.jsonl",)

    def __init__(self, run: RunUnderCheck):
        super().__init__(run)
        self.line = Column("I")

    def see(self, row: PlacedRecord) -> None:
        number = self.numbers.of(row.record.ticket_key)
        first = self.line[number]
        self.line[number] = first or row.line or 0
        what = f"{row.record.ticket_key!r} stands on line {first} already"
        self.found(wrong_row(row, "ticket_key", what, "keep one of the two") if first else None)


class RowsStandOnce(Rule):
    """No row of any other file stands in it twice."""

    says = "no row of another file stands twice"

    def __init__(self, run: RunUnderCheck):
        super().__init__(run)
        self.file: tuple[Path, Once] | None = None

    def see(self, row: PlacedRecord) -> None:
        if row.name not in ROW_NAMES or (row.round is None and row.name == "selections.jsonl"):
            return
        if self.file is None or row.path != self.file[0]:
            self.end()
            self.file = row.path, Once(row.path, row.record.__class__)
        self.looked += 1
        self.file[1].see(row.record)

    def end(self) -> None:
        """Look at the file that was read last: files follow each other, so one at a time is remembered."""
        if self.file is None:
            return
        path, once = self.file
        for line, first, names in once.twice():
            what = f"{names} stands on line {first} already"
            self.problems.add(wrong(path, line, ROW_NAMES[path.name][-1], what, "keep one of the two"))
        self.file = None
