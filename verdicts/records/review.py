"""What goes to people, and what they decide."""

from collections.abc import Container, Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from verdicts.base.errors import mistake
from verdicts.base.jsonl import read_numbered
from verdicts.base.record import Record, one_line
from verdicts.records.tickets import FailReasons, Summaries, Verdict, a_summary_a_photo
from verdicts.stats.kappa import Measure
from verdicts.stats.rates import Rate

ReviewReason = Literal["no_candidate_supports_gt", "label_suspect"]


Decision = Literal["label_wrong", "model_wrong", "exclude", "unsure"]


class NeedReviewEntry(Record):
    """A ticket that no candidate of its round supports (streamed)."""

    ticket_key: str
    group_id: str
    mission: str
    gt_label: Verdict
    pred_verdict: Verdict
    pred_reason: str
    reason_code: ReviewReason
    reflection_id: str | None
    round: int
    epoch: int
    note: str


class ReviewCandidate(Record):
    """A candidate as a reviewer sees it; equal answers are counted, not repeated."""

    verdict: Verdict
    reason: str
    count: int


class ReviewTicket(Record):
    """A ticket still unsupported at its last evaluation, ready to read.

    ``log_odds_against_label``: mean over its candidates of ln p(other verdict) - ln p(label); None where no engine gave
    them.
    """

    ticket_key: str
    group_id: str
    gt_label: Verdict
    fail_reasons: FailReasons = []
    pred_verdict: Verdict
    pred_reason: str
    reason_code: ReviewReason
    times_queued: int
    last_round: int
    log_odds_against_label: float | None
    images: list[str]
    per_image: Summaries
    candidates: list[ReviewCandidate]

    @model_validator(mode="after")
    def _a_summary_a_photo(self) -> "ReviewTicket":
        a_summary_a_photo(self.images, self.per_image)
        return self


class ListedTicket(ReviewTicket):
    """A ticket of the review list as a table has it: with its mission."""

    mission: str


class MissionReview(Record):
    """The review list of one mission."""

    count: int
    by_gt_label: dict[str, int]
    by_reason_code: dict[str, int]
    tickets: list[ReviewTicket]


class NeedReviewFile(Record):
    """need_review.json."""

    missions: dict[str, MissionReview]


class ReviewDecision(Record):
    """One line of review_decisions.jsonl: what a person said of a queued ticket.

    ``reviewer``: who, where they say. ``corrected_reason``: the reason that the corpus teaches instead of the model's.
    ``adjudicated``: a third person settled with it what reviewers disputed; only another such decision replaces it.
    """

    ticket_key: str
    decision: Decision
    note: str = ""
    reviewer: str = Field(default="", exclude_if=lambda name: not name)
    corrected_reason: str = Field(default="", exclude_if=lambda text: not text)
    adjudicated: bool = Field(default=False, exclude_if=lambda settled: not settled)

    @field_validator("corrected_reason")
    @classmethod
    def _on_one_line(cls, text: str) -> str:
        return one_line(text) if text else text

    @model_validator(mode="after")
    def _a_reason_has_a_verdict(self) -> "ReviewDecision":
        if self.corrected_reason and self.decision not in ("label_wrong", "model_wrong"):
            raise ValueError(
                f"a corrected reason goes with label_wrong or model_wrong, not {self.decision}; take one of the two out"
            )
        return self


class ReviewSummary(Record):
    """review_summary.json: how the review stands.

    ``label_error``: the share of decided queued tickets whose label was wrong, all of them and by label.

    ``not_queued``: decisions on tickets that are not in need_review.json; they count in no other field.
    """

    queued: int
    decided: int
    decisions: dict[Decision, int]
    label_error: Rate
    label_error_by_label: dict[Verdict, Rate]
    not_queued: int


class Dispute(Record):
    """A ticket that reviewers decided differently: what each of them said."""

    ticket_key: str
    opinions: list[ReviewDecision] = Field(min_length=2)


class ReviewAgreement(Record):
    """review_agreement.json: how several reviewers of one queue stand to each other.

    ``shared``: tickets that two of them or more decided; ``alike`` of these. ``value`` with its 95 % interval: how far
    they agree beyond chance, None where that is not defined. ``disputed``: of this comparison and, still open, of
    earlier ones.
    """

    reviewers: list[str]
    shared: int
    alike: int
    measure: Measure
    value: float | None
    low: float | None
    high: float | None
    disputed: list[Dispute]


Signal = Annotated[float | None, Field(ge=0, le=1)]


class SuspectSignals(Record):
    """What speaks against a ticket's label, each in [0, 1], null where there is nothing to go by (docs/suspects.md)."""

    twins: Signal
    checklist: Signal
    other_label: Signal
    same_group: Signal


class Suspect(Record):
    """A line of suspects.jsonl: a ticket, and how much speaks against its label before any model has judged it.

    ``score``: how much speaks against it, all signals together. ``negative``: the explicit negative that was found, ""
    for none. ``why``: what speaks against the label, for a reader.
    """

    ticket_key: str
    group_id: str
    label: Verdict
    score: Annotated[float, Field(ge=0, le=1)]
    signals: SuspectSignals
    negative: str
    why: list[str]


def read_decisions(path: Path, known: Container[str]) -> dict[str, ReviewDecision]:
    """Read human decisions by ticket_key; refuses a ticket that is not ``known`` and a second decision for a ticket."""
    return decisions_by_ticket(path, read_numbered(path, ReviewDecision, allow_empty=True), known)


def decisions_by_ticket(
    path: Path, numbered: Iterable[tuple[int, ReviewDecision]], known: Container[str]
) -> dict[str, ReviewDecision]:
    """(line, decision) pairs of a file by ticket_key; refuses what ``read_decisions`` refuses.

    A second decision is refused even where it says the same.
    """
    seen: dict[str, int] = {}
    decisions: dict[str, ReviewDecision] = {}
    for line, decision in numbered:
        key = decision.ticket_key
        if key not in known:
            raise mistake(
                f"no ticket {key!r} in this run",
                "correct the key or delete the line",
                path=path,
                line=line,
                field="ticket_key",
            )
        if key in seen:
            raise mistake(
                f"{key!r} is decided on line {seen[key]} already",
                "keep one of the two",
                path=path,
                line=line,
                field="ticket_key",
            )
        seen[key], decisions[key] = line, decision
    return decisions
