"""Writing a file so that it is there whole or not at all, whatever kills the writer or fills the disk.

A file is written beside its place, flushed to disk and renamed over it. The name beside is the writer's own (process
and chance), so two writers never share one; who writes a file sweeps away what killed writers of it have left.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from verdicts.base.errors import UserError, mistake
from verdicts.base.processes import is_alive

AGAIN = "then give the same command again: what was there is as it was"
# What the system says of a disk or a path that is not as it should be, in our words: what is wrong, what to do.
REFUSALS = {
    errno.ENOSPC: ("the disk is full", f"make room, {AGAIN}"),
    errno.EDQUOT: ("your share of the disk is used up", f"make room, {AGAIN}"),
    errno.EFBIG: ("no file may be that long here", f"raise the limit (ulimit -f), {AGAIN}"),
    errno.EROFS: ("the disk can only be read", "name a place that can be written"),
    errno.EACCES: ("permission denied", "change its permissions, or name another path"),
    errno.EPERM: ("not permitted", "change its permissions, or name another path"),
    errno.ENOTDIR: ("a file stands where a folder is wanted", "move it away, or name another path"),
    errno.EEXIST: ("a file stands where a folder is wanted", "move it away, or name another path"),
    errno.EISDIR: ("is a folder where a file is wanted", "move it away, or name another path"),
    errno.ENAMETOOLONG: ("the name is too long", "take a shorter one"),
    errno.ELOOP: ("links that lead in a circle", "mend them, or name another path"),
    errno.EIO: ("the disk fails (input/output error)", f"look after the disk, {AGAIN}"),
    errno.ESTALE: ("the network disk has gone", f"mount it again, {AGAIN}"),
    errno.EMFILE: ("too many open files", "raise the limit (ulimit -n)"),
    errno.ENFILE: ("too many open files", "close other programs, then give the same command again"),
}
_TEMPORARY = re.compile(r"\.(?P<writer>\d+)-[0-9a-f]{6}\.tmp$")
_IN_A_TEXT = re.compile(r"\(os error (\d+)\)")
_unfinished: set[Path] = set()


@contextmanager
def beside(place: Path) -> Iterator[Path]:
    """The path to write to instead of ``place``: renamed to it when the block ends well, else removed.


    Close the file inside the block. Raises UserError, naming ``place``, where the disk refuses.
    """
    temporary = place.with_name(f".{place.name[:40]}.{os.getpid()}-{os.urandom(3).hex()}.tmp")
    _unfinished.add(temporary)
    try:
        with writing(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            for left in place.parent.glob(f".{glob_escaped(place.name[:40])}.*.tmp"):
                sweep(left)
            yield temporary
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, place)
    finally:
        remove_quietly(temporary)
        _unfinished.discard(temporary)


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn what the system says of a full disk or a path that cannot be written into a UserError that names ``place``.

    Libraries that say it in the system's name count too.
    """
    try:
        yield
    except Exception as error:
        said = refusal(error, place)
        if said is None:
            raise
        raise said from None


def refusal(error: BaseException, place: Path | str | None = None) -> UserError | None:
    """The sentence for an error of REFUSALS, None for any other. It names the error's own path, else ``place``.

    Compiled libraries (safetensors) report the system's number inside a text of their own.
    """
    number = getattr(error, "errno", None)
    if not isinstance(error, OSError) and (found := _IN_A_TEXT.search(str(error))):
        number = int(found[1])
    if number not in REFUSALS:
        return None
    named = getattr(error, "filename2", None) or getattr(error, "filename", None)  # of two, the second is written
    named = named if isinstance(named, str) and not _TEMPORARY.search(named) else None
    what, todo = REFUSALS[number]
    if number == errno.EACCES and (of := _another_owner(Path(named or place or "."))):
        what, todo = f"{what}: {of}", "chown it, or run as its owner (in a container: --user), or name another path"
    return mistake(what, todo, path=named or place)


def _another_owner(path: Path) -> str:
    """Whose the nearest folder is that is there, in words; "" where it is this user's own."""
    folder = next((str(of) for of in (path, *path.parents) if os.path.exists(of)), ".")
    owner, user = os.stat(folder).st_uid, os.geteuid()
    return "" if owner == user else f"{folder} belongs to user {owner}, and this is user {user}"


def sweep(left: Path) -> None:
    """Remove a temporary file whose writer is dead."""
    found = _TEMPORARY.search(left.name)
    if found and not is_alive(int(found["writer"])):
        remove_quietly(left)


def sweep_all(folder: Path) -> None:
    """Remove what killed writers left anywhere below a folder."""
    for left in folder.rglob(".*.tmp"):
        sweep(left)


def remove_unfinished() -> None:
    """Remove what this process has begun to write, before it ends at once."""
    for path in list(_unfinished):
        remove_quietly(path)


def remove_quietly(path: Path) -> None:
    """Remove a file if it is there and can be removed: an error here would hide the one that matters."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return


def glob_escaped(name: str) -> str:
    """A name for ``Path.glob`` that means itself."""
    return re.sub(r"([*?[])", r"[\1]", name)
