"""Say which held-out questions a folder holds: a digest that names them by content.

    python -m tools.questions --held-out runs/demo/photos/held_out --mission bbu_line

In:  <mission>.stage_a.jsonl, <mission>.summary.jsonl, <mission>.dense.jsonl
Out: 16 hex digits on stdout; evaluation/<student>-<first 8 of them>/ holds what is measured on them.
"""

from pathlib import Path
from typing import Annotated

import typer

from verdicts.command import cli


def main(
    held_out: Annotated[Path, typer.Option(help="Folder of held-out questions.")],
    mission: Annotated[str, typer.Option(help="The mission's slug.")],
) -> None:
    """Say which held-out questions a folder holds: a digest that names them by content."""
    from verdicts.evaluation.question_files import files_digest, held_out_files

    print(files_digest(held_out_files(held_out, mission)))


if __name__ == "__main__":
    cli.run(main)
