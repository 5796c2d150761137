"""What a student scored on held-out questions: the table of metrics, and how one answer is read.

Verdicts: the definitions of verdicts/stats/rates.py; a malformed answer counts against the format rate and is no
verdict. Photos: verdicts/student/photo_scores.py for text summaries and lists of boxes, json_scores.py and
object_scores.py for the other forms. The form of the wanted answer decides.

A new metric is a row of METRICS and a field of its task's scores (verdicts/records/evaluation.py). The evaluation, the
gate, the tables and sentences of the tools and the report read the table. One that the gate holds to a limit of its own
needs that limit in the gate's section too.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verdicts.evaluation.answers import SCORERS
from verdicts.evaluation.questions import Question
from verdicts.records.corpus import Task
from verdicts.records.evaluation import (
    AnswerNote,
    ChatScores,
    DenseScores,
    Evaluation,
    F1Record,
    Named,
    ScoredAnswer,
    SummaryScores,
)
from verdicts.records.tickets import Verdict
from verdicts.stats.rates import RATE, Rate, wilson
from verdicts.student.coordinates import has_coordinates
from verdicts.student.json_scores import is_json
from verdicts.student.photo_scores import F1, sum_f1


@dataclass(frozen=True)
class Metric:
    """One metric of the student.

    ``field``: its place among the scores of its task. ``counts``: whether an answer is a hit, None where it does not
    count; for an F1 there is none, since the answers' overlaps are summed, or those of their ``part``. ``brief``: its
    name in a sentence, "" where evaluate's sentence leaves it out. ``page``: its title on pages, English and Chinese.
    ``limit``: the gate's knob (``max_…``, ``min_…``) that holds it. ``retained``: whether training must not lose it.
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
    part: str = ""

    def of(self, evaluation: Evaluation) -> Rate | F1Record:
        """Its score in an evaluation."""
        found: Rate | F1Record = getattr(getattr(evaluation, self.task), self.field)  # a task's scores bear its name
        return found

    def known(self, evaluation: Evaluation) -> bool:
        """Whether an evaluation has anything to score of it; of a ticket's verdict this is always asked."""
        return self.task == "chat" or value_of(self.of(evaluation)) is not None

    def overlap(self, row: ScoredAnswer) -> F1 | None:
        """What an answer has of an F1, None where it has nothing of it."""
        found = row.parts.get(self.part) if self.part else row.overlap
        return F1(found.hits, found.given, found.wanted) if found else None

    def score(self, answers: Sequence[ScoredAnswer]) -> Rate | F1Record:
        """Its score over these answers of its task; unknown where nothing is wanted."""
        if self.counts is None:
            whole = sum_f1(filter(None, map(self.overlap, answers)))
            return F1Record(**whole._asdict(), f1=round(whole.f1, 6) if whole.wanted else None)
        found = [hit for row in answers if (hit := self.counts(row)) is not None]
        return wilson(sum(found), len(found))

    def adds(self, row: ScoredAnswer) -> tuple[float, float]:
        """What an answer adds to numerator and denominator: hits of those that count, or the two sums of an F1."""
        if self.counts is None:
            overlap = self.overlap(row)
            return (2 * overlap.hits, overlap.given + overlap.wanted) if overlap else (0, 0)
        hit = self.counts(row)
        return (0, 0) if hit is None else (hit, 1)


def value_of(found: Rate | F1Record) -> float | None:
    """The figure of a rate or an F1, None where nothing was to be scored."""
    return found.f1 if isinstance(found, F1Record) else found.rate


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
    Metric("summary_exact", "summary", "exact", lambda row: None if row.form else row.right,
           "summary exact match", ("Summaries, exact match", "摘要完全一致"), brief="exact", retained=True),
    Metric("attribute_f1", "summary", "attribute_f1", None,
           "summary attribute F1", ("Summaries, attribute F1", "摘要属性 F1"), brief="attribute F1", retained=True),
    Metric("dense_f1", "dense", "f1", None,
           "dense F1 at IoU 0.5", ("Dense captions F1", "密集描述 F1"), brief="F1", retained=True),
    Metric("json_exact", "summary", "json_exact", lambda row: row.right if row.form else None,
           "JSON summary exact match", ("JSON summaries, exact match", "JSON 摘要完全一致"), brief="JSON exact",
           retained=True),
    Metric("json_f1", "summary", "json_f1", None, "JSON summary F1", ("JSON summaries F1", "JSON 摘要 F1"),
           brief="JSON F1", retained=True, part="statistics"),
    Metric("json_remarks_f1", "summary", "json_remarks_f1", None,
           "JSON remarks F1", ("JSON summaries, remarks F1", "JSON 摘要备注 F1"), part="remarks"),
    Metric("boxes_f1", "dense", "boxes_f1", None, "dense boxes F1", ("Dense boxes F1", "密集描述：框 F1"),
           brief="boxes", retained=True, part="boxes"),
    Metric("polygons_f1", "dense", "polygons_f1", None, "dense polygons F1",
           ("Dense polygons F1", "密集描述：多边形 F1"), brief="polygons", retained=True, part="polygons"),
    Metric("lines_f1", "dense", "lines_f1", None, "dense lines F1", ("Dense lines F1", "密集描述：线 F1"),
           brief="lines", retained=True, part="lines"),
    Metric("object_attributes_f1", "dense", "object_attributes_f1", None,
           "dense attribute F1", ("Dense captions, attribute F1", "密集描述属性 F1"),
           brief="attributes", retained=True, part="attributes"),
)  # fmt: skip


def answers_path(evaluation: Path) -> Path:
    """``before.json`` -> ``before.answers.jsonl`` beside it."""
    return evaluation.with_suffix(".answers.jsonl")


def score(question: Question, text: str, whole: bool, p_fail: float | None = None) -> ScoredAnswer:
    """Read and score one answer; ``p_fail`` goes with it."""
    found = SCORERS[question.task](question, text, whole)
    return ScoredAnswer(
        task=question.task, key=question.key, group_id=question.group_id, label=question.label,
        expected=question.expected, text=text, whole=whole, prompt=question.prompt, p_fail=p_fail, **found._asdict(),
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
    scores: dict[str, dict[str, Any]] = {
        task: {metric.field: metric.score(mine) for metric in METRICS if metric.task == task}
        | {"cut_off": sum(not row.whole for row in mine)}
        for task, mine in rows.items()
    }
    for task in ("summary", "dense"):
        notes = sum((Counter(row.notes) for row in rows[task]), Counter[AnswerNote]())
        scores[task] |= {"photos": len(rows[task]), "notes": dict(sorted(notes.items()))}
    chat, summary, dense = scores.values()
    chat["failed_without_verdict"] = sum(row.label == "fail" and row.verdict is None for row in rows["chat"])
    summary["with_coordinates"] = sum(has_coordinates(row.text) for row in rows["summary"])
    summary["json_malformed"] = sum(row.form == "json" and not is_json(row.text) for row in rows["summary"])
    dense["malformed"] = sum(not row.format_ok for row in rows["dense"])
    return (
        len(rows["chat"]),
        ChatScores.model_validate(chat),
        SummaryScores.model_validate(summary),
        DenseScores.model_validate(dense),
    )
