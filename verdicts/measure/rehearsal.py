"""The loop in memory: learn from some tickets, judge others, again and again, to see what learning itself does.

Nothing is written. Answers are kept by what was asked, so a loop that asks what an earlier one asked costs nothing.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from verdicts.config.sections import Config
from verdicts.config.tools import LoopConfig, ReflectConfig
from verdicts.engines import Completion, Decode, Engine
from verdicts.guidance.learning import learn
from verdicts.guidance.loop import status_of
from verdicts.guidance.past import Past
from verdicts.guidance.replay import start
from verdicts.records.guidance import MissionGuidance
from verdicts.records.reflection import Reflection
from verdicts.records.rollout import Selection, Trajectory
from verdicts.records.run import LoopStatus
from verdicts.records.tickets import StageA
from verdicts.rounds.trajectories import decodes_for, trajectories_of, without_probability
from verdicts.rounds.windows import Place, place_of, tickets_of
from verdicts.stage_b.prompts import load_prompts
from verdicts.stage_b.selection import select
from verdicts.stage_b.threshold import threshold_of
from verdicts.stats.rates import VerdictRates, verdict_rates


class Recall:
    """An engine that answers from memory what it was asked before.

    ``asked``: how many calls of each kind a caller made, answered from memory or not.
    """

    def __init__(self, engine: Engine):
        self.engine, self.fingerprint = engine, engine.fingerprint
        self.count_tokens, self.close = engine.count_tokens, engine.close
        self.asked = {"rollout": 0, "judge": 0, "complete": 0}
        self._answers: dict[tuple[str, str, tuple[Decode, ...]], list[Completion]] = {}
        self._verdicts: dict[tuple[str, str], dict[str, float | None]] = {}

    def rollout(
        self, system: str, users: Sequence[str], decodes: Sequence[Sequence[Decode]]
    ) -> Iterator[list[Completion]]:
        """As Engine.rollout."""
        self.asked["rollout"] += len(users)
        keys = [(system, user, tuple(grid)) for user, grid in zip(users, decodes, strict=True)]
        new = {
            key: (user, grid) for key, user, grid in zip(keys, users, decodes, strict=True) if key not in self._answers
        }
        if new:
            users, decodes = zip(*new.values(), strict=True)
            self._answers.update(zip(new, self.engine.rollout(system, users, decodes), strict=True))
        return iter([self._answers[key] for key in keys])

    def judge(self, system: str, users: Sequence[str]) -> list[dict[str, float | None]]:
        """As Engine.judge."""
        self.asked["judge"] += len(users)
        new = list(dict.fromkeys(user for user in users if (system, user) not in self._verdicts))
        if new:
            self._verdicts.update(zip(((system, user) for user in new), self.engine.judge(system, new), strict=True))
        return [self._verdicts[system, user] for user in users]

    def complete(
        self, system: str, users: Sequence[str], decodes: Sequence[Decode], json_schema: dict[str, Any] | None = None
    ) -> list[Completion]:
        """As Engine.complete."""
        self.asked["complete"] += len(users)
        return self.engine.complete(system, users, decodes, json_schema=json_schema)


class Rehearsed(NamedTuple):
    """A loop after a round, the last one or another. ``reflections[n]``: the records of round n + 1."""

    guidance: MissionGuidance
    status: LoopStatus
    reflections: list[list[Reflection]]

    @property
    def accepted(self) -> int:
        """How many proposals were accepted."""
        return sum(len(record.applied) for records in self.reflections for record in records)

    @property
    def rules(self) -> list[str]:
        """Texts of the learnable rules at the end."""
        return [text for key, text in self.guidance.experiences.items() if key != "G0"]


def rounds_in_memory(config: Config, engine: Engine, tickets: Sequence[StageA]) -> Iterator[Rehearsed]:
    """Run the loop on some tickets to its end: where it stands after each round."""
    reflect = ReflectConfig(**{name: getattr(config, name) for name in ReflectConfig.model_fields})
    loop = LoopConfig(window=config.window, loop=config.loop)
    prompts = load_prompts(config.prompts, config.mission)
    by_key = {ticket.ticket_key: ticket for ticket in tickets}
    states = [start(config.mission)]
    chosen: list[list[Selection]] = []
    reflections: list[list[Reflection]] = []
    while status_of(states, len(tickets), loop).status == "running":
        number = len(states)
        place = place_of(number, len(tickets), config.window.tickets)
        window = tickets_of(place, tickets, config.window.seed)
        selections = [
            selection for _, selection in play(config, engine, states[-1], window, place, number) if selection
        ]
        tried_on = chosen[: -config.reflect.trial.rounds : -1]
        records, after = learn(
            reflect,
            prompts,
            engine,
            states[-1],
            by_key,
            selections,
            Past.of(tried_on, dict(enumerate(reflections, start=1))),
            place,
            number,
        )
        chosen.append(selections)
        reflections.append(records)
        states.append(after)
        yield Rehearsed(after, status_of(states, len(tickets), loop), list(reflections))


def rehearse(config: Config, engine: Engine, tickets: Sequence[StageA]) -> Rehearsed:
    """Run the loop on some tickets to its end."""
    *_, done = rounds_in_memory(config, engine, tickets)
    return done


Played = list[tuple[list[Trajectory], Selection | None]]


def play(
    config: Config, engine: Engine, guidance: MissionGuidance, window: Sequence[StageA], place: Place, number: int
) -> Played:
    """One window under one guidance, decided as in a round: candidates and selection of each ticket."""
    threshold = threshold_of(config.rollout)
    prompts = load_prompts(config.prompts, config.mission)
    prompt = prompts.digest("stage_b")
    decodes = [decodes_for(ticket, config.rollout) for ticket in window]
    said = engine.rollout(
        prompts.stage_b_system(guidance.experiences),
        [prompts.stage_b_user(ticket.per_image) for ticket in window],
        decodes,
    )
    answers = (without_probability(completions, threshold) for completions in said)
    rows = [
        trajectories_of(*asked, place, number, guidance.step, config.rollout.cut_reasons, prompt)
        for asked in zip(window, decodes, answers, strict=True)
    ]
    return [
        (candidates, select(ticket, candidates, config.fail_first, threshold))
        for ticket, candidates in zip(window, rows, strict=True)
    ]


def judge(config: Config, engine: Engine, guidance: MissionGuidance, tickets: Sequence[StageA]) -> Played:
    """Tickets under a guidance, outside any loop."""
    return play(config, engine, guidance, tickets, Place(1, 0, 1), 1)


def rates_of(played: Played) -> VerdictRates:
    """The rates of verdicts against labels."""
    return verdict_rates((selection.label, selection.verdict) for _, selection in played if selection)


def with_seed(config: Config, seed: int) -> Config:
    """The same configuration with other windows and other reflections; answers to tickets stay as they are."""
    window = config.window.model_copy(update={"seed": config.window.seed + seed})
    return config.model_copy(
        update={"window": window, "reflect": config.reflect.model_copy(update={"seed": config.reflect.seed + seed})}
    )
