"""Progress with rate and ETA: a bar on a terminal, a plain line now and then elsewhere, nothing when QUIET is set.

And how many tokens models read and wrote for this process so far: the line of a step in the run's log says it (cli.py).
"""

import os
import sys
import threading
import time
from typing import Any, NamedTuple

from verdicts.base.plain import plain

SECONDS_BETWEEN_LINES = 20


def progress(name: str, total: int, done: int = 0, unit: str = "tickets") -> Any:
    """A context manager over ``total`` units of which ``done`` are done; ``update()`` counts one."""
    name = plain(name)
    if sys.stderr.isatty():
        from tqdm import tqdm

        return tqdm(
            desc=name, total=total, initial=done, unit=f" {unit}", leave=False, disable=bool(os.environ.get("QUIET"))
        )
    return Lines(name, total, done, unit)


class Lines:
    """Progress for a log: a line every ``SECONDS_BETWEEN_LINES``."""

    def __init__(self, name: str, total: int, done: int, unit: str):
        self.name, self.total, self.done, self.unit = name, total, done, unit
        self.first, self.started = done, time.monotonic()
        self.said = self.started

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, count: int = 1) -> None:
        """Count units; say so now and then."""
        self.done += count
        now = time.monotonic()
        if now - self.said < SECONDS_BETWEEN_LINES or os.environ.get("QUIET"):
            return
        self.said = now
        rate = (self.done - self.first) / (now - self.started)
        so_far = f"{self.name}: {self.done}/{self.total} {self.unit}"
        left = f"{(self.total - self.done) / rate:.0f} s left"
        print(f"{so_far}, {rate:.1f}/s, {left}", file=sys.stderr, flush=True)


class TokenCount(NamedTuple):
    """``read``: computed of prompts, one that several tickets begin with once. ``written``: of answers."""

    read: int
    written: int


_lock = threading.Lock()
_count = TokenCount(0, 0)


def add_tokens(read: int = 0, written: int = 0) -> None:
    """Count tokens; from any thread."""
    global _count
    with _lock:
        _count = TokenCount(_count.read + read, _count.written + written)


def tokens_so_far() -> TokenCount:
    """What was counted since the process began."""
    return _count
