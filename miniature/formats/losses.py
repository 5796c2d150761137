"""Faults that a whole set is written with, to see whether the gate sees what a student loses by learning it.

Each leaves all rows in order, as a slip in a team's own tools would: outlines or paths in the pixels of a photo of half
the size, or every count of a JSON summary taken twice.
"""

import json
from collections.abc import Callable
from typing import Any

from miniature.formats.rows import Row


def _halved(kind: str) -> Callable[[Row], Row]:
    def planted(row: Row) -> Row:
        objects = [one | {kind: [value // 2 for value in one[kind]]} if kind in one else one for one in row["objects"]]
        return row | {"objects": objects}

    return planted


def _twice(row: Row) -> Row:
    if not row["summary"].startswith("{"):
        return row
    return row | {"summary": json.dumps(_doubled(json.loads(row["summary"])), ensure_ascii=False)}


def _doubled(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _doubled(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_doubled(inner) for inner in value]
    return 2 * value if isinstance(value, int) else value


PLANTED: dict[str, Callable[[Row], Row]] = {
    "": lambda row: row,
    "polygons": _halved("poly"),
    "lines": _halved("line"),
    "counts": _twice,
}
