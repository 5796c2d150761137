"""Asks a model about tickets and their changed forms, and counts by kind where it does what it must not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from verdicts.behaviour.changes import BEHAVIOUR_KINDS, BehaviourKind, Changed, ChangedUnder
from verdicts.engines import Engine
from verdicts.records.evaluation import BehaviourFailure, BehaviourResult
from verdicts.records.tickets import StageA, Verdict
from verdicts.stage_b.prompts import Prompts
from verdicts.stage_b.threshold import p_fail
from verdicts.stats.rates import wilson

Odds = dict[str, float | None]


@dataclass
class Planned:
    """A changed ticket that is to be asked about."""

    kind: str
    ticket: StageA
    changed: Changed


@dataclass
class Plan:
    """All changed tickets, and how many do not fit each kind, by reason."""

    changed: list[Planned] = field(default_factory=list)
    left_out: dict[str, Counter[str]] = field(default_factory=dict)


def plan_changes(tickets: Sequence[StageA], scene: ChangedUnder) -> Plan:
    """Change every ticket in every way that fits it; a change depends on nothing but the ticket and the seed."""
    plan = Plan(left_out={kind: Counter() for kind in BEHAVIOUR_KINDS})
    for kind, how in BEHAVIOUR_KINDS.items():
        for ticket in tickets:
            rng = Random(f"{scene.settings.seed}:{kind}:{ticket.ticket_key}")
            found = how.change(ticket.per_image, rng, scene)
            if isinstance(found, str):
                plan.left_out[kind][found] += 1
            else:
                plan.changed.append(Planned(kind, ticket, found))
    return plan


def ask_all(
    engine: Engine, prompts: Prompts, system: str, tickets: Sequence[StageA], plan: Plan
) -> tuple[list[float | None], list[float | None]]:
    """P(fail) of the tickets, and of the changed ones; None where a prompt does not fit."""
    users = [prompts.stage_b_user(ticket.per_image) for ticket in tickets]
    changed = [prompts.stage_b_user(one.changed.summaries) for one in plan.changed]
    odds = [chance_of_fail(one) for one in engine.judge(system, [*users, *changed])]
    return odds[: len(users)], odds[len(users) :]


def chance_of_fail(found: Odds) -> float | None:
    """P(fail) among both verdicts; None where the model was not asked."""
    good, bad = found["pass"], found["fail"]
    return None if good is None or bad is None else p_fail((good, bad))


def verdict_at(chance: float) -> Verdict:
    """The likelier verdict."""
    return "fail" if chance > 0.5 else "pass"


def fails(kind: BehaviourKind, before: float, after: float, tolerance: float) -> bool:
    """Whether a model does what it must not on a changed ticket."""
    if kind.must_fail:
        return verdict_at(after) != "fail"
    if kind.may_not_rise:
        return after - before > tolerance
    return verdict_at(before) != verdict_at(after)


def count_failures(
    plan: Plan,
    tickets: Sequence[StageA],
    before: Sequence[float | None],
    after: Sequence[float | None],
    tolerance: float,
) -> tuple[dict[str, BehaviourResult], list[BehaviourFailure]]:
    """Rates of failure by kind, and the tickets that failed."""
    first = {ticket.ticket_key: chance for ticket, chance in zip(tickets, before, strict=True)}
    asked, failures = Counter[str](), list[BehaviourFailure]()
    for one, chance in zip(plan.changed, after, strict=True):
        kind, was = BEHAVIOUR_KINDS[one.kind], first[one.ticket.ticket_key]
        if was is None or chance is None:
            plan.left_out[one.kind]["over_length"] += 1
        elif kind.from_pass and verdict_at(was) == "fail":
            plan.left_out[one.kind]["fails_already"] += 1
        else:
            asked[one.kind] += 1
            if fails(kind, was, chance, tolerance):
                failures.append(_failure(one, was, chance))
    failed = Counter(one.kind for one in failures)
    results = {
        name: BehaviourResult(
            test=kind.test,
            failed=wilson(failed[name], asked[name]),
            left_out=dict(sorted(plan.left_out[name].items())),
        )
        for name, kind in BEHAVIOUR_KINDS.items()
    }
    return results, failures


def _failure(one: Planned, before: float, after: float) -> BehaviourFailure:
    return BehaviourFailure(
        kind=one.kind,
        key=one.ticket.ticket_key,
        changed=one.changed.what,
        before=verdict_at(before),
        after=verdict_at(after),
        before_p_fail=round(before, 6),
        p_fail=round(after, 6),
        per_image=one.ticket.per_image,
        changed_per_image=one.changed.summaries,
    )
