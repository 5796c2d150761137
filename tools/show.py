"""Print for people what a run has learnt: guidance as a diff over rounds, rates by epoch, what waits for review.

    python -m tools.show --run-dir runs/miniature/bbu_line

In:  rounds/NNNN/guidance.json and reflection.jsonl; loop.json, metrics.jsonl, selections.jsonl, need_review.json,
     review_decisions.jsonl, distill.train.jsonl, distill.audit.jsonl, audit_decisions.jsonl, run.log as far as they
     are there.
Out: text on stdout. Reads files only.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verdicts.corpus.distill import OneSided
    from verdicts.records.review import MissionReview, ReviewDecision
    from verdicts.records.run import LoopStatus, RoundMetrics
    from verdicts.report.evidence import Evidence
    from verdicts.runs.spent import StepSpent
    from verdicts.runs.standing import Standing
    from verdicts.runs.view import Learnt

SIDES = {"all": "all", "learn": "learn", "holdout": "hold-out"}


def main(run_dir: Annotated[Path, typer.Option(help="runs/<RUN>/<MISSION>.")]) -> None:
    """Print what a run has learnt."""
    from verdicts.base.jsonl import read_rows
    from verdicts.base.plain import plain_lines
    from verdicts.base.run_version import refuse_newer
    from verdicts.command.colour import painted_lines
    from verdicts.corpus.distill import read_one_sided
    from verdicts.records.run import RoundMetrics
    from verdicts.records.run_folder import RUN_FILES, paths_of
    from verdicts.records.synthetic import BANNER, is_synthetic
    from verdicts.report.evidence import evidence_of, near_misses_of, read_limits, shared_by_errors
    from verdicts.report.learnt_text import guidance_lines, near_lines, reach_lines, shared_lines
    from verdicts.report.reach import reaches_of
    from verdicts.review.audit import read_audit_result
    from verdicts.runs.freshness import out_of_date
    from verdicts.runs.prompts import prompts_in_use
    from verdicts.runs.spent import read_spent
    from verdicts.runs.standing import MAY_TRAIN, read_said, read_standing, release_limit
    from verdicts.runs.view import read_learnt

    metrics, review = run_dir / "metrics.jsonl", run_dir / "need_review.json"
    refuse_newer(run_dir)
    learnt, limits = read_learnt(run_dir), read_limits(run_dir)

    standing, said = read_standing(run_dir), read_said(run_dir)

    sections = [
        *([[BANNER]] if is_synthetic(run_dir) else []),
        *([[f"OUT OF DATE: {late}"]] if (late := out_of_date(run_dir)) else []),
        [
            heading(learnt.mission, learnt.status, learnt.rounds),
            *entrance_lines(run_dir),
            *([f"  {learnt.stop.error}"] if learnt.stop else []),
            *(f"  {sentence}" for sentence in (learnt.status.oscillations if learnt.status else [])),
            *silent_line(evidence_of(learnt)),
        ],
        guidance_lines(learnt),
        *([near_lines(near)] if (near := near_misses_of(learnt, limits)) else []),
        *([reach_lines(reaches)] if (reaches := reaches_of(run_dir, limits)) else []),
        *([shared_lines(shared)] if (shared := shared_by_errors(learnt)) else []),
        metrics_lines(read_rows(metrics, RoundMetrics)) if metrics.exists() else [f"rates: {metrics} is not there yet"],
        reading_lines(run_dir, learnt.rounds),
        standing_lines(standing, learnt, release_limit(run_dir), read_one_sided(run_dir / "distill.train.jsonl"))
        if standing
        else ["now: no view of the run yet (make converge)"],
        review_lines(review, said) if review.exists() else [f"review: {review} is not there yet"],
        *([[str(audit)]] if (audit := read_audit_result(run_dir)) else []),
        *([spent_lines(spent)] if (spent := read_spent(run_dir)) else []),
        ["Prompts", *(f"  {prompt.kind}: {prompt}" for prompt in prompts_in_use(run_dir))],
        ["Files", *(f"  {path}" for name in RUN_FILES for path in paths_of(run_dir, name)), f"  {run_dir / 'rounds'}/"],
    ]
    tones = {f"train: {said}.": tone for tone, said in MAY_TRAIN.items()} | {"OUT OF DATE": "wait"}
    print(painted_lines("\n\n".join(plain_lines(section) for section in sections), tones, sys.stdout))


def heading(mission: str, status: LoopStatus | None, rounds: int) -> str:
    """One line: the mission and where its loop stands."""
    if status is None:
        return f"{mission}: {rounds} rounds so far"
    ends = {
        "running": "still running",
        "converged": "converged",
        "max_epochs": "stopped at max_epochs without convergence",
        "unreadable": "stopped, too much could not be read",
    }
    return f"{mission}: {ends[status.status]}, {status.epochs} epochs, {status.rounds} rounds"


def silent_line(evidence: Mapping[str, Evidence]) -> list[str]:
    """The rules in force that no verdict rests on, where there are any."""
    silent = [key for key, seen in evidence.items() if seen.silent]
    return [f"  NO VERDICT RESTS ON {', '.join(silent)} (below)"] if silent else []


def entrance_lines(run_dir: Path) -> list[str]:
    """What became of the given tickets at the door and in the filters, where anything was done to them."""
    from verdicts.intake.wording import left_out_sentence, refused_sentence, repaired_sentence
    from verdicts.records.synthetic import tickets_source

    source = tickets_source(run_dir)
    if source is None:
        return []
    said = [refused_sentence(source.entrance), repaired_sentence(source.entrance)] if source.entrance else []
    said += [left_out_sentence(source.filtered), *(source.filtered.notes if source.filtered else ())]
    return [f"  tickets: {sentence}" for sentence in said if sentence]


def metrics_lines(rows: list[RoundMetrics]) -> list[str]:
    """A table of whole epochs, a line for all tickets and one a side; rounds stand in where no epoch is whole yet."""
    from verdicts.report.evidence import side_rates, sides_in
    from verdicts.stats.rates import RATES

    shown = [row for row in rows if row.scope == "epoch"] or rows
    columns = [*(rate.label for rate in RATES), "format"]
    lines = [
        f"Rates by {shown[0].scope}, with 95 % intervals",
        f"  {'':>5} {'rules':>5}  {'':<8}  " + "  ".join(f"{name:<30}" for name in columns) + "  review",
    ]
    for row in shown:
        number = row.epoch if row.scope == "epoch" else row.round
        for side in sides_in(shown):
            cells = "  ".join(f"{rate!s:<30}" for rate in side_rates(row, side).values())
            begin, end = (
                (f"{number:>5} {row.rules:>5}", f"  {row.format!s:<30}  {row.need_review}")
                if side == "all"
                else (" " * 11, "")
            )
            lines.append(f"  {begin}  {SIDES[side]:<8}  {cells}{end}".rstrip())
    return lines


def reading_lines(run_dir: Path, rounds: int) -> list[str]:
    """What could not be read over all rounds, by reason."""
    from verdicts.rounds.unreadable import by_reason, reading_of

    counts = reading_of(run_dir, rounds)
    found = [
        f"  {count.unread} of {count.total} {name}" + (f" ({by_reason(count.reasons)})" if count.unread else "")
        for name, count in counts.items()
    ]
    return ["Could not be read", *found]


def standing_lines(standing: Standing, learnt: Learnt, limit: float | None, one_sided: OneSided | None) -> list[str]:
    """Where the run stands with all decisions counted, and whether to train on it, as the report says before a gate."""
    from verdicts.runs.standing import MAY_TRAIN, training_advice

    verdict = training_advice(learnt.status, learnt.rounds, standing.rates.frr, standing.waiting, limit, standing.gaps)
    said = [
        *standing.gaps,
        standing,
        *standing.by_side,
        f"train: {MAY_TRAIN[verdict.tone]}. {verdict}",
        *([one_sided] if one_sided else []),
    ]
    return ["Now, against labels as people corrected them", *(f"  {line}" for line in said)]


def review_lines(path: Path, said: Mapping[str, ReviewDecision]) -> list[str]:
    """How many tickets wait for people, by label and by reason code; those that people have decided wait no longer."""
    from verdicts.review.review_list_file import stream_review

    heads: dict[str, MissionReview] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for mission, ticket in stream_review(path, heads):
        if ticket.ticket_key not in said:
            counts.update([(mission, ""), (mission, ticket.gt_label), (mission, ticket.reason_code)])
    lines = ["Waiting for review"]
    for mission, found in heads.items():
        waiting, order = counts[mission, ""], [*found.by_gt_label, *found.by_reason_code]
        text = ", ".join(f"{word} {counts[mission, word]}" for word in order if counts[mission, word])
        decided = f"; {found.count - waiting} of {found.count} decided" if waiting < found.count else ""
        lines.append(f"  {mission}: {waiting}" + (f" ({text})" if text else "") + decided)
    return lines


def spent_lines(spent: list[StepSpent]) -> list[str]:
    """What each step took so far."""
    from verdicts.runs.spent import spent_cells

    heads = ("", "calls", "time", "tokens read", "written", "tokens/s")
    return [
        "What it took so far, by step (run.log)",
        *(f"  {name:<17}" + "".join(f"{cell:>14}" for cell in cells) for name, *cells in (heads, *spent_cells(spent))),
    ]


if __name__ == "__main__":
    cli.run(main)
