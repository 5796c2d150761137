"""Each tracker's own library reads back what was replayed to it; a second time changes nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.builders import call
from verdicts.base.errors import UserError
from verdicts.tracking.series import Replay, Scalar
from verdicts.tracking.trackers import REPLAYED, to_mlflow, to_tensorboard, to_trackio, tracker_of

ROOT = Path(__file__).resolve().parents[2]


def replay(tmp_path: Path, loss: float = 0.25) -> Replay:
    linked = tmp_path / "guidance.json"
    linked.write_text("{}\n")
    scalars = [Scalar("train/loss", 5, 0.5), Scalar("train/loss", 10, loss),
               Scalar("guidance/learn/false_release_rate", 1, 0.125)]  # fmt: skip
    return Replay("exp", "bbu_line", scalars, {"sft.rank": "16", "rollout.grid": "[1, 2]"}, [linked], False)


def test_tensorboard_reads_back_every_number_the_settings_and_the_files(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    for _ in range(2):
        to_tensorboard(replay(tmp_path), tmp_path)
    (only,) = (tmp_path / "tensorboard").iterdir()
    first = only.read_bytes()
    found = EventAccumulator(str(only.parent), size_guidance={"tensors": 0}).Reload()
    assert [(event.step, event.value) for event in found.Scalars("train/loss")] == [(5, 0.5), (10, 0.25)]
    assert [event.value for event in found.Scalars("guidance/learn/false_release_rate")] == [0.125]
    assert set(found.Tags()["tensors"]) == {"settings", "files", metadata.SESSION_START_INFO_TAG}
    (text,) = found.Tensors("files")
    assert str(tmp_path / "guidance.json") in text.tensor_proto.string_val[0].decode()
    content = found.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    assert {name: value.string_value for name, value in start.hparams.items()} == replay(tmp_path).settings
    to_tensorboard(replay(tmp_path), tmp_path)
    assert only.read_bytes() == first, "the same figures, the same bytes"
    to_tensorboard(replay(tmp_path, 0.75), tmp_path)
    again = EventAccumulator(str(only.parent)).Reload()
    assert [(event.step, event.value) for event in again.Scalars("train/loss")] == [(5, 0.5), (10, 0.75)]


def test_the_event_file_of_the_same_run_has_the_same_bytes_from_another_process(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    code = ("from pathlib import Path; from tests.tracking.test_trackers import replay; "
            "from verdicts.tracking.trackers import to_tensorboard; "
            "import sys; to_tensorboard(replay(Path(sys.argv[1])), Path(sys.argv[1]))")  # fmt: skip
    seen = set()
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
        seen |= {path.read_bytes() for path in (tmp_path / "tensorboard").iterdir()}
    assert len(seen) == 1


def test_mlflow_reads_back_the_history_and_holds_one_run(tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="mlflow is not installed (mlflow-skinny in an environment of its own)")
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path}/mlruns")
    others = MlflowClient().create_run(MlflowClient().create_experiment("bbu_line"), run_name="exp")
    to_mlflow(replay(tmp_path, 0.75), tmp_path)
    cut_short = MlflowClient().create_run(others.info.experiment_id, run_name="exp", tags={REPLAYED: "unfinished"})
    to_mlflow(replay(tmp_path), tmp_path)
    assert to_mlflow(replay(tmp_path), tmp_path).startswith("kept in MLflow")
    client = MlflowClient()
    runs = client.search_runs([client.get_experiment_by_name("bbu_line").experiment_id])
    (ours,) = [run for run in runs if REPLAYED in run.data.tags]
    assert {run.info.run_id for run in runs} == {ours.info.run_id, others.info.run_id}, "what others made is there"
    assert cut_short.info.run_id != ours.info.run_id
    history = client.get_metric_history(ours.info.run_id, "train/loss")
    assert sorted((one.step, one.value) for one in history) == [(5, 0.5), (10, 0.25)]
    assert ours.data.params == {"sft.rank": "16", "rollout.grid": "[1, 2]"}
    assert [file.path for file in client.list_artifacts(ours.info.run_id)] == ["guidance.json"]


def test_mlflow_without_a_store_that_it_can_use_is_one_sentence(tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="mlflow is not installed (mlflow-skinny in an environment of its own)")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path}/mlruns")
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    with pytest.raises(UserError, match=r"TRACK=mlflow: MLflow refuses: .*; set MLFLOW_TRACKING_URI to your server"):
        to_mlflow(replay(tmp_path), tmp_path)


def test_trackio_reads_back_every_number_and_holds_one_run(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    trackio = pytest.importorskip("trackio", reason="trackio is not installed (it needs an older pillow than ours)")
    from trackio.sqlite_storage import SQLiteStorage

    to_trackio(replay(tmp_path, 0.75), tmp_path)
    to_trackio(replay(tmp_path), tmp_path)
    to_trackio(replay(tmp_path), tmp_path)
    (run,) = trackio.Api().runs("bbu_line")
    logged = SQLiteStorage.get_logs("bbu_line", "exp")
    assert sorted((row["step"], row["train/loss"]) for row in logged if "train/loss" in row) == [(5, 0.5), (10, 0.25)]
    assert run.config["sft.rank"] == "16" and run.config["file.guidance.json"] == str(tmp_path / "guidance.json")


def test_an_unknown_tracker_is_one_sentence_and_nothing_is_written(tmp_path):
    with pytest.raises(UserError, match="unknown tracker 'wandb'; choose one of tensorboard, mlflow, trackio"):
        tracker_of("wandb")
    outcome = call("track", run_dir=tmp_path, kind="wandb")
    assert outcome.code == 2 and list(tmp_path.iterdir()) == []
