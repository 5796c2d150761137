"""The fused file as sft sees it.

Every row is checked and measured before any weight is loaded, and read again when its turn comes.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verdicts.base.digests import digest_of_path
from verdicts.base.errors import UserError, mistake
from verdicts.base.progress import progress
from verdicts.corpus.rows import FusedRow, check_photos, only_verdict, parse_line, stated_verdict, stream
from verdicts.photos.files import MAX_ASPECT, NotAPhoto, stored_size
from verdicts.records.tickets import Verdict
from verdicts.stage_b.protocol import WORD
from verdicts.student.model import Dialogue, PhotoInputs

if TYPE_CHECKING:
    from verdicts.student.model import Encoded, Encoder


@dataclass(frozen=True, slots=True)
class RowFacts:
    """What a plan needs of a row: its place in the file (line from 1, bytes) and its sizes in tokens."""

    line: int
    offset: int
    size: int
    task: str
    weight: float
    tokens: int
    learnt: int
    verdict: Verdict | None


class FusedFile:
    """A fused file, checked; rows stay in the file (one in memory takes some hundred bytes, whatever its length).

    Rows longer than ``max_tokens`` are an error, or with ``leave_out`` those of ``left_out``, which nothing learns
    from. Raises UserError for the first bad row (unknown role, missing answer, missing photo, …), for a long one, where
    all are too long, and for a file without rows unless ``allow_empty``. ``sha256`` is the file's.
    """

    def __init__(
        self, path: Path, encoder: "Encoder", max_tokens: int, *, leave_out: bool = False, allow_empty: bool = False
    ) -> None:
        self.path, self.encoder = path, encoder
        digest = hashlib.sha256()
        self.facts: list[RowFacts] = []
        with progress(f"sft: checking {path.name}", path.stat().st_size if path.is_file() else 0, unit="bytes") as bar:
            for line, offset, raw in stream(path, digest):
                self.facts.append(self._fact(line, offset, raw))
                bar.update(len(raw))
        self.sha256 = digest.hexdigest()
        if not self.facts and not allow_empty:
            raise mistake("the file holds no record", "make it again with fuse", path=path)
        self.left_out = [fact for fact in self.facts if fact.tokens > max_tokens]
        if self.left_out and not (leave_out and (allow_empty or len(self.left_out) < len(self.facts))):
            raise self._too_long(max_tokens)
        self.facts = [fact for fact in self.facts if fact.tokens <= max_tokens]

    def _too_long(self, max_tokens: int) -> UserError:
        """The error of rows that are too long, at the first of them."""
        long = self.left_out
        others = f", and {len(long) - 1} more rows are too long" if len(long) > 1 else ""
        return mistake(
            f"{long[0].tokens} tokens, more than sft.max_tokens ({max_tokens}){others}",
            f"raise it to {max(fact.tokens for fact in long)}, shorten or delete the row, or leave such rows out with "
            f"sft.long_rows ({len(long)} of {len(self.facts)}, {len(long) / len(self.facts):.1%})",
            path=self.path,
            line=long[0].line,
        )

    def _fact(self, line: int, offset: int, raw: bytes) -> RowFacts:
        row = parse_line(raw, FusedRow, self.path, line)
        check_photos(row.images, Path(), self.path, line)
        # ids alone: a photo's number of them follows from its size, so that no photo is decoded here
        counts = [self._photo_tokens(image, line, at) for at, image in enumerate(row.images)]
        encoded = self.encoder.encode(_conversation(row), seen=PhotoInputs(None, None, counts))
        verdict = stated_verdict(row.messages) if row.task == "chat" else None
        return RowFacts(line, offset, len(raw), row.task, row.weight, len(encoded.ids), sum(encoded.learn), verdict)

    def _photo_tokens(self, image: str, line: int, at: int) -> int:
        """Ids that a photo takes, from its header: as many when it is turned."""
        wrong = partial(mistake, path=self.path, line=line, field=f"images.{at}")
        try:
            with open(image, "rb") as file:
                wide, high = stored_size(file)
        except OSError as error:
            raise wrong(f"cannot be read ({image}: {error.strerror})", "correct the path or delete the row") from None
        except NotAPhoto as error:
            raise wrong(f"not a photo ({image}: {error})", "replace the file or delete the row") from None
        if max(wide, high) > MAX_ASPECT * min(wide, high):
            raise wrong(f"too narrow a photo ({image}: {wide} × {high})", "replace the file or delete the row")
        return self.encoder.photo_tokens(wide, high)

    def encode(self, index: int) -> "Encoded":
        """A row's ids and pixels."""
        return self.encoder.encode(_conversation(self.row(index)))

    def encode_ids(self, index: int) -> tuple["Encoded", list[str]]:
        """A row's ids without pixels, and a digest of each photo's file: no photo is decoded."""
        row, line = self.row(index), self.facts[index].line
        counts = [self._photo_tokens(image, line, at) for at, image in enumerate(row.images)]
        encoded = self.encoder.encode(_conversation(row), seen=PhotoInputs(None, None, counts))
        return encoded, [digest_of_path(Path(image)) for image in row.images]

    def row(self, index: int) -> FusedRow:
        """A row as it stands in the file."""
        fact = self.facts[index]
        with open(self.path, "rb") as file:
            file.seek(fact.offset)
            raw = file.read(fact.size)
        return parse_line(raw, FusedRow, self.path, fact.line)

    def check_both_sides(self) -> None:
        """Raise UserError where all chat rows that state a verdict state the same one."""
        verdicts = Counter(fact.verdict for fact in self.facts if fact.verdict)
        if only := only_verdict(verdicts):
            what = f"all {verdicts[only]} chat rows say {WORD[only]}: the student would learn to say nothing else"
            raise mistake(
                what,
                "add tickets of the other verdict, or set sft.allow_one_sided: true",
                path=self.path,
                field="sft.allow_one_sided",
            )

    def too_long(self) -> dict[str, Any]:
        """How many rows were left out for their length, of each task, their share and the longest in tokens."""
        rows = Counter(fact.task for fact in self.left_out)
        share = len(self.left_out) / (len(self.facts) + len(self.left_out)) if self.left_out else 0.0
        longest = max((fact.tokens for fact in self.left_out), default=0)
        return {"rows": dict(sorted(rows.items())), "share": round(share, 6), "longest": longest}

    def counts(self) -> dict[str, dict[str, int]]:
        """Rows and learnt tokens of each task."""
        rows = Counter(fact.task for fact in self.facts)
        return {
            task: {"rows": rows[task], "learnt_tokens": sum(fact.learnt for fact in self.facts if fact.task == task)}
            for task in sorted(rows)
        }


def _conversation(row: FusedRow) -> Dialogue:
    return Dialogue([message.model_dump() for message in row.messages], [Path(image) for image in row.images])
