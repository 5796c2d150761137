"""Write the record files of a run as Parquet tables, for pandas, DuckDB or Spark.

    python -m tools.to_parquet --run-dir RUN --output-dir RUN/parquet

In:  the JSONL files of a run, as far as they are there (docs/formats.md), and the tickets of need_review.json.
Out: a .parquet for each, at the same place below the folder, with a column a field; one row group in memory at a time.

Decisions come back from a table by tools.review_apply --decisions decided.parquet.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from pydantic import BaseModel


def main(
    run_dir: Annotated[Path, typer.Option(help="runs/<RUN>/<MISSION>.")],
    output_dir: Annotated[Path, typer.Option(help="Folder for the tables.")],
) -> None:
    """Write the record files of a run as Parquet tables."""
    from verdicts.base.errors import mistake
    from verdicts.base.run_version import refuse_newer
    from verdicts.records.review import ListedTicket
    from verdicts.records.run_folder import RUN_FILES, paths_of, stream_file
    from verdicts.records.synthetic import named
    from verdicts.tables.parquet import write_parquet

    refuse_newer(run_dir)
    rows, tables = 0, 0
    for name, model in RUN_FILES.items():
        for path in paths_of(run_dir, name):
            table = (output_dir / path.relative_to(run_dir)).with_suffix(".parquet")
            if path.name == "need_review.json":
                rows += write_parquet(table, ListedTicket, listed(path))
            elif path.suffix == ".jsonl":
                rows += write_parquet(table, model, (row for _, row in stream_file(path, model)))
            else:
                continue
            tables += 1
    if not tables:
        raise mistake("holds no record file", "name the folder of a run: runs/<RUN>/<MISSION>", path=run_dir)
    cli.say(f"{named('to_parquet', run_dir)}: {rows} rows in {tables} tables -> {output_dir}")


def listed(path: Path) -> Iterator[BaseModel]:
    """The tickets of a review list with their missions."""
    from verdicts.records.review import ListedTicket
    from verdicts.review.review_list_file import stream_review

    for mission, ticket in stream_review(path, {}):
        yield ListedTicket(mission=mission, **dict(ticket))


if __name__ == "__main__":
    cli.run(main)
