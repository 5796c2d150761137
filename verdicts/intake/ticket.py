"""What is put right in one given ticket, and what is not: docs/tickets.md has the list.

A repair changes how a ticket is written, never what it says. What could be meant in two ways is refused.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from verdicts.base.errors import UserError, mistake
from verdicts.base.jsonl import validate
from verdicts.config.sections import TicketsSection
from verdicts.intake.names import Door, plain_word
from verdicts.intake.summaries import as_json, mended_summary
from verdicts.records.predictions import NewTicket
from verdicts.records.tickets import DoorRefusal, RepairKind, StageA

_Ticket = TypeVar("_Ticket", StageA, NewTicket)

_REASONS = ("gt_fail_reason_texts", "gt_fail_reason_text")  # people's reasons as such teams name them: a list, one text
OF_LABELS = ("label", "fail_reasons", *_REASONS)  # fields that say or betray what people decided
_NUMBER_AT_END = re.compile(r"\d+$")


class NotTaken(Exception):
    """A row that cannot be a ticket: the reason word and the sentence."""

    def __init__(self, reason: DoorRefusal, error: UserError):
        super().__init__(str(error))
        self.reason, self.error = reason, error


@dataclass(frozen=True)
class Repair:
    """One repair: its kind, the field, and the value before and after, as text."""

    kind: RepairKind
    field: str
    before: str
    after: str


@dataclass
class GivenTicket:
    """A row as it was given, and what is made of it."""

    value: dict[str, Any]
    path: Path
    line: int
    changes: list[Repair] = field(default_factory=list)

    def change(self, kind: RepairKind, name: str, before: Any, after: Any) -> None:
        """Note a repair."""
        self.changes.append(Repair(kind, name, _text(before), _text(after)))

    def refused(self, reason: DoorRefusal, name: str, what: str, todo: str) -> NotTaken:
        """The exception that says why the row is not taken."""
        return NotTaken(reason, mistake(what, todo, path=self.path, line=self.line, field=name))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else as_json(value)


def mended_ticket(value: Any, door: Door, path: Path, line: int) -> tuple[StageA, list[Repair], dict[str, Any]]:
    """The ticket in a decoded row, what was put right in it, and its fields that no ticket has.

    Raises NotTaken where it cannot be one.
    """
    given = _object(value, StageA, path, line)
    _fail_reasons(given)
    aside = _aside(given, StageA)
    _group_id(given)
    _mission(given, door)
    _label(given, door)
    _photos(given)
    _summaries(given, door.knobs)
    return _checked(given, StageA, aside), given.changes, aside


def mended_new_ticket(value: Any, door: Door, path: Path, line: int) -> tuple[NewTicket, list[Repair], dict[str, Any]]:
    """The ticket without a label in a decoded row, what was put right in it, and its fields that no such ticket has.

    What is said of the ticket's label is taken out unread. A photo with a blank summary stays behind in ``missing``. A
    row without a mission is of the run's. Raises NotTaken where it cannot be one.
    """
    given = _object(value, NewTicket, path, line)
    for name in OF_LABELS:
        given.value.pop(name, None)
    given.value.setdefault("mission", door.mission)
    aside = _aside(given, NewTicket, "missing")
    _group_id(given)
    _mission(given, door)
    _photos(given)
    _summaries(given, door.knobs)
    _without_blanks(given)
    return _checked(given, NewTicket, aside), given.changes, aside


def _object(value: Any, model: type[BaseModel], path: Path, line: int) -> GivenTicket:
    if not isinstance(value, dict):
        raise NotTaken("field", _said(value, model, path, line))
    return GivenTicket(dict(value), path, line)


def _aside(given: GivenTicket, model: type[BaseModel], *ours: str) -> dict[str, Any]:
    """The fields that the model lacks, or that are not given (``ours``), taken out."""
    known = model.model_fields.keys() - set(ours)
    return {name: given.value.pop(name) for name in list(given.value) if name not in known}


def _checked(given: GivenTicket, model: type[_Ticket], aside: dict[str, Any]) -> _Ticket:
    try:
        return model.model_validate(given.value)
    except ValidationError as error:
        of_photos = error.errors()[0]["loc"][:1] in ((), ("images",), ("per_image",))
        # A misspelt name explains a missing field: the sentence is then about the row with all of its fields.
        missing = any(info.is_required() and name not in given.value for name, info in model.model_fields.items())
        whole = {**given.value, **aside} if missing else given.value
        raise NotTaken("photos" if of_photos else "field", _said(whole, model, given.path, given.line)) from None


def _without_blanks(given: GivenTicket) -> None:
    """Photos whose summary says nothing go to ``missing``; the others are numbered anew."""
    summaries, images = given.value.get("per_image"), given.value.get("images")
    if not isinstance(summaries, dict) or not isinstance(images, list) or len(summaries) != len(images):
        return
    blank = {name for name, text in summaries.items() if text is None or (isinstance(text, str) and not text.strip())}
    if not blank:
        return
    kept = [(image, summaries[name]) for image, name in zip(images, summaries, strict=True) if name not in blank]
    given.value["missing"] = [
        {"image": image, "reason": "empty_summary", "detail": f"{name} says nothing"}
        for image, name in zip(images, summaries, strict=True)
        if name in blank
    ]
    given.value["images"] = [image for image, _ in kept]
    given.value["per_image"] = {f"image_{at}": text for at, (_, text) in enumerate(kept, start=1)}


def _said(value: Any, model: type[BaseModel], path: Path, line: int) -> UserError:
    """The sentence about a row that is no ticket."""
    try:
        validate(value, model, path, line)
    except UserError as error:
        return error
    raise AssertionError("the row is a ticket")


def _fail_reasons(given: GivenTicket) -> None:
    """People's reasons under the names that such teams give them. What is no text stays, and is kept aside."""
    value = given.value
    texts, text = (value.get(name) for name in _REASONS)
    if texts is None and isinstance(text, str):
        texts = text.split(" | ")
    if not (texts is None or (isinstance(texts, list) and all(isinstance(one, str) for one in texts))):
        return
    if not (text is None or isinstance(text, str)) or not isinstance(value.get("fail_reasons", []), list):
        return
    before = {name: value.pop(name) for name in _REASONS if name in value}
    own = value.get("fail_reasons", [])
    found = dict.fromkeys(" ".join(one.split()) for one in texts or [])
    if new := [one for one in found if one and one not in own]:
        value["fail_reasons"] = [*own, *new]
    if before:  # one that says nothing, null or [], goes as well
        given.change("fail_reasons", "fail_reasons", before, value.get("fail_reasons", []))


def _group_id(given: GivenTicket) -> None:
    """A number becomes text, and blanks around an id go: with them one group would be two."""
    was = given.value.get("group_id")
    name = _whole_number(was) if isinstance(was, (int, float)) else was.strip() if isinstance(was, str) else None
    if name and name != was:
        given.value["group_id"] = name
        given.change("group_id", "group_id", was, name)


def _whole_number(value: Any) -> str | None:
    """``7`` of 7 and of 7.0, which spreadsheets write; None of anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        return None
    return str(int(value))


def _mission(given: GivenTicket, door: Door) -> None:
    was = given.value.get("mission")
    if not isinstance(was, str) or was == door.mission:
        return
    if plain_word(was) not in door.names:
        raise given.refused("mission", "mission", *door.foreign(was))
    given.value["mission"] = door.mission
    given.change("mission", "mission", was, door.mission)


def _label(given: GivenTicket, door: Door) -> None:
    was = given.value.get("label")
    if was in ("pass", "fail") or "label" not in given.value:
        return
    word = was if isinstance(was, str) else _whole_number(was)
    label = door.labels.get(plain_word(word)) if word is not None else None
    if label is None:
        todo = "write pass or fail, or name the word in tickets.labels"
        if word is not None and plain_word(word) == "0":
            raise given.refused("label", "label", "0 may mean pass or fail", todo)
        raise given.refused("label", "label", f"{_text(was)[:60]!r} is no word for pass or fail", todo)
    given.value["label"] = label
    given.change("label", "label", was, label)


def _photos(given: GivenTicket) -> None:
    """Photos numbered as a ticket has them, in the order of the numbers given, and a name for each."""
    summaries = given.value.get("per_image")
    if isinstance(summaries, list):
        by_number = dict(enumerate(summaries, start=1))
        names = ["item"] * len(summaries)
    elif isinstance(summaries, dict):
        by_number, names = {}, list(summaries)
        for name, summary in summaries.items():
            number = _NUMBER_AT_END.search(name)
            if number is None or int(number.group()[-18:]) in by_number:
                what = "has no number at its end" if number is None else "has the number of another photo"
                raise given.refused("photos", "per_image", f"{name!r} {what}", "number the photos: image_1, image_2, …")
            by_number[int(number.group()[-18:])] = summary
    else:
        return
    mended = {f"image_{at}": by_number[number] for at, number in enumerate(sorted(by_number), start=1)}
    if not isinstance(summaries, dict) or names != list(mended):
        given.value["per_image"] = mended
        given.change("photo_keys", "per_image", ", ".join(names), ", ".join(mended))
    _photo_names(given, list(mended))


def _photo_names(given: GivenTicket, keys: list[str]) -> None:
    """Where photos have no name, or fewer have one than have a summary, the others are named as their summaries are."""
    was = given.value.get("images")
    images = [was] if isinstance(was, str) else [] if was is None else was
    if not isinstance(images, list):
        return
    named = [*images, *keys[len(images) :]]
    if named != was:
        given.value["images"] = named
        given.change("photo_names", "images", was, named)


def _summaries(given: GivenTicket, knobs: TicketsSection) -> None:
    summaries = given.value.get("per_image")
    if not isinstance(summaries, dict):
        return
    for key, was in summaries.items():
        text, kinds = mended_summary(was, knobs.max_count, knobs.drop_distances)
        for kind in kinds:
            given.change(kind, f"per_image.{key}", was, text)
        if kinds:
            given.value["per_image"] = {**given.value["per_image"], key: text}
