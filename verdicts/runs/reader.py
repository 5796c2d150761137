"""Reading a whole run folder for a check of it, one record in memory at a time.

Every mistake is counted, none stops the reading.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from verdicts.base.errors import UserError, mistake
from verdicts.base.jsonl import Placed, parse_row, read_json, stream_lines
from verdicts.config.tools import (
    SECTION_FILES,
    ReflectConfig,
    read_section,
)
from verdicts.records.review import MissionReview
from verdicts.records.run import LoopStatus
from verdicts.records.run_folder import MAY_BE_EMPTY, ROUND_FILES, RUN_FILES, paths_of, round_folder
from verdicts.records.ticket_index import Numbers, Tickets
from verdicts.records.tickets import StageA, TicketsSource
from verdicts.review.review_list_file import stream_review

PROBLEMS_SHOWN = 20


class Problems:
    """Mistakes as sentences: all are counted, the first ``PROBLEMS_SHOWN`` kept."""

    def __init__(self, *sentences: str):
        self.count, self.shown = len(sentences), list(sentences[:PROBLEMS_SHOWN])

    def add(self, sentence: str) -> None:
        """Count one more."""
        self.count += 1
        if self.count <= PROBLEMS_SHOWN:
            self.shown.append(sentence)

    def take(self, others: "Problems") -> None:
        """Count others behind these."""
        self.shown += others.shown[: max(0, PROBLEMS_SHOWN - self.count)]
        self.count += others.count


@dataclass
class RunUnderCheck:
    """A run folder, as far as its files are there and well-formed.

    Records go by one at a time; what rules need throughout stays.

    ``tickets`` and ``numbers``: None where stage_a.jsonl has a mistake. ``review``: need_review.json by mission, with
    no tickets. ``policy``: the review policy the rounds were made under. ``found``: names of the run's own files there.
    """

    folder: Path
    tickets: Tickets | None = None
    numbers: Numbers | None = None
    policy: str = "unsupported"
    loop: LoopStatus | None = None
    review: dict[str, MissionReview] = field(default_factory=dict)
    found: set[str] = field(default_factory=set)

    def round_path(self, number: int, name: str) -> Path:
        """The path of one file of one round."""
        return round_folder(self.folder / "rounds", number) / name


class PlacedRecord(NamedTuple):
    """A good record and where it stands.

    Its file and the file's name in RUN_FILES or ROUND_FILES, its round (None: a file of the run's own), its line.
    """

    path: Path
    name: str
    round: int | None
    placed: Placed | None
    record: Any

    @property
    def line(self) -> int | None:
        """Its line; None in a file that is one JSON object."""
        return self.placed.line if self.placed else None


class FileReport(NamedTuple):
    """What was read under one name: how many files and records, and the mistakes. ``files`` 0: not there."""

    name: str
    files: int
    records: int
    problems: Problems


See = Callable[[PlacedRecord], None]


def read_run(run: RunUnderCheck, see: See) -> Iterator[FileReport]:
    """Read all files of a run in the order in which it makes them; yields a report a name.

    ``see`` is shown each good record.
    """
    yield _read_stage_a(run, see)
    yield _read_source(run)
    for name in SECTION_FILES:
        yield _read_section(run, name)
    yield _read_own_file(run, "loop.json", see)
    for name in ROUND_FILES:
        yield _read_round_files(run, name, see)
    for name in RUN_FILES:
        if name not in ("stage_a.jsonl", "loop.json"):
            yield _read_own_file(run, name, see)


def _read_stage_a(run: RunUnderCheck, see: See) -> FileReport:
    """The tickets: one file that has to be there, for all others are checked against it."""
    path = run.folder / "stage_a.jsonl"
    records, problems = _rows(path, "stage_a.jsonl", None, StageA, see)
    if not problems.count:  # Tickets stops at the first mistake, and here all are counted
        try:
            run.tickets = Tickets(path)
            run.numbers = Numbers(run.tickets)
        except UserError as error:
            problems.add(str(error))
    return FileReport("stage_a.jsonl", 1, records, problems)


def _read_source(run: RunUnderCheck) -> FileReport:
    path = run.folder / "config" / "tickets.json"
    records, problems = (
        _rows(path, path.name, None, TicketsSource, lambda row: None) if path.exists() else (0, Problems())
    )
    return FileReport("config/tickets.json", int(path.exists()), records, problems)


def _read_section(run: RunUnderCheck, name: str) -> FileReport:
    path = run.folder / "config" / f"{name}.yaml"
    shown = f"config/{name}.yaml"
    if not path.exists():
        return FileReport(shown, 0, 0, Problems())
    try:
        section = read_section(path, SECTION_FILES[name])
    except UserError as error:
        return FileReport(shown, 1, 0, Problems(str(error)))
    if isinstance(section, ReflectConfig):
        run.policy = section.review.policy
    return FileReport(shown, 1, 1, Problems())


def _read_own_file(run: RunUnderCheck, name: str, see: See) -> FileReport:
    paths, records, problems = paths_of(run.folder, name), 0, Problems()
    if not paths:
        return FileReport(name, 0, 0, problems)
    run.found.add(name)
    if name == "need_review.json":
        return FileReport(name, 1, *_read_review(run, paths[0], see))

    def keep(row: PlacedRecord) -> None:
        if isinstance(row.record, LoopStatus):
            run.loop = row.record
        see(row)

    for path in paths:
        found, wrong = _rows(path, name, None, RUN_FILES[name], keep)
        records += found
        problems.take(wrong)
    return FileReport(name, len(paths), records, problems)


def _read_review(run: RunUnderCheck, path: Path, see: See) -> tuple[int, Problems]:
    """One record to those who count, however many tickets it lists."""
    try:
        for listed in stream_review(path, run.review):
            see(PlacedRecord(path, path.name, None, None, listed))
    except UserError as error:
        return 0, Problems(str(error))
    return 1, Problems()


def _read_round_files(run: RunUnderCheck, name: str, see: See) -> FileReport:
    files, records, problems = 0, 0, Problems()
    for number in _round_numbers(run):
        path = run.round_path(number, name)
        if not path.exists():
            continue
        found, wrong = _rows(path, name, number, ROUND_FILES[name], see)
        files, records = files + 1, records + found
        problems.take(wrong)
    return FileReport(f"rounds/*/{name}", files, records, problems)


def _round_numbers(run: RunUnderCheck) -> Iterator[int]:
    """The rounds on disk that belong to the run; those after its last one are left over from an older run."""
    rounds = run.folder / "rounds"
    numbers = sorted(int(path.name) for path in rounds.glob("[0-9]*") if path.name.isdigit()) if rounds.exists() else []
    return (number for number in numbers if run.loop is None or number <= run.loop.rounds)


def _rows(path: Path, name: str, round_number: int | None, model: type[BaseModel], see: See) -> tuple[int, Problems]:
    """Show the good records of a file; returns how many, and a sentence for each bad one.

    A file that is one JSON object counts as one record.
    """
    records, problems, empty = 0, Problems(), True
    try:
        if path.suffix == ".json":
            see(PlacedRecord(path, name, round_number, None, read_json(path, model)))
            return 1, problems
        for placed in stream_lines(path):
            empty = False
            try:
                record = parse_row(placed.text, model, path, placed.line)
            except UserError as error:
                problems.add(str(error))
                continue
            records += 1
            see(PlacedRecord(path, name, round_number, placed, record))
        if empty and path.name not in MAY_BE_EMPTY:
            raise mistake("the file holds no record", "delete it to have it made again", path=path)
    except UserError as error:
        problems.add(str(error))
    return records, problems
