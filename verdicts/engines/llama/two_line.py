"""The two-line protocol as tokens: what is forced, where the verdicts part, and which tokens a reason may hold.

A grammar engine would test all tokens of the vocabulary at each step. Two forced headers and a mask that is looked at
only when a drawn token is refused do the same for this protocol.
"""

from collections.abc import Callable, Sequence

import numpy as np

from verdicts.base.errors import mistake
from verdicts.stage_b.protocol import HEADER, REASON_HEADER, WORD


class TwoLine:
    """The protocol in one vocabulary.

    ``header``: ids that every answer begins with. ``verdict``: the id that each verdict goes on with, which is where
    they part. ``rest``: the ids after it, up to and with ``Reason:``; the blank belongs to the reason's first token, as
    byte-pair vocabularies write it. ``longest``: ids of the longer verdict, header and rest included. Masks (bool per
    id, True is banned): ``opening`` for the first token of a reason, ``blank`` while a reason holds nothing but white
    space, ``running`` afterwards (there the end of turn is allowed).
    """

    def __init__(
        self, plain_ids: Callable[[str], list[int]], pieces: Sequence[bytes], banned: np.ndarray, eog: frozenset[int]
    ) -> None:
        ids = {verdict: plain_ids(f"{HEADER}{word}\n{REASON_HEADER.rstrip()}") for verdict, word in WORD.items()}
        passed, failed = ids["pass"], ids["fail"]
        split = next((i for i, (a, b) in enumerate(zip(passed, failed, strict=False)) if a != b), None)
        if split is None:
            raise mistake("its vocabulary does not tell 通过 from 不通过", "use another model", field="engine.model")
        self.header: list[int] = passed[:split]
        self.verdict: dict[str, int] = {verdict: all_ids[split] for verdict, all_ids in ids.items()}
        self.rest: dict[str, list[int]] = {verdict: all_ids[split + 1 :] for verdict, all_ids in ids.items()}
        self.longest = max(map(len, ids.values()))
        self.eog = eog
        self.running: np.ndarray = banned | np.fromiter(
            (any(byte < 0x20 or byte == 0x7F for byte in piece) for piece in pieces), bool, len(pieces)
        )
        self.running |= np.fromiter((not piece for piece in pieces), bool, len(pieces))
        self.blank: np.ndarray = self.running.copy()
        self.running[list(eog)] = False
        self.blank[list(eog)] = True
        spaced = np.fromiter((piece[:1] == b" " and piece[1:2] != b" " for piece in pieces), bool, len(pieces))
        self.opening: np.ndarray = self.blank | ~spaced
        allowed = np.flatnonzero(~self.opening)
        if len(allowed) == 1:  # a vocabulary that writes the blank by itself leaves no choice
            self.rest = {verdict: [*ids, int(allowed[0])] for verdict, ids in self.rest.items()}
            self.opening = self.blank
            self.longest += 1

    def mask(self, written: Sequence[int], text_so_far: bytes) -> np.ndarray:
        """The mask for the next token of a reason of which ``written`` stands."""
        if not written:
            return self.opening
        return self.running if text_so_far.strip() else self.blank
