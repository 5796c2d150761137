"""Scores of the two photo tasks: summaries against summaries, boxes against boxes.

A summary is ``segment×count，segment×count…``; its attributes are the multiset of segments with their counts spelt out
as pieces (``category``, each ``,``- or ``/``-separated attribute with its category). A dense answer is a JSON list of
``{"bbox_2d": [x1, y1, x2, y2], "label": "…"}`` in 0-1000. A malformed answer scores as nothing found. Imports the
standard library only.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

Box = tuple[float, float, float, float]
_COUNT = re.compile(r"^(.*?)\s*×\s*(\d+)$", re.DOTALL)
_NUMBER = r"\d{1,4}(?:\.\d+)?"
_BETWEEN = r"\s*[)）\]]*\s*[,，]\s*[(（\[]*\s*"  # numbers of a box: "1, 2", "(1,2),(3,4)"
_COORDINATES = re.compile(
    rf"bbox|\[\s*{_NUMBER}\s*(?:,\s*{_NUMBER}\s*){{1,3}}\]|(?<!\d){_NUMBER}(?:{_BETWEEN}{_NUMBER}){{3}}(?!\d)|<\|?(?:box|quad|point|object_ref)"
)


class DetectedObject(NamedTuple):
    """An object read from a dense answer."""

    box: Box
    label: str


class F1(NamedTuple):
    """Hits, how many were given, how many were wanted, and the F1 over them (1.0 where both are none)."""

    hits: int
    given: int
    wanted: int

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 1.0 if self.given + self.wanted == 0 else 2 * self.hits / (self.given + self.wanted)

    def __add__(self, other: object) -> "F1":
        if not isinstance(other, F1):
            return NotImplemented
        return F1(self.hits + other.hits, self.given + other.given, self.wanted + other.wanted)


def sum_f1(scores: Iterable[F1]) -> F1:
    """Micro-average: the sum of the parts."""
    out = F1(0, 0, 0)
    for score in scores:
        out = out + score
    return out


def has_coordinates(summary: str) -> bool:
    """Whether a summary holds what looks like a box: a summary states facts, never places."""
    return _COORDINATES.search(summary) is not None


def segments(summary: str) -> Counter[str]:
    """Segments of a summary with their counts; a segment without ``×n`` counts once."""
    counts: Counter[str] = Counter()
    for part in summary.strip().split("，"):
        found = _COUNT.match(part.strip())
        text, count = (found.group(1), int(found.group(2))) if found else (part.strip(), 1)
        if text:
            counts[text] += count
    return counts


def attributes(summary: str) -> Counter[tuple[str, str]]:
    """(category, attribute) pairs of a summary, one a segment's part and one for its count.

    ``BBU设备/华为,显示完整×2`` has three.
    """
    out: Counter[tuple[str, str]] = Counter()
    for text, count in segments(summary).items():
        category, _, rest = text.partition("/")
        out[category, f"×{count}"] += 1
        for piece in re.split("[,/]", rest):
            if piece:
                out[category, piece] += 1
    return out


def summary_matches(given: str, wanted: str) -> bool:
    """Whether two summaries state the same segments with the same counts, in whatever order."""
    return segments(given) == segments(wanted)


def attribute_f1(given: str, wanted: str) -> F1:
    """Overlap of the attributes of two summaries."""
    mine, truth = attributes(given), attributes(wanted)
    return F1(sum((mine & truth).values()), sum(mine.values()), sum(truth.values()))


def parse_dense(text: str) -> list[DetectedObject] | None:
    """Read a dense answer; None where it is no JSON list of boxes with x1 < x2 and y1 < y2 inside 0-1000."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # nests and integers beyond what Python reads too
        return None
    if not isinstance(value, list):
        return None
    out = []
    for item in value:
        if not isinstance(item, dict) or set(item) != {"bbox_2d", "label"} or not isinstance(item["label"], str):
            return None
        box = item["bbox_2d"]
        if (
            not isinstance(box, list)
            or len(box) != 4
            or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in box)
        ):
            return None
        x1, y1, x2, y2 = box
        if not (0 <= x1 < x2 <= 1000 and 0 <= y1 < y2 <= 1000):
            return None
        out.append(DetectedObject((x1, y1, x2, y2), item["label"]))
    return out


def render_dense(objects: Sequence[tuple[Sequence[int], str]]) -> str:
    """Write a dense answer from (box, label) pairs, without spaces."""
    return json.dumps(
        [{"bbox_2d": list(box), "label": label} for box, label in objects], ensure_ascii=False, separators=(",", ":")
    )


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes (x1, y1, x2, y2)."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    both = wide * high
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def dense_f1(given: Sequence[DetectedObject] | None, wanted: Sequence[DetectedObject], threshold: float = 0.5) -> F1:
    """Objects found: same label and IoU at or above ``threshold``.

    Matched greedily from the best overlap on, one to one.
    """
    given = given or []
    pairs = [(iou(g.box, w.box), i, j) for i, g in enumerate(given) for j, w in enumerate(wanted) if g.label == w.label]
    used_given: set[int] = set()
    used_wanted: set[int] = set()
    for overlap, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if overlap >= threshold and i not in used_given and j not in used_wanted:
            used_given.add(i)
            used_wanted.add(j)
    return F1(len(used_given), len(given), len(wanted))
