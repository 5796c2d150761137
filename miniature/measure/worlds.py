"""Measure the loop in miniature worlds: does it find the hidden rules, keep wrong ones out, and who ends in review?

    make worlds            (python -m miniature.measure.worlds --seeds 5 --output runs/worlds/results.json)

For each seed, share of flipped labels and share of labels that are fail: 400 tickets of a world with four hidden rules,
learnt from G0 alone, in memory (verdicts/measure/rehearsal.py). The guidance that results is judged on 400 clean
held-out tickets; hidden rules that the tickets can show at all are counted apart (miniature/measure/shown.py). A second
run of the same world starts with a planted wrong rule. With --reasons one more learns from the same tickets with
people's notes on those that they failed (miniature/world/notes.py), and each row says in which rounds hidden rules were
accepted with and without. Prints a row for each kind of world. With --kind the worlds are harder
(miniature/world/harder.py): what the loop makes of laws that no rule states, or of rules that change.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import mean
from typing import TYPE_CHECKING, Annotated, Any

import typer

from verdicts.command.cli import run

if TYPE_CHECKING:
    from miniature.world.dataset import World
    from miniature.world.harder import Draw, Harder
    from verdicts.config.sections import Config, FailFirst, Negative


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Worlds of each kind, seeds --first, --first + 1, …")] = 5,
    first: Annotated[int, typer.Option(min=0, help="Seed of the first world.")] = 1,
    flips: Annotated[str, typer.Option(help="Shares of flipped labels, with commas.")] = "0.05",
    fails: Annotated[
        str, typer.Option(help="Shares of labels that are fail, with commas; 0: as the world has it.")
    ] = "0",
    mission: Annotated[str, typer.Option(help="Mission slug.")] = "bbu_line",
    tickets: Annotated[int, typer.Option(min=1, help="Tickets to learn from.")] = 400,
    held_out: Annotated[int, typer.Option(min=1, help="Clean tickets to judge with.")] = 400,
    planted: Annotated[bool, typer.Option(help="Run each world once more with a planted wrong rule.")] = True,
    reasons: Annotated[bool, typer.Option(help="Learn once more from tickets with people's notes.")] = False,
    kind: Annotated[
        str, typer.Option(help="plain, or a harder world: both, unless, count, lax, harsh, drift, missions.")
    ] = "plain",
    overlay: Annotated[Path | None, typer.Option(help="One more YAML laid over the configuration.")] = None,
    output: Annotated[Path, typer.Option(help="Results (JSON).")] = Path("runs/worlds/results.json"),
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Run the worlds and print the table."""
    from miniature.world.harder import KINDS
    from verdicts.base.errors import UserError
    from verdicts.base.jsonl import write_json
    from verdicts.config.load import load
    from verdicts.measure.jobs import alone, in_processes

    if kind not in KINDS:
        raise UserError(f"--kind: unknown kind of world ({kind}); choose one of {', '.join(KINDS)}")
    config = alone(load("miniature", mission, overlay), jobs)
    kinds = [(flip, share) for flip in read_shares(flips) for share in read_shares(fails)]
    rows: list[dict[str, Any]] = []
    for row in in_processes(
        measure,
        [
            (seed, config, tickets, held_out, flip, share, planted, reasons, kind)
            for flip, share in kinds
            for seed in range(first, first + seeds)
        ],
        jobs,
    ):
        rows.append(row)
        print(row_text(row), flush=True)
        write_json(output, {"mission": mission, "kind": kind, "tickets": tickets, "held_out": held_out, "worlds": rows})
    for flip, share in kinds:
        print(table_row([row for row in rows if (row["flip"], row["fails"]) == (flip, share)]))


def read_shares(text: str) -> list[float]:
    """``0.05,0.1`` as numbers."""
    return [float(part) for part in text.split(",")]


def row_text(row: dict[str, Any]) -> str:
    """One world."""
    gone = (
        "not tried"
        if not row["planted"]
        else "never gone"
        if row["planted_gone_after"] is None
        else f"gone after {row['planted_gone_after']:.1f} epochs"
    )
    return (
        f"seed {row['seed']}, {row['flip']:.0%} flipped, {row['fail_labels']:.0%} fail ({row['status']}, "
        f"{row['epochs']} epochs): found {row['found']} of {len(row['hidden'])} "
        f"({len(found_of(row['shown'], row))} of {len(row['shown'])} that the tickets show), "
        f"wrong {len(row['wrong'])}{law_text(row)}; clean: FRR {row['frr']['k']}/{row['frr']['n']}, false block "
        f"{row['false_block']['k']}/{row['false_block']['n']}, "
        f"label match {row['label_match']['rate']:.1%}; review holds {row['review_recall']:.0%} of the flipped; "
        f"planted rule {gone}; {row['seconds']:.0f} s"
        + (f"\n  {path_text('without', row)}\n  {path_text('with', row)}" if row["with_reasons"] else "")
    )


def found_of(rules: Sequence[str], row: dict[str, Any]) -> list[str]:
    """Those of some rules that the loop of a row ended with, however worded."""
    from miniature.world.dataset import parse_rule

    found = {parse_rule(text) for text in row["rules"]}
    return [text for text in rules if parse_rule(text) in found]


def law_text(row: dict[str, Any]) -> str:
    """What a harder world is about."""
    return f", of the law ({row['law']}) held {', '.join(row['parts_held']) or 'nothing'}" if row["law"] else ""


def path_text(name: str, row: dict[str, Any]) -> str:
    """How a loop with or without people's notes came to its rules."""
    path = row[f"{name}_reasons"]
    asked = " + ".join(f"{path['asked'][kind]:,}" for kind in ("rollout", "judge", "complete"))
    return (
        f"{name} reasons: found {path['found']} of {len(row['hidden'])} in rounds "
        f"{', '.join(map(str, path['found_in']))} (reflection calls up to the last: {path['calls_to_find']}), "
        f"wrong {path['wrong']}, {path['rounds']} rounds; asked {asked}"
    )


def table_row(rows: list[dict[str, Any]]) -> str:
    """All worlds of one kind together."""
    from verdicts.stats.rates import wilson

    summed = {
        name: wilson(sum(row[name]["k"] for row in rows), sum(row[name]["n"] for row in rows))
        for name in ("frr", "false_block", "label_match")
    }
    shown = sum(len(row["shown"]) for row in rows)
    gone = [row["planted_gone_after"] for row in rows if row["planted"]]
    return (
        f"| {rows[0]['flip']:.0%} | {rows[0]['fails'] or mean(row['fail_labels'] for row in rows):.0%} | "
        f"{sum(row['found'] for row in rows)}/{sum(len(row['hidden']) for row in rows)} "
        f"({sum(len(found_of(row['shown'], row)) for row in rows)}/{shown} shown) "
        f"| {sum(len(row['wrong']) for row in rows)} | {summed['frr']} | {summed['false_block']} | "
        f"{min(row['label_match']['rate'] for row in rows):.1%} to "
        f"{max(row['label_match']['rate'] for row in rows):.1%} "
        f"| {sum(at is not None and at <= 1 for at in gone)}/{len(gone)} | "
        f"{sum(row['status'] == 'converged' for row in rows)}/{len(rows)} |"
    )


def measure(
    seed: int, config: "Config", tickets: int, held_out: int, flip: float, fails: float, planted: bool, reasons: bool,
    kind: str = "plain",
) -> dict[str, Any]:  # fmt: skip
    """One world: learn, judge on clean tickets, then once more with people's notes, and with a planted wrong rule."""
    from miniature.measure.shown import hidden_rules
    from miniature.world import dataset as worlds
    from miniature.world.harder import harder
    from miniature.world.notes import with_notes
    from verdicts.engines import open_engine
    from verdicts.measure.rehearsal import Recall, judge, rates_of, rehearse
    from verdicts.records.tickets import StageA
    from verdicts.review.unsupported import is_unsupported

    started = time.monotonic()
    plain = worlds.sample_world(seed, config.mission.slug)
    config = config.model_copy(update={"fail_first": guard_of(plain, config.fail_first)})
    hard = harder(kind, plain, seed)
    world = hard.world
    labelled = balanced_tickets(world, tickets, seed, flip, fails, hard.learn)
    rows, clean = (
        [StageA.model_validate(row) for row in worlds.stage_a_rows(world, of)]
        for of in (labelled, balanced_tickets(world, held_out, seed + 1000, 0.0, fails, hard.judge))
    )
    engine = Recall(open_engine(config.engine))
    if hard.before:
        config = begun_with(config, rehearse(config, engine, tickets_before(hard, tickets, seed, flip, fails)).rules)
    done = rehearse(config, engine, rows)
    path = path_of(done, dict(engine.asked), world)
    noted = None
    if reasons:
        engine.asked = dict.fromkeys(engine.asked, 0)
        again = rehearse(config, engine, with_notes(world, labelled, rows, seed))
        noted = path_of(again, dict(engine.asked), world)
    found = {worlds.parse_rule(text) for text in done.rules}
    rates = rates_of(judge(config, engine, done.guidance, clean))
    flipped = {f"{row.group_id}::{row.label}" for row in labelled if row.label != row.clean}
    queued = {
        selection.ticket_key
        for candidates, selection in judge(config, engine, done.guidance, rows)
        if selection and is_unsupported(candidates)
    }
    gone = None
    if planted:
        begun_wrong = begun_with(config, [wrong_rule(seed, worlds, world)])
        gone = gone_after(rehearse(begun_wrong, engine, rows), -(-len(rows) // config.window.tickets))
    engine.close()
    return {
        "seed": seed, "flip": flip, "fails": fails,
        "fail_labels": sum(row.label == "fail" for row in labelled) / len(labelled),
        "hidden": [rule.text() for rule in world.hidden], "rules": done.rules, "status": done.status.status,
        "epochs": done.status.epochs,
        "found": sum(rule in found for rule in world.hidden),
        "shown": [rule.text for rule in hidden_rules(world, labelled, flip, config) if rule.is_shown],
        "kind": kind, "law": hard.law,
        "parts_held": [text for text in done.rules if worlds.parse_rule(text) in hard.parts],
        "wrong": [text for text in done.rules if worlds.parse_rule(text) not in (*world.hidden, *hard.parts)],
        **{name: rate.model_dump() for name, rate in rates._asdict().items()},
        "review_recall": len(flipped & queued) / max(1, len(flipped)),
        "review_precision": len(flipped & queued) / max(1, len(queued)),
        "planted": planted, "planted_gone_after": gone, "asked": path["asked"],
        "without_reasons": path, "with_reasons": noted, "seconds": round(time.monotonic() - started, 1),
    }  # fmt: skip


def begun_with(config: "Config", rules: list[str]) -> "Config":
    """The same configuration for a loop that begins with some rules."""
    return config.model_copy(update={"mission": config.mission.model_copy(update={"rules": rules})})


def tickets_before(hard: "Harder", count: int, seed: int, flip: float, fails: float) -> list[Any]:
    """The tickets from which was learnt before the world changed."""
    from miniature.world.dataset import stage_a_rows
    from verdicts.records.tickets import StageA

    drawn = balanced_tickets(hard.before, count, seed + 500, flip, fails)
    return [StageA.model_validate(row) for row in stage_a_rows(hard.world, drawn)]


def guard_of(world: "World", guard: "FailFirst") -> "FailFirst":
    """The guard of a team whose practice the world is: without negatives that a hidden rule waives, however written."""
    from miniature.world.vocabulary import MESSY
    from verdicts.facts.words import same

    def waived(objects: Sequence[str], value: str) -> bool:
        written = [*world.waived, *(MESSY if "电线散乱" in world.waived and "电线" in objects else ())]
        return any(word in words for word in same(value) for words in written)

    kept: list[list[str] | Negative] = []
    for negative in guard.negatives:
        if isinstance(negative, list):
            kept.append(negative)
        elif values := [value for value in negative.values if not waived(negative.objects, value)]:
            kept.append(negative.model_copy(update={"values": values}))
    return guard.model_copy(update={"negatives": kept})


def path_of(done: Any, asked: dict[str, int], world: Any) -> dict[str, Any]:
    """How a loop came to its rules.

    ``found_in``: the rounds in which the hidden rules of its end were last accepted, 0 for one that it began with;
    ``calls_to_find``: reflection
    calls up to the last of these; ``asked``: questions to the model until the loop ended.
    """
    from miniature.world import dataset as worlds

    ends = {worlds.parse_rule(text) for text in done.rules}
    accepted = {
        worlds.parse_rule(applied.op.text or ""): number
        for number, records in enumerate(done.reflections, start=1)
        for record in records
        for applied in record.applied
    }
    found_in = sorted(accepted.get(rule, 0) for rule in world.hidden if rule in ends)
    last = done.reflections[: found_in[-1]] if found_in else []
    return {
        "found": len(found_in), "found_in": found_in, "wrong": len(done.rules) - len(found_in),
        "rounds": len(done.reflections), "calls_to_find": sum(len(records) - 1 for records in last), "asked": asked,
    }  # fmt: skip


def balanced_tickets(world: Any, count: int, seed: int, flip: float, fails: float, draw: "Draw | None" = None) -> list:
    """``count`` tickets, of which a share ``fails`` is labelled fail (0: as they come), but for what flips.

    ``draw``: how they are drawn; None: draw_tickets. Tickets are chosen by their right verdict, never by their label.
    To choose by label would take more of the flipped ones than ``flip`` wherever a label is rarer in the world than in
    ``fails``.
    """
    from miniature.world.dataset import draw_tickets

    draw = draw or draw_tickets
    if not fails:
        return draw(world, count, seed, flip)
    right_fails = round(count * (fails - flip) / (1 - 2 * flip))
    left = {"fail": right_fails, "pass": count - right_fails}
    chosen = []
    for row in draw(world, 6 * count, seed, flip):
        if left[row.clean] > 0:
            left[row.clean] -= 1
            chosen.append(row)
    if any(left.values()):
        raise RuntimeError(f"too few tickets with these verdicts: {left} missing")
    return chosen


def wrong_rule(seed: int, worlds: Any, world: Any) -> str:
    """A rule that is not the world's, and turns the right verdict of at least 6 % of tickets."""
    probe = [row.ticket.facts for row in worlds.draw_tickets(world, 400, seed + 2000, 0.0)]
    return (
        Random(seed)
        .choice(
            [
                rule
                for rule in worlds.fail_rules(world.mission)
                if rule not in world.hidden and harm(rule, world, worlds, probe) >= 0.06
            ]
        )
        .text()
    )


def harm(rule: Any, world: Any, worlds: Any, probe: list) -> float:
    """The share of tickets whose right verdict the rule turns."""
    rules = {**world.rules, "G1": rule}
    return sum(worlds.verdict(facts, world.mission.g0, rules) != world.verdict(facts) for facts in probe) / len(probe)


def gone_after(done: Any, per_epoch: int) -> float | None:
    """Epochs until the rule that a loop began with was gone or reworded; None where it stayed."""
    for number, records in enumerate(done.reflections, start=1):
        if any("G1" in record.cleaned_up for record in records) or any(
            "G1" in (applied.op.key, *applied.op.keys) for record in records for applied in record.applied
        ):
            return number / per_epoch
    return None


if __name__ == "__main__":
    run(main, engine="llama.cpp")
