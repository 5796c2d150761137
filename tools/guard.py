"""Say how often the guard of a mission fires on labelled tickets, rightly and wrongly, without a model.

    make guard MISSION=bbu_wind STAGE_A=tickets.jsonl [AUDIT=audit.jsonl]
    python -m tools.guard --models miniature --mission bbu_wind --tickets tickets.jsonl --output guard.json

In:  the configuration (configs/, CONFIG) and tickets, as prepare takes them. AUDIT: what people found later, JSONL with
     ticket_key and category, and tickets are counted for each category too.
Out: guard.json: the counts, and each fact that fires or is exempt with its ticket and photo.

A ticket fires where a photo's summary holds an explicit negative of the mission, whatever a model would say: rightly
where its label is fail, wrongly where it is pass. It is exempt where it would fire but for a denial, a question or a
doubt (docs/guard.md).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from verdicts.command.cli import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from verdicts.config.sections import FailFirst
    from verdicts.facts.summary import Fact
    from verdicts.records.tickets import StageA

EXEMPTIONS = {"negations": "denied", "questions": "asked for", "doubts": "in doubt"}


class Seen(NamedTuple):
    """A fact that fires (``exempt`` "") or would, where it stands, and the negative that it is."""

    ticket_key: str
    photo: str
    fact: str
    negative: str
    exempt: str


def main(
    models: Annotated[str, typer.Option(help="Model set: configs/models/<name>.yaml.")],
    mission: Annotated[str, typer.Option(help="Mission slug: configs/missions/<slug>.yaml.")],
    tickets: Annotated[Path, typer.Option(help="Stage-A tickets.")],
    output: Annotated[Path, typer.Option(help="Results (JSON).")],
    overlay: Annotated[Path | None, typer.Option(help="One more YAML laid over the configuration.")] = None,
    audit: Annotated[
        Path | None, typer.Option(help="What people found of tickets afterwards (JSONL: ticket_key, category).")
    ] = None,
) -> None:
    """Count where the guard fires."""
    from verdicts.base.jsonl import write_json
    from verdicts.base.plain import plain_lines
    from verdicts.command.cli import say
    from verdicts.config.load import load
    from verdicts.intake.given import given_tickets
    from verdicts.measure.audit import read_audit

    config = load(models, mission, overlay)
    rows = given_tickets(tickets, config)
    categories = read_audit(audit) if audit else {}
    seen = [one for ticket in rows for one in facts_of(ticket, config.fail_first)]
    counts = {name: counts_of(of, seen) for name, of in sorted(sides(rows, categories).items())}
    write_json(output, {"mission": mission, "counts": counts, "facts": [one._asdict() for one in seen]})
    print(plain_lines(table(counts, seen)))
    all_of = counts["all"]
    off = "" if config.fail_first.enabled else " (switched off: fail_first.enabled)"
    say(
        f"guard{off}: fires on {all_of['fires_fail'] + all_of['fires_pass']} of {len(rows)} tickets: "
        f"{all_of['fires_fail']} of {all_of['fail']} with label fail, {all_of['fires_pass']} of {all_of['pass']} with "
        f"label pass; {all_of['exempt']} exempt; {output}"
    )


def facts_of(ticket: StageA, guard: FailFirst) -> Iterator[Seen]:
    """The facts of a ticket that fire, and those that would but for an exemption."""
    from verdicts.stage_b.negatives import negative_of, negatives_in

    bare = guard.model_copy(update={name: [] for name in EXEMPTIONS})
    for photo, summary in ticket.per_image.items():
        for fact in negatives_in(summary, bare):
            words = "/".join(negative_of(fact, bare) or ())
            yield Seen(ticket.ticket_key, photo, fact.shown, words, exempt(fact, guard))


def exempt(fact: Fact, guard: FailFirst) -> str:
    """Why a fact that would be a negative does not fire; "" where it does."""
    from verdicts.stage_b.negatives import is_negative

    if is_negative(fact, guard):
        return ""
    alone = (why for name, why in EXEMPTIONS.items() if is_negative(fact, guard.model_copy(update={name: []})))
    return next(alone, "for several reasons")


def sides(rows: Sequence[StageA], categories: Mapping[str, str]) -> dict[str, list[StageA]]:
    """``all`` tickets, and those of each audited category."""
    of: dict[str, list[StageA]] = {"all": [*rows]}
    for ticket in rows if categories else ():
        of.setdefault(categories.get(ticket.ticket_key, "not audited"), []).append(ticket)
    return of


def counts_of(rows: Sequence[StageA], seen: Sequence[Seen]) -> dict[str, int]:
    """Tickets by label, those that fire by label, and those that are exempt as a whole."""
    fires = {one.ticket_key for one in seen if not one.exempt}
    held = {one.ticket_key for one in seen} - fires
    labels = Counter(ticket.label for ticket in rows)
    fired = Counter(ticket.label for ticket in rows if ticket.ticket_key in fires)
    return {
        "fail": labels["fail"], "pass": labels["pass"], "fires_fail": fired["fail"], "fires_pass": fired["pass"],
        "exempt": sum(ticket.ticket_key in held for ticket in rows),
    }  # fmt: skip


def table(counts: Mapping[str, Mapping[str, int]], seen: Sequence[Seen]) -> list[str]:
    """The counts by category, then what fired and what was exempt, by negative."""
    lines = ["| tickets | fires, label fail | fires, label pass | exempt |", "|---|---|---|---|"]
    for name, of in counts.items():
        fires = f"{of['fires_fail']}/{of['fail']} | {of['fires_pass']}/{of['pass']}"
        lines.append(f"| {name} | {fires} | {of['exempt']} |")
    said = Counter((one.exempt or "fires", one.negative) for one in seen)
    return [*lines, *(f"{why}: {negative}, {n} facts" for (why, negative), n in sorted(said.items()))]


if __name__ == "__main__":
    run(main)
