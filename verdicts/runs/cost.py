"""From a probe of a few tickets to what a whole run takes. Pure arithmetic; tools/plan.py measures the probe."""

from collections import Counter
from dataclasses import astuple, dataclass
from math import ceil
from typing import NamedTuple

from verdicts.config.sections import Config
from verdicts.rounds.windows import place_of


@dataclass(frozen=True)
class Probe:
    """What was measured on some tickets of round 1 under its guidance.

    Times in seconds, for all of the probe; tokens and bytes too. ``wrong``: tickets answered wrongly, by verdict (pass,
    fail); ``right``: the rest by verdict. ``open_s``: opening the model. ``start_s``: starting one tool.
    ``operations``: proposals of the ``calls`` reflection calls.
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


class Learning(NamedTuple):
    """What one round asks of the model to learn: reflection calls, tickets judged, prompts they stand under."""

    calls: int
    judged: float
    prompts: float


def learning_of(probe: Probe, share: float, windows: int, config: Config) -> Learning:
    """The learning of one round, ``share`` times as large as the probe, whose proposals are tried on ``windows``.

    Every proposal is tried on the verdicts of the direction that it comes against. These are judged once as guidance
    stands, too. Rules in force cost at most one judgement for each ticket labelled fail: as if each failed by one rule.
    Not foretold: proposals that are refused untried, errors that guidance has mended since, and the second trials of
    updates and merges, errors not shown again since a proposal was accepted, and what an epoch's end adds (contrasts,
    the pool).
    """
    section, trial = config.reflect, config.reflect.trial
    learnt = share * (1 - config.learn.holdout)
    shown = {
        verdict: min(ceil(count * learnt), section.groups * section.group_size)
        for verdict, count in probe.wrong.items()
    }
    calls = {verdict: section.draws * ceil(count / section.group_size) for verdict, count in shown.items()}
    all_calls = sum(calls.values())
    proposals = min(section.max_operations, all_calls * probe.operations / max(1, probe.calls))
    judged = learnt * (probe.wrong["pass"] + probe.right["fail"])
    prompts = 0.0
    for verdict in (verdict for verdict in calls if calls[verdict]):
        tried = proposals * calls[verdict] / all_calls
        times = tried + min(1, tried)
        errors, unseen = (probe.wrong[verdict] * learnt * windows - left_out for left_out in (0, shown[verdict]))
        sample = min(trial.errors, errors if 4 * unseen < trial.errors else unseen) + min(
            trial.corrects, probe.right[verdict] * learnt * windows
        )
        judged += times * sample
        prompts += times
    return Learning(all_calls, judged, prompts)


def round_cost(probe: Probe, share: float, windows: int, config: Config) -> Cost:
    """What one round takes that is like the probe: as many errors and proposals, as long prompts."""
    learning = learning_of(probe, share, windows, config)
    of_calls, of_judging = learning.calls / max(1, probe.calls), learning.judged / probe.tickets
    reflect_s = of_calls * probe.calls_s + of_judging * probe.judge_s
    return Cost(
        read=share * probe.rollout_read
        + (1 + learning.prompts) * probe.system_tokens
        + of_calls * probe.calls_read
        + of_judging * probe.judge_read,
        written=share * probe.rollout_written + of_calls * probe.calls_written,
        seconds=share * probe.rollout_s + reflect_s + OPENS * probe.open_s + STARTS * probe.start_s,
        reflect_s=reflect_s + probe.open_s + probe.start_s,
        bytes=share * probe.round_bytes,
    )


def run_cost(probe: Probe, tickets: int, config: Config, epochs: int) -> Cost:
    """What a run of so many epochs takes, should every round be like the probe.

    Its own files (tickets, review, corpus) are written once.

    The first rounds have fewer windows to try on; an epoch has no more than its own.
    """
    rounds = place_of(1, tickets, config.window.tickets).rounds_per_epoch
    share = tickets / rounds / probe.tickets  # of a round, in probes
    windows = Counter(min(config.reflect.trial.rounds, rounds, number) for number in range(1, epochs * rounds + 1))
    costs = [Cost(0, 0, 3 * probe.start_s, 0, probe.ticket_bytes * tickets / probe.tickets)]
    costs += [round_cost(probe, share, each, config).times(count) for each, count in windows.items()]
    return Cost(*map(sum, zip(*map(astuple, costs), strict=True)))


def duration(seconds: float) -> str:
    """``42 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return (
        f"{whole // 60} min {whole % 60:02d} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    )


def amount(value: float, unit: str = "") -> str:
    """``999``, ``12 k``, ``3.4 M``, ``1.2 G``, with a unit behind."""
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value:.0f} {unit}".strip()
