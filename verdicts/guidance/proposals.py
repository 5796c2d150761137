"""Considering proposals: each is checked, tried on tickets, and changes the guidance where the trial accepts it."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from verdicts.base.progress import progress
from verdicts.config.tools import ReflectConfig
from verdicts.engines import Engine
from verdicts.facts.features import features, of_photos, reason_features
from verdicts.guidance.operations import RuleOperation, of_record
from verdicts.guidance.reflection import DIRECTIONS, ErrorGroup, ReflectionAnswer
from verdicts.guidance.rule_text import counts_photos, details_of, foreign_object, normal, photo_class
from verdicts.guidance.rules import refuse, tried
from verdicts.guidance.sample import TrialSample, draw_sample
from verdicts.guidance.trial import counts, does_harm, does_nothing, verdict_on, weigh
from verdicts.records.guidance import MissionGuidance
from verdicts.records.reflection import MUTE_TRIAL, AppliedOperation, Direction, Operation, RejectedOperation, Trial
from verdicts.records.rollout import Selection
from verdicts.records.tickets import StageA
from verdicts.stage_b.prompts import Prompts
from verdicts.stage_b.selection import OVERRIDE
from verdicts.stage_b.threshold import judged_verdict, threshold_of
from verdicts.stats.contrast import Contrast, contrasts
from verdicts.stats.exact_test import level_of


class Judge:
    """Asks the engine for verdicts under some guidance. ``mute``: it named none for any ticket of the last call.

    ``threshold``: the P(fail) from which on a ticket fails, as in rollout; None: the likelier verdict.
    """

    def __init__(self, prompts: Prompts, engine: Engine, tickets: Mapping[str, StageA], threshold: float | None):
        self.prompts, self.engine, self.tickets, self.mute = prompts, engine, tickets, False
        self.threshold = threshold

    def verdicts(self, selections: Sequence[Selection], guidance: MissionGuidance) -> dict[str, str]:
        """The verdict of each ticket: ticket_key -> pass or fail, as it was where the ticket does not fit."""
        system = self.prompts.stage_b_system(guidance.experiences)
        users = [self.prompts.stage_b_user(self.tickets[selection.ticket_key].per_image) for selection in selections]
        known = [judged_verdict(logprob, self.threshold) for logprob in self.engine.judge(system, users)]
        self.mute = bool(known) and not any(known)
        return {seen.ticket_key: said or seen.verdict for seen, said in zip(selections, known, strict=True)}


class Trials:
    """The trials of one round: the guidance as it changes, and verdicts of trial tickets under it.

    ``growing``: there will be more tickets to try on in the next round.
    """

    def __init__(
        self,
        cfg: ReflectConfig,
        prompts: Prompts,
        engine: Engine,
        guidance: MissionGuidance,
        tickets: Mapping[str, StageA],
        selections: Sequence[Selection],
        shown: Collection[str],
        growing: bool,
        round_number: int,
    ):
        self.cfg, self.guidance, self.tickets, self.round = cfg, guidance, tickets, round_number
        self.selections, self.shown, self.growing = selections, shown, growing
        self.judge = Judge(prompts, engine, tickets, threshold_of(cfg.rollout))
        self.seen: set[tuple[object, ...]] = set()  # names of proposals considered
        self.count = 0  # of those tried
        self._settled: set[Direction] = set()  # directions against which one was accepted
        self._samples: dict[Direction, TrialSample] = {}
        self._known: dict[str, str] = {}  # verdicts under the guidance as it is

    def contrasts(self) -> dict[Direction, list[Contrast]]:
        """What sets errors apart from right verdicts under the guidance as it is, by direction of error."""
        section, most = self.cfg.reflect.contrast, self.cfg.reflect.trial.photo_classes
        said = [selection for selection in self.selections if OVERRIDE not in selection.warnings]
        now = self.verdicts_now(said)
        held = {
            one.ticket_key: features(self.tickets[one.ticket_key].per_image, most) | reason_features(one.reason)
            for one in said
        }
        photos = {key: photo_class(self.tickets[key], most) for key in held}
        by_number = {of_photos(n, fewer) for n in range(2, most + 1) for fewer in (True, False)}
        found = {}
        for direction, verdict in DIRECTIONS.items():
            of_verdict = [one for one in said if now[one.ticket_key] == verdict]
            wrong = [one.ticket_key for one in of_verdict if one.label != verdict]
            right = [one.ticket_key for one in of_verdict if one.label == verdict]
            found[direction] = contrasts(held, wrong, right, photos, by_number, section.level)[: section.features]
        return found

    def show(self, keys: Collection[str]) -> None:
        """Reflection is shown more tickets: proposals are tried on others, drawn anew."""
        self.shown = {*self.shown, *keys}
        self._samples.clear()

    def seeks(self, direction: Direction) -> bool:
        """Whether errors of a direction are still without a proposal that explains them, and one more may be tried."""
        return direction not in self._settled and self.count < self.cfg.reflect.max_operations

    def sample(self, direction: Direction) -> TrialSample:
        """The tickets that proposals against one direction of error are tried on, drawn when the first one comes."""
        if direction not in self._samples:
            limits, seed = self.cfg.reflect.trial, f"{self.cfg.reflect.seed}/{self.round}"
            self._samples[direction] = draw_sample(
                self.selections, DIRECTIONS[direction], limits, seed, self.shown, self._standing
            )
        return self._samples[direction]

    def _standing(self, selections: Sequence[Selection]) -> list[Selection]:
        """Those whose verdict still is what it was: guidance may have changed since."""
        now = self.verdicts_now(selections)
        return [selection for selection in selections if now[selection.ticket_key] == selection.verdict]

    def verdicts_now(self, selections: Sequence[Selection]) -> dict[str, str]:
        """Verdicts under the guidance as it is, each ticket asked once: ticket_key -> verdict, of others too."""
        new = [selection for selection in selections if selection.ticket_key not in self._known]
        self._known |= self.judge.verdicts(new, self.guidance) if new else {}
        return self._known

    def consider(
        self, record: Operation, group: ErrorGroup, reflection_id: str, details: set[str]
    ) -> AppliedOperation | RejectedOperation:
        """Check an operation, try it, and change the guidance where it is accepted."""
        direction = group.direction
        operation, raw = of_record(record), record.model_dump()
        section = self.cfg.reflect
        if why := operation.refusal(self.guidance, details, section):
            return RejectedOperation(op=raw, why=why)
        changed, key = operation.apply(self.guidance, reflection_id, self.round)
        wanted = max(section.trial.explains, len(group.tickets) // 2 + 1 if group.shared else 0)
        if wanted and not operation.may_do_nothing and (mended := self._mended(changed, group)) < wanted:
            why = f"explains_too_few: {mended} of {len(group.tickets)} cases" if mended else "explains_no_case"
            return RejectedOperation(op=raw, why=why)
        trial, after = self._try(changed, direction, operation.text)
        if self.judge.mute:  # such a trial shows nothing, and costs nothing
            why = f"{MUTE_TRIAL}: the engine named no verdict for any ticket it was tried on"
            return RejectedOperation(op=raw, why=why, trial=trial)
        paid = counts(trial, section.trial) and not self.growing
        self.guidance = tried(self.guidance, self.guidance.trials + paid)
        refused = self._verdict(operation, trial, changed, direction)
        if refused is None:
            self.guidance = changed if does_nothing(trial) else tried(changed, 0)
            self._known = after
            self._settled.add(direction)
            return AppliedOperation(op=record, key=key, trial=trial.model_copy(update={"tickets": sorted(after)}))
        remembered = bool(operation.text) and does_harm(trial, section.trial)
        if remembered:
            self.guidance = refuse(self.guidance, operation.text, refused)
        return RejectedOperation(op=raw, why=refused, trial=trial, remembered=remembered)

    def _mended(self, changed: MissionGuidance, group: ErrorGroup) -> int:
        """How many of the cases that a proposal was made of it turns."""
        keys, verdict = {ticket.ticket_key for ticket in group.tickets}, DIRECTIONS[group.direction]
        shown = [selection for selection in self.selections if selection.ticket_key in keys]
        now = self.verdicts_now(shown)
        shown = [selection for selection in shown if now[selection.ticket_key] == verdict]
        return sum(said != verdict for said in self.judge.verdicts(shown, changed).values())

    def _verdict(
        self, operation: RuleOperation, trial: Trial, changed: MissionGuidance, direction: Direction
    ) -> str | None:
        """Why a tried operation is refused, or None where it is accepted."""
        why = verdict_on(trial, self.cfg.reflect.trial, self.cfg.life_cycle)
        if why and not (operation.may_do_nothing and does_nothing(trial)):
            return why
        return self._loss_elsewhere(changed, direction) if operation.replaces else None

    def _loss_elsewhere(self, changed: MissionGuidance, direction: Direction) -> str | None:
        """Why a replaced text is missed, or None where it is not.

        It may have worked on tickets of the other verdict, which the trial of the new one did not hold.
        """
        (other,) = set(DIRECTIONS) - {direction}
        trial, _ = self._try(changed, other)
        if trial.precision is None or trial.precision >= self.cfg.reflect.trial.min_elsewhere:
            return None
        return f"breaks_other_verdicts: fixed {len(trial.fixed)}, broke {len(trial.broke)}"

    def _try(self, changed: MissionGuidance, direction: Direction, text: str = "") -> tuple[Trial, dict[str, str]]:
        """The trial of changed guidance, and the verdicts under it. ``text``: that of the operation, "" for none."""
        sample = self.sample(direction)
        drawn = [*sample.errors, *sample.corrects]
        before = dict(self.verdicts_now(drawn))
        after = self.judge.verdicts(drawn, changed)
        return self.weighed(sample, before, after, text), after

    def weighed(
        self,
        sample: TrialSample,
        before: Mapping[str, str],
        after: Mapping[str, str],
        text: str,
        level: float | None = None,
    ) -> Trial:
        """The trial that verdicts before and after a change are (ticket_key -> verdict).

        ``text``: that of the operation, "" for none. ``level``: where it is not that of the round's next trial.
        """
        section = self.cfg.reflect
        foreign = foreign_object(text, self.guidance.experiences["G0"], section.words) if text else None
        photos = None
        if text and not counts_photos(text, section.words):
            photos = {key: photo_class(self.tickets[key], section.trial.photo_classes) for key in after}
        noise = self.cfg.life_cycle.label_noise
        level = (self._level() if level is None else level) * (section.trial.foreign if foreign else 1)
        return weigh(sample, before, after, noise=noise, level=level, foreign=foreign, photos=photos)

    def _level(self) -> float:
        """The level of the next trial."""
        limits = self.cfg.reflect.trial
        return limits.early if self.growing else level_of(self.guidance.trials, limits.spend, limits.discard)


class CallOutcome(NamedTuple):
    """What became of the proposals of one reflection call: steps of the guidance, and ``trials`` after it."""

    applied: list[AppliedOperation]
    rejected: list[RejectedOperation]
    step_before: int
    step_after: int
    trials: int


def consider_all(
    trials: Trials, groups: Sequence[ErrorGroup], answers: Sequence[ReflectionAnswer], reflection_ids: Sequence[str]
) -> list[CallOutcome]:
    """Consider every proposal in call order, each text once, at most ``max_operations`` trials a round."""
    section = trials.cfg.reflect
    details = details_of((ticket for group in groups for ticket in group.tickets), section.details)
    outcomes = []
    with progress(
        f"reflect {trials.round:04d}", sum(len(answer.operations) for answer in answers), unit="proposals"
    ) as bar:
        for reflection_id, group, answer in zip(reflection_ids, groups, answers, strict=True):
            outcome = CallOutcome([], [], trials.guidance.step, 0, 0)
            for record in answer.operations:
                bar.update()
                same = _name(record, group.direction)
                if same in trials.seen or trials.count >= section.max_operations:
                    why = "proposed_twice_this_round" if same in trials.seen else "too_many_this_round"
                    outcome.rejected.append(RejectedOperation(op=record.model_dump(), why=why))
                    continue
                trials.seen.add(same)
                considered = trials.consider(record, group, reflection_id, details)
                trials.count += considered.trial is not None
                if isinstance(considered, AppliedOperation):
                    outcome.applied.append(considered)
                else:
                    outcome.rejected.append(considered)
            now = trials.guidance
            outcomes.append(outcome._replace(step_after=now.step, trials=now.trials))
    return outcomes


def _name(record: Operation, direction: Direction) -> tuple[object, ...]:
    """What two proposals that say the same have in common."""
    return record.op, record.key, tuple(sorted(record.keys)), normal(record.text or ""), direction
