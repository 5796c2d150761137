"""What is put right in one summary: how it was wrapped, the line before it, counts that ran away."""

import json
import re
from typing import Any

from verdicts.base.json_text import Flaw, decode
from verdicts.facts.points import without_distances
from verdicts.facts.prefix import split_prefix
from verdicts.records.tickets import RepairKind

_COUNT = re.compile(r"(?<=×)[0-9]+(?=\s*(?:[，,、；;。]|$))")  # of an item, not of a size on a label in it


def mended_summary(given: Any, max_count: int, drop_distances: bool = False) -> tuple[Any, list[RepairKind]]:
    """A summary as a ticket has it, and what was put right, in order. What is no text or JSON value stays as it is."""
    kinds: list[RepairKind] = []
    text = given
    if isinstance(given, (dict, list)):
        text = as_json(given)
        kinds.append("json_summary")
    if not isinstance(text, str):
        return given, []
    text = _unwrapped(text, kinds)
    prefix, text = split_prefix(text)
    if prefix:
        kinds.append("prefix")
    value = _json_object(text)
    if value is not None and len(text.splitlines()) > 1:
        text = as_json(value)
        kinds.append("json_summary")
    capped = _capped_text(text, max_count) if value is None else _capped_json(text, value, max_count)
    if capped != text:
        kinds.append("count")
    if drop_distances and (kept := without_distances(capped)) != capped:
        return kept, [*kinds, "distance"]
    return capped, kinds


def as_json(value: Any) -> str:
    """A value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False)


def _unwrapped(text: str, kinds: list[RepairKind]) -> str:
    """A text that a program wrote as a JSON string, taken out of it."""
    while text.lstrip().startswith('"') and text.rstrip().endswith('"'):
        try:
            inner = decode(text)
        except Flaw:
            break
        if not isinstance(inner, str):
            break
        text = inner
        kinds.append("wrapped_summary")
    return text


def _json_object(text: str) -> Any:
    """The object that a text is in JSON; None where it is none."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = decode(text)
    except Flaw:
        return None
    return value if isinstance(value, dict) else None


def _capped_text(text: str, most: int) -> str:
    return _COUNT.sub(lambda found: str(most) if _beyond(found.group(), most) else found.group(), text)


def _beyond(digits: str, most: int) -> bool:
    digits = digits.lstrip("0")
    return len(digits) > 18 or int(digits or "0") > most


def _capped_json(text: str, value: Any, most: int) -> str:
    capped = _capped(value, most)
    return as_json(capped) if capped != value else text


def _capped(value: Any, most: int) -> Any:
    """The counts of a JSON summary are its whole numbers; what was read off a photo is text there."""
    if isinstance(value, dict):
        return {name: _capped(inner, most) for name, inner in value.items()}
    if isinstance(value, list):
        return [_capped(inner, most) for inner in value]
    return min(value, most) if isinstance(value, int) and not isinstance(value, bool) else value
