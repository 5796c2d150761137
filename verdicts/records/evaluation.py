"""What a student scored on held-out questions, and what the gate says of it: evaluation/*/."""

from verdicts.base.record import Record
from verdicts.records.corpus import Task
from verdicts.records.tickets import Verdict
from verdicts.stats.rates import Rate


class Overlap(Record):
    """Parts of an F1: found in both, given by the student, wanted."""

    hits: int
    given: int
    wanted: int


class F1Record(Overlap):
    """Micro-averaged F1 over all rows."""

    f1: float


class ScoredAnswer(Record):
    """One line of an answers file: a question's name, what was wanted, what the student said and how it scores.

    ``whole``: the answer came to its end within the tokens it may have. ``format_ok``: two whole lines for chat, a list
    of boxes for dense, no coordinates for summary. ``right``: the label's verdict, the same segments, or all boxes and
    no other. ``overlap``: attributes of a summary, boxes of a dense answer.
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


class Named(Record):
    """Which student answered: its folder, and a SHA-256 over its files."""

    folder: str
    sha256: str


class ChatScores(Record):
    """Stage B. ``failed_without_verdict``: malformed answers to tickets labelled fail, which FRR leaves out."""

    frr: Rate
    false_block: Rate
    label_match: Rate
    format: Rate
    failed_without_verdict: int


class SummaryScores(Record):
    """Summaries of photos. ``with_coordinates``: how many hold what looks like a box."""

    photos: int
    exact: Rate
    with_coordinates: int
    attribute_f1: F1Record


class DenseScores(Record):
    """Dense captions of photos. ``f1``: same label and IoU at least 0.5; a malformed answer finds nothing."""

    photos: int
    malformed: int
    f1: F1Record


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
    fair pair. ``made_from``: null where an older version made it.
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

    @property
    def place(self) -> str:
        """The student and the questions it answered, for a sentence."""
        on = f" on {self.made_from.held_out}" if self.made_from else ""
        return f"{self.student.folder}{on} ({self.tickets} tickets, {self.summary.photos} photos)"


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


class GateRecord(Record):
    """evaluation/*/gate.json. ``chat`` and ``retention`` name their scores as METRICS does. ``remarks``: what
    does not stop the student and is not shown either, since its interval reaches beyond a limit.
    """

    passed: bool
    reasons: list[str]
    remarks: list[str] = []
    before: Evaluation
    after: Evaluation
    mcnemar: dict[str, McNemar]
    chat: dict[str, Difference]
    retention: dict[str, Difference]
