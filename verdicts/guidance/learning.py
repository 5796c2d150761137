"""One round of learning: credit rules, drop those that fail, reflect on errors, keep proposals that explain errors."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from verdicts.base.seeding import seeded_int
from verdicts.config.tools import ReflectConfig
from verdicts.engines import Completion, Decode, Engine
from verdicts.guidance.credit import tallies_of
from verdicts.guidance.leaving import leaving
from verdicts.guidance.past import Past
from verdicts.guidance.pool import refused_additions, try_together
from verdicts.guidance.proposals import CallOutcome, Trials, consider_all
from verdicts.guidance.reflection import (
    ErrorGroup,
    ReflectionAnswer,
    answer_schema,
    groups_of,
    groups_of_alike,
    read_completion,
)
from verdicts.guidance.rules import credit, end_round, remove
from verdicts.records.guidance import MissionGuidance
from verdicts.records.reflection import Direction, Reflection
from verdicts.records.rollout import Selection
from verdicts.records.tickets import StageA
from verdicts.rounds.holdout import to_learn_from
from verdicts.rounds.windows import Place
from verdicts.stage_b.prompts import Prompts
from verdicts.stage_b.threshold import threshold_of


class LearningRound(NamedTuple):
    """Where a round of learning stands and what it works with; ``selections``: of tickets that are not held out."""

    cfg: ReflectConfig
    prompts: Prompts
    engine: Engine
    tickets: Mapping[str, StageA]
    selections: Sequence[Selection]
    past: Past
    place: Place
    number: int

    @property
    def growing(self) -> bool:
        """Whether the next round will have more windows to try proposals on."""
        return 1 + self.past.windows < min(self.cfg.reflect.trial.rounds, self.place.rounds_per_epoch)

    @property
    def to_try_on(self) -> list[Selection]:
        """The latest selection of each ticket, of this round and of those before it."""
        older = to_learn_from(self.past.selections, self.cfg.learn)
        return list({row.ticket_key: row for row in reversed([*self.selections, *older])}.values())


class ReflectionCall(NamedTuple):
    """One reflection call: its system message, what was shown, and what came back."""

    system: str
    group: ErrorGroup
    completion: Completion
    answer: ReflectionAnswer


def learn(
    cfg: ReflectConfig,
    prompts: Prompts,
    engine: Engine,
    guidance: MissionGuidance,
    tickets: Mapping[str, StageA],
    selections: Sequence[Selection],
    past: Past,
    place: Place,
    round_number: int,
) -> tuple[list[Reflection], MissionGuidance]:
    """Run one round of learning on the tickets that are not held out.

    Returns its reflection records (life cycle first, then one a call) and the guidance after it.
    """
    this = LearningRound(cfg, prompts, engine, tickets, to_learn_from(selections, cfg.learn), past, place, round_number)
    life, now = _live(this, guidance)
    draws = [_groups(this, draw) for draw in range(cfg.reflect.draws)]
    shown = {ticket.ticket_key for groups in draws for group in groups for ticket in group.tickets}
    trials = Trials(cfg, prompts, engine, now, tickets, this.to_try_on, shown, this.growing, round_number)
    records = [life]
    for groups in draws:
        records += _show(this, trials, [group for group in groups if trials.seeks(group.direction)], len(records))
    if this.place.ends_epoch:
        records += _contrast(this, trials, len(records))
        records += _pool(this, trials, records)
    return records, end_round(guidance, trials.guidance)


def _show(this: LearningRound, trials: Trials, groups: Sequence[ErrorGroup], first: int) -> list[Reflection]:
    """The records of reflection on some groups, numbered from ``first``, and of what became of their proposals."""
    calls = _reflect(this, trials, groups, first - 1)
    names = [f"r{this.number:04d}-{call:02d}" for call in range(first, first + len(calls))]
    outcomes = consider_all(trials, [call.group for call in calls], [call.answer for call in calls], names)
    return [_record(this, *parts) for parts in zip(names, calls, outcomes, strict=True)]


def _contrast(this: LearningRound, trials: Trials, first: int) -> list[Reflection]:
    """At an epoch's end, the records of reflection on errors that share what right verdicts lack, while any do.

    As many proposals as in a round may be tried once more. What a model gave no readable answer to is not shown again.
    """
    section, records = this.cfg.reflect, list[Reflection]()
    unread: set[tuple[Direction, str]] = set()
    trials.count = 0
    for draw in range(section.contrast.draws if section.contrast.features else 0):
        seed = f"{section.seed}/{this.number}/{draw}"
        found = {
            direction: [one for one in contrasts if (direction, one.text) not in unread]
            for direction, contrasts in trials.contrasts().items()
        }
        groups = groups_of_alike(this.prompts, found, this.tickets, section, seed, this.engine.count_tokens)
        if not groups or trials.count >= section.max_operations:
            break
        trials.show({ticket.ticket_key for group in groups for ticket in group.tickets})
        drawn = _show(this, trials, groups, first + len(records))
        unread |= {
            (group.direction, group.shared) for group, record in zip(groups, drawn, strict=True) if record.unreadable
        }
        records += drawn
    return records


def _live(this: LearningRound, guidance: MissionGuidance) -> tuple[Reflection, MissionGuidance]:
    """The life-cycle record of a round, and the guidance with its rules credited and those that fail taken out."""
    cfg, before = this.cfg, guidance.step
    tallies = tallies_of(
        this.prompts, guidance, this.selections, this.tickets, this.engine, this.past.born, cfg.reflect,
        threshold_of(cfg.rollout),
    )  # fmt: skip
    guidance = credit(guidance, tallies)
    seen = Counter(f"{selection.label}/{selection.verdict}" for selection in this.selections)
    life = Reflection(
        reflection_id=f"r{this.number:04d}-life", round=this.number, epoch=this.place.epoch,
        ticket_keys=[], directions={}, prompt_digest="", raw_response="",
        operations=[], unexplainable=[], applied=[], rejected=[],
        tallies=tallies, verdicts=dict(sorted(seen.items())), cleaned_up=[], before_step=before, after_step=before,
    )  # fmt: skip
    lives = {**this.past.lives, this.number: life}
    left = leaving(guidance, lives, this.past.born, cfg.life_cycle, this.number, this.place.rounds_per_epoch)
    if left:
        guidance = remove(guidance, left, this.number)
    return life.model_copy(update={"cleaned_up": list(left), "left": left, "after_step": guidance.step}), guidance


def _pool(this: LearningRound, trials: Trials, records: Sequence[Reflection]) -> list[Reflection]:
    """At an epoch's end, the record of what it refused and is tried once more; none where there is nothing to try."""
    if not this.cfg.reflect.pool.candidates:
        return []
    epoch = [record for record in [*this.past.records, *records] if record.epoch == this.place.epoch]
    name, before = f"r{this.number:04d}-pool", trials.guidance.step
    pooled = try_together(trials, refused_additions(epoch), name)
    if pooled is None:
        return []
    now = trials.guidance
    return [
        Reflection(
            reflection_id=name, round=this.number, epoch=this.place.epoch, ticket_keys=[], directions={},
            prompt_digest="", raw_response="", operations=[], unexplainable=[], applied=pooled.applied,
            rejected=pooled.rejected, cleaned_up=[], before_step=before, after_step=now.step, trials=now.trials,
        )
    ]  # fmt: skip


def _groups(this: LearningRound, draw: int) -> list[ErrorGroup]:
    """The window's errors as they are shown for the ``draw``-th time."""
    section, count_tokens = this.cfg.reflect, this.engine.count_tokens
    seed = f"{section.seed}/{this.number}"
    return groups_of(this.prompts, this.selections, this.tickets, section, seed, count_tokens, draw)


def _reflect(this: LearningRound, trials: Trials, groups: Sequence[ErrorGroup], asked: int) -> list[ReflectionCall]:
    """Show groups of errors to the model, after ``asked`` others in this round, and read what it proposes."""
    if not groups:
        return []
    section, guidance = this.cfg.reflect, trials.guidance
    system = this.prompts.reflect_system(guidance.experiences)
    seeds = [_call_seed(section.seed, this.number, asked + call) for call in range(len(groups))]
    decodes = [Decode(section.temperature, section.top_p, section.max_new_tokens, seed) for seed in seeds]
    schema = None
    if section.grammar:
        cases = max(len(group.tickets) for group in groups)
        schema = answer_schema(list(guidance.metadata), cases, section.max_rule_chars)
    completions = this.engine.complete(
        system, [group.user(this.prompts) for group in groups], decodes, json_schema=schema
    )
    return [
        ReflectionCall(
            system, group, completion, read_completion(completion, [ticket.ticket_key for ticket in group.tickets])
        )
        for group, completion in zip(groups, completions, strict=True)
    ]


def _record(this: LearningRound, reflection_id: str, call: ReflectionCall, outcome: CallOutcome) -> Reflection:
    """The record of one reflection call."""
    system, group, completion, answer = call
    return Reflection(
        reflection_id=reflection_id,
        round=this.number,
        epoch=this.place.epoch,
        ticket_keys=[ticket.ticket_key for ticket in group.tickets],
        directions={group.direction: len(group.tickets)},
        prompt_digest=hashlib.sha256(f"{system}\0{group.user(this.prompts)}".encode()).hexdigest()[:16],
        raw_response=completion.text or completion.detail,
        operations=answer.operations,
        unexplainable=answer.unexplainable,
        applied=outcome.applied,
        rejected=[*answer.rejected, *outcome.rejected],
        cleaned_up=[],
        before_step=outcome.step_before,
        after_step=outcome.step_after,
        trials=outcome.trials,
        unreadable=answer.unreadable,
        forgiven=answer.forgiven,
        prompt=this.prompts.digest("reflect"),
        shared=group.shared,
    )


def _call_seed(seed: int, round_number: int, call: int) -> int:
    """A 31-bit seed for one reflection call."""
    return seeded_int(seed, round_number, call, bits=31)
