"""The chat corpus: rows for training, rows that were dropped, rows for an audit, and what a lint found in them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from verdicts.base.record import Record
from verdicts.records.tickets import Verdict

Task = Literal["dense", "summary", "chat"]
DropReason = Literal[
    "excluded",
    "unsure",
    "model_wrong",
    "needs_review",
    "conflict",
    "low_agreement",
    "duplicate",
    "audited",
    "by_threshold",
]


class Message(Record):
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    content: str


class ChatRow(Record):
    """One row of distill_chatml.jsonl. The label is never inside ``messages``."""

    group_id: str
    mission: str
    label: Verdict
    messages: Annotated[list[Message], Field(min_length=3, max_length=3)]

    @model_validator(mode="after")
    def _roles_in_order(self) -> "ChatRow":
        if (roles := [message.role for message in self.messages]) != ["system", "user", "assistant"]:
            raise ValueError(
                f"messages must be system, user, assistant (found {', '.join(roles)}); put them in this order"
            )
        return self


class SftRow(ChatRow):
    """One row of distill.train.jsonl or distill.val.jsonl.

    ``flags``: words joined by commas (``label_corrected``, ``reason_corrected``, ``conflict``), "" for none. Text, not
    a list: datasets fixes a file's types at its first 10 MB, and a list that is empty so far is a list of nothing
    that takes no word later.
    """

    weight: Annotated[float, Field(gt=0)] = 1.0
    flags: str = ""


class DroppedRow(ChatRow):
    """A corpus row that neither train nor val takes, with the reason word."""

    ticket_key: str
    dropped: DropReason


class AuditRow(Record):
    """A ticket of the audit sample: what the teacher said, what became of the row, and the summaries to judge it by."""

    ticket_key: str
    group_id: str
    mission: str
    label: Verdict
    verdict: Verdict
    reason: str
    vote_strength: float
    used_in: Literal["train", "val", "dropped"]
    dropped: DropReason | None
    images: list[str]
    per_image: dict[str, str]


AuditWord = Literal["right", "reason_wrong", "verdict_wrong", "unsure"]


class AuditDecision(Record):
    """One line of audit_decisions.jsonl: what a person said of an answer of the audit sample.

    ``verdict``, ``reason``: the answer it is about; where a line written by hand says none, the one that stands when
    it is brought in. ``drop``: leave that answer out of the corpus.
    """

    ticket_key: str
    audit: AuditWord
    drop: bool = Field(default=False, exclude_if=lambda drop: not drop)
    verdict: Verdict | None = None
    reason: str = ""
    note: str = Field(default="", exclude_if=lambda text: not text)
    reviewer: str = Field(default="", exclude_if=lambda name: not name)


LintError = Literal[
    "malformed", "third_state", "contradiction", "label_leak", "reason_leak", "ticket_name", "prompt_parity",
    "held_out_group", "held_out_photo",
]  # fmt: skip
LintWarning = Literal[
    "doubt", "two_answers", "near_duplicate", "held_out_twin", "split_group", "class_balance", "too_long",
]  # fmt: skip


class LintExample(Record):
    """A row with a finding. ``line``: from 1."""

    file: str
    line: int
    what: str


class LintFinding(Record):
    """Rows with a finding of one kind, and the first of them."""

    rows: int
    examples: list[LintExample]


class CorpusLint(Record):
    """corpus_lint.json: what make lint-corpus found in the rows that a student is to learn.

    ``sha256``: of the corpus. ``rows``, ``verdicts``: different rows by task, different chat rows by the verdict they
    state; ``repeats``: lines that repeat one. ``prompts``: chat rows by their system message (12 hex digits of its
    SHA-256). ``not_checked``: what nothing could be compared with, a sentence each.
    """

    corpus: str
    sha256: str
    held_out: str
    rows: dict[Task, int]
    repeats: int
    verdicts: dict[Verdict, int]
    prompts: dict[str, int]
    errors: dict[LintError, LintFinding]
    warnings: dict[LintWarning, LintFinding]
    not_checked: list[str]

    def said(self) -> str:
        """``2 errors (1 contradiction, 1 label_leak), 3 warnings (3 near_duplicate)``: rows with each finding."""
        parts = []
        for name, found in (("error", self.errors), ("warning", self.warnings)):
            total = sum(finding.rows for finding in found.values())
            kinds = ", ".join(f"{finding.rows} {kind}" for kind, finding in found.items())
            parts.append(f"{total} {name}{'s' * (total != 1)}" + (f" ({kinds})" if kinds else ""))
        return ", ".join(parts)
