"""Places of objects in pixels: checked, brought into their form, ordered, and turned into 0-1000.

The form: a box has its upper left corner first. An outline runs clockwise as people see it, starts at its topmost (of
several, leftmost) vertex, and does not repeat it at the end. A line is a path that may only be reversed as a whole; it
starts at the end with the smaller (x, y).
"""

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from verdicts.facts.dense import FEWEST, SHAPES, DenseObject, Shape, read_points
from verdicts.importing.findings import Mended, Unusable, excerpt, said_in
from verdicts.student.object_scores import without_area

Pixels = tuple[tuple[float, float], ...]
Order = Literal["center_tlbr", "reference_tlbr"]
POINT_COUNTS: dict[str, Shape] = {"poly_points": "poly", "line_points": "line"}


class PixelPlace(NamedTuple):
    """Where an object is, in pixels: two corners of a box, the vertices of an outline, the points of a line."""

    kind: Shape
    points: Pixels


def read_place(
    thing: Mapping[str, Any], size: tuple[int, int], edge_px: float, field: str, mended: Mended
) -> PixelPlace:
    """The place of an object of a row in its form.

    ``size``: width and height of the photo in pixels; ``edge_px``: how far outside it a point may be.

    Raises Unusable for what is no place inside the photo.
    """
    kinds = [kind for kind in SHAPES if said_in(thing, kind) is not None]
    if len(kinds) != 1:
        reason, what = (
            ("two_geometries", " and ".join(kinds)) if kinds else ("no_geometry", f"none of {', '.join(SHAPES)}")
        )
        raise Unusable(reason, field, what)  # type: ignore[arg-type]  # one of two words
    kind = kinds[0]
    points = _points(thing[kind], kind, f"{field}.{kind}", mended)
    for name, counted in POINT_COUNTS.items():
        said = thing.get(name)
        if said is not None and (counted != kind or said != len(points)):
            raise Unusable("points_mismatch", f"{field}.{name}", f"{excerpt(said)}, beside a {kind} of {len(points)}")
    points = _inside(points, size, edge_px, f"{field}.{kind}", mended)
    brought = {"bbox_2d": _box, "poly": _outline, "line": _path}[kind]
    return PixelPlace(kind, brought(points, f"{field}.{kind}", mended))


def _inside(points: Pixels, size: tuple[int, int], edge_px: float, field: str, mended: Mended) -> Pixels:
    """The points, those at most ``edge_px`` outside the photo moved to its edge."""
    moved = tuple((min(max(x, 0), size[0]), min(max(y, 0), size[1])) for x, y in points)
    for (x, y), (to_x, to_y) in zip(points, moved, strict=True):
        if max(abs(x - to_x), abs(y - to_y)) > edge_px:
            raise Unusable("out_of_bounds", field, f"({x:g}, {y:g}) in a photo of {size[0]} x {size[1]}")
    if moved != points:
        mended.note("moved_to_edge", field, excerpt(points))
    return moved


def _points(value: Any, kind: Shape, field: str, mended: Mended) -> Pixels:
    if not isinstance(value, list):
        raise Unusable("bad_field", field, f"no list ({excerpt(value)})")
    if kind != "bbox_2d" and all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        mended.note("pairs_flattened", field, f"{len(value)} pairs")
        value = [number for pair in value for number in pair]
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in value):
        raise Unusable("bad_field", field, f"no list of numbers ({excerpt(value)})")
    if kind == "bbox_2d" and len(value) != 4:
        raise Unusable("odd_length", field, f"{len(value)} numbers; a box has 4")
    if len(value) % 2:
        raise Unusable("odd_length", field, f"{len(value)} numbers; each point has 2")
    return tuple(zip(value[::2], value[1::2], strict=True))


def _box(points: Pixels, field: str, mended: Mended) -> Pixels:
    (x1, y1), (x2, y2) = points
    if x1 == x2 or y1 == y2:
        raise Unusable("no_area", field, excerpt([x1, y1, x2, y2]))
    if x1 > x2 or y1 > y2:  # it may be a corner with sides, too
        raise Unusable("corners_swapped", field, excerpt([x1, y1, x2, y2]))
    return points


def _outline(points: Pixels, field: str, mended: Mended) -> Pixels:
    if len(points) > 1 and points[0] == points[-1]:
        points = points[:-1]
        mended.note("closing_point", field, excerpt(list(points[0])))
    if len(points) < FEWEST["poly"]:
        raise Unusable("too_few_points", field, f"{len(points)}, at least {FEWEST['poly']}")
    if _on_a_line(points):
        raise Unusable("no_area", field, excerpt(points))
    if _crosses_itself(points):
        points = _round_their_centre(points)
        if _crosses_itself(points):
            raise Unusable("crossing", field, "the outline crosses itself in any order")
        mended.note("vertices_resorted", field, "the outline crossed itself")
    turn = _twice_the_area(points)
    if turn < 0:
        points = points[::-1]
        mended.note("clockwise", field, "ran anticlockwise")
    first = min(range(len(points)), key=lambda at: (points[at][1], points[at][0]))
    if first:
        if turn > 0:  # turned round, an outline starts anywhere
            mended.note("start_vertex", field, f"vertex {first + 1} is the topmost")
        points = points[first:] + points[:first]
    return points


def _twice_the_area(points: Pixels) -> float:
    """Above 0 where an outline runs clockwise on a screen, whose y grows downwards (the shoelace formula)."""
    return sum(x * b - a * y for (x, y), (a, b) in zip(points, points[1:] + points[:1], strict=True))


def _on_a_line(points: Pixels) -> bool:
    from shapely import MultiPoint

    return bool(MultiPoint(points).convex_hull.area == 0)


def _crosses_itself(points: Pixels) -> bool:
    from shapely import Polygon

    return not bool(Polygon(points).is_valid)


def _round_their_centre(points: Pixels) -> Pixels:
    """The vertices clockwise round their mean."""
    x, y = (math.fsum(values) / len(points) for values in zip(*points, strict=True))
    return tuple(sorted(points, key=lambda point: math.atan2(point[1] - y, point[0] - x)))


def _path(points: Pixels, field: str, mended: Mended) -> Pixels:
    if len(points) < FEWEST["line"]:
        raise Unusable("too_few_points", field, f"{len(points)}, at least {FEWEST['line']}")
    if len(set(points)) < 2:
        raise Unusable("no_area", field, "all its points are one")
    if points[-1] < points[0]:
        mended.note("line_reversed", field, f"started at {excerpt(list(points[0]))}")
        return points[::-1]
    return points


def place_key(place: PixelPlace, order: Order) -> tuple[float, float]:
    """What objects are sorted by, top to bottom, then left to right.

    ``center_tlbr``: the centre of the box round it. ``reference_tlbr``: a box's upper left corner, an outline's first
    vertex, a line's leftmost point.
    """
    xs, ys = zip(*place.points, strict=True)
    if order == "center_tlbr":
        return min(ys) + max(ys), min(xs) + max(xs)
    x, y = min(place.points) if place.kind == "line" else place.points[0]
    return y, x


def in_thousandths(desc: str, place: PixelPlace, size: tuple[int, int], field: str) -> DenseObject:
    """An object with its place in 0-1000 of the photo's sides, rounded.

    Raises Unusable for one so small that nothing of it is left.
    """
    wide, high = size
    points = tuple((round(x / wide * 1000), round(y / high * 1000)) for x, y in place.points)
    thing = DenseObject(desc, place.kind, points)
    if read_points(place.kind, [number for point in points for number in point]) is None or without_area([thing]):
        raise Unusable("too_small", f"{field}.{place.kind}", f"nothing is left of it in 0-1000: {excerpt(points)}")
    return thing
