"""Rollouts kept on disk by what was asked, so that a ticket is not asked twice with the same prompt and seeds.

    <folder>/answers.sqlite       a key, the packed answers of one ticket, and when they were used last

A key is a digest of all that settles a ticket's answers: weights, build, processor, engine knobs, our code, both
messages, the decode settings of every candidate. So an entry is never out of date. What comes back is what the engine
gave, to the last digit. Computed anew in another batch it might round apart: of runs with a store, the store is an
input too. What a rollout computed is kept chunk by chunk before it is handed on, so one that is killed computes the
chunks that are left as it would have.
"""

import hashlib
import json
import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verdicts.base.errors import mistake
from verdicts.engines import REFUSED, Completion, Decode, Engine, chunks
from verdicts.engines.trust import identity

if TYPE_CHECKING:
    from verdicts.config.engine import EngineConfig

FILE = "answers.sqlite"
FORMAT = 1  # part of every key
_AT_ONCE = 500  # keys a statement may name
_WAIT_S = 10.0  # for another process that writes
_TABLE = "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, packed BLOB NOT NULL, used INTEGER NOT NULL)"
_Answers = list[Completion]


class AnswerStore:
    """Answers by key in ``folder``, ``limit`` bytes at most.

    Where room is needed, those go that this process has not used, the longest unused first; where all that is there is
    of this process, new ones are not kept. A rollout needs no store: what the disk refuses is counted (``not_kept``)
    and ends the keeping, a damaged file is begun anew (``damaged``).
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.path, self.limit = folder / FILE, limit
        self.evicted = self.not_kept = 0
        self.damaged, self.disk_error = False, ""
        self._file: sqlite3.Connection | None = None
        self._now = 0
        self._try(self._open)

    def get(self, keys: Sequence[bytes]) -> dict[bytes, _Answers]:
        """The answers under keys, as far as they are there and whole."""
        found: dict[bytes, _Answers] = {}
        for part in chunks(len(keys), _AT_ONCE):
            some = [keys[i] for i in part]
            marks = ", ".join("?" * len(some))
            rows = self._do(f"SELECT key, packed FROM answers WHERE key IN ({marks})", some)
            found |= {key: answers for key, packed in rows if (answers := _unpacked(packed)) is not None}
            self._do(f"UPDATE answers SET used = {self._now} WHERE key IN ({marks})", some)
        return found

    def put(self, answers: dict[bytes, _Answers]) -> None:
        """Keep answers under their keys, all of them or none."""
        rows = [(key, _packed(some), self._now) for key, some in answers.items()]
        if not self._make_room(sum(len(packed) for _, packed, _ in rows)):
            self.not_kept += len(rows)
            return

        def write(file: sqlite3.Connection) -> None:
            with file:
                file.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", rows)

        self._try(write)
        self.not_kept += len(rows) if self._file is None else 0

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
            self._file = None

    def _open(self, _: None) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = sqlite3.connect(self.path, timeout=_WAIT_S)
        try:
            with file:
                file.execute(_TABLE)
                ((self._now,),) = file.execute("SELECT coalesce(max(used), 0) + 1 FROM answers")
        except BaseException:
            file.close()
            raise
        self._file = file

    def _begin_anew(self, _: None) -> None:
        for path in (self.path, Path(f"{self.path}-journal")):  # of SQLite, left by a kill
            path.unlink(missing_ok=True)
        self._open(None)

    def _bytes(self) -> int:
        counts = [
            int(row[0]) for name in ("page_count", "freelist_count", "page_size") for row in self._do(f"PRAGMA {name}")
        ]
        return (counts[0] - counts[1]) * counts[2] if len(counts) == 3 else 0

    def _make_room(self, size: int) -> bool:
        """Whether so many bytes fit, after answers that this process has not used went for it."""
        while self._file and self._bytes() + size > self.limit:
            old = self._do(f"SELECT key FROM answers WHERE used < {self._now} ORDER BY used, key LIMIT {_AT_ONCE}")
            if not old:
                return False
            self._do(f"DELETE FROM answers WHERE key IN ({', '.join('?' * len(old))})", [key for (key,) in old])
            self.evicted += len(old)
        return self._file is not None

    def _do(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """The rows of a statement; none where the file cannot be used."""
        rows: list[Any] = []

        def run(file: sqlite3.Connection) -> None:
            with file, closing(file.execute(statement, values)) as cursor:
                rows.extend(cursor)

        self._try(run)
        return rows

    def _try(self, work: Callable[[Any], None]) -> None:
        """Do something with the file; where that cannot be, begin it anew or go on without."""
        if self._file is None and work not in (self._open, self._begin_anew):
            return
        try:
            work(self._file)
        except (sqlite3.Error, OSError) as error:
            self.close()
            if type(error) is sqlite3.DatabaseError and not self.damaged:  # no database, or pages that do not fit
                self.damaged = True
                self._try(self._begin_anew)
            else:
                self.disk_error = str(error)

    def said(self) -> str:
        """What a summary line should say beside the answers that were reused, or nothing."""
        parts = []
        if self.damaged:
            parts.append(f"{self.path} was damaged and is begun anew")
        if self.evicted:
            parts.append(f"{self.evicted} old answers went for room")
        if self.not_kept or self.disk_error:
            why = f"the disk refused ({self.disk_error})" if self.disk_error else "raise rollout.reuse_gb"
            parts.append(f"{self.not_kept} new answers not kept: {why}")
        return "".join(f"; {part}" for part in parts)


class Reusing:
    """An engine whose rollouts are answered from a store where it was asked the same before.

    ``reused``: tickets so answered. ``code``: a digest of the code that decides answers beside the engine's knobs.
    Raises UserError for an engine that does not say exactly which weights answer.
    """

    def __init__(self, engine: Engine, config: "EngineConfig", store: AnswerStore, code: str) -> None:
        self.engine, self.fingerprint, self.store = engine, engine.fingerprint, store
        self.judge, self.complete, self.count_tokens = engine.judge, engine.complete, engine.count_tokens
        self.chunk, self.reused = config.chunk, 0
        weights = Path(config.model).stat()
        self._basis = [FORMAT, engine.fingerprint, weights.st_size, weights.st_mtime_ns, identity(), code]
        self._basis.append(config.model_dump(mode="json", exclude={"model"}))

    def rollout(
        self, system: str, users: Sequence[str], decodes: Sequence[Sequence[Decode]]
    ) -> Iterator[list[Completion]]:
        """As ``Engine.rollout``. What is asked twice in one call is computed once."""
        basis = hashlib.sha256(json.dumps([*self._basis, system], sort_keys=True).encode()).hexdigest()
        keys = [_key(basis, user, grid) for user, grid in zip(users, decodes, strict=True)]
        left = Counter(keys)
        known = self.store.get(list(left))
        new = {key: at for at, key in reversed(list(enumerate(keys))) if key not in known}  # the first place of each
        order = sorted(new.values())
        self.reused += len(keys) - len(order)
        computed = self._computed(system, [(keys[at], users[at], decodes[at]) for at in order])
        for key in keys:
            if key not in known:
                known |= next(computed)
            left[key] -= 1
            yield known[key] if left[key] else known.pop(key)

    def _computed(
        self, system: str, asked: Sequence[tuple[bytes, str, Sequence[Decode]]]
    ) -> Iterator[dict[bytes, _Answers]]:
        """The answers of the engine, kept and handed on by chunks."""
        answers = self.engine.rollout(system, [user for _, user, _ in asked], [grid for _, _, grid in asked])
        for part in chunks(len(asked), self.chunk):
            found = dict(zip([asked[at][0] for at in part], islice(answers, len(part)), strict=True))
            self.store.put({key: some for key, some in found.items() if all(one.finish != REFUSED for one in some)})
            yield found

    def close(self) -> None:
        """Close the engine and the store."""
        self.engine.close()
        self.store.close()

    def said(self, tickets: int) -> str:
        """``; reused 312 of 400``, and what was wrong with the store."""
        return f"; reused {self.reused} of {tickets}{self.store.said()}"


def check_reuse(config: "EngineConfig") -> None:
    """Raise UserError for an engine whose answers cannot be told to be those of one model file."""
    if config.kind != "llama_cpp":
        raise mistake(
            f"an engine of kind {config.kind} does not say exactly which weights and which build answer",
            "set it to 0",
            field="rollout.reuse_gb",
        )


def _key(basis: str, user: str, grid: Sequence[Decode]) -> bytes:
    return hashlib.sha256(json.dumps([basis, user, [asdict(decode) for decode in grid]]).encode()).digest()


def _packed(answers: _Answers) -> bytes:
    return zlib.compress(json.dumps([asdict(one) for one in answers], ensure_ascii=False).encode())


def _unpacked(packed: bytes) -> _Answers | None:
    """The answers, None where they are not what was packed (zlib keeps a sum of it)."""
    try:
        return [Completion(**one) for one in json.loads(zlib.decompress(packed))]
    except (zlib.error, ValueError, TypeError):
        return None
