"""Tools of a few lines, to test how a tool starts, stops and holds a folder: they sleep, compute or write."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARK = "SMALL_TOOL"  # in the environment of whatever a test starts, so that it finds what is left of it

TEMPLATE = """
import ctypes, hashlib, os, signal, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated
import typer
from verdicts.command import cli

def main(folder: Annotated[Path, typer.Option(help="a folder")] = Path(".")) -> None:
    {body}

if __name__ == "__main__":
    cli.run(main{how})
"""


def small_tool(folder: Path, body: str, how: str = "", name: str = "small") -> Path:
    """Write a tool; ``body``: what main does (with its option ``folder``), ``how``: more arguments of cli.run."""
    path = folder / f"{name}.py"
    path.write_text(
        TEMPLATE.format(body=body.strip().replace("\n", "\n    "), how=f", {how}" if how else ""), encoding="utf-8"
    )
    return path


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a command of its own, not of the make that may run the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "RUN_LOG"))}
    return kept | {MARK: str(folder), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | more


def as_by_hand() -> None:
    """In a new process: switch on the signals that the caller of the tests switched off (nohup, a script's ``&``)."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def start(folder: Path, *command: object, **options: object) -> subprocess.Popen:
    """Start a command in a session of its own."""
    more = options.pop("preexec_fn", lambda: None)
    options["preexec_fn"] = lambda: (as_by_hand(), more())
    given = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
        "cwd": folder,
        "env": environment(folder),
        "start_new_session": True,
    } | options
    return subprocess.Popen([str(word) for word in command], **given)


def start_tool(path: Path, *words: object, **options: object) -> subprocess.Popen:
    """Start a small tool."""
    return start(path.parent, sys.executable, path, *words, **options)


def left_of(folder: Path) -> list[int]:
    """Live processes that a test started in ``folder``, with all that they started."""
    wanted, found = f"{MARK}={folder}".encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (
                    wanted in (entry / "environ").read_bytes().split(b"\0")
                    and (entry / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
                ):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def wait_for(what: Callable[[], object], seconds: float = 60.0) -> float:
    """Wait until ``what`` holds; returns how long that took."""
    begun = time.monotonic()
    while not what():
        assert time.monotonic() - begun < seconds, "waited in vain"
        time.sleep(0.02)
    return time.monotonic() - begun


def end_all(folder: Path) -> None:
    """Leave nothing of a failed test behind."""
    for number in left_of(folder):
        os.kill(number, signal.SIGKILL)
