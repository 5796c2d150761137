"""Which rows a student answers together."""

from collections.abc import Sequence


def longest_first(sizes: Sequence[tuple[int, ...]], batch: int) -> list[list[int]]:
    """Cut rows, given by their sizes, into batches of their numbers, the longest first.

    So a batch has little padding, and the first shows whether memory is enough.
    """
    ordered = sorted(range(len(sizes)), key=lambda at: (*(-size for size in sizes[at]), at))
    return [ordered[start : start + batch] for start in range(0, len(ordered), batch)]
