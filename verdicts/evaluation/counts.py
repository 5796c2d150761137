"""What is counted beside a student's scores: answers that are malformed, cut off, in another form.

The gate's table and the report read this table, as they read METRICS.
"""

from collections.abc import Callable
from typing import NamedTuple

from verdicts.records.evaluation import AnswerNote, Evaluation


class SideCount(NamedTuple):
    """One count: ``of`` gives how many of how many, None where an older version counted none.

    ``page``: its name on pages, English and Chinese. ``always``: shown where it is 0 too. ``each``: what it is not a
    share of, but stands in, several in one.
    """

    title: str
    page: tuple[str, str]
    of: Callable[[Evaluation], tuple[int | None, int]]
    always: bool = False
    each: str = ""

    def is_shown(self, *sides: Evaluation) -> bool:
        """Whether it stands in a table of these evaluations."""
        return self.always or any(self.of(side)[0] for side in sides)

    def told(self, side: Evaluation) -> str:
        """``3 of 200 (1.5%)``; ``5 in 200 photos``."""
        k, n = self.of(side)
        if self.each:
            return f"{k} in {n} {self.each}"
        return "n/a" if k is None else f"{k} of {n}{f' ({k / n:.1%})' if k and n else ''}"


def _summaries_noted(note: AnswerNote) -> Callable[[Evaluation], tuple[int, int]]:
    return lambda side: (side.summary.notes.get(note, 0), side.summary.photos)


def _dense_noted(note: AnswerNote) -> Callable[[Evaluation], tuple[int, int]]:
    return lambda side: (side.dense.notes.get(note, 0), side.dense.photos)


COUNTS = (
    SideCount("failed tickets without a verdict", ("failed tickets without a verdict", "无判定的不通过工单"),
              lambda side: (side.chat.failed_without_verdict, side.tickets), always=True),
    SideCount("summaries with coordinates", ("summaries with coordinates", "含坐标的摘要"),
              lambda side: (side.summary.with_coordinates, side.summary.photos), always=True),
    SideCount("malformed dense answers", ("malformed dense captions", "不合规的密集描述"),
              lambda side: (side.dense.malformed, side.dense.photos), always=True),
    SideCount("malformed JSON summaries", ("malformed JSON summaries", "不合规的 JSON 摘要"),
              lambda side: (side.summary.json_malformed, side.summary.json_exact.n)),
    SideCount("Stage-B answers cut off", ("Stage B answers cut off", "被截断的判定"),
              lambda side: (side.chat.cut_off, side.tickets)),
    SideCount("summaries cut off", ("summaries cut off", "被截断的摘要"),
              lambda side: (side.summary.cut_off, side.summary.photos)),
    SideCount("dense answers cut off", ("dense captions cut off", "被截断的密集描述"),
              lambda side: (side.dense.cut_off, side.dense.photos)),
    SideCount("summaries in another form", ("summaries in another form", "形式不符的摘要"),
              _summaries_noted("other_form")),
    SideCount("summaries with another prefix line", ("summaries with another prefix line", "前缀行不符的摘要"),
              _summaries_noted("other_prefix")),
    SideCount("dense answers in another form", ("dense captions in another form", "形式不符的密集描述"),
              _dense_noted("other_form")),
    SideCount("dense answers with another prefix line",
              ("dense captions with another prefix line", "前缀行不符的密集描述"),
              _dense_noted("other_prefix")),
    SideCount("dense entries without words or place", ("dense entries without words or place", "缺描述或位置的条目"),
              _dense_noted("broken_entries"), each="photos"),
    SideCount("outlines that cross themselves", ("outlines that cross themselves", "自相交的多边形"),
              _dense_noted("mended_outlines"), each="photos"),
)  # fmt: skip
