"""Several reviewers on one queue: where they agree, how far beyond chance, and what a third person has to settle."""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

from verdicts.records.review import Dispute, ReviewAgreement, ReviewDecision
from verdicts.stats.kappa import BeyondChance, beyond_chance


class Agreement(NamedTuple):
    """What reviewers said of one queue.

    ``shared``: tickets that two of them or more decided; ``same`` of these. ``beyond``: agreement beyond chance on
    them. ``settled``: what may be brought in; ``disputed``: by ticket, all decisions.
    """

    reviewers: int
    shared: int
    same: int
    beyond: BeyondChance
    settled: dict[str, ReviewDecision]
    disputed: dict[str, tuple[ReviewDecision, ...]]

    def __str__(self) -> str:
        who, by = ("two reviewers", "both") if self.reviewers == 2 else (f"{self.reviewers} reviewers", "several")
        alone = len(self.settled) - self.same
        return (
            f"{who}: {self.same} of {self.shared} tickets that {by} decided alike, {self.beyond}; "
            f"{len(self.disputed)} disputed, {alone} decided by one alone"
        )

    def record(self, reviewers: Sequence[str], open_before: Iterable[Dispute]) -> ReviewAgreement:
        """review_agreement.json of this comparison.

        ``open_before``: earlier disputes that nobody has settled. One stays unless its ticket was compared again.
        """
        here = [Dispute(ticket_key=key, opinions=list(said)) for key, said in self.disputed.items()]
        compared = self.disputed.keys() | self.settled.keys()
        rows = here + [dispute for dispute in open_before if dispute.ticket_key not in compared]
        return ReviewAgreement(
            reviewers=list(reviewers),
            shared=self.shared,
            alike=self.same,
            **self.beyond._asdict(),
            disputed=sorted(rows, key=lambda dispute: dispute.ticket_key),
        )


def compare_reviewers(*said: Mapping[str, ReviewDecision]) -> Agreement:
    """Compare two reviewers' decisions, or more, by ticket.

    They agree where all decisions are the same and no two different reasons were written to teach; no majority counts.
    Of those that agree the first note stays, and all names.
    """
    by_ticket = {
        key: tuple(one[key] for one in said if key in one) for key in sorted({key for one in said for key in one})
    }
    shared = {key: opinions for key, opinions in by_ticket.items() if len(opinions) > 1}
    disputed = {key: opinions for key, opinions in shared.items() if not _agree(opinions)}
    settled = {key: _joined(opinions) for key, opinions in by_ticket.items() if key not in disputed}
    words = [[one[key].decision if key in one else None for one in said] for key in shared]
    return Agreement(len(said), len(shared), len(shared) - len(disputed), beyond_chance(words), settled, disputed)


def open_disputes(agreement: ReviewAgreement | None, said: Mapping[str, ReviewDecision]) -> list[Dispute]:
    """The disputes that no third person has settled."""
    disputed = agreement.disputed if agreement else []
    return [one for one in disputed if not (one.ticket_key in said and said[one.ticket_key].adjudicated)]


def adjudicated(
    given: Mapping[str, ReviewDecision], disputed: Container[str]
) -> tuple[dict[str, ReviewDecision], list[str]]:
    """A third person's decisions of disputed tickets, marked as such; and the tickets among them that are none."""
    settled = {key: said.model_copy(update={"adjudicated": True}) for key, said in given.items() if key in disputed}
    return settled, [key for key in given if key not in disputed]


def opinions(said: Iterable[ReviewDecision]) -> str:
    """All decisions in words, for whoever settles it."""
    parts = []
    for number, one in enumerate(said, start=1):
        rest = ", ".join(filter(None, [one.note, one.corrected_reason]))
        parts.append(f"{one.reviewer or number}: {one.decision}" + (f" ({rest})" if rest else ""))
    return "; ".join(parts)


def _agree(said: Sequence[ReviewDecision]) -> bool:
    reasons = {one.corrected_reason for one in said} - {""}
    return len({one.decision for one in said}) == 1 and len(reasons) < 2


def _joined(said: Sequence[ReviewDecision]) -> ReviewDecision:
    names = ", ".join(dict.fromkeys(one.reviewer for one in said if one.reviewer))
    more = {
        "reviewer": names,
        "note": next((one.note for one in said if one.note), ""),
        "corrected_reason": next((one.corrected_reason for one in said if one.corrected_reason), ""),
    }
    return said[0].model_copy(update=more)
