"""Replay a run's figures into TensorBoard, MLflow or trackio.

    python -m tools.track --run-dir runs/demo/bbu_line --kind tensorboard

In:  metrics.jsonl, evaluation/*/, run.log and config/ of the run, metrics.json of sft.
Out: RUN/tensorboard/, or a run in MLflow or trackio. The same run a second time changes nothing there.
"""

from pathlib import Path
from typing import Annotated

import typer

from verdicts.command import cli


def main(
    run_dir: Annotated[Path, typer.Option(help="runs/<RUN>/<MISSION>.")],
    kind: Annotated[str, typer.Option(help="tensorboard, mlflow or trackio.")] = "tensorboard",
    training: Annotated[
        Path | None, typer.Option(help="metrics.json of sft; else of the students that the run evaluated.")
    ] = None,
) -> None:
    """Replay a run's figures into TensorBoard, MLflow or trackio."""
    from verdicts.base.run_version import refuse_newer
    from verdicts.tracking.series import read_replay
    from verdicts.tracking.trackers import tracker_of

    tracker = tracker_of(kind)
    refuse_newer(run_dir)
    replay = read_replay(run_dir, training)
    where = tracker(replay, run_dir)
    names = len({scalar.name for scalar in replay.scalars})
    cli.say(
        f"track: {len(replay.scalars)} numbers of {names} names, {len(replay.settings)} settings, {len(replay.files)} "
        f"files: {where}",
        "good",
    )


if __name__ == "__main__":
    cli.run(main)
