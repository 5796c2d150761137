"""Say which round comes next, or that the loop is over. Make asks this after every round.

    python -m tools.next_round --config config/loop.yaml --stage-a stage_a.jsonl --rounds rounds --output loop.json

    rounds/*/guidance.json ──> loop.json, once the loop has ended; prints the next round's number until then

Converged: a whole epoch in which no round changed guidance. Rounds beyond the end of the loop (left over from a run
with other inputs) are moved to rounds.superseded/, over what was moved there before. Where more than
loop.max_unreadable of an epoch's answers or reflections cannot be read, it exits with 2 and writes no loop.json: the
loop stops there, neither over nor converged, until the knob that it names is turned.
"""

from pathlib import Path
from typing import Annotated

import typer

from verdicts.command.cli import run


def main(
    config: Annotated[Path, typer.Option(help="Section file: window, loop.")],
    stage_a: Annotated[Path, typer.Option(help="Stage-A tickets (JSONL).")],
    rounds: Annotated[Path, typer.Option(help="Folder of the rounds.")],
    output: Annotated[Path, typer.Option(help="loop.json to write when the loop ends.")],
) -> None:
    """Print the next round as four digits, or write loop.json."""
    from verdicts.base.jsonl import write_json
    from verdicts.command.cli import say
    from verdicts.config.tools import LoopConfig, read_section
    from verdicts.guidance.loop import guidance_states, status_of, supersede_rounds
    from verdicts.records.ticket_index import Tickets
    from verdicts.rounds.unreadable import stop_after

    cfg = read_section(config, LoopConfig)
    tickets = Tickets(stage_a)
    status = status_of(guidance_states(rounds, tickets.missions[0]), len(tickets), cfg)
    if stop := stop_after(rounds, status.rounds, status.rounds_per_epoch, cfg.loop):
        supersede_rounds(rounds, stop.round)
        output.unlink(missing_ok=True)  # of an earlier loop: nothing may be distilled from that now
        raise stop.error
    if status.status == "running":
        print(f"{status.rounds + 1:04d}")
        return
    moved = supersede_rounds(rounds, status.rounds)
    write_json(output, status)
    say(
        f"loop {status.status} after {status.epochs} epochs, {status.rounds} rounds"
        + (f"; {len(status.oscillations)} oscillations" if status.oscillations else "")
        + (f"; {moved} later rounds moved to {rounds}.superseded" if moved else "")
        + (
            ""
            if status.status == "converged"
            else f"; no corpus: raise loop.max_epochs ({cfg.loop.max_epochs}) or read the last rounds' reflection.jsonl"
        )
    )


if __name__ == "__main__":
    run(main, result="next_round", writes="output")
