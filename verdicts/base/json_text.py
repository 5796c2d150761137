"""Decoding JSON without surprises: what Python's decoder would take in silence, or die of, is a flaw with its place.

Refused beside broken syntax: a name that stands twice in one object (the first value would be lost), NaN and infinities
(RFC 8259, §6: not JSON), integers beyond 64 bits, half surrogates (§8.2: not text), and deeper nesting than 50.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

MAX_JSON_DEPTH = 50  # records nest 7 deep
_MAX_INT = 2**63
_HALF = re.compile("[\ud800-\udfff]")
_HALF_ESCAPED = re.compile(r"\\u[dD][89a-fA-F]")
_LONG_INTEGER = re.compile("[0-9]{19}")


class Flaw(ValueError):
    """What is wrong with a JSON text: where in it (``loc``, names and numbers of items), what, and what to do."""

    def __init__(
        self, loc: tuple[int | str, ...], what: str, todo: str, *, at: json.JSONDecodeError | None = None
    ) -> None:
        super().__init__(f"{'.'.join(map(str, loc))}: {what}" if loc else what)
        self.loc, self.what, self.todo, self.at = loc, what, todo, at


class _Odd(NamedTuple):
    """Stands in a decoded value where the text holds what must not be."""

    what: str
    todo: str


def decode(text: str) -> Any:
    """The value of a JSON text; raises Flaw."""
    try:
        value = _value(text)
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" starting at").removesuffix(" at").lower()
        raise Flaw(
            (), f"not valid JSON at column {error.colno} ({what})", "complete or delete the line", at=error
        ) from None
    except RecursionError:
        raise _too_deep(()) from None
    if _HALF_ESCAPED.search(text) or _LONG_INTEGER.search(text) or text.count("[") + text.count("{") > MAX_JSON_DEPTH:
        refuse_flaws(value)
    return value


def _value(text: str) -> Any:
    try:
        return _FAST.decode(text)
    except json.JSONDecodeError:
        raise
    except (_Stop, ValueError):  # Python itself refuses to read an integer of 4,300 digits
        value = _MARKING.decode(text)
    refuse_flaws(value)
    return value


def refuse_flaws(value: Any) -> None:
    """Raise Flaw for the first part of a decoded value that a JSON text may not hold."""
    for loc, part in _parts(value):
        if isinstance(part, _Odd):
            raise Flaw(loc, part.what, part.todo)
        if isinstance(part, str) and (half := _HALF.search(part)):
            raise Flaw(
                loc,
                f"half a surrogate ({ascii(half.group())[1:-1]}), which is no character",
                "write the whole character, or delete it",
            )
        if isinstance(part, float) and not math.isfinite(part):
            raise Flaw(loc, f"{part} is no number", "write a number")
        if isinstance(part, int) and abs(part) >= _MAX_INT:
            raise Flaw(loc, "an integer beyond 64 bits", "correct the number")
        if len(loc) > MAX_JSON_DEPTH:
            raise _too_deep(loc)


def _too_deep(loc: tuple[int | str, ...]) -> Flaw:
    return Flaw(loc[:3], f"nested deeper than {MAX_JSON_DEPTH}", "correct the brackets")


def _parts(value: Any) -> Iterator[tuple[tuple[int | str, ...], Any]]:
    """Every part of a value with its place. Names of objects are parts too, shown at the object's place."""
    left: list[tuple[tuple[int | str, ...], Any]] = [((), value)]
    while left:
        loc, part = left.pop()
        yield loc, part
        if len(loc) > MAX_JSON_DEPTH:
            continue
        if isinstance(part, dict):
            left += [(loc, name) for name in part]
            left += [((*loc, name), inner) for name, inner in reversed(part.items())]
        elif isinstance(part, (list, tuple)) and not isinstance(part, _Odd):
            left += [((*loc, at), inner) for at, inner in reversed(list(enumerate(part)))]


class _Stop(Exception):
    """The fast decoder met a flaw; the marking one finds its place."""


def _stop(_: Any) -> Any:
    raise _Stop


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _stop(pairs)


def _once_marked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        found[name] = _Odd("stands twice in one object", "keep one of the two") if name in found else value
    return found


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _stop(text)


def _integer(text: str) -> Any:
    return int(text) if len(text) <= 20 else _Odd(f"an integer of {len(text.lstrip('-'))} digits", "write at most 18")


def _constant(text: str) -> _Odd:
    return _Odd(f"{text} is no number of JSON", "write a number or null")


# Integers are left to C here: one out of range is looked for only where the text has a number that long.
_FAST = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_stop, parse_float=_finite)
_MARKING = json.JSONDecoder(object_pairs_hook=_once_marked, parse_constant=_constant, parse_int=_integer)
