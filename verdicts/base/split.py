"""The one rule by which groups are split: by a hash of a seed and their name.

So a group falls on the same side whatever other groups there are, and all its tickets with it.
"""

import hashlib

_ALL = 2**64


def hash_of(name: str) -> int:
    """The first 8 bytes of a name's SHA-256 as a number below 2**64; half surrogates, as in damaged ids, are hashed too."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:8])


def hash_share(seed: int, name: str) -> float:
    """A number in [0, 1) that depends on seed and name alone, rounded to the nearest float."""
    return hash_of(f"{seed}:{name}") / _ALL


def is_in_share(seed: int, name: str, share: float) -> bool:
    """Whether a name is in the lowest ``share`` of all, to the last of 64 bits."""
    return hash_of(f"{seed}/{name}") < share * _ALL
