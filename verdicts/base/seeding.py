"""Numbers that follow from a seed of the configuration and from names: the one derivation of seeds and splits.

A number depends on its own seed and names alone, never on what was drawn before it, on the machine or on the version of
a library. So a ticket keeps its seeds and its side of a split whatever other tickets there are.
"""

import hashlib


def seeded_int(seed: int, *names: object, bits: int, between: str = "/") -> int:
    """The first ``bits`` (at most 256) of the SHA-256 of seed and names in UTF-8, joined by ``between``.

    Half surrogates, as in damaged ids, are hashed too.
    Rounds join by "/", everything about the corpus and the student by ":". Both stay, since results hang on them.
    """
    text = between.join(map(str, (seed, *names)))
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest) >> (256 - bits)
