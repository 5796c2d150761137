"""Who may write into a run folder: one command at a time, with all tools that it starts.

The command is the make that a person called (MAKE_ROOT), or a tool called by hand. It owns a folder from its first tool
to its own end; the tools of one make share it. Nothing of this lies in the folder: a note of the owner is kept in the
machine's folder for temporary files, and what is a dead owner's counts no more. While a tool is at work it also holds a
lock (flock) on the folder itself, which another container or user of the same disk sees, where there is no common note.
"""

import errno
import fcntl
import json
import os
import time
from collections.abc import Callable
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from verdicts.base import processes
from verdicts.base.errors import UserError, mistake
from verdicts.base.made import is_run
from verdicts.base.whole_file import sweep_all
from verdicts.command.shards import shard_named

PATIENCE_S = 3.0  # tools of a command that was just stopped are gone by then
DEPTH = 3  # a tool's output lies at most so far below the run folder
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EINVAL)
_held: list[int] = []  # open files, whose locks end with this process


def writes(main: Callable[..., None], where: str | Callable[..., Path]) -> Callable[..., None]:
    """``main`` with what it writes into held while it runs.

    ``where``: the name of the option that says what is written into, or a function of all options. Nothing is held with
    ``dry_run``; of the processes of a launch on several GPUs the first one holds for all.
    """

    @wraps(main)
    def held(**given: Any) -> None:
        if not given.get("dry_run") and os.environ.get("RANK", "0") == "0":
            output = given[where] if isinstance(where, str) else where(**given)
            share = shard_named(given.get("shard") or "")
            # shares of one result are made side by side, each in a file of its own
            hold(share.path(output.resolve()) if share else folder_of(output))
        main(**given)

    return held


def folder_of(output: Path) -> Path:
    """What is held for an output: the run folder that it lies in, else the output itself."""
    path = output.resolve()
    return next((folder for folder in (path, *path.parents[:DEPTH]) if is_run(folder)), path)


def hold(place: Path) -> None:
    """Own ``place`` (absolute) until this process ends. Raises UserError where another command owns it."""
    given_up = time.monotonic() + PATIENCE_S
    while why := _refusal(place):
        if why.final or time.monotonic() > given_up:
            raise why.error
        time.sleep(0.05)


class _Why:
    def __init__(self, error: UserError, final: bool):
        self.error, self.final = error, final


def _refusal(place: Path) -> _Why | None:
    """Take the place, or say why not. ``final``: waiting a moment would not help."""
    me = _me(place)
    with _note_of(place) as note:
        owner = _read(note)
        mine = owner is not None and owner["root"] == me["root"]
        if owner and not mine and processes.is_alive(*owner["root"]):
            return _Why(held_by(place, owner), final=True)
        folder = _open_folder(place)
        if folder is not None and not _lock(folder, fcntl.LOCK_EX) and not mine:
            os.close(folder)
            return _Why(held_by(place, owner), final=False)
        if not mine:
            sweep_all(place)
            note.seek(0)
            note.truncate()
            note.write(json.dumps(me))
        if folder is not None:
            _lock(folder, fcntl.LOCK_SH)
            _held.append(folder)
    return None


def held_by(place: Path, owner: dict[str, Any] | None) -> UserError:
    """The sentence for a place that another command owns; ``owner`` None: of another machine, container or user."""
    if owner is None:
        return mistake(
            "a command of another machine, container or user writes here",
            "wait for it, or name another RUN",
            path=place,
        )
    who = f"`{owner['command']}` (pid {owner['root'][0]}, since {owner['since']})"
    return mistake(
        f"is held by {who}", f"wait for it, stop it (kill {owner['root'][0]}), or name another RUN", path=place
    )


def _me(place: Path) -> dict[str, Any]:
    root = processes.named_root()
    root = root if root and processes.is_alive(*root) else processes.this()
    if not root.started and (found := processes.stat(root.number)):
        root = root._replace(started=found.started)
    return {
        "root": list(root),
        "command": processes.command_of(root.number),
        "since": time.strftime("%H:%M"),
        "place": str(place),
    }


@contextmanager
def _note_of(place: Path) -> Any:
    """The note of a place's owner, open to read and write, for one process at a time."""
    import hashlib
    import tempfile

    folder = Path(tempfile.gettempdir()) / f"tickets-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise mistake("is not this user's folder", "remove it", path=folder)
    name = hashlib.sha256(os.fsencode(place)).hexdigest()[:24]
    with open(os.open(folder / f"{name}.owner", os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8") as note:
        fcntl.flock(note, fcntl.LOCK_EX)
        yield note


def _read(note: Any) -> dict[str, Any] | None:
    """The owner, None where nobody is noted, or what is there cannot be read (a disk that was full)."""
    try:
        owner = json.loads(note.read())
        return owner if {"root", "command", "since"} <= set(owner) else None
    except (ValueError, TypeError):
        return None


def _open_folder(place: Path) -> int | None:
    try:
        return os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None  # not made yet, or a file's name


def _lock(folder: int, kind: int) -> bool:
    """Whether the lock could be had at once; a disk that knows no locks gives it to all."""
    try:
        fcntl.flock(folder, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return True
