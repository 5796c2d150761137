"""What a student scored on held-out questions, and what the gate says of it: evaluation/*/."""

from typing import Annotated, Any, Literal

from pydantic import Field

from verdicts.base.record import PromptName, Record
from verdicts.records.corpus import Task
from verdicts.records.tickets import Verdict
from verdicts.stats.rates import Rate, wilson

# What is counted beside the scores: an answer in another form than the wanted one; another prefix line, or none, where
# one is wanted; entries of a dense answer that put no thing in a place; outlines that crossed themselves.
AnswerNote = Literal["other_form", "other_prefix", "broken_entries", "mended_outlines"]


class Overlap(Record):
    """Parts of an F1: found in both, given by the student, wanted."""

    hits: int
    given: int
    wanted: int


class F1Record(Overlap):
    """Micro-averaged F1 over all rows; ``f1`` is null where nothing is wanted."""

    f1: float | None


_NO_RATE, _NO_F1 = wilson(0, 0), F1Record(hits=0, given=0, wanted=0, f1=None)


# What answered: the student's own runner, its export on llama-server, or an engine of rollouts.
ServingEngine = Literal["transformers", "llama_server", "llama_cpp", "openai"]


class ScoredAnswer(Record):
    """One line of an answers file: a question's name, what was wanted, what the student said and how it scores.

    ``whole``: the answer came to its end within the tokens it may have. ``format_ok``: two whole lines for chat, the
    wanted form for dense, that and no coordinates for summary. ``right``: the label's verdict, the same segments or
    counts, or all objects and no other. ``form``: ``json`` or ``objects`` where the wanted answer has that form, null
    for text summaries and lists of boxes. ``overlap``: attributes of a text summary, boxes of a list. ``parts``: of the
    other forms ``statistics`` and ``remarks``, or ``boxes``, ``polygons``, ``lines`` and ``attributes``. ``notes``:
    what is counted beside the scores. ``p_fail``: P(fail) among the two verdicts where a ticket's answer parts; absent
    where it never came to that place, for photos, and where an older version asked.
    """

    task: Task
    key: str
    group_id: str
    label: Verdict | None
    expected: str | None
    text: str
    whole: bool
    format_ok: bool
    verdict: Verdict | None
    right: bool
    overlap: Overlap | None
    form: Literal["json", "objects"] | None = None
    parts: dict[str, Overlap] = {}
    notes: dict[AnswerNote, int] = {}
    prompt: PromptName = ""
    p_fail: Annotated[float | None, Field(ge=0, le=1, exclude_if=lambda chance: chance is None)] = None


class Named(Record):
    """Which student answered: its folder, and a SHA-256 over its files."""

    folder: str
    sha256: str


class ChatScores(Record):
    """Stage B. ``failed_without_verdict``: malformed answers to tickets labelled fail, which FRR leaves out.

    ``cut_off``: answers longer than they may be; null where an older version counted none.
    """

    frr: Rate
    false_block: Rate
    label_match: Rate
    format: Rate
    failed_without_verdict: int
    cut_off: int | None = None


class SummaryScores(Record):
    """Summaries of photos. ``with_coordinates``: how many hold what looks like a box.

    ``exact`` and ``attribute_f1``: of wanted text; ``json_exact``, ``json_f1`` and ``json_remarks_f1``: of wanted JSON,
    and ``json_malformed``: answers to it that are no whole JSON summary.
    """

    photos: int
    exact: Rate
    with_coordinates: int
    attribute_f1: F1Record
    json_exact: Rate = _NO_RATE
    json_f1: F1Record = _NO_F1
    json_remarks_f1: F1Record = _NO_F1
    json_malformed: int = 0
    cut_off: int | None = None
    notes: dict[AnswerNote, int] = {}


class DenseScores(Record):
    """Dense captions of photos; a malformed answer finds nothing.

    ``f1``: of wanted lists, same label and IoU at least 0.5. Of wanted objects: ``boxes_f1``, ``polygons_f1`` and
    ``lines_f1``, same category in the same place; ``object_attributes_f1``, their attributes; those of one that is not
    found count as said wrongly.
    """

    photos: int
    malformed: int
    f1: F1Record
    boxes_f1: F1Record = _NO_F1
    polygons_f1: F1Record = _NO_F1
    lines_f1: F1Record = _NO_F1
    object_attributes_f1: F1Record = _NO_F1
    cut_off: int | None = None
    notes: dict[AnswerNote, int] = {}


class MadeFrom(Record):
    """What an evaluation was made from, by content (first 16 hex digits of a SHA-256).

    ``held_out``: the folder of the tickets, as given. ``questions``: the three held-out files together
    (tools.questions), ``files``: each input file. ``guidance``: the rules as the student was told them. ``settings``:
    lengths of answers, sizes of photos and of the sample. ``base``: the student it was taught from, as its metrics.json
    says; null where nothing says it.
    """

    held_out: str
    questions: str
    files: dict[str, str]
    guidance: str
    settings: dict[str, int]
    base: Named | None


class Evaluation(Record):
    """evaluation/*/before.json and after.json. ``questions``: a SHA-256 over all that was asked and wanted, equal for a
    fair pair. ``made_from``: null where an older version made it. ``engine``: what answered, said where it was not the
    student's own runner. ``prompts``: those that a task's questions ask with, by name.
    """

    student: Named
    mission: str
    guidance_step: int
    questions: str
    tickets: int
    chat: ChatScores
    summary: SummaryScores
    dense: DenseScores
    made_from: MadeFrom | None = None
    engine: Annotated[ServingEngine, Field(exclude_if=lambda engine: engine == "transformers")] = "transformers"
    prompts: Annotated[dict[Task, list[PromptName]], Field(exclude_if=lambda prompts: not prompts)] = {}

    @property
    def place(self) -> str:
        """The student and the questions it answered, for a sentence."""
        on = f" on {self.made_from.held_out}" if self.made_from else ""
        return f"{self.student.folder}{on} ({self.tickets} tickets, {self.summary.photos} photos)"


class OperatingPoint(Record):
    """From which P(fail) on a ticket fails, so that FRR is shown to be at most ``target`` (docs/operating_point.md).

    It holds for one mission, serving engine, student and guidance. ``confidence``: how often a point that is chosen so
    keeps the target. ``fails``: labelled fails of the calibration groups; ``released`` of them stay below the
    threshold, and ``bound`` is the upper end of FRR there (Clopper and Pearson, one-sided, at ``confidence``).
    ``release``: tickets of these groups that pass, ``false_block``: their passes that fail. ``checked``: the rates of
    the groups that chose nothing. ``without``: tickets without a verdict or P(fail), left out. ``groups``: the
    calibration groups, by the first 16 hex digits of a SHA-256 of their ids. ``inputs``: each file that it was made
    from, by content.
    """

    mission: str
    engine: ServingEngine
    student: Named
    guidance: str
    target: Annotated[float, Field(gt=0, lt=1)]
    confidence: Annotated[float, Field(gt=0, lt=1)]
    threshold: Annotated[float, Field(ge=0, le=1)]
    fails: int
    released: int
    bound: float
    release: Rate
    false_block: Rate
    checked: dict[Literal["frr", "release"], Rate]
    without: int
    share: float
    seed: int
    groups: list[str]
    inputs: dict[str, str]


class McNemar(Record):
    """An error of verdicts among the tickets of one label, paired: ``left_out`` are those without a verdict before or
    after.
    """

    pairs: int
    only_before: int
    only_after: int
    left_out: int
    p_value: float


class Difference(Record):
    """``change`` = after - before, with the 95 % interval of a paired bootstrap over groups."""

    before: float | None
    after: float | None
    change: float | None
    low: float | None
    high: float | None


class GateLook(Record):
    """A line of runs/looks.jsonl: one student, at one threshold, that a gate judged on some held-out questions.

    ``number``: which look at these questions it is, from 1. ``questions``: their digest (tools.questions); ``student``:
    by the content of its files; ``threshold``: of the operating point, null for its own verdicts. ``before``: a digest
    of the line before, "" in the first.
    """

    number: Annotated[int, Field(ge=1)]
    questions: str
    student: str
    threshold: float | None
    before: str


class AtPoint(Record):
    """What the gate judged where an operating point decides: the scores of verdicts after training at its threshold.

    ``left_out``: tickets of the groups that chose it; both sides do without them. ``point``: digest of its file.
    """

    threshold: float
    target: float
    point: str
    left_out: int
    before: ChatScores
    after: ChatScores


class GateRecord(Record):
    """evaluation/*/gate.json. ``chat`` and ``retention`` name their scores as METRICS does. ``remarks``: what
    does not stop the student and is not shown either, since its interval reaches beyond a limit. ``at_point``: where an
    operating point decided; ``looks``: those at the same questions up to this one, where they are counted.
    """

    passed: bool
    reasons: list[str]
    remarks: list[str] = []
    before: Evaluation
    after: Evaluation
    mcnemar: dict[str, McNemar]
    chat: dict[str, Difference]
    retention: dict[str, Difference]
    at_point: Annotated[AtPoint | None, Field(exclude_if=lambda point: point is None)] = None
    looks: Annotated[list[GateLook], Field(exclude_if=lambda looks: not looks)] = []


class BehaviourResult(Record):
    """One kind of behavioural test (docs/behaviour.md).

    ``failed``: changed tickets on which the model does what it must not. ``left_out``: tickets that the change does not
    fit, by reason word.
    """

    test: Literal["minimum", "invariance", "direction"]
    failed: Rate
    left_out: dict[str, int]


class Behaviour(Record):
    """behaviour.json: what a model does on changed held-out tickets. ``tickets``: the first ones, unchanged."""

    asked: Named
    mission: str
    guidance_step: int
    guidance: str
    questions: str
    tickets: int
    settings: dict[str, Any]
    kinds: dict[str, BehaviourResult]


class BehaviourFailure(Record):
    """A changed ticket that a model failed on. ``key``: the ticket_key of a held-out ticket, none of the run's.

    ``p_fail``, ``before_p_fail``: of both verdicts together.
    """

    kind: str
    key: str
    changed: str
    before: Verdict
    after: Verdict
    before_p_fail: float
    p_fail: float
    per_image: dict[str, str]
    changed_per_image: dict[str, str]
