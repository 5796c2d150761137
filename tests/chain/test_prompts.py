"""What becomes of a run whose prompt is another, older, missing or at an odd path: real make, the miniature teacher."""

import json
import os
from pathlib import Path

import pytest

from tests.support.builders import snapshot
from tests.support.small_runs import make, tickets
from verdicts.base.jsonl import write_rows

ODD = "it's here"
TINY = """\
window: {tickets: 8}
loop: {max_epochs: 1}
rollout: {max_new_tokens: 40}
reflect: {groups: 1, max_new_tokens: 60}
"""


@pytest.fixture
def run(tmp_path) -> Path:
    """A run whose prompt for tickets lies beside its CONFIG, at a path that make cannot hold."""
    folder = tmp_path / ODD
    folder.mkdir()
    (folder / "user.txt").write_text("照片摘要：\n{summaries}\n", encoding="utf-8")
    (folder / "my.yaml").write_text(f"{TINY}prompts: {{stage_b: {{user: user.txt}}}}\n", encoding="utf-8")
    write_rows(tmp_path / "tickets.jsonl", tickets(8))
    done = played(tmp_path, f"STAGE_A={tmp_path / 'tickets.jsonl'}", f"CONFIG={folder / 'my.yaml'}")
    assert done.returncode == 0, done.stderr
    return tmp_path / "runs/r/bbu_line"


def played(folder: Path, *words: str):
    return make("review", f"RUNS={folder / 'runs'}", "RUN=r", *words)


def prompts_of(run: Path) -> set[str]:
    lines = (run / "selections.jsonl").read_text(encoding="utf-8").splitlines()
    return {json.loads(line)["prompt"] for line in lines}


def results(run: Path) -> dict[str, bytes]:
    return {name: data for name, data in snapshot(run).items() if not name.endswith(("run.log", ".lock"))}


def test_a_run_follows_the_content_of_its_prompt_and_nothing_else(run):
    folder, own = run.parents[2], run.parents[2] / ODD / "user.txt"
    before, first = results(run), prompts_of(run)
    assert len(first) == 1
    own.touch()
    assert played(folder).returncode == 0 and results(run) == before

    own.write_text("以下为照片摘要：\n{summaries}\n", encoding="utf-8")
    os.utime(own, (1, 1))  # older than all that was made
    done = played(folder)
    assert done.returncode == 0 and "rollout 0001" in done.stderr
    second = prompts_of(run)
    assert len(second) == 1 and second != first

    before = results(run)
    for text, said in (
        ("{summaries}\n{label}\n", "user.txt: {label} is no placeholder of this prompt"),
        (None, "my.yaml: prompts.stage_b.user: no such file (user.txt, neither below configs/prompts/ nor beside"),
    ):
        own.write_text(text, encoding="utf-8") if text else own.unlink()
        done = played(folder)
        assert done.returncode == 2 and said in done.stderr, done.stderr
        assert results(run) == before
