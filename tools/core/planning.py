"""From a probe of a few tickets to what a whole run takes. Pure arithmetic; tools/plan.py measures the probe."""

from dataclasses import dataclass
from math import ceil

from tools.core.config import ReflectSection
from tools.core.windows import place_of


@dataclass(frozen=True)
class Probe:
    """What was measured on some tickets of round 1 under its guidance.

    Times in seconds, for all of the probe; tokens and bytes too. ``wrong``: tickets answered wrongly, by verdict (pass, fail);
    ``right``: the rest by verdict. ``open_s``: opening the model. ``start_s``: starting one tool. ``operations``: proposals
    of the ``calls`` reflection calls.
    """

    tickets: int
    wrong: dict[str, int]
    right: dict[str, int]
    open_s: float
    start_s: float
    rollout_s: float
    rollout_read: int
    rollout_written: int
    system_tokens: int
    calls: int
    calls_s: float
    calls_read: int
    calls_written: int
    operations: int
    judge_s: float
    judge_read: int
    round_bytes: int
    ticket_bytes: int


@dataclass(frozen=True)
class Cost:
    """Tokens read and written by the model, seconds, those of reflection among them, and bytes on disk."""

    read: float
    written: float
    seconds: float
    reflect_s: float
    bytes: float

    def times(self, factor: float) -> "Cost":
        """The cost of doing it ``factor`` times."""
        return Cost(*(value * factor for value in (self.read, self.written, self.seconds, self.reflect_s, self.bytes)))


STARTS = 4  # of tools a round: rollout, reflect, apply, next_round
OPENS = 2  # of the model a round: rollout, reflect


def epoch_cost(probe: Probe, tickets: int, window: int, reflect: ReflectSection) -> Cost:
    """What one epoch takes, should every round be like the probe: as many errors, as long prompts."""
    rounds = place_of(1, tickets, window).rounds_per_epoch
    share = tickets / rounds / probe.tickets  # of a round, in probes
    calls = sum(min(reflect.groups, ceil(count * share / reflect.group_size)) for count in probe.wrong.values())
    proposals = min(reflect.max_operations, calls * probe.operations / max(1, probe.calls))
    judged = sum(
        (min(reflect.trial.errors, probe.wrong[verdict] * share) + min(reflect.trial.corrects, probe.right[verdict] * share))
        * (1 + proposals * probe.wrong[verdict] / max(1, sum(probe.wrong.values())))
        for verdict in probe.wrong
        if probe.wrong[verdict]
    )
    of_calls, of_judging = calls / max(1, probe.calls), judged / probe.tickets
    reflect_s = of_calls * probe.calls_s + of_judging * probe.judge_s
    return Cost(
        read=share * probe.rollout_read + (1 + proposals) * probe.system_tokens + of_calls * probe.calls_read + of_judging * probe.judge_read,
        written=share * probe.rollout_written + of_calls * probe.calls_written,
        seconds=share * probe.rollout_s + reflect_s + OPENS * probe.open_s + STARTS * probe.start_s,
        reflect_s=reflect_s + probe.open_s + probe.start_s,
        bytes=share * probe.round_bytes,
    ).times(rounds)


def run_cost(probe: Probe, tickets: int, window: int, reflect: ReflectSection, epochs: int) -> Cost:
    """What a run of so many epochs takes; its own files (tickets, review, corpus) are written once."""
    epoch = epoch_cost(probe, tickets, window, reflect).times(epochs)
    return Cost(epoch.read, epoch.written, epoch.seconds + 3 * probe.start_s, epoch.reflect_s, epoch.bytes + probe.ticket_bytes * tickets / probe.tickets)


def duration(seconds: float) -> str:
    """``42 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60:02d} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def amount(value: float, unit: str = "") -> str:
    """``999``, ``12 k``, ``3.4 M``, ``1.2 G``, with a unit behind."""
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value:.0f} {unit}".strip()
