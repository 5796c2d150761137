"""What a student lost of each old task, by the gate's file: for a mix that follows it (corpus/retention.py)."""

from pathlib import Path

from verdicts.base.errors import mistake
from verdicts.base.jsonl import read_json
from verdicts.corpus.retention import TaskLoss
from verdicts.evaluation.scores import METRICS, value_of
from verdicts.records.corpus import Task
from verdicts.records.evaluation import GateRecord


def read_losses(path: Path, name: str) -> dict[Task, TaskLoss]:
    """Of each task the retained score that lost the largest share of itself, from a gate.json.

    A score that is gone after lost all. A task without a score above 0 before is not in it.

    ``name``: the mix that asks. Raises UserError where the gate judged the student of that very mix: both would be made
    anew for ever.
    """
    gate = read_json(path, GateRecord)
    if Path(gate.after.student.folder).parent.name == name:
        raise mistake(
            f"it judged this mix's own student ({gate.after.student.folder}), and each gate would change the mix",
            "give the second round's mix a name of its own",
            path=path,
            field="after.student.folder",
        )
    losses: dict[Task, TaskLoss] = {}
    for metric in METRICS:
        before, after = value_of(metric.of(gate.before)), value_of(metric.of(gate.after))
        if not metric.retained or not before:
            continue
        loss = max(0.0, 1 - (after or 0) / before)
        if metric.task not in losses or loss > losses[metric.task].loss:
            losses[metric.task] = TaskLoss(metric=metric.title, before=before, after=after, loss=round(loss, 6))
    return losses
