"""What a reader should see first in a photo summary: breaches, negative words, required evidence, remarks.

For people's eyes only. Verdicts never depend on it: the guard that overrides a pass is ``selection.explicit_negative``.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from verdicts.config.sections import FailFirst
from verdicts.stage_b.negatives import is_negative, read_for

# Negative whatever the mission. 无需 (not needed), 无关 (irrelevant), 无法 (cannot tell) are no findings.
NEGATIVE_WORDS = (
    "不符合要求", "不符合", "不合格", "不合理", "不整齐", "散乱", "杂乱", "无保护措施", "无保护", "无套管保护",
    "无套管", "未按要求", "未安装", "未紧固",
    "没有", "缺少", "缺失", "错误", "松动", "脱落", "裸露", "破损", "损坏",
)  # fmt: skip
_REMARK = re.compile(r"(?:需要?(?:人工)?复核[,，、:：/]?\s*)?备注[:：].*|需要?(?:人工)?复核", re.DOTALL)
_TAIL = re.compile(r"[)）]*(?:\s*×\d+)?$")
_LINKS = re.compile(r"[/,、:：\s]")
_FORBIDDEN = re.compile(r"不通过[:：](.*)", re.DOTALL)
_REQUIRED = re.compile(r"须见且?符合要求[:：]([^；;。]*)")
_NEGATION = re.compile(r"(?:不|无|未|没|缺|散|错).*")


class Piece(NamedTuple):
    """A part of a summary.

    ``kind``: breach (an explicit negative of the mission's own objects), negative (a word), required (evidence that G0
    asks for), remark, or "".
    """

    kind: str
    text: str


class Marker:
    """Cuts summaries into pieces for one mission. ``g0``: its checklist; ``guard``: its explicit negatives."""

    def __init__(self, g0: str, guard: FailFirst):
        self.guard = guard
        self.required = [_LINKS.sub("", item) for item in _items(_REQUIRED, g0)]
        words = {*NEGATIVE_WORDS, *forbidden_words(g0)}
        self.words = re.compile(
            "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))
        )

    def pieces(self, summary: str) -> list[Piece]:
        """The summary cut up at its items, or at the entries of its JSON; the texts joined are the summary."""
        return [piece for piece in self._pieces(summary) if piece.text]

    def evidence(self, pieces: Iterable[Piece]) -> list[int]:
        """Which required items (their places in ``required``) these pieces show."""
        shown = [_LINKS.sub("", piece.text) for piece in pieces if piece.kind == "required"]
        return [place for place, item in enumerate(self.required) if any(item in text for text in shown)]

    def _pieces(self, summary: str) -> Iterator[Piece]:
        read = read_for(summary, self.guard)
        breaches: dict[tuple[int, int], bool] = {}
        for fact in read.facts:  # several of one item stand in one place
            place = fact.start, fact.start + len(fact.text)
            breaches[place] = breaches.get(place, False) or is_negative(fact, self.guard)
        at = 0
        for (start, end), breach in sorted(breaches.items()):
            yield Piece("", summary[at:start])
            yield from (self._fact if read.form == "json" else self._item)(summary[start:end], breach)
            at = end
        yield Piece("", summary[at:])

    def _item(self, item: str, breach: bool) -> Iterator[Piece]:
        ends = _TAIL.search(item)  # always found: it may be empty
        tail = ends.start() if ends else len(item)
        remark = _REMARK.search(item, 0, tail)
        end = remark.start() if remark else tail
        yield from self._fact(item[:end], breach)
        yield Piece("remark", item[end:tail])
        yield Piece("", item[tail:])

    def _fact(self, fact: str, breach: bool) -> Iterator[Piece]:
        if breach:
            yield Piece("breach", fact)
        elif not self.words.search(fact) and any(item in _LINKS.sub("", fact) for item in self.required):
            yield Piece("required", fact)
        else:
            yield from self._words(fact)

    def _words(self, text: str) -> Iterator[Piece]:
        at = 0
        for found in self.words.finditer(text):
            yield Piece("", text[at : found.start()])
            yield Piece("negative", found.group())
            at = found.end()
        yield Piece("", text[at:])


def forbidden_words(g0: str) -> list[str]:
    """What G0 forbids, without the object: ``…不通过：电线散乱、光纤无保护措施`` gives 散乱 and 无保护措施."""
    return [found.group() for item in _items(_FORBIDDEN, g0) if (found := _NEGATION.search(item))]


def _items(clause: re.Pattern[str], g0: str) -> list[str]:
    found = clause.search(g0)
    return (
        [item.strip() for item in re.split("[、；;]", re.sub("（.*?）", "", found.group(1))) if item.strip()]
        if found
        else []
    )
