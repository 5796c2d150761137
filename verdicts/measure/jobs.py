"""Independent pieces of one measurement, in several processes."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

from verdicts.config.sections import Config

Result = TypeVar("Result")


def in_processes(work: Callable[..., Result], pieces: Sequence[tuple[Any, ...]], jobs: int) -> Iterator[Result]:
    """``work(*piece)`` for each piece, in their order, up to ``jobs`` at a time.

    ``work`` is a function of a module, and every piece can be pickled.
    """
    if jobs == 1:
        yield from (work(*piece) for piece in pieces)
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, *zip(*pieces, strict=True))


def alone(config: Config, jobs: int) -> Config:
    """The configuration for one of several processes: an engine in this process takes one thread."""
    if jobs == 1 or config.engine.kind != "llama_cpp":
        return config
    return config.model_copy(update={"engine": config.engine.model_copy(update={"n_threads": 1})})
