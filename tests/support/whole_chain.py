"""Make in a folder of the project, and reading what it made."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def make(*words: str) -> subprocess.CompletedProcess:
    """Run make in the project with this Python."""
    outer = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "RUN_LOG")
    }
    done = subprocess.run(
        ["make", *words, f"PY={sys.executable}", "READY="], cwd=ROOT, capture_output=True, text=True, env=outer
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
