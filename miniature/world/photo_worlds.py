"""Worlds of the miniature whose tickets can be drawn as photos: hidden rules that speak of what scenes can show."""

from random import Random

from miniature.drawing.scenes import DRAWABLE, photo_ticket
from miniature.world.dataset import Labelled, World, sample_world
from miniature.world.rules import verdict

_MIN_DECIDES, _BALANCE, _PROBE = 0.04, 0.3, 500


def drawable_world(seed: int, mission: str) -> World:
    """The first world from ``seed`` on whose hidden rules all speak of what can be drawn and decide drawn tickets."""
    for step in range(1000):
        world = sample_world(seed + 1000 * step, mission)
        if all(rule.kind == "photos" or rule.what in DRAWABLE for rule in world.hidden) and _is_fair(world, seed):
            return world
    raise ValueError(f"no drawable world of {mission} from seed {seed} on")


def _is_fair(world: World, seed: int) -> bool:
    rng = Random(f"{world.mission.slug}:drawn:{seed}")
    facts = [photo_ticket(rng, world.mission, world.profile).facts for _ in range(_PROBE)]
    full = [world.verdict(f) for f in facts]
    if not _BALANCE <= full.count("pass") / _PROBE <= 1 - _BALANCE:
        return False
    for key in world.rules:
        rest = {k: r for k, r in world.rules.items() if k != key}
        if (
            sum(verdict(f, world.mission.g0, rest) != v for f, v in zip(facts, full, strict=True))
            < _MIN_DECIDES * _PROBE
        ):
            return False
    return True


def draw_photo_tickets(world: World, n: int, seed: int, flip: float = 0.0) -> list[Labelled]:
    """``n`` drawn tickets of a world; a share ``flip`` carries the wrong label. Group ids differ between seeds."""
    rng = Random(f"{world.mission.slug}:photos:{seed}")
    flipped = set(rng.sample(range(n), round(flip * n)))
    out = []
    for index in range(n):
        ticket = photo_ticket(rng, world.mission, world.profile)
        clean = world.verdict(ticket.facts)
        wrong = {"pass": "fail", "fail": "pass"}[clean]
        day = f"{rng.randrange(2023, 2026)}{rng.randrange(1, 13):02}{rng.randrange(1, 29):02}"
        group = f"QC-{day}-{seed % 100:02}{index:05}"
        out.append(Labelled(group, ticket, wrong if index in flipped else clean, clean))
    return out
