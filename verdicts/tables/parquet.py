"""Records as Parquet files, one row group in memory at a time: written whole, read with mistakes named by row."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from verdicts.base.errors import UserError, mistake
from verdicts.base.jsonl import RowT, validate
from verdicts.base.text_files import open_bytes
from verdicts.base.whole_file import beside
from verdicts.tables.schema import from_cells, schema_of, to_cells

GROUP = 2000  # rows of a row group
MARK = b"PAR1"


def write_parquet(path: Path, model: type[RowT], rows: Iterable[RowT]) -> int:
    """Write records of one model; returns how many. Raises UserError for a number beyond 64 bits."""
    from pyarrow import ArrowInvalid, RecordBatch
    from pyarrow.parquet import ParquetWriter

    schema, taken, waiting = schema_of(model), 0, iter(rows)
    with beside(path) as temporary, ParquetWriter(temporary, schema, compression="zstd") as file:
        while group := [to_cells(row.model_dump(mode="json"), model) for row in islice(waiting, GROUP)]:
            try:
                file.write_batch(RecordBatch.from_pylist(group, schema=schema))
            except (ArrowInvalid, OverflowError) as error:
                raise mistake(
                    f"one of rows {taken + 1} to {taken + len(group)} fits no column ({error})",
                    "correct the file that it comes from",
                    path=path,
                ) from None
            taken += len(group)
    return taken


def is_parquet(path: Path) -> bool:
    """Whether a file begins as a Parquet file does. Raises UserError for one that cannot be opened."""
    with open_bytes(path) as file:
        return file.read(len(MARK)) == MARK


def columns_of(path: Path) -> list[str]:
    """The names of a file's columns. Raises UserError for a file that is no Parquet file."""
    return list(_opened(path).schema_arrow.names)


def stream_cells(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a file with their numbers from 1, as Python has them."""
    number = 0
    for rows in _batches(path):
        for cells in rows:
            number += 1
            yield number, cells


def stream_parquet(path: Path, model: type[RowT]) -> Iterator[tuple[int, RowT]]:
    """The records of a file with their numbers from 1. Raises UserError naming row and field."""
    for number, cells in stream_cells(path):
        try:
            value = from_cells(cells, model)
        except (TypeError, ValueError, AttributeError, KeyError):
            raise mistake(
                f"its columns are not those of {model.__name__}",
                "write it as tools.to_parquet does",
                path=path,
                line=number,
            ) from None
        yield number, validate(value, model, path, number)


def _batches(path: Path) -> Iterator[list[dict[str, Any]]]:
    from pyarrow import ArrowException

    batches = _opened(path).iter_batches(batch_size=GROUP)
    while True:
        try:
            batch = next(batches, None)
            rows = batch.to_pylist() if batch is not None else None
        except (ArrowException, OSError, ValueError) as error:  # a broken page, text that is not UTF-8
            raise _broken(path, error) from None
        if rows is None:
            return
        yield rows


def _opened(path: Path) -> Any:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        return ParquetFile(path)
    except (ArrowException, OSError, ValueError) as error:
        raise _broken(path, error) from None


def _broken(path: Path, error: Exception) -> UserError:
    return mistake(f"is no whole Parquet file ({' '.join(str(error).split())[:80]})", "write it again", path=path)
