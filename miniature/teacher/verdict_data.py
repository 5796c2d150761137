"""Stage-B training samples: a checklist, some rules, a ticket, and the two lines that follow from them."""

from random import Random
from typing import NamedTuple

from miniature.world.dataset import fail_rules, tune, waive_rules
from miniature.world.missions import MISSIONS, SyntheticMission
from miniature.world.prompts import prompts_of
from miniature.world.rules import ALL_RULES, G0, G0_STYLES, WORDINGS, WorldRule, apply_rules, reason_text, verdict
from miniature.world.tickets import base_profile, plan_ticket, write_ticket
from verdicts.stage_b.protocol import render

# Rules people might write by hand that the world gives no meaning: they change no verdict.
_IDLE = (
    "照片应清晰可辨",
    "同一站点的照片可互相印证",
    "数量以现场为准",
    "标签文字仅供参考",
    "以最后一张照片为主要参考",
    "注意核对线缆走向",
)


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


def verdict_sample(rng: Random) -> VerdictSample:
    """One sample; passes and fails about evenly, tickets that a rule decides preferred."""
    mission = rng.choice(WEIGHTED_MISSIONS)
    g0, g0_words = draw_g0(rng, mission)
    rules = draw_rules(rng, mission)
    guidance = {"G0": g0_words}
    meant: dict[str, WorldRule | None] = {}
    for key, rule in zip(rule_keys(rng, len(rules) + 1), rules, strict=False):
        guidance[key], meant[key] = worded(rng, rule), rule
    if rng.random() < 0.03:
        key = f"G{max([0] + [int(key[1:]) for key in meant]) + rng.randrange(1, 4)}"
        guidance[key], meant[key] = rng.choice(_IDLE), None
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
