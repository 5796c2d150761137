"""What is found in a row on its way in: a reason why it is of no use, or what was mended."""

from collections.abc import Mapping
from typing import Any

from verdicts.records.imports import RefusalOfRow, RepairOfRow, RowRepair


class Unusable(Exception):
    """A row that is not imported: a reason word, the field, and for people what was found."""

    def __init__(self, reason: RefusalOfRow, field: str, detail: str) -> None:
        super().__init__(reason)
        self.reason: RefusalOfRow = reason
        self.field, self.detail = field, detail


class Mended(list[RowRepair]):
    """The repairs of a row so far."""

    def note(self, repair: RepairOfRow, field: str, detail: str) -> None:
        """One more."""
        self.append(RowRepair(repair=repair, field=field, detail=detail))


def said_in(value: Mapping[str, Any], name: str) -> Any:
    """What a row says under a name; None where it says nothing, null or an empty list."""
    said = value.get(name)
    return None if said == [] else said


def excerpt(value: Any) -> str:
    """A value as a detail shows it, cut to a line's part."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
