"""No network, no code from data: a run works without any network, and nothing unpickles or trusts what it reads."""

import re
import shutil
import subprocess
import sys

import pytest

from tests.support.small_tools import ROOT, environment

SOURCES = {
    path.relative_to(ROOT): path.read_text(encoding="utf-8")
    for folder in ("tools", "verdicts", "miniature", "make")
    for path in (ROOT / folder).rglob("*.py")
}


def test_a_run_needs_no_network(tmp_path):
    if not shutil.which("unshare") or subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode:
        pytest.skip("unshare -rn is not allowed here")
    tickets, config = tmp_path / "tickets.jsonl", tmp_path / "small.yaml"
    drawn = [
        "--mission",
        "bbu_line",
        "--seed",
        "3",
        "--tickets",
        "8",
        "--flip",
        "0",
        "--output",
        tickets,
        "--truth",
        tmp_path / "truth.jsonl",
    ]
    subprocess.run(
        [sys.executable, "-m", "miniature.world.dataset", *map(str, drawn)],
        cwd=ROOT,
        check=True,
        env=environment(tmp_path),
    )
    config.write_text("window: {tickets: 8}\nloop: {max_epochs: 3}\n", encoding="utf-8")
    words = [
        "make",
        "distill",
        "MISSION=bbu_line",
        "RUN=off",
        f"RUNS={tmp_path}",
        f"STAGE_A={tickets}",
        f"CONFIG={config}",
        f"PY={sys.executable}",
        "READY=",
    ]
    done = subprocess.run(
        ["unshare", "-rn", *words], cwd=ROOT, capture_output=True, text=True, env=environment(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "off/bbu_line/distill.train.jsonl").exists()


def test_nothing_unpickles_and_nothing_runs_code_that_comes_with_a_checkpoint():
    assert len(SOURCES) > 80
    loose = {
        "pickle": r"\b(?:import|from) (?:c?pickle|dill|joblib|shelve|marshal)\b|allow_pickle *= *True",
        "torch.load without weights_only=True": r"torch\.load\((?![^\n]*weights_only=True)",
        "trust_remote_code": r"trust_remote_code *= *True",
        "yaml that makes objects": r"yaml\.(?:unsafe_load|full_load|load\((?![^\n]*(?:Safe|_Loader)))",
        "eval or exec": r"(?<![\w.])(?:eval|exec)\(",
    }
    assert [
        f"{path}: {what}" for path, text in SOURCES.items() for what, form in loose.items() if re.search(form, text)
    ] == []
