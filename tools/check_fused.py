"""Check a fused training file, for instance after an edit by hand, as sft will read it.

    python -m tools.check_fused --input data/fused/demo.train.jsonl

Reads the file and the photos' paths, writes nothing. The first mistake is named with its line.
"""

from pathlib import Path
from typing import Annotated

import typer

from tools.core import cli


def main(input: Annotated[Path, typer.Option(help="Fused file (JSONL).")]) -> None:
    """Check a fused training file as sft will read it."""
    from collections import Counter

    from tools.core.fused_rows import read_fused

    rows = Counter((row.task, row.source) for row in read_fused(input))
    shown = ", ".join(f"{source} ({task}) {count}" for (task, source), count in sorted(rows.items()))
    cli.say(f"check_fused: {rows.total()} rows = {shown}; {input}")


if __name__ == "__main__":
    cli.run(main)
