"""Stage-B training samples: a checklist, some rules, a ticket, and the two lines that follow from them."""

from random import Random
from typing import NamedTuple

from miniature.teacher.wordings import compose, idle
from miniature.world.dataset import fail_rules, tune, waive_rules
from miniature.world.missions import MISSIONS, SyntheticMission
from miniature.world.prompts import prompts_of
from miniature.world.rules import ALL_RULES, G0, G0_STYLES, WORDINGS, WorldRule, apply_rules, reason_text, verdict
from miniature.world.tickets import base_profile, plan_ticket, write_ticket
from verdicts.stage_b.protocol import render

_COMPOSED, _TAUGHT = 0.38, 0.15  # shares of wordings; the rest is the one that reflection proposes
_IDLE, _IDLE_WIDE = 0.03, 0.12  # how often a rule that changes no verdict stands among the others


class VerdictSample(NamedTuple):
    """A chat of one turn."""

    system: str
    user: str
    answer: str


def rule_keys(rng: Random, n: int) -> list[str]:
    """``n`` rule keys in ascending order, with gaps: keys are never used again, so numbers grow."""
    top = rng.choice((n + 1, n + 3, 9, 16, 31))
    return [f"G{number}" for number in sorted(rng.sample(range(1, max(top, n + 2)), n))]


def worded(rng: Random, rule: WorldRule) -> str:
    """A rule in its proposing wording mostly, else in another."""
    return rule.text(0 if rng.random() < 0.75 else rng.randrange(len(WORDINGS[rule.kind])))


def worded_widely(rng: Random, rule: WorldRule) -> str:
    """A rule in its proposing wording about half of the time, else in another taught one or a composed one."""
    roll = rng.random()
    if roll < _COMPOSED:
        return compose(rng, rule.kind, rule.what)
    return rule.text(rng.randrange(len(WORDINGS[rule.kind])) if roll < _COMPOSED + _TAUGHT else 0)


def draw_g0(rng: Random, mission: SyntheticMission) -> tuple[G0, str]:
    """The shipped checklist mostly; else some of its items and others of the mission, in another order and style."""
    if rng.random() < 0.72:
        return mission.g0, mission.g0.text()
    required = [name for name in mission.g0.required if rng.random() < 0.75] + [
        name for name in mission.side if rng.random() < 0.12
    ]
    forbidden = [name for name in mission.g0.forbidden if rng.random() < 0.7] + [
        name for name in mission.forbiddable if rng.random() < 0.05
    ]
    rng.shuffle(required)
    rng.shuffle(forbidden)
    g0 = G0(tuple(required[:4]) or mission.g0.required, tuple(forbidden[:4]))
    return g0, g0.text(rng.randrange(G0_STYLES))


def draw_rules(rng: Random, mission: SyntheticMission) -> list[WorldRule]:
    """Nought to nine rules: those a world of this mission may hide, and now and then any other."""
    n = rng.choices(range(10), (0.13, 0.15, 0.17, 0.16, 0.14, 0.10, 0.07, 0.04, 0.02, 0.02))[0]
    fails, waivers, chosen = fail_rules(mission), waive_rules(mission), []
    while len(chosen) < n:
        roll = rng.random()
        rule = rng.choice(fails if roll < 0.5 else waivers if roll < 0.85 else ALL_RULES)
        if rule not in chosen or rng.random() < 0.1:
            chosen.append(rule)
    return chosen


def draw_guidance(
    rng: Random, mission: SyntheticMission, rules: list[WorldRule], wide: bool
) -> tuple[dict[str, str], dict[str, WorldRule | None]]:
    """Rules in words and what they mean, by key; now and then one among them means nothing."""
    all_rules: list[WorldRule | None] = [*rules]
    while rng.random() < (_IDLE_WIDE if wide else _IDLE):
        all_rules.insert(rng.randrange(len(all_rules) + 1), None)
    meant = dict(zip(rule_keys(rng, len(all_rules)), all_rules, strict=True))
    say = worded_widely if wide else worded
    things = (*mission.g0.required, *mission.side, *mission.forbiddable)
    return {key: say(rng, rule) if rule else idle(rng, rng.choice(things)) for key, rule in meant.items()}, meant


def verdict_sample(rng: Random, wide: bool = True) -> VerdictSample:
    """One sample; passes and fails about evenly, tickets that a rule decides preferred.

    ``wide``: rules in any of many words, else in taught ones alone.
    """
    mission = rng.choice(WEIGHTED_MISSIONS)
    g0, g0_words = draw_g0(rng, mission)
    rules = draw_rules(rng, mission)
    guidance, meant = draw_guidance(rng, mission, rules, wide)
    guidance = {"G0": g0_words} | guidance
    profile = base_profile(mission, real=rng.random() < 0.5)
    for rule in rules:
        if rng.random() < 0.8:
            tune(profile, rule, rng, wide=True)
    wanted = "pass" if rng.random() < 0.48 else "fail"
    for _ in range(8):
        plan = plan_ticket(rng, mission, profile)
        expected = verdict(plan.expected(), g0, meant)
        if expected == wanted and (not rules or rng.random() < 0.5 or expected != verdict(plan.expected(), g0, {})):
            break
    ticket = write_ticket(rng, mission, profile, plan)
    judgement = apply_rules(ticket.facts, g0, meant)
    prompts = prompts_of(mission.name)
    return VerdictSample(
        prompts.stage_b_system(guidance),
        prompts.stage_b_user(ticket.per_image),
        render(judgement.verdict, reason_text(ticket.facts, g0, judgement)),
    )


WEIGHTED_MISSIONS = [m for m in MISSIONS.values() for _ in range(3 if m.is_bbu else 2)]
