"""Measure the loop in miniature worlds: does it find the hidden rules, and who ends in review?

    make worlds            (python -m tools.miniature.worlds --seeds 5 --output runs/worlds/results.json)

For each seed: 400 tickets of a world with four hidden rules, 5 % of labels flipped, go through `make converge review`
from G0 alone. The guidance that results is judged on 400 clean held-out tickets. A second run of the same world starts
with a planted wrong rule. Prints a row a seed and the mean with its spread.
"""

import subprocess
from pathlib import Path
from random import Random
from typing import Annotated, Any

import typer

from tools.core.cli import run

WORLDS = Path("runs/worlds")
COLUMNS = {
    "label_match": "held-out label match", "frr": "held-out FRR", "rules_found": "hidden rules found", "epochs": "epochs",
    "review_recall": "flipped in review", "review_precision": "review that is flipped", "planted_gone_after": "planted rule gone after (epochs)",
}  # fmt: skip


def main(
    seeds: Annotated[int, typer.Option(help="Worlds to measure, seeds 1, 2, …")] = 5,
    mission: Annotated[str, typer.Option(help="Mission slug.")] = "bbu_line",
    tickets: Annotated[int, typer.Option(help="Tickets to learn from.")] = 400,
    held_out: Annotated[int, typer.Option(help="Clean tickets to judge with.")] = 400,
    output: Annotated[Path, typer.Option(help="Results (JSON).")] = WORLDS / "results.json",
) -> None:
    """Run the worlds and print the table."""
    from statistics import mean

    from tools.core.jsonl import write_json

    rows = []
    for seed in range(1, seeds + 1):
        row = measure(seed, mission, tickets, held_out)
        print(f"seed {seed}: " + ", ".join(f"{title} {shown(row[name])}" for name, title in COLUMNS.items()) + ("" if row["converged"] else " (NOT converged)"), flush=True)
        rows.append(row)
        write_json(output, {"mission": mission, "tickets": tickets, "held_out": held_out, "worlds": rows})
    for name, title in COLUMNS.items():
        values = [row[name] for row in rows if row[name] is not None]
        print(f"{title:34} mean {shown(mean(values))}  min {shown(min(values))}  max {shown(max(values))}  n={len(values)}")


def shown(value: float | None) -> str:
    """Shares as per cent, counts as they are."""
    return "–" if value is None else f"{value:.1%}" if isinstance(value, float) and value <= 1 else f"{value:g}"


def measure(seed: int, mission: str, tickets: int, held_out: int) -> dict[str, Any]:
    """One world: learn, judge on held-out tickets, then once more with a planted wrong rule."""
    from tools.core.guidance_file import read_guidance
    from tools.core.jsonl import read_json
    from tools.core.records import LoopStatus, NeedReviewFile
    from tools.miniature import world as worlds

    world = worlds.sample_world(seed, mission)
    labelled = worlds.tickets(world, tickets, seed, 0.05)
    source = WORLDS / f"{seed}.tickets.jsonl"
    save(source, worlds.stage_a_rows(world, labelled))
    folder = learn(f"worlds/{seed}", mission, source)
    status = read_json(folder / "loop.json", LoopStatus)
    guidance = read_guidance(folder / "guidance.json", world.mission.name)
    found = {worlds.parse_rule(text) for text in guidance.experiences.values()}
    flipped = {f"{row.group_id}::{row.label}" for row in labelled if row.label != row.clean}
    review = read_json(folder / "need_review.json", NeedReviewFile).missions
    queued = {ticket.ticket_key for listed in review.values() for ticket in listed.tickets}
    rates = judge(folder, guidance.experiences, worlds, world, held_out, seed + 1000)
    return {
        "seed": seed, "hidden": [rule.text() for rule in world.hidden], "rules": guidance.experiences,
        "converged": status.status == "converged", "epochs": status.epochs, "oscillations": len(status.oscillations),
        "rules_found": sum(rule in found for rule in world.hidden) / len(world.hidden),
        "label_match": rates.label_match.rate, "frr": rates.frr.rate, "false_block": rates.false_block.rate,
        "review_recall": len(flipped & queued) / len(flipped), "review_precision": len(flipped & queued) / max(1, len(queued)),
        "planted_gone_after": planted(seed, mission, source, worlds, world),
    }  # fmt: skip


def save(path: Path, rows: list[dict]) -> None:
    """Write tickets as JSONL."""
    from tools.core.jsonl import write_rows

    write_rows(path, rows)


def learn(name: str, mission: str, source: Path, *settings: str) -> Path:
    """Run the loop to its end through Make; returns the run folder."""
    subprocess.run(["make", "review", f"MISSION={mission}", f"RUN={name}", f"STAGE_A={source}", *settings], check=True)
    return Path("runs") / name / mission


def judge(folder: Path, experiences: dict[str, str], worlds: Any, world: Any, n: int, seed: int) -> Any:
    """Verdict rates on clean tickets that were never learnt from, voted as in a round."""
    from tools.core.config import RolloutConfig, read_section
    from tools.core.engines import open_engine
    from tools.core.metrics import verdict_rates
    from tools.core.prompts import stage_b_system, stage_b_user
    from tools.core.records import StageA
    from tools.core.rollouts import decodes_for, trajectories_of
    from tools.core.selection import select
    from tools.core.windows import Place

    cfg = read_section(folder / "config" / "rollout.yaml", RolloutConfig)
    rows = [StageA.model_validate(row) for row in worlds.stage_a_rows(world, worlds.tickets(world, n, seed, 0.0))]
    decodes = [decodes_for(row, cfg.rollout) for row in rows]
    engine = open_engine(cfg.engine)
    answers = engine.rollout(stage_b_system(world.mission.name, experiences), [stage_b_user(row.per_image) for row in rows], decodes)
    candidates = [trajectories_of(row, grid, answer, Place(1, 0, 1), 1, 0, cfg.rollout.cut_reasons) for row, grid, answer in zip(rows, decodes, answers, strict=True)]
    chosen = [select(row, mine, cfg.fail_first) for row, mine in zip(rows, candidates, strict=True)]
    engine.close()
    return verdict_rates((selection.label, selection.verdict) for selection in chosen if selection)


def planted(seed: int, mission: str, source: Path, worlds: Any, world: Any) -> float | None:
    """Start the world with a wrong rule that decides at least 6 % of tickets. Epochs from its first miss until it is gone; None if it never leaves."""
    import yaml

    from tools.core.jsonl import read_rows, write_text
    from tools.core.records import Reflection

    probe = [row.ticket.facts for row in worlds.tickets(world, 400, seed + 2000, 0.0)]
    wrong = [rule for rule in worlds.fail_rules(world.mission) if rule not in world.hidden and harm(rule, world, worlds, probe) >= 0.06]
    overlay = WORLDS / f"{seed}.planted.yaml"
    write_text(overlay, yaml.safe_dump({"mission": {"rules": [Random(seed).choice(wrong).text()]}}, allow_unicode=True))
    folder = learn(f"worlds/{seed}-planted", mission, source, f"CONFIG={overlay}")
    first_miss = None
    rounds = sorted(path for path in (folder / "rounds").iterdir() if path.name != "0000")
    per_epoch = -(-len(source.read_text(encoding="utf-8").splitlines()) // 128)
    for number, path in enumerate(rounds, start=1):
        records = read_rows(path / "reflection.jsonl", Reflection)
        if first_miss is None and any(record.tallies["G1"].misses for record in records if "G1" in record.tallies):
            first_miss = number
        gone = any("G1" in record.cleaned_up for record in records) or any("G1" in (done.op.key, *done.op.keys) for record in records for done in record.applied)
        if gone:
            return (number - (first_miss or number)) / per_epoch
    return None


def harm(rule: Any, world: Any, worlds: Any, probe: list) -> float:
    """The share of tickets whose right verdict the rule turns."""
    rules = {**world.rules, "G1": rule}
    return sum(worlds.verdict(facts, world.mission.g0, rules) != world.verdict(facts) for facts in probe) / len(probe)


if __name__ == "__main__":
    run(main)
