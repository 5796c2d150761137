"""Dense answers: what stands where in a photo, in 0-1000 of its width and height.

Two forms are read. A list, ``[{"bbox_2d": [x1, y1, x2, y2], "label": "…"}]``, and one object a photo,
``{"object_1": {"desc": "…", "poly": [[x, y], …]}}``, each entry with one of ``bbox_2d``, ``poly``, ``line``. A prefix
line may stand before either. ``无关图片`` alone says that the photo shows nothing to describe. Imports the standard
library only.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeGuard

from verdicts.facts.prefix import split_prefix
from verdicts.facts.words import IRRELEVANT

Shape = Literal["bbox_2d", "poly", "line"]
Form = Literal["list", "objects", "irrelevant"]
Points = tuple[tuple[float, float], ...]
SHAPES: tuple[Shape, ...] = ("bbox_2d", "poly", "line")
FEWEST = {"poly": 3, "line": 2}  # points that make an outline or a way
_COUNTS = {"poly_points", "line_points"}  # how many points follow: said beside them, and not needed
_NAME = re.compile(r"object_\d+")


class DenseObject(NamedTuple):
    """One thing in a photo. ``points``: two corners of a box, the corners of an outline, or the way of a line."""

    desc: str
    kind: Shape
    points: Points


class DenseAnswer(NamedTuple):
    """A dense answer.

    ``broken``: entries that put no thing in a place: no ``desc``, two places, out of 0-1000, a name that stands twice.
    """

    form: Form
    objects: tuple[DenseObject, ...]
    broken: int = 0

    @property
    def given(self) -> int:
        """How many things it claims to see."""
        return len(self.objects) + self.broken


def read_dense_answer(text: str) -> DenseAnswer | None:
    """Read a dense answer; None where it is of neither form. In a list one bad entry spoils the whole."""
    payload = split_prefix(text)[1].strip()
    if payload == IRRELEVANT:
        return DenseAnswer("irrelevant", ())
    try:
        value = json.loads(payload, object_pairs_hook=list)
    except (ValueError, RecursionError):  # nests and integers beyond what Python reads too
        return None
    if payload.startswith("["):
        entries = [_listed(item) for item in value]
        return None if None in entries else DenseAnswer("list", tuple(one for one in entries if one))
    if not payload.startswith("{") or not all(_NAME.fullmatch(name) for name, _ in value):
        return None
    named = dict(reversed(value))  # of a name that stands twice the first counts
    read = [one for item in reversed(named.values()) if (one := _entry(item))]
    return DenseAnswer("objects", tuple(read), len(value) - len(read))


def read_objects(text: str) -> list[DenseObject] | None:
    """The objects of a dense answer of either form; None where it is of neither or any entry is broken."""
    answer = read_dense_answer(text)
    return None if answer is None or answer.broken else list(answer.objects)


def render_objects(objects: Sequence[DenseObject]) -> str:
    """One line ``{"object_1": {"desc": …, "poly": [[x, y], …]}, …}``; before a line stands how many points it has."""
    return json.dumps(
        {f"object_{at}": _rendered(thing) for at, thing in enumerate(objects, start=1)}, ensure_ascii=False
    )


def _rendered(thing: DenseObject) -> dict[str, Any]:
    points: list[Any] = [list(point) for point in thing.points]
    if thing.kind == "bbox_2d":
        points = [value for point in points for value in point]
    counted = {"line_points": len(points)} if thing.kind == "line" else {}
    return {"desc": thing.desc, **counted, thing.kind: points}


def _listed(item: Any) -> DenseObject | None:
    """An entry of a list: a box and a label, nothing else."""
    held = _held(item)
    if held is None or held.keys() != {"bbox_2d", "label"} or not isinstance(held["label"], str):
        return None
    points = read_points("bbox_2d", held["bbox_2d"])
    return DenseObject(held["label"], "bbox_2d", points) if points else None


def _entry(item: Any) -> DenseObject | None:
    """An entry ``object_n``: words, one place, and nothing else but the number of its points."""
    held = _held(item)
    if held is None:
        return None
    desc, places = held.pop("desc", None), [kind for kind in SHAPES if kind in held]
    if not isinstance(desc, str) or not desc.strip() or len(places) != 1 or held.keys() - {places[0]} - _COUNTS:
        return None
    points = read_points(places[0], held[places[0]])
    return DenseObject(desc.strip(), places[0], points) if points else None


def _held(item: Any) -> dict[str, Any] | None:
    """What an object's pairs hold; None where it is no object or a name stands twice."""
    if not isinstance(item, list) or not all(isinstance(pair, tuple) for pair in item):
        return None
    held = dict(item)
    return held if len(held) == len(item) else None


def read_points(kind: Shape, value: Any) -> Points | None:
    """The points of a place, given flat or in pairs; None where they are no box, outline or way inside 0-1000.

    A box needs x1 < x2 and y1 < y2, an outline three points that do not lie on one straight line, a way two different
    points.
    """
    if not isinstance(value, list):
        return None
    if value and all(isinstance(pair, list) and len(pair) == 2 for pair in value) and kind != "bbox_2d":
        value = [number for pair in value for number in pair]
    if len(value) % 2 or not all(_inside(number) for number in value):
        return None
    points = tuple(zip(value[::2], value[1::2], strict=True))
    if kind == "bbox_2d":
        whole = len(points) == 2 and points[0][0] < points[1][0] and points[0][1] < points[1][1]
    else:
        whole = len(points) >= FEWEST[kind] and (_spread(points) if kind == "poly" else len(set(points)) > 1)
    return points if whole else None


def _inside(number: Any) -> TypeGuard[float]:
    return isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number <= 1000


def _spread(points: Points) -> bool:
    """Whether points do not all lie on one straight line."""
    (x, y), others = points[0], [point for point in points if point != points[0]]
    if not others:
        return False
    along, up = others[0][0] - x, others[0][1] - y
    return any(along * (b - y) != up * (a - x) for a, b in others)
