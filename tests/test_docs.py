"""What the README and docs/ name is there: tools, targets, options, files, configurations."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.core.config import load

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "data/miniature/MODEL_CARD.md"]
TOOLS = sorted(path.stem for path in (ROOT / "tools").glob("*.py") if path.stem != "__init__")
MISSIONS = sorted(path.stem for path in (ROOT / "configs/missions").glob("*.yaml"))
MODELS = sorted(path.stem for path in (ROOT / "configs/models").glob("*.yaml"))


def targets() -> set[str]:
    """Names that `make help` lists."""
    shown = subprocess.run(["make", "help", f"PY={sys.executable}", "READY="], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^  ([a-z][a-z-]*) ", shown, re.MULTILINE))


def test_the_readme_has_one_line_for_each_tool():
    assert sorted(re.findall(r"^\| `([a-z_]+)` \|", README, re.MULTILINE)) == TOOLS


def test_every_make_target_named_in_the_docs_exists():
    named = {(page.name, target) for page in PAGES for target in re.findall(r"(?:^|`|&& )make ([a-z][a-z-]*)", page.read_text(encoding="utf-8"), re.MULTILINE)}
    assert len(named) >= 8
    assert {(page, target) for page, target in named if target not in targets()} == set()


def test_every_command_shown_for_a_tool_uses_options_it_has():
    shown = [(page.name, *found) for page in PAGES for found in re.findall(r"python -m tools\.([a-z_.]+)((?: +[^\n`]*)?)", page.read_text(encoding="utf-8"))]
    assert len(shown) >= 5
    for page, tool, words in shown:
        usage = subprocess.run([sys.executable, "-m", f"tools.{tool}", "--help"], cwd=ROOT, capture_output=True, text=True).stdout
        for option in re.findall(r"--[a-z][a-z-]*", words):
            assert option in usage, f"{page}: tools.{tool} has no {option}"


def test_every_file_linked_in_the_docs_exists():
    links = [(page, link) for page in PAGES for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8"))]
    assert len(links) >= 6
    assert [str(page.name) + ": " + link for page, link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("models", MODELS)
@pytest.mark.parametrize("mission", MISSIONS)
def test_every_shipped_configuration_loads(mission, models):
    assert load(models, mission).distill.enabled


def test_there_are_seven_missions_and_two_model_sets():
    assert (len(MISSIONS), len(MODELS)) == (7, 2)
