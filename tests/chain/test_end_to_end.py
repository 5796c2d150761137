"""The whole text path with the real miniature teacher, through Make, as a user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.builders import drawn_rows
from tests.support.verify import verify
from tests.support.whole_chain import ROOT, make, rows

OTHER = {"pass": "fail", "fail": "pass"}


def files(folder: Path) -> dict[str, bytes]:
    """Every file of a run but its log."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "run.log"
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """200 tickets of a world with hidden rules, 5 % of labels flipped, and its truth."""
    folder = tmp_path_factory.mktemp("world")
    arguments = [
        "--mission",
        "bbu_line",
        "--seed",
        "1",
        "--tickets",
        "200",
        "--flip",
        "0.05",
        "--output",
        "tickets.jsonl",
        "--truth",
        "truth.jsonl",
    ]
    subprocess.run(
        [sys.executable, "-m", "miniature.world.dataset", *arguments],
        cwd=folder,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return folder


@pytest.fixture(scope="module")
def run(world) -> Path:
    """The finished run of that world."""
    make("distill", f"RUNS={world}", "RUN=world", f"STAGE_A={world / 'tickets.jsonl'}")
    return world / "world" / "bbu_line"


def test_the_loop_converges_and_finds_hidden_rules(run, world):
    assert json.loads((run / "loop.json").read_text())["status"] == "converged"
    hidden = set(rows(world / "truth.jsonl")[0]["hidden_rules"])
    (guidance,) = json.loads((run / "guidance.json").read_text()).values()
    assert len(hidden & set(guidance["experiences"].values())) >= 3


def test_flipped_labels_go_to_review_and_little_else(run, world):
    flipped = {row["ticket_key"] for row in rows(world / "truth.jsonl")[1:] if row["flipped"]}
    (review,) = json.loads((run / "need_review.json").read_text())["missions"].values()
    queued = {ticket["ticket_key"] for ticket in review["tickets"]}
    assert len(flipped & queued) >= 0.9 * len(flipped)
    assert len(flipped & queued) >= 0.8 * len(queued)


def test_the_run_passes_its_own_check(run, world):
    make("check", f"RUNS={world}", "RUN=world")


def test_the_run_passes_the_independent_check(run, world):
    make("verify", f"RUNS={world}", "RUN=world")


def test_a_second_make_does_nothing(run, world):
    before = files(run)
    done = make("distill", f"RUNS={world}", "RUN=world")
    assert "Nothing to be done" in done.stdout
    assert files(run) == before


def test_distillation_on_or_off_changes_no_other_file(run, world):
    off = world / "off.yaml"
    off.write_text("distill: {enabled: false}\n", encoding="utf-8")
    make("distill", f"RUNS={world}", "RUN=off", f"STAGE_A={world / 'tickets.jsonl'}", f"CONFIG={off}")
    corpus = {
        "distill_chatml.jsonl",
        "distill.train.jsonl",
        "distill.val.jsonl",
        "distill.dropped.jsonl",
        "distill.audit.jsonl",
    }
    told = {
        "config/distill.yaml",
        "config/made_with.json",
        ".made/distill.json",
    }  # what distill was told, and made of it
    rest = {name: data for name, data in files(run).items() if name not in corpus | told}
    assert {name: data for name, data in files(world / "off" / "bbu_line").items() if name not in told} == rest


def test_with_all_labels_flipped_every_prompt_and_answer_stays_the_same(run, tmp_path):
    tickets = rows(run / "stage_a.jsonl")
    flipped = tmp_path / "flipped.jsonl"
    flipped.write_text(
        "".join(json.dumps({**row, "label": OTHER[row["label"]]}, ensure_ascii=False) + "\n" for row in tickets),
        encoding="utf-8",
    )
    arguments = [
        "--config",
        run / "config/rollout.yaml",
        "--guidance",
        run / "rounds/0000/guidance.json",
        "--round",
        "1",
    ]
    for name, path in (("as_it_was", run / "stage_a.jsonl"), ("flipped", flipped)):
        subprocess.run(
            [
                sys.executable,
                "-m",
                "tools.rollout",
                *map(str, arguments),
                "--stage-a",
                str(path),
                "--output-dir",
                str(tmp_path / name),
            ],
            cwd=ROOT,
            check=True,
        )
    before, after = (
        [
            (row["group_id"], row["response_text"], row["verdict_logprob"])
            for row in rows(tmp_path / name / "trajectories.jsonl")
        ]
        for name in ("as_it_was", "flipped")
    )
    assert before == after
    assert rows(tmp_path / "as_it_was" / "trajectories.jsonl") == rows(run / "rounds/0001/trajectories.jsonl")


@pytest.mark.parametrize("mission", ["bbu_wind", "bbu_cable"])
def test_tickets_of_another_mission_end_with_a_corpus_that_passes_the_independent_check(mission, tmp_path):
    source = tmp_path / "tickets.jsonl"
    source.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in drawn_rows(mission, 60)), encoding="utf-8"
    )
    make("distill", f"MISSION={mission}", f"RUNS={tmp_path}", "RUN=drawn", f"STAGE_A={source}")
    done = verify(tmp_path / "drawn" / mission, "--stage-a", source)
    assert done.returncode == 0, done.stdout
