"""Install points of an RRU ticket: photos that show the same 站点距离 show the same point.

A prompt of Stage B may hold the table that ``render_points`` writes, one line a point (docs/guard.md#install-points).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from verdicts.facts.fact import Fact
from verdicts.facts.summary import read_summary
from verdicts.facts.words import DISTANCE, LABEL, TEXT, same

LABELS_SHOWN = 3  # label texts of a point, at most
_DISTANCE = re.compile("0*([0-9]{1,9})")


class PointQuestion(Protocol):
    """What a point is asked for (a section of the configuration is one): whether ``objects`` are seen, and how many of
    them are said to be one of ``good`` or ``bad``. ``beside``: a label counts where its group holds one of these.
    """

    @property
    def what(self) -> str:
        """Its name in the table."""

    @property
    def objects(self) -> Sequence[str]:
        """Names of objects."""

    @property
    def good(self) -> Sequence[str]:
        """Words for what it should be."""

    @property
    def bad(self) -> Sequence[str]:
        """Words against it."""

    @property
    def beside(self) -> Sequence[str]:
        """Objects that a label belongs to, by its group."""


@dataclass
class InstallPoint:
    """The photos of one point and what they say. ``distances``: none or several where nobody can tell the point."""

    distances: tuple[str, ...]
    photos: list[str] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)


@dataclass(frozen=True)
class InstallPoints:
    """A ticket's points in the order of its photos, then photos of no one point, and photos that are irrelevant."""

    points: list[InstallPoint]
    apart: list[InstallPoint]
    irrelevant: list[str]


def read_install_points(per_image: Mapping[str, str]) -> InstallPoints:
    """Merge the photos of a ticket by their 站点距离, in either form of summary."""
    found: dict[tuple[str, ...], InstallPoint] = {}
    irrelevant = []
    for photo, summary in per_image.items():
        read = read_summary(summary)
        if read.form == "irrelevant":
            irrelevant.append(photo)
            continue
        distances = tuple(dict.fromkeys(_distances(read.facts)))
        point = found.setdefault(distances, InstallPoint(distances))
        point.photos.append(photo)
        # a group is one of its photo: 组1 of the next photo is another
        point.facts += [replace(fact, group=f"{photo}:{fact.group}" if fact.group else "") for fact in read.facts]
    one = [point for point in found.values() if len(point.distances) == 1]
    return InstallPoints(one, [point for point in found.values() if len(point.distances) != 1], irrelevant)


def render_points(per_image: Mapping[str, str], asked: Sequence[PointQuestion]) -> str:
    """The table of a ticket's points, one line a point; "" where nothing is asked for or no photo is relevant.

    ``站点126（image_1、image_3）：RRU设备 1；紧固件 合格2、不合格1``
    """
    if not asked:
        return ""
    read = read_install_points(per_image)
    lines = [
        f"{_title(point)}（{'、'.join(point.photos)}）：{'；'.join(_answer(one, point.facts) for one in asked)}"
        for point in [*read.points, *read.apart]
    ]
    return "\n".join([*lines, f"无关图片：{'、'.join(read.irrelevant)}"] if lines and read.irrelevant else lines)


def without_distances(summary: str) -> str:
    """A summary without its 站点距离 entries; as it is where it would say nothing then."""
    read = read_summary(summary)
    if all(fact.category == DISTANCE for fact in read.facts):
        return summary
    mark = "," if read.form == "json" else "[，；;\\n]"
    for start, end in sorted({(f.start, f.start + len(f.text)) for f in read.facts if f.category == DISTANCE})[::-1]:
        if behind := re.match(rf"\s*{mark}\s*", summary[end:]):
            summary = summary[:start] + summary[end + behind.end() :]
        else:
            summary = re.sub(rf"\s*{mark}\s*$", "", summary[:start]) + summary[end:]
    return summary


def _distances(facts: Iterable[Fact]) -> list[str]:
    values = [value for fact in facts if fact.category == DISTANCE for _, value in fact.attributes]
    return [found[1] for value in values if (found := _DISTANCE.fullmatch(value))]


def _title(point: InstallPoint) -> str:
    if not point.distances:
        return "未写站点距离"
    return "站点" + point.distances[0] if len(point.distances) == 1 else f"站点不明（{'、'.join(point.distances)}）"


def _answer(one: PointQuestion, facts: Sequence[Fact]) -> str:
    seen = [fact for fact in facts if not set(one.objects).isdisjoint(fact.objects)]
    if not seen:
        return f"{one.what} 未见"
    said = _labels(one, facts, seen) if LABEL in one.objects else _counted(one, seen)
    return f"{one.what} {'、'.join(said) or '未写明'}"


def _counted(one: PointQuestion, seen: Sequence[Fact]) -> list[str]:
    """How many are as they should be and how many are not; 有 where nothing is asked of them."""
    if not one.good and not one.bad:
        return ["有"]
    counts = {"good": 0, "bad": 0}
    for fact in seen:
        values = [value for _, value in fact.attributes]
        if _any_of(one.bad, values):  # first: 不合格 holds 合格
            counts["bad"] += fact.count
        elif _any_of(one.good, values):
            counts["good"] += fact.count
    return [f"{words[0]}{n}" for words, n in ((one.good, counts["good"]), (one.bad, counts["bad"])) if words and n]


def _labels(one: PointQuestion, facts: Sequence[Fact], seen: Sequence[Fact]) -> list[str]:
    """Texts of labels, and how many cannot be read. A label in a group counts where the group holds what is meant."""
    meant = {fact.group for fact in facts if fact.group and not set(one.beside).isdisjoint(fact.objects)}
    own = [fact for fact in seen if not one.beside or not fact.group or fact.group in meant]
    # on one line: a line end in a text would forge a line of the prompt
    read = (" ".join(value.split()) for fact in own for name, value in fact.attributes if name == TEXT)
    texts = list(dict.fromkeys(read))
    if not own:
        return ["未见"]
    shown = texts[:LABELS_SHOWN] + ([f"另{len(texts) - LABELS_SHOWN}种"] if len(texts) > LABELS_SHOWN else [])
    unread = sum(
        fact.count for fact in own if _any_of(["无法识别"], [value for name, value in fact.attributes if name != TEXT])
    )
    return shown + ([f"无法识别{unread}"] if unread else [])


def _any_of(words: Sequence[str], values: Sequence[str]) -> bool:
    return any(form in value for word in words for form in same(word) for value in values)
