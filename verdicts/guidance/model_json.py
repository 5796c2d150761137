"""One JSON object out of a model's answer: what is wrong around it or in its form is forgiven and counted, nothing is
guessed.

A model that wraps its JSON in a fence, explains it, or leaves a comma behind the last element has said what it means.
Two different objects, an object that is cut off, a key that stands twice: there the meaning is open, and the answer is
unreadable.
"""

import json
import re
from typing import Any, NamedTuple

from verdicts.stage_b.protocol import strip_thinking

# Kinds that are forgiven here; verdicts/guidance/reflection.py adds those of the fields.
FORGIVEN_JSON = {
    "thinking": "everything up to a </think> before the answer",
    "bom": "a byte order mark or zero-width characters around the answer",
    "fence": "a code fence around the object, with or without a language",
    "prose": "words before or behind the object",
    "repeated": "the same object more than once",
    "trailing_comma": "a comma behind the last element",
    "raw_line_end": "a line end or tab inside a text that JSON wants escaped",
}
_INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060\x00"
_STRING_OR_COMMA = re.compile(r'("(?:[^"\\]|\\.)*+")|,(?=\s*[}\]])', re.DOTALL)
_FENCE = re.compile(r"(?:```+|~~~+)[ \t]*[A-Za-z0-9_+-]*")
_BEGINS = re.compile(r'\{\s*["}]')  # any other brace is prose
_MOST_OBJECTS = 64  # an answer with more is no answer


class ReadObject(NamedTuple):
    """The object, and the kinds that were forgiven; or ``why`` there is none (``value`` None)."""

    value: Any
    forgiven: list[str]
    why: str | None


class _Twice(ValueError):
    """A key stands twice in one object."""

    msg = "a key stands twice"


def read_object(text: str) -> ReadObject:
    """Read the one JSON object of an answer, or any one JSON value where the answer is nothing else.

    ``why``: ``empty``, ``not_json: …`` (json's own words), ``two_objects``.
    """
    forgiven: list[str] = []
    for kind, after in (
        ("bom", lambda said: said.strip().strip(_INVISIBLE)),
        ("thinking", strip_thinking),
        ("bom", lambda said: said.strip().strip(_INVISIBLE)),
    ):
        rest = after(text)
        forgiven += [kind] if rest.strip() != text.strip() else []
        text = rest
    if not text.strip():
        return ReadObject(None, [], "empty")
    try:
        value, end, kinds = _decode(text, 0)
        if not text[end:].strip():
            return ReadObject(value, _once(forgiven + kinds), None)
    except (ValueError, RecursionError):
        pass
    return _among_words(text, forgiven)


def _among_words(text: str, forgiven: list[str]) -> ReadObject:
    """The one object in a text that holds more than it."""
    values, around, at, kinds = [], [], 0, list(forgiven)
    while begins := _BEGINS.search(text, at):
        try:
            value, end, more = _decode(text, begins.start())
        except (ValueError, RecursionError) as error:
            return ReadObject(None, [], f"not_json: {_words(error)}")
        values.append(value)
        around.append(text[at : begins.start()])
        kinds += more
        at = end
        if len(values) > _MOST_OBJECTS:
            break
    if not values:
        return ReadObject(
            None, [], f"not_json: {'no object in it' if '{' not in text else 'no object begins as JSON does'}"
        )
    if any(value != values[0] for value in values):
        return ReadObject(None, [], "two_objects: which one is meant is open")
    outside = "".join([*around, text[at:]])
    words = _FENCE.sub("", outside)
    kinds += ["fence"] if words != outside else []
    kinds += ["prose"] if words.strip() else []
    kinds += ["repeated"] if len(values) > 1 else []
    return ReadObject(values[0], _once(kinds), None)


def _decode(text: str, at: int) -> tuple[Any, int, list[str]]:
    """The JSON value at a place, where it ends, and what was forgiven in it. Raises ValueError or RecursionError."""
    for kinds, strict, commas in (
        ([], True, False),
        (["trailing_comma"], True, True),
        (["raw_line_end"], False, False),
        (["trailing_comma", "raw_line_end"], False, True),
    ):
        source, places = _without_commas(text, at) if commas else (text, None)
        try:
            value, end = json.JSONDecoder(strict=strict, object_pairs_hook=_unique).raw_decode(source, at)
        except json.JSONDecodeError as error:
            failure = error
            continue
        json.dumps(
            value, ensure_ascii=False, allow_nan=False
        ).encode()  # NaN and half surrogates are read, but cannot be written
        return value, end + sum(place < end for place in places or ()), kinds
    raise failure


def _without_commas(text: str, at: int) -> tuple[str, list[int]]:
    """The text without trailing commas behind ``at``, and where each would stand in it, counted back to back."""
    places: list[int] = []

    def drop(found: re.Match[str]) -> str:
        kept: str | None = found[1]
        if kept is None:
            places.append(found.start() - len(places))
            return ""
        return kept

    return text[:at] + _STRING_OR_COMMA.sub(drop, text[at:]), [place + at for place in places]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise _Twice(_Twice.msg)
    return value


def _words(error: Exception) -> str:
    """What is wrong, in few words."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    if isinstance(error, UnicodeEncodeError):
        return "half a character in it"
    return str(getattr(error, "msg", error)).lower()[:80]


def _once(kinds: list[str]) -> list[str]:
    return list(dict.fromkeys(kinds))
