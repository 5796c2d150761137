"""The end of an epoch: additions that single trials refused for want of evidence are tried once more, together.

A single trial has few tickets and a level that falls with every trial before it. At an epoch's end its refused
additions are known, all at once: so the share of wrong ones among those accepted can be held (``spend``; Y. Benjamini,
Y. Hochberg, J. R. Statist. Soc. B 57, 1995: k of m texts stand if each has p <= spend * k / m), on all tickets of the
epoch's last windows. And they are tried beside each other: what a right rule breaks while another one is missing counts
no longer once both are there. From the set of the most promising the worst leaves until every member, left out of the
set, would be missed: by that test, and within the limits of a trial. A text that releases tickets is left a share of
the level (``exceptions``): where it is wrong, bad tickets are released.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydantic import ValidationError

from verdicts.guidance.operations import of_record
from verdicts.guidance.proposals import Trials
from verdicts.guidance.reflection import DIRECTIONS
from verdicts.guidance.rule_text import normal
from verdicts.guidance.rules import tried
from verdicts.guidance.sample import TrialSample
from verdicts.guidance.trial import verdict_on
from verdicts.records.guidance import MissionGuidance
from verdicts.records.reflection import (
    AppliedOperation,
    Direction,
    Operation,
    Reflection,
    RejectedOperation,
    Trial,
)
from verdicts.stage_b.selection import OVERRIDE

_SAME = 0.8  # of the tickets that two texts turn are the same: they say the same


class Candidate(NamedTuple):
    """A refused addition and its last trial."""

    record: Operation
    direction: Direction
    trial: Trial

    @property
    def turned(self) -> set[str]:
        """The tickets that it turned in that trial."""
        return {*self.trial.fixed, *self.trial.broke}


class Pooled(NamedTuple):
    """What became of the candidates."""

    applied: list[AppliedOperation]
    rejected: list[RejectedOperation]


def refused_additions(records: Iterable[Reflection]) -> list[Candidate]:
    """Every text that some records refused as an addition after a trial, with its last trial, in order of coming."""
    found: dict[str, Candidate] = {}
    for record in records:
        for rejected in record.rejected:
            if rejected.trial and record.directions and (operation := _addition(rejected.op)):
                found[normal(operation.text or "")] = Candidate(
                    operation, next(iter(record.directions)), rejected.trial
                )
    return list(found.values())


def _addition(op: object) -> Operation | None:
    """A refused operation where it is an addition (one edited by hand may be anything)."""
    try:
        operation = Operation.model_validate(op)
    except ValidationError:
        return None
    return operation if operation.op == "add" else None


def try_together(trials: Trials, refused: Sequence[Candidate], name: str) -> Pooled | None:
    """Try the most promising of an epoch's refused additions together; None where there is none to try.

    ``name``: of the record that accepts them.
    """
    section = trials.cfg.reflect.pool
    chosen = _promising(trials, refused)
    if not chosen:
        return None
    pool = _Pool(trials, chosen, name)
    rejected: list[RejectedOperation] = []
    while chosen:
        level = section.spend * len(chosen) / len(refused)
        weighed = [pool.trial_of(candidate, chosen, level) for candidate in chosen]
        faults = [verdict_on(trial, trials.cfg.reflect.trial, trials.cfg.life_cycle) for trial in weighed]
        if not any(faults):
            return Pooled(pool.accept(chosen, weighed), rejected)
        worst = max((at for at, fault in enumerate(faults) if fault), key=lambda at: (weighed[at].p_value, at))
        left = chosen.pop(worst)
        why = f"not_together: {faults[worst]}"
        rejected.append(RejectedOperation(op=left.record.model_dump(), why=why, trial=weighed[worst]))
    return Pooled([], rejected)


def _promising(trials: Trials, refused: Sequence[Candidate]) -> list[Candidate]:
    """The candidates whose trial showed most, of those that turned the same tickets the first."""
    section = trials.cfg.reflect.pool
    chosen: list[Candidate] = []
    for candidate in sorted(refused, key=lambda one: one.trial.p_value):
        if len(chosen) == section.candidates or candidate.trial.p_value > section.promising:
            break
        why = of_record(candidate.record).refusal(trials.guidance, (), trials.cfg.reflect)
        if why and not why.startswith("refused_before"):
            continue
        if not any(_alike(candidate, other) for other in chosen):
            chosen.append(candidate)
    return chosen


def _alike(one: Candidate, other: Candidate) -> bool:
    return len(one.turned & other.turned) >= _SAME * len(one.turned | other.turned)


class _Pool:
    """Verdicts of a round's tickets under the guidance with some of the candidates.

    Tickets that all of them together leave alone count as left alone by each of them, and are not asked again.
    """

    def __init__(self, trials: Trials, chosen: Sequence[Candidate], name: str):
        self.trials, self.name = trials, name
        self.selections = [one for one in trials.selections if OVERRIDE not in one.warnings]
        self._alone = dict(trials.verdicts_now(self.selections))
        turned = trials.judge.verdicts(self.selections, self._with(chosen))
        self._open = [one for one in self.selections if turned[one.ticket_key] != self._alone[one.ticket_key]]
        self._known = {_name_of(chosen): turned, _name_of([]): self._alone}

    def trial_of(self, candidate: Candidate, chosen: Sequence[Candidate], level: float) -> Trial:
        """What is lost when one of the chosen is left out, as a trial of it among the others.

        ``level``: of a text that fails tickets; one that releases them is left ``exceptions`` of it.
        """
        before = self._verdicts([other for other in chosen if other is not candidate])
        verdict = DIRECTIONS[candidate.direction]
        if verdict == "fail":
            level *= self.trials.cfg.reflect.pool.exceptions
        of_verdict = [one for one in self.selections if before[one.ticket_key] == verdict]
        wrong = [one for one in of_verdict if one.label != verdict]
        right = [one for one in of_verdict if one.label == verdict]
        sample = TrialSample.of_all(verdict, wrong, right, self.selections)
        return self.trials.weighed(sample, before, self._verdicts(chosen), candidate.record.text or "", level)

    def accept(self, chosen: Sequence[Candidate], weighed: Sequence[Trial]) -> list[AppliedOperation]:
        """Take the chosen into the guidance; what is known of its trials begins anew."""
        keys = sorted(one.ticket_key for one in self.selections)
        applied = []
        for candidate, trial in zip(chosen, weighed, strict=True):
            self.trials.guidance, key = self._added(self.trials.guidance, candidate)
            trial = trial.model_copy(update={"tickets": keys})
            applied.append(AppliedOperation(op=candidate.record, key=key, trial=trial))
        self.trials.guidance = tried(self.trials.guidance, 0)
        return applied

    def _verdicts(self, candidates: Sequence[Candidate]) -> dict[str, str]:
        """Verdicts with some candidates in the guidance, each set asked once."""
        name = _name_of(candidates)
        if name not in self._known:
            self._known[name] = self._alone | self.trials.judge.verdicts(self._open, self._with(candidates))
        return self._known[name]

    def _with(self, candidates: Sequence[Candidate]) -> MissionGuidance:
        guidance = self.trials.guidance
        for candidate in candidates:
            guidance, _ = self._added(guidance, candidate)
        return guidance

    def _added(self, guidance: MissionGuidance, candidate: Candidate) -> tuple[MissionGuidance, str | None]:
        return of_record(candidate.record).apply(guidance, self.name, self.trials.round)


def _name_of(candidates: Sequence[Candidate]) -> frozenset[str]:
    return frozenset(candidate.record.text or "" for candidate in candidates)
