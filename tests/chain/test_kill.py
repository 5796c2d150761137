"""Killed at any moment and started again, a run ends in the bytes of an undisturbed one; no two runs share a folder."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.small_tools import as_by_hand, environment, left_of, wait_for

ROOT = Path(__file__).resolve().parents[2]
TEACHER = ROOT / "data" / "miniature" / "teacher.gguf"
# Who is told, and what: all processes, as a terminal or `kill -9 -GROUP` does it, or make alone.
BLOWS = (
    [(os.killpg, signal.SIGKILL)] * 4
    + [(os.kill, signal.SIGKILL)] * 2
    + [(tell, number) for tell in (os.killpg, os.kill) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
)
STOP_S = 2 + 3  # what a stop may take, and what a busy machine may take to let a process run
SETTINGS = "window: {tickets: 40}\nloop: {max_epochs: 4}\nengine: {chunk: 8, slots: 8}\n"


def start(run: str, tickets: Path, config: Path, runs: Path) -> subprocess.Popen:
    """Start the loop through Make in a process group of its own."""
    command = [
        "make",
        "review",
        "MISSION=bbu_line",
        f"RUN={run}",
        f"RUNS={runs}",
        f"STAGE_A={tickets}",
        f"CONFIG={config}",
        f"PY={sys.executable}",
        "READY=",
    ]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment(runs),
        preexec_fn=as_by_hand,
    )


def artifacts(folder: Path) -> dict[str, bytes]:
    """Every file of a run but its log (the only one that holds times)."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "run.log"
    }


def differences(runs: Path) -> list[str]:
    """The files that only one of the two runs has, or that differ, each with what they hold."""
    whole, killed = artifacts(runs / "whole"), artifacts(runs / "killed")
    return [
        f"{name}: {whole.get(name)!r:.2000} but {killed.get(name)!r:.2000}"
        for name in sorted(whole.keys() | killed.keys())
        if whole.get(name) != killed.get(name)
    ]


@pytest.fixture(scope="module")
def tickets(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("world") / "tickets.jsonl"
    arguments = [
        "--mission",
        "bbu_line",
        "--seed",
        "3",
        "--tickets",
        "80",
        "--flip",
        "0.05",
        "--output",
        str(path),
        "--truth",
        str(path.with_name("truth.jsonl")),
    ]
    subprocess.run([sys.executable, "-m", "miniature.world.dataset", *arguments], cwd=ROOT, check=True)
    return path


def test_a_run_killed_and_stopped_at_12_random_moments_ends_in_the_same_bytes(tickets, tmp_path):
    config = tmp_path / "small.yaml"
    config.write_text(SETTINGS, encoding="utf-8")
    begun = time.monotonic()
    whole = start("whole", tickets, config, tmp_path)
    _, errors = whole.communicate()
    assert whole.returncode == 0, errors
    undisturbed_s = time.monotonic() - begun

    moments = random.Random(20)
    blows = moments.sample(BLOWS, len(BLOWS))
    for _ in range(200):
        process = start("killed", tickets, config, tmp_path)
        try:
            _, errors = process.communicate(
                timeout=moments.uniform(0.3, max(1.0, undisturbed_s / 4)) if blows else None
            )
        except subprocess.TimeoutExpired:
            tell, number = blows.pop()
            tell(process.pid, number)
            took = wait_for(lambda: not left_of(tmp_path))
            said = process.communicate()[1].strip()
            assert took < STOP_S, f"{number.name} took {took:.1f} s"
            assert not re.search("/(tools|verdicts)/", said.partition("Traceback")[2]), (
                said
            )  # but Python's own, before it comes to a line of ours
            continue
        assert process.returncode == 0, errors
        if not blows:
            break
        # It finished before all blows were spent: begin again from nothing and go on.
        assert differences(tmp_path) == []
        subprocess.run(["rm", "-r", str(tmp_path / "killed")], check=True)
    assert not blows
    assert differences(tmp_path) == []


def test_of_two_runs_on_one_folder_the_second_says_who_holds_it(tickets, tmp_path):
    config = tmp_path / "small.yaml"
    config.write_text(SETTINGS, encoding="utf-8")
    both = [start("one", tickets, config, tmp_path) for _ in range(2)]  # the same instant
    wait_for(lambda: any(process.poll() is not None for process in both))
    refused, holder = sorted(both, key=lambda process: process.poll() is None)
    said = refused.communicate()[1]
    assert (
        refused.returncode == 2
        and "is held by `make review MISSION=bbu_line RUN=one" in said
        and f"(pid {holder.pid}, since " in said
    ), said
    wait_for(lambda: (tmp_path / "one/bbu_line/rounds/0001/.rollout.part.jsonl").exists() or holder.poll() is not None)
    later = start("one", tickets, config, tmp_path)
    assert f"(pid {holder.pid}, since " in later.communicate()[1] and later.returncode == 2
    assert holder.poll() is None
    os.killpg(holder.pid, signal.SIGKILL)
    holder.communicate()


def test_a_model_file_cut_while_it_is_read_is_one_sentence_and_the_run_goes_on_with_the_whole_one(tickets, tmp_path):
    model = tmp_path / "teacher.gguf"
    shutil.copy(TEACHER, model)
    config = tmp_path / "small.yaml"
    config.write_text(SETTINGS.replace("engine: {", f"engine: {{model: {model}, "), encoding="utf-8")
    process = start("cut", tickets, config, tmp_path)
    wait_for((tmp_path / "cut/bbu_line/rounds/0001/.rollout.part.jsonl").exists)
    os.truncate(model, 4096)
    said = process.communicate()[1]
    assert (
        process.returncode == 2 and "rollout: llama.cpp died (SIGBUS): the model file changed while it was read" in said
    ), said
    shutil.copy(TEACHER, model)
    again = start("cut", tickets, config, tmp_path)
    wait_for((tmp_path / "cut/bbu_line/rounds/0001/trajectories.jsonl").exists)
    os.killpg(again.pid, signal.SIGKILL)
    again.communicate()
