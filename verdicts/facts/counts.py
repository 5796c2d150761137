"""How much the photos of a ticket show: a line of counts for a prompt that has a place for it."""

from collections import defaultdict
from collections.abc import Mapping

from verdicts.facts.json_summary import objects_among
from verdicts.facts.summary import read_summary
from verdicts.facts.words import DISTANCE


def count_objects(summary: str) -> int:
    """How many objects a summary of either form speaks of; 站点距离 is none, 无关图片 shows none."""
    read = read_summary(summary)
    if read.form == "irrelevant":
        return 0
    entries: dict[int, list[tuple[str, str, int]]] = defaultdict(list)
    for fact in read.facts:
        if fact.category not in ("", DISTANCE):
            name, value = fact.attributes[0] if read.form == "json" and fact.attributes else ("", "")
            entries[fact.start].append((name, value, fact.count))
    return sum(map(objects_among, entries.values()))


def render_stats(per_image: Mapping[str, str]) -> str:
    """``照片 2 张；对象数：image_1 4、image_2 0``."""
    counts = "、".join(f"{photo} {count_objects(summary)}" for photo, summary in per_image.items())
    return f"照片 {len(per_image)} 张；对象数：{counts}"
