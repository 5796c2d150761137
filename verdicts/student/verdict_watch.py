"""How sure a student is of each verdict, noted while it answers; and where the two verdicts part, for any runner."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from verdicts.stage_b.protocol import HEADER, WORD

if TYPE_CHECKING:
    from torch import Tensor

    from verdicts.student.model import Encoded, Encoder


class Parting(NamedTuple):
    """The ids that both verdict lines begin with, and the two ids where they part: of a pass, of a fail."""

    header: list[int]
    tokens: tuple[int, int]


def where_verdicts_part(encoder: "Encoder") -> Parting:
    """Where the two lines of the protocol part in a student's ids."""
    lines = [encoder.text.ids(f"{HEADER}{WORD[verdict]}\n") for verdict in ("pass", "fail")]
    split = next(at for at, (one, other) in enumerate(zip(*lines, strict=False)) if one != other)
    return Parting(lines[0][:split], (lines[0][split], lines[1][split]))


class VerdictWatch:
    """Notes, while a batch is answered, how sure the student is of each verdict where the two part.

    As engines give it: natural logarithms at temperature 1 over all tokens, behind the exact header of the protocol.
    ``found`` has them by the row's ``id``.
    """

    def __init__(self, student: "Encoder"):
        self._header, self._tokens = where_verdicts_part(student)
        self.found: dict[int, tuple[float, float]] = {}

    def __call__(self, rows: Sequence["Encoded"]) -> "Callable[[Tensor, Tensor], Tensor]":
        """What looks at the scores of each step [rows, vocabulary] of a batch and leaves them as they are."""
        start = max(len(row.ids) for row in rows)  # rows are padded on the left to the longest

        def look(ids: "Tensor", scores: "Tensor") -> "Tensor":
            if ids.shape[1] - start == len(self._header):
                sure = scores.float().log_softmax(-1)[:, list(self._tokens)].tolist()
                for row, written, (passed, failed) in zip(rows, ids[:, start:].tolist(), sure, strict=True):
                    if written == self._header:
                        self.found[id(row)] = (passed, failed)
            return scores

        return look
