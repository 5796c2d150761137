"""Turn the converged epoch's selected answers into chat training data.

    python -m tools.distill --config RUN/config/distill.yaml --loop RUN/loop.json --stage-a RUN/stage_a.jsonl \\
        --selections RUN/selections.jsonl --guidance RUN/guidance.json --need-review RUN/need_review.json \\
        [--decisions RUN/review_decisions.jsonl] --output-dir RUN

In:  the run's view (collect), its review list (aggregate_review), and people's decisions where there are any.
Out: distill_chatml.jsonl (every selected answer of the converged epoch, as it was given), distill.train.jsonl and
     distill.val.jsonl (what the student learns from, split by group), distill.dropped.jsonl (the rest, each row with its
     reason word), distill.audit.jsonl (a sample for people; empty where the mission is not high_risk).

Refuses a run that has not converged. With distill.enabled: false it says so and writes nothing.
"""

from pathlib import Path
from typing import Annotated

import typer

from tools.core import cli


def main(
    config: Annotated[Path, typer.Option(help="Section file config/distill.yaml.")],
    loop: Annotated[Path, typer.Option(help="loop.json: where the loop stands.")],
    stage_a: Annotated[Path, typer.Option(help="Stage-A tickets of the run.")],
    selections: Annotated[Path, typer.Option(help="The run's selections (from collect).")],
    guidance: Annotated[Path, typer.Option(help="The run's guidance.json (from collect).")],
    need_review: Annotated[Path, typer.Option(help="need_review.json (from aggregate_review).")],
    output_dir: Annotated[Path, typer.Option(help="Run folder to write into.")],
    decisions: Annotated[Path | None, typer.Option(help="review_decisions.jsonl: what people said of queued tickets.")] = None,
) -> None:
    """Turn the converged epoch's selected answers into chat training data."""
    from tools.core import corpus
    from tools.core.config import DistillConfig, read_section
    from tools.core.guidance_file import read_guidance
    from tools.core.jsonl import read_json, write_rows
    from tools.core.records import (
        LoopStatus,
        NeedReviewFile,
        read_decisions,
        read_tickets,
    )
    from tools.core.review import unresolved

    cfg = read_section(config, DistillConfig)
    if not cfg.distill.enabled:
        cli.say("distill: off (distill.enabled: false); nothing written")
        return
    corpus.require_convergence(read_json(loop, LoopStatus), loop)
    tickets = {ticket.ticket_key: ticket for ticket in read_tickets(stage_a, cfg.mission.name)}
    rules = read_guidance(guidance, cfg.mission.name)
    answers = corpus.read_answers(selections, tickets, rules.step)
    review = unresolved(read_json(need_review, NeedReviewFile))
    said = read_decisions(decisions, tickets) if decisions else {}

    items = corpus.items(cfg, rules.experiences, tickets, answers, review, said)
    kept = [item for item in items if not item.fate.dropped]
    dropped = [item for item in items if item.fate.dropped]
    validation = corpus.validation_groups((item.ticket.group_id for item in kept), cfg.distill.val_share, cfg.distill.seed)
    train = [corpus.sft_row(item) for item in kept if item.ticket.group_id not in validation]
    val = [corpus.sft_row(item) for item in kept if item.ticket.group_id in validation]
    audit = corpus.audit_sample(items, cfg.distill.audit_sample, cfg.distill.seed, validation) if cfg.mission.high_risk else []

    write_rows(output_dir / "distill_chatml.jsonl", [item.chat for item in items])
    write_rows(output_dir / "distill.train.jsonl", train)
    write_rows(output_dir / "distill.val.jsonl", val)
    write_rows(output_dir / "distill.dropped.jsonl", [corpus.dropped_row(item) for item in dropped])
    write_rows(output_dir / "distill.audit.jsonl", audit)
    cli.say(corpus.summary(len(tickets), items, len(train), len(val)))


if __name__ == "__main__":
    cli.run(main, writes="output_dir")
