"""Two reviewers on one queue: where they agree, how far beyond chance, and what a third person has to settle."""

from collections.abc import Mapping
from typing import NamedTuple

from verdicts.records.review import ReviewDecision


class Agreement(NamedTuple):
    """What two reviewers said of the tickets that both decided.

    ``same``: of ``both`` tickets. ``kappa``: Cohen's κ (Cohen 1960), None where it is not defined: no ticket decided by
    both, or one word alone used. ``settled``: what may be brought in; ``disputed``: by ticket, both decisions.
    """

    both: int
    same: int
    kappa: float | None
    settled: dict[str, ReviewDecision]
    disputed: dict[str, tuple[ReviewDecision, ReviewDecision]]

    def __str__(self) -> str:
        kappa = "not defined" if self.kappa is None else f"{self.kappa:.2f}"
        alone = len(self.settled) - self.same
        return (
            f"two reviewers: {self.same} of {self.both} tickets that both decided alike, Cohen's kappa {kappa}; "
            f"{len(self.disputed)} disputed, {alone} decided by one alone"
        )


def compare_reviewers(first: Mapping[str, ReviewDecision], second: Mapping[str, ReviewDecision]) -> Agreement:
    """Compare two reviewers' decisions by ticket.

    They agree where the decision is the same and no two different reasons were written to teach. Of two that agree the
    first's note stays, and both names.
    """
    shared = sorted(first.keys() & second.keys())
    disputed = {key: (first[key], second[key]) for key in shared if not _agree(first[key], second[key])}
    settled = {key: said for key, said in {**second, **first}.items() if key not in disputed}
    for key in shared:
        if key in settled:
            settled[key] = _joined(first[key], second[key])
    words: list[tuple[str, str]] = [(first[key].decision, second[key].decision) for key in shared]
    return Agreement(len(shared), len(shared) - len(disputed), _kappa(words), settled, disputed)


def opinions(said: tuple[ReviewDecision, ReviewDecision]) -> str:
    """Both decisions in words, for whoever settles it."""
    parts = []
    for number, one in enumerate(said, start=1):
        rest = ", ".join(filter(None, [one.note, one.corrected_reason]))
        parts.append(f"{one.reviewer or number}: {one.decision}" + (f" ({rest})" if rest else ""))
    return "; ".join(parts)


def _agree(one: ReviewDecision, other: ReviewDecision) -> bool:
    reasons = {said.corrected_reason for said in (one, other)} - {""}
    return one.decision == other.decision and len(reasons) < 2


def _joined(one: ReviewDecision, other: ReviewDecision) -> ReviewDecision:
    names = ", ".join(dict.fromkeys(filter(None, [one.reviewer, other.reviewer])))
    more = {
        "reviewer": names,
        "note": one.note or other.note,
        "corrected_reason": one.corrected_reason or other.corrected_reason,
    }
    return one.model_copy(update=more)


def _kappa(words: list[tuple[str, str]]) -> float | None:
    if len({word for pair in words for word in pair}) < 2:
        return None  # chance alone would agree always
    from nltk.metrics.agreement import AnnotationTask

    rows = [(who, number, word) for number, pair in enumerate(words) for who, word in zip("ab", pair, strict=True)]
    return float(AnnotationTask(data=rows).kappa())
