"""Worlds of the miniature: four hidden rules a mission, and tickets whose right verdict follows from them.

    python -m miniature.world.dataset --mission bbu_line --seed 1 --tickets 400 --flip 0.05 --output stage_a.jsonl \\
        --truth truth.jsonl
    python -m miniature.world.dataset --print-g0

Writes Stage-A rows (docs/design.md §3) and, apart from them, the truth: a first row with the hidden rules, then a row
a ticket with its clean label and whether the label was flipped. Deterministic in its arguments. With --mark-synthetic
every group_id begins with SYNTHETIC-, so that no record of a run on these tickets can be taken for one of the field.
"""

from pathlib import Path
from random import Random
from typing import NamedTuple

from miniature.world.missions import MISSIONS, SyntheticMission
from miniature.world.rules import ALL_RULES, G0, Facts, WorldRule, apply_rules, parse_rule, reason_text, verdict
from miniature.world.tickets import Profile, SyntheticTicket, base_profile, make_ticket
from miniature.world.vocabulary import BRANDS

__all__ = [
    "ALL_RULES",
    "G0",
    "MISSIONS",
    "Facts",
    "World",
    "WorldRule",
    "apply_rules",
    "draw_tickets",
    "parse_rule",
    "reason_text",
    "sample_world",
    "stage_a_rows",
    "verdict",
]

_BRANDS = tuple(f"{brand}品牌" for brand in BRANDS)
# Explicit negatives that the missions' fail_first guard never lets pass (configs/missions/); no hidden rule waives
# them. 电线散乱 is not among them: worlds 2 and 3 of bbu_line, on which docs/measurements.md stands, waive it, and
# miniature/measure/ takes it from the guard there.
_GUARDED = (
    "不符合要求", "不合格", "安装方向错误", "未按要求配备挡风板", "无保护措施", "弯曲半径不合理", "没有标签",
    "无套管保护",
)  # fmt: skip
_PROBE = 600  # tickets drawn to see whether a hidden rule decides often enough
_DECISIVE, _ALONE, _BALANCE = 0.045, 0.06, 0.35


class World(NamedTuple):
    """A mission with hidden rules and the rates at which its tickets show things."""

    mission: SyntheticMission
    hidden: tuple[WorldRule, ...]
    profile: Profile

    def verdict(self, facts: Facts) -> str:
        """The right verdict: G0 with all hidden rules."""
        return verdict(facts, self.mission.g0, self.rules)

    @property
    def waived(self) -> tuple[str, ...]:
        """The negatives that a hidden rule waives."""
        return tuple(rule.what for rule in self.hidden if rule.kind == "waive_negative")

    @property
    def rules(self) -> dict[str, WorldRule]:
        """The hidden rules by name, H1 and on."""
        return {f"H{index}": rule for index, rule in enumerate(self.hidden, start=1)}


class Labelled(NamedTuple):
    """A ticket with its identity, its (perhaps flipped) label and the clean one."""

    group_id: str
    ticket: SyntheticTicket
    label: str
    clean: str


def fail_rules(mission: SyntheticMission) -> list[WorldRule]:
    """Rules that add a reason to fail and that tickets of this mission can decide."""
    rules = [WorldRule("require", name) for name in mission.side] + [
        WorldRule("forbid", name) for name in mission.forbiddable
    ]
    return [*rules, WorldRule("photos", "2"), WorldRule("photos", "3")]


def waive_rules(mission: SyntheticMission) -> list[WorldRule]:
    """Rules that waive a cause of this mission's G0."""
    g0 = mission.g0
    return [WorldRule("waive_missing", name) for name in g0.required] + [
        WorldRule("waive_negative", name) for name in g0.forbidden
    ]


def draw_hidden(rng: Random, mission: SyntheticMission) -> tuple[WorldRule, ...]:
    """Four different rules, one or two of them waivers, at most one about photos and one about brands."""
    waivers = 2 if rng.random() < 0.45 else 1
    chosen = rng.sample(waive_rules(mission), waivers)
    pool, once = fail_rules(mission), set()
    weights = {"forbid": 0.9, "require": 1.6, "photos": 1.3}
    while len(chosen) < 4:
        rule = rng.choices(pool, [weights[r.kind] for r in pool])[0]
        group = "photos" if rule.kind == "photos" else "brand" if rule.what in _BRANDS else rule
        if group not in once:
            once.add(group)
            chosen.append(rule)
    rng.shuffle(chosen)
    return tuple(chosen)


def tune(profile: Profile, rule: WorldRule, rng: Random, wide: bool = False) -> None:
    """Move the profile so that ``rule`` decides now and then; ``wide`` for the larger spread of training."""
    low, high = (0.10, 0.50) if wide else (0.18, 0.30)
    rate = rng.uniform(low, high)
    if rule.kind in ("require", "waive_missing"):
        profile.rates[rule.what] = 1 - rate
    elif rule.kind == "photos":
        few = int(rule.what) - 1
        rest = 4 - few
        profile.photos[:4] = [rate / few] * few + [(0.92 - rate) / rest] * rest
        profile.photos[4] = 0.08
    elif rule.what in _BRANDS:
        brand = _BRANDS.index(rule.what)
        others = [weight if i != brand else 0.0 for i, weight in enumerate(profile.brands)]
        profile.brands[:] = [
            rate if i == brand else weight / sum(others) * (1 - rate) for i, weight in enumerate(others)
        ]
    else:
        profile.rates[rule.what] = rate


def sample_world(seed: int, mission: str) -> World:
    """A world whose every hidden rule decides at least 6 % of tickets alone, with 35-65 % passes."""
    rng = Random(f"{mission}:{seed}")
    while True:
        place = MISSIONS[mission]
        world = World(place, draw_hidden(rng, place), base_profile(place))
        for rule in world.hidden:
            tune(world.profile, rule, rng)
        facts = [make_ticket(rng, place, world.profile).facts for _ in range(_PROBE)]
        if _is_fair(world, facts):
            return world


def _is_fair(world: World, facts: list[Facts]) -> bool:
    g0, rules = world.mission.g0, world.rules
    if any(rule.kind == "waive_negative" and rule.what.endswith(_GUARDED) for rule in world.hidden):
        return False
    base, full = [verdict(f, g0, {}) for f in facts], [verdict(f, g0, rules) for f in facts]
    if not _BALANCE <= full.count("pass") / len(full) <= 1 - _BALANCE:
        return False
    for key, rule in rules.items():
        without = {k: r for k, r in rules.items() if k != key}
        alone = sum(verdict(f, g0, {key: rule}) != b for f, b in zip(facts, base, strict=True))
        decides = sum(verdict(f, g0, without) != v for f, v in zip(facts, full, strict=True))
        if alone < _ALONE * len(facts) or decides < _DECISIVE * len(facts):
            return False
    return True


def draw_tickets(world: World, n: int, seed: int, flip: float = 0.05, prefix: str = "") -> list[Labelled]:
    """``n`` tickets of the world; a share ``flip`` of them, spread evenly, carries the wrong label.

    ``prefix``: of every group_id.
    """
    rng = Random(f"{world.mission.slug}:tickets:{seed}")
    flipped = set(rng.sample(range(n), round(flip * n)))
    out = []
    for index in range(n):
        ticket = make_ticket(rng, world.mission, world.profile)
        clean = world.verdict(ticket.facts)
        label = clean if index not in flipped else "fail" if clean == "pass" else "pass"
        temporary = "TEMP-" if rng.random() < 0.3 else ""
        day = f"{rng.randrange(2023, 2025)}{rng.randrange(1, 13):02}{rng.randrange(1, 29):02}"
        group = f"{prefix}QC-{temporary}{day}-{index * 7 + 1:07}"
        out.append(Labelled(group, ticket, label, clean))
    return out


def stage_a_rows(world: World, rows: list[Labelled]) -> list[dict]:
    """Stage-A records (docs/design.md §3) as plain dicts."""
    return [
        {"group_id": row.group_id, "mission": world.mission.name, "label": row.label,
         "images": [f"{row.group_id}_{i}.jpeg" for i in range(1, len(row.ticket.summaries) + 1)],
         "per_image": row.ticket.per_image}
        for row in rows
    ]  # fmt: skip


def truth_rows(world: World, rows: list[Labelled], seed: int) -> list[dict]:
    """The hidden rules, then a ticket a row."""
    head = {"mission": world.mission.slug, "seed": seed, "hidden_rules": [rule.text() for rule in world.hidden]}
    return [head] + [
        {"ticket_key": f"{r.group_id}::{r.label}", "clean_label": r.clean, "flipped": r.label != r.clean} for r in rows
    ]


def g0_text(slug: str) -> str:
    """The shipped checklist of a mission."""
    return MISSIONS[slug].g0.text()


def main(
    mission: str = "bbu_line", seed: int = 1, tickets: int = 400, tickets_seed: int = 0, flip: float = 0.05,
    output: Path = Path("stage_a.jsonl"), truth: Path = Path("truth.jsonl"), print_g0: bool = False,
    mark_synthetic: bool = False,
) -> None:  # fmt: skip
    """Write a world's tickets and, apart from them, their truth; or print the seven checklists."""
    if print_g0:
        for slug, place in MISSIONS.items():
            print(f"{slug}\t{place.name}\t{g0_text(slug)}")
        return
    from verdicts.base.errors import UserError
    from verdicts.base.jsonl import write_rows
    from verdicts.command.cli import say
    from verdicts.records.synthetic import PREFIX

    if mission not in MISSIONS:
        raise UserError(f"--mission: unknown mission ({mission}); choose one of {', '.join(MISSIONS)}")
    if tickets < 1 or not 0 <= flip < 0.5:
        raise UserError(
            f"--tickets, --flip: out of range ({tickets}, {flip}); give at least 1 ticket and a share below 0.5"
        )
    world = sample_world(seed, mission)
    rows = draw_tickets(world, tickets, tickets_seed or seed, flip, PREFIX if mark_synthetic else "")
    write_rows(truth, truth_rows(world, rows, seed))
    write_rows(output, stage_a_rows(world, rows))  # last: where it is, both are
    say(
        f"world: {len(rows)} tickets of {mission}, {sum(r.label != r.clean for r in rows)} flipped, "
        f"{len(world.hidden)} hidden rules"
    )


if __name__ == "__main__":
    from verdicts.command.cli import run

    run(main, writes="output")
