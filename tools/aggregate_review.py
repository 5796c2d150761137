"""Gather what the rounds queued for people into one list, ready to read.

    python -m tools.aggregate_review --config RUN/config/aggregate_review.yaml --loop RUN/loop.json \\
        --rounds RUN/rounds --stage-a RUN/stage_a.jsonl --trajectories RUN/trajectories.jsonl \\
        --selections RUN/selections.jsonl --output-dir RUN

In:  rounds/NNNN/need_review_queue.jsonl, and the run's tickets, trajectories and selections.
Out: need_review_queue.jsonl (all rounds' entries, in round order), need_review.json (the tickets that are still
     unsupported at their last evaluation), and for old scripts, where compat.manual_review_queue says so, an empty
     manual_review_queue.jsonl.
"""

from pathlib import Path
from typing import Annotated

import typer

from verdicts.command import cli


def main(
    config: Annotated[Path, typer.Option(help="Section file config/aggregate_review.yaml.")],
    loop: Annotated[Path, typer.Option(help="loop.json: where the loop stands.")],
    rounds: Annotated[Path, typer.Option(help="Folder of the rounds 0000, 0001, …")],
    stage_a: Annotated[Path, typer.Option(help="Stage-A tickets of the run.")],
    trajectories: Annotated[Path, typer.Option(help="The run's trajectories (from collect).")],
    selections: Annotated[Path, typer.Option(help="The run's selections (from collect).")],
    output_dir: Annotated[Path, typer.Option(help="Run folder to write into.")],
) -> None:
    """Gather what the rounds queued for people into one list, ready to read."""
    from verdicts.base.jsonl import dump, read_json, whole_files, write_rows
    from verdicts.config.tools import AggregateReviewConfig, read_section
    from verdicts.records.run import LoopStatus
    from verdicts.records.run_folder import stream_round_rows
    from verdicts.records.ticket_index import Tickets
    from verdicts.review.review_list import ReviewQueue
    from verdicts.review.review_list_file import write_review

    compat = read_section(config, AggregateReviewConfig).compat
    status = read_json(loop, LoopStatus)
    review = ReviewQueue(Tickets(stage_a))
    with whole_files(output_dir / "need_review_queue.jsonl", output_dir / "need_review.json") as (queue, listed):
        for number in range(1, status.rounds + 1):
            for entry in stream_round_rows(rounds, number, "need_review_queue.jsonl"):
                review.queue(entry)
                queue.write(dump(entry) + "\n")
        review.read(trajectories, selections)
        count = write_review(listed, review.missions())
    manual_queue = output_dir / "manual_review_queue.jsonl"
    if compat.manual_review_queue:
        write_rows(manual_queue, [])
    elif manual_queue.exists() and manual_queue.stat().st_size == 0:
        # ours of an earlier setting: what a run folder holds depends on its inputs, not on its history
        manual_queue.unlink()
    cli.say(
        f"aggregate_review: {count} of {len(review.tickets)} tickets need review, {review.queued} entries queued in "
        f"{status.rounds} rounds"
    )


if __name__ == "__main__":
    cli.run(main, result="aggregate_review", writes="output_dir")
