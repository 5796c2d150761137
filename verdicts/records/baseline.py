"""How the checklist alone stands to the labels: the figures, and the tickets on which the two differ."""

from typing import Annotated

from pydantic import Field

from verdicts.base.record import Record
from verdicts.records.rollout import Selection
from verdicts.records.run import SideRates
from verdicts.records.tickets import StageA, Verdict
from verdicts.stats.rates import Rate


class PhotoClass(Record):
    """The tickets of ``photos`` photos (``or_more``: and of more)."""

    photos: int
    or_more: bool
    rates: SideRates


class AgreementClass(Record):
    """The tickets whose verdict has this share of the valid votes."""

    agreement: float
    label_match: Rate


class Baseline(Record):
    """baseline/baseline.json. ``tickets`` = ``answered`` + ``unanswered``; rates count answered tickets, ``format``
    candidates.

    ``overridden``: passes that the guard made a fail. ``by_photos`` and ``by_agreement`` each hold them all.
    """

    mission: str
    tickets: int
    answered: int
    unanswered: int
    overridden: int
    rates: SideRates
    format: Rate
    by_photos: list[PhotoClass]
    by_agreement: list[AgreementClass]


class BaselineCase(Record):
    """A ticket whose verdict under the checklist is not its label, with all that a person wants to see of it."""

    ticket_key: str
    label: Verdict
    verdict: Verdict
    reason: str
    vote_strength: Annotated[float, Field(ge=0, le=1)]
    fail_reasons: list[str]
    images: list[str]
    per_image: dict[str, str]

    @classmethod
    def of(cls, ticket: StageA, selection: Selection) -> "BaselineCase":
        """The case that a ticket and its selection make."""
        return cls(
            ticket_key=ticket.ticket_key, label=ticket.label, verdict=selection.verdict, reason=selection.reason,
            vote_strength=selection.vote_strength, fail_reasons=ticket.fail_reasons, images=ticket.images,
            per_image=ticket.per_image,
        )  # fmt: skip
