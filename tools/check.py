"""Check every file of a run against its record model, and the rules that hold between files.

    python -m tools.check --run-dir runs/miniature/bbu_line

Reads the run folder and writes nothing. Prints a line a file and a line a rule with its counts; then each problem as
``path:line: field: what; what to do`` (20 at most) and exits with 2 if there is any. The rules between files are looked at
once every file is well-formed.
"""

from pathlib import Path
from typing import Annotated

import typer

from tools.core import cli

SHOWN = 20


def main(run_dir: Annotated[Path, typer.Option(help="runs/<RUN>/<MISSION>.")]) -> None:
    """Check every file of a run and the rules between them."""
    from tools.core.errors import UserError, mistake
    from tools.core.run_checks import CHECKS
    from tools.core.run_reader import read_run

    if not run_dir.is_dir():
        raise mistake("no such run folder", "check MISSION and RUN", path=run_dir)
    run, reports = read_run(run_dir)
    for report in reports:
        counts = f"{report.records} records in {report.files} files" if "*" in report.name else f"{report.records} records"
        print(line(report.name, counts, len(report.problems)) if report.files else f"--   {report.name}: not there")
    problems = [problem for report in reports for problem in report.problems]
    if problems:
        print("--   the rules between files: not looked at before the files are in order")
    for name, needs, check in [] if problems else CHECKS:
        if needs <= run.found:
            findings = list(check(run))
            wrong = [finding for finding in findings if finding]
            print(line(name, f"{len(findings) - len(wrong)}/{len(findings)}", len(wrong)))
            problems += wrong

    for sentence in [] if any(report.problems for report in reports) else reading(run_dir, max(run.rounds, default=0)):
        print(sentence)

    files = sum(report.files for report in reports)
    if not problems:
        cli.say(f"check: {files} files are in order")
        return
    for problem in problems[:SHOWN]:
        cli.complain(problem)
    more = f", of which {SHOWN} are shown" if len(problems) > SHOWN else ""
    raise UserError(f"check: {len(problems)} problems in {files} files{more}; correct the lines named above")


def reading(run_dir: Path, rounds: int) -> list[str]:
    """What of the run's answers and reflections could not be read, and that the loop stopped for it."""
    from tools.core.unreadable import reading_of, stop_of_run

    counts = reading_of(run_dir, rounds)
    figures = [f"     {name} that could not be read: {count.unread}/{count.total}" + (f" ({count.in_words})" if count.unread else "") for name, count in counts.items()]
    stop = None if (run_dir / "loop.json").exists() else stop_of_run(run_dir)
    return [*figures, *([f"--   {stop.error}"] if stop else [])]


def line(name: str, counts: str, problems: int) -> str:
    """One line of the report."""
    return f"FAIL {name}: {counts}, {problems} problems" if problems else f"ok   {name}: {counts}"


if __name__ == "__main__":
    cli.run(main)
