"""Do operating points keep their target? 200 resamples of groups, by the miniature teacher's P(fail) of drawn tickets.

    python -m miniature.measure.points --output points.json

Worlds with seeds that were never used in training; a share of the labels is flipped, and the student's part is played
by the teacher, which is told all hidden rules but the last. All drawn groups are the population: FRR over them is the
true FRR of a threshold. Each resample draws groups with replacement, chooses a point (verdicts/evaluation/
operating_point.py), and for comparison the largest threshold whose FRR on the sample itself is within the target.
Prints one row a mission and target; with --output writes the figures.
"""

from __future__ import annotations

from bisect import bisect_left
from pathlib import Path
from random import Random
from statistics import mean
from typing import Annotated

import typer

from verdicts.command.cli import run
from verdicts.evaluation.operating_point import (
    THRESHOLDS,
    LabelledChance,
    TooFew,
    choose,
    false_block_at,
    frr_at,
    release_at,
)

MISSIONS = ("bbu_line", "bbu_cable", "rru_position")
SEED, RESAMPLES, CONFIDENCE = 900_000, 200, 0.95
MODEL = Path("data/miniature/teacher.gguf")


def main(
    tickets: Annotated[int, typer.Option(help="Drawn tickets a mission: the population.")] = 3000,
    groups: Annotated[int, typer.Option(help="Groups a resample draws.")] = 400,
    flip: Annotated[float, typer.Option(help="Share of labels that are flipped.")] = 0.02,
    output: Annotated[Path | None, typer.Option(help="Figures (JSON).")] = None,
) -> None:
    """Count how often the true FRR of a chosen point is within its target."""
    from miniature.measure.teacher import open_teacher
    from verdicts.base.jsonl import write_json

    engine, found = open_teacher(MODEL), []
    for mission in MISSIONS:
        rows = judged_tickets(engine, mission, tickets, flip)
        for target in (0.1, 0.05, 0.02):
            found.append({"mission": mission, "target": target} | resampled(rows, groups, target))
            print("  ".join(f"{name} {value:.4g}" if name != "mission" else value for name, value in found[-1].items()))
    if output:
        write_json(output, {"tickets": tickets, "groups": groups, "flip": flip, "seed": SEED, "rows": found})


def judged_tickets(engine, slug: str, count: int, flip: float) -> list[LabelledChance]:
    """The population: drawn tickets of one world with the teacher's P(fail), all hidden rules told but the last."""
    from miniature.teacher.verdict_data import rule_keys
    from miniature.world.dataset import MISSIONS as ALL
    from miniature.world.dataset import draw_tickets, sample_world
    from miniature.world.prompts import prompts_of
    from verdicts.stage_b.threshold import p_fail

    world = sample_world(SEED, slug)
    told = world.hidden[:-1]
    rules = dict(zip(rule_keys(Random(SEED), len(told)), told, strict=True))
    guidance = {"G0": ALL[slug].g0.text()} | {key: rule.text() for key, rule in rules.items()}
    rows = draw_tickets(world, count, SEED, flip)
    prompts = prompts_of(ALL[slug].name)
    users = [prompts.stage_b_user(row.ticket.per_image) for row in rows]
    scores = engine.judge(prompts.stage_b_system(guidance), users)
    return [
        LabelledChance(row.group_id, row.label, p_fail((score["pass"], score["fail"])))
        for row, score in zip(rows, scores, strict=True)
    ]


def resampled(rows: list[LabelledChance], groups: int, target: float) -> dict[str, float]:
    """What 200 resamples of groups come to, against the population."""
    by_group: dict[str, list[LabelledChance]] = {}
    for row in rows:
        by_group.setdefault(row.group_id, []).append(row)
    draw, names, points, naive = Random(17), sorted(by_group), [], []
    for _ in range(RESAMPLES):
        sample = [row for _ in range(groups) for row in by_group[draw.choice(names)]]
        fails = sorted(row.p_fail for row in sample if row.label == "fail" and row.p_fail is not None)
        points.append(choose(fails, target, CONFIDENCE))
        within = [at for at in THRESHOLDS if bisect_left(fails, at) <= target * len(fails)]
        naive.append(max(within, default=0.0))
    chosen = [point.threshold for point in points if not isinstance(point, TooFew)]
    true = {at: frr_at(at, rows).rate for at in {*chosen, *naive}}
    own = 0.5
    return {
        "fails": frr_at(own, rows).n,
        "own_frr": frr_at(own, rows).rate,
        "own_release": release_at(own, rows).rate,
        "none": len(points) - len(chosen),
        "kept": sum(true[at] <= target for at in chosen) + len(points) - len(chosen),
        "kept_naive": sum(true[at] <= target for at in naive),
        "frr": mean(true[at] for at in chosen) if chosen else float("nan"),
        "release": mean(release_at(at, rows).rate for at in chosen) if chosen else float("nan"),
        "false_block": mean(false_block_at(at, rows).rate for at in chosen) if chosen else float("nan"),
    }


if __name__ == "__main__":
    run(main)
