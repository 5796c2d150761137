"""Gather the rounds of a run into the run's own view of them.

    python -m tools.collect --config RUN/config/collect.yaml --loop RUN/loop.json --rounds RUN/rounds \\
        --stage-a RUN/stage_a.jsonl --output-dir RUN

In:  loop.json (how many rounds belong to the run), rounds/NNNN/*, stage_a.jsonl.
Out: trajectories.jsonl and failure_malformed.jsonl (all rounds, in round order), selections.jsonl (one a ticket: its
     last round's, in Stage-A order), guidance.json (the last round's), metrics.jsonl (a row a round, a row an epoch,
     rates on the tickets that guidance is learnt from and on those held out side by side).
"""

from pathlib import Path
from typing import Annotated

import typer

from verdicts.command import cli


def main(
    config: Annotated[Path, typer.Option(help="Section file: learn.")],
    loop: Annotated[Path, typer.Option(help="loop.json: where the loop stands.")],
    rounds: Annotated[Path, typer.Option(help="Folder of the rounds 0000, 0001, …")],
    stage_a: Annotated[Path, typer.Option(help="Stage-A tickets of the run.")],
    output_dir: Annotated[Path, typer.Option(help="Run folder to write into.")],
) -> None:
    """Gather the rounds of a run into the run's own view of them."""
    from verdicts.base.errors import mistake
    from verdicts.base.jsonl import read_json, whole_files, write_rows
    from verdicts.config.tools import CollectConfig, read_section
    from verdicts.records.guidance import read_guidance, write_guidance
    from verdicts.records.run import LoopStatus
    from verdicts.records.run_folder import round_folder
    from verdicts.records.ticket_index import Tickets
    from verdicts.runs.view import LastSelections, gather, metrics_rows

    cfg = read_section(config, CollectConfig)
    status = read_json(loop, LoopStatus)
    if status.rounds < 1:
        raise mistake("no round is finished yet", "run the loop first", path=loop, field="rounds")
    tickets = Tickets(stage_a)
    mission = tickets.missions[0]
    state = read_guidance(round_folder(rounds, 0) / "guidance.json", mission)
    last, history, selected = LastSelections(output_dir, len(tickets)), [], 0
    names = ("trajectories.jsonl", "failure_malformed.jsonl", "selections.jsonl")
    with whole_files(*(output_dir / name for name in names)) as files:
        out = dict(zip(names, files, strict=True))
        for number in range(1, status.rounds + 1):
            past, state = gather(rounds, number, state, mission, tickets, last, out, cfg.learn)
            history.append(past)
        for line in last.lines():
            out["selections.jsonl"].write(line)
            selected += 1
    write_guidance(output_dir / "guidance.json", mission, state)
    write_rows(output_dir / "metrics.jsonl", metrics_rows(history, status.rounds_per_epoch))
    trajectories, malformed = (sum(getattr(past, name) for past in history) for name in ("trajectories", "malformed"))
    cli.say(
        f"collect: {status.rounds} rounds, {trajectories} trajectories, {malformed} malformed, "
        f"selections for {selected} of {len(tickets)} tickets"
    )


if __name__ == "__main__":
    cli.run(main, result="collect", writes="output_dir")
