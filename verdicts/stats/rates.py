"""The rates that judge verdicts. One definition of the false release rate, here.

FRR = |gt=fail and pred=pass| / |gt=fail|; false block rate = |gt=pass and pred=fail| / |gt=pass|. Both and label
match count tickets that have a verdict; format rate counts candidates. Intervals: Wilson (1927), 95 %.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from math import ceil, sqrt
from typing import Literal, NamedTuple

from verdicts.base.record import Record

Z95 = 1.959963984540054


class Rate(Record):
    """``k`` of ``n`` with its 95 % Wilson interval; ``rate``, ``low`` and ``high`` are None where n is 0."""

    k: int
    n: int
    rate: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        return (
            "n/a (n=0)"
            if self.rate is None
            else f"{self.rate:.1%} [{self.low:.1%}, {self.high:.1%}] ({self.k}/{self.n})"
        )


def wilson(k: int, n: int, z: float = Z95) -> Rate:
    """The share k/n with its Wilson score interval (E. B. Wilson, JASA 22, 1927), of 95 %, rounded to 6 digits.

    ``z``: the normal quantile of another interval.
    """
    if n == 0:
        return Rate(k=k, n=n, rate=None, low=None, high=None)
    low, high = _interval(k, n, z)
    return Rate(k=k, n=n, rate=round(k / n, 6), low=low, high=high)


def _interval(k: int, n: int, z: float = Z95) -> tuple[float, float]:
    share = k / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * sqrt(share * (1 - share) / n + z**2 / (4 * n * n))
    return round(max(0.0, centre - half), 6), round(min(1.0, centre + half), 6)


def stands(rate: Rate, limit: float) -> Literal["above", "unsure", "within"] | None:
    """How a rate of errors stands to a limit. The one rule by which report and gate judge.

    ``above`` by the rate itself, ``unsure`` while its interval reaches beyond the limit, else ``within``; None where n
    is 0.
    """
    if rate.rate is None or rate.high is None:
        return None
    return "above" if rate.rate > limit else "within" if rate.high <= limit else "unsure"


def needed(rate: Rate, limit: float, z: float = Z95) -> int | None:
    """The smallest n at which this rate of errors would be within a limit; None where the rate is not below it.

    ``z``: as of ``wilson``.
    """
    if rate.rate is None or rate.rate >= limit:
        return None
    # the limit is the upper end of Wilson's interval where n (limit - rate)^2 = z^2 limit (1 - limit)
    return ceil(z**2 * limit * (1 - limit) / (limit - rate.k / rate.n) ** 2 - 1e-6)


Counts = Counter[tuple[str, str]]  # tickets by (label, verdict), each pass or fail


class VerdictRate(NamedTuple):
    """A rate over tickets that have a verdict: how it is counted, and what it is called.

    ``name``: its field in VerdictRates, RoundMetrics and SideRates (verdicts/records/run.py). ``label``: its name in
    tools' tables. ``counted``: k and n. The other texts are for the report, each in English and Chinese. ``gap``: the
    sentence where hold-out tickets fare worse, for a rate of errors; None: no error, more is better.
    """

    name: str
    label: str
    counted: Callable[[Counts], tuple[int, int]]
    title: tuple[str, str]
    short: tuple[str, str]
    what: tuple[str, str]
    gap: tuple[str, str] | None = None

    @property
    def is_error(self) -> bool:
        """Whether fewer is better."""
        return self.gap is not None


def _share(label: str, verdict: str) -> Callable[[Counts], tuple[int, int]]:
    """How many tickets of a label got a verdict."""
    return lambda counts: (counts[label, verdict], counts[label, "pass"] + counts[label, "fail"])


def _gap(label: str, done: str, label_zh: str, done_zh: str) -> tuple[str, str]:
    """The sentence on a gap. Places are filled with the two rates' parts."""
    learn, holdout = (f"{{{side}_rate}}; 95%: {{{side}_low}} – {{{side}_high}}" for side in ("learn", "holdout"))
    learn_zh, holdout_zh = (text.replace("; ", "；").replace(": ", "：") for text in (learn, holdout))
    english = (
        f"Gap: {{holdout_k}} of {{holdout_n}} tickets labelled {label} that guidance never saw are {done} ({holdout}), "
        f"of those that it was learnt from {{learn_k}} of {{learn_n}} ({learn}). "
        "That is beyond noise: do not trust the rules yet."
    )
    chinese = (
        f"差距：准则从未见过的 {{holdout_n}} 个人工{label_zh}工单中 {{holdout_k}} 个被{done_zh}（{holdout_zh}），"
        f"而学习所用的 {{learn_n}} 个中为 {{learn_k}} 个（{learn_zh}）。差距超出随机波动：请暂勿信任这些规则。"
    )
    return english, chinese


# All that is reported of verdicts, in the order of every table. A new rate is a line here and a field in VerdictRates,
# RoundMetrics and SideRates: show, report, diff and the run's metrics read this table.
RATES = (
    VerdictRate(
        "frr", "FRR", _share("fail", "pass"),
        title=("False release rate", "误放行率"), short=("False release", "误放行"),
        what=("labelled fail, let through", "人工不通过，模型放行"), gap=_gap("fail", "released", "不通过", "误放行"),
    ),
    VerdictRate(
        "false_block", "false block", _share("pass", "fail"),
        title=("False block rate", "误拦截率"), short=("False block", "误拦截"),
        what=("labelled pass, held back", "人工通过，模型拦截"), gap=_gap("pass", "blocked", "通过", "误拦截"),
    ),
    VerdictRate(
        "label_match", "label match", lambda counts: (counts["fail", "fail"] + counts["pass", "pass"], counts.total()),
        title=("Label match", "标签一致率"), short=("Label match", "标签一致"),
        what=("verdict equals the label", "判定与人工标签一致"),
    ),
)  # fmt: skip
RATE = {rate.name: rate for rate in RATES}


class VerdictRates(NamedTuple):
    """All rates of RATES over some tickets."""

    frr: Rate
    false_block: Rate
    label_match: Rate


def verdict_rates(pairs: Iterable[tuple[str, str]]) -> VerdictRates:
    """Rates over (label, verdict) pairs, each ``pass`` or ``fail``."""
    counts = Counter(pairs)
    return VerdictRates(**{rate.name: wilson(*rate.counted(counts)) for rate in RATES})


def difference(k1: int, n1: int, k2: int, n2: int) -> tuple[float, float, float]:
    """k1/n1 - k2/n2 with its 95 % interval; both n are positive.

    From the two Wilson intervals: R. G. Newcombe, Statistics in Medicine 17 (1998), method 10.
    """
    p1, p2 = k1 / n1, k2 / n2
    (low1, high1), (low2, high2) = _interval(k1, n1), _interval(k2, n2)
    below = sqrt((p1 - low1) ** 2 + (high2 - p2) ** 2)
    above = sqrt((high1 - p1) ** 2 + (p2 - low2) ** 2)
    return p1 - p2, p1 - p2 - below, p1 - p2 + above
