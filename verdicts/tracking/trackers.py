"""Where figures can be replayed to. Each kind says what it did; the same run a second time changes nothing there.

TensorBoard has one event file a run, which is written anew. In MLflow and trackio a run bears the digest of what was
replayed: an older replay of it, or one that was cut short, is deleted; a run that others made is never touched.
"""

import contextlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verdicts.base.errors import mistake
from verdicts.tracking.series import Replay

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary

REPLAYED = "ticket_verdicts.replay"  # the digest of what a run of theirs was replayed from
EVENTS = "events.out.tfevents.0000000000.verdicts"
MLFLOW_LONGEST, MLFLOW_BATCH = 500, 100  # characters of a parameter; parameters a call (docs of MLflow's REST API)


def tracker_of(kind: str) -> "Callable[[Replay, Path], str]":
    """The function that replays to one kind; it takes the run's folder too. Raises UserError for an unknown one."""
    if kind not in TRACKERS:
        raise mistake(f"unknown tracker {kind!r}", f"choose one of {', '.join(TRACKERS)}", field="TRACK")
    return TRACKERS[kind]


def _missing(kind: str, package: str, error: ImportError) -> Exception:
    todo = f"install it: .venv/bin/pip install -c constraints.txt {package}"
    if kind == "trackio":
        todo = "give it an environment of its own, since it needs an older pillow: docs/track.md"
    return mistake(f"{error.name} is not installed", todo, field=f"TRACK={kind}")


# -- TensorBoard


def to_tensorboard(replay: Replay, run_dir: Path) -> str:
    """``<run>/tensorboard/``: one event file, whole or not at all."""
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter
    except ImportError as error:
        raise _missing("tensorboard", "tensorboard", error) from None
    from verdicts.base.whole_file import beside

    dated = (run_dir / "metrics.jsonl").stat().st_mtime if (run_dir / "metrics.jsonl").exists() else 0.0
    folder = run_dir / "tensorboard"
    folder.mkdir(exist_ok=True)
    with beside(folder / EVENTS) as temporary, open(temporary, "wb") as file:
        writer = RecordWriter(file)

        def write(**event: Any) -> None:
            writer.write(Event(wall_time=dated, **event).SerializeToString(deterministic=True))

        write(file_version="brain.Event:2")
        links = _table({path.name: str(path) for path in replay.files})
        texts = _text_summary("settings", _table(replay.settings)), _text_summary("files", links)
        write(step=0, summary=Summary(value=[_settings_summary(replay), *texts]))
        for name, step, number in sorted(replay.scalars, key=lambda scalar: scalar.step):
            write(step=step, summary=Summary(value=[Summary.Value(tag=name, simple_value=number)]))
        writer.flush()
    return f"{folder / EVENTS}; look: tensorboard --logdir {run_dir.parent.parent}"


def _settings_summary(replay: Replay) -> "Summary.Value":
    """The settings for the page HPARAMS."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    start = plugin_data_pb2.SessionStartInfo(group_name=f"{replay.name}/{replay.mission}")
    for name, value in replay.settings.items():
        start.hparams[name].string_value = value
    data = plugin_data_pb2.HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION, session_start_info=start)
    content = data.SerializeToString(deterministic=True)
    plugin = SummaryMetadata.PluginData(plugin_name=metadata.PLUGIN_NAME, content=content)
    return Summary.Value(tag=metadata.SESSION_START_INFO_TAG, tensor=metadata.NULL_TENSOR,
                         metadata=SummaryMetadata(plugin_data=plugin))  # fmt: skip


def _text_summary(tag: str, text: str) -> "Summary.Value":
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING
    from tensorboard.plugins.text import metadata

    tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()])
    return Summary.Value(tag=tag, tensor=tensor, metadata=metadata.create_summary_metadata(tag, ""))


def _table(rows: Mapping[str, str]) -> str:
    """A table in Markdown."""
    cells = (f"| {name} | {value.replace('|', chr(92) + '|').replace(chr(10), ' ')} |" for name, value in rows.items())
    return "\n".join(["| | |", "|---|---|", *cells])


# -- MLflow


def to_mlflow(replay: Replay, _: Path) -> str:
    """A run of the experiment that bears the mission's name, where MLFLOW_TRACKING_URI says."""
    try:
        from mlflow.entities import Metric, Param
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise _missing("mlflow", "mlflow-skinny", error) from None
    try:
        client = MlflowClient()
        found = client.get_experiment_by_name(replay.mission)
        experiment = found.experiment_id if found else client.create_experiment(replay.mission)
        ours = [run for run in client.search_runs([experiment])
                if run.info.run_name == replay.name and REPLAYED in run.data.tags]  # fmt: skip
        if any(run.data.tags[REPLAYED] == replay.digest for run in ours):
            return f"kept in MLflow: {replay.mission}, run {replay.name}"
        tags = {REPLAYED: "unfinished", "synthetic": str(replay.synthetic).lower()}
        run = client.create_run(experiment, run_name=replay.name, tags=tags)
        settings = [Param(_mlflow_name(name), value[:MLFLOW_LONGEST]) for name, value in replay.settings.items()]
        metrics = [Metric(_mlflow_name(name), value, 0, step) for name, step, value in replay.scalars]
        for at in range(0, max(len(settings), len(metrics)), MLFLOW_BATCH):
            part = slice(at, at + MLFLOW_BATCH)
            client.log_batch(run.info.run_id, metrics=metrics[part], params=settings[part])
        for path in replay.files:
            client.log_artifact(run.info.run_id, str(path))
        client.set_tag(run.info.run_id, REPLAYED, replay.digest)
        client.set_terminated(run.info.run_id)
        for old in ours:
            client.delete_run(old.info.run_id)
    except (MlflowException, OSError) as error:
        what = str(error).splitlines()[0][:300]
        todo = "set MLFLOW_TRACKING_URI to your server (docs/track.md)"
        raise mistake(f"MLflow refuses: {what}", todo, field="TRACK=mlflow") from None
    return f"MLflow, experiment {replay.mission}, run {replay.name}"


def _mlflow_name(name: str) -> str:
    """Letters, digits and ``_-. /`` are what MLflow takes."""
    return "".join(char if char.isalnum() or char in "_-. /" else "." for char in name)


# -- trackio


def to_trackio(replay: Replay, _: Path) -> str:
    """A run of the project that bears the mission's name; below TRACKIO_DIR, or where trackio keeps its own."""
    try:
        import trackio
    except ImportError as error:
        raise _missing("trackio", "trackio", error) from None
    try:
        ours = [run for run in trackio.Api().runs(replay.mission)
                if run.name == replay.name and REPLAYED in (run.config or {})]  # fmt: skip
    except ValueError:
        ours = []  # no such project yet
    for run in ours:  # always: one that was cut short looks like a whole one
        run.delete()
    linked = {f"file.{path.name}": str(path) for path in replay.files}
    config: dict[str, Any] = {**replay.settings, **linked, "synthetic": replay.synthetic, REPLAYED: replay.digest}
    by_step: dict[int, dict[str, float]] = {}
    for name, step, value in replay.scalars:
        by_step.setdefault(step, {})[name] = value
    with contextlib.redirect_stdout(io.StringIO()):  # it prints in colour, terminal or not; our last line says where
        trackio.init(project=replay.mission, name=replay.name, config=config, embed=False, auto_log_gpu=False,
                     auto_log_cpu=False)  # fmt: skip
        for step in sorted(by_step):
            trackio.log(by_step[step], step=step)
        trackio.finish()
    return f"trackio, project {replay.mission}, run {replay.name}; look: trackio show --project {replay.mission}"


# kind -> how to replay. A new one is a function here.
TRACKERS: "dict[str, Callable[[Replay, Path], str]]" = {
    "tensorboard": to_tensorboard,
    "mlflow": to_mlflow,
    "trackio": to_trackio,
}
