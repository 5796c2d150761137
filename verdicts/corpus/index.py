"""Rows by their place: an index over all source files, and the fused file written from it.

A row costs 32 bytes of memory however long it is: where it stands, what its answer weighs, its side of a split.
"""

import hashlib
import json
import os
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from verdicts.base.errors import mistake
from verdicts.base.jsonl import dump, stream_rows
from verdicts.base.record import Record
from verdicts.base.split import hash_share
from verdicts.base.whole_file import beside
from verdicts.corpus.mix_config import Fusion, Source, config_mistake
from verdicts.corpus.rows import (
    TEMPLATES,
    ChatSourceRow,
    GeneralChatRow,
    ImageRow,
    SourceRow,
    check_photos,
    parse_line,
    stated_verdict,
    stream,
)
from verdicts.photos.files import PHOTO_MARK
from verdicts.records.predictions import Prediction
from verdicts.records.tickets import Verdict
from verdicts.stage_b.prompts import name_of_messages

VERDICTS: tuple[Verdict | None, ...] = (None, "pass", "fail")
CountTokens = Callable[[str], int]  # loss tokens of one answer
Said = Mapping[tuple[str, str], Verdict]  # what a student said of tickets, by mission and group
RowNumbers = np.ndarray  # row numbers of an Index, int64


class OutputFile(Record):
    """An output as it was written."""

    path: str
    sha256: str
    rows: int


@dataclass
class IndexedFile:
    """One source file: the source's number, whether its rows validate, and its state when it was read."""

    path: Path
    source: int
    validates: bool
    sha256: str = ""
    size: int = 0
    mtime_ns: int = 0
    rows: int = 0


@dataclass
class Index:
    """Columns over all rows of all files, in the order read.

    ``fail``: the label of a chat row; ``verdict``: what it states; ``said``: what a student said of the ticket, where
    its source knows (``released``). ``side``: a number in [0, 1) that is equal for rows of one group. ``prompts``: of
    each source's photo rows, by the name of the prompt.
    """

    # arrays of C numbers, not lists: a list's entry takes 8 bytes for its place and 28 for its int
    files: list[IndexedFile] = field(default_factory=list)
    file: "array[int]" = field(default_factory=lambda: array("H"))
    offset: "array[int]" = field(default_factory=lambda: array("Q"))
    length: "array[int]" = field(default_factory=lambda: array("I"))
    tokens: "array[int]" = field(default_factory=lambda: array("I"))
    fail: "array[int]" = field(default_factory=lambda: array("B"))
    verdict: "array[int]" = field(default_factory=lambda: array("B"))  # a place in VERDICTS
    said: "array[int]" = field(default_factory=lambda: array("B"))  # the same
    side: "array[float]" = field(default_factory=lambda: array("d"))
    prompts: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def __len__(self) -> int:
        return len(self.offset)

    def column(self, name: str) -> np.ndarray:
        """A column as a numpy array over the same memory."""
        column = getattr(self, name)
        # A view: while one is alive the array cannot grow (BufferError), so columns are taken when all is read.
        return np.frombuffer(column, dtype=column.typecode)

    def add(
        self,
        file: IndexedFile,
        source: Source,
        count: CountTokens,
        seed: int,
        said: "Said",
        tick: Callable[[int], Any],
    ) -> None:
        """Read one file of a source to its end; ``tick`` is told the bytes read.

        Raises UserError at the first bad row and for an empty file.
        """
        state, digest = os.stat(file.path), hashlib.sha256()  # before reading: a change meanwhile is seen later
        self.files.append(file)
        before = len(self)
        for line, offset, raw in stream(file.path, digest):
            row = parse_line(raw, TEMPLATES[source.template][1], file.path, line)
            if isinstance(row, ImageRow):
                check_photos(row.images, file.path.parent, file.path, line)
                if source.user_prompt is not None:
                    check_one_question(row, file.path, line)
                asked = [message.model_dump() for message in row.messages[:-1]]
                self.prompts[file.source][name_of_messages(prompted(asked, source, len(row.images)))] += 1
            self.file.append(len(self.files) - 1)
            self.offset.append(offset)
            self.length.append(len(raw))
            self.tokens.append(sum(count(message.content) for message in row.messages if message.role == "assistant"))
            self.fail.append(isinstance(row, ChatSourceRow) and row.label == "fail")
            self.verdict.append(
                VERDICTS.index(stated_verdict(row.messages) if isinstance(row, ChatSourceRow) else None)
            )
            ticket = (row.mission, row.group_id) if isinstance(row, ChatSourceRow) else None
            self.said.append(VERDICTS.index(said.get(ticket) if ticket else None))
            self.side.append(hash_share(seed, group_of(row, file.path)))
            tick(len(raw))
        file.sha256, file.size, file.mtime_ns, file.rows = (
            digest.hexdigest(),
            state.st_size,
            state.st_mtime_ns,
            len(self) - before,
        )
        if not file.rows and not file.validates:
            raise mistake(
                "the file holds no record", "give a file with at least one JSON object a line", path=file.path
            )

    def rows_of(self, source: int, validates: bool) -> RowNumbers:
        """The rows of a source's training or validation files."""
        wanted = [at for at, file in enumerate(self.files) if file.source == source and file.validates == validates]
        return np.flatnonzero(np.isin(self.column("file"), wanted))

    def line_of(self, row: int) -> int:
        """The line of a row in its file, from 1 (reads the file again)."""
        return next(line for line, offset, _ in stream(self.files[self.file[row]].path) if offset == self.offset[row])


def group_of(row: SourceRow, path: Path) -> str:
    """What must stay on one side of a split: the group_id, or else the first photo, or else the text itself.

    By its photo, because a photo's dense and summary rows go together.
    """
    if isinstance(row, GeneralChatRow):
        return hashlib.sha256("\n".join(message.content for message in row.messages).encode()).hexdigest()
    if isinstance(row, ChatSourceRow) or row.group_id:
        return row.group_id
    return os.path.normpath(path.parent / row.images[0])


def tokenizer_file(tokenizer: str) -> Path | None:
    """The tokenizer.json that ``mix.tokenizer`` names, itself or the checkpoint folder that holds it; None for ""."""
    path = Path(tokenizer)
    return None if not tokenizer else path / "tokenizer.json" if path.is_dir() else path


def token_counter(tokenizer: str, config: Path) -> tuple[CountTokens, str]:
    """How an answer's loss tokens are counted, and what to call the unit.

    Tokens and one for the end of turn with a tokenizer, characters without.
    """
    path = tokenizer_file(tokenizer)
    if path is None:
        return len, "characters (mix.tokenizer names none)"
    if not path.is_file():
        raise config_mistake(
            config,
            ("mix", "tokenizer"),
            f"no such file ({path})",
            'name a tokenizer.json or a checkpoint folder that holds one, or write "" to count characters',
        )
    from tokenizers import Tokenizer

    encode = Tokenizer.from_file(str(path)).encode
    return lambda text: len(encode(text, add_special_tokens=False)) + 1, f"tokens of {path}"


def index_sources(config: Fusion, count: CountTokens, tick: Callable[[int], Any]) -> Index:
    """Read and check every file of every source."""
    index = Index()
    for at, source in enumerate(config.sources):
        said = verdicts_of_predictions(Path(source.released.predictions)) if source.released else {}
        for validates, paths in ((False, source.paths), (True, source.val.paths or [])):
            for name in paths:
                index.add(IndexedFile(Path(name), at, validates), source, count, config.seed, said, tick)
    return index


def verdicts_of_predictions(path: Path) -> Said:
    """The verdicts of a predictions.jsonl; a group of two verdicts counts as passed, the worse of both."""
    said: dict[tuple[str, str], Verdict] = {}
    for row in stream_rows(path, Prediction):
        if row.verdict and said.get((row.mission, row.group_id)) != "pass":
            said[row.mission, row.group_id] = row.verdict
    return said


def check_one_question(row: ImageRow, path: Path, line: int) -> None:
    """Raise UserError for a row of several questions: a source's ``user_prompt`` can stand for one alone."""
    if (asked := sum(message.role == "user" for message in row.messages)) > 1:
        raise mistake(
            f"{asked} questions, where user_prompt of its source stands for one",
            "make a row of each, or take user_prompt out",
            path=path,
            line=line,
            field="messages",
        )


def prompted(messages: Sequence[Mapping[str, str]], source: Source, photos: int) -> list[dict[str, str]]:
    """A row's messages with the source's own prompts in place of theirs, where it has such.

    The photos come before ``user_prompt``. An empty ``system_prompt`` takes the system message out.
    """
    out = [{"role": message["role"], "content": message["content"]} for message in messages]
    if source.system_prompt is not None:
        system = [{"role": "system", "content": source.system_prompt}] if source.system_prompt else []
        out = system + [message for message in out if message["role"] != "system"]
    if source.user_prompt is not None:
        asked = PHOTO_MARK * photos + source.user_prompt
        out = [message | {"content": asked} if message["role"] == "user" else message for message in out]
    return out


def fused_row(raw: bytes, source: Source, folder: str) -> dict[str, Any]:
    """A source's row, already checked, as a row of the fused file (rows.FusedRow).

    Label, mission and flags of a chat row stay behind.

    ``folder`` is where the row's file lies, as the output is to name it: photos that the row names from there are named
    so.
    """
    row = json.loads(raw)
    return {
        "messages": prompted(row["messages"], source, len(row.get("images", []))),
        "images": [os.path.normpath(os.path.join(folder, image)) for image in row.get("images", [])],
        "task": source.dataset,
        "source": source.name,
        "weight": float(row.get("weight", 1.0) * source.weight),
        "group_id": row.get("group_id", ""),
    }


def write(
    index: Index, parts: Mapping[str, RowNumbers], config: Fusion, folder: Path, name: str, tick: Callable[[], Any]
) -> dict[str, OutputFile]:
    """Write ``<name>.<part>.jsonl`` for each part, all beside their places before the first is renamed.

    Raises UserError where a source changed meanwhile.
    """
    places = {part: folder / f"{name}.{part}.jsonl" for part in parts}
    with ExitStack() as whole:
        temporary = {part: whole.enter_context(beside(place)) for part, place in places.items()}
        hashes = {part: write_rows_of(index, rows, config, temporary[part], tick) for part, rows in parts.items()}
    return {
        part: OutputFile(path=str(place), sha256=hashes[part], rows=len(parts[part])) for part, place in places.items()
    }


def write_rows_of(index: Index, rows: RowNumbers, config: Fusion, path: Path, tick: Callable[[], Any]) -> str:
    """Write the rows in this order, reading each by its place; returns the file's SHA-256."""
    digest, named = hashlib.sha256(), os.path.abspath if config.image_paths == "absolute" else os.path.relpath
    folders = [named(file.path.parent) for file in index.files]
    with opened(index.files) as handles, open(path, "wb") as out:
        for row in rows.tolist():
            at = index.file[row]
            raw = os.pread(handles[at], index.length[row], index.offset[row])  # no seek: rows come in any order
            line = (dump(fused_row(raw, config.sources[index.files[at].source], folders[at])) + "\n").encode()
            digest.update(line)
            out.write(line)
            tick()
    return digest.hexdigest()


@contextmanager
def opened(files: Sequence[IndexedFile]) -> Iterator[list[int]]:
    """File handles for reading by place; raises UserError where a file has changed since it was indexed."""
    handles = [os.open(file.path, os.O_RDONLY) for file in files]
    try:
        _same(files, handles)
        yield handles
        _same(files, handles)
    finally:
        for handle in handles:
            os.close(handle)


def _same(files: Sequence[IndexedFile], handles: Sequence[int]) -> None:
    for file, handle in zip(files, handles, strict=True):
        state = os.fstat(handle)
        if (state.st_size, state.st_mtime_ns) != (file.size, file.mtime_ns):
            raise mistake("changed while it was read", "run fuse again", path=file.path)
