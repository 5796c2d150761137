"""Turn the converged epoch's selected answers into chat training data.

    python -m tools.distill --config RUN/config/distill.yaml --loop RUN/loop.json --stage-a RUN/stage_a.jsonl \\
        --selections RUN/selections.jsonl --guidance RUN/guidance.json --need-review RUN/need_review.json \\
        [--decisions RUN/review_decisions.jsonl] [--audited RUN/audit_decisions.jsonl] --output-dir RUN

In:  the run's view (collect), its review list (aggregate_review), and people's decisions where there are any.
Out: distill_chatml.jsonl (every selected answer of the converged epoch, as it was given), distill.train.jsonl and
     distill.val.jsonl (what the student learns from, split by group), distill.dropped.jsonl (the rest, each with its
     reason word), distill.audit.jsonl (a sample for people; empty where the mission is not high_risk).

Refuses a run that has not converged. With distill.enabled: false it writes nothing, and moves a corpus of an earlier
setting to RUN/distill.superseded/, so that nobody trains on it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from verdicts.runs.standing import Advice, Standing


def main(
    config: Annotated[Path, typer.Option(help="Section file config/distill.yaml.")],
    loop: Annotated[Path, typer.Option(help="loop.json: where the loop stands.")],
    stage_a: Annotated[Path, typer.Option(help="Stage-A tickets of the run.")],
    selections: Annotated[Path, typer.Option(help="The run's selections (from collect).")],
    guidance: Annotated[Path, typer.Option(help="The run's guidance.json (from collect).")],
    need_review: Annotated[Path, typer.Option(help="need_review.json (from aggregate_review).")],
    output_dir: Annotated[Path, typer.Option(help="Run folder to write into.")],
    decisions: Annotated[
        Path | None,
        typer.Option(help="review_decisions.jsonl: what people said of queued tickets, where they said something."),
    ] = None,
    audited: Annotated[
        Path | None,
        typer.Option(help="audit_decisions.jsonl: what people said of sampled answers, where they said something."),
    ] = None,
) -> None:
    """Turn the converged epoch's selected answers into chat training data."""
    from verdicts.base.jsonl import read_json
    from verdicts.base.made import does_not_use
    from verdicts.config.tools import DistillConfig, read_section
    from verdicts.corpus import distill as corpus
    from verdicts.corpus.files import Answers, Judging, Reasons, write_corpus
    from verdicts.records.guidance import read_guidance
    from verdicts.records.review import read_decisions
    from verdicts.records.run import LoopStatus
    from verdicts.records.synthetic import named
    from verdicts.records.ticket_index import Tickets
    from verdicts.review.audit import read_audited
    from verdicts.review.decisions import refuse_unteachable
    from verdicts.review.review_list_file import stream_review
    from verdicts.runs.standing import held_out_of, release_limit, standing_of, training_advice
    from verdicts.stage_b.prompts import load_prompts

    started, cfg = time.time(), read_section(config, DistillConfig)
    if not cfg.distill.enabled:
        moved = corpus.supersede_corpus(output_dir)
        cli.say(
            "distill: off (distill.enabled: false); nothing written"
            + (f"; the earlier corpus is moved to {moved}" if moved else "")
        )
        return
    prompts = load_prompts(cfg.prompts, cfg.mission)
    status = read_json(loop, LoopStatus)
    corpus.require_convergence(status, loop)
    tickets = Tickets(stage_a, cfg.mission.name)
    rules = read_guidance(guidance, cfg.mission.name)
    answers = Answers(selections, tickets, rules.step, prompts.digest("stage_b"))
    review = Reasons(need_review, tickets)
    said = read_decisions(decisions, tickets) if decisions and used(decisions) else {}
    if decisions:
        refuse_unteachable(decisions, said.values())
    looked = read_audited(audited) if audited and used(audited) else {}

    for name in ("gate", "collect"):
        does_not_use(output_dir / "config" / f"{name}.yaml")  # the sentences at the end do, no file
    held_out, limit = (
        held_out_of(output_dir),
        release_limit(output_dir),
    )  # a mistake in them, before anything is written

    judging = Judging(cfg, prompts, rules.experiences, tickets, answers, review, said, looked)
    written = write_corpus(judging, output_dir)
    standing = standing_of(answers, (ticket for _, ticket in stream_review(need_review, {})), said, held_out)
    verdict = training_advice(status, status.rounds, standing.rates.frr, standing.waiting, limit, standing.gaps)
    for line in ending(output_dir, standing, verdict, took(started)):
        cli.say(f"distill: {line}", verdict.tone if line.startswith("train: ") else "")
    if missing := corpus.read_one_sided(output_dir / "distill.train.jsonl"):
        cli.say(f"distill: {missing}", "wait")
    cli.say(
        f"{named('distill', output_dir)}: "
        f"{corpus.summary(len(tickets), written.train, written.val, written.dropped, written.corrected)}"
        + (f"; {written.reasons} reasons written by people" if written.reasons else "")
    )


def ending(run_dir: Path, standing: Standing, verdict: Advice, took: str) -> list[str]:
    """What a user wants at the end: how the run stands, whether to train on it, its files, what to call next."""
    from verdicts.runs.naming import variables_of
    from verdicts.runs.standing import MAY_TRAIN

    words = variables_of(run_dir)
    steps = [f"make review-page {words} ({standing.waiting} tickets to decide)"] if standing.waiting else []
    steps += [f"make sft {words}"] if verdict.tone == "good" else []
    return [
        *map(str, standing.gaps),
        str(standing),
        *standing.by_side,
        f"train: {MAY_TRAIN[verdict.tone]}. {verdict}",
        f"files: {run_dir}/ (corpus: distill.train.jsonl, distill.val.jsonl; review list: need_review.json)",
        f"next: {'; '.join([*steps, f'make report {words}'])}",
        took,
    ]


def took(started: float) -> str:
    """How long the command took since RUN_STARTED (Unix time, set by make), else this step since ``started``."""
    try:
        began, what = float(os.environ["RUN_STARTED"]), "the command"
    except (KeyError, ValueError):
        began, what = started, "this step"
    if not 0 <= (seconds := time.time() - began) < 1e8:  # no time at all, or one to come
        seconds, what = time.time() - started, "this step"
    hours, minutes = divmod(round(seconds) // 60, 60)
    shown = (
        f"{hours} h {minutes} min"
        if hours
        else f"{minutes} min {round(seconds) % 60} s"
        if minutes
        else f"{seconds:.1f} s"
    )
    return f"{what} took {shown}"


def used(path: Path) -> bool:
    """Whether a file is there; noted either way, so that its coming makes the corpus again."""
    from verdicts.base.made import uses

    uses(path)
    return path.exists()


if __name__ == "__main__":
    cli.run(main, result="distill", writes="output_dir")
