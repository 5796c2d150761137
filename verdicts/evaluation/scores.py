"""What a student scored on held-out questions: the records of evaluation/{before,after}.json and their answers files.

Verdicts: the definitions of verdicts/stats/rates.py; a malformed answer counts against the format rate and is no
verdict. Summaries and boxes: verdicts/student/scores.py.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from verdicts.evaluation.questions import Question
from verdicts.records.evaluation import Answer, ChatScores, DenseScores, F1Record, Named, Overlap, SummaryScores
from verdicts.stage_b.protocol import parse
from verdicts.stats.rates import Rate, verdict_rates, wilson
from verdicts.student.scores import F1, attribute_f1, dense_f1, has_coordinates, parse_dense, summary_matches, total


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


def tally(answers: Sequence[Answer]) -> tuple[int, ChatScores, SummaryScores, DenseScores]:
    """Tickets, and the scores of each task."""
    chat, summary, dense = ([row for row in answers if row.task == task] for task in ("chat", "summary", "dense"))
    rates = verdict_rates((row.label, row.verdict) for row in chat if row.label and row.verdict)
    return (
        len(chat),
        ChatScores(
            frr=rates.frr,
            false_block=rates.false_block,
            label_match=rates.label_match,
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


def _share(found: Iterable[bool]) -> Rate:
    values = list(found)
    return wilson(sum(values), len(values))


def _micro(rows: Sequence[Answer]) -> F1Record:
    whole = total(F1(**row.overlap.model_dump()) for row in rows if row.overlap)
    return F1Record(**whole._asdict(), f1=round(whole.f1, 6))
