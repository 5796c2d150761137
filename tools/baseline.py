"""Say how the checklist alone stands to the labels, before anything is learnt: which tickets it judges otherwise.

    python -m tools.baseline --stage-a RUN/stage_a.jsonl --rollout RUN/baseline --output-dir RUN/baseline

    stage_a.jsonl, the rollout of all tickets under G0 ──> baseline.json          rates, by photos and by agreement
                                                           summary.txt, cases.txt  the same and the tickets, to read
                                                           false_releases.jsonl    labelled fail, verdict pass
                                                           false_blocks.jsonl      labelled pass, verdict fail

`make baseline` plays the rollout before (tools.rollout --whole) and prints summary.txt. Nothing is learnt from it.
"""

from pathlib import Path
from typing import Annotated

import typer

from verdicts.command import cli

LISTS = {"pass": "false_releases.jsonl", "fail": "false_blocks.jsonl"}  # by verdict


def main(
    stage_a: Annotated[Path, typer.Option(help="Stage-A tickets of the run.")],
    rollout: Annotated[Path, typer.Option(help="Folder of the rollout: trajectories.jsonl, selections.jsonl.")],
    output_dir: Annotated[Path, typer.Option(help="Folder to write into.")],
) -> None:
    """Write rates and the tickets on which checklist and labels differ."""
    from verdicts.base.jsonl import dump, json_text, whole_files
    from verdicts.base.plain import plain_lines
    from verdicts.records.baseline import BaselineCase
    from verdicts.records.rollout import Selection, Trajectory
    from verdicts.records.run_folder import stream_file
    from verdicts.records.ticket_index import Tickets
    from verdicts.rounds.baseline import BaselineTally, case_lines, summary_lines

    tickets, tally, wrong = Tickets(stage_a), BaselineTally(), dict.fromkeys(LISTS, 0)
    for _, row in stream_file(rollout / "trajectories.jsonl", Trajectory):
        tally.see_candidate(row)
    answered = [stream_file(rollout / "selections.jsonl", Selection) for _ in LISTS]
    names = ("baseline.json", "summary.txt", "cases.txt", *LISTS.values())
    with whole_files(*(output_dir / name for name in names)) as (json_file, summary, cases, *lists):
        for verdict, rows, file in zip(LISTS, answered, lists, strict=True):
            for placed, selection in rows:
                if selection.verdict != verdict:
                    continue
                ticket = known(tickets, selection.ticket_key, rollout / "selections.jsonl", placed.line)
                tally.see(ticket, selection)
                if verdict != ticket.label:
                    case = BaselineCase.of(ticket, selection)
                    wrong[verdict] += 1
                    file.write(dump(case) + "\n")
                    cases.write(plain_lines(case_lines(case)) + "\n\n")
        figures = tally.figures(tickets.missions[0], len(tickets))
        json_file.write(json_text(figures))
        summary.write(plain_lines([*summary_lines(figures), "", *where(output_dir, wrong)]) + "\n")
    released, blocked = wrong["pass"], wrong["fail"]
    cli.say(
        f"baseline: {figures.tickets} tickets = {figures.answered - released - blocked} as labelled + "
        f"{released} false releases + {blocked} false blocks + {figures.unanswered} without a valid candidate"
    )


def known(tickets, key: str, path: Path, line: int):
    """The ticket of a selection; raises UserError where there is none."""
    from verdicts.base.errors import mistake

    if (found := tickets.get(key)) is None:
        what = f"{key!r} is not a ticket of this stage_a.jsonl"
        raise mistake(what, "make the baseline again", path=path, line=line, field="ticket_key")
    return found


def where(folder: Path, wrong: dict[str, int]) -> list[str]:
    """Where the tickets stand, and what may be done with those whose label is wrong."""
    counts = f"{wrong['pass']} false releases, {wrong['fail']} false blocks"
    return [
        f"to read: {folder}/cases.txt ({counts}; as rows: {', '.join(LISTS.values())})",
        "to leave tickets out: a file of their ticket_keys, named by filters.exclude_file (docs/filters.md)",
    ]


if __name__ == "__main__":
    cli.run(main, result="baseline", writes="output_dir")
