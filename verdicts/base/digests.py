"""Digests of files and folders by content. Those of large files are remembered, so that gigabytes are read once.

A remembered digest holds while path, size, inode, and the times of content and status stay as they were: whoever writes
a file changes its status time, which no program can set back. The memory is ``.cache/digests.sqlite`` in the working
directory; it may be deleted at any time, and where it cannot be written files are simply read again.
"""

import hashlib
import os
import sqlite3
from pathlib import Path

ABSENT = "absent"
MEMORY = Path(".cache", "digests.sqlite")
_LARGE = 256 * 2**10  # bytes: smaller files are read faster than looked up
_DIGITS = 32
_Key = tuple[str, int, int, int, int]  # real path, size, inode, times of content and of status
_known: dict[_Key, str] = {}


def digest_of_text(text: str) -> str:
    """SHA-256 of a text, 32 hex digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def digest_of_path(path: Path) -> str:
    """SHA-256 of a file's content, or of a folder's (names and contents of its files); ``absent`` where nothing is."""
    try:
        if path.is_dir():
            files = sorted(
                file
                for file in path.rglob("*")
                if not any(part.startswith(".") for part in file.relative_to(path).parts) and file.is_file()
            )
            return digest_of_text(
                "\n".join(f"{file.relative_to(path).as_posix()} {digest_of_path(file)}" for file in files)
            )
        return _of_file(path)
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT


def _of_file(path: Path) -> str:
    status = path.stat()
    if status.st_size < _LARGE:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:_DIGITS]
    key = (os.path.realpath(path), status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
    if key not in _known:
        _known[key] = _recall(key) or _remember(key, _read(path))
    return _known[key]


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> str:
    return sha256_of(path)[:_DIGITS]


def _recall(key: _Key) -> str | None:
    try:
        with _memory() as memory:
            found = memory.execute(
                "select digest from digests where path = ? and stamp = ?", (key[0], str(key[1:]))
            ).fetchone()
        return found[0] if found else None
    except sqlite3.Error:
        return None


def _remember(key: _Key, digest: str) -> str:
    try:
        with _memory() as memory:
            memory.execute("insert or replace into digests values (?, ?, ?)", (key[0], str(key[1:]), digest))
    except (sqlite3.Error, OSError):  # no memory here (a read-only folder): it is read again next time
        return digest
    return digest


def _memory() -> sqlite3.Connection:
    MEMORY.parent.mkdir(exist_ok=True)
    memory = sqlite3.connect(MEMORY, timeout=5)
    memory.execute("create table if not exists digests (path text primary key, stamp text, digest text)")
    return memory
