"""One round of learning: credit rules, drop failing ones, reflect on errors, try proposals, keep what explains errors."""

import hashlib
from collections.abc import Mapping, Sequence

from tools.core.config import ReflectConfig
from tools.core.engines import Decode, Engine
from tools.core.guidance import change, credit, details_of, failing_rules, normal, refusal, refuse, remove, settle, tally
from tools.core.progress import progress
from tools.core.prompts import reflect_system, stage_b_system, stage_b_user
from tools.core.records import MUTE_TRIAL, AppliedOperation, MissionGuidance, Operation, Reflection, RejectedOperation, Selection, StageA, Trial
from tools.core.reflection import DIRECTIONS, Answer, Group, answer_schema, groups_of, read_completion
from tools.core.trial import Sample, does_harm, does_nothing, draw_sample, verdict_on, weigh
from tools.core.windows import Place


class Learner:
    """State of one round: the guidance as it changes, and verdicts of trial tickets under it."""

    def __init__(self, cfg: ReflectConfig, engine: Engine, guidance: MissionGuidance, tickets: Mapping[str, StageA], selections: Sequence[Selection], round_number: int):
        self.cfg, self.engine, self.guidance, self.tickets, self.round = cfg, engine, guidance, tickets, round_number
        limits, seed = cfg.reflect.trial, f"{cfg.reflect.seed}/{round_number}"
        self.samples = {direction: draw_sample(selections, verdict, limits, seed) for direction, verdict in DIRECTIONS.items()}
        self.before: dict[str, dict[str, str]] = {}
        self.mute = False

    def verdicts(self, sample: Sample, guidance: MissionGuidance) -> dict[str, str]:
        """The likelier verdict of each sampled ticket under a guidance: ticket_key -> pass or fail (as it was, where the ticket does not fit).

        ``mute`` says afterwards that the engine named a verdict for none of them: such a trial shows nothing.
        """
        keys = [selection.ticket_key for selection in [*sample.errors, *sample.corrects]]
        system = stage_b_system(self.cfg.mission.name, guidance.experiences)
        judged = self.engine.judge(system, [stage_b_user(self.tickets[key].per_image) for key in keys])
        known = [{verdict: value for verdict, value in logprob.items() if value is not None} for logprob in judged]
        self.mute = bool(known) and not any(known)
        return {key: max(said, key=said.get) if said else sample.verdict for key, said in zip(keys, known, strict=True)}

    def consider(self, operation: Operation, direction: str, reflection_id: str, details: set[str]) -> AppliedOperation | RejectedOperation:
        """Check an operation, try it, and change the guidance where it is accepted."""
        section = self.cfg.reflect
        raw = operation.model_dump()
        if why := refusal(operation, self.guidance, details, section.max_rule_chars, section.max_rules):
            return RejectedOperation(op=raw, why=why)
        changed, key = change(self.guidance, operation, reflection_id, self.round)
        trial, after = self._try(changed, direction)
        if self.mute:
            return RejectedOperation(op=raw, why=f"{MUTE_TRIAL}: the engine named no verdict for any ticket it was tried on", trial=trial)
        why = verdict_on(trial, section.trial)
        if operation.op == "merge" and does_nothing(trial):
            why = None  # a merge has to keep verdicts, not to mend them
        if why is None and operation.op in ("update", "merge"):
            why = self._loss_elsewhere(changed, direction)
        if why is None:
            self.guidance, self.before = changed, {direction: after}
            return AppliedOperation(op=operation, key=key, trial=trial)
        remembered = operation.op in ("add", "update", "merge") and does_harm(trial)
        if remembered:
            self.guidance = refuse(self.guidance, operation.text, why)
        return RejectedOperation(op=raw, why=why, trial=trial, remembered=remembered)

    def _loss_elsewhere(self, changed: MissionGuidance, direction: str) -> str | None:
        """Why a replaced text is missed: it may have worked on tickets of the other verdict, which its trial did not hold. None where it is not."""
        (other,) = set(DIRECTIONS) - {direction}
        trial, _ = self._try(changed, other)
        if trial.precision is None or trial.precision >= 0.5:
            return None
        return f"breaks_other_verdicts: fixed {len(trial.fixed)}, broke {len(trial.broke)}"

    def _try(self, changed: MissionGuidance, direction: str) -> tuple[Trial, dict[str, str]]:
        sample = self.samples[direction]
        if direction not in self.before:
            self.before[direction] = self.verdicts(sample, self.guidance)
        after = self.verdicts(sample, changed)
        return weigh(sample, self.before[direction], after), after


def learn(
    cfg: ReflectConfig, engine: Engine, guidance: MissionGuidance, tickets: Mapping[str, StageA], selections: Sequence[Selection], place: Place, round_number: int
) -> tuple[list[Reflection], MissionGuidance]:
    """Run one round of learning. Returns its reflection records (life cycle first, then one a call) and the guidance after it."""
    before = guidance
    tallies = tally(guidance, selections)
    guidance = credit(guidance, tallies)
    leaving = failing_rules(guidance, cfg.life_cycle)
    if leaving:
        guidance = remove(guidance, leaving, "confidence below threshold", round_number)
    life = Reflection(
        reflection_id=f"r{round_number:04d}-life", round=round_number, epoch=place.epoch, ticket_keys=[], directions={},
        prompt_digest="", raw_response="", operations=[], unexplainable=[], applied=[], rejected=[],
        tallies=tallies, cleaned_up=leaving, before_step=before.step, after_step=guidance.step,
    )  # fmt: skip

    section = cfg.reflect
    system = reflect_system(cfg.mission.name, guidance.experiences)
    groups = groups_of(selections, tickets, section, f"{section.seed}/{round_number}", engine.count_tokens)
    decodes = [Decode(section.temperature, section.top_p, section.max_new_tokens, _call_seed(section.seed, round_number, call)) for call in range(len(groups))]
    schema = answer_schema(list(guidance.metadata), max((len(group.tickets) for group in groups), default=1), section.max_rule_chars) if section.grammar else None
    completions = engine.complete(system, [group.user for group in groups], decodes, json_schema=schema) if groups else []
    answers = [read_completion(completion, [ticket.ticket_key for ticket in group.tickets]) for group, completion in zip(groups, completions, strict=True)]

    learner = Learner(cfg, engine, guidance, tickets, selections, round_number)
    outcomes = _consider_all(learner, groups, answers)
    records = [life]
    for call, (group, completion, answer) in enumerate(zip(groups, completions, answers, strict=True)):
        applied, rejected, step_before, step_after = outcomes[call]
        records.append(
            Reflection(
                reflection_id=_reflection_id(round_number, call), round=round_number, epoch=place.epoch,
                ticket_keys=[ticket.ticket_key for ticket in group.tickets], directions={group.direction: len(group.tickets)},
                prompt_digest=hashlib.sha256(f"{system}\0{group.user}".encode()).hexdigest()[:16], raw_response=completion.text or getattr(completion, "detail", ""),
                operations=answer.operations, unexplainable=answer.unexplainable, applied=applied,
                rejected=[*answer.rejected, *rejected], cleaned_up=[], before_step=step_before, after_step=step_after,
                unreadable=answer.unreadable, forgiven=answer.forgiven,
            )  # fmt: skip
        )
    return records, settle(before, learner.guidance)


def _consider_all(learner: Learner, groups: Sequence[Group], answers: Sequence[Answer]) -> list[tuple[list, list, int, int]]:
    """Consider every proposal in call order, each text once; (applied, rejected, step before, step after) a call."""
    details = details_of(ticket for group in groups for ticket in group.tickets)
    seen: set[tuple] = set()
    tried, outcomes = 0, []
    with progress(f"reflect {learner.round:04d}", sum(len(answer.operations) for answer in answers), unit="proposals") as bar:
        for call, (group, answer) in enumerate(zip(groups, answers, strict=True)):
            applied, rejected, step_before = [], [], learner.guidance.step
            for operation in answer.operations:
                bar.update()
                same = (operation.op, operation.key, tuple(sorted(operation.keys)), normal(operation.text or ""), group.direction)
                if same in seen or tried >= learner.cfg.reflect.max_operations:
                    rejected.append(RejectedOperation(op=operation.model_dump(), why="proposed_twice_this_round" if same in seen else "too_many_this_round"))
                    continue
                seen.add(same)
                outcome = learner.consider(operation, group.direction, _reflection_id(learner.round, call), details)
                tried += outcome.trial is not None
                (applied if isinstance(outcome, AppliedOperation) else rejected).append(outcome)
            outcomes.append((applied, rejected, step_before, learner.guidance.step))
    return outcomes


def _reflection_id(round_number: int, call: int) -> str:
    return f"r{round_number:04d}-{call + 1:02d}"


def _call_seed(seed: int, round_number: int, call: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{round_number}/{call}".encode()).digest()[:4]) >> 1
