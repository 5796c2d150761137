"""What ticket filters left out of a run, and which tickets they mark."""

from typing import Annotated, Literal

from pydantic import Field

from verdicts.base.record import Record
from verdicts.records.tickets import StageA

Filter = Literal["exclude", "exclude_reasons", "min_useful_photos", "suspicious", "duplicates"]


class DroppedTicket(Record):
    """A ticket that a filter left out, whole. ``like``: the ticket_key of the one that it repeats, or is doubted by."""

    ticket_key: str
    filter: Filter
    reason: Annotated[str, Field(min_length=1)]
    like: str | None
    ticket: StageA


class MarkedTicket(Record):
    """A ticket that stays although ``like``, which stays as well, shows the same under the other label."""

    ticket_key: str
    filter: Filter
    reason: Annotated[str, Field(min_length=1)]
    like: str
