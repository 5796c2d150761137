"""Measure what a teacher makes of a rule in words that it was never taught, and of rules that interact.

    python -m miniature.measure.wordings --seeds 3 --output runs/worlds/wordings.json

For each hidden rule of each world, in each wording: guidance is G0 and that rule. The tickets are those whose verdict
the rule turns and as many that it leaves alone. The taught wordings are those of miniature/world/rules.py. Then the
laws of miniature/world/harder.py, told in words: tickets that the law turns, and those that its parts, as rules of
their own, would turn. Prints a row for each with the right verdicts; with --output writes all counts.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from verdicts.command.cli import run

if TYPE_CHECKING:
    from miniature.world.dataset import Labelled, World
    from miniature.world.harder import Harder
    from verdicts.engines import Engine

# none of them, nor a part of it that would give it away, is in the miniature's training data
UNTAUGHT = {
    "require": (
        "没有拍到{}的一律打回", "看不到{}时结论为不通过", "{}是必备项，没有它即否决", "若照片里找不到{}，请判不通过",
        "{}必须拍到，拍不到算不通过",
    ),
    "forbid": (
        "凡见{}者一律不通过", "照片中一旦有{}，直接判不通过", "不允许{}，见到即打回", "{}属于否决项",
        "若存在{}，结论为不通过",
    ),
    "waive_missing": (
        "没拍{}也可以通过", "不再要求{}", "{}缺失不算问题", "即使没有{}，也判通过", "{}不是必备项，没有也行",
    ),
    "waive_negative": (
        "{}不算问题", "见到{}仍可通过", "不再因{}判不通过", "即使有{}，也判通过", "{}可以接受",
    ),
    "photos": (
        "照片数不足{}张的不予通过", "照片须达到{}张，达不到判不通过", "不够{}张照片的一律打回", "照片数量低于{}即否决",
        "拍了不到{}张照片的，结论为不通过",
    ),
}  # fmt: skip
FOREIGN = {
    "require": "Fail the ticket if {} is missing",
    "forbid": "Fail the ticket if {} is seen",
    "waive_missing": "A missing {} is no reason to fail",
    "waive_negative": "{} is no reason to fail",
    "photos": "Fail the ticket if it has fewer than {} photos",
}
LAWS = ("both", "unless", "count")
_DRAWN = 3000  # tickets of a world, of which some are asked


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Worlds, seeds --first, --first + 1, …")] = 3,
    first: Annotated[int, typer.Option(min=0, help="Seed of the first world.")] = 1,
    mission: Annotated[str, typer.Option(help="Mission slug.")] = "bbu_line",
    tickets: Annotated[int, typer.Option(min=1, help="Tickets of each sort a wording, at most.")] = 20,
    models: Annotated[str, typer.Option(help="Model set.")] = "miniature",
    output: Annotated[Path | None, typer.Option(help="Counts (JSON).")] = None,
) -> None:
    """Ask for verdicts under each wording, and print the table."""
    from verdicts.base.jsonl import write_json
    from verdicts.config.load import load
    from verdicts.engines import open_engine

    engine = open_engine(load(models, mission).engine)
    counts: Counter[tuple[str, str, str]] = Counter()
    for seed in range(first, first + seeds):
        counts.update(of_world(engine, mission, seed, tickets))
        rows = sorted({name for name, _, _ in counts})
        if output:
            write_json(
                output,
                {
                    "first": first,
                    "seeds": seed - first + 1,
                    "counts": {"/".join(key): n for key, n in sorted(counts.items())},
                },
            )
    engine.close()
    for name in rows:
        print(row_text(name, counts))


def of_world(engine: "Engine", mission: str, seed: int, tickets: int) -> Counter[tuple[str, str, str]]:
    """(rule and sort of wording, turned or left alone, right or n) -> how many, of one world."""
    from miniature.world.dataset import sample_world

    world = sample_world(seed, mission)
    counts: Counter[tuple[str, str, str]] = Counter()
    for name, text, sorts in (*wordings(world, seed, tickets), *laws(world, seed, tickets)):
        for sort, rows in sorts.items():
            verdicts = asked(engine, world, text, [row for row, _ in rows])
            counts[name, sort, "n"] += len(rows)
            counts[name, sort, "right"] += sum(got == right for got, (_, right) in zip(verdicts, rows, strict=True))
    return counts


Sorts = dict[str, list[tuple["Labelled", str]]]


def wordings(world: "World", seed: int, count: int) -> Iterator[tuple[str, str, Sorts]]:
    """Each hidden rule in each wording: its name, its text, and the tickets to ask with their right verdict."""
    from miniature.world.dataset import draw_tickets
    from miniature.world.rules import WORDINGS

    rows = draw_tickets(world._replace(hidden=()), _DRAWN, seed + 5000, 0.0)
    for rule in world.hidden:
        alone = world._replace(hidden=(rule,))
        right = [(row, alone.verdict(row.ticket.facts)) for row in rows]
        sorts = {
            "turned": [(row, verdict) for row, verdict in right if verdict != row.clean][:count],
            "left alone": [(row, verdict) for row, verdict in right if verdict == row.clean][:count],
        }
        for name, texts in (
            ("taught", WORDINGS[rule.kind]),
            ("untaught", UNTAUGHT[rule.kind]),
            ("English", [FOREIGN[rule.kind]]),
        ):
            for text in texts:
                yield f"{rule.kind}, {name}", text.format(rule.what), sorts


def laws(world: "World", seed: int, count: int) -> Iterator[tuple[str, str, Sorts]]:
    """Each law in words, beside G0 alone."""
    from miniature.world.harder import harder

    for kind in LAWS:
        hard = harder(kind, world, seed)
        if hard.parts:
            yield f"law: {kind}", hard.law, law_sorts(alone(kind, world, hard, seed), world, seed, count)


def alone(kind: str, world: "World", hard: "Harder", seed: int) -> "Harder":
    """A law in a world without any other rule."""
    from miniature.world.harder import harder

    return harder(kind, world._replace(hidden=hard.parts), seed)


def law_sorts(hard: "Harder", world: "World", seed: int, count: int) -> Sorts:
    """Tickets by what the law turns, and what its parts, as rules of their own, would."""
    base, parts = world._replace(hidden=()), world._replace(hidden=hard.parts)
    sorts: Sorts = {}
    for row in hard.judge(hard.world, _DRAWN, seed + 5000, 0.0):
        before = base.verdict(row.ticket.facts)
        by_law, by_parts = row.clean != before, parts.verdict(row.ticket.facts) != before
        name = f"{'turned' if by_law else 'left alone'}, its parts would {'' if by_parts else 'not '}turn it"
        if len(found := sorts.setdefault(name, [])) < count:
            found.append((row, row.clean))
    return sorts


def asked(engine: "Engine", world: "World", text: str, rows: Sequence["Labelled"]) -> list[str]:
    """The likelier verdict on each ticket under G0 and one more rule."""
    from miniature.measure.teacher import said
    from miniature.world.prompts import prompts_of

    prompts = prompts_of(world.mission.name)
    system = prompts.stage_b_system({"G0": world.mission.g0.text(), "G1": text})
    return [said(score) for score in engine.judge(system, [prompts.stage_b_user(row.ticket.per_image) for row in rows])]


def row_text(name: str, counts: Any) -> str:
    """What was right, for each sort of ticket."""
    from verdicts.stats.rates import wilson

    sorts = sorted({sort for of, sort, _ in counts if of == name})
    return f"{name}: " + "; ".join(
        f"{sort} {wilson(counts[name, sort, 'right'], counts[name, sort, 'n'])}" for sort in sorts
    )


if __name__ == "__main__":
    run(main, engine="llama.cpp")
