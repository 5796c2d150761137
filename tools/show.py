"""Print for people what a run has learnt: guidance as a diff over rounds, rates by epoch, what waits for review.

    python -m tools.show --run-dir runs/miniature/bbu_line

In:  rounds/NNNN/guidance.json and reflection.jsonl; loop.json, metrics.jsonl, selections.jsonl, need_review.json,
     review_decisions.jsonl, distill.train.jsonl as far as they are there.
Out: text on stdout. Reads files only.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tools.core import cli

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tools.core.corpus import OneSided
    from tools.core.guidance_diff import Change
    from tools.core.records import (
        LoopStatus,
        MissionGuidance,
        NeedReviewFile,
        RateRecord,
        Reflection,
        ReviewDecision,
        RoundMetrics,
        RuleMeta,
        Trial,
    )
    from tools.core.run_view import Learnt
    from tools.core.standing import Standing

KEYS_SHOWN = 3


def main(run_dir: Annotated[Path, typer.Option(help="runs/<RUN>/<MISSION>.")]) -> None:
    """Print what a run has learnt."""
    from tools.core.corpus import read_one_sided
    from tools.core.freshness import out_of_date
    from tools.core.jsonl import read_json, read_rows
    from tools.core.plain import plain_lines
    from tools.core.records import NeedReviewFile, RoundMetrics
    from tools.core.run_folder import RUN_FILES, paths_of
    from tools.core.run_view import read_learnt
    from tools.core.standing import read_said, read_standing, release_limit
    from tools.core.synthetic import BANNER, is_synthetic

    metrics, review = run_dir / "metrics.jsonl", run_dir / "need_review.json"
    learnt = read_learnt(run_dir)

    standing, said = read_standing(run_dir), read_said(run_dir)

    sections = [
        *([[BANNER]] if is_synthetic(run_dir) else []),
        *([[f"OUT OF DATE: {late}"]] if (late := out_of_date(run_dir)) else []),
        [heading(learnt.mission, learnt.status, learnt.rounds), *([f"  {learnt.stop.error}"] if learnt.stop else []), *(f"  {sentence}" for sentence in (learnt.status.oscillations if learnt.status else []))],
        guidance_lines(learnt.states, learnt.reflections),
        metrics_lines(read_rows(metrics, RoundMetrics)) if metrics.exists() else [f"rates: {metrics} is not there yet"],
        reading_lines(run_dir, learnt.rounds),
        standing_lines(standing, learnt, release_limit(run_dir), read_one_sided(run_dir / "distill.train.jsonl")) if standing else ["now: no view of the run yet (make converge)"],
        review_lines(read_json(review, NeedReviewFile), said) if review.exists() else [f"review: {review} is not there yet"],
        ["Files", *(f"  {path}" for name in RUN_FILES for path in paths_of(run_dir, name)), f"  {run_dir / 'rounds'}/"],
    ]
    print("\n\n".join(plain_lines(section) for section in sections))


def heading(mission: str, status: LoopStatus | None, rounds: int) -> str:
    """One line: the mission and where its loop stands."""
    if status is None:
        return f"{mission}: {rounds} rounds so far"
    ends = {"running": "still running", "converged": "converged", "max_epochs": "stopped at max_epochs without convergence", "unreadable": "stopped, too much could not be read"}
    return f"{mission}: {ends[status.status]}, {status.epochs} epochs, {status.rounds} rounds"


def guidance_lines(states: list[MissionGuidance], reflections: list[list[Reflection]]) -> list[str]:
    """The starting guidance, each round's changes, and the guidance at the end. ``states[n]`` is what round n left."""
    from tools.core.guidance_diff import changes_between, latest_metadata

    known = latest_metadata(states[-1])
    lines = ["Guidance at the start", *rule_lines(states[0])]
    for number, records in enumerate(reflections, start=1):
        before, after = states[number - 1], states[number]
        if changes := changes_between(before, after, records):
            lines += ["", f"round {number} (epoch {records[0].epoch}), step {before.step} -> {after.step}"]
            lines += [text for change in changes for text in change_lines(change, known)]
    if states[-1].step != states[0].step:
        lines += ["", f"Guidance now (step {states[-1].step})", *rule_lines(states[-1])]
    return lines


def rule_lines(guidance: MissionGuidance) -> list[str]:
    """The rules, one a line, in key order."""
    from tools.core.prompts import render_guidance

    return [f"    {line}" for line in render_guidance(guidance.experiences).split("\n")]


def change_lines(change: Change, known: dict[str, RuleMeta]) -> list[str]:
    """One change: the rule, then where it comes from and what it did."""
    lines = [f"  {change.sign} {change.key}: {change.text}"]
    if change.old_text is not None:
        lines.append(f"      was: {change.old_text}")
    lines.append(f"      {change.reflection_id or 'no reflection record'}: {change.why}")
    if change.trial:
        lines.append(f"      {trial_text(change.trial)}")
    if meta := change.metadata if change.sign == "-" else known.get(change.key):
        when = "when it left" if change.sign == "-" else "since"
        lines.append(f"      {when}: {meta.hit_count} hits, {meta.miss_count} misses, confidence {meta.confidence:.2f}")
    return lines


def trial_text(trial: Trial) -> str:
    """What a trial showed: p-value, tickets fixed and broken with the first few of them."""
    return f"trial p = {trial.p_value:.2g}: fixed {keys_text(trial.fixed)} of {trial.errors} wrong, broke {keys_text(trial.broke)} of {trial.corrects} right"


def keys_text(keys: list[str]) -> str:
    """``5 (a, b, c, …)``."""
    shown = ", ".join(keys[:KEYS_SHOWN]) + (", …" if len(keys) > KEYS_SHOWN else "")
    return f"{len(keys)} ({shown})" if keys else "0"


def metrics_lines(rows: list[RoundMetrics]) -> list[str]:
    """A table with a row a whole epoch; rounds stand in where no epoch is whole yet."""
    shown = [row for row in rows if row.scope == "epoch"] or rows
    columns = ["FRR", "false block", "label match", "format"]
    lines = [f"Rates by {shown[0].scope}, with 95 % intervals", f"  {'':>5} {'rules':>5}  " + "  ".join(f"{name:<30}" for name in columns) + "  review"]
    for row in shown:
        rates = (row.frr, row.false_block, row.label_match, row.format)
        number = row.epoch if row.scope == "epoch" else row.round
        lines.append(f"  {number:>5} {row.rules:>5}  " + "  ".join(f"{rate_text(rate):<30}" for rate in rates) + f"  {row.need_review}")
    return lines


def reading_lines(run_dir: Path, rounds: int) -> list[str]:
    """What could not be read over all rounds, by reason."""
    from tools.core.unreadable import by_reason, reading_of

    counts = reading_of(run_dir, rounds)
    found = [f"  {count.unread} of {count.total} {name}" + (f" ({by_reason(count.reasons)})" if count.unread else "") for name, count in counts.items()]
    return ["Could not be read", *found]


def rate_text(rate: RateRecord) -> str:
    """``12.5% [2.2%, 47.1%] (1/8)``."""
    from tools.core.metrics import Rate

    return str(Rate(**rate.model_dump()))


def standing_lines(standing: Standing, learnt: Learnt, limit: float | None, one_sided: OneSided | None) -> list[str]:
    """Where the run stands with all decisions counted, and whether to train on it: the report's figures and its sentence before a gate has spoken."""
    from tools.core.standing import MAY_TRAIN, training_verdict

    verdict = training_verdict(learnt.status, learnt.rounds, standing.rates.frr, standing.waiting, limit)
    return ["Now, against labels as people corrected them", f"  {standing}", f"  train: {MAY_TRAIN[verdict.tone]}. {verdict}", *([f"  {one_sided}"] if one_sided else [])]


def review_lines(review: NeedReviewFile, said: Mapping[str, ReviewDecision]) -> list[str]:
    """How many tickets wait for people, by label and by reason code; those that people have decided wait no longer."""
    lines = ["Waiting for review"]
    for mission, found in review.missions.items():
        waiting = [ticket for ticket in found.tickets if ticket.ticket_key not in said]
        counts = Counter(ticket.gt_label for ticket in waiting) + Counter(ticket.reason_code for ticket in waiting)
        order = [*found.by_gt_label, *found.by_reason_code]
        text = ", ".join(f"{word} {counts[word]}" for word in order if counts[word])
        decided = f"; {found.count - len(waiting)} of {found.count} decided" if len(waiting) < found.count else ""
        lines.append(f"  {mission}: {len(waiting)}" + (f" ({text})" if text else "") + decided)
    return lines


if __name__ == "__main__":
    cli.run(main)
