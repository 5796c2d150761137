"""What shows that the rules of a run work, and which of those it refused more tickets would decide."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from verdicts.base.jsonl import validate
from verdicts.config.sections import LifeCycle, TrialSection
from verdicts.config.tools import read_told
from verdicts.guidance.credit import (
    Account,
    Lift,
    account_of,
    births,
    lift_of,
    lives_on_the_base_rate,
    p_value,
    strata_in,
)
from verdicts.guidance.diff import latest_metadata
from verdicts.guidance.leaving import confirming_levels
from verdicts.guidance.rule_text import normal
from verdicts.guidance.trial import more_tickets, near_misses
from verdicts.records.reflection import Direction, Tally
from verdicts.records.run import RoundMetrics, SideRates
from verdicts.rounds.holdout import SIDES
from verdicts.runs.view import Learnt
from verdicts.stats.power import times_needed
from verdicts.stats.rates import RATES, Rate, wilson

NEAR_MISSES_SHOWN = 5


class SideEvidence(NamedTuple):
    """Evidence on some tickets.

    ``name``: all (learn tickets) or fresh (those of them that the rule was not learnt from).
    """

    name: str
    tally: Tally
    lift: Lift | None


class Evidence(NamedTuple):
    """What rested on a rule over the last epoch it was in force, which ended with round ``last``.

    ``alive``: it still is in force.
    """

    account: Account
    last: int
    alive: bool

    @property
    def first(self) -> int:
        """The first round that counts."""
        return self.last + 1 - self.account.rounds

    @property
    def sides(self) -> list[SideEvidence]:
        """The evidence on all learn tickets, then on fresh ones."""
        return [
            SideEvidence(name, tally, lift_of(tally))
            for name, tally in (("all", self.account.all), ("fresh", self.account.fresh))
        ]

    @property
    def silent(self) -> bool:
        """Whether it is in force and no verdict rests on it: its words may mean nothing to the model."""
        return self.alive and not self.account.all.hits + self.account.all.misses

    @property
    def on_the_base_rate(self) -> bool:
        """Whether it is in force, verdicts rest on it, and nothing shows that it does better than chance."""
        return self.alive and not self.silent and lives_on_the_base_rate(self.account.all)


def evidence_of(learnt: Learnt) -> dict[str, Evidence]:
    """The evidence on every rule that ever was in force during a round, by key.

    A rule of a run whose version did not count what rests on rules by leaving them out has none.
    """
    lives = {number: records[0] for number, records in enumerate(learnt.reflections, start=1) if records}
    now, per_epoch = learnt.states[-1], rounds_per_epoch(learnt)
    found = {}
    for key, meta in latest_metadata(now).items():
        last = now.removed[key].round if key in now.removed else learnt.rounds
        account = account_of(key, meta.created_round, lives, last, per_epoch)
        if any(lives[number].verdicts for number in range(last + 1 - account.rounds, last + 1) if number in lives):
            found[key] = Evidence(account, last, key in now.metadata)
    return found


def rounds_per_epoch(learnt: Learnt) -> int:
    """How many rounds an epoch has; where the loop has not been judged yet, the most that one had so far."""
    if learnt.status:
        return learnt.status.rounds_per_epoch
    epochs = [records[0].epoch for records in learnt.reflections if records]
    return max(map(epochs.count, set(epochs)), default=1)


def sides_in(rows: Iterable[RoundMetrics]) -> tuple[str, ...]:
    """The tickets that rates stand for: all; learn and hold-out ones too where one of these rounds judged such."""
    held_out = any(row.holdout and row.holdout.label_match.n for row in rows)
    return ("all", *SIDES) if held_out else ("all",)


def side_rates(row: RoundMetrics, side: str) -> dict[str, Rate]:
    """The rates of a round or epoch on one side, by name; one that a run's version did not count is of no tickets."""
    rates: RoundMetrics | SideRates = row if side == "all" else getattr(row, side)
    return {rate.name: getattr(rates, rate.name, None) or wilson(0, 0) for rate in RATES}


class Limits(NamedTuple):
    """What the run wanted of a proposal."""

    trial: TrialSection
    life: LifeCycle


def read_limits(run_dir: Path) -> Limits | None:
    """What the run was told to want of proposals; None where it was told nothing, or by a version with other knobs."""
    path = run_dir / "config" / "reflect.yaml"
    told = read_told(path) if path.exists() else {}
    reflect, life = told.get("reflect"), told.get("life_cycle")
    trial = reflect.get("trial") if isinstance(reflect, Mapping) else None
    if not (_has(trial, TrialSection) and _has(life, LifeCycle)):
        return None
    return Limits(validate(trial, TrialSection, path), validate(life, LifeCycle, path))


def _has(section: object, model: type[TrialSection | LifeCycle]) -> bool:
    return isinstance(section, Mapping) and model.model_fields.keys() <= section.keys()


class NearMiss(NamedTuple):
    """A proposal refused, or a rule not confirmed, for want of evidence alone.

    ``times``: how many times as many tickets would settle it (verdicts/stats/power.py).
    """

    text: str
    p_value: float
    level: float
    times: int


def near_misses_of(learnt: Learnt, limits: Limits | None) -> list[NearMiss]:
    """The proposals and unconfirmed rules that the fewest more tickets would decide, the nearest first.

    Texts that are not in force, each by its best trial.
    """
    if limits is None:
        return []
    best = {normal(miss.text): miss for miss in _unconfirmed(learnt, limits.life)}
    in_force = {normal(text) for text in learnt.states[-1].experiences.values()}
    for rejected in (rejected for records in learnt.reflections for record in records for rejected in record.rejected):
        trial, text = rejected.trial, rejected.op.get("text") if isinstance(rejected.op, dict) else None
        if trial is None or not isinstance(text, str) or normal(text) in in_force or not near_misses([trial], *limits):
            continue
        times = more_tickets(trial)
        if times is not None and trial.level is not None:  # near_misses looks at trials with a level alone
            found = NearMiss(text, trial.p_value, trial.level, times)
            best[normal(text)] = min(best.get(normal(text), found), found, key=_nearness)
    return sorted((miss for text, miss in best.items() if text not in in_force), key=_nearness)[:NEAR_MISSES_SHOWN]


class SharedByErrors(NamedTuple):
    """What wrong verdicts of one direction share and right ones do not, and in how many calls it was shown."""

    what: str
    direction: Direction
    calls: int


def shared_by_errors(learnt: Learnt) -> list[SharedByErrors]:
    """What sets errors apart at the end and no rule was learnt for: as the last round showed it after its last rule."""
    records = learnt.reflections[-1] if learnt.reflections else []
    last = max((at for at, record in enumerate(records) if record.applied), default=-1)
    shown = Counter(
        (record.shared, direction) for record in records[last + 1 :] if record.shared for direction in record.directions
    )
    return [SharedByErrors(what, direction, calls) for (what, direction), calls in shown.items()]


def _unconfirmed(learnt: Learnt, life: LifeCycle) -> Iterator[NearMiss]:
    """The rules that left after their first epoch though they were right often enough: it showed too little of them."""
    born = births(record for records in learnt.reflections for record in records)
    removed = learnt.states[-1].removed
    for key, evidence in evidence_of(learnt).items():
        if key not in removed or not removed[key].why.startswith("not_confirmed"):
            continue
        seen, level = evidence.account.all, confirming_levels(evidence.account, life, born.get(key)).all
        times = times_needed(strata_in(seen), level)
        if times and seen.hits >= life.min_precision * (1 - life.label_noise) * (seen.hits + seen.misses):
            yield NearMiss(removed[key].text, p_value(seen), level, times)


def _nearness(miss: NearMiss) -> tuple[int, float, str]:
    return miss.times, miss.p_value, miss.text


def p_text(p: float) -> str:
    """``= 0.0012``; records round it to nine digits."""
    return f"= {p:.2g}" if p >= 1e-9 else "< 1e-9"
