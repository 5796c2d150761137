"""The files of a run folder ``runs/<RUN>/<MISSION>/``: their names, their record models, and its rounds (DESIGN.md §2)."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tools.core.evaluation import Answer, Evaluation
from tools.core.gate import GateRecord
from tools.core.errors import mistake
from tools.core.jsonl import read_numbered
from tools.core.records import (
    AuditRow,
    ChatRow,
    DroppedRow,
    GuidanceFile,
    LoopStatus,
    Malformed,
    NeedReviewEntry,
    NeedReviewFile,
    Reflection,
    Refused,
    ReviewDecision,
    ReviewSummary,
    RoundMetrics,
    Selection,
    SftRow,
    StageA,
    Trajectory,
)

# rounds/NNNN/: one window of tickets under one frozen guidance. rounds/0000/ holds the starting guidance alone.
ROUND_FILES: dict[str, type[BaseModel]] = {
    "trajectories.jsonl": Trajectory,
    "selections.jsonl": Selection,
    "failure_malformed.jsonl": Malformed,
    "reflection.jsonl": Reflection,
    "need_review_queue.jsonl": NeedReviewEntry,
    "guidance.json": GuidanceFile,
}

RUN_FILES: dict[str, type[BaseModel]] = {
    "summaries/stage_a.jsonl": StageA,
    "summaries/stage_a.refused.jsonl": Refused,
    "stage_a.jsonl": StageA,
    "loop.json": LoopStatus,
    "trajectories.jsonl": Trajectory,
    "selections.jsonl": Selection,
    "failure_malformed.jsonl": Malformed,
    "guidance.json": GuidanceFile,
    "metrics.jsonl": RoundMetrics,
    "need_review_queue.jsonl": NeedReviewEntry,
    "need_review.json": NeedReviewFile,
    "review_decisions.jsonl": ReviewDecision,
    "review_summary.json": ReviewSummary,
    "distill_chatml.jsonl": ChatRow,
    "distill.train.jsonl": SftRow,
    "distill.val.jsonl": SftRow,
    "distill.dropped.jsonl": DroppedRow,
    "distill.audit.jsonl": AuditRow,
    "evaluation/before.json": Evaluation,
    "evaluation/before.answers.jsonl": Answer,
    "evaluation/after.json": Evaluation,
    "evaluation/after.answers.jsonl": Answer,
    "evaluation/gate.json": GateRecord,
}

# A run in which nothing went wrong leaves these empty; all others hold at least one record.
MAY_BE_EMPTY = {
    "stage_a.refused.jsonl",
    "selections.jsonl",
    "failure_malformed.jsonl",
    "need_review_queue.jsonl",
    "review_decisions.jsonl",
    "distill.train.jsonl",
    "distill.val.jsonl",
    "distill.dropped.jsonl",
    "distill.audit.jsonl",
}


# What names a row of a file: two rows of one name are one row twice. Files that are not here may repeat themselves.
ROW_NAMES: dict[str, tuple[str, ...]] = {
    "trajectories.jsonl": ("round", "ticket_key", "candidate_index"),
    "selections.jsonl": ("ticket_key",),
    "failure_malformed.jsonl": ("round", "ticket_key", "candidate_index"),
    "reflection.jsonl": ("reflection_id",),
    "need_review_queue.jsonl": ("round", "ticket_key"),
    "metrics.jsonl": ("scope", "round", "epoch"),
    "review_decisions.jsonl": ("ticket_key",),
    "distill.dropped.jsonl": ("ticket_key",),
    "distill.audit.jsonl": ("ticket_key",),
}


def doubled(name: str, numbered: Iterable[tuple[int, Any]]) -> dict[int, tuple[int, str]]:
    """Rows of a file that stand on an earlier line already: line -> (that line, what names the row)."""
    fields, seen, found = ROW_NAMES.get(name, ()), {}, {}
    for line, row in numbered if fields else ():
        key = tuple(getattr(row, field) for field in fields)
        if (first := seen.setdefault(key, line)) != line:
            found[line] = first, repr(key[0]) if len(key) == 1 else ", ".join(f"{field} {value!r}" for field, value in zip(fields, key, strict=True))
    return found


def round_folder(rounds: Path, number: int) -> Path:
    """The folder of one round, ``rounds/0007`` for 7."""
    return rounds / f"{number:04d}"


def read_round_rows(rounds: Path, number: int, name: str) -> list:
    """The records of one JSONL file of one round. Raises UserError for a bad row and for one that stands twice."""
    return read_file_rows(round_folder(rounds, number) / name, ROUND_FILES[name])


def read_file_rows(path: Path, model: type[BaseModel]) -> list:
    """The records of one JSONL file of a run or a round. Raises UserError for a bad row and for one that stands twice."""
    numbered = read_numbered(path, model, allow_empty=path.name in MAY_BE_EMPTY)
    for line, (first, names) in doubled(path.name, numbered).items():
        raise mistake(f"{names} stands on line {first} already", "keep one of the two", path=path, line=line, field=ROW_NAMES[path.name][-1])
    return [row for _, row in numbered]


def finished_rounds(rounds: Path) -> int:
    """How many rounds are done: those that follow each other from 0001 and have left their guidance."""
    done = 0
    while (round_folder(rounds, done + 1) / "guidance.json").exists():
        done += 1
    return done
