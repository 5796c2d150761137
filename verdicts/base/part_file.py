"""What a killed tool has done so far: one JSON value a unit of work, beside the file it will become."""

import json
import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from verdicts.base.jsonl import write_text
from verdicts.base.whole_file import writing


class PartFile:
    """Values, one a line, behind a digest of the inputs. A file of other inputs, and a torn last line, are forgotten.

    ``kind``: the type that a line's value has to have (a record, or lists and tuples of records). A right digest says
    which inputs a file belongs to, not that nobody touched its lines: what is no such value is forgotten, and so done
    again.
    """

    def __init__(self, path: Path, digest: str, kind: Any = Any):
        self.path, self.digest, self.kind = path, digest, TypeAdapter(kind)

    def load(
        self, wanted: Callable[[Any], bool] | None = None, follows: Callable[[list[Any], Any], bool] | None = None
    ) -> list[Any]:
        """The values of whole lines, in the order written; the file is cut to the same ones.

        ``wanted`` says of each value whether it is still good. Without it the order counts: a damaged line ends the
        list, and so does one of which ``follows``, told the values before it, says that it is not the next.
        """
        # bytes, for a torn last line may end inside a character
        lines = self.path.read_bytes().split(b"\n")[:-1] if self.path.exists() else []
        kept = [self.digest.encode()]
        values: list[Any] = []
        for line in lines[1:] if lines[:1] == kept else []:
            try:
                value = self.kind.validate_json(line)
                good = wanted(value) if wanted else follows is None or follows(values, value)
            except ValidationError:
                good = False
            if good:
                kept.append(line)
                values.append(value)
            elif not wanted:
                break
        write_text(self.path, b"".join(line + b"\n" for line in kept).decode())
        return values

    def cut(self, fits: Callable[[int, Any], bool]) -> int:
        """Cut the file behind the values that are good, without holding them; returns how many those are.

        The first value that is damaged, or of which ``fits``, told its place from 0, says that it does not belong
        there, ends them.
        """
        end, count = 0, 0
        if self.path.exists():
            with open(self.path, "rb") as file:
                if file.readline() == self.digest.encode() + b"\n":
                    end = file.tell()
                    while self._is_whole(line := file.readline(), count, fits):
                        count, end = count + 1, end + len(line)
        if not end:
            write_text(self.path, self.digest + "\n")
            return 0
        with writing(self.path):
            os.truncate(self.path, end)
        return count

    def _is_whole(self, line: bytes, place: int, fits: Callable[[int, Any], bool]) -> bool:
        try:
            return line.endswith(b"\n") and fits(place, self.kind.validate_json(line))
        except ValidationError:
            return False

    def stream(self, count: int) -> Iterator[Any]:
        """The first ``count`` values, one in memory at a time; more may be appended meanwhile."""
        if count:
            with open(self.path, "rb") as file:
                yield from (self.kind.validate_json(line) for line in islice(file, 1, count + 1))

    def places(self) -> Iterator[tuple[int, Any]]:
        """Each value with its place, for ``at``; one in memory at a time."""
        with open(self.path, "rb") as file:
            place = len(file.readline())
            while line := file.readline():
                yield place, self.kind.validate_json(line)
                place += len(line)

    def at(self, place: int) -> Any:
        """The value at a place."""
        with open(self.path, "rb") as file:
            file.seek(place)
            return self.kind.validate_json(file.readline())

    def append(self, value: Any) -> None:
        """Save one unit, flushed to disk. Raises UserError where the disk refuses."""
        with writing(self.path), open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(value, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def remove(self) -> None:
        """Forget all, once the whole files are written."""
        self.path.unlink(missing_ok=True)
