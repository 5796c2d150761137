"""Our loop beside other optimisers of guidance: the same tickets, teacher, proposer and budget.

    make compare-optimizers     (python -m miniature.optimizers.compare --output runs/optimizers/results.jsonl)

For each world, share of flipped labels and seed, every arm searches on the same tickets through one wrapper that counts
calls and tokens and refuses what goes beyond the budget (budget.py). What it found is judged on clean held-out tickets.
A row a search goes to --output, and what stands there is not searched again: stop it, and go on later. Prints the table
of what all arms have searched. --tune searches the grid of settings on a world of its own instead.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from miniature.optimizers.arm import Arm, Found, Task
from miniature.optimizers.blind import BestOfN, RandomEdits
from miniature.optimizers.budget import Budget, BudgetSpent, Counted
from miniature.optimizers.gepa_arm import Gepa
from miniature.optimizers.group_relative import GroupRelative
from miniature.optimizers.ours import Ours
from miniature.optimizers.playbook import Playbook
from miniature.optimizers.rule_list import RuleList
from verdicts.command.cli import run

# Kinds of arms; "tuned" has the settings with the lowest sum of both error rates in --tune (docs/evidence.md).
ARMS: dict[str, Arm] = {
    "ours": Ours(),
    "gepa": Gepa(),
    "gepa tuned": Gepa(minibatch=8),
    "playbook": Playbook(),
    "group relative": GroupRelative(),
    "best of n": BestOfN(),
    "random edits": RandomEdits(),
    "rule list": RuleList(),
}
DEFAULT = ", ".join([*ARMS, "group relative/all_wrong=1"])
GRID = (
    "gepa, gepa/minibatch=8, gepa/minibatch=16, gepa/minibatch=16/val_share=0.25, playbook, playbook/min_harmful=1, "
    "group relative, group relative/all_wrong=1, best of n, best of n/steps=4, random edits, random edits/sample=64"
)
TUNING_WORLD = 90
PACKAGES = {Gepa: "gepa", RuleList: "wittgenstein"}


def main(
    worlds: Annotated[
        str, typer.Option(help="World seeds, with commas; those of docs/measurements.md are 1 to 10.")
    ] = ("11,12,13,14,15"),
    flips: Annotated[str, typer.Option(help="Shares of flipped labels, with commas.")] = "0,0.05,0.1,0.2",
    seeds: Annotated[int, typer.Option(min=1, help="Searches of each arm in a world, seeds --first and on.")] = 5,
    first: Annotated[int, typer.Option(min=1, help="Seed of the first search.")] = 1,
    arms: Annotated[str, typer.Option(help="Arms, with commas; settings as gepa/minibatch=8.")] = DEFAULT,
    mission: Annotated[str, typer.Option(help="Mission slug.")] = "bbu_line",
    tickets: Annotated[int, typer.Option(min=20, help="Tickets to search on.")] = 100,
    held_out: Annotated[int, typer.Option(min=2, help="Clean tickets to judge with.")] = 120,
    calls: Annotated[int, typer.Option(min=1, help="Answers that a search may ask for.")] = 4000,
    tokens: Annotated[int, typer.Option(min=1, help="Tokens that a search may have read and written.")] = 200_000,
    tune: Annotated[bool, typer.Option(help=f"Search the grid of settings on world {TUNING_WORLD}.")] = False,
    output: Annotated[Path, typer.Option(help="Results (JSONL), appended to.")] = Path("runs/optimizers/results.jsonl"),
) -> None:
    """Run the searches that --output lacks and print the table."""
    from miniature.optimizers.scores import table
    from verdicts.base.jsonl import write_rows
    from verdicts.config.load import load
    from verdicts.engines import open_engine

    if tune:
        worlds, arms = str(TUNING_WORLD), GRID
    named = {name.strip(): read_arm(name.strip()) for name in arms.split(",")}
    config = load("miniature", mission)
    rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()] if output.exists() else []
    settings = {"mission": mission, "tickets": tickets, "held_out": held_out, "budget": [calls, tokens]}
    pieces = [
        Piece(world, flip, seed)
        for seed in range(first, first + seeds)
        for flip in map(float, flips.split(","))
        for world in map(int, worlds.split(","))
    ]
    left = [(piece, done) for piece in pieces if not named.keys() <= (done := done_of(rows, settings, piece))]
    engine = open_engine(config.engine) if left else None
    for piece, done in left:
        missing = {name: arm for name, arm in named.items() if name not in done}
        for row in searches(engine, config, piece, missing, settings, done):
            rows.append(row)
            write_rows(output, rows)
            print(row_text(row), flush=True)
    if engine:
        engine.close()
    print(table(whole(rows, settings, named)))


class Piece(NamedTuple):
    """Tickets and a seed that all arms search with."""

    world: int
    flip: float
    seed: int


def done_of(rows: Sequence[dict[str, Any]], settings: dict[str, Any], piece: Piece) -> set[str]:
    """The arms that searched a piece already, with these settings."""
    return {row["arm"] for row in rows if row.items() >= (settings | piece._asdict()).items()}


def whole(rows: Sequence[dict[str, Any]], settings: dict[str, Any], named: Collection[str]) -> list[dict[str, Any]]:
    """The rows of these arms on pieces that each of them searched: a search that is still missing favours no arm."""
    return [
        row
        for row in rows
        if row["arm"] in {*named, *_REFERENCES}
        and row.items() >= settings.items()
        and set(named) <= done_of(rows, settings, Piece(*(row[name] for name in Piece._fields)))
    ]


def row_text(row: dict[str, Any]) -> str:
    """One search."""
    rates = (
        f"{said} {row[name]['k']}/{row[name]['n']}" for name, said in (("frr", "FRR"), ("false_block", "false block"))
    )
    rules = "" if row["found"] is None else f", found {row['found']} of {row['hidden']}, wrong {row['wrong']}"
    piece = f"world {row['world']}, {row['flip']:.0%} flipped, seed {row['seed']}"
    asked = f"{row['calls']:,} calls, {row['tokens']:,} tokens"
    return f"{piece}, {row['arm']}: {', '.join(rates)}{rules}; {asked}"


def read_arm(name: str) -> Arm:
    """``gepa/minibatch=8`` as an arm. Raises UserError for one that is not known or whose package is absent."""
    from verdicts.base.errors import UserError

    kind, *changes = name.split("/")
    if kind not in ARMS:
        raise UserError(f"--arms: unknown arm ({kind}); choose among {', '.join(ARMS)}")
    arm: Any = ARMS[kind]
    known = {field.name: type(getattr(arm, field.name)) for field in fields(arm)}
    for change in changes:
        setting, _, value = change.partition("=")
        try:
            arm = replace(arm, **{setting: known[setting](int(value) if known[setting] is bool else value)})
        except (KeyError, ValueError):
            raise UserError(f"--arms: {name}: no such setting ({change}); it has {', '.join(known)}") from None
    package = PACKAGES.get(type(arm))
    if package and not find_spec(package):
        raise UserError(f"--arms: {name} needs {package}; make compare-optimizers installs it; or leave it out")
    return arm


_REFERENCES = ("checklist alone", "planted rules")


def searches(
    engine: Any, config: Any, piece: Piece, arms: dict[str, Arm], settings: dict[str, Any], done: Collection[str]
) -> Iterator[dict[str, Any]]:
    """A row for each arm on one piece, and for what bounds them all: the checklist alone, and the planted rules.

    These do not search: they stand once a world, unless ``done``.
    """
    from miniature.measure.worlds import balanced_tickets, guard_of
    from miniature.optimizers.scores import scores
    from miniature.world import dataset
    from verdicts.measure.rehearsal import Recall
    from verdicts.records.tickets import StageA
    from verdicts.stage_b.prompts import load_prompts

    world = dataset.sample_world(piece.world, config.mission.slug)
    config = config.model_copy(update={"fail_first": guard_of(world, config.fail_first)})
    tickets, clean = (
        [StageA.model_validate(row) for row in dataset.stage_a_rows(world, drawn)]
        for drawn in (
            balanced_tickets(world, settings["tickets"], piece.world, piece.flip, 0.5),
            balanced_tickets(world, settings["held_out"], piece.world + 1000, 0.0, 0.5),
        )
    )
    grammar = [rule.text() for rule in (*dataset.fail_rules(world.mission), *dataset.waive_rules(world.mission))]
    task = Task(config, load_prompts(config.prompts, config.mission), tickets, grammar)
    judge = Recall(engine)

    def row(name: str, found: Found, calls: int, tokens: int) -> dict[str, Any]:
        asked = {"calls": calls, "tokens": tokens}
        return settings | piece._asdict() | {"arm": name} | scores(task, judge, found, clean, world, piece.flip) | asked

    known = ([], [rule.text() for rule in world.hidden])
    for name, rules in zip(_REFERENCES, known, strict=True) if piece.seed == 1 else ():
        if name not in done:
            yield row(name, Found(rules, []), 0, 0)
    for name, arm in arms.items():
        counted = Counted(Recall(engine), Budget(*settings["budget"]))
        found = search(arm, task, counted, piece.seed)
        yield row(name, found, counted.calls, counted.tokens)


def search(arm: Arm, task: Task, engine: Counted, seed: int) -> Found:
    """What an arm would hand over at the end of its search, or of its budget."""
    best = Found([], [])
    with suppress(BudgetSpent):
        for found in arm.search(task, engine, seed):
            best = found
    return best


if __name__ == "__main__":
    run(main, engine="llama.cpp")
