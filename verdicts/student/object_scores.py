"""Scores of dense answers with boxes, outlines and lines: what is where, and what is said of it, apart.

An object is found where one of the same category lies in the same place, one to one, the best place first. Boxes and
outlines are in the same place at an IoU of ``IOU``, a box counting as its outline. Lines are at a distance of at most
``LINE_DISTANCE``. Attributes are counted over all wanted objects: of one that is not found, as many as it has count as
said wrongly. So finding more objects cannot lower their score. shapely is imported inside.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from verdicts.facts.dense import DenseObject, Shape
from verdicts.facts.text_summary import read_text_facts
from verdicts.facts.words import REMARK
from verdicts.student.photo_scores import F1, greedy, sum_f1

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

IOU = 0.5
LINE_DISTANCE = 25.0  # in thousandths of the photo's sides
LINE_SAMPLES = 101  # points on a line, its ends among them
SHAPE_NAME: dict[Shape, str] = {"bbox_2d": "boxes", "poly": "polygons", "line": "lines"}
_NEXT = re.compile(r",(?=[^,=]+=)")  # a comma inside a value names nothing


class Described(NamedTuple):
    """The words of an object: its category, and (name, value) of each attribute, the name "" in the text form."""

    category: str
    attributes: Counter[tuple[str, str]]


class ObjectScores(NamedTuple):
    """``parts``: ``boxes``, ``polygons``, ``lines`` and ``attributes``, those that there are. ``mended``: outlines that
    cross themselves, on either side.
    """

    parts: dict[str, F1]
    mended: int


def described(desc: str) -> Described:
    """What an object's words say: ``类型/属性,属性`` or ``类别=…,key=value|value``. Remarks are left out."""
    if "=" in desc.partition(",")[0]:
        named = [pair.partition("=")[::2] for pair in _NEXT.split(desc)]
        category = next((value for name, value in named if name == "类别"), "")
        told = [(name, one) for name, value in named if name not in ("类别", REMARK) for one in value.split("|")]
        return Described(category or desc, Counter(told))
    facts = read_text_facts(desc)
    category = facts[0].category if facts else ""
    told = [pair for fact in facts for pair in fact.attributes]
    groups = [("组", one) for one in {fact.group for fact in facts if fact.group}]
    return Described(category or desc, Counter([*told, *groups]))


def score_objects(given: Sequence[DenseObject], wanted: Sequence[DenseObject]) -> ObjectScores:
    """Compare the objects of one photo. A found object counts for the shape that is wanted, another for its own."""
    places = [_Place(thing) for thing in (*given, *wanted)]
    mine, truth = places[: len(given)], places[len(given) :]
    closeness = {
        (i, j): near
        for i, one in enumerate(mine)
        for j, other in enumerate(truth)
        if one.words.category == other.words.category and (near := one.closeness(other)) is not None
    }
    found = dict(greedy(closeness))
    hits, asked = Counter(truth[j].part for j in found.values()), Counter(place.part for place in truth)
    seen = Counter(truth[found[i]].part if i in found else place.part for i, place in enumerate(mine))
    parts = {part: F1(hits[part], seen[part], asked[part]) for part in SHAPE_NAME.values() if seen[part] + asked[part]}
    by_wanted = {j: mine[i].words.attributes for i, j in found.items()}
    attributes = sum_f1(_attributes(by_wanted.get(j), place.words.attributes) for j, place in enumerate(truth))
    if attributes.given + attributes.wanted:
        parts["attributes"] = attributes
    return ObjectScores(parts, sum(place.mended for place in places))


def _attributes(given: Counter[tuple[str, str]] | None, wanted: Counter[tuple[str, str]]) -> F1:
    """What is said of one wanted object; None where it is not found: as many words as it has, and none right."""
    if given is None:
        return F1(0, wanted.total(), wanted.total())
    return F1((given & wanted).total(), given.total(), wanted.total())


class _Place:
    """An object with its geometry."""

    def __init__(self, thing: DenseObject) -> None:
        self.words, self.part = described(thing.desc), SHAPE_NAME[thing.kind]
        self.is_line = thing.kind == "line"
        self.shape, self.mended = outline(thing) if not self.is_line else (way(thing), False)

    def closeness(self, other: "_Place") -> float | None:
        """From 0 to 1, None where the two are not in the same place."""
        if self.is_line != other.is_line:
            return None
        if self.is_line:
            apart = line_distance(self.shape, other.shape)
            return 1 - apart / (2 * LINE_DISTANCE) if apart <= LINE_DISTANCE else None
        shared = outline_iou(self.shape, other.shape)
        return shared if shared >= IOU else None


def outline(thing: DenseObject) -> "tuple[BaseGeometry, bool]":
    """The area of a box or outline, and whether it had to be mended because its outline crosses itself.

    Mended by ``make_valid`` with the method "structure" (GEOS, after OGC Simple Feature Access 1.2.1, 6.1.11.1): what
    lies inside any loop belongs to it.
    """
    from shapely import Polygon, box, make_valid

    if thing.kind == "bbox_2d":
        (x1, y1), (x2, y2) = thing.points
        return box(x1, y1, x2, y2), False
    area = Polygon(thing.points)
    return (area, False) if area.is_valid else (make_valid(area, method="structure", keep_collapsed=False), True)


def way(thing: DenseObject) -> "BaseGeometry":
    """The path of a line."""
    from shapely import LineString

    return LineString(thing.points)


def outline_iou(a: "BaseGeometry", b: "BaseGeometry") -> float:
    """Intersection over union of two areas, 0 where both are empty."""
    both: float = a.intersection(b).area
    all_of_it: float = a.area + b.area - both
    return both / all_of_it if all_of_it > 0 else 0.0


def line_distance(a: "BaseGeometry", b: "BaseGeometry") -> float:
    """How far two lines lie apart, in the units of their points, whichever way they run.

    ``max(mean over a of d(p, b), mean over b of d(q, a))`` with d the distance to the nearest point of the other line:
    the modified Hausdorff distance (Dubuisson and Jain, ICPR 1994), means over LINE_SAMPLES points at equal steps.
    """
    import numpy as np
    import shapely

    steps = np.linspace(0, 1, LINE_SAMPLES)
    means = [
        shapely.distance(shapely.line_interpolate_point(one, steps, normalized=True), other).mean()
        for one, other in ((a, b), (b, a))
    ]
    return float(max(means))


def without_area(objects: Sequence[DenseObject]) -> list[str]:
    """The words of outlines that enclose nothing, which no answer can meet."""
    return [thing.desc for thing in objects if thing.kind == "poly" and not outline(thing)[0].area]
