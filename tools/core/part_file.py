"""What a killed tool has done so far: one JSON value a unit of work, beside the file it will become."""

import json
import os
from pathlib import Path
from typing import Any


class PartFile:
    """Values appended one a line behind a digest of the inputs; a file of other inputs, and a torn last line, are forgotten."""

    def __init__(self, path: Path, digest: str):
        self.path, self.digest = path, digest

    def load(self) -> list[Any]:
        """The values of whole lines, in the order written; the file is cut to the same length."""
        whole = self.path.read_bytes().split(b"\n")[:-1] if self.path.exists() else []  # a torn last line may end inside a character
        kept = whole[1:] if whole[:1] == [self.digest.encode()] else []
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(b"".join(line + b"\n" for line in (self.digest.encode(), *kept)))
        return [json.loads(line) for line in kept]

    def append(self, value: Any) -> None:
        """Save one unit, flushed to disk."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(value, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def remove(self) -> None:
        """Forget all, once the whole files are written."""
        self.path.unlink(missing_ok=True)
