"""The operating point of a student: the largest threshold on P(fail) whose FRR is shown to stay within a target.

Fixed sequence testing with exact binomial tests (verdicts/stats/risk.py) on the fails of calibration groups. A group
that chose the threshold never judges it. One label stands once in a group, so the fails are of different groups, and
independent as far as groups are.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from math import exp
from typing import NamedTuple

from verdicts.base.digests import digest_of_text
from verdicts.base.split import is_in_share
from verdicts.config.sections import CalibrateSection
from verdicts.records.evaluation import OperatingPoint
from verdicts.records.tickets import Verdict
from verdicts.stage_b.threshold import by_chance_of_fail
from verdicts.stats.rates import Rate, wilson
from verdicts.stats.risk import fewest_fails, last_rejected, upper_end

# Fixed before any answer is seen: log-odds from -13 (P = 0.000002) to 13 in tenths, the smallest P(fail) first.
THRESHOLDS = tuple(round(1 / (1 + exp(-step / 10)), 6) for step in range(-130, 131))


class LabelledChance(NamedTuple):
    """A labelled ticket with the student's P(fail); None where it has none or its answer is no verdict."""

    group_id: str
    label: Verdict
    p_fail: float | None


class Chosen(NamedTuple):
    """A threshold, and what of the calibration fails it releases."""

    threshold: float
    released: int
    fails: int
    bound: float


class TooFew(NamedTuple):
    """Why no threshold is shown to keep the target; ``missing``: fails that would do with as many released."""

    fails: int
    released: int
    missing: int

    def sentence(self, target: float, confidence: float) -> str:
        """What is missing, in one sentence."""
        shown = f"FRR of at most {target:g} at {confidence:.0%} confidence"
        if not self.released:
            return (
                f"{self.fails} fails cannot show {shown}, even without a release: {self.fails + self.missing} are "
                f"needed, {self.missing} are missing"
            )
        return (
            f"no threshold shows {shown}: even P(fail) {THRESHOLDS[0]:g} releases {self.released} of {self.fails} "
            f"fails; with so many released {self.fails + self.missing} fails are needed, {self.missing} are missing"
        )


def calibrates(group_id: str, section: CalibrateSection) -> bool:
    """Whether a group chooses the threshold; the others check it.

    Drawn by a name of its own: with the same seed, the groups that learning holds out would all be on one side.
    """
    return is_in_share(section.seed, f"calibrate:{group_id}", section.share)


def group_name(group_id: str) -> str:
    """A group as an operating point names it."""
    return digest_of_text(group_id)[:16]


def choose(chances: Iterable[float], target: float, confidence: float) -> Chosen | TooFew:
    """The largest threshold that fixed sequence testing allows. ``chances``: P(fail) of the calibration fails."""
    fails = sorted(chances)
    released = [bisect_left(fails, threshold) for threshold in THRESHOLDS]
    place = last_rejected(released, len(fails), target, confidence)
    if place is None:
        k = released[0]
        return TooFew(len(fails), k, fewest_fails(target, confidence, k) - len(fails))
    k = released[place]
    return Chosen(THRESHOLDS[place], k, len(fails), round(upper_end(k, len(fails), confidence), 6))


def frr_at(threshold: float, rows: Iterable[LabelledChance]) -> Rate:
    """Fails that stay below the threshold, of those with a P(fail)."""
    chances = [row.p_fail for row in rows if row.label == "fail" and row.p_fail is not None]
    return wilson(sum(by_chance_of_fail(threshold, chance) == "pass" for chance in chances), len(chances))


def release_at(threshold: float, rows: Iterable[LabelledChance]) -> Rate:
    """Tickets of either label that pass, of those with a P(fail)."""
    chances = [row.p_fail for row in rows if row.p_fail is not None]
    return wilson(sum(by_chance_of_fail(threshold, chance) == "pass" for chance in chances), len(chances))


def false_block_at(threshold: float, rows: Iterable[LabelledChance]) -> Rate:
    """Passes that fail, of those with a P(fail)."""
    chances = [row.p_fail for row in rows if row.label == "pass" and row.p_fail is not None]
    return wilson(sum(by_chance_of_fail(threshold, chance) == "fail" for chance in chances), len(chances))


def point_of(
    rows: Sequence[LabelledChance], section: CalibrateSection, judge: dict[str, object], inputs: dict[str, str]
) -> OperatingPoint | TooFew:
    """The operating point of labelled tickets. ``judge``: its fields on who judges, from mission to guidance."""
    chose = [row for row in rows if calibrates(row.group_id, section)]
    rest = [row for row in rows if not calibrates(row.group_id, section)]
    fails = [row.p_fail for row in chose if row.label == "fail" and row.p_fail is not None]
    found = choose(fails, section.target, section.confidence)
    if isinstance(found, TooFew):
        return found
    at = found.threshold
    return OperatingPoint.model_validate(
        judge
        | found._asdict()
        | {
            "target": section.target,
            "confidence": section.confidence,
            "release": release_at(at, chose),
            "false_block": false_block_at(at, chose),
            "checked": {"frr": frr_at(at, rest), "release": release_at(at, rest)},
            "without": sum(row.p_fail is None for row in rows),
            "share": section.share,
            "seed": section.seed,
            "groups": sorted({group_name(row.group_id) for row in chose}),
            "inputs": inputs,
        }
    )
