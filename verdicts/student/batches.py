"""Which rows a student answers together, and how many photos are read meanwhile."""

from collections.abc import Sequence

from verdicts.models.threads import cores

READERS = 8  # at most: one of 100 megapixels takes 0.8 GB while it is read


def readers() -> int:
    """Threads that read photos while the model answers the batch before."""
    return min(READERS, cores())


def longest_first(sizes: Sequence[tuple[int, ...]], batch: int) -> list[list[int]]:
    """Cut rows, given by their sizes, into batches of their numbers, the longest first.

    So a batch has little padding, and the first shows whether memory is enough.
    """
    ordered = sorted(range(len(sizes)), key=lambda at: (*(-size for size in sizes[at]), at))
    return [ordered[start : start + batch] for start in range(0, len(ordered), batch)]
