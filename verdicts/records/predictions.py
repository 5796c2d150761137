"""Tickets without a label, and what the student says of them: predictions/<name>/predictions.jsonl."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from verdicts.base.record import Line, Record
from verdicts.records.tickets import (
    DoorRefusal,
    GroupId,
    Refusal,
    Summaries,
    Verdict,
    a_summary_a_photo,
)

DecidedBy = Literal["model", "threshold", "guard"]
# Why a ticket has no verdict: nothing to judge, a prompt or an answer that is too long, a text that is no answer
# (verdicts/stage_b/protocol.py), or a probability that a threshold wants and the answer does not give.
NoVerdict = Literal[
    "no_photo_left", "incomplete_group", "over_length", "cut_off",
    "empty", "no_verdict", "no_reason", "extra_lines", "third_state", "no_probability",
]  # fmt: skip


class MissingPhoto(Record):
    """A photo that the verdict does without: its reason word and what was found."""

    image: str
    reason: Refusal
    detail: str


class NewTicket(Record):
    """A ticket that nobody has labelled: its photos' summaries, and photos that have none."""

    group_id: GroupId
    mission: Line
    per_image: dict[str, str]
    images: list[str]
    missing: list[MissingPhoto] = []

    @model_validator(mode="after")
    def _whole(self) -> "NewTicket":
        if self.per_image or not self.missing:  # where every summary is blank, the ticket still is one
            _SummariesOf.model_validate({"per_image": self.per_image})
        a_summary_a_photo(self.images, self.per_image)
        return self


class _SummariesOf(Record):
    per_image: Summaries


Probability = Annotated[float, Field(ge=0, le=1)]


class Prediction(Record):
    """What the student says of one ticket. There is no label in it, and none was read.

    ``answer``: as the student wrote it, "" where it was not asked. ``said``: the verdict in it. ``verdict``, ``reason``
    and ``lines``: what stands after the threshold and the guard (``decided_by``); all four are None where there is no
    verdict, and ``why`` then says why. ``p_fail``: P(fail) among the two verdicts, from their log-probabilities where
    the answer parts; None where it never came to that place. ``threshold``: the one in use.
    """

    group_id: GroupId
    mission: Line
    images: list[str]
    per_image: dict[str, str]
    answer: str
    said: Verdict | None
    verdict: Verdict | None
    reason: str | None
    lines: str | None
    p_fail: Probability | None
    threshold: float | None
    decided_by: DecidedBy | None
    why: NoVerdict | None
    detail: str
    missing: list[MissingPhoto]

    @model_validator(mode="after")
    def _a_verdict_or_why(self) -> "Prediction":
        given = {self.verdict is None, self.reason is None, self.lines is None, self.decided_by is None}
        if len(given) > 1 or (self.verdict is None) == (self.why is None):
            raise ValueError("a verdict has a reason, lines and decided_by, and no verdict has why; correct the row")
        return self


class PredictionsAsked(Record):
    """How the tickets were asked: which student, under which guidance and prompts, and the counts.

    ``target``: the FRR that the operating point keeps, where one was named.
    ``rows`` = ``verdicts`` (by verdict) + ``without`` (by reason) + ``refused`` (by reason). ``labels_unread``: rows
    that said something of a label, which was taken out unread.
    """

    student: str
    sha256: str
    mission: str
    guidance_step: int
    prompts: dict[str, str]
    threshold: float | None
    target: Annotated[float | None, Field(exclude_if=lambda target: target is None)] = None
    rows: int
    verdicts: dict[Verdict, int]
    without: dict[NoVerdict, int]
    refused: dict[DoorRefusal, int]
    decided_by: dict[DecidedBy, int]
    missing: dict[Refusal, int]
    labels_unread: int
