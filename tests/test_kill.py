"""Killed at any moment and started again, a run ends in the bytes of an undisturbed one."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEACHER = ROOT / "data" / "miniature" / "teacher.gguf"
KILLS = 20
SETTINGS = "window: {tickets: 40}\nloop: {max_epochs: 4}\nengine: {chunk: 8, slots: 8}\n"


def start(run: str, tickets: Path, config: Path, runs: Path) -> subprocess.Popen:
    """Start the loop through Make in a process group of its own."""
    command = ["make", "review", "MISSION=bbu_line", f"RUN={run}", f"RUNS={runs}", f"STAGE_A={tickets}", f"CONFIG={config}", f"PY={sys.executable}", "READY="]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)


def artifacts(folder: Path) -> dict[str, bytes]:
    """Every file of a run but its log (the only one that holds times)."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "run.log"}


@pytest.fixture(scope="module")
def tickets(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("world") / "tickets.jsonl"
    arguments = ["--mission", "bbu_line", "--seed", "3", "--tickets", "80", "--flip", "0.05", "--output", str(path), "--truth", str(path.with_name("truth.jsonl"))]
    subprocess.run([sys.executable, "-m", "tools.miniature.world", *arguments], cwd=ROOT, check=True)
    return path


def test_a_run_killed_at_20_random_moments_ends_in_the_same_bytes(tickets, tmp_path):
    config = tmp_path / "small.yaml"
    config.write_text(SETTINGS, encoding="utf-8")
    begun = time.monotonic()
    whole = start("whole", tickets, config, tmp_path)
    _, errors = whole.communicate()
    assert whole.returncode == 0, errors
    undisturbed_s = time.monotonic() - begun

    moments, killed = random.Random(20), 0
    for _ in range(200):
        process = start("killed", tickets, config, tmp_path)
        try:
            _, errors = process.communicate(timeout=moments.uniform(0.3, max(1.0, undisturbed_s / 4)) if killed < KILLS else None)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            killed += 1
            continue
        assert process.returncode == 0, errors
        if killed >= KILLS:
            break
        # It finished before all kills were spent: begin again from nothing and go on killing.
        assert artifacts(tmp_path / "killed") == artifacts(tmp_path / "whole")
        subprocess.run(["rm", "-r", str(tmp_path / "killed")], check=True)
    assert killed == KILLS
    assert artifacts(tmp_path / "killed") == artifacts(tmp_path / "whole")
