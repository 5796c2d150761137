"""Reflection training samples: wrong tickets of one direction, and the JSON operations that put them right.

A world with hidden rules is drawn; the guidance knows some of them and perhaps holds a wrong one. The cases are
tickets whose label and verdict differ, for a hidden rule's sake, a wrong rule's, or because the label was flipped.
The target names the operations that really caused them, so that sampling the model draws from the posterior.
"""

import json
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from miniature.teacher.verdict_data import WEIGHTED_MISSIONS, VerdictSample, draw_g0, rule_keys, worded
from miniature.world.dataset import draw_hidden, fail_rules, tune, waive_rules
from miniature.world.missions import SyntheticMission
from miniature.world.prompts import prompts_of
from miniature.world.rules import G0, PHOTO_COUNTS, WorldRule, verdict
from miniature.world.tickets import SyntheticTicket, base_profile, plan_ticket, write_ticket
from verdicts.stage_b.prompts import Case

MAX_CHARS = 4400  # of the user message: about 1,100 tokens
_PASS_SIDE = ("waive_missing", "waive_negative")
COMMON = ("设备只显示部分", "标签无法识别")  # in most real tickets, so no rule forbids them there


class Style(NamedTuple):
    """How a guidance is drawn: its checklist, its words, and the shares of known and of doubled rules."""

    g0: Callable[[Random, SyntheticMission], tuple[G0, str]] = draw_g0
    say: Callable[[Random, WorldRule], str] = worded
    known: float = 0.5
    doubled: float = 0.03


TAUGHT = Style()


class Option(NamedTuple):
    """An operation that may be right: what it writes, and the rules after it."""

    fields: dict
    rules: dict[str, WorldRule]


class Scene(NamedTuple):
    """A world and the guidance in force: rules by key, wrong and doubled ones included."""

    mission: SyntheticMission
    g0: G0
    hidden: tuple[WorldRule, ...]
    guidance: dict[str, str]
    rules: dict[str, WorldRule]
    options: list[Option]
    doubled: tuple[str, str] | None


def _why(rule: WorldRule) -> str:
    """The rationale of an added rule, in a fixed form."""
    return {
        "require": f"案例均缺少{rule.what}", "forbid": f"案例均出现{rule.what}",
        "photos": f"案例照片均少于{rule.what}张",
        "waive_missing": f"人工未因缺少{rule.what}判不通过", "waive_negative": f"人工未因出现{rule.what}判不通过",
    }[rule.kind]  # fmt: skip


def draw_scene(
    rng: Random,
    mission: SyntheticMission,
    hidden: tuple[WorldRule, ...],
    target: WorldRule | None,
    planted: WorldRule | None,
    style: Style = TAUGHT,
) -> Scene:
    """A guidance that lacks ``target`` (and some others) and holds ``planted``; options are what could put it right."""
    g0, g0_words = style.g0(rng, mission)
    known = [rule for rule in hidden if rule != target and rng.random() < style.known]
    replaced = planted and next((r for r in hidden if planted.kind == r.kind == "photos"), None)
    held = [rule for rule in known if rule != replaced] + ([planted] if planted else [])
    double = rng.choice(held) if held and rng.random() < style.doubled else None
    held += [double] if double else []
    rng.shuffle(held)
    keys = rule_keys(rng, len(held))
    rules = dict(zip(keys, held, strict=True))
    pair = tuple(key for key, rule in rules.items() if rule == double) if double else None
    words = {key: style.say(rng, rule) for key, rule in rules.items()}
    if pair:
        words[pair[1]] = double.text(1)
    options = [
        Option({"op": "add", "text": rule.text(), "rationale": _why(rule)}, rules | {"+": rule})
        for rule in hidden
        if rule not in held and rule != replaced
    ]
    for key, rule in rules.items():
        if rule == planted and rule != double:
            left = {k: r for k, r in rules.items() if k != key}
            if replaced:
                fields = {
                    "op": "update",
                    "key": key,
                    "text": replaced.text(),
                    "rationale": f"照片张数应为{replaced.what}张",
                }
                options.append(Option(fields, left | {key: replaced}))
            else:
                side = "人工仍判不通过" if rule.kind in _PASS_SIDE else "人工未因此判不通过"
                options.append(Option({"op": "delete", "key": key, "rationale": f"{key}与人工结论不符，{side}"}, left))
    return Scene(mission, g0, hidden, {"G0": g0_words} | words, rules, options, pair)


def draw_cases(
    rng: Random,
    scene: Scene,
    profile,
    n: int,
    wrong: str,
    noise: float,
    focus: Option | None,
    strict: bool = False,
) -> list[tuple[SyntheticTicket, bool]]:
    """Up to ``n`` tickets whose verdict under the guidance is ``wrong``; each with whether its label was flipped.

    Most that are not flipped are caused by ``focus``; with ``strict`` all.
    """
    truth = {f"H{i}": rule for i, rule in enumerate(scene.hidden)}
    right = "fail" if wrong == "pass" else "pass"
    cases: list[tuple[SyntheticTicket, bool]] = []
    flipped = rng.random() < noise
    for _ in range(25 * n):
        plan = plan_ticket(rng, scene.mission, profile)
        if (
            verdict(plan.expected(), scene.g0, scene.rules) != wrong
            or (verdict(plan.expected(), scene.g0, truth) == wrong) != flipped
        ):
            continue
        if strict and focus and not flipped and verdict(plan.expected(), scene.g0, focus.rules) == wrong:
            continue
        ticket = write_ticket(rng, scene.mission, profile, plan)
        if verdict(ticket.facts, scene.g0, scene.rules) != wrong:
            continue
        clean = verdict(ticket.facts, scene.g0, truth)
        if clean == (right if flipped else wrong):
            continue
        if (
            not flipped
            and focus
            and (strict or rng.random() < 0.8)
            and verdict(ticket.facts, scene.g0, focus.rules) == wrong
        ):
            continue
        cases.append((ticket, flipped))
        if len(cases) == n:
            break
        flipped = rng.random() < noise
    return cases


def answer_to(scene: Scene, cases: list[tuple[SyntheticTicket, bool]], wrong: str) -> dict:
    """The operations that really explain the cases, best first.

    Each explains at least two new cases (one, if there are few).
    """
    explains = [
        [i for i, (t, _) in enumerate(cases, 1) if verdict(t.facts, scene.g0, option.rules) != wrong]
        for option in scene.options
    ]
    left, operations = set(range(1, len(cases) + 1)), []
    while left and len(operations) < 2:
        gains = [len(left & set(found)) for found in explains]
        best = max(range(len(gains)), key=gains.__getitem__, default=None)
        caused = best is not None and any(not cases[i - 1][1] for i in explains[best] if i in left)
        if best is None or gains[best] < (1 if len(cases) <= 2 else 2) or not caused:
            break
        operations.append(scene.options[best].fields | {"evidence": explains[best]})
        left -= set(explains[best])
    if scene.doubled:
        text = scene.rules[scene.doubled[0]].text()
        operations.append(
            {
                "op": "merge",
                "keys": list(scene.doubled),
                "text": text,
                "rationale": "两条规则同义",
                "evidence": list(range(1, len(cases) + 1)),
            }
        )
    return {"operations": operations, "unexplainable": sorted(i for i in left if cases[i - 1][1])}


def reflection_case(rng: Random, style: Style = TAUGHT) -> tuple[VerdictSample, dict, Scene]:
    """One sample with its answer as a value and the scene behind it."""
    while True:
        mission = rng.choice(WEIGHTED_MISSIONS)
        real = rng.random() < 0.35
        hidden = draw_hidden(rng, mission)
        if real and any(rule.what in COMMON for rule in hidden):
            continue
        plan = rng.random()
        target = rng.choice(hidden) if plan < 0.84 else None
        planted = planted_rule(rng, mission, hidden) if plan > 0.66 else None
        profile = base_profile(mission, real)
        for rule in (*hidden, *([planted] if planted and rng.random() < 0.85 else [])):
            tune(profile, rule, rng)
        scene = draw_scene(rng, mission, hidden, target, planted, style)
        focus = rng.choice(scene.options) if scene.options and rng.random() < 0.6 else None
        if planted and scene.options and rng.random() < 0.6:
            focus = scene.options[-1]
        wrong = wrong_side(rng, scene, focus)
        noise = 1.0 if rng.random() < 0.17 else rng.choice((0.0, 0.1, 0.25, 0.45))
        n = rng.choices(range(1, 9), (0.05, 0.14, 0.23, 0.27, 0.16, 0.07, 0.04, 0.04))[0]
        cases = draw_cases(rng, scene, profile, n, wrong, noise, focus)
        if not fit(cases):
            continue
        value = answer_to(scene, cases, wrong)
        return written(scene, cases, wrong, value), value, scene


def fit(cases: list[tuple[SyntheticTicket, bool]]) -> bool:
    """Leave out the last cases until the others fit; False where not one does."""
    while len(cases) > 1 and sum(len(s) + 9 for ticket, _ in cases for s in ticket.summaries) > MAX_CHARS:
        cases.pop()
    return bool(cases) and sum(len(s) for s in cases[0][0].summaries) <= MAX_CHARS


def written(scene: Scene, cases: list[tuple[SyntheticTicket, bool]], wrong: str, value: dict) -> VerdictSample:
    """The chat of a scene, its cases and an answer."""
    label = "fail" if wrong == "pass" else "pass"
    prompts = prompts_of(scene.mission.name)
    user = prompts.reflect_user([Case(label, wrong, ticket.per_image) for ticket, _ in cases])
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return VerdictSample(prompts.reflect_system(scene.guidance), user, text)


def planted_rule(rng: Random, mission: SyntheticMission, hidden: tuple[WorldRule, ...]) -> WorldRule:
    """A wrong rule: a count that differs from the hidden one, else any rule of the mission that is not hidden."""
    count = next((rule.what for rule in hidden if rule.kind == "photos"), None)
    if count and rng.random() < 0.6:
        return WorldRule("photos", str(rng.choice([n for n in PHOTO_COUNTS if str(n) != count])))
    pool = fail_rules(mission) if rng.random() < 0.6 else waive_rules(mission)
    pool = [rule for rule in pool if rule not in hidden and not (count and rule.kind == "photos")]
    return rng.choice(pool or [rule for rule in fail_rules(mission) if rule not in hidden])


def wrong_side(rng: Random, scene: Scene, focus: Option | None) -> str:
    """The verdict of the wrong tickets: the side on which the focus acts, else either."""
    if focus is None:
        return rng.choice(("pass", "fail"))
    if focus.fields["op"] == "add":
        return "fail" if focus.rules["+"].kind in _PASS_SIDE else "pass"
    before, after = scene.rules[focus.fields["key"]], focus.rules.get(focus.fields["key"])
    if after:
        return "pass" if int(after.what) > int(before.what) else "fail"
    return "pass" if before.kind in _PASS_SIDE else "fail"
