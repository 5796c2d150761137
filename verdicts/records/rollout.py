"""What a round of rollouts leaves: candidates, the verdict chosen for each ticket, and answers that are none."""

from collections import Counter
from typing import Annotated, Literal

from pydantic import Field, model_validator

from verdicts.base.record import PromptName, Record
from verdicts.records.tickets import Verdict


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


AnswerSource = Literal["model", "guard", "threshold"]  # who gave an answer


class Trajectory(Record):
    """One candidate answer to one ticket under one guidance.

    ``source`` says who gave it: the model, the fail-first guard where it overrode a pass, or the threshold where no
    candidate has the verdict that P(fail) gives. A row of the last two is the last of its ticket; nothing was sampled
    for it, so ``decode`` is None and so are both log-probabilities.
    ``raw_text``: what the model said, where a form was forgiven or a reason cut (None: ``response_text`` is what it
    said). ``cut``: the reason did not end within ``max_new_tokens``; it is kept up to its last whole sentence.
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
    source: AnswerSource = "model"
    raw_text: str | None = None
    cut: bool = False
    prompt: PromptName = ""

    @model_validator(mode="after")
    def _a_model_has_settings(self) -> "Trajectory":
        if (self.decode is None) != (self.source != "model"):
            found = "missing" if self.decode is None else "given"
            raise ValueError(
                f"decode {found} for a candidate of the {self.source}; the model has settings, guard and threshold "
                "have none"
            )
        return self


class Votes(Record):
    """How the candidates of a ticket voted."""

    pass_: int = Field(alias="pass")
    fail: int
    malformed: int


class Selection(Record):
    """The verdict chosen for a ticket.

    ``vote_strength`` is the share of the model's valid votes that won, ``candidates`` its votes; where a threshold
    decides (``rollout.decision``), the share of them for the verdict that it gives, which may be none.

    ``selected_candidate`` is the candidate_index of the answer that speaks for the verdict; None only in runs of a
    version whose guard left no candidate.
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
    prompt: PromptName = ""


class Malformed(Record):
    """A hard failure: text that is no answer, or a ticket without any valid candidate (``candidate_index`` None).

    ``why`` refused: the server gave no answer to this prompt; ``response_text`` holds its words. no_probability: a
    threshold is to decide, and the engine names neither verdict's probability.
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
        "no_probability",
        "no_valid_candidate",
        "selection_error",
    ]
    response_text: str
    guidance_step: int


def votes_of(verdicts: list[str | None]) -> Votes:
    """Count verdicts; None is a malformed candidate."""
    counts = Counter(verdicts)
    return Votes.model_validate({"pass": counts["pass"], "fail": counts["fail"], "malformed": counts[None]})
