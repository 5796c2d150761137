"""All runs below a folder on one page: a row a run, under its mission."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from verdicts.base.errors import UserError, mistake
from verdicts.base.made import is_run
from verdicts.base.run_version import refuse_newer
from verdicts.pages import svg
from verdicts.pages.renderer import render_page
from verdicts.pages.trend import TrendStep, trend
from verdicts.records.synthetic import is_synthetic
from verdicts.records.ticket_index import Tickets
from verdicts.report.evaluation import StudentResult, read_student
from verdicts.report.headline import LIMITS, LimitState, state_of, student_state
from verdicts.runs.standing import Standing, gate_limit, read_standing
from verdicts.stats.rates import Rate


@dataclass(frozen=True)
class RunRow:
    """A run as its row shows it. ``error``: why it cannot be read, "" where it can. ``link``: to its report, or "".

    ``began``: the time of the first line of its run.log, "" where it has none.
    """

    run: str
    began: str = ""
    error: str = ""
    link: str = ""
    synthetic: bool = False
    tickets: int = 0
    standing: Standing | None = None
    student: StudentResult | None = None
    limits: tuple[tuple[str, float], ...] = ()

    @property
    def teacher(self) -> Rate | None:
        """The teacher's false release rate."""
        return self.standing.rates.frr if self.standing else None

    @property
    def taught(self) -> Rate | None:
        """The student's false release rate after training."""
        return self.student.after.chat.frr if self.student and self.student.after else None

    @property
    def states(self) -> dict[str, LimitState]:
        """How both false release rates stand to the limit; a student's answers without a verdict count as releases."""
        side, limit = self.student.after if self.student else None, self.limit("frr")
        student = student_state("frr", self.taught, side, limit)
        return {"teacher": state_of("frr", self.teacher, limit), "student": student}

    @property
    def false_block(self) -> Rate | None:
        """Of the student after training, before there is one of the teacher."""
        if self.student and self.student.after:
            return self.student.after.chat.false_block
        return self.standing.rates.false_block if self.standing else None

    def limit(self, name: str) -> float | None:
        """The gate's limit for a rate."""
        return dict(self.limits).get(name)


@dataclass(frozen=True)
class MissionRuns:
    """The runs of one mission, the oldest first: by when they began, then by name."""

    slug: str
    rows: list[RunRow]

    @property
    def trends(self) -> list[tuple[str, Markup]]:
        """False release rates over the runs, (teacher or student, drawing); of one run there is none."""
        drawn = []
        for whose, rates in (
            ("teacher", [row.teacher for row in self.rows]),
            ("student", [row.taught for row in self.rows]),
        ):
            steps = [
                TrendStep(row.run, rate, row.limit("frr"), row.states[whose])
                for row, rate in zip(self.rows, rates, strict=True)
                if rate and rate.n
            ]
            drawn += [(whose, trend(steps))] if len(steps) > 1 else []
        return drawn


def read_board(runs: Path, page: Path) -> list[MissionRuns]:
    """All runs RUNS/<RUN>/<MISSION>/ by mission. Raises UserError where there is none."""
    found: dict[str, list[RunRow]] = {}
    for folder in sorted(path for path in runs.glob("*/*") if path.is_dir() and is_run(path)):
        found.setdefault(folder.name, []).append(read_row(folder, page))
    if not found:
        raise mistake("holds no run", "name the folder of all runs (RUNS), or make one: make distill", path=runs)
    return [
        MissionRuns(slug, sorted(rows, key=lambda row: (row.began, row.run))) for slug, rows in sorted(found.items())
    ]


def read_row(folder: Path, page: Path) -> RunRow:
    """One run; one that cannot be read is a row that says why."""
    name, began = folder.parent.name, began_at(folder / "run.log")
    report = folder / "report.html"
    link = quote(Path(os.path.relpath(report, page.parent)).as_posix()) if report.exists() else ""
    try:
        refuse_newer(folder)
        tickets = Tickets(folder / "stage_a.jsonl") if (folder / "stage_a.jsonl").exists() else None
        limits = [(rate, limit) for rate, knob in LIMITS.items() if (limit := gate_limit(folder, knob)) is not None]
        return RunRow(
            run=name,
            began=began,
            link=link,
            synthetic=is_synthetic(folder),
            tickets=tickets.count("pass") + tickets.count("fail") if tickets else 0,
            standing=read_standing(folder),
            student=read_student(folder),
            limits=tuple(limits),
        )
    except UserError as error:
        return RunRow(name, began, str(error), link)


def began_at(log: Path) -> str:
    """The time of the first line of a run.log, as ``2026-01-31T12:00:00``; "" where there is none."""
    if not log.is_file():
        return ""
    with log.open(encoding="utf-8", errors="replace") as file:
        found = re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", file.readline(100))
    return found.group() if found else ""


def board_page(missions: list[MissionRuns]) -> str:
    """The page as text."""
    return render_page("board", like="report", missions=missions, svg=svg, percent=svg.percent, state=state_of)
