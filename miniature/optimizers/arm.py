"""What all arms share: the task, the verdicts and the proposer that they are given, and what an arm is.

The miniature does not follow other systems' long meta-prompts, so every arm's proposals come from our reflection
prompt, with the checks of form of its answers (verdicts/guidance/operations.py). Search and acceptance are the arm's.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple, Protocol

from miniature.optimizers.budget import Counted
from verdicts.base.seeding import seeded_int
from verdicts.config.sections import Config
from verdicts.engines import Decode, Engine
from verdicts.guidance.operations import of_record
from verdicts.guidance.reflection import DIRECTIONS, ErrorGroup, answer_schema, read_completion
from verdicts.guidance.replay import start
from verdicts.guidance.rule_text import details_of
from verdicts.records.guidance import MissionGuidance
from verdicts.records.tickets import StageA
from verdicts.stage_b.prompts import Prompts
from verdicts.stage_b.selection import explicit_negative
from verdicts.stage_b.threshold import judged_verdict, threshold_of

Rules = list[str]
Decide = Callable[[Engine, Sequence[StageA]], list[str]]


class Task(NamedTuple):
    """What an arm searches on. ``grammar``: texts of all rules that the world could hide, for random edits alone."""

    config: Config
    prompts: Prompts
    tickets: Sequence[StageA]
    grammar: Sequence[str]

    def guidance(self, rules: Sequence[str]) -> MissionGuidance:
        """The checklist with these rules, G1 and on."""
        return start(self.config.mission.model_copy(update={"rules": list(rules)}))


class Found(NamedTuple):
    """What an arm would hand over. ``judged_by``: the tickets that it judged this by.

    ``decide``: gives verdicts itself, where what was found is no guidance.
    """

    rules: Rules
    judged_by: Sequence[StageA]
    decide: Decide | None = None


class Arm(Protocol):
    """A way to search for rules."""

    def search(self, task: Task, engine: Counted, seed: int) -> Iterator[Found]:
        """Search until done or until the engine refuses (BudgetSpent); each Found is better than those before."""


def verdicts(task: Task, engine: Engine, rules: Sequence[str], tickets: Sequence[StageA]) -> list[str]:
    """The verdict of each ticket under some rules, after the guard; a fail where the engine names none."""
    system = task.prompts.stage_b_system(task.guidance(rules).experiences)
    judged = engine.judge(system, [task.prompts.stage_b_user(ticket.per_image) for ticket in tickets])
    threshold = threshold_of(task.config.rollout)
    said = (judged_verdict(logprob, threshold) or "fail" for logprob in judged)
    return [guarded(task, ticket, verdict) for ticket, verdict in zip(tickets, said, strict=True)]


def guarded(task: Task, ticket: StageA, verdict: str) -> str:
    """A verdict after the guard."""
    return "fail" if verdict == "fail" or explicit_negative(ticket, task.config.fail_first) else "pass"


def share_right(said: Sequence[str], tickets: Sequence[StageA]) -> float:
    """The share of verdicts that agree with the labels."""
    return sum(verdict == ticket.label for verdict, ticket in zip(said, tickets, strict=True)) / len(tickets)


def wrong_groups(task: Task, wrong: Sequence[StageA], most: int) -> list[ErrorGroup]:
    """Tickets whose verdict is not their label as reflection is shown them, at most ``most`` groups a direction."""
    size = task.config.reflect.group_size
    groups = []
    for direction, verdict in DIRECTIONS.items():
        of_it = [ticket for ticket in wrong if ticket.label != verdict][: most * size]
        groups += [ErrorGroup(direction, of_it[at : at + size]) for at in range(0, len(of_it), size)]
    return groups


def propose(task: Task, engine: Engine, rules: Sequence[str], groups: Sequence[ErrorGroup], name: object) -> Rules:
    """The rules after all that reflection proposes of some groups of errors, as far as its form is right.

    ``name``: of this call, which its seeds are made of. No groups, no call.
    """
    if not groups:
        return list(rules)
    section, now = task.config.reflect, task.guidance(rules)
    decodes = [
        Decode(section.temperature, section.top_p, section.max_new_tokens, seeded_int(section.seed, name, at, bits=31))
        for at in range(len(groups))
    ]
    cases = max(len(group.tickets) for group in groups)
    schema = answer_schema(list(now.metadata), cases, section.max_rule_chars) if section.grammar else None
    users = [group.user(task.prompts) for group in groups]
    answers = engine.complete(task.prompts.reflect_system(now.experiences), users, decodes, json_schema=schema)
    details = details_of((ticket for group in groups for ticket in group.tickets), section.details)
    for group, answer in zip(groups, answers, strict=True):
        for record in read_completion(answer, [ticket.ticket_key for ticket in group.tickets]).operations:
            operation = of_record(record)
            if operation.refusal(now, details, section) is None:
                now, _ = operation.apply(now, "arm", 1)
    return [text for key, text in now.experiences.items() if key != "G0"]


def halves(tickets: Sequence[StageA], share: float, seed: int) -> tuple[list[StageA], list[StageA]]:
    """Tickets to learn from, and a share of them to judge by, dealt by seed."""
    order = Random(f"halves/{seed}").sample(tickets, len(tickets))
    cut = max(1, round(share * len(order)))
    return order[cut:], order[:cut]


def batches(tickets: Sequence[StageA], size: int, rng: Random) -> Iterator[list[StageA]]:
    """All tickets in a new order, so many at a time."""
    order = rng.sample(tickets, len(tickets))
    return (order[at : at + size] for at in range(0, len(order), size))
