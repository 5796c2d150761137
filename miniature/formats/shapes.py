"""What a drawn photo shows, as such teams annotate it: a description and one of box, outline or path, in pixels.

A device, a shield and most labels have an outline (``poly``), a screw and a plug a box (``bbox_2d``), a fibre and a
wire a path (``line``). All come from the drawing itself (miniature/drawing), tilt and all.
"""

from collections.abc import Iterable
from itertools import pairwise
from math import hypot
from random import Random
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from miniature.drawing.photos import Drawn

Kind = Literal["bbox_2d", "poly", "line"]
Point = tuple[float, float]
_OUTLINED, _PATHS = {"device", "shield", "label"}, {"fibre", "wires"}
_PATH_POINTS, _LOOP_POINTS = 5, 9
_BOXED_SHARE = 0.15  # of things that have an outline: people draw a box now and then


class Shape(NamedTuple):
    """An annotated object: its v1 words, which geometry it has, and that geometry's flat list of pixels."""

    v1: str
    kind: Kind
    pixels: tuple[int, ...]

    def scaled(self, times: int) -> "Shape":
        """The same in a photo that is ``times`` as large."""
        return self._replace(pixels=tuple(times * value for value in self.pixels))


def shapes_of(drawn: Iterable["Drawn"], rng: Random) -> list[Shape]:
    """The annotation of a drawn cabinet photo."""
    out = []
    for one in drawn:
        words = one.thing.segment
        if one.path and one.thing.painter in _PATHS:
            out.append(line(words, one.path, _LOOP_POINTS if "tight" in one.thing.look else _PATH_POINTS))
        elif one.thing.painter in _OUTLINED and rng.random() >= _BOXED_SHARE:
            out.append(poly(words, one.corners))
        else:
            out.append(box(words, one.box))
    return out


def box(words: str, extent: tuple[float, float, float, float]) -> Shape:
    """An object with a box (x1, y1, x2, y2)."""
    return Shape(words, "bbox_2d", tuple(map(round, extent)))


def poly(words: str, corners: Iterable[Point]) -> Shape:
    """An object with an outline: clockwise as it is given, the topmost and then leftmost corner first."""
    points = [(round(x), round(y)) for x, y in corners]
    first = min(range(len(points)), key=lambda index: (points[index][1], points[index][0]))
    return Shape(words, "poly", _flat(points[first:] + points[:first]))


def line(words: str, path: Iterable[Point], points: int = _PATH_POINTS) -> Shape:
    """An object with a path of ``points`` points, evenly spaced along it, from the end with the smaller (x, y) on."""
    even = [(round(x), round(y)) for x, y in evenly(list(path), points)]
    return Shape(words, "line", _flat(even if even[0] <= even[-1] else even[::-1]))


def evenly(path: list[Point], points: int) -> list[Point]:
    """``points`` points of a path at equal distances along it, both ends among them."""
    lengths = [0.0]
    for (x1, y1), (x2, y2) in pairwise(path):
        lengths.append(lengths[-1] + hypot(x2 - x1, y2 - y1))
    out, at = [], 0
    for step in range(points):
        wanted = lengths[-1] * step / (points - 1)
        while at < len(path) - 2 and lengths[at + 1] < wanted:
            at += 1
        span = lengths[at + 1] - lengths[at]
        share = (wanted - lengths[at]) / span if span else 0.0
        (x1, y1), (x2, y2) = path[at], path[at + 1]
        out.append((x1 + share * (x2 - x1), y1 + share * (y2 - y1)))
    return out


def _flat(points: Iterable[tuple[int, int]]) -> tuple[int, ...]:
    return tuple(value for point in points for value in point)
