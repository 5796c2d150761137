"""The records that tools exchange, one model a file (DESIGN.md §3). Unknown fields are errors.

``label`` and ``verdict`` are ``pass`` or ``fail`` here; 通过 and 不通过 live in model text alone. No record holds a
wall-clock time.
"""

from collections import Counter
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, field_validator, model_validator

from verdicts.base.errors import mistake
from verdicts.base.json_text import Flaw, refuse_flaws
from verdicts.base.jsonl import read_numbered

Verdict = Literal["pass", "fail"]
ReviewReason = Literal["no_candidate_supports_gt", "label_suspect"]
Refusal = Literal[
    "bad_name", "unknown_extension", "convert_to_jpeg", "missing", "unreadable", "not_a_file", "empty_file", "too_large", "too_many_pixels", "too_narrow", "not_an_image",
    "broken", "no_label", "no_group", "nested_groups", "duplicate_group", "empty_group", "no_photo_left", "empty_summary", "coordinates", "cut_off",
]  # fmt: skip
DropReason = Literal["excluded", "unsure", "model_wrong", "needs_review", "conflict", "duplicate"]
MUTE_TRIAL = "no_verdict_in_trial"  # why an operation was refused whose trial could not be read
Decision = Literal["label_wrong", "model_wrong", "exclude", "unsure"]


class Record(BaseModel):
    """A frozen record in which an unknown field is an error and types are not coerced."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, populate_by_name=True, serialize_by_alias=True
    )


def ticket_key(group_id: str, label: str) -> str:
    """The identity of a ticket: the same group_id may appear with both labels."""
    return f"{group_id}::{label}"


def one_line(text: str) -> str:
    """The text; raises ValueError where it is blank, or holds what any reader takes for a line end: in a prompt it would begin a line of its own."""
    if not text.strip():
        raise ValueError("is blank; write it, or take it out")
    if text.splitlines() != [text]:
        raise ValueError("holds a line end; write it on one line")
    return text


def _not_blank(text: str) -> str:
    """Whatever else it holds does no harm: group ids and summaries are never a line of a prompt as they stand (prompts.py), and messages spell them out."""
    if not text.strip():
        raise ValueError("is blank; write it, or delete the line")
    return text


def _says_something(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank; write what the photo shows, or leave the photo out")
    return text


def _numbered(per_image: dict[str, str]) -> dict[str, str]:
    for number, key in enumerate(per_image, start=1):
        if key != f"image_{number}":
            raise ValueError(
                f"keys must run image_1, image_2, … without a gap (found {key!r} for image_{number}); renumber the photos"
            )
    return per_image


def a_summary_a_photo(images: list[str], per_image: dict[str, str]) -> None:
    """Raise ValueError unless there are as many of both."""
    if len(images) != len(per_image):
        raise ValueError(f"{len(images)} images but {len(per_image)} summaries; give one summary a photo")


def _one_rule(text: str) -> str:
    """As ``one_line``, but for the two separators of Unicode, which renderers of prompts replace: a run of before may hold them."""
    return one_line(text.replace("\u2028", " ").replace("\u2029", " ")) and text


Line = Annotated[str, AfterValidator(one_line)]
RuleText = Annotated[str, AfterValidator(_one_rule)]
GroupId = Annotated[str, Field(min_length=1), AfterValidator(_not_blank)]
Summaries = Annotated[
    dict[str, Annotated[str, AfterValidator(_says_something)]], Field(min_length=1), AfterValidator(_numbered)
]


class StageA(Record):
    """One ticket: its photos' summaries and its human label."""

    group_id: GroupId
    mission: Line
    label: Verdict
    images: list[str]
    per_image: Summaries

    @model_validator(mode="after")
    def _a_summary_a_photo(self) -> "StageA":
        a_summary_a_photo(self.images, self.per_image)
        return self

    @property
    def ticket_key(self) -> str:
        return ticket_key(self.group_id, self.label)


class Refused(Record):
    """A photo that has no summary, or (``image`` None) a group that has no photo left, with the reason word.

    ``group_id`` is "" for a file in no group, ``label`` None for one that is in neither label folder.
    """

    image: str | None
    group_id: str
    label: Verdict | None
    reason: Refusal
    detail: str


class DecodeSettings(Record):
    """How one candidate was sampled."""

    temperature: Annotated[float, Field(ge=0)]
    top_p: Annotated[float, Field(gt=0, le=1)]
    max_new_tokens: Annotated[int, Field(gt=0)]
    seed: int


class VerdictLogprob(Record):
    """Natural-log probabilities of the two verdict words at the verdict position; None where it was never reached."""

    pass_: float | None = Field(alias="pass")
    fail: float | None


class Trajectory(Record):
    """One candidate answer to one ticket under one guidance.

    ``source`` says who gave it: the model, or the fail-first guard where it overrode a majority for pass. The guard's row is
    the last of its ticket; nothing was sampled for it, so ``decode`` is None and so are both log-probabilities.
    ``raw_text``: what the model said, where a form was forgiven or a reason cut (None: ``response_text`` is what it said).
    ``cut``: the reason did not end within ``max_new_tokens``; it is kept up to its last whole sentence.
    """

    ticket_key: str
    group_id: str
    mission: str
    round: int
    epoch: int
    candidate_index: int
    decode: DecodeSettings | None
    response_text: str
    verdict: Verdict | None
    reason: str | None
    format_ok: bool
    label_match: bool
    verdict_logprob: VerdictLogprob
    guidance_step: int
    source: Literal["model", "guard"] = "model"
    raw_text: str | None = None
    cut: bool = False

    @model_validator(mode="after")
    def _a_model_has_settings(self) -> "Trajectory":
        if (self.decode is None) != (self.source == "guard"):
            raise ValueError(
                f"decode {'missing' if self.decode is None else 'given'} for a candidate of the {self.source}; the model has settings, the guard has none"
            )
        return self


class Votes(Record):
    """How the candidates of a ticket voted."""

    pass_: int = Field(alias="pass")
    fail: int
    malformed: int


class Selection(Record):
    """The verdict chosen for a ticket. ``vote_strength`` is the winning share of the model's valid votes, ``candidates`` its votes.

    ``selected_candidate`` is the candidate_index of the answer that speaks for the verdict; None only in runs of a version
    whose guard left no candidate.
    """

    ticket_key: str
    group_id: str
    mission: str
    label: Verdict
    verdict: Verdict
    reason: str
    vote_strength: Annotated[float, Field(ge=0, le=1)]
    label_match: bool
    candidates: Votes
    selected_candidate: int | None
    guidance_step: int
    epoch: int
    round: int
    warnings: list[str]


class Malformed(Record):
    """A hard failure: text that is no answer, or a ticket without any valid candidate (``candidate_index`` None).

    ``why`` refused: the server gave no answer to this prompt; ``response_text`` holds its words.
    """

    ticket_key: str
    group_id: str
    mission: str
    round: int
    epoch: int
    candidate_index: int | None
    why: Literal[
        "empty",
        "no_verdict",
        "third_state",
        "no_reason",
        "extra_lines",
        "over_length",
        "cut_off",
        "refused",
        "no_valid_candidate",
        "selection_error",
    ]
    response_text: str
    guidance_step: int


class RuleMeta(Record):
    """What is known of one learnable rule. ``confidence = (hit_count + 1) / (hit_count + miss_count + 2)``."""

    hit_count: int
    miss_count: int
    confidence: float
    reflection_id: str
    sources: list[str]
    rationale: str
    created_round: int


class RemovedRule(Record):
    """A snapshot of a rule that left guidance. Its key is not used again; its text is not accepted until something new was learnt."""

    text: str
    round: int
    why: str
    metadata: RuleMeta


class MissionGuidance(Record):
    """The rules of one mission after ``step`` changes. ``trials``: proposals tried since one was last accepted (trial.py spends its error by them)."""

    step: int
    experiences: dict[Annotated[str, Field(pattern=r"^G[0-9]{1,9}$")], RuleText]
    metadata: dict[str, RuleMeta]
    last_applied_rule_keys: list[str]
    removed: dict[str, RemovedRule] = {}
    refused: dict[str, str] = {}
    trials: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _learnable_rules_are_known(self) -> "MissionGuidance":
        if "G0" not in self.experiences:
            raise ValueError("experiences has no G0; restore the mission's checklist")
        if unknown := sorted(set(self.metadata) ^ (set(self.experiences) - {"G0"})):
            raise ValueError(
                f"experiences and metadata disagree on {unknown[0]}; give every learnable rule both or neither"
            )
        if again := sorted(set(self.removed) & set(self.experiences)):
            raise ValueError(f"rule key {again[0]} was removed before; a new rule takes a new key")
        return self


class GuidanceFile(RootModel[dict[str, MissionGuidance]]):
    """guidance.json: mission name -> guidance."""


class Operation(Record):
    """One change of guidance that reflection proposes. ``evidence`` holds ticket keys."""

    op: Literal["add", "update", "delete", "merge"]
    key: str | None = None
    keys: list[str] = []
    text: str | None = None
    rationale: str = ""
    evidence: list[str]


Counts = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=4, max_length=4)]


class Trial(Record):
    """What an operation did to the verdicts of tickets it was tried on (docs/guidance.md).

    ``p_value``: one-sided exact test, wanted at most ``level``. ``harm``: by how much it raises the other error's rate, labels that
    may be wrong aside. ``foreign``: an object it names that the checklist does not, which halves the level. ``strata``: [fixed,
    errors, broke, corrects] for each number of photos: among tickets with as many it is tested, unless it is about their number. ``tickets``: what an accepted operation was tried on.
    """

    errors: int
    corrects: int
    fixed: list[str]
    broke: list[str]
    precision: float | None
    p_value: float
    level: float | None = None
    harm: float | None = None
    foreign: str | None = None
    strata: list[Counts] = []
    tickets: list[str] = []


class AppliedOperation(Record):
    """An accepted operation and the key its text got (None for a delete)."""

    op: Operation
    key: str | None
    trial: Trial | None


class RejectedOperation(Record):
    """A refused operation (raw where it could not be read) and the reason."""

    op: Any
    why: str
    trial: Trial | None = None
    remembered: bool = False

    @field_validator("op")
    @classmethod
    def _as_a_reader_takes_it(cls, op: Any) -> Any:
        """What a model made up may hold what no reader of the record would take (NaN, half surrogates, deep nests): then the raw answer alone keeps it."""
        try:
            refuse_flaws(op)
        except Flaw as flaw:
            return f"(cannot be kept: {flaw})"
        return op


class Tally(Record):
    """Verdicts of one round that rest on a rule: without it they would be the other one.

    ``hits`` it makes right, ``misses`` wrong. ``errors`` and ``corrects``: tickets that have the verdict which it changes and that
    it leaves alone, wrong and right ones: what the same number of verdicts would hit if it fired at random.
    """

    hits: Annotated[int, Field(ge=0)]
    misses: Annotated[int, Field(ge=0)]
    errors: Annotated[int, Field(ge=0)] = 0
    corrects: Annotated[int, Field(ge=0)] = 0
    by_photos: dict[str, Counts] = {}


class RuleTally(Tally):
    """The tally of a rule on all learn tickets of a round, and on those that it was not learnt from: neither shown nor tried when it was accepted.

    ``gives``: the verdict that it turns them to.
    """

    gives: Verdict | None = None
    fresh: Tally | None = None


class Reflection(Record):
    """One reflection call: what the model was shown (by digest), what it said and what became of it.

    The first record of a round (``reflection_id`` ends in ``-life``) carries the life cycle: tallies, learn tickets by
    ``label/verdict``, and which rules ``left`` and why. ``trials``: proposals tried since one was last accepted, after this call.
    ``unreadable``: why the answer as a whole could not be read (None: it could). ``forgiven``: how often each kind of form was.
    """

    reflection_id: str
    round: int
    epoch: int
    ticket_keys: list[str]
    directions: dict[Literal["false_release", "false_block"], int]
    prompt_digest: str
    raw_response: str
    operations: list[Operation]
    unexplainable: list[str]
    applied: list[AppliedOperation]
    rejected: list[RejectedOperation]
    tallies: dict[str, RuleTally] = {}
    verdicts: dict[Annotated[str, Field(pattern="^(pass|fail)/(pass|fail)$")], int] = {}
    cleaned_up: list[str]
    left: dict[str, str] = {}
    before_step: int
    after_step: int
    trials: int | None = None
    unreadable: str | None = None
    forgiven: dict[str, int] = {}


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

    ``log_odds_against_label``: mean over its candidates of ln p(other verdict) - ln p(label); None where no engine gave them.
    """

    ticket_key: str
    group_id: str
    gt_label: Verdict
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


class MissionReview(Record):
    """The review list of one mission."""

    count: int
    by_gt_label: dict[str, int]
    by_reason_code: dict[str, int]
    tickets: list[ReviewTicket]


class NeedReviewFile(Record):
    """need_review.json."""

    missions: dict[str, MissionReview]


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

    ``flags``: words joined by commas (``label_corrected``, ``conflict``), "" for none. Text, not a list: datasets fixes a
    file's types at its first 10 MB, and a list that is empty so far is a list of nothing that takes no word later.
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


class ReviewDecision(Record):
    """One line of review_decisions.jsonl: what a person said of a queued ticket."""

    ticket_key: str
    decision: Decision
    note: str = ""


class RateRecord(Record):
    """k of n with a 95 % Wilson interval."""

    k: int
    n: int
    rate: float | None
    low: float | None
    high: float | None


class ReviewSummary(Record):
    """review_summary.json: how the review stands. ``label_error``: the share of decided queued tickets whose label was wrong, all of them and by label.

    ``not_queued``: decisions on tickets that are not in need_review.json; they count in no other field.
    """

    queued: int
    decided: int
    decisions: dict[Decision, int]
    label_error: RateRecord
    label_error_by_label: dict[Verdict, RateRecord]
    not_queued: int


class SideRates(Record):
    """The rates of the tickets that guidance is learnt from (learn), or of those that it never sees (hold-out)."""

    frr: RateRecord
    false_block: RateRecord
    label_match: RateRecord


class RoundMetrics(Record):
    """One line of metrics.jsonl: how one round (or, with ``scope`` epoch, one epoch) stood to the labels, and what could not be read.

    ``learn`` and ``holdout``: the same rates for either side; None in runs of a version that held nothing out.
    """

    scope: Literal["round", "epoch"]
    round: int
    epoch: int
    guidance_step: int
    rules: int
    frr: RateRecord
    false_block: RateRecord
    label_match: RateRecord
    learn: SideRates | None = None
    holdout: SideRates | None = None
    format: RateRecord
    need_review: int
    changed: bool
    unreadable_answers: int = 0
    cut_reasons: int = 0
    reflections: int = 0
    unreadable_reflections: int = 0


class TicketsSource(Record):
    """config/tickets.json: the file that the run's tickets were taken from. ``synthetic``: the miniature's world drew them."""

    source: str
    sha256: str | None
    synthetic: bool = False


class LoopStatus(Record):
    """loop.json: where the loop stands. ``rounds`` counts the rounds that belong to the run. An ``unreadable`` loop stopped
    because too many answers could not be read; it writes no loop.json (verdicts/rounds/unreadable.py)."""

    status: Literal["running", "converged", "max_epochs", "unreadable"]
    rounds: int
    epochs: int
    rounds_per_epoch: int
    oscillations: list[str]


def read_tickets(path: Path, mission: str | None = None) -> list[StageA]:
    """Read Stage-A tickets in file order; refuses an empty file, a repeated ticket_key, and a foreign mission where one is given."""
    tickets = read_numbered(path, StageA)
    seen: dict[str, int] = {}
    for line, ticket in tickets:
        if ticket.ticket_key in seen:
            what = f"ticket_key {ticket.ticket_key!r} stands on line {seen[ticket.ticket_key]} already"
            raise mistake(what, "keep one of the two", path=path, line=line, field="group_id")
        if mission is not None and ticket.mission != mission:
            what = f"{ticket.mission!r} is not this run's mission {mission!r}"
            raise mistake(what, "run it under its own MISSION", path=path, line=line, field="mission")
        seen[ticket.ticket_key] = line
    return [ticket for _, ticket in tickets]


def read_decisions(path: Path, known: Container[str]) -> dict[str, ReviewDecision]:
    """Read human decisions by ticket_key; refuses a ticket that is not ``known`` and a second decision for a ticket."""
    return decisions_by_ticket(path, read_numbered(path, ReviewDecision, allow_empty=True), known)


def decisions_by_ticket(
    path: Path, numbered: Iterable[tuple[int, ReviewDecision]], known: Container[str]
) -> dict[str, ReviewDecision]:
    """(line, decision) pairs of a file by ticket_key; refuses what ``read_decisions`` refuses. A second decision is refused even where it says the same."""
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


def votes_of(verdicts: list[str | None]) -> Votes:
    """Count verdicts; None is a malformed candidate."""
    counts = Counter(verdicts)
    return Votes.model_validate({"pass": counts["pass"], "fail": counts["fail"], "malformed": counts[None]})
