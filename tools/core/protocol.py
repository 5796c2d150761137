"""The two-line protocol of Stage B: reading, writing and cleaning its text.

A model answers in exactly two lines, ``Verdict: 通过|不通过`` and ``Reason: …``. The words 通过 and
不通过 live in model text alone; records say ``pass`` and ``fail``. Source: DESIGN.md §4.
"""

import re
from typing import NamedTuple

WORD = {"pass": "通过", "fail": "不通过"}
VERDICT_OF = {word: verdict for verdict, word in WORD.items()}
HEADER = "Verdict: "
REASON_HEADER = "Reason: "

# A third state in an output makes it malformed: the protocol knows two verdicts only.
THIRD_STATE = ("需复核", "需要复核", "需人工复核", "待复核", "need-review", "need review", "need_review", "待定", "证据不足", "通过但需复核", "无法判定")

# Markers that inputs may carry. The marker goes, the remark stays.
_MARKER = re.compile(r"(?:通过但)?(?:需要?(?:人工)?|待)复核(?:[,，、:：/]?\s*(备注)[:：,，]*)*|need[-_ ]review[:：]?", re.IGNORECASE)
_RULE_KEY = re.compile(r"(?<![A-Za-z0-9])G(\d+)(?![0-9])")
_THINK = re.compile(r"^\s*<think>.*?</think>\s*", re.DOTALL)


class Parsed(NamedTuple):
    """One answer read. ``why`` is None exactly when both other fields are set."""

    verdict: str | None
    reason: str | None
    why: str | None


def third_state_word(text: str) -> str | None:
    """Return the first third-state word in ``text``, or None."""
    lowered = text.lower()
    return next((word for word in THIRD_STATE if word in lowered), None)


def strip_thinking(text: str) -> str:
    """Drop a leading ``<think>…</think>`` block and the white space after it."""
    return _THINK.sub("", text, count=1)


def parse(text: str) -> Parsed:
    """Read one model answer.

    Returns a verdict and reason, or the reason word why the answer is malformed: ``empty``, ``no_verdict``,
    ``no_reason``, ``extra_lines``, ``third_state``. Trailing line ends are forgiven, nothing else is.
    """
    lines = text.rstrip("\r\n").split("\n")
    if not text.strip():
        return Parsed(None, None, "empty")
    word = lines[0].removeprefix(HEADER) if lines[0].startswith(HEADER) else None
    if third_state_word(text):
        return Parsed(None, None, "third_state")
    if word not in VERDICT_OF:
        return Parsed(None, None, "no_verdict")
    if len(lines) < 2 or not lines[1].startswith(REASON_HEADER) or not lines[1].removeprefix(REASON_HEADER).strip():
        return Parsed(None, None, "no_reason")
    if len(lines) > 2 or "\r" in text.rstrip("\r\n"):
        return Parsed(None, None, "extra_lines")
    return Parsed(VERDICT_OF[word], lines[1].removeprefix(REASON_HEADER).strip(), None)


def render(verdict: str, reason: str) -> str:
    """Write the two lines for a verdict (``pass`` or ``fail``) and a one-line reason."""
    return f"{HEADER}{WORD[verdict]}\n{REASON_HEADER}{reason}"


def clean_summary(text: str) -> str:
    """Return a photo summary fit for a prompt: one line, third-state markers gone, their remarks kept.

    ``BBU设备/需复核备注:无法判断品牌×1`` becomes ``BBU设备/备注:无法判断品牌×1``.
    """
    text = " ".join(text.split())
    return _MARKER.sub(lambda found: "备注:" if found.group(1) else "", text)


def cited_rules(reason: str) -> list[str]:
    """Return the rule keys a reason cites (``G0``, ``G3`` …), each once, in order of first mention."""
    return list(dict.fromkeys(f"G{number}" for number in _RULE_KEY.findall(reason)))
