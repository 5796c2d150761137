"""Processes as Linux tells of them in /proc: who is alive, who started whom, which make is about to end.

Where there is no /proc (macOS), ``stat`` is None and callers do with what the parent's number says.
"""

import os
import signal
from pathlib import Path
from typing import NamedTuple

ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
ROOT_VARIABLE = "MAKE_ROOT"


class Process(NamedTuple):
    """A process, not to be mistaken for a later one of the same number.

    ``started``: clock ticks since boot, 0 where not known.
    """

    number: int
    started: int


class Stat(NamedTuple):
    """What /proc/NUMBER/stat says. ``state`` Z: dead, its parent has not asked yet; ``started``: ticks since boot."""

    name: str
    state: str
    parent: int
    started: int


def stat(number: int) -> Stat | None:
    """None where there is no such process, or no /proc."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()
    return Stat(name, fields[0], int(fields[1]), int(fields[19]))


def is_alive(number: int, started: int = 0) -> bool:
    """Whether that very process runs; ``started`` 0 stands for any of that number."""
    if found := stat(number):
        return found.state not in "ZX" and started in (0, found.started)
    if Path("/proc/self/stat").exists():
        return False
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def this() -> Process:
    """This process."""
    mine = stat(os.getpid())
    return Process(os.getpid(), mine.started if mine else 0)


class Above(NamedTuple):
    """A process without which this one has no reason to go on."""

    process: Process
    is_make: bool


def up_to(root: Process) -> list[Above]:
    """The parent, its parent and so on up to the make that a person called.

    That make alone where it is not among them (the tool was started over ssh or srun).
    """
    named = stat(root.number)
    found, number = [], os.getppid()
    while named and number > 1 and number != root.number and (known := stat(number)):
        found.append(Above(Process(number, known.started), known.name == named.name))
        number = known.parent
    return [*(found if number == root.number else []), Above(root, True)]


def named_root() -> Process | None:
    """The make that a person called, as the Makefile names it in MAKE_ROOT (``number:started:host``).

    None without one, and for one of another machine.
    """
    number, _, rest = os.environ.get(ROOT_VARIABLE, "").partition(":")
    started, _, host = rest.partition(":")
    if not number.isdecimal() or (host and host != os.uname().nodename):
        return None
    return Process(int(number), int(started) if started.isdecimal() else 0)


def is_ending(number: int) -> bool:
    """Whether a make has been told to end and only waits for what it started.

    GNU make catches these signals from its first moment; told to end it takes back the handler of the one it got, then
    waits for its children (job.c, commands.c: fatal_error_signal). So one that is neither caught nor ignored has come.
    """
    masks = {}
    try:
        for line in Path(f"/proc/{number}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name in ("SigCgt", "SigIgn"):
                masks[name] = int(value, 16)
    except OSError:
        return False
    held = masks.get("SigCgt", -1) | masks.get("SigIgn", -1)
    return any(not held >> (sent - 1) & 1 for sent in ENDING)


def command_of(number: int) -> str:
    """The command of a process as it was typed, roughly, cut to a readable length; "" where it cannot be read."""
    try:
        words = Path(f"/proc/{number}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")[:-1]
    except OSError:
        return ""
    if words and Path(words[0]).name.startswith("python") and "-m" in words:
        words = ["python", *words[words.index("-m") :]]
    shown = " ".join(word for word in words if not word.startswith("READY"))
    return "".join(char if char.isprintable() else "?" for char in shown)[:120]
