"""What a run's figures are called and where each stands: by hand, from a small run."""

import json

import pytest

from tests.support.builders import RunFolder, ticket
from tests.support.judging import GOOD, Bench, answers
from verdicts.base.errors import UserError
from verdicts.base.jsonl import read_rows
from verdicts.records.run import RoundMetrics
from verdicts.tracking.series import Scalar, read_replay

TRAINED = {
    "steps": 10,
    "log": [
        {"step": 5, "loss": 0.5, "lr": 0.0002, "learnt_tokens": {"chat": 100, "dense": 20}},
        {"step": 10, "loss": 0.25, "lr": 0.0001, "learnt_tokens": {"chat": 90}},
    ],
    "val": {"chat": {"rows": 4, "before": 2.0, "after": 0.75}},
}


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """Two rounds of four tickets: a fail released in the first."""
    run = RunFolder(tmp_path, [ticket("a"), ticket("b", "fail"), ticket("c"), ticket("d", "fail")])
    for said in ("pass pass", "fail fail"):
        run.play({"a::pass": "pass pass", "b::fail": said, "c::pass": "pass pass", "d::fail": "fail fail"})
    run.finish().complete()
    return run


def test_a_round_s_rates_stand_at_its_number_with_their_intervals(run):
    scalars = read_replay(run.folder).scalars
    row = read_rows(run.folder / "metrics.jsonl", RoundMetrics)[0]
    assert (row.scope, row.round, row.frr.k, row.frr.n) == ("round", 1, 1, 2)
    found = {(name, step): value for name, step, value in scalars}
    assert found["guidance/all/false_release_rate", 1] == 0.5
    assert found["guidance/all/false_release_rate_high95", 1] == row.frr.high
    assert found["guidance/all/false_release_rate", 2] == 0.0
    assert found["guidance/all/label_match", 1] == 0.75
    assert found["guidance/format", 1] == 1.0
    assert ("guidance_epoch/all/false_release_rate", 1) in found
    assert len(found) == len(scalars), "one number a name and step"


def test_training_stands_at_its_steps_and_validation_at_both_ends(run, tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps(TRAINED))
    trained = [one for one in read_replay(run.folder, path).scalars if one.name.startswith(("train/", "val/"))]
    assert trained == [
        Scalar("train/loss", 5, 0.5), Scalar("train/learning_rate", 5, 0.0002),
        Scalar("train/learnt_tokens/chat", 5, 100.0), Scalar("train/learnt_tokens/dense", 5, 20.0),
        Scalar("train/loss", 10, 0.25), Scalar("train/learning_rate", 10, 0.0001),
        Scalar("train/learnt_tokens/chat", 10, 90.0),
        Scalar("val/chat/loss", 0, 2.0), Scalar("val/chat/loss", 10, 0.75),
    ]  # fmt: skip


def test_an_evaluation_stands_at_0_before_and_at_1_after_training(run, tmp_path):
    bench = Bench(tmp_path / "judged")
    bench.write_answers("before", answers(["pass"] * 40 + ["fail"] * 40, GOOD["pass"], [], []))
    bench.write_answers("after", answers(GOOD["fail"], GOOD["pass"], [], []))
    pair = run.folder / "evaluation" / "demo-1"
    pair.mkdir(parents=True)
    for when in ("before", "after"):
        (pair / f"{when}.json").write_text((bench.path(when)).read_text())
    found = {(name, step): value for name, step, value in read_replay(run.folder).scalars}
    assert found["eval/demo-1/false_release_rate", 0] == 0.5
    assert found["eval/demo-1/false_release_rate", 1] == 0.0


def test_what_each_step_took_and_every_knob_come_along(run):
    (run.folder / "run.log").write_text("2026-01-31T12:00:02 took rollout: 2.5 s, 1000 tokens read, 200 written\n")
    replay = read_replay(run.folder)
    assert [one for one in replay.scalars if one.name.startswith(("time/", "tokens/"))] == [
        Scalar("time/rollout_s", 0, 2.5), Scalar("tokens/rollout/read", 0, 1000.0),
        Scalar("tokens/rollout/written", 0, 200.0),
    ]  # fmt: skip
    assert replay.settings["mission.slug"] == "bbu_line" and replay.settings["distill.enabled"] == "true"
    assert {path.name for path in replay.files} >= {"guidance.json", "metrics.jsonl"}


def test_the_same_run_has_the_same_digest_and_another_figure_another(run):
    before = read_replay(run.folder).digest
    assert read_replay(run.folder).digest == before
    (run.folder / "run.log").write_text("2026-01-31T12:00:02 took rollout: 2.5 s, 1000 tokens read, 200 written\n")
    assert read_replay(run.folder).digest != before


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "cannot be read"),
        ("[]", "no JSON object"),
        ('{"log": [{"step": 1}]}', "no metrics of sft"),
        ("{}", "no metrics"),
    ],
)
def test_what_is_no_training_log_and_a_run_without_figures_are_one_sentence(run, tmp_path, text, what):
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(UserError, match=rf"m\.json: .*{what}"):
        read_replay(run.folder, tmp_path / "m.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no figures to replay yet"):
        read_replay(tmp_path / "empty")
