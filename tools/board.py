"""Make one page over all runs: a row a run, by mission, with its rates against their limits and a link to its report.

    python -m tools.board --runs runs --output runs/board.html

In:  of each runs/<RUN>/<MISSION>/: config/, stage_a.jsonl, selections.jsonl, need_review.json, evaluation/ as far as
     they are there.
Out: board.html, one file that needs no network. A run that cannot be read stands on it with its error.
"""

from pathlib import Path
from typing import Annotated

import typer

from verdicts.command.cli import run


def main(
    runs: Annotated[Path, typer.Option(help="Folder of all runs.")],
    output: Annotated[Path, typer.Option(help="The page.")],
) -> None:
    """Write the page over all runs."""
    from verdicts.base.jsonl import write_text
    from verdicts.command.cli import say
    from verdicts.report.board import board_page, read_board

    missions = read_board(runs, output)
    write_text(output, board_page(missions))
    rows = [row for mission in missions for row in mission.rows]
    bad = [row for row in rows if row.error]
    say(f"board: {len(rows)} runs of {len(missions)} missions, {len(bad)} that cannot be read; {output}")
    for row in bad:
        say(f"board: {row.error}")


if __name__ == "__main__":
    run(main)
