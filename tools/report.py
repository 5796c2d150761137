"""Make one page of a run for people: what it learnt, how sure that is, what waits for review, may the student ship.

    python -m tools.report --run-dir runs/miniature/bbu_line --output runs/miniature/bbu_line/report.html

In:  rounds/NNNN/guidance.json and reflection.jsonl, stage_a.jsonl, config/; loop.json, metrics.jsonl, need_review.json,
     failure_malformed.jsonl and evaluation/ as far as they are there; the held-out tickets that it was asked on.
Out: report.html, one file that needs no network. Reads files only; the same files give the same bytes.
"""

from pathlib import Path
from typing import Annotated

import typer

from verdicts.command.cli import run


def main(
    run_dir: Annotated[Path, typer.Option(help="runs/<RUN>/<MISSION>.")],
    output: Annotated[Path, typer.Option(help="The page.")],
) -> None:
    """Write the report of a run."""
    from verdicts.base.jsonl import write_text
    from verdicts.base.run_version import refuse_newer
    from verdicts.command.cli import say
    from verdicts.records.synthetic import named
    from verdicts.report.data import read_report
    from verdicts.report.page import report_page

    refuse_newer(run_dir)
    report = read_report(run_dir, output)
    text = report_page(report)
    write_text(output, text)
    say(
        f"{named('report', run_dir)}: {report.learnt.rounds} rounds, {len(report.stories)} rules learnt of "
        f"{report.proposals} proposals, "
        f"{report.undecided} tickets to review; {len(text.encode()) / 1e6:.2f} MB in {output}"
    )
    if report.out_of_date:
        say(f"report: OUT OF DATE: {report.out_of_date}", "wait")


if __name__ == "__main__":
    run(main)
