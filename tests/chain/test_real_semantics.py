"""The guard, conflict_policy and a switched-off corpus on a real run: the miniature teacher, through Make."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.builders import call
from tests.support.verify import verify
from tests.support.whole_chain import ROOT, make, rows

# nothing bad, so the teacher lets such tickets pass and the guard has much to say
OVERLAY = "fail_first: {negatives: [[蛇形管]]}\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished run on 80 drawn tickets under a guard that has much to say."""
    folder = tmp_path_factory.mktemp("guarded")
    given = [
        "--mission",
        "bbu_line",
        "--seed",
        "3",
        "--tickets",
        "80",
        "--flip",
        "0.1",
        "--output",
        str(folder / "tickets.jsonl"),
        "--truth",
        str(folder / "truth.jsonl"),
    ]
    subprocess.run([sys.executable, "-m", "miniature.world.dataset", *given], cwd=ROOT, check=True)
    (folder / "guard.yaml").write_text(OVERLAY, encoding="utf-8")
    make(
        "distill",
        f"RUNS={folder}",
        "RUN=guarded",
        f"STAGE_A={folder / 'tickets.jsonl'}",
        f"CONFIG={folder / 'guard.yaml'}",
    )
    return folder / "guarded" / "bbu_line"


def distilled(run: Path, folder: Path, old: str, new: str) -> Path:
    """A copy of the run, distilled again under another setting."""
    shutil.copytree(run, folder)
    config = folder / "config" / "distill.yaml"
    text = config.read_text(encoding="utf-8")
    assert old in text
    config.write_text(text.replace(old, new), encoding="utf-8")
    given = {
        name: folder / f"{name}.{kind}"
        for name, kind in (
            ("loop", "json"),
            ("stage_a", "jsonl"),
            ("selections", "jsonl"),
            ("guidance", "json"),
            ("need_review", "json"),
        )
    }
    outcome = call("distill", config=config, output_dir=folder, **given)
    assert outcome.code == 0, outcome.err
    return folder


def test_fails_that_the_guard_found_are_in_the_corpus_and_not_in_review(run):
    overridden = [row for row in rows(run / "selections.jsonl") if "fail_first_override" in row["warnings"]]
    found = {row["ticket_key"] for row in overridden if row["label"] == "fail"}
    (review,) = json.loads((run / "need_review.json").read_text(encoding="utf-8"))["missions"].values()
    taught = {
        f"{row['group_id']}::{row['label']}" for name in ("train", "val") for row in rows(run / f"distill.{name}.jsonl")
    }
    assert len(found) >= 3 and found <= taught and not found & {ticket["ticket_key"] for ticket in review["tickets"]}
    by_guard = {
        (row["ticket_key"], row["round"]) for row in rows(run / "trajectories.jsonl") if row["source"] == "guard"
    }
    assert {(row["ticket_key"], row["round"]) for row in overridden} <= by_guard


def test_the_run_passes_both_checks(run):
    assert call("check", run_dir=run).code == 0
    done = verify(run)
    assert done.returncode == 0, done.stdout


def test_conflict_policy_changes_the_corpus_of_a_real_run(run, tmp_path):
    (review,) = json.loads((run / "need_review.json").read_text(encoding="utf-8"))["missions"].values()
    waiting = {ticket["ticket_key"] for ticket in review["tickets"]}
    assert waiting
    flagged = {}
    for policy in ("mark", "downweight", "keep"):
        folder = distilled(run, tmp_path / policy, "conflict_policy: drop", f"conflict_policy: {policy}")
        flagged[policy] = {
            f"{row['group_id']}::{row['label']}": (row["weight"], row["flags"])
            for name in ("train", "val")
            for row in rows(folder / f"distill.{name}.jsonl")
        }
        assert rows(folder / "distill.dropped.jsonl") == [] and waiting <= flagged[policy].keys()
    assert {flagged["mark"][key] for key in waiting} == {(1.0, "conflict")}
    assert {flagged["downweight"][key] for key in waiting} == {(0.3, "conflict")}
    assert {flagged["keep"][key] for key in waiting} == {(1.0, "")}


def test_a_corpus_that_is_switched_off_is_not_there_to_be_used_on(run, tmp_path):
    folder = distilled(run, tmp_path / "off", "enabled: true", "enabled: false")
    assert list(folder.glob("distill*.jsonl")) == []
    assert (folder / "distill.superseded/0001/distill.train.jsonl").read_bytes() == (
        run / "distill.train.jsonl"
    ).read_bytes()
