"""The files of a run folder ``runs/<RUN>/<MISSION>/``: their names, their record models, and its rounds (DESIGN.md §2)."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from tools.core.evaluation import Answer, Evaluation
from tools.core.gate import GateRecord
from tools.core.jsonl import stream_rows
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
    "evaluation/*/before.json": Evaluation,  # a folder for each student and its questions; an older run has the files in evaluation/ itself
    "evaluation/*/before.answers.jsonl": Answer,
    "evaluation/*/after.json": Evaluation,
    "evaluation/*/after.answers.jsonl": Answer,
    "evaluation/*/gate.json": GateRecord,
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


def paths_of(run_dir: Path, name: str) -> list[Path]:
    """The files of a run that go by a name of RUN_FILES: one at most, or one a folder where the name has a ``*``."""
    folder, star, rest = name.partition("*/")
    paths = [run_dir / folder / rest, *sorted((run_dir / folder).glob(f"*/{rest}"))] if star else [run_dir / name]
    return [path for path in paths if path.exists()]


def round_folder(rounds: Path, number: int) -> Path:
    """The folder of one round, ``rounds/0007`` for 7."""
    return rounds / f"{number:04d}"


def stream_round_rows(rounds: Path, number: int, name: str) -> Iterator:
    """The records of one JSONL file of one round, one in memory at a time."""
    return stream_rows(round_folder(rounds, number) / name, ROUND_FILES[name], allow_empty=name in MAY_BE_EMPTY)


def finished_rounds(rounds: Path) -> int:
    """How many rounds are done: those that follow each other from 0001 and have left their guidance."""
    done = 0
    while (round_folder(rounds, done + 1) / "guidance.json").exists():
        done += 1
    return done
