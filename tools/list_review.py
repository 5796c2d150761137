"""Print the tickets that wait for a person, the likeliest label errors first.

    python -m tools.list_review --run-dir runs/miniature/bbu_line

In:  need_review.json; review_decisions.jsonl where it is there: a ticket that people decided waits no longer;
     review_agreement.json where reviewers were compared.
Out: text on stdout: 20 tickets with label, verdict, reason and the first photo's summary, and what to call next.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from verdicts.records.review import ReviewTicket

SHOWN = 20
REASON, SUMMARY = 48, 60  # characters of a line


def main(run_dir: Annotated[Path, typer.Option(help="runs/<RUN>/<MISSION>.")]) -> None:
    """Print the tickets that wait for a person."""
    from verdicts.base.jsonl import read_json
    from verdicts.base.plain import plain_lines
    from verdicts.base.run_version import refuse_newer
    from verdicts.command.colour import painted_lines
    from verdicts.records.review import MissionReview, ReviewAgreement
    from verdicts.records.synthetic import BANNER, is_synthetic
    from verdicts.review.agreement import open_disputes
    from verdicts.review.review_list_file import stream_review
    from verdicts.runs.naming import variables_of
    from verdicts.runs.standing import read_said

    refuse_newer(run_dir)
    said, shown, waiting, listed = read_said(run_dir), [], 0, 0
    heads: dict[str, MissionReview] = {}
    for _, ticket in stream_review(run_dir / "need_review.json", heads):
        listed += 1
        if ticket.ticket_key not in said:
            waiting += 1
            shown += [ticket] if waiting <= SHOWN else []
    compared = run_dir / "review_agreement.json"
    disputed = len(open_disputes(read_json(compared, ReviewAgreement), said)) if compared.exists() else 0
    decided = f", {listed - waiting} of {listed} are decided" if waiting < listed else ""
    more = waiting - len(shown)
    lines = [
        *([BANNER, ""] if is_synthetic(run_dir) else []),
        f"{', '.join(heads)}: {waiting} tickets wait for review{decided}"
        + ("; the likeliest label errors first" if shown else ""),
        *table(shown),
        *([f"  … and {more} more"] if more else []),
        *([f"{disputed} tickets are disputed by their reviewers (make adjudicate)"] if disputed else []),
        f"next: {next_step(waiting, variables_of(run_dir))}",
    ]
    print(painted_lines(plain_lines(lines), {BANNER[:9]: "wait"}, sys.stdout))


def table(tickets: list[ReviewTicket]) -> list[str]:
    """A line a ticket, below a line of heads; nothing where there are no tickets."""
    if not tickets:
        return []
    wide = max(len(ticket.ticket_key) for ticket in tickets)
    heads = f"  {'ticket':<{wide}}  label  verdict  reason | summary of the first photo"
    return [heads, *(line(ticket, wide) for ticket in tickets)]


def line(ticket: ReviewTicket, wide: int) -> str:
    """A ticket, its key ``wide`` characters wide; what is too long for a line ends in …"""
    summary = next(iter(ticket.per_image.values()), "")
    said = f"{cut(ticket.pred_reason, REASON)} | {cut(summary, SUMMARY)}"
    return f"  {ticket.ticket_key:<{wide}}  {ticket.gt_label:<5}  {ticket.pred_verdict:<7}  {said}"


def cut(text: str, most: int) -> str:
    """The text, in at most so many characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def next_step(waiting: int, words: str) -> str:
    """What to call now."""
    return f"make review-page {words} (decide them in a browser)" if waiting else f"make distill {words}"


if __name__ == "__main__":
    cli.run(main)
