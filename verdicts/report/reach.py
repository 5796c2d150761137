"""What the tickets of a run can show: of how many a rule has to turn the verdict to be confirmed, and what more do."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from verdicts.base.jsonl import stream_rows
from verdicts.records.rollout import Selection
from verdicts.records.tickets import Verdict
from verdicts.report.evidence import Limits
from verdicts.review.decisions import for_learning
from verdicts.rounds.holdout import side_of
from verdicts.runs.standing import held_out_of, read_said
from verdicts.stage_b.selection import OVERRIDE
from verdicts.stats.power import least_shown

TIMES = (1, 2, 4)  # as many tickets


class Reach(NamedTuple):
    """What it takes of a rule that gives one verdict to tickets that have the other now.

    ``errors`` and ``corrects``: how many learn tickets have that other verdict, wrongly and rightly, the guard's aside.
    ``by_noise``: of how many so many right ones wrong labels alone would make errors. ``least``: for each of ``TIMES``
    as many tickets, of how many a rule has to turn the verdict, right in ``precision`` of them; None where none could.
    """

    gives: Verdict
    errors: int
    corrects: int
    precision: float
    by_noise: int
    least: tuple[int | None, ...]

    @property
    def by_times(self) -> list[tuple[int, float | None]]:
        """For each of ``TIMES`` the least number as a share of the tickets that have that other verdict then."""
        tickets = self.errors + self.corrects
        return [
            (times, None if least is None else least / (times * tickets))
            for times, least in zip(TIMES, self.least, strict=True)
        ]


def reach_of(gives: Verdict, errors: int, corrects: int, noise: float, level: float) -> Reach:
    """What so many wrong and right verdicts can show of a rule that is right as often as labels are, at a level."""
    least = tuple(least_shown(times * errors, times * corrects, 1 - noise, level) for times in TIMES)
    return Reach(gives, errors, corrects, 1 - noise, round(corrects * noise / (1 - noise)), least)


def reaches_of(run_dir: Path, limits: Limits | None) -> list[Reach]:
    """What the run's learn tickets can show of rules that fail tickets, and of rules that release them.

    By the verdicts of now, labels as people corrected them, at the level of ``life_cycle.proof``. Nothing where the
    run's view is not there yet, or the run was not told that level.
    """
    view = run_dir / "selections.jsonl"
    if limits is None or not limits.life.proof or limits.life.label_noise >= 1 or not view.exists():
        return []
    said, learn, counts = read_said(run_dir), held_out_of(run_dir), Counter[tuple[str, bool]]()
    for selection in stream_rows(view, Selection, allow_empty=True):
        if OVERRIDE not in selection.warnings and (learn is None or side_of(selection.group_id, learn) == "learn"):
            counts.update((seen.verdict, seen.label_match) for seen in for_learning([selection], said))
    found: list[Reach] = []
    others: tuple[tuple[Verdict, Verdict], ...] = (("fail", "pass"), ("pass", "fail"))
    for gives, now in others:
        errors, corrects = counts[now, False], counts[now, True]
        if errors:
            found.append(reach_of(gives, errors, corrects, limits.life.label_noise, limits.life.proof))
    return found
