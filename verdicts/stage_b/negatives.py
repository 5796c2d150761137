"""The one test for an explicit negative: a fact that holds all words of one of a mission's negatives.

The guard of a vote asks it of each segment of a photo's summary, the review page of each segment that it shows.
"""

from collections.abc import Iterable, Sequence


def is_negative(fact: str, negatives: Iterable[Sequence[str]]) -> bool:
    """Whether a text holds all words of one of the ``negatives``, in any order."""
    return any(all(word in fact for word in words) for words in negatives)
