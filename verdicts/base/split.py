"""The one rule by which groups are split: by a hash of a seed and their name.

So a group falls on the same side whatever other groups there are, and all its tickets with it.
"""

from verdicts.base.seeding import seeded_int

_ALL = 2**64


def hash_share(seed: int, name: str) -> float:
    """A number in [0, 1) that depends on seed and name alone, rounded to the nearest float."""
    return seeded_int(seed, name, bits=64, between=":") / _ALL


def is_in_share(seed: int, name: str, share: float) -> bool:
    """Whether a name is in the lowest ``share`` of all, to the last of 64 bits."""
    return seeded_int(seed, name, bits=64) < share * _ALL
