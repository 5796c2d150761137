"""How much the photos of a ticket show: a line of counts for a prompt that has a place for it."""

from collections import Counter, defaultdict
from collections.abc import Mapping

from verdicts.facts.summary import read_summary
from verdicts.facts.words import DISTANCE


def count_objects(summary: str) -> int:
    """How many objects a summary of either form speaks of; 站点距离 is none, 无关图片 shows none."""
    read = read_summary(summary)
    if read.form == "irrelevant":
        return 0
    # An entry of the JSON form counts its objects once for each attribute: the largest sum is how many there are.
    entries: dict[int, Counter[str]] = defaultdict(Counter)
    for fact in read.facts:
        if fact.category not in ("", DISTANCE):
            name = fact.attributes[0][0] if read.form == "json" and fact.attributes else ""
            entries[fact.start][name] += fact.count
    return sum(max(sums.values()) for sums in entries.values())


def render_stats(per_image: Mapping[str, str]) -> str:
    """``照片 2 张；对象数：image_1 4、image_2 0``."""
    counts = "、".join(f"{photo} {count_objects(summary)}" for photo, summary in per_image.items())
    return f"照片 {len(per_image)} 张；对象数：{counts}"
