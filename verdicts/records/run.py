"""How a run stands: its rates by round and by epoch, and its loop."""

from typing import Literal

from verdicts.base.record import Record
from verdicts.stats.rates import Rate


class SideRates(Record):
    """The rates of the tickets that guidance is learnt from (learn), or of those that it never sees (hold-out)."""

    frr: Rate
    false_block: Rate
    label_match: Rate


class RoundMetrics(Record):
    """One line of metrics.jsonl: how one round (or, with ``scope`` epoch, one epoch) stood to the labels, and what
    could not be read.

    ``learn`` and ``holdout``: the same rates for either side; None in runs of a version that held nothing out.
    """

    scope: Literal["round", "epoch"]
    round: int
    epoch: int
    guidance_step: int
    rules: int
    frr: Rate
    false_block: Rate
    label_match: Rate
    learn: SideRates | None = None
    holdout: SideRates | None = None
    format: Rate
    need_review: int
    changed: bool
    unreadable_answers: int = 0
    cut_reasons: int = 0
    reflections: int = 0
    unreadable_reflections: int = 0


class LoopStatus(Record):
    """loop.json: where the loop stands. ``rounds`` counts the rounds that belong to the run. An ``unreadable`` loop
    stopped because too many answers could not be read; it writes no loop.json (verdicts/rounds/unreadable.py).
    """

    status: Literal["running", "converged", "max_epochs", "unreadable"]
    rounds: int
    epochs: int
    rounds_per_epoch: int
    oscillations: list[str]
