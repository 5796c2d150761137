"""make/completion.bash: bash completes targets, variables and their values, as `make help` lists them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
ASK = 'source "$1"; COMP_LINE=$2 COMP_POINT=${#2}; _verdicts_make; printf "%s\\n" "${COMPREPLY[@]}"'


def completed(line: str, folder: Path = ROOT) -> list[str]:
    """What bash offers behind ``line``."""
    script = ROOT / "make/completion.bash"
    done = subprocess.run(
        ["bash", "-c", ASK, "-", script, line], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_targets_and_variables_are_those_of_make_help():
    listed = subprocess.run(["awk", "-f", "make/help.awk", "Makefile", *sorted(map(str, (ROOT / "make").glob("*.mk")))],
                            cwd=ROOT, capture_output=True, text=True, check=True).stdout  # fmt: skip
    names = re.findall(r"^  ([a-z][\w-]*)", listed, re.MULTILINE)
    variables = [f"{name}=" for name in re.findall(r"^  ([A-Z_]+)", listed, re.MULTILINE)]
    assert len(names) > 30 and len(variables) > 20
    assert set(completed("make ")) == {*names, *variables}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("make dist", ["distill"]),
        ("make review-p", ["review-page"]),
        ("make distill MISS", ["MISSION="]),
        ("make distill MODELS=", ["fake32b", "miniature", "qwen3"]),
        ("make distill MISSION=bbu_l", ["bbu_line"]),
        ("make track TRACK=t", ["tensorboard", "trackio"]),
        ("make clean REMAKE=", ["1"]),
        ("make plan STAGE_A=READ", ["README.md", "README.zh.md"]),
        ("make xyz", []),
    ],
)
def test_a_word_is_completed_by_what_it_begins(line, offered):
    assert sorted(completed(line)) == offered


def test_runs_are_those_that_are_there_and_another_folder_is_left_to_bash(tmp_path):
    (tmp_path / "make").mkdir()
    (tmp_path / "make/help.awk").touch()
    for name in ("exp1", "exp2", "demo"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    assert sorted(completed("make show RUN=exp", tmp_path)) == ["exp1", "exp2"]
    (tmp_path / "make/help.awk").unlink()
    assert completed("make show RUN=exp", tmp_path) == []
