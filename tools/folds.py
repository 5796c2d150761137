"""Learn on one half of the groups, judge on the other, and the reverse, with several seeds of windows: do rules hold?

    make folds MISSION=bbu_line STAGE_A=tickets.jsonl [AUDIT=audit.jsonl]
    python -m tools.folds --models miniature --mission bbu_line --tickets tickets.jsonl --seeds 5 --output folds.json

In:  the configuration (configs/, CONFIG) and tickets, as prepare takes them. AUDIT: what people found later, JSONL with
     ticket_key and category, and right verdicts are counted for each category too.
Out: folds.json: a row a half and seed with rules, rates on the half learnt from and on the other, calls; which rules
     recur.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from verdicts.command.cli import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verdicts.config.sections import Config
    from verdicts.measure.rehearsal import Played
    from verdicts.records.tickets import StageA


def main(
    models: Annotated[str, typer.Option(help="Model set: configs/models/<name>.yaml.")],
    mission: Annotated[str, typer.Option(help="Mission slug: configs/missions/<slug>.yaml.")],
    tickets: Annotated[Path, typer.Option(help="Stage-A tickets.")],
    output: Annotated[Path, typer.Option(help="Results (JSON).")],
    overlay: Annotated[Path | None, typer.Option(help="One more YAML laid over the configuration.")] = None,
    audit: Annotated[
        Path | None, typer.Option(help="What people found of tickets afterwards (JSONL: ticket_key, category).")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of windows and reflections, --first and on.")] = 5,
    first: Annotated[int, typer.Option(min=0, help="The first seed.")] = 0,
    half: Annotated[int | None, typer.Option(min=0, max=1, help="Learn on this half alone.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Learn on either half, judge on the other."""
    from verdicts.base.jsonl import write_json
    from verdicts.command.cli import say
    from verdicts.config.load import load
    from verdicts.intake.given import given_tickets
    from verdicts.measure.audit import read_audit
    from verdicts.measure.jobs import alone, in_processes
    from verdicts.measure.rehearsal import with_seed
    from verdicts.stage_b.prompts import load_prompts

    config = alone(load(models, mission, overlay), jobs)
    load_prompts(config.prompts, config.mission)  # each loop reads them again: a mistake in them is told here
    halves = halves_of(given_tickets(tickets, config))
    categories = read_audit(audit) if audit else {}
    sides = (0, 1) if half is None else (half,)
    names = [{"learnt_on": side, "seed": seed} for side in sides for seed in range(first, first + seeds)]
    pieces = [
        (with_seed(config, name["seed"]), halves[name["learnt_on"]], halves[1 - name["learnt_on"]], categories)
        for name in names
    ]
    done = []
    for name, found in zip(names, in_processes(learn_and_judge, pieces, jobs), strict=True):
        done.append(name | found)
        print(line_of(done[-1]), flush=True)
    recurring = {
        side: Counter(rule for fold in done if fold["learnt_on"] == side for rule in fold["rules"]) for side in sides
    }
    for side, found in recurring.items():
        print(
            f"rules learnt on half {side}: "
            + ("; ".join(f"{rule} ({count} of {seeds})" for rule, count in found.most_common()) or "none")
        )
    write_json(
        output,
        {
            "mission": mission,
            "tickets": [len(half) for half in halves],
            "folds": done,
            "rules": {str(side): dict(found.most_common()) for side, found in recurring.items()},
        },
    )
    say(f"folds: {len(done)} loops, {sum(fold['status'] == 'converged' for fold in done)} converged; {output}")


def halves_of(tickets: Sequence[StageA]) -> tuple[list[StageA], list[StageA]]:
    """Tickets by a hash of their group: two halves that share none."""
    from verdicts.config.sections import LearnSection
    from verdicts.rounds.holdout import is_held_out

    half = LearnSection(holdout=0.5, seed=1)
    sides = [is_held_out(ticket.group_id, half) for ticket in tickets]
    return tuple(
        [ticket for ticket, side in zip(tickets, sides, strict=True) if side == which] for which in (False, True)
    )


def learn_and_judge(
    config: Config, learn: Sequence[StageA], other: Sequence[StageA], categories: Mapping[str, str]
) -> dict[str, Any]:
    """One loop: its rules, and how they do on the tickets of the loop and on the others."""
    from verdicts.engines import open_engine
    from verdicts.measure.rehearsal import Recall, judge, rehearse

    engine = Recall(open_engine(config.engine))
    done = rehearse(config, engine, learn)
    calls = dict(engine.asked)
    sides = {
        name: figures(judge(config, engine, done.guidance, tickets), categories)
        for name, tickets in (("learnt_from", learn), ("other_half", other))
    }
    engine.close()
    return {
        "status": done.status.status,
        "rounds": done.status.rounds,
        "accepted": done.accepted,
        "rules": done.rules,
        "calls": calls,
    } | sides


def figures(played: Played, categories: Mapping[str, str]) -> dict[str, Any]:
    """Rates, and right verdicts by audited category as [right, all]."""
    from verdicts.measure.rehearsal import rates_of

    rates = rates_of(played)
    right: dict[str, list[int]] = {}
    for selection in (selection for _, selection in played if selection):
        if category := categories.get(selection.ticket_key):
            counts = right.setdefault(category, [0, 0])
            counts[0] += selection.label_match
            counts[1] += 1
    return {name: rate.model_dump() for name, rate in rates._asdict().items()} | {"right": dict(sorted(right.items()))}


def line_of(fold: dict[str, Any]) -> str:
    """One fold in one line."""
    from verdicts.stats.rates import Rate

    sides = [
        f"{name.replace('_', ' ')}: FRR {Rate(**fold[name]['frr'])}, false block {Rate(**fold[name]['false_block'])}"
        for name in ("learnt_from", "other_half")
    ]
    right = ", ".join(f"{category} {k}/{n}" for category, (k, n) in fold["other_half"]["right"].items())
    return (
        f"half {fold['learnt_on']}, seed {fold['seed']} ({fold['status']}): {'; '.join(sides)}"
        + (f"; right on the other: {right}" if right else "")
        + f"; rules: {', '.join(fold['rules']) or 'none'}"
    )


if __name__ == "__main__":
    run(main, engine="llama.cpp")
