"""Threads on a small or shared machine: wait quietly, and find out how many are worth having.

ggml's OpenMP threads spin while they wait. On two busy cores that turned 1.7 s of work into more than 100 s, so the
wait policy is set before the library is loaded, and the number of threads is measured instead of assumed.
"""

import os
from collections.abc import Callable

# More threads must pay for themselves: on cores that others use as well they often do not.
WORTH = 1.15


def quiet_openmp() -> None:
    """Let OpenMP threads sleep while they wait, unless the user set it. Call before importing llama_cpp or torch."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")


def cores() -> int:
    """Number of CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worthwhile(seconds: Callable[[int], float], most: int) -> int:
    """How many threads to use for one computation: 1, 2, 4 … up to ``most`` while each step is ``WORTH`` times faster.

    ``seconds(n)`` does the work with ``n`` threads and returns how long it took. Each number is tried twice and the
    better time counts, since a machine that is busy for a moment says nothing about the next minutes.
    """
    best, fastest, count = 1, min(seconds(1), seconds(1)), 2
    while best < most:
        count = min(count, most)
        took = min(seconds(count), seconds(count))
        if took * WORTH > fastest:
            break
        best, fastest, count = count, took, 2 * count
    return best
