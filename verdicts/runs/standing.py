"""How a run stands, decisions of people counted: its rates, what waits for review, whether to train on it.

One definition for all who say it: the report, show, and the last lines of distill and review_apply.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from verdicts.base.errors import mistake
from verdicts.base.jsonl import stream_rows
from verdicts.config.load import read_yaml
from verdicts.config.sections import LearnSection
from verdicts.config.tools import CollectConfig, read_section
from verdicts.pages.renderer import PAGES
from verdicts.pages.svg import percent
from verdicts.records.review import ReviewDecision, ReviewTicket, read_decisions
from verdicts.records.rollout import Selection
from verdicts.records.run import LoopStatus
from verdicts.records.ticket_index import Tickets
from verdicts.review.decisions import for_learning
from verdicts.review.review_list_file import stream_review
from verdicts.rounds.holdout import Side, side_of
from verdicts.stats.rates import RATE, RATES, Rate, VerdictRates, difference, stands, verdict_rates

TEXTS = PAGES / "report.yaml"
MAY_TRAIN = {"good": "yes", "wait": "not yet", "stop": "no"}


class Standing(NamedTuple):
    """``rates``: the last verdict on each ticket against labels as people corrected them, excluded tickets left out.

    ``learn`` and ``holdout``: the same for the tickets that guidance was learnt from and for those that it never saw;
    None for a run that held nothing out. ``queued``: tickets of the review list; ``waiting``: those of them that nobody
    has decided. ``decisions``: all of the run.
    """

    rates: VerdictRates
    learn: VerdictRates | None
    holdout: VerdictRates | None
    decisions: int
    queued: int
    waiting: int

    def __str__(self) -> str:
        counted = f", {self.decisions} decisions counted" if self.decisions else ""
        of = f" of {self.queued} queued" if self.waiting != self.queued else ""
        return f"FRR {self.rates.frr}{counted}; {self.waiting}{of} tickets wait for review"

    @property
    def by_side(self) -> list[str]:
        """A line a rate, learn and hold-out tickets side by side; empty where nothing was held out."""
        if self.learn is None or self.holdout is None:
            return []
        pairs = zip(RATES, self.learn, self.holdout, strict=True)
        return [f"{rate.label}: learn {learn}, hold-out {holdout}" for rate, learn, holdout in pairs]

    @property
    def gaps(self) -> list["Gap"]:
        """The errors that are more frequent on hold-out tickets than noise explains."""
        if self.learn is None or self.holdout is None:
            return []
        names = [rate.name for rate in RATES if rate.is_error]
        pairs = [(name, getattr(self.learn, name), getattr(self.holdout, name)) for name in names]
        return [
            Gap(*pair)
            for pair in pairs
            if pair[1].n and pair[2].n and difference(pair[2].k, pair[2].n, pair[1].k, pair[1].n)[1] > 0
        ]


class Gap(NamedTuple):
    """A rate of errors (frr or false_block) that is worse on hold-out tickets than on learn tickets.

    The 95 % interval of the difference lies above zero.
    """

    rate: str
    learn: Rate
    holdout: Rate

    def __str__(self) -> str:
        return (
            f"GAP: {RATE[self.rate].label} is {self.holdout} on tickets that guidance never saw, "
            f"{self.learn} on those that it was learnt from: beyond noise; do not trust the rules yet"
        )


def standing_of(
    selections: Iterable[Selection],
    queue: Iterable[ReviewTicket],
    said: Mapping[str, ReviewDecision],
    learn: LearnSection | None,
) -> Standing:
    """How verdicts and review list stand under what people said. ``selections``: the run's view, one a ticket."""
    pairs: dict[Side, Counter[tuple[str, str]]] = {"learn": Counter(), "holdout": Counter()}
    for selection in selections:
        side = side_of(selection.group_id, learn) if learn else "learn"
        pairs[side].update((seen.label, seen.verdict) for seen in for_learning([selection], said))
    rates, learnt, kept = (
        verdict_rates(counts.elements())
        for counts in (sum(pairs.values(), Counter()), pairs["learn"], pairs["holdout"])
    )
    listed = Counter(ticket.ticket_key not in said for ticket in queue)  # True: nobody has decided it
    held = learn is not None and learn.holdout > 0
    return Standing(rates, learnt if held else None, kept if held else None, len(said), listed.total(), listed[True])


def held_out_of(run_dir: Path) -> LearnSection | None:
    """What the run holds out; None for one of a version that held nothing out."""
    path = run_dir / "config" / "collect.yaml"
    return read_section(path, CollectConfig).learn if path.exists() else None


def read_standing(run_dir: Path) -> Standing | None:
    """The same from a run's files; None where the run's view or its review list is not there yet."""
    selections, review = run_dir / "selections.jsonl", run_dir / "need_review.json"
    if not (selections.exists() and review.exists()):
        return None
    queue = (ticket for _, ticket in stream_review(review, {}))
    return standing_of(
        stream_rows(selections, Selection, allow_empty=True), queue, read_said(run_dir), held_out_of(run_dir)
    )


def read_said(run_dir: Path) -> dict[str, ReviewDecision]:
    """What people said of the run's tickets, nothing where no file says it."""
    path = run_dir / "review_decisions.jsonl"
    return read_decisions(path, Tickets(run_dir / "stage_a.jsonl")) if path.exists() else {}


def release_limit(run_dir: Path) -> float | None:
    """The most false releases that the gate lets pass, as the run was told; None where it was told nothing."""
    return gate_limit(run_dir, "max_frr")


def gate_limit(run_dir: Path, knob: str) -> float | None:
    """A limit of the gate, as the run was told; None where it was told nothing. UserError for what is no number."""
    path = run_dir / "config" / "gate.yaml"
    section = read_yaml(path).get("gate") if path.exists() else None
    limit = section.get(knob) if isinstance(section, dict) else None
    if isinstance(limit, bool) or not isinstance(limit, int | float | None):
        raise mistake(f"is no number ({limit!r})", "write a share such as 0.05", path=path, field=f"gate.{knob}")
    return limit


@dataclass(frozen=True)
class Advice:
    """One sentence to act on: ``key`` names its text, ``values`` fill it. ``tone``: good, wait or stop."""

    tone: str
    key: str
    values: dict[str, object]

    def __str__(self) -> str:
        """The sentence in English, as the report has it."""
        english: str = read_yaml(TEXTS)[self.key][0]
        return english.format(**self.values)


def training_advice(
    status: LoopStatus | None,
    rounds: int,
    frr: Rate | None,
    waiting: int,
    limit: float | None,
    gaps: Sequence[Gap] = (),
) -> Advice:
    """Whether the student may be trained on this run: what the last verdicts say, judged by the whole interval.

    ``frr`` None: not known.

    A run whose rules do worse on tickets that they were not learnt from (``gaps``) is never ready.
    """
    # How the loop ended comes first: figures under guidance that did not converge hold for nothing that is kept.
    if status is None or status.status == "running":
        return Advice("wait", "verdict.running", {"rounds": rounds})
    if status.status == "unreadable":
        return Advice("stop", "verdict.unreadable", {"rounds": status.rounds})
    if status.status == "max_epochs":
        return Advice("stop", "verdict.max_epochs", {"epochs": status.epochs})
    if frr is None or frr.rate is None:
        return Advice("wait", "verdict.unknown", {})
    said = {"k": frr.k, "n": frr.n, "rate": percent(frr.rate), "high": percent(frr.high), "review": waiting}
    if limit is None:
        return Advice("wait", "verdict.no_limit", said)
    said["limit"] = percent(limit)
    how = stands(frr, limit)
    # A rate above its limit is worse news than one that is not sure yet, and both are worse than a gap: a gap is told
    # beside the verdict anyhow.
    if how == "above":
        return Advice("stop", "verdict.over" if waiting else "verdict.over_reviewed", said)
    if how == "unsure":
        return Advice("wait", "verdict.unsure", said)
    return Advice("wait", "verdict.gap", said) if gaps else Advice("good", "verdict.within", said)
