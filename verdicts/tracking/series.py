"""A run's figures as such programs take them: numbers by name and step, settings by name, files.

Names are the field's (``train/loss``, ``guidance/learn/false_release_rate``). Steps are rounds, epochs or updates of
weights; of an evaluation 0 is before and 1 after training. Nothing is computed anew: each number stands in a file.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from verdicts.base.errors import mistake
from verdicts.base.jsonl import read_json, read_rows
from verdicts.config.load import read_yaml
from verdicts.evaluation.scores import METRICS, value_of
from verdicts.records.evaluation import Evaluation, GateRecord
from verdicts.records.run import RoundMetrics
from verdicts.records.run_folder import paths_of
from verdicts.records.synthetic import is_synthetic
from verdicts.runs.spent import read_spent
from verdicts.stats.rates import Rate

FIELD_NAMES = {
    "frr": "false_release_rate",
    "false_block": "false_block_rate",
}  # others keep theirs
LINKED = ("guidance.json", "report.html", "need_review.json", "metrics.jsonl")


class Scalar(NamedTuple):
    """One number of a run."""

    name: str
    step: int
    value: float


@dataclass(frozen=True)
class Replay:
    """All of a run. ``name``: RUN, ``mission``: its slug. ``files``: what is linked, whole paths. ``synthetic``: of
    drawn tickets.
    """

    name: str
    mission: str
    scalars: list[Scalar]
    settings: dict[str, str]
    files: list[Path]
    synthetic: bool

    @property
    def digest(self) -> str:
        """Names its content: the same run twice has the same."""
        said = json.dumps([self.scalars, self.settings, [str(path) for path in self.files]])
        return hashlib.sha256(said.encode()).hexdigest()[:16]


def read_replay(run_dir: Path, training: Path | None = None) -> Replay:
    """Read a run. ``training``: metrics.json of sft; else those of the students that the run evaluated.

    Raises UserError for a folder without metrics of guidance, evaluations or training.
    """
    metrics = run_dir / "metrics.jsonl"
    rows = read_rows(metrics, RoundMetrics) if metrics.is_file() else []
    evaluations = [(path, read_json(path, Evaluation)) for when in ("before", "after")
                   for path in paths_of(run_dir, f"evaluation/*/{when}.json")]  # fmt: skip
    taught = [Path(found.student.folder).parent / "metrics.json" for path, found in evaluations if path.stem == "after"]
    trainings = [training] if training else sorted({path for path in taught if path.is_file()})
    scalars = [
        *(scalar for row in rows for scalar in _guidance(row)),
        *(scalar for path in trainings for scalar in _training(path, len(trainings) > 1)),
        *(scalar for path, found in evaluations for scalar in _evaluation(path, found)),
        *(scalar for path in paths_of(run_dir, "evaluation/*/gate.json") for scalar in _gate(path)),
    ]
    if not scalars:
        raise mistake("no figures to replay yet", "make distill, sft or evaluate first", path=run_dir)
    place = run_dir.resolve()
    return Replay(
        name=place.parent.name,
        mission=place.name,
        scalars=[*scalars, *_spent(run_dir)],
        settings=_settings(run_dir),
        files=[path.resolve() for name in LINKED if (path := run_dir / name).is_file()],
        synthetic=is_synthetic(run_dir),
    )


def _guidance(row: RoundMetrics) -> Iterator[Scalar]:
    """The rates of a round (``guidance/…``, step: round) or of an epoch (``guidance_epoch/…``, step: epoch)."""
    group, step = ("guidance", row.round) if row.scope == "round" else ("guidance_epoch", row.epoch)
    for side, rates in (("all", row), ("learn", row.learn), ("holdout", row.holdout)):
        for name in ("frr", "false_block", "label_match") if rates else ():
            yield from _rate(f"{group}/{side}/{FIELD_NAMES.get(name, name)}", step, getattr(rates, name))
    yield from _rate(f"{group}/format", step, row.format)
    for name in ("rules", "need_review", "unreadable_answers", "unreadable_reflections"):
        if (count := getattr(row, name)) is not None:
            yield Scalar(f"{group}/{name}", step, float(count))


def _rate(name: str, step: int, rate: Rate) -> Iterator[Scalar]:
    """A rate and the ends of its 95 % interval; nothing where n is 0."""
    if rate.rate is not None and rate.low is not None and rate.high is not None:
        yield Scalar(name, step, rate.rate)
        yield Scalar(f"{name}_low95", step, rate.low)
        yield Scalar(f"{name}_high95", step, rate.high)


def _training(path: Path, several: bool) -> Iterator[Scalar]:
    """The log of sft (``train/…``) and the loss on its validation rows at both ends (``val/…``)."""
    said, under = _read_training(path), f"{path.parent.name}/" if several else ""
    try:
        for line in said["log"]:
            step = int(line["step"])
            yield Scalar(f"train/{under}loss", step, float(line["loss"]))
            yield Scalar(f"train/{under}learning_rate", step, float(line["lr"]))
            for task, tokens in line["learnt_tokens"].items():
                yield Scalar(f"train/{under}learnt_tokens/{task}", step, float(tokens))
        for task, loss in said["val"].items():
            yield Scalar(f"val/{under}{task}/loss", 0, float(loss["before"]))
            yield Scalar(f"val/{under}{task}/loss", int(said["steps"]), float(loss["after"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise mistake(f"no metrics of sft ({error!r})", "make sft again", path=path) from None


def _read_training(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise mistake(f"cannot be read ({type(error).__name__})", "name the metrics.json of sft", path=path) from None
    if not isinstance(said, dict):
        raise mistake("no metrics of sft (no JSON object)", "name the metrics.json of sft", path=path)
    return said


def _evaluation(path: Path, found: Evaluation) -> Iterator[Scalar]:
    """The student's scores (``eval/<student and questions>/…``); those that no question asks for are left out."""
    step = int(path.stem == "after")
    for metric in METRICS:
        name, score = f"eval/{path.parent.name}/{FIELD_NAMES.get(metric.name, metric.name)}", metric.of(found)
        if isinstance(score, Rate):
            yield from _rate(name, step, score)
        elif (value := value_of(score)) is not None:
            yield Scalar(name, step, value)


def _gate(path: Path) -> Iterator[Scalar]:
    """Whether the student may ship: 1 or 0."""
    yield Scalar(f"gate/{path.parent.name}/passed", 1, float(read_json(path, GateRecord).passed))


def _spent(run_dir: Path) -> Iterator[Scalar]:
    """Seconds and tokens of each step, from run.log."""
    for one in read_spent(run_dir):
        yield Scalar(f"time/{one.step}_s", 0, round(one.seconds, 1))
        if one.read or one.written:
            yield Scalar(f"tokens/{one.step}/read", 0, float(one.read))
            yield Scalar(f"tokens/{one.step}/written", 0, float(one.written))


def _settings(run_dir: Path) -> dict[str, str]:
    """Every knob that the run's tools were told, as ``section.knob``; lists as JSON.

    Where two tools were told different things, a name is that of the tool and the knob.
    """
    told: dict[str, dict[str, str]] = {}
    for path in sorted((run_dir / "config").glob("*.yaml")):
        for name, value in _leaves("", read_yaml(path)):
            told.setdefault(name, {})[path.stem] = value
    out: dict[str, str] = {}
    for name, by_tool in told.items():
        same = len(set(by_tool.values())) == 1
        out |= {name: next(iter(by_tool.values()))} if same else {f"{tool}:{name}": v for tool, v in by_tool.items()}
    return dict(sorted(out.items()))


def _leaves(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(f"{name}.{key}" if name else str(key), inner)
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
