"""A verdict by P(fail) instead of by the words of an answer, and the operating point that says from which P(fail) on.

A ticket fails where P(fail) is at least the threshold. Both are compared as they are written, to six places.
"""

from math import exp
from pathlib import Path
from typing import NamedTuple

from verdicts.base.digests import digest_of_text
from verdicts.base.errors import mistake
from verdicts.base.jsonl import read_json
from verdicts.records.evaluation import OperatingPoint
from verdicts.records.tickets import Verdict
from verdicts.stage_b.protocol import WORD


class PointHolder(NamedTuple):
    """Who judges: what an operating point holds for. ``guidance``: the rules as the student is told them."""

    mission: str
    engine: str
    sha256: str
    guidance: str


def p_fail(logprob: tuple[float, float] | None) -> float | None:
    """P(fail) among the two verdicts, e^fail / (e^pass + e^fail), to six places: as it is written it is compared."""
    if logprob is None:
        return None
    odds = logprob[0] - logprob[1]
    return round(1 / (1 + exp(odds)), 6) if odds < 700 else 0.0  # beyond, e^odds is no float


def by_chance_of_fail(threshold: float, chance: float) -> Verdict:
    """Fail from the threshold on."""
    return "fail" if chance >= threshold else "pass"


def turned_reason(said: Verdict, reason: str, chance: float, threshold: float) -> str:
    """The reason of a verdict that the threshold turned, with the model's own."""
    stands = "达到" if chance >= threshold else "低于"
    return f"不通过概率{chance:.4f}{stands}阈值{threshold:g}，原判{WORD[said]}，理由：{reason}"


def guidance_digest(system: str) -> str:
    """Names the rules of a system message, as ``made_from.guidance`` of an evaluation does."""
    return digest_of_text(system)[:16]


def read_point(path: Path, judge: PointHolder) -> OperatingPoint:
    """The operating point in a file.

    Raises UserError in one sentence where it is of another mission, engine, student or guidance than those that judge:
    what was shown of one says nothing of another.
    """
    point = read_json(path, OperatingPoint)
    sides = {
        "mission": (point.mission, judge.mission),
        "engine": (point.engine, judge.engine),
        "student": (point.student.sha256, judge.sha256),
        "guidance": (point.guidance, judge.guidance),
    }
    for field, (of, now) in sides.items():
        if of != now:
            raise mistake(f"it was chosen for {of!r}, and {now!r} judges", _AGAIN, path=path, field=field)
    return point


_AGAIN = "choose one for what judges (make calibrate)"
