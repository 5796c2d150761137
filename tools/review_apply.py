"""Bring in what people decided of queued tickets, and say how many labels were wrong.

    python -m tools.review_apply --run-dir RUN --decisions review_decisions.jsonl   # or .csv; from the page or by hand
    python -m tools.review_apply --run-dir RUN --export RUN/review.csv              # the queue, for a spreadsheet
    python -m tools.review_apply --run-dir RUN                                      # how the review stands

In:  RUN/stage_a.jsonl, RUN/need_review.json, RUN/review_decisions.jsonl where there is one, and the file given.
Out: RUN/review_decisions.jsonl (all decisions, sorted; a given one replaces the one before; rewritten only where it
     changes, so that Make rebuilds the corpus only then), RUN/review_summary.json (the share of label errors).

A wrong line is named and nothing is written.
"""

from pathlib import Path
from typing import Annotated

import typer

from verdicts.command import cli


def main(
    run_dir: Annotated[Path, typer.Option(help="runs/<RUN>/<MISSION>.")],
    decisions: Annotated[
        Path | None, typer.Option(help="Decisions to bring in: JSONL, or a table (CSV, Excel's Unicode text).")
    ] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write the queue as CSV to fill in; an existing file is refused.")
    ] = None,
) -> None:
    """Bring in what people decided of queued tickets."""
    from verdicts.base.errors import mistake
    from verdicts.base.jsonl import dump, read_json, write_json, write_text, write_text_if_changed
    from verdicts.base.run_version import refuse_newer
    from verdicts.records.review import NeedReviewFile, read_decisions
    from verdicts.records.synthetic import named
    from verdicts.records.ticket_index import Tickets
    from verdicts.review.decisions import count_changes, merge_decisions, summarize, summary_text
    from verdicts.review.spreadsheet import read_given, write_table
    from verdicts.runs.standing import read_standing

    refuse_newer(run_dir)
    known = Tickets(run_dir / "stage_a.jsonl")
    queue = [
        ticket
        for mission in read_json(run_dir / "need_review.json", NeedReviewFile).missions.values()
        for ticket in mission.tickets
    ]
    kept = run_dir / "review_decisions.jsonl"
    said = read_decisions(kept, known) if kept.exists() else {}
    given = read_given(decisions, known) if decisions else {}
    if export and export.exists():
        raise mistake(
            "exists already, and may hold somebody's work", "bring it in with --decisions, or move it away", path=export
        )

    after = merge_decisions(said, given)
    if given:
        write_text_if_changed(kept, "".join(dump(decision) + "\n" for decision in after))
    if export:
        write_text(export, write_table(queue, {decision.ticket_key: decision for decision in after}))
    summary = summarize(after, queue)
    write_json(run_dir / "review_summary.json", summary)
    done = ([count_changes(said, given)] if given else []) + ([f"{len(queue)} rows in {export}"] if export else [])
    if standing := read_standing(run_dir):
        cli.say(f"{named('review_apply', run_dir)}: {standing}")
    cli.say(f"review_apply: {'; '.join([*done, summary_text(summary)])}")


if __name__ == "__main__":
    cli.run(main, writes="run_dir")
