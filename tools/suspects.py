"""Rank tickets by how much speaks against their label, before a model has judged any.

    python -m tools.suspects --config RUN/config/suspects.yaml --stage-a RUN/stage_a.jsonl --output RUN/suspects.jsonl

In:  the run's tickets.
Out: suspects.jsonl, every ticket with its signals, the likeliest label error first; the first of them on stdout, with
     the label match that nobody can exceed who says the same of tickets that show the same.

Nothing is left out of the run by it: people look, and filters.exclude_file leaves out what they found
(docs/suspects.md).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verdicts.records.review import Suspect
    from verdicts.review.suspects import TicketSeen

FIRST = 20  # shown


def main(
    config: Annotated[Path, typer.Option(help="Section file config/suspects.yaml.")],
    stage_a: Annotated[Path, typer.Option(help="Stage-A tickets (JSONL).")],
    output: Annotated[Path, typer.Option(help="suspects.jsonl to write.")],
) -> None:
    """Rank tickets by how much speaks against their label."""
    from verdicts.base.jsonl import write_rows
    from verdicts.base.plain import plain_lines
    from verdicts.config.tools import SuspectsConfig, read_section
    from verdicts.records.tickets import read_tickets
    from verdicts.review.suspects import shown_of, suspects_of

    cfg = read_section(config, SuspectsConfig)
    shown = [shown_of(ticket, cfg.fail_first) for ticket in read_tickets(stage_a, cfg.mission.name)]
    found = suspects_of(shown, cfg.fail_first, cfg.suspects.folds, cfg.suspects.seed)
    write_rows(output, found)
    print(plain_lines([*table(found[:FIRST]), *ceilings(shown, found)]))
    cli.say(f"suspects: {len(found)} tickets ranked by what speaks against their label; {output}", step=True)


def table(first: "Sequence[Suspect]") -> list[str]:
    """A line a ticket."""
    wide = max(len(row.ticket_key) for row in first)
    return [
        f"{'ticket':<{wide}}  score  label  why",
        *(f"{row.ticket_key:<{wide}}  {row.score:.3f}  {row.label:<5}  {'; '.join(row.why) or '-'}" for row in first),
    ]


def ceilings(shown: "Sequence[TicketSeen]", found: "Sequence[Suspect]") -> list[str]:
    """What label match a reader of these summaries can reach at best, and what a plain one reaches."""
    from verdicts.review.suspects import label_match_at_best

    n, lines = len(shown), [""]
    for same, who in (("summaries", "of equal summaries"), ("facts", "of equal facts, whatever their counts")):
        best = label_match_at_best(shown, same)
        lines.append(f"label match at best, saying the same {who}: {best / n:.1%} ({best}/{n})")
    crossed = [row.signals.other_label for row in found if row.signals.other_label is not None]
    if crossed:
        right = sum(chance < 0.5 for chance in crossed)
        lines.append(f"label match of a reader of facts on groups it never saw: {right / n:.1%} ({right}/{n})")
    else:
        lines.append("a label is too rare here to fit a reader of facts: signals other_label are absent")
    return lines


if __name__ == "__main__":
    cli.run(main, result="suspects", writes="output")
