"""What a student scored on held-out questions: the table of metrics, and how one answer is read.

Verdicts: the definitions of verdicts/stats/rates.py; a malformed answer counts against the format rate and is no
verdict. Summaries and boxes: verdicts/student/photo_scores.py.

A new metric is a row of METRICS and a field of its task's scores (verdicts/records/evaluation.py). The evaluation, the
gate, the tables and sentences of the tools and the report read the table. One that the gate holds to a limit of its own
needs that limit in the gate's section too.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from verdicts.evaluation.questions import Question
from verdicts.records.corpus import Task
from verdicts.records.evaluation import (
    ChatScores,
    DenseScores,
    Evaluation,
    F1Record,
    Named,
    Overlap,
    ScoredAnswer,
    SummaryScores,
)
from verdicts.records.tickets import Verdict
from verdicts.stage_b.protocol import parse
from verdicts.stats.rates import RATE, Rate, wilson
from verdicts.student.photo_scores import (
    F1,
    attribute_f1,
    dense_f1,
    has_coordinates,
    parse_dense,
    sum_f1,
    summary_matches,
)


@dataclass(frozen=True)
class Metric:
    """One metric of the student.

    ``field``: its place among the scores of its task. ``counts``: whether an answer is a hit, None where it does not
    count; for an F1 there is none, since the answers' overlaps are summed. ``brief``: its name in a sentence, "" where
    evaluate's sentence leaves it out. ``page``: its title on pages, English and Chinese. ``limit``: the gate's knob
    (``max_…``, ``min_…``) that holds it. ``retained``: whether training must not lose it.
    """

    name: str
    task: Task
    field: str
    counts: Callable[[ScoredAnswer], bool | None] | None
    title: str
    page: tuple[str, str]
    brief: str = ""
    limit: str = ""
    retained: bool = False

    def of(self, evaluation: Evaluation) -> Rate | F1Record:
        """Its score in an evaluation."""
        found: Rate | F1Record = getattr(getattr(evaluation, self.task), self.field)  # a task's scores bear its name
        return found

    def score(self, answers: Sequence[ScoredAnswer]) -> Rate | F1Record:
        """Its score over these answers of its task."""
        if self.counts is None:
            whole = sum_f1(F1(**row.overlap.model_dump()) for row in answers if row.overlap)
            return F1Record(**whole._asdict(), f1=round(whole.f1, 6))
        found = [hit for row in answers if (hit := self.counts(row)) is not None]
        return wilson(sum(found), len(found))

    def adds(self, row: ScoredAnswer) -> tuple[float, float]:
        """What an answer adds to numerator and denominator: hits of those that count, or the two sums of an F1."""
        if self.counts is None:
            return (2 * row.overlap.hits, row.overlap.given + row.overlap.wanted) if row.overlap else (0, 0)
        hit = self.counts(row)
        return (0, 0) if hit is None else (hit, 1)


def _wrong(label: Verdict) -> Callable[[ScoredAnswer], bool | None]:
    """Wrong verdicts among the tickets of a label that have one (stats.rates.verdict_rates)."""
    return lambda row: None if row.label != label or row.verdict is None else not row.right


METRICS = (
    Metric("frr", "chat", "frr", _wrong("fail"), "false release (FRR)", RATE["frr"].title,
           brief="FRR", limit="max_frr"),
    Metric("false_block", "chat", "false_block", _wrong("pass"), "false block", RATE["false_block"].title,
           brief="false block", limit="max_false_block"),
    Metric("label_match", "chat", "label_match", lambda row: None if row.verdict is None else row.right,
           "label match", RATE["label_match"].title),
    Metric("format", "chat", "format", lambda row: row.format_ok, "format", ("Format", "格式合规率"),
           brief="format", limit="min_format"),
    Metric("summary_exact", "summary", "exact", lambda row: row.right,
           "summary exact match", ("Summaries, exact match", "摘要完全一致"), brief="exact", retained=True),
    Metric("attribute_f1", "summary", "attribute_f1", None,
           "summary attribute F1", ("Summaries, attribute F1", "摘要属性 F1"), brief="attribute F1", retained=True),
    Metric("dense_f1", "dense", "f1", None,
           "dense F1 at IoU 0.5", ("Dense captions F1", "密集描述 F1"), brief="F1", retained=True),
)  # fmt: skip


def answers_path(evaluation: Path) -> Path:
    """``before.json`` -> ``before.answers.jsonl`` beside it."""
    return evaluation.with_suffix(".answers.jsonl")


def score(question: Question, text: str, whole: bool) -> ScoredAnswer:
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
    return ScoredAnswer(
        task=question.task, key=question.key, group_id=question.group_id, label=question.label,
        expected=question.expected, text=text, whole=whole,
        format_ok=format_ok, verdict=verdict, right=right, overlap=overlap and Overlap(**overlap._asdict()),
    )  # fmt: skip


def taught_from(student: Path) -> Named | None:
    """The base of a taught student, from sft's metrics.json beside ``merged/``; None where there is none."""
    try:
        said = json.loads((student.resolve().parent / "metrics.json").read_text(encoding="utf-8"))
        return Named(folder=said["base"], sha256=said["base_sha256"]) if student.resolve().name == "merged" else None
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None


def tally(answers: Sequence[ScoredAnswer]) -> tuple[int, ChatScores, SummaryScores, DenseScores]:
    """Tickets, and the scores of each task: its metrics, and counts that are shown beside them."""
    rows = {task: [row for row in answers if row.task == task] for task in ("chat", "summary", "dense")}
    chat, summary, dense = (
        {metric.field: metric.score(rows[task]) for metric in METRICS if metric.task == task} for task in rows
    )
    chat_counts = {"failed_without_verdict": sum(row.label == "fail" and row.verdict is None for row in rows["chat"])}
    malformed = {task: sum(not row.format_ok for row in rows[task]) for task in rows}
    summary_counts = {"photos": len(rows["summary"]), "with_coordinates": malformed["summary"]}
    dense_counts = {"photos": len(rows["dense"]), "malformed": malformed["dense"]}
    return (
        len(rows["chat"]),
        ChatScores.model_validate(chat | chat_counts),
        SummaryScores.model_validate(summary | summary_counts),
        DenseScores.model_validate(dense | dense_counts),
    )
