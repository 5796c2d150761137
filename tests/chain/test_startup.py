"""Every tool answers --help at once: what is heavy is imported inside main."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = sorted(path.stem for path in (ROOT / "tools").glob("*.py") if path.stem != "__init__")
HEAVY = {"pydantic", "yaml", "numpy", "torch", "transformers", "llama_cpp", "tqdm", "httpx", "PIL"}


@pytest.mark.parametrize("tool", TOOLS)
def test_starting_a_tool_imports_nothing_heavy(tool):
    script = f"import sys, tools.{tool}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


@pytest.mark.parametrize("tool", TOOLS)
def test_help_names_every_option_with_its_meaning(tool):
    found = subprocess.run(
        [sys.executable, "-m", f"tools.{tool}", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    options = [line.strip() for line in found.stdout.splitlines() if line.strip().startswith("--")]
    assert len(options) >= 2
    assert all(len(line.split(maxsplit=1)[1].split()) >= 2 for line in options), options
