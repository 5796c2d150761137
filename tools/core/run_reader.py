"""Reading a whole run folder for a check of it: every mistake is listed, none stops the reading."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from tools.core.config import (
    AggregateReviewConfig,
    DistillConfig,
    EvaluateConfig,
    GateConfig,
    GuidanceConfig,
    LoopConfig,
    ReflectConfig,
    RolloutConfig,
    SftConfig,
    SummarizeConfig,
    read_section,
)
from tools.core.errors import UserError, mistake
from tools.core.jsonl import numbered_lines, parse_row, read_json
from tools.core.records import (
    GuidanceFile,
    LoopStatus,
    NeedReviewFile,
    StageA,
    read_tickets,
)
from tools.core.run_folder import MAY_BE_EMPTY, ROUND_FILES, RUN_FILES, paths_of, round_folder

SECTION_FILES = {
    "guidance": GuidanceConfig,
    "rollout": RolloutConfig,
    "reflect": ReflectConfig,
    "loop": LoopConfig,
    "aggregate_review": AggregateReviewConfig,
    "distill": DistillConfig,
    "summarize": SummarizeConfig,
    "sft": SftConfig,
    "evaluate": EvaluateConfig,
    "gate": GateConfig,
}
Numbered = list[tuple[int, Any]]  # (line, record)


@dataclass
class Run:
    """A run folder read, as far as its files are there and well-formed.

    ``rows``: records by file name, of the run's own JSONL files. ``rounds``: the same by round number. ``guidance``: what
    each round left, by its number (0 for the start). ``policy``: the review policy the rounds were made under.
    """

    folder: Path
    tickets: dict[str, StageA] = field(default_factory=dict)
    policy: str = "unsupported"
    loop: LoopStatus | None = None
    review: NeedReviewFile | None = None
    rows: dict[str, Numbered] = field(default_factory=dict)
    rounds: dict[int, dict[str, Numbered]] = field(default_factory=dict)
    guidance: dict[int, GuidanceFile] = field(default_factory=dict)

    @property
    def found(self) -> set[str]:
        """The names of the run's own files that are there."""
        return set(self.rows) | {name for name, value in (("loop.json", self.loop), ("need_review.json", self.review)) if value}

    def records(self, name: str) -> list[Any]:
        """The records of one of the run's own files."""
        return [row for _, row in self.rows[name]]

    def round_path(self, number: int, name: str) -> Path:
        """The path of one file of one round."""
        return round_folder(self.folder / "rounds", number) / name


class FileReport(NamedTuple):
    """What was read under one name: how many files and records, and every mistake as a sentence. ``files`` 0: not there."""

    name: str
    files: int
    records: int
    problems: list[str]


def read_run(folder: Path) -> tuple[Run, list[FileReport]]:
    """Read all files of a run; the reports stand in the order in which the run makes the files."""
    run = Run(folder)
    reports = [_read_stage_a(run)]
    reports += [_read_section(run, name) for name in SECTION_FILES]
    reports.append(_read_own_file(run, "loop.json"))
    reports += [_read_round_files(run, name) for name in ROUND_FILES]
    reports += [_read_own_file(run, name) for name in RUN_FILES if name not in ("stage_a.jsonl", "loop.json")]
    return run, reports


def _read_stage_a(run: Run) -> FileReport:
    """The tickets: one file that has to be there, for all others are checked against it."""
    path = run.folder / "stage_a.jsonl"
    rows, problems = _all_rows(path, StageA)
    if not problems:
        try:
            run.tickets = {ticket.ticket_key: ticket for ticket in read_tickets(path)}
        except UserError as error:
            problems.append(str(error))
    return FileReport("stage_a.jsonl", 1, len(rows), problems)


def _read_section(run: Run, name: str) -> FileReport:
    path = run.folder / "config" / f"{name}.yaml"
    shown = f"config/{name}.yaml"
    if not path.exists():
        return FileReport(shown, 0, 0, [])
    try:
        section = read_section(path, SECTION_FILES[name])
    except UserError as error:
        return FileReport(shown, 1, 0, [str(error)])
    if isinstance(section, ReflectConfig):
        run.policy = section.review.policy
    return FileReport(shown, 1, 1, [])


def _read_own_file(run: Run, name: str) -> FileReport:
    paths = paths_of(run.folder, name)
    if "*" in name:  # nothing else of a run is checked against these
        found = [_all_rows(path, RUN_FILES[name]) for path in paths]
        return FileReport(name, len(paths), sum(len(rows) for rows, _ in found), [problem for _, problems in found for problem in problems])
    if not paths:
        return FileReport(name, 0, 0, [])
    rows, problems = _all_rows(paths[0], RUN_FILES[name])
    if name.endswith(".jsonl"):
        run.rows[name] = rows
    elif name == "loop.json" and rows:
        run.loop = rows[0][1]
    elif name == "need_review.json" and rows:
        run.review = rows[0][1]
    return FileReport(name, 1, len(rows), problems)


def _read_round_files(run: Run, name: str) -> FileReport:
    files, records, problems = 0, 0, []
    for number in _round_numbers(run):
        path = run.round_path(number, name)
        if not path.exists():
            continue
        rows, found = _all_rows(path, ROUND_FILES[name])
        files, records = files + 1, records + len(rows)
        problems += found
        if name.endswith(".jsonl"):
            run.rounds.setdefault(number, {})[name] = rows
        elif rows:
            run.guidance[number] = rows[0][1]
    return FileReport(f"rounds/*/{name}", files, records, problems)


def _round_numbers(run: Run) -> Iterator[int]:
    """The rounds on disk that belong to the run; those after its last one are left over from an older run."""
    rounds = run.folder / "rounds"
    numbers = sorted(int(path.name) for path in rounds.glob("[0-9]*") if path.name.isdigit()) if rounds.exists() else []
    return (number for number in numbers if run.loop is None or number <= run.loop.rounds)


def _all_rows(path: Path, model: type[BaseModel]) -> tuple[Numbered, list[str]]:
    """The good records of a file and a sentence for each bad one. A file that is one JSON object counts as one record."""
    rows: Numbered = []
    problems: list[str] = []
    try:
        if path.suffix == ".json":
            return [(1, read_json(path, model))], []
        lines = numbered_lines(path)
        if not lines and path.name not in MAY_BE_EMPTY:
            raise mistake("the file holds no record", "delete it to have it made again", path=path)
    except UserError as error:
        return [], [str(error)]
    for line, text in lines:
        try:
            rows.append((line, parse_row(text, model, path, line)))
        except UserError as error:
            problems.append(str(error))
    return rows, problems
