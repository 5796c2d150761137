"""What a reflection proposed, how it was tried and what became of it: reflection.jsonl."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from verdicts.base.json_text import Flaw, refuse_flaws
from verdicts.base.record import PromptName, Record
from verdicts.records.tickets import Verdict

MUTE_TRIAL = "no_verdict_in_trial"  # why an operation was refused whose trial could not be read


# verdicts/guidance/operations.py has a class for each
OperationName = Literal["add", "update", "delete", "merge"]
Direction = Literal["false_release", "false_block"]


class Operation(Record):
    """One change of guidance that reflection proposes. ``evidence`` holds ticket keys."""

    op: OperationName
    key: str | None = None
    keys: list[str] = []
    text: str | None = None
    rationale: str = ""
    evidence: list[str]


FourCounts = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=4, max_length=4)]


class Trial(Record):
    """What an operation did to the verdicts of tickets it was tried on (docs/guidance.md).

    ``p_value``: one-sided exact test, wanted at most ``level``. ``harm``: by how much it raises the other error's rate,
    labels that may be wrong aside. ``foreign``: an object it names that the checklist does not, which halves the level.
    ``strata``: [fixed, errors, broke, corrects] for each number of photos: among tickets with as many it is tested,
    unless it is about their number. ``tickets``: what an accepted operation was tried on.
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
    strata: list[FourCounts] = []
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
        """What a model made up may hold what no reader of the record would take (NaN, half surrogates, deep nests):
        then the raw answer alone keeps it.
        """
        try:
            refuse_flaws(op)
        except Flaw as flaw:
            return f"(cannot be kept: {flaw})"
        return op


class Tally(Record):
    """Verdicts of one round that rest on a rule: without it they would be the other one.

    ``hits`` it makes right, ``misses`` wrong. ``errors`` and ``corrects``: tickets that have the verdict which it
    changes and that it leaves alone, wrong and right ones: what the same number of verdicts would hit if it fired at
    random.
    """

    hits: Annotated[int, Field(ge=0)]
    misses: Annotated[int, Field(ge=0)]
    errors: Annotated[int, Field(ge=0)] = 0
    corrects: Annotated[int, Field(ge=0)] = 0
    by_photos: dict[str, FourCounts] = {}


class RuleTally(Tally):
    """The tally of a rule on all learn tickets of a round, and on those that it was not learnt from: neither shown nor
    tried when it was accepted.

    ``gives``: the verdict that it turns them to. ``log_odds``: by how much the rule raises the log-odds of fail, on
    average over all decided tickets; only with reflect.credit: causal.
    """

    gives: Verdict | None = None
    fresh: Tally | None = None
    log_odds: Annotated[float | None, Field(exclude_if=lambda value: value is None)] = None


class Reflection(Record):
    """One reflection call: what the model was shown (by digest), what it said and what became of it.

    The first record of a round (``reflection_id`` ends in ``-life``) carries the life cycle: tallies, learn tickets by
    ``label/verdict``, and which rules ``left`` and why. One whose ``reflection_id`` ends in ``-pool`` carries what was
    tried together at an epoch's end. Neither is a call. ``trials``: proposals tried since one was last accepted, after
    this call. ``shared``: what the errors that were shown have in common and right verdicts have not (``without X``:
    they lack X), where they were put together for that. ``unreadable``: why the answer as a whole could not be read
    (None: it could). ``forgiven``: how often each kind of form was.
    """

    reflection_id: str
    round: int
    epoch: int
    ticket_keys: list[str]
    directions: dict[Direction, int]
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
    prompt: PromptName = ""
    shared: Annotated[str, Field(exclude_if=lambda value: not value)] = ""

    @property
    def is_call(self) -> bool:
        """Whether the model was shown something and answered."""
        return not self.reflection_id.endswith(("-life", "-pool"))
