"""One round of learning: credit rules, drop those that fail, reflect on errors, try proposals, keep what explains
errors.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from verdicts.base.progress import progress
from verdicts.config.tools import ReflectConfig
from verdicts.engines import Decode, Engine
from verdicts.guidance.credit import Birth, births, leaving, likelier, tallies_of
from verdicts.guidance.reflection import DIRECTIONS, Answer, Group, answer_schema, groups_of, read_completion
from verdicts.guidance.rules import change, credit, details_of, normal, refusal, refuse, remove, settle, tried
from verdicts.guidance.trial import (
    Sample,
    counts,
    counts_photos,
    does_harm,
    does_nothing,
    draw_sample,
    foreign_object,
    level_of,
    photo_class,
    verdict_on,
    weigh,
)
from verdicts.records.guidance import MissionGuidance
from verdicts.records.reflection import MUTE_TRIAL, AppliedOperation, Operation, Reflection, RejectedOperation, Trial
from verdicts.records.rollout import Selection
from verdicts.records.tickets import StageA
from verdicts.rounds.holdout import to_learn_from
from verdicts.rounds.windows import Place
from verdicts.stage_b.prompts import reflect_system, stage_b_system, stage_b_user


class Past(NamedTuple):
    """What a round knows of the rounds before it.

    ``selections``: those of the last ``windows`` rounds, the latest first, which proposals are tried on too. ``lives``:
    life-cycle records by round, over an epoch's worth of rounds. ``born``: what the rules in force were learnt from.
    """

    selections: Sequence[Selection] = ()
    windows: int = 0
    lives: Mapping[int, Reflection] = {}
    born: Mapping[str, Birth] = {}

    @classmethod
    def of(cls, selections: Sequence[Sequence[Selection]], reflections: Mapping[int, Sequence[Reflection]]) -> "Past":
        """From the selections of the rounds to try on, the latest first, and reflection records by round, oldest first."""
        lives = {number: records[0] for number, records in reflections.items()}
        born = births(record for records in reflections.values() for record in records)
        return cls([selection for rows in selections for selection in rows], len(selections), lives, born)


class Learner:
    """State of one round: the guidance as it changes, and verdicts of trial tickets under it."""

    def __init__(
        self,
        cfg: ReflectConfig,
        engine: Engine,
        guidance: MissionGuidance,
        tickets: Mapping[str, StageA],
        selections: Sequence[Selection],
        shown: Collection[str],
        growing: bool,
        round_number: int,
    ):
        self.cfg, self.engine, self.guidance, self.tickets, self.round = cfg, engine, guidance, tickets, round_number
        self.selections, self.shown = selections, shown
        self.growing = growing  # there will be more tickets to try on in the next round
        self.mute = False
        self._samples: dict[str, Sample] = {}
        self._known: dict[str, str] = {}  # verdicts under the guidance as it is

    def sample(self, direction: str) -> Sample:
        """The tickets that proposals against one direction of error are tried on, drawn when the first one comes."""
        if direction not in self._samples:
            limits, seed = self.cfg.reflect.trial, f"{self.cfg.reflect.seed}/{self.round}"
            self._samples[direction] = draw_sample(
                self.selections, DIRECTIONS[direction], limits, seed, self.shown, self._standing
            )
        return self._samples[direction]

    def _standing(self, selections: Sequence[Selection]) -> list[Selection]:
        """Those whose verdict still is what it was: guidance may have changed since."""
        now = self._now(selections)
        return [selection for selection in selections if now[selection.ticket_key] == selection.verdict]

    def _now(self, selections: Sequence[Selection]) -> dict[str, str]:
        """Verdicts under the guidance as it is, each ticket asked once."""
        new = [selection for selection in selections if selection.ticket_key not in self._known]
        self._known |= self.verdicts(new, self.guidance) if new else {}
        return self._known

    def verdicts(self, selections: Sequence[Selection], guidance: MissionGuidance) -> dict[str, str]:
        """The likelier verdict of each ticket under a guidance: ticket_key -> pass or fail (as it was, where the ticket
        does not fit).

        ``mute`` says afterwards that the engine named a verdict for none of them: such a trial shows nothing.
        """
        system = stage_b_system(self.cfg.mission.name, guidance.experiences)
        judged = self.engine.judge(
            system, [stage_b_user(self.tickets[selection.ticket_key].per_image) for selection in selections]
        )
        known = [likelier(logprob) for logprob in judged]
        self.mute = bool(known) and not any(known)
        return {seen.ticket_key: said or seen.verdict for seen, said in zip(selections, known, strict=True)}

    def consider(
        self, operation: Operation, direction: str, reflection_id: str, details: set[str]
    ) -> AppliedOperation | RejectedOperation:
        """Check an operation, try it, and change the guidance where it is accepted."""
        section = self.cfg.reflect
        raw = operation.model_dump()
        if why := refusal(operation, self.guidance, details, section.max_rule_chars, section.max_rules):
            return RejectedOperation(op=raw, why=why)
        changed, key = change(self.guidance, operation, reflection_id, self.round)
        trial, after = self._try(changed, direction, operation.text)
        if self.mute:
            return RejectedOperation(
                op=raw, why=f"{MUTE_TRIAL}: the engine named no verdict for any ticket it was tried on", trial=trial
            )
        self.guidance = tried(self.guidance, self.guidance.trials + (counts(trial) and not self.growing))
        why = verdict_on(trial, section.trial, self.cfg.life_cycle)
        if operation.op == "merge" and does_nothing(trial):
            why = None  # a merge has to keep verdicts, not to mend them
        if why is None and operation.op in ("update", "merge"):
            why = self._loss_elsewhere(changed, direction)
        if why is None:
            self.guidance = changed if does_nothing(trial) else tried(changed, 0)
            self._known = after
            return AppliedOperation(op=operation, key=key, trial=trial.model_copy(update={"tickets": sorted(after)}))
        remembered = operation.op in ("add", "update", "merge") and does_harm(trial)
        if remembered:
            self.guidance = refuse(self.guidance, operation.text, why)
        return RejectedOperation(op=raw, why=why, trial=trial, remembered=remembered)

    def _loss_elsewhere(self, changed: MissionGuidance, direction: str) -> str | None:
        """Why a replaced text is missed: it may have worked on tickets of the other verdict, which its trial did not
        hold. None where it is not.
        """
        (other,) = set(DIRECTIONS) - {direction}
        trial, _ = self._try(changed, other)
        if trial.precision is None or trial.precision >= 0.5:
            return None
        return f"breaks_other_verdicts: fixed {len(trial.fixed)}, broke {len(trial.broke)}"

    def _try(self, changed: MissionGuidance, direction: str, text: str | None = None) -> tuple[Trial, dict[str, str]]:
        sample = self.sample(direction)
        drawn = [*sample.errors, *sample.corrects]
        before = dict(self._now(drawn))
        after = self.verdicts(drawn, changed)
        limits = self.cfg.reflect.trial
        foreign = foreign_object(text, self.guidance.experiences["G0"]) if text else None
        level = (limits.early if self.growing else level_of(self.guidance.trials, limits.spend)) * (
            limits.foreign if foreign else 1
        )
        photos = {key: photo_class(self.tickets[key]) for key in after} if text and not counts_photos(text) else None
        return weigh(
            sample, before, after, noise=self.cfg.life_cycle.label_noise, level=level, foreign=foreign, photos=photos
        ), after


def learn(
    cfg: ReflectConfig,
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
    before = guidance
    selections = to_learn_from(selections, cfg.learn)
    tallies = tallies_of(cfg.mission.name, guidance, selections, tickets, engine, past.born)
    guidance = credit(guidance, tallies)
    seen = Counter(f"{selection.label}/{selection.verdict}" for selection in selections)
    life = Reflection(
        reflection_id=f"r{round_number:04d}-life", round=round_number, epoch=place.epoch, ticket_keys=[], directions={},
        prompt_digest="", raw_response="", operations=[], unexplainable=[], applied=[], rejected=[],
        tallies=tallies, verdicts=dict(sorted(seen.items())), cleaned_up=[], before_step=before.step, after_step=before.step,
    )  # fmt: skip
    left = leaving(
        guidance, {**past.lives, round_number: life}, past.born, cfg.life_cycle, round_number, place.rounds_per_epoch
    )
    if left:
        guidance = remove(guidance, left, round_number)
    life = life.model_copy(update={"cleaned_up": list(left), "left": left, "after_step": guidance.step})

    section = cfg.reflect
    system = reflect_system(cfg.mission.name, guidance.experiences)
    groups = groups_of(selections, tickets, section, f"{section.seed}/{round_number}", engine.count_tokens)
    decodes = [
        Decode(section.temperature, section.top_p, section.max_new_tokens, _call_seed(section.seed, round_number, call))
        for call in range(len(groups))
    ]
    schema = (
        answer_schema(
            list(guidance.metadata), max((len(group.tickets) for group in groups), default=1), section.max_rule_chars
        )
        if section.grammar
        else None
    )
    completions = (
        engine.complete(system, [group.user for group in groups], decodes, json_schema=schema) if groups else []
    )
    answers = [
        read_completion(completion, [ticket.ticket_key for ticket in group.tickets])
        for group, completion in zip(groups, completions, strict=True)
    ]

    shown = {ticket.ticket_key for group in groups for ticket in group.tickets}
    latest = {
        selection.ticket_key: selection
        for selection in reversed([*selections, *to_learn_from(past.selections, cfg.learn)])
    }
    growing = 1 + past.windows < min(section.trial.rounds, place.rounds_per_epoch)
    learner = Learner(cfg, engine, guidance, tickets, list(latest.values()), shown, growing, round_number)
    outcomes = _consider_all(learner, groups, answers)
    records = [life]
    for call, (group, completion, answer) in enumerate(zip(groups, completions, answers, strict=True)):
        applied, rejected, step_before, step_after, spent = outcomes[call]
        records.append(
            Reflection(
                reflection_id=_reflection_id(round_number, call),
                round=round_number,
                epoch=place.epoch,
                ticket_keys=[ticket.ticket_key for ticket in group.tickets],
                directions={group.direction: len(group.tickets)},
                prompt_digest=hashlib.sha256(f"{system}\0{group.user}".encode()).hexdigest()[:16],
                raw_response=completion.text or getattr(completion, "detail", ""),
                operations=answer.operations,
                unexplainable=answer.unexplainable,
                applied=applied,
                rejected=[*answer.rejected, *rejected],
                cleaned_up=[],
                before_step=step_before,
                after_step=step_after,
                trials=spent,
                unreadable=answer.unreadable,
                forgiven=answer.forgiven,
            )  # fmt: skip
        )
    return records, settle(before, learner.guidance)


def _consider_all(
    learner: Learner, groups: Sequence[Group], answers: Sequence[Answer]
) -> list[tuple[list, list, int, int, int]]:
    """Consider every proposal in call order, each text once; (applied, rejected, step before, step after, trials after)
    a call.
    """
    details = details_of(ticket for group in groups for ticket in group.tickets)
    seen: set[tuple] = set()
    tried, outcomes = 0, []
    with progress(
        f"reflect {learner.round:04d}", sum(len(answer.operations) for answer in answers), unit="proposals"
    ) as bar:
        for call, (group, answer) in enumerate(zip(groups, answers, strict=True)):
            applied, rejected, step_before = [], [], learner.guidance.step
            for operation in answer.operations:
                bar.update()
                same = (
                    operation.op,
                    operation.key,
                    tuple(sorted(operation.keys)),
                    normal(operation.text or ""),
                    group.direction,
                )
                if same in seen or tried >= learner.cfg.reflect.max_operations:
                    rejected.append(
                        RejectedOperation(
                            op=operation.model_dump(),
                            why="proposed_twice_this_round" if same in seen else "too_many_this_round",
                        )
                    )
                    continue
                seen.add(same)
                outcome = learner.consider(operation, group.direction, _reflection_id(learner.round, call), details)
                tried += outcome.trial is not None
                (applied if isinstance(outcome, AppliedOperation) else rejected).append(outcome)
            outcomes.append((applied, rejected, step_before, learner.guidance.step, learner.guidance.trials))
    return outcomes


def _reflection_id(round_number: int, call: int) -> str:
    return f"r{round_number:04d}-{call + 1:02d}"


def _call_seed(seed: int, round_number: int, call: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{round_number}/{call}".encode()).digest()[:4]) >> 1
