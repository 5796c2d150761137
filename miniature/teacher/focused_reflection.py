"""Reflection samples about one thing: each rule that a world may hide is asked for, and each operation is needed.

Worlds as they are drawn seldom lack a given rule, and never one about what most real tickets show; a model trained on
them alone never says such a rule. Here the missing rule is drawn first, the rest of the world around it, and all
cases but flipped ones are caused by it.
"""

from random import Random
from typing import NamedTuple

from miniature.teacher.reflection_data import (
    COMMON,
    Option,
    Scene,
    Style,
    answer_to,
    draw_cases,
    draw_scene,
    fit,
    planted_rule,
    reflection_case,
    written,
    wrong_side,
)
from miniature.teacher.verdict_data import WEIGHTED_MISSIONS, VerdictSample, draw_g0, worded_widely
from miniature.world.dataset import draw_hidden, fail_rules, tune, waive_rules
from miniature.world.missions import SyntheticMission
from miniature.world.rules import G0, PHOTO_COUNTS, WorldRule
from miniature.world.tickets import Profile, base_profile
from miniature.world.vocabulary import BRANDS

FOCUSED = 0.5  # share of the samples; the others are worlds as they are drawn
_AIMS = {"add": 0.66, "delete": 0.16, "update": 0.07, "merge": 0.06, "nothing": 0.05}
_CASES = {1: 0.03, 2: 0.17, 3: 0.2, 4: 0.35, 5: 0.1, 6: 0.07, 7: 0.04, 8: 0.04}
_KINDS = {"require": 2.0, "forbid": 1.0, "photos": 1.2, "waive_missing": 1.3, "waive_negative": 1.0}
_OFTEN_SEEN = dict.fromkeys(COMMON, 3.0) | {f"{brand}品牌": 1.8 for brand in BRANDS}
_WIDE = Style(say=worded_widely)


class Plan(NamedTuple):
    """What a sample is about: an aim of _AIMS, the rules that hold, the one not known, the wrong one."""

    aim: str
    hidden: tuple[WorldRule, ...]
    target: WorldRule | None
    planted: WorldRule | None


def reflection_sample(rng: Random) -> VerdictSample:
    """One training sample."""
    return (focused_case(rng) if rng.random() < FOCUSED else reflection_case(rng, _WIDE))[0]


def focused_case(rng: Random) -> tuple[VerdictSample, dict, Scene]:
    """One sample about one thing, with its answer as a value and the scene behind it."""
    while True:
        mission = rng.choice(WEIGHTED_MISSIONS)
        plan = draw_plan(rng, mission)
        profile = _profile(rng, mission, plan)
        known, doubled = rng.choice((0.5, 0.9, 1.0)), 0.03
        if plan.aim in ("merge", "nothing"):
            known, doubled = 1.0, float(plan.aim == "merge")
        checklist = _checklist(rng, mission, [rule for rule in (plan.target, plan.planted) if rule])
        style = Style(lambda _rng, _mission, drawn=checklist: drawn, worded_widely, known, doubled)
        scene = draw_scene(rng, mission, plan.hidden, plan.target, plan.planted, style)
        focus = _focus(scene, plan)
        if focus is None and plan.aim not in ("merge", "nothing"):
            continue
        wrong = wrong_side(rng, scene, focus)
        noise = rng.choice((0.0, 0.0, 0.1, 0.25)) if focus else 1.0
        n = rng.choices(list(_CASES), list(_CASES.values()))[0]
        cases = draw_cases(rng, scene, profile, n, wrong, noise, focus, strict=True)
        if (len(cases) < n and rng.random() < 0.8) or not fit(cases):
            continue
        value = answer_to(scene, cases, wrong)
        return written(scene, cases, wrong, value), value, scene


def draw_plan(rng: Random, mission: SyntheticMission) -> Plan:
    """An aim, and nought to three rules of a world around it."""
    aim = rng.choices(list(_AIMS), list(_AIMS.values()))[0]
    target = planted = None
    others = list(draw_hidden(rng, mission))[: rng.randrange(4)]
    if aim == "add":
        pool = fail_rules(mission) + waive_rules(mission)
        target = rng.choices(pool, [_KINDS[rule.kind] * _OFTEN_SEEN.get(rule.what, 1.0) for rule in pool])[0]
    elif aim == "update":
        right, wrong = rng.sample([str(n) for n in PHOTO_COUNTS], 2)
        target, planted = WorldRule("photos", right), WorldRule("photos", wrong)
    elif aim == "delete":
        planted = planted_rule(rng, mission, tuple(others))
        others = [rule for rule in others if rule.kind != "photos" or planted.kind != "photos"]
    elif aim == "merge":
        others = others or [rng.choice(fail_rules(mission))]
    rules = [rule for rule in others if not _clash(rule, target) and rule != planted] + ([target] if target else [])
    rng.shuffle(rules)
    return Plan(aim, tuple(rules), None if aim == "update" else target, planted)


def _clash(rule: WorldRule, target: WorldRule | None) -> bool:
    """Whether a world cannot hold both, or they are the same."""
    if target is None:
        return False
    return rule == target or rule.kind == target.kind == "photos" or {rule.what, target.what} <= _BRANDED


_BRANDED = {f"{brand}品牌" for brand in BRANDS}


def _profile(rng: Random, mission: SyntheticMission, plan: Plan) -> Profile:
    """Rates of a world; now and then other things are seen more often than usual, so that more is to be told apart."""
    profile = base_profile(mission, rng.random() < 0.2)
    if rng.random() < 0.3:
        for name in rng.sample(list(profile.rates), 3):
            profile.rates[name] = 0.5 * profile.rates[name] + 0.15
    for rule in (*plan.hidden, *([plan.planted] if plan.planted and plan.aim == "delete" else [])):
        tune(profile, rule, rng)
    return profile


def _checklist(rng: Random, mission: SyntheticMission, rules: list[WorldRule]) -> tuple[G0, str]:
    """A checklist under which each of the rules can decide a ticket."""
    while True:
        g0, words = draw_g0(rng, mission)
        named = (*g0.required, *g0.forbidden)
        if all((rule.what in named) == rule.kind.startswith("waive") for rule in rules):
            return g0, words


def _focus(scene: Scene, plan: Plan) -> Option | None:
    """What would put it right: the operation that the sample is about."""
    wanted = plan.aim
    for option in scene.options:
        if option.fields["op"] == wanted and (wanted != "add" or option.rules["+"] == plan.target):
            return option
    return None
