"""A verdict by P(fail) instead of by the words of an answer, and the operating point that says from which P(fail) on.

A ticket fails where P(fail) is at least the threshold. Both are compared as they are written, to six places.
"""

from collections.abc import Mapping
from math import exp, inf
from pathlib import Path
from typing import NamedTuple

from verdicts.base.digests import digest_of_text
from verdicts.base.errors import mistake
from verdicts.base.jsonl import read_json
from verdicts.config.sections import DecisionSection
from verdicts.records.evaluation import OperatingPoint
from verdicts.records.tickets import Verdict
from verdicts.stage_b.protocol import WORD

_VERDICTS: tuple[Verdict, Verdict] = ("pass", "fail")


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


def chance_of(logprob: Mapping[str, float | None]) -> float | None:
    """P(fail) of a judgement by verdict; None where the engine named neither.

    One that it did not name is not among its likeliest tokens, and counts as impossible.
    """
    good, bad = (-inf if (value := logprob[side]) is None else value for side in ("pass", "fail"))
    return None if max(good, bad) == -inf else p_fail((good, bad))


def judged_verdict(logprob: Mapping[str, float | None], threshold: float | None) -> Verdict | None:
    """What a judgement comes to; None where the engine named neither verdict.

    Fail from the threshold on; without one (``decision: majority``) the likelier verdict.
    """
    if threshold is not None:
        chance = chance_of(logprob)
        return None if chance is None else by_chance_of_fail(threshold, chance)
    known = [(value, side) for side in _VERDICTS if (value := logprob[side]) is not None]
    return max(known, key=lambda pair: pair[0])[1] if known else None


def threshold_of(section: DecisionSection) -> float | None:
    """The threshold by which rounds of a loop decide; None where votes do.

    Raises UserError where a threshold is to decide and none is written: a point holds for one guidance.
    """
    if section.decision == "threshold" and section.threshold is None:
        what = "is empty while rollout.decision is threshold"
        raise mistake(what, _NUMBER, field="rollout.threshold")
    return section.threshold


_NUMBER = (
    "write a number; a loop changes guidance and an operating point holds for one, so only a rollout of all tickets "
    "takes one (--whole --point)"
)


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
