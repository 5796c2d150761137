"""Small runs through Make, made once and copied."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.builders import ticket
from tests.support.make_graph import OURS

ROOT = Path(__file__).resolve().parents[2]
OPEN, SHUT = "机柜门敞开×1", "机柜门关闭×1"


def tickets(count: int = 6, first: int = 0) -> list:
    """Tickets with a summary that says it all, fail where the door is open."""
    return [
        ticket(f"t{number}", "fail" if number % 2 else "pass", (f"BBU设备/显示完整×1，{OPEN if number % 2 else SHUT}",))
        for number in range(first, first + count)
    ]


def make(*words: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    outer = {name: value for name, value in os.environ.items() if name not in OURS}
    return subprocess.run(
        ["make", *words, f"PY={sys.executable}", "READY=", "READY_STUDENT="],
        cwd=folder,
        capture_output=True,
        text=True,
        env=outer | environment,
    )
