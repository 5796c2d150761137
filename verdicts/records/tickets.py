"""Tickets and their photos: Stage A in, and what it could not use."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from verdicts.base.errors import mistake, stands_twice
from verdicts.base.jsonl import read_numbered
from verdicts.base.record import Line, Record

Verdict = Literal["pass", "fail"]


Refusal = Literal[
    "bad_name", "unknown_extension", "convert_to_jpeg", "missing", "unreadable", "not_a_file", "empty_file",
    "too_large", "too_many_pixels", "too_narrow", "not_an_image", "broken",
    "no_label", "no_group", "nested_groups", "duplicate_group", "empty_group", "no_photo_left",
    "empty_summary", "coordinates", "cut_off", "incomplete_group",
]  # fmt: skip


def ticket_key(group_id: str, label: str) -> str:
    """The identity of a ticket: the same group_id may appear with both labels."""
    return f"{group_id}::{label}"


def _not_blank(text: str) -> str:
    """Whatever else it holds does no harm: group ids and summaries are never a line of a prompt as they stand
    (prompts.py), and messages spell them out.
    """
    if not text.strip():
        raise ValueError("is blank; write it, or delete the line")
    return text


def _says_something(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank; write what the photo shows, or leave the photo out")
    return text


def _numbered(per_image: dict[str, str]) -> dict[str, str]:
    for number, key in enumerate(per_image, start=1):
        if key != f"image_{number}":
            raise ValueError(
                f"keys must run image_1, image_2, … without a gap (found {key!r} for image_{number}); "
                "renumber the photos"
            )
    return per_image


def a_summary_a_photo(images: list[str], per_image: dict[str, str]) -> None:
    """Raise ValueError unless there are as many of both."""
    if len(images) != len(per_image):
        raise ValueError(f"{len(images)} images but {len(per_image)} summaries; give one summary a photo")


GroupId = Annotated[str, Field(min_length=1), AfterValidator(_not_blank)]


Summaries = Annotated[
    dict[str, Annotated[str, AfterValidator(_says_something)]], Field(min_length=1), AfterValidator(_numbered)
]


# What people wrote when they failed a ticket. No reasons leave no trace in a written row.
FailReasons = Annotated[list[Line], Field(exclude_if=lambda reasons: not reasons)]


class StageA(Record):
    """One ticket: its photos' summaries and its human label.

    ``fail_reasons`` are for people and for reflection, never for a prompt of Stage B. A ticket labelled pass may have
    them: it was failed once, and came back put right.
    """

    group_id: GroupId
    mission: Line
    label: Verdict
    images: list[str]
    per_image: Summaries
    fail_reasons: FailReasons = []

    @model_validator(mode="after")
    def _a_summary_a_photo(self) -> "StageA":
        a_summary_a_photo(self.images, self.per_image)
        return self

    @property
    def ticket_key(self) -> str:
        """The ticket's identity, ``group_id::label``."""
        return ticket_key(self.group_id, self.label)


class Refused(Record):
    """A photo that has no summary, or (``image`` None) a group that has no photo left, with the reason word.

    ``group_id`` is "" for a file in no group, ``label`` None for one that is in neither label folder.
    """

    image: str | None
    group_id: str
    label: Verdict | None
    reason: Refusal
    detail: str


RepairKind = Literal[
    "byte_order_mark", "blank_line", "mission", "label", "group_id", "photo_keys", "photo_names", "fail_reasons",
    "json_summary", "wrapped_summary", "prefix", "count", "distance", "same_ticket", "resubmission",
]  # fmt: skip
DoorRefusal = Literal["not_json", "field", "mission", "label", "photos"]


class TicketRepair(Record):
    """What the door put right of a given row: ``before`` as it was given, ``after`` as the run has it.

    Texts stand as they are, other values as JSON. A row that another one replaces (same_ticket, resubmission) is not in
    the run: ``before`` is that row, ``after`` names the line that counts.
    """

    file: str
    line: int
    ticket_key: str | None
    kind: RepairKind
    field: str
    before: str
    after: str


class RefusedTicket(Record):
    """A given row that is not in the run: the reason word, the sentence about it, and the row itself."""

    file: str
    line: int
    reason: DoorRefusal
    detail: str
    row: str


class TicketAside(Record):
    """Fields of a given row that no ticket has, kept beside the tickets."""

    file: str
    line: int
    ticket_key: str
    fields: dict[str, Any]


class Entrance(Record):
    """What the door did with a given file. ``rows`` = all of ``labels`` + ``replaced`` + all of ``refused``.

    ``settings``: digest of the knobs and names that it worked with. ``labels``: tickets taken, by label. ``repaired``:
    repairs by kind. ``refused``: rows by reason. ``aside``: rows by the field that was kept aside.
    """

    settings: str
    rows: int
    labels: dict[Verdict, int]
    replaced: int
    repaired: dict[str, int]
    refused: dict[str, int]
    aside: dict[str, int]


class Filtered(Record):
    """What the configuration's filters made of the tickets taken: ``read`` = ``kept`` + all of ``dropped``.

    ``digest``: of the filters, the exclude file, and the photos that they compare. ``dropped``: by filter. ``marked``:
    tickets kept although one of the other label shows the same. ``notes``: what of the filters could not be used.
    """

    digest: str
    read: int
    kept: int
    dropped: dict[str, int]
    marked: int
    notes: list[str]


class TicketsSource(Record):
    """config/tickets.json: the file that the run's tickets were taken from.

    ``synthetic``: the miniature's world drew them. ``entrance``: absent where a file of the run itself was taken.
    ``filtered``: absent where no filter is on.
    """

    source: str
    sha256: str | None
    synthetic: bool = False
    entrance: Annotated[Entrance | None, Field(exclude_if=lambda entrance: entrance is None)] = None
    filtered: Annotated[Filtered | None, Field(exclude_if=lambda filtered: filtered is None)] = None


def read_tickets(path: Path, mission: str | None = None) -> list[StageA]:
    """Read Stage-A tickets in file order; refuses an empty file, a repeated ticket_key, and a foreign mission where one
    is given.
    """
    tickets = read_numbered(path, StageA)
    seen: dict[str, int] = {}
    for line, ticket in tickets:
        if (first := seen.setdefault(ticket.ticket_key, line)) != line:
            raise stands_twice(f"ticket_key {ticket.ticket_key!r}", first, path=path, line=line, field="group_id")
        if mission is not None and ticket.mission != mission:
            what = f"{ticket.mission!r} is not this run's mission {mission!r}"
            raise mistake(what, "run it under its own MISSION", path=path, line=line, field="mission")
    return [ticket for _, ticket in tickets]
