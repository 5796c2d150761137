"""What frozen layers say of rows, kept on disk across epochs, runs and settings: tensors by key, up to a limit.

    <folder>/<2 digits>/<key>.row       a line with the SHA-256 of the rest, then safetensors

A key is a digest of all that settles the tensors, so an entry is never out of date. One that is not what was written
is counted, removed and made anew. Nothing is flushed to disk: what a failing machine damages is found.
"""

import hashlib
import os
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from verdicts.base.whole_file import remove_quietly, sweep_all

SUFFIX = ".row"
AT_ONCE = 8  # entries waiting to be written: each holds its tensors in memory
THREADS = 4  # that read and write: a digest of 10 MB takes 10 ms, about what a GPU takes for a row


class RowCache:
    """Tensors of rows in ``folder``, ``limit`` bytes at most.

    Where room is needed, whole rows go that this run has not used, the longest unused first; where all that is there is
    of this run, a new row is not kept (an epoch that is larger than the limit would else drive out each row before its
    turn comes again). ``share`` is (this process, processes): each answers for its part of what is there and of the
    limit. ``read``, ``made``, ``damaged``, ``evicted`` and ``not_kept`` count rows.
    """

    def __init__(self, folder: Path, limit: int, share: tuple[int, int] = (0, 1)) -> None:
        self.folder, self.limit, self.share = folder, limit // share[1], share
        self.read = self.made = self.damaged = self.evicted = self.not_kept = 0
        self.disk_error = ""
        sweep_all(folder)
        entries = [path for path in folder.glob(f"*/*{SUFFIX}") if int(path.stem[:8], 16) % share[1] == share[0]]
        status = {path: path.stat() for path in entries}
        self.bytes = sum(one.st_size for one in status.values())
        self._unused = dict.fromkeys(sorted(entries, key=lambda path: (status[path].st_mtime_ns, path.name)))
        self._size = {path: one.st_size for path, one in status.items()}
        self._lock = threading.Lock()  # looked up in one thread, written in another
        self._threads = ThreadPoolExecutor(THREADS)
        self._room = threading.Semaphore(AT_ONCE)
        self._pending: deque[Future[None]] = deque()

    def get_all(self, keys: Sequence[str], wanted: Sequence[set[str]]) -> list[dict[str, torch.Tensor] | None]:
        """As ``get``, of several keys at a time."""
        return list(self._threads.map(self.get, keys, wanted))

    def get(self, key: str, wanted: set[str]) -> dict[str, torch.Tensor] | None:
        """The tensors under a key, on the CPU; None where they are not there, not whole, or lack one of ``wanted``."""
        path = self._place(key)
        try:
            digest, _, content = path.read_bytes().partition(b"\n")
        except OSError:
            return None
        try:
            if hashlib.sha256(content).hexdigest().encode() != digest:
                raise ValueError("its content is not what was written")
            tensors: dict[str, torch.Tensor] = load(content)
        except (ValueError, SafetensorError):
            with self._lock:
                self.damaged += 1
                self._drop(path)
            return None
        if not wanted <= tensors.keys():
            return None
        with self._lock:
            self.read += 1
            self._unused.pop(path, None)
        _touch(path)
        return tensors

    def put(self, key: str, tensors: dict[str, torch.Tensor]) -> None:
        """Keep tensors under a key, written in a thread: they may lie on a GPU, and must not be changed any more."""
        self.made += 1
        self._room.acquire()
        while self._pending and self._pending[0].done():
            self._pending.popleft().result()
        self._pending.append(self._threads.submit(self._write, self._place(key), tensors))

    def wait(self) -> None:
        """Return once everything put so far is written; raises what went wrong beside the disk."""
        while self._pending:
            self._pending.popleft().result()

    def _write(self, path: Path, tensors: dict[str, torch.Tensor]) -> None:
        try:
            content = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
            head = hashlib.sha256(content).hexdigest().encode() + b"\n"
            with self._lock:
                if not self._make_room(path, len(head) + len(content)):
                    self.not_kept += 1
                    return
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(3).hex()}.tmp")
            try:
                beside.write_bytes(head + content)
                os.replace(beside, path)
            finally:
                remove_quietly(beside)
        except OSError as error:  # training needs no cache
            with self._lock:
                self.not_kept += 1
                self.disk_error = error.strerror or str(error)
                self._drop(path)
        finally:
            self._room.release()

    def _make_room(self, path: Path, size: int) -> bool:
        """Whether an entry of ``size`` bytes fits, after rows that this run has not used went for it. Counts it."""
        self._drop(path)  # an entry that lacked something is replaced
        while self.bytes + size > self.limit and self._unused:
            self._drop(next(iter(self._unused)))
            self.evicted += 1
        if self.bytes + size > self.limit:
            return False
        self.bytes += size
        self._size[path] = size
        return True

    def _drop(self, path: Path) -> None:
        remove_quietly(path)
        self._unused.pop(path, None)
        self.bytes -= self._size.pop(path, 0)

    def _place(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}{SUFFIX}"

    def said(self) -> str:
        """``88 rows read from .cache/sft, 16 computed, …; 0.1 of 1 GB used``."""
        parts = [f"{self.read} times read from {self.folder}, {self.made} times computed"]
        if self.damaged:
            parts.append(f"{self.damaged} of them made anew, for their files were damaged")
        if self.evicted:
            parts.append(f"{self.evicted} rows of other runs went for room")
        if self.not_kept:
            why = f"the disk refused ({self.disk_error})" if self.disk_error else "raise sft.cache_gb"
            parts.append(f"{self.not_kept} not kept: {why}")
        whose = f", the share of one of {self.share[1]} processes" if self.share[1] > 1 else ""
        return f"{', '.join(parts)}; {self.bytes / 1e9:.3g} of {self.limit / 1e9:.3g} GB used{whose}"


def _touch(path: Path) -> None:
    """Note that a row was used: between runs, the longest unused goes first."""
    try:
        os.utime(path)
    except OSError:
        return
