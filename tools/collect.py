"""Gather the rounds of a run into the run's own view of them.

    python -m tools.collect --loop RUN/loop.json --rounds RUN/rounds --stage-a RUN/stage_a.jsonl --output-dir RUN

In:  loop.json (how many rounds belong to the run), rounds/NNNN/*, stage_a.jsonl.
Out: trajectories.jsonl and failure_malformed.jsonl (all rounds, in round order), selections.jsonl (one a ticket: its
     last round's, in Stage-A order), guidance.json (the last round's), metrics.jsonl (a row a round, a row an epoch).
"""

from pathlib import Path
from typing import Annotated

import typer

from tools.core import cli


def main(
    loop: Annotated[Path, typer.Option(help="loop.json: where the loop stands.")],
    rounds: Annotated[Path, typer.Option(help="Folder of the rounds 0000, 0001, …")],
    stage_a: Annotated[Path, typer.Option(help="Stage-A tickets of the run.")],
    output_dir: Annotated[Path, typer.Option(help="Run folder to write into.")],
) -> None:
    """Gather the rounds of a run into the run's own view of them."""
    from tools.core.errors import mistake
    from tools.core.guidance_file import write_guidance
    from tools.core.jsonl import read_json, write_rows
    from tools.core.records import LoopStatus, read_tickets
    from tools.core.run_view import (
        last_selections,
        metrics_rows,
        read_round,
        refuse_unknown_tickets,
    )

    status = read_json(loop, LoopStatus)
    if status.rounds < 1:
        raise mistake("no round is finished yet", "run the loop first", path=loop, field="rounds")
    tickets = read_tickets(stage_a)
    mission = tickets[0].mission
    history = [read_round(rounds, number, mission) for number in range(1, status.rounds + 1)]
    refuse_unknown_tickets(rounds, history, tickets)

    trajectories = [row for past in history for row in past.trajectories]
    malformed = [row for past in history for row in past.malformed]
    selections = last_selections(history, tickets)
    write_rows(output_dir / "trajectories.jsonl", trajectories)
    write_rows(output_dir / "failure_malformed.jsonl", malformed)
    write_rows(output_dir / "selections.jsonl", selections)
    write_guidance(output_dir / "guidance.json", mission, history[-1].after)
    write_rows(output_dir / "metrics.jsonl", metrics_rows(history, status.rounds_per_epoch))
    cli.say(
        f"collect: {status.rounds} rounds, {len(trajectories)} trajectories, {len(malformed)} malformed, "
        f"selections for {len(selections)} of {len(tickets)} tickets"
    )


if __name__ == "__main__":
    cli.run(main, writes="output_dir")
