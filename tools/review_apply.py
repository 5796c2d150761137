"""Bring in what people decided of queued tickets, and say how many labels were wrong.

    python -m tools.review_apply --run-dir RUN --decisions review_decisions.jsonl   # or .csv; from the page or by hand
    python -m tools.review_apply --run-dir RUN --export RUN/review.csv              # the queue, for a spreadsheet
    python -m tools.review_apply --run-dir RUN --decisions one.jsonl --second two.jsonl --export RUN/disputed.csv
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
    second: Annotated[
        Path | None,
        typer.Option(
            help="Another reviewer's decisions: what both agree on is brought in, --export has what they do not."
        ),
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
    from verdicts.review.agreement import compare_reviewers, opinions
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
    disputed: dict[str, str] = {}
    if second:
        if not decisions:
            raise mistake(
                "is a second reviewer's, and there is no first", "name the first's with --decisions", path=second
            )
        compared = compare_reviewers(given, read_given(second, known))
        given, disputed = compared.settled, {key: opinions(said) for key, said in compared.disputed.items()}
        queue_to_write = [ticket for ticket in queue if ticket.ticket_key in disputed]
    else:
        queue_to_write = queue
    if export and export.exists():
        raise mistake(
            "exists already, and may hold somebody's work", "bring it in with --decisions, or move it away", path=export
        )

    after = merge_decisions(said, given)
    by_ticket = {decision.ticket_key: decision for decision in after}
    if given:
        write_text_if_changed(kept, "".join(dump(decision) + "\n" for decision in after))
    if export:
        write_text(export, write_table(queue_to_write, {} if second else by_ticket, disputed))
    summary = summarize(after, queue)
    write_json(run_dir / "review_summary.json", summary)
    done = ([count_changes(said, given)] if given else []) + (
        [f"{len(queue_to_write)} rows in {export}"] if export else []
    )
    if second:
        for key, both in disputed.items():
            cli.say(f"review_apply: disputed {key}: {both}")
        cli.say(f"review_apply: {compared}")
    if standing := read_standing(run_dir):
        cli.say(f"{named('review_apply', run_dir)}: {standing}")
    cli.say(f"review_apply: {'; '.join([*done, summary_text(summary)])}")


if __name__ == "__main__":
    cli.run(main, writes="run_dir")
