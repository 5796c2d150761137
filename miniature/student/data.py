"""What the miniature student is taught: photos with their two tasks, and Stage-B chats, sound or damaged.

The damage is an inattentive reviewer: of the causes to fail a ticket it sees each only now and then (a negative
seldom, a missing item more often), and passes what it does not see fail. Trained on such answers a model keeps the
format, leans to 通过, and still carries the evidence: its probability of 不通过 stays higher where there is a cause.
"""

from random import Random
from typing import NamedTuple

from miniature.drawing.scenes import DRAWABLE, Photo, photo_ticket
from miniature.teacher.verdict_data import VerdictSample, draw_g0, rule_keys, verdict_sample, worded
from miniature.world.dataset import fail_rules, tune, waive_rules
from miniature.world.prompts import prompts_of
from miniature.world.rules import G0, Facts, Judgement, WorldRule, apply_rules, reason_text
from miniature.world.tickets import MISSIONS, SyntheticMission, base_profile
from verdicts.stage_b.protocol import render

BBU = tuple(mission for mission in MISSIONS.values() if mission.is_bbu)
# How often the damaged reviewer sees a cause: one that is there (出现), and one that is missing (缺少, 照片少于).
SEES_NEGATIVE, SEES_MISSING = 0.25, 0.38
_GENERAL = 0.35  # share of sound chats in the full noisy language of verdict_data, all missions


class PhotoSample(NamedTuple):
    """A photo and the seed it is drawn with."""

    photo: Photo
    seed: str


def photo_sample(rng: Random) -> PhotoSample:
    """A photo of a ticket of a random BBU mission with widened rates."""
    mission = rng.choice(BBU)
    profile = base_profile(mission)
    for rule in _draw_rules(rng, mission):
        tune(profile, rule, rng, wide=True)
    for name in profile.rates:
        if rng.random() < 0.25:
            profile.rates[name] = 0.6 * rng.random() + 0.4 * profile.rates[name]
    photos = [
        photo
        for photo in photo_ticket(rng, mission, profile).photos
        if photo.things[0].painter != "view" or rng.random() < 0.4
    ]
    return PhotoSample(rng.choice(photos), f"train:{rng.getrandbits(60)}") if photos else photo_sample(rng)


def _draw_rules(rng: Random, mission: SyntheticMission) -> list[WorldRule]:
    """Nought to five rules that a drawn world of this mission may hide."""
    fails = [rule for rule in fail_rules(mission) if rule.kind == "photos" or rule.what in DRAWABLE]
    waivers = waive_rules(mission)
    n, chosen = rng.choices(range(6), (0.12, 0.14, 0.2, 0.2, 0.22, 0.12))[0], []
    while len(chosen) < n:
        rule = rng.choice(fails if rng.random() < 0.6 else waivers)
        if rule not in chosen:
            chosen.append(rule)
    return chosen


def _drawn_ticket(rng: Random) -> tuple[str, str, Facts, G0, Judgement]:
    """System and user message of a drawn ticket under some guidance, and what follows; about half of them pass."""
    mission = rng.choice(BBU)
    g0, words = draw_g0(rng, mission) if rng.random() < 0.2 else (mission.g0, mission.g0.text())
    rules = _draw_rules(rng, mission)
    keys = rule_keys(rng, len(rules)) if rng.random() < 0.5 else [f"G{i}" for i in range(1, len(rules) + 1)]
    meant = dict(zip(keys, rules, strict=True))
    profile = base_profile(mission)
    for rule in rules:
        tune(profile, rule, rng, wide=True)
    wanted = rng.choice(("pass", "fail"))
    for _ in range(4):
        ticket = photo_ticket(rng, mission, profile)
        judgement = apply_rules(ticket.facts, g0, meant)
        if judgement.verdict == wanted:
            break
    guidance = {"G0": words} | {key: worded(rng, rule) for key, rule in meant.items()}
    prompts = prompts_of(mission.name)
    system, user = prompts.stage_b_system(guidance), prompts.stage_b_user(ticket.per_image)
    return system, user, ticket.facts, g0, judgement


def chat_sample(rng: Random) -> VerdictSample:
    """A sound Stage-B chat: mostly about drawn tickets, else in the full language of real ones."""
    if rng.random() < _GENERAL:
        return verdict_sample(rng, wide=False)
    system, user, facts, g0, judgement = _drawn_ticket(rng)
    return VerdictSample(system, user, render(judgement.verdict, reason_text(facts, g0, judgement)))


def doubt(judgement: Judgement) -> float:
    """How likely the inattentive reviewer fails a ticket: it sees each cause by itself."""
    missed = 1.0
    for cause, _ in judgement.causes:
        missed *= 1 - (SEES_NEGATIVE if cause.startswith("出现") else SEES_MISSING)
    return 1 - missed


def damaged_sample(rng: Random) -> tuple[VerdictSample, float]:
    """A Stage-B chat as the damaged student may answer it, and how likely it answers 不通过 there.

    The verdict is to be learnt from the likelihood (a soft target), the reason from the chat: the same average as
    answers drawn one by one, with less noise to wash the evidence out.
    """
    system, user, facts, g0, judgement = _drawn_ticket(rng)
    likely = doubt(judgement)
    said = judgement if rng.random() < likely else Judgement("pass", (), judgement.waived)
    return VerdictSample(system, user, render(said.verdict, reason_text(facts, g0, said))), likely
