"""The one figure that a reader sees first, how rates stand to their limits, and verdicts against labels as counts."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from verdicts.records.evaluation import ChatScores, Evaluation
from verdicts.records.run import RoundMetrics
from verdicts.runs.standing import Standing
from verdicts.stats.rates import Rate, VerdictRates, stands, wilson

LimitState = Literal["within", "unsure", "above", "plain"]  # to a limit; plain: there is none, or nothing was counted
LIMITS = {"frr": "max_frr", "false_block": "max_false_block", "format": "min_format"}  # the gate's knobs


@dataclass(frozen=True)
class Headline:
    """A false release rate, and whose: the student's after training, else the teacher's. ``limit`` None: no limit.

    ``mute``: answers to fails without a verdict. The gate counts each as a release, and so does the state.
    """

    whose: Literal["student", "teacher"]
    rate: Rate | None
    limit: float | None
    mute: int = 0

    @property
    def judged(self) -> Rate | None:
        """The rate with the mute answers as releases."""
        return wilson(self.rate.k + self.mute, self.rate.n + self.mute) if self.rate and self.mute else self.rate

    @property
    def state(self) -> LimitState:
        """How it stands to its limit."""
        return state_of("frr", self.judged, self.limit)


def teachers_frr(standing: Standing | None, now: RoundMetrics | None) -> Rate | None:
    """Against labels as people corrected them: the last epoch's figures (``now``) still hold the labels as given."""
    return standing.rates.frr if standing else now.frr if now else None


def state_of(name: str, rate: Rate | None, limit: float | None) -> LimitState:
    """How a rate stands to its limit, as the gate judges it.

    FRR by its whole interval. What other errors cost is work, not safety: there the rate itself counts.
    """
    if rate is None or rate.rate is None or limit is None or name not in LIMITS:
        return "plain"
    if name == "frr":
        return stands(rate, limit) or "plain"
    kept = rate.rate >= limit if LIMITS[name].startswith("min_") else rate.rate <= limit
    return "within" if kept else "above"


def student_state(name: str, rate: Rate | None, side: Evaluation | None, limit: float | None) -> LimitState:
    """The same of a student's rate: its answers to fails without a verdict count as releases."""
    if name == "frr" and side is not None:
        return Headline("student", rate, limit, side.chat.failed_without_verdict).state
    return state_of(name, rate, limit)


class Row(NamedTuple):
    """Tickets of one label by verdict. ``none``: without a verdict."""

    label: str
    passed: int
    failed: int
    none: int

    @property
    def n(self) -> int:
        """All of the label."""
        return self.passed + self.failed + self.none


def confusion_of_rates(rates: VerdictRates) -> list[Row]:
    """The teacher's verdicts against labels, fails first."""
    frr, block = rates.frr, rates.false_block
    return [Row("fail", frr.k, frr.n - frr.k, 0), Row("pass", block.n - block.k, block.k, 0)]


def confusion_of(evaluation: Evaluation) -> list[Row]:
    """A student's verdicts against labels, fails first."""
    chat: ChatScores = evaluation.chat
    frr, block, mute = chat.frr, chat.false_block, chat.failed_without_verdict
    rest = evaluation.tickets - frr.n - mute - block.n
    return [Row("fail", frr.k, frr.n - frr.k, mute), Row("pass", block.n - block.k, block.k, rest)]
