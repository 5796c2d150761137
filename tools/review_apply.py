"""Bring in what people decided of queued tickets, and say how many labels were wrong.

    python -m tools.review_apply --run-dir RUN --decisions review_decisions.jsonl   # or .csv; from the page or by hand
    python -m tools.review_apply --run-dir RUN --decisions export.json              # out of Label Studio
    python -m tools.review_apply --run-dir RUN --export RUN/review.csv              # the queue, for a spreadsheet
    python -m tools.review_apply --run-dir RUN --decisions one.jsonl --second two.jsonl    # two reviewers, compared
    python -m tools.review_apply --run-dir RUN --adjudicate --export RUN/disputed.csv      # what they dispute
    python -m tools.review_apply --run-dir RUN --adjudicate --decisions disputed.csv       # a third person settled it
    python -m tools.review_apply --run-dir RUN --decisions audit_decisions.jsonl    # the page's other queue, the audit
    python -m tools.review_apply --run-dir RUN                                      # how the review stands

In:  RUN/stage_a.jsonl, RUN/need_review.json, RUN/review_decisions.jsonl and RUN/review_agreement.json where they are
     there, and the files given; for the audit RUN/distill.audit.jsonl and RUN/audit_decisions.jsonl.
Out: RUN/review_decisions.jsonl (all decisions, sorted; a given one replaces the one before, but for what a third person
     settled; rewritten only where it changes, so that Make rebuilds the corpus only then), RUN/review_summary.json (the
     share of label errors), and where several reviewers were compared RUN/review_agreement.json. Of an audit's
     decisions RUN/audit_decisions.jsonl alone.

A wrong line is named and nothing is written.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from verdicts.records.review import Dispute, ReviewAgreement, ReviewDecision
    from verdicts.review.given import Reviewer


def main(
    run_dir: Annotated[Path, typer.Option(help="runs/<RUN>/<MISSION>.")],
    decisions: Annotated[
        Path | None,
        typer.Option(help="Decisions to bring in: JSONL, a table (CSV, Excel's Unicode text), Label Studio's JSON."),
    ] = None,
    second: Annotated[
        list[Path] | None,
        typer.Option(help="Another reviewer's decisions: what all agree on is brought in. May be given again."),
    ] = None,
    adjudicate: Annotated[
        bool, typer.Option(help="The decisions are a third person's, who settles what reviewers dispute.")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(help="Write the queue, or what is disputed, as CSV to fill in; an existing file is refused."),
    ] = None,
) -> None:
    """Bring in what people decided of queued tickets."""
    from verdicts.base.jsonl import dump, read_json, write_json, write_text, write_text_if_changed
    from verdicts.base.run_version import refuse_newer
    from verdicts.records.review import NeedReviewFile, ReviewAgreement, read_decisions
    from verdicts.records.synthetic import named
    from verdicts.records.ticket_index import Tickets
    from verdicts.review.agreement import open_disputes, opinions
    from verdicts.review.audit import is_audited, read_audit_result
    from verdicts.review.decisions import count_changes, merge_decisions, summarize, summary_text
    from verdicts.review.given import read_reviewers
    from verdicts.review.spreadsheet import write_table
    from verdicts.runs.standing import read_standing

    refuse_newer(run_dir)
    known = Tickets(run_dir / "stage_a.jsonl")
    review = read_json(run_dir / "need_review.json", NeedReviewFile)
    queue = [ticket for mission in review.missions.values() for ticket in mission.tickets]
    kept, compared = run_dir / "review_decisions.jsonl", run_dir / "review_agreement.json"
    said = read_decisions(kept, known) if kept.exists() else {}
    agreement = read_json(compared, ReviewAgreement) if compared.exists() else None
    refuse_mixed(decisions, second or [], adjudicate, export)
    if decisions and is_audited(decisions):
        return bring_in_audit(run_dir, decisions, [*(second or []), *([export] if export else [])], adjudicate)
    reviewers = read_reviewers([*([decisions] if decisions else []), *(second or [])], known)
    waiting = open_disputes(agreement, said)
    if adjudicate:
        given = settled_by_a_third(reviewers, agreement, compared)
        before = said
    elif len(reviewers) > 1:
        given, agreement = agreed(reviewers, waiting)
        before = without_disputed(said, agreement)
        write_json(compared, agreement)
    else:
        given = left_to_a_third(reviewers[0].said if reviewers else {}, waiting)
        before = said

    after = merge_decisions(before, given)
    by_ticket = {decision.ticket_key: decision for decision in after}
    if reviewers:
        write_text_if_changed(kept, "".join(dump(decision) + "\n" for decision in after))
    disputed = {one.ticket_key: opinions(one.opinions) for one in open_disputes(agreement, by_ticket)}
    done = [count_changes(before, given)] if reviewers else []
    if export:
        only_disputed = adjudicate or len(reviewers) > 1
        rows = [ticket for ticket in queue if not only_disputed or ticket.ticket_key in disputed]
        write_text(export, write_table(rows, {} if only_disputed else by_ticket, disputed))
        done.append(f"{len(rows)} rows in {export}")
    summary = summarize(after, queue)
    write_json(run_dir / "review_summary.json", summary)
    say_disputed(disputed, {ticket.ticket_key for ticket in queue}, adjudicate)
    if standing := read_standing(run_dir):
        cli.say(f"{named('review_apply', run_dir)}: {standing}")
    if audit := read_audit_result(run_dir):
        cli.say(f"review_apply: {audit}")
    cli.say(f"review_apply: {'; '.join([*done, summary_text(summary)])}")


def bring_in_audit(run_dir: Path, decisions: Path, others: list[Path], adjudicate: bool) -> None:
    """Bring in what somebody said of the answers of the audit sample, and say what the audit came to."""
    from verdicts.base.errors import mistake
    from verdicts.base.jsonl import dump, write_text_if_changed
    from verdicts.records.synthetic import named
    from verdicts.review import audit

    if others or adjudicate:
        raise mistake(
            "holds decisions on the audit sample, which are brought in alone", "name it alone", path=decisions
        )
    sample, kept = audit.read_sample(run_dir), run_dir / audit.KEPT
    if not sample:
        what = f"is about an audit sample, and {run_dir / audit.SAMPLE} holds none"
        raise mistake(what, "make distill first; missions of high risk have a sample", path=decisions)
    said = audit.read_audited(kept) if kept.exists() else {}
    given = audit.read_audited(decisions, sample)
    after = list(audit.merge_audited(said, given))
    write_text_if_changed(kept, "".join(dump(one) + "\n" for one in after))
    cli.say(
        f"{named('review_apply', run_dir)}: {audit.audited_changes(said, given)}; {audit.audit_result(sample, after)}"
    )


def refuse_mixed(decisions: Path | None, second: list[Path], adjudicate: bool, export: Path | None) -> None:
    """Raise UserError for options that do not go together, before anything is read that takes time."""
    from verdicts.base.errors import mistake

    if second and not decisions:
        raise mistake(
            "is a second reviewer's, and there is no first", "name the first's with --decisions", path=second[0]
        )
    if second and adjudicate:
        raise mistake(
            "a third person settles alone, and this is one more file",
            "compare the two first, without --adjudicate",
            path=second[0],
        )
    if export and export.exists():
        raise mistake(
            "exists already, and may hold somebody's work", "bring it in with --decisions, or move it away", path=export
        )


def agreed(reviewers: list[Reviewer], waiting: list[Dispute]) -> tuple[dict[str, ReviewDecision], ReviewAgreement]:
    """What all reviewers agree on or one alone decided, and how they stand to each other."""
    from verdicts.review.agreement import compare_reviewers

    compared = compare_reviewers(*(reviewer.said for reviewer in reviewers))
    cli.say(f"review_apply: {compared}")
    return compared.settled, compared.record([reviewer.name for reviewer in reviewers], waiting)


def without_disputed(said: dict[str, ReviewDecision], agreement: ReviewAgreement) -> dict[str, ReviewDecision]:
    """Earlier decisions without those of tickets that are disputed now, unless a third person settled them."""
    disputed = {one.ticket_key for one in agreement.disputed}
    out = [key for key, decision in said.items() if key in disputed and not decision.adjudicated]
    if out:
        cli.say(f"review_apply: {len(out)} earlier decisions taken out, disputed now: {', '.join(out[:3])}")
    return {key: decision for key, decision in said.items() if key not in out}


def left_to_a_third(given: dict[str, ReviewDecision], waiting: list[Dispute]) -> dict[str, ReviewDecision]:
    """One reviewer's decisions without those of tickets in dispute, which are another's to settle."""
    disputed = {one.ticket_key for one in waiting}
    out = [key for key in given if key in disputed and not given[key].adjudicated]
    if out:
        cli.say(
            f"review_apply: {len(out)} decisions left out: reviewers dispute these tickets ({', '.join(out[:3])}); "
            "bring a third person's in with --adjudicate (make adjudicate DECISIONS=…)"
        )
    return {key: decision for key, decision in given.items() if key not in out}


def settled_by_a_third(
    reviewers: list[Reviewer], agreement: ReviewAgreement | None, path: Path
) -> dict[str, ReviewDecision]:
    """A third person's decisions of what is disputed; raises UserError where nothing is, or several people decide."""
    from verdicts.base.errors import mistake
    from verdicts.review.agreement import adjudicated

    if agreement is None:
        raise mistake(
            "is not there: no reviewers were compared yet", "compare two with --decisions and --second", path=path
        )
    if len(reviewers) > 1:
        names = ", ".join(reviewer.name for reviewer in reviewers)
        raise mistake(f"{len(reviewers)} people decide ({names})", "have one person settle it", path=path)
    disputed = {one.ticket_key: one for one in agreement.disputed}
    given, others = adjudicated(reviewers[0].said if reviewers else {}, disputed)
    if others:
        cli.say(
            f"review_apply: {len(others)} decisions left out, nobody disputes these tickets: {', '.join(others[:3])}"
        )
    own = [
        key for key, said in given.items() if said.reviewer in {one.reviewer for one in disputed[key].opinions} - {""}
    ]
    if own:
        cli.say(f"review_apply: {len(own)} settled by one of those who disagree: {', '.join(own[:3])}")
    return given


def say_disputed(disputed: dict[str, str], queued: set[str], asked: bool) -> None:
    """Name each open dispute with all opinions; that there is none, where it was asked for."""
    for key, both in disputed.items():
        where = "" if key in queued else " (not queued: in no table)"
        cli.say(f"review_apply: disputed {key}{where}: {both}")
    if not disputed and asked:
        cli.say("review_apply: nothing is disputed")
    if disputed:
        cli.say(f"review_apply: {len(disputed)} tickets wait for a third person (make adjudicate)")


if __name__ == "__main__":
    cli.run(main, writes="run_dir")
