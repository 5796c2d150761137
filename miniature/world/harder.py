"""Harder worlds: laws that no single rule states, labels wrong on one side, tickets of another mission, new rules.

Each kind says how the tickets to learn from and the clean ones to judge with are drawn. All start from a plain world
(dataset.py) of the same seed, so a kind can be compared with ``plain``.
"""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from miniature.world.dataset import Labelled, World, draw_tickets, fail_rules, sample_world
from miniature.world.missions import MISSIONS
from miniature.world.rules import G0, WorldRule, verdict
from miniature.world.tickets import SyntheticTicket
from miniature.world.vocabulary import BIT

Draw = Callable[[World, int, int, float], list[Labelled]]
Law = Callable[[SyntheticTicket], str]
KINDS = ("plain", "both", "unless", "count", "lax", "harsh", "drift", "missions")
_WRONG, _FOREIGN, _TURNS, _PROBE = 0.4, 0.25, 0.06, 400
_NOTHING = G0((), ())


class Harder(NamedTuple):
    """A kind of world. ``law``: what is right beside ``world.hidden``, in words.

    ``world``: the plain one whose hidden rules hold and can be found. ``parts``: rules that say half of the law, or
    what held before; no right guidance holds them. ``learn``, ``judge``: how tickets are drawn. ``before``: the world
    that tickets came from until now, where another follows it.
    """

    world: World
    learn: Draw
    judge: Draw
    law: str = ""
    parts: tuple[WorldRule, ...] = ()
    before: World | None = None


def harder(kind: str, world: World, seed: int) -> Harder:
    """The harder world of a kind (KINDS) made of a plain one."""
    if kind in ("both", "unless", "count"):
        return {"both": both, "unless": unless, "count": count}[kind](world)
    if kind == "drift":
        return drift(world, seed)
    if kind == "missions":
        return Harder(world, misfiled(world, seed), draw_tickets)
    learn = {"lax": one_sided("fail"), "harsh": one_sided("pass")}.get(kind, draw_tickets)
    return Harder(world, learn, draw_tickets)


def fires(rule: WorldRule, ticket: SyntheticTicket) -> bool:
    """Whether a rule alone fails a ticket."""
    return verdict(ticket.facts, _NOTHING, {"G1": rule}) == "fail"


def both(world: World) -> Harder:
    """AND: two of the hidden rules fail a ticket only where both speak against it."""
    one, other = [rule for rule in world.hidden if not rule.kind.startswith("waive")][:2]
    left = without(world, one, other)

    def law(ticket: SyntheticTicket) -> str:
        joint = fires(one, ticket) and fires(other, ticket)
        return "fail" if joint else left.verdict(ticket.facts)

    return _under(law, left, f"同时{cause(one)}且{cause(other)}则不通过", (one, other))


def unless(world: World) -> Harder:
    """An exception to an exception: a hidden waiver holds only where the ticket shows something else."""
    waiver = next(rule for rule in world.hidden if rule.kind.startswith("waive"))
    shown = _side(world)
    left = without(world, waiver)

    def law(ticket: SyntheticTicket) -> str:
        return (world if ticket.facts.bits & BIT[shown] else left).verdict(ticket.facts)

    return _under(law, left, f"{cause(waiver)}可豁免，但缺少{shown}时不可豁免", (waiver,))


def count(world: World) -> Harder:
    """A count across photos: fewer than two that show a thing fail a ticket; the thing most often seen on two."""
    probe = [row.ticket for row in draw_tickets(world, _PROBE, 0, 0.0)]
    wanted = max(world.mission.side, key=lambda name: sum(photos_of(name, ticket) > 1 for ticket in probe))
    part = WorldRule("require", wanted)
    left = without(world, part)

    def law(ticket: SyntheticTicket) -> str:
        return "fail" if photos_of(wanted, ticket) < 2 else left.verdict(ticket.facts)

    return _under(law, left, f"见到{wanted}的照片少于两张则不通过", (part,))


def drift(world: World, seed: int) -> Harder:
    """A rule that fails tickets gives way to another."""
    gone = next(rule for rule in world.hidden if not rule.kind.startswith("waive"))
    left = without(world, gone)
    probe = [row.ticket.facts for row in draw_tickets(world, _PROBE, seed + 3000, 0.0)]
    came = [
        rule
        for rule in fail_rules(world.mission)
        if rule not in world.hidden
        and sum(
            left._replace(hidden=(*left.hidden, rule)).verdict(facts) != left.verdict(facts) for facts in probe
        ) >= _TURNS * len(probe)
    ]  # fmt: skip
    new = Random(f"drift:{seed}").choice(came)
    now = left._replace(hidden=(*left.hidden, new))
    return Harder(now, draw_tickets, draw_tickets, f"{gone.text()} → {new.text()}", (gone,), world)


def one_sided(side: str) -> Draw:
    """Two of five tickets that are right to ``side`` carry the other label; no label of the other side is wrong."""

    def draw(world: World, n: int, seed: int, flip: float) -> list[Labelled]:
        rng = Random(f"{world.mission.slug}:{side}:{seed}")
        other = "pass" if side == "fail" else "fail"
        return [
            row._replace(label=other) if row.clean == side and rng.random() < _WRONG else row
            for row in draw_tickets(world, n, seed, 0.0)
        ]

    return draw


def misfiled(world: World, seed: int) -> Draw:
    """A quarter of the tickets shows what another mission asks for, labelled by that mission's rules."""
    slugs = list(MISSIONS)
    other = sample_world(seed, slugs[(slugs.index(world.mission.slug) + 1) % len(slugs)])

    def draw(world: World, n: int, seed: int, flip: float) -> list[Labelled]:
        rng = Random(f"{world.mission.slug}:misfiled:{seed}")
        foreign = draw_tickets(other, n, seed, flip, "F-")
        own = draw_tickets(world, n, seed, flip)
        return [theirs if rng.random() < _FOREIGN else ours for theirs, ours in zip(foreign, own, strict=True)]

    return draw


def photos_of(name: str, ticket: SyntheticTicket) -> int:
    """How many photos show a condition."""
    return sum(bool(bits & BIT[name]) for bits in ticket.seen)


def cause(rule: WorldRule) -> str:
    """What a rule is about, in words."""
    said = {"require": "缺少{}", "waive_missing": "缺少{}", "photos": "照片少于{}张"}
    return said.get(rule.kind, "出现{}").format(rule.what)


def without(world: World, *rules: WorldRule) -> World:
    """The world that does not know some rules."""
    return world._replace(hidden=tuple(rule for rule in world.hidden if rule not in rules))


def _side(world: World) -> str:
    """A thing that tickets show now and then and no hidden rule is about."""
    named = {rule.what for rule in world.hidden}
    return next(name for name in world.mission.side if name not in named)


def _under(law: Law, left: World, words: str, parts: tuple[WorldRule, ...]) -> Harder:
    def draw(world: World, n: int, seed: int, flip: float) -> list[Labelled]:
        rng = Random(f"{world.mission.slug}:law:{seed}")
        flipped = set(rng.sample(range(n), round(flip * n)))
        rows = []
        for index, row in enumerate(draw_tickets(world, n, seed, 0.0)):
            clean = law(row.ticket)
            wrong = "fail" if clean == "pass" else "pass"
            rows.append(row._replace(clean=clean, label=wrong if index in flipped else clean))
        return rows

    return Harder(left, draw, draw, words, parts)
