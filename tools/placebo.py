"""Learn from permuted labels, again and again: whatever survives was learnt from noise.

    make placebo MISSION=bbu_line STAGE_A=tickets.jsonl
    python -m tools.placebo --models miniature --mission bbu_line --tickets tickets.jsonl --runs 20 \\
        --output placebo.json

In:  the configuration (configs/, CONFIG) and tickets, as prepare takes them.
Out: placebo.json: a row a loop with what it accepted and what survived.

Labels are permuted within the mission, and in as many loops more within each number of photos. There a rule about the
number of photos stays as true as it was, and is counted apart.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from verdicts.command.cli import run

if TYPE_CHECKING:
    from verdicts.config.sections import Config, RuleWords
    from verdicts.records.tickets import StageA

WAYS: dict[str, Callable[[StageA], Hashable]] = {
    "mission": lambda ticket: None,
    "photo_count": lambda ticket: len(ticket.per_image),
}


def main(
    models: Annotated[str, typer.Option(help="Model set: configs/models/<name>.yaml.")],
    mission: Annotated[str, typer.Option(help="Mission slug: configs/missions/<slug>.yaml.")],
    tickets: Annotated[Path, typer.Option(help="Stage-A tickets.")],
    output: Annotated[Path, typer.Option(help="Results (JSON).")],
    overlay: Annotated[Path | None, typer.Option(help="One more YAML laid over the configuration.")] = None,
    runs: Annotated[int, typer.Option(min=1, help="Loops for each way of permuting, seeds --first and on.")] = 20,
    first: Annotated[int, typer.Option(min=0, help="Seed of the first loop.")] = 0,
    most: Annotated[int, typer.Option(min=2, help="Tickets a loop, drawn anew for each.")] = 300,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Count the rules that are accepted and that survive where there is nothing to learn."""
    from verdicts.base.jsonl import write_json
    from verdicts.command.cli import say
    from verdicts.config.load import load
    from verdicts.intake.given import given_tickets
    from verdicts.measure.jobs import alone, in_processes
    from verdicts.stage_b.prompts import load_prompts

    config = alone(load(models, mission, overlay), jobs)
    load_prompts(config.prompts, config.mission)  # each loop reads them again: a mistake in them is told here
    rows = given_tickets(tickets, config)
    shares = [range(first + at, first + runs, jobs) for at in range(min(jobs, runs))]
    pieces = [(config, rows, way, share, most) for way in WAYS for share in shares]
    done = [row for found in in_processes(play_seeds, pieces, jobs) for row in found]
    for way in WAYS:
        print(line_of(way, [row for row in done if row["within"] == way], config.reflect.words), flush=True)
    write_json(output, {"mission": mission, "tickets": min(most, len(rows)), "loops": done})
    say(f"placebo: {len(done)} loops on permuted labels; {output}")


def play_seeds(
    config: Config, rows: Sequence[StageA], way: str, seeds: Sequence[int], most: int
) -> list[dict[str, Any]]:
    """Loops on labels permuted one way, with one engine: what a loop asks again is answered from memory."""
    from verdicts.engines import open_engine
    from verdicts.measure.rehearsal import Recall, rehearse, with_seed

    engine, done = Recall(open_engine(config.engine)), []
    for seed in seeds:
        drawn = random.Random(f"placebo/{seed}").sample(rows, min(most, len(rows)))
        ended = rehearse(with_seed(config, seed), engine, permuted(drawn, WAYS[way], f"{way}/{seed}"))
        done.append(
            {
                "within": way,
                "seed": seed,
                "status": ended.status.status,
                "rounds": ended.status.rounds,
                "accepted": ended.accepted,
                "survived": ended.rules,
            }
        )
    engine.close()
    return done


def permuted(tickets: Sequence[StageA], class_of: Callable[[StageA], Hashable], seed: str) -> list[StageA]:
    """The tickets with the labels of each class dealt out anew, what people wrote along with its label.

    The second ticket of a group gets an id of its own: both may now have one label.
    """
    places: dict[Hashable, list[int]] = defaultdict(list)
    for at, ticket in enumerate(tickets):
        places[class_of(ticket)].append(at)
    labels = [(ticket.label, ticket.fail_reasons) for ticket in tickets]
    for key in sorted(places, key=repr):
        dealt = [labels[at] for at in places[key]]
        random.Random(f"{seed}/{key}").shuffle(dealt)
        for at, label in zip(places[key], dealt, strict=True):
            labels[at] = label
    seen, taken = set(), {ticket.group_id for ticket in tickets}
    dealt_out = []
    for ticket, (label, reasons) in zip(tickets, labels, strict=True):
        group_id = ticket.group_id
        while group_id in seen:
            group_id = f"{group_id}.2" if f"{group_id}.2" not in taken else f"{group_id}."
        seen.add(group_id)
        told = {"label": label, "fail_reasons": reasons, "group_id": group_id}
        dealt_out.append(ticket.model_copy(update=told))
    return dealt_out


def line_of(way: str, rows: Sequence[dict[str, Any]], words: RuleWords) -> str:
    """What the loops of one way of permuting came to, rules about the number of photos apart."""
    from verdicts.guidance.rule_text import counts_photos
    from verdicts.stats.rates import wilson

    wrong = [[rule for rule in row["survived"] if way == "mission" or not counts_photos(rule, words)] for row in rows]
    clean = wilson(sum(not rules for rules in wrong), len(rows))
    kept = sorted({rule for rules in wrong for rule in rules})
    return (
        f"within {way}: {sum(row['accepted'] for row in rows)} rules accepted in {len(rows)} loops; no wrong rule "
        f"survived in {clean}" + (f"; survived: {', '.join(kept)}" if kept else "")
    )


if __name__ == "__main__":
    run(main, engine="llama.cpp")
