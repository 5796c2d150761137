"""Check a fused training file, for instance after an edit by hand, as sft will read it.

    python -m tools.check_fused --input data/fused/demo.train.jsonl

Reads the file and the photos' paths, writes nothing. The first mistake is named with its line. A file of validation
rows (<name>.val.jsonl) may be empty.
"""

from pathlib import Path
from typing import Annotated

import typer

from verdicts.command import cli

VAL = ".val.jsonl"


def main(input: Annotated[Path, typer.Option(help="Fused file (JSONL).")]) -> None:
    """Check a fused training file as sft will read it."""
    from collections import Counter

    from verdicts.corpus.rows import read_fused

    rows = Counter((row.task, row.source) for row in read_fused(input, allow_empty=input.name.endswith(VAL)))
    if not rows:
        cli.say(f"check_fused: 0 rows: sft trains without validation; {input}")
        return
    shown = ", ".join(f"{source} ({task}) {count}" for (task, source), count in sorted(rows.items()))
    cli.say(f"check_fused: {rows.total()} rows = {shown}; {input}")


if __name__ == "__main__":
    cli.run(main)
