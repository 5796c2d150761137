"""What a student scored on held-out questions: the records of evaluation/{before,after}.json and their answers files.

Verdicts: the definitions of verdicts/stats/rates.py; a malformed answer counts against the format rate and is no verdict.
Summaries and boxes: verdicts/student/scores.py.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from verdicts.corpus.rows import Task
from verdicts.evaluation.questions import Question
from verdicts.records.records import RateRecord, Record, Verdict
from verdicts.stage_b.protocol import parse
from verdicts.stats.rates import Rate, verdict_rates, wilson
from verdicts.student.scores import F1, attribute_f1, dense_f1, has_coordinates, parse_dense, summary_matches, total


class Overlap(Record):
    """Parts of an F1: found in both, given by the student, wanted."""

    hits: int
    given: int
    wanted: int


class F1Record(Overlap):
    """Micro-averaged F1 over all rows."""

    f1: float


class Answer(Record):
    """One line of an answers file: a question's name, what was wanted, what the student said and how it scores.

    ``whole``: the answer came to its end within the tokens it may have. ``format_ok``: two whole lines for chat, a list of
    boxes for dense, no coordinates for summary. ``right``: the label's verdict, the same segments, or all boxes and no other.
    ``overlap``: attributes of a summary, boxes of a dense answer.
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

    frr: RateRecord
    false_block: RateRecord
    label_match: RateRecord
    format: RateRecord
    failed_without_verdict: int


class SummaryScores(Record):
    """Summaries of photos. ``with_coordinates``: how many hold what looks like a box."""

    photos: int
    exact: RateRecord
    with_coordinates: int
    attribute_f1: F1Record


class DenseScores(Record):
    """Dense captions of photos. ``f1``: same label and IoU at least 0.5; a malformed answer finds nothing."""

    photos: int
    malformed: int
    f1: F1Record


class MadeFrom(Record):
    """What an evaluation was made from, by content (first 16 hex digits of a SHA-256).

    ``held_out``: the folder of the tickets, as given. ``questions``: the three held-out files together (tools.questions),
    ``files``: each input file. ``guidance``: the rules as the student was told them. ``settings``: lengths of answers, sizes of
    photos and of the sample. ``base``: the student it was taught from, as its metrics.json says; null where nothing says it.
    """

    held_out: str
    questions: str
    files: dict[str, str]
    guidance: str
    settings: dict[str, int]
    base: Named | None


class Evaluation(Record):
    """evaluation/*/before.json and after.json. ``questions``: a SHA-256 over all that was asked and wanted, equal for a fair pair.
    ``made_from``: null where an older version made it."""

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


def answers_path(evaluation: Path) -> Path:
    """``before.json`` -> ``before.answers.jsonl`` beside it."""
    return evaluation.with_suffix(".answers.jsonl")


def score(question: Question, text: str, whole: bool) -> Answer:
    """Read and score one answer. Of a chat answer that was cut off nothing counts, as in a rollout."""
    verdict, overlap, expected = None, None, question.expected or ""
    if question.task == "chat":
        verdict = parse(text).verdict if whole else None
        format_ok, right = verdict is not None, verdict == question.label
    elif question.task == "summary":
        overlap = attribute_f1(text, expected)
        format_ok, right = not has_coordinates(text), summary_matches(text, expected)
    else:
        found = parse_dense(text)
        overlap = dense_f1(found, parse_dense(expected) or [])
        format_ok, right = found is not None, overlap.hits == overlap.given == overlap.wanted
    return Answer(
        task=question.task, key=question.key, group_id=question.group_id, label=question.label, expected=question.expected, text=text, whole=whole,
        format_ok=format_ok, verdict=verdict, right=right, overlap=overlap and Overlap(**overlap._asdict()),
    )  # fmt: skip


def taught_from(student: Path) -> Named | None:
    """The base of a taught student, from the metrics.json that sft wrote beside ``merged/``; None where there is none."""
    try:
        said = json.loads((student.resolve().parent / "metrics.json").read_text(encoding="utf-8"))
        return Named(folder=said["base"], sha256=said["base_sha256"]) if student.resolve().name == "merged" else None
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None


def tally(answers: Sequence[Answer]) -> tuple[int, ChatScores, SummaryScores, DenseScores]:
    """Tickets, and the scores of each task."""
    chat, summary, dense = ([row for row in answers if row.task == task] for task in ("chat", "summary", "dense"))
    rates = verdict_rates((row.label, row.verdict) for row in chat if row.verdict)
    return (
        len(chat),
        ChatScores(
            frr=_record(rates.frr),
            false_block=_record(rates.false_block),
            label_match=_record(rates.label_match),
            format=_share(row.format_ok for row in chat),
            failed_without_verdict=sum(row.label == "fail" and row.verdict is None for row in chat),
        ),
        SummaryScores(
            photos=len(summary),
            exact=_share(row.right for row in summary),
            with_coordinates=sum(not row.format_ok for row in summary),
            attribute_f1=_micro(summary),
        ),
        DenseScores(photos=len(dense), malformed=sum(not row.format_ok for row in dense), f1=_micro(dense)),
    )


def _record(rate: Rate) -> RateRecord:
    return RateRecord(**rate._asdict())


def _share(found: Iterable[bool]) -> RateRecord:
    values = list(found)
    return _record(wilson(sum(values), len(values)))


def _micro(rows: Sequence[Answer]) -> F1Record:
    whole = total(F1(**row.overlap.model_dump()) for row in rows if row.overlap)
    return F1Record(**whole._asdict(), f1=round(whole.f1, 6))
