"""The files of a run folder ``runs/<RUN>/<MISSION>/``: names, record models and rounds (docs/design.md §2)."""

from array import array
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from verdicts.base.errors import stands_twice
from verdicts.base.jsonl import Placed, RowT, stream_good, stream_placed
from verdicts.base.run_version import RunVersion
from verdicts.records.baseline import Baseline, BaselineCase
from verdicts.records.corpus import AuditDecision, AuditRow, ChatRow, CorpusLint, DroppedRow, SftRow
from verdicts.records.evaluation import (
    Behaviour,
    BehaviourFailure,
    Evaluation,
    GateRecord,
    OperatingPoint,
    ScoredAnswer,
)
from verdicts.records.filtered import DroppedTicket, MarkedTicket
from verdicts.records.guidance import GuidanceFile
from verdicts.records.predictions import Prediction, PredictionsAsked
from verdicts.records.reflection import Reflection
from verdicts.records.review import (
    NeedReviewEntry,
    NeedReviewFile,
    ReviewAgreement,
    ReviewDecision,
    ReviewSummary,
    Suspect,
)
from verdicts.records.rollout import Malformed, Selection, Trajectory
from verdicts.records.run import LoopStatus, RoundMetrics
from verdicts.records.summaries import SummariesAsked
from verdicts.records.tickets import Refused, RefusedTicket, StageA, TicketAside, TicketRepair

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
    "config/run.json": RunVersion,
    "summaries/stage_a.jsonl": StageA,
    "summaries/stage_a.refused.jsonl": Refused,
    "summaries/stage_a.asked.json": SummariesAsked,
    "stage_a.jsonl": StageA,
    "tickets.repaired.jsonl": TicketRepair,
    "tickets.refused.jsonl": RefusedTicket,
    "tickets.aside.jsonl": TicketAside,
    "tickets.dropped.jsonl": DroppedTicket,
    "tickets.marked.jsonl": MarkedTicket,
    "loop.json": LoopStatus,
    "trajectories.jsonl": Trajectory,
    "selections.jsonl": Selection,
    "failure_malformed.jsonl": Malformed,
    "guidance.json": GuidanceFile,
    "metrics.jsonl": RoundMetrics,
    "point.json": OperatingPoint,
    "baseline/guidance.json": GuidanceFile,
    "baseline/trajectories.jsonl": Trajectory,
    "baseline/selections.jsonl": Selection,
    "baseline/failure_malformed.jsonl": Malformed,
    "baseline/baseline.json": Baseline,
    "baseline/false_releases.jsonl": BaselineCase,
    "baseline/false_blocks.jsonl": BaselineCase,
    "suspects.jsonl": Suspect,
    "need_review_queue.jsonl": NeedReviewEntry,
    "need_review.json": NeedReviewFile,
    "review_decisions.jsonl": ReviewDecision,
    "review_summary.json": ReviewSummary,
    "review_agreement.json": ReviewAgreement,
    "distill_chatml.jsonl": ChatRow,
    "distill.train.jsonl": SftRow,
    "distill.val.jsonl": SftRow,
    "distill.dropped.jsonl": DroppedRow,
    "distill.audit.jsonl": AuditRow,
    "audit_decisions.jsonl": AuditDecision,
    "corpus_lint.json": CorpusLint,
    # a folder for each student and its questions; an older run has the files in evaluation/ itself
    "evaluation/*/before.json": Evaluation,
    "evaluation/*/before.answers.jsonl": ScoredAnswer,
    "evaluation/*/after.json": Evaluation,
    "evaluation/*/after.answers.jsonl": ScoredAnswer,
    "evaluation/*/tickets.repaired.jsonl": TicketRepair,
    "evaluation/*/tickets.refused.jsonl": RefusedTicket,
    "evaluation/*/tickets.aside.jsonl": TicketAside,
    "evaluation/*/gate.json": GateRecord,
    "evaluation/*/behaviour-*/behaviour.json": Behaviour,
    "evaluation/*/behaviour-*/behaviour.failures.jsonl": BehaviourFailure,
    "evaluation/*/point.json": OperatingPoint,
    # the same student on llama.cpp, a folder for each way of storing it
    "evaluation/*/export-*/after.json": Evaluation,
    "evaluation/*/export-*/after.answers.jsonl": ScoredAnswer,
    "evaluation/*/export-*/point.json": OperatingPoint,
    # a folder for each set of new tickets
    "predictions/*/predictions.jsonl": Prediction,
    "predictions/*/predictions.asked.json": PredictionsAsked,
    "predictions/*/photos.refused.jsonl": Refused,
    "predictions/*/tickets.repaired.jsonl": TicketRepair,
    "predictions/*/tickets.refused.jsonl": RefusedTicket,
    "predictions/*/tickets.aside.jsonl": TicketAside,
}

# A run in which nothing went wrong leaves these empty; all others hold at least one record.
MAY_BE_EMPTY = {
    "stage_a.refused.jsonl",
    "tickets.dropped.jsonl",
    "tickets.marked.jsonl",
    "selections.jsonl",
    "failure_malformed.jsonl",
    "behaviour.failures.jsonl",
    "false_releases.jsonl",
    "false_blocks.jsonl",
    "need_review_queue.jsonl",
    "review_decisions.jsonl",
    "distill.train.jsonl",
    "distill.val.jsonl",
    "distill.dropped.jsonl",
    "distill.audit.jsonl",
    "audit_decisions.jsonl",
}


def paths_of(run_dir: Path, name: str) -> list[Path]:
    """The files of a run that go by a name of RUN_FILES: one at most, or one a folder where the name has a ``*``."""
    folder, star, rest = name.partition("*/")
    paths = [run_dir / folder / rest, *sorted((run_dir / folder).glob(f"*/{rest}"))] if star else [run_dir / name]
    return [path for path in paths if path.exists()]


# What names a row of a file: two rows of one name are one row twice. Files that are not here may repeat themselves.
ROW_NAMES: dict[str, tuple[str, ...]] = {
    "trajectories.jsonl": ("round", "ticket_key", "candidate_index"),
    "tickets.dropped.jsonl": ("ticket_key",),
    "tickets.marked.jsonl": ("ticket_key",),
    "selections.jsonl": ("ticket_key",),
    "failure_malformed.jsonl": ("round", "ticket_key", "candidate_index"),
    "reflection.jsonl": ("reflection_id",),
    "false_releases.jsonl": ("ticket_key",),
    "false_blocks.jsonl": ("ticket_key",),
    "need_review_queue.jsonl": ("round", "ticket_key"),
    "metrics.jsonl": ("scope", "round", "epoch"),
    "review_decisions.jsonl": ("ticket_key",),
    "distill.dropped.jsonl": ("ticket_key",),
    "distill.audit.jsonl": ("ticket_key",),
    "audit_decisions.jsonl": ("ticket_key",),
}

RowName = tuple[Hashable, ...]


class Once:
    """Whether each row of a file stands in it once: 8 bytes of memory a ticket of it, since a ticket's candidates
    follow each other.

    What looks like a row of before is settled by reading the file again.
    """

    def __init__(self, path: Path, model: type[BaseModel]):
        self._path, self._model, self._names = path, model, ROW_NAMES.get(path.name, ())
        self._hashes = array("q")
        self._doubtful: set[int] = set()
        self._block: RowName | None = None
        self._inside: set[RowName] = set()

    def see(self, row: Any) -> None:
        """Take in a row of the file."""
        if not self._names:
            return
        block, rest = self._named(row)
        if block != self._block:
            self._block, self._inside = block, set()
            self._hashes.append(hash(block))
        elif rest in self._inside:
            self._doubtful.add(hash(block))
        self._inside.add(rest)

    def twice(self) -> Iterator[tuple[int, int, str]]:
        """Of each row that stands on an earlier line already: its line, that line, what names the row."""
        hashes = np.frombuffer(self._hashes, dtype=np.int64)
        hashes.sort()
        doubtful = self._doubtful | set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
        seen: dict[RowName, int] = {}
        for line, row in stream_good(self._path, self._model) if doubtful else ():
            block, rest = self._named(row)
            if hash(block) in doubtful and (first := seen.setdefault((*block, *rest), line)) != line:
                yield line, first, self._said((*block, *rest))

    def _named(self, row: Any) -> tuple[RowName, RowName]:
        key = tuple(getattr(row, name) for name in self._names)
        return key[:2], key[2:]

    def _said(self, key: RowName) -> str:
        return (
            repr(key[0])
            if len(key) == 1
            else ", ".join(f"{name} {value!r}" for name, value in zip(self._names, key, strict=True))
        )


def round_folder(rounds: Path, number: int) -> Path:
    """The folder of one round, ``rounds/0007`` for 7."""
    return rounds / f"{number:04d}"


def stream_round_rows(rounds: Path, number: int, name: str) -> Iterator[Any]:
    """The records of one JSONL file of one round, as stream_file gives them."""
    return (row for _, row in stream_file(round_folder(rounds, number) / name, ROUND_FILES[name]))


def stream_file(path: Path, model: type[RowT]) -> Iterator[tuple[Placed, RowT]]:
    """The records of one JSONL file of a run or a round, one in memory at a time.

    Raises UserError for a bad row and, at the end, for one that stands twice.
    """
    once = Once(path, model)
    for placed, row in stream_placed(path, model, allow_empty=path.name in MAY_BE_EMPTY):
        once.see(row)
        yield placed, row
    for line, first, names in once.twice():
        raise stands_twice(names, first, path=path, line=line, field=ROW_NAMES[path.name][-1])


def finished_rounds(rounds: Path) -> int:
    """How many rounds are done: those that follow each other from 0001 and have left their guidance."""
    done = 0
    while (round_folder(rounds, done + 1) / "guidance.json").exists():
        done += 1
    return done
