"""The independent checker, as tests run it."""

import subprocess
import sys
from pathlib import Path

VERIFIER = Path(__file__).resolve().parents[2] / "tools" / "verify_run.py"


def verify(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Run it as it is meant to be run: by Python alone, without the project or its packages in reach."""
    command = [sys.executable, "-I", "-S", VERIFIER, "--run-dir", folder, *words]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True)
