"""Scores of the two photo tasks in the plain forms: text summaries, and lists of boxes.

A summary is ``segment×count，segment×count…``; its attributes are the multiset of segments with their counts spelt out
as pieces (``category``, each ``,``- or ``/``-separated attribute with its category). A dense answer is a JSON list of
``{"bbox_2d": [x1, y1, x2, y2], "label": "…"}`` in 0-1000. A malformed answer scores as nothing found. The other forms:
json_scores.py, object_scores.py. Imports the standard library only.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from verdicts.facts.dense import read_dense_answer

Box = tuple[float, float, float, float]
_COUNT = re.compile(r"^(.*?)\s*×\s*(\d+)$", re.DOTALL)


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
    """Read a list of boxes; None where the answer is none with x1 < x2 and y1 < y2 inside 0-1000.

    无关图片 is a list of none.
    """
    answer = read_dense_answer(text)
    if answer is None or answer.form == "objects":
        return None
    return [DetectedObject((*thing.points[0], *thing.points[1]), thing.desc) for thing in answer.objects]


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
    overlaps = {
        (i, j): overlap
        for i, g in enumerate(given)
        for j, w in enumerate(wanted)
        if g.label == w.label and (overlap := iou(g.box, w.box)) >= threshold
    }
    return F1(len(list(greedy(overlaps))), len(given), len(wanted))


def greedy(closeness: Mapping[tuple[int, int], float]) -> Iterator[tuple[int, int]]:
    """Pairs of given and wanted, one to one, the closest first; of equals the earlier."""
    used_given: set[int] = set()
    used_wanted: set[int] = set()
    for i, j in sorted(closeness, key=lambda pair: (-closeness[pair], *pair)):
        if i not in used_given and j not in used_wanted:
            used_given.add(i)
            used_wanted.add(j)
            yield i, j
