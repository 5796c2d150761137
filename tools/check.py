"""Check every file of a run against its record model, and the rules that hold between files.

    python -m tools.check --run-dir runs/miniature/bbu_line

Reads the run folder and writes nothing. Prints a line a file and a line a rule with its counts; then each problem as
``path:line: field: what; what to do`` (20 at most) and exits with 2 if there is any. The rules between files are looked
at once every file is well-formed. A warning (WARN) is about what a run says, not about its files: it does not fail.
"""

from pathlib import Path
from typing import Annotated

import typer

from verdicts.command import cli


def main(run_dir: Annotated[Path, typer.Option(help="runs/<RUN>/<MISSION>.")]) -> None:
    """Check every file of a run and the rules between them."""
    from verdicts.base.errors import UserError, mistake
    from verdicts.base.run_version import refuse_newer
    from verdicts.records.run_folder import finished_rounds
    from verdicts.runs.checks import WARNINGS, Rules
    from verdicts.runs.reader import PROBLEMS_SHOWN, PlacedRecord, Problems, RunUnderCheck, read_run

    if not run_dir.is_dir():
        raise mistake("no such run folder", "check MISSION and RUN", path=run_dir)
    refuse_newer(run_dir)
    run, problems, files = RunUnderCheck(run_dir), Problems(), 0
    rules = Rules(run)

    def see(row: PlacedRecord) -> None:
        if run.tickets and not problems.count:
            rules.see(row)

    for report in read_run(run, see):
        files += report.files
        problems.take(report.problems)
        counts = (
            f"{report.records} records in {report.files} files" if "*" in report.name else f"{report.records} records"
        )
        print(line(report.name, counts, report.problems.count) if report.files else f"--   {report.name}: not there")
    if problems.count:
        print("--   the rules between files: not looked at before the files are in order")
    for rule in [] if problems.count else rules.end():
        print(line(rule.says, f"{rule.looked - rule.problems.count}/{rule.looked}", rule.problems.count))
        problems.take(rule.problems)

    for sentence in (
        reading(run_dir, run.loop.rounds if run.loop else finished_rounds(run_dir / "rounds"))
        if not problems.count
        else []
    ):
        print(sentence)
    warnings = [
        warning for needs, warn in WARNINGS if not problems.count and needs <= run.found and (warning := warn(run))
    ]
    for warning in warnings:
        print(f"WARN {warning}")
    if not problems.count:
        for warning in warnings:
            cli.say(f"check: {warning}", "wait")
        cli.say(f"check: {files} files are in order" + (f", with {len(warnings)} warnings" if warnings else ""))
        return
    for problem in problems.shown:
        cli.complain(problem)
    more = f", of which {PROBLEMS_SHOWN} are shown" if problems.count > PROBLEMS_SHOWN else ""
    raise UserError(f"check: {problems.count} problems in {files} files{more}; correct the lines named above")


def reading(run_dir: Path, rounds: int) -> list[str]:
    """What of the run's answers and reflections could not be read, and that the loop stopped for it."""
    from verdicts.rounds.unreadable import reading_of, stop_of_run

    counts = reading_of(run_dir, rounds)
    figures = [
        f"     {name} that could not be read: {count.unread}/{count.total}"
        + (f" ({count.in_words})" if count.unread else "")
        for name, count in counts.items()
    ]
    stop = None if (run_dir / "loop.json").exists() else stop_of_run(run_dir)
    return [*figures, *([f"--   {stop.error}"] if stop else [])]


def line(name: str, counts: str, problems: int) -> str:
    """One line of the report."""
    return f"FAIL {name}: {counts}, {problems} problems" if problems else f"ok   {name}: {counts}"


if __name__ == "__main__":
    cli.run(main)
