"""Text as it comes from people's programs: what a file is, in which encoding, and a sentence where it cannot be read.

What tools exchange is UTF-8 (a byte order mark is passed over) with LF, CRLF or CR at line ends. Any other encoding is
named with the command that converts it, never guessed: bytes of one Chinese encoding mostly decode in another too.
"""

import codecs
import shlex
import stat
from pathlib import Path
from typing import BinaryIO

from verdicts.base.errors import UserError, mistake

# Longest first: the mark of UTF-32-LE begins with that of UTF-16-LE.
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_NO_TEXT = {
    b"PK\x03\x04": "a workbook",
    b"\xd0\xcf\x11\xe0": "a workbook",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF",
    b"GGUF": "a model",
}
BOM = codecs.BOM_UTF8


def open_bytes(path: Path) -> BinaryIO:
    """A file opened for reading; raises UserError for one that is not there, is no file, or may not be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            what = "is a folder" if path.is_dir() else "is no file but a pipe or a device"
            raise mistake(what, "give a file", path=path)
        return open(path, "rb")
    except FileNotFoundError:
        raise mistake("no such file", "check the path", path=path) from None
    except (OSError, ValueError) as error:  # no permission, links in a circle, a name too long or with a NUL
        raise mistake(
            f"cannot be read ({getattr(error, 'strerror', None) or error})",
            "check the path and its permissions",
            path=path,
        ) from None


def read_bytes(path: Path) -> bytes:
    """The bytes of a file; raises UserError as open_bytes does."""
    with open_bytes(path) as file:
        return file.read()


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, LF at every line end. Raises UserError as read_bytes does and for another encoding."""
    return decoded(read_bytes(path), path)


def decoded(data: bytes, path: Path) -> str:
    """The text in a file's bytes, which must be UTF-8."""
    if named := next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None):
        raise _other(path, f"is {named}, not UTF-8", named)
    if kind := no_text(data):
        raise mistake(f"is {kind}, not text", "give a text file in UTF-8", path=path)
    if b"\0" in data[:4] and data.strip(b"\0"):
        raise _other(
            path,
            "looks like UTF-16 without a byte order mark, not UTF-8",
            "UTF-16LE" if data[1:2] == b"\0" else "UTF-16BE",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8(data, error.start, path) from None
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def line_text(raw: bytes, path: Path, line: int) -> str:
    """The text of one line of a UTF-8 file, for readers that hold a line at a time; raises UserError with the line."""
    if line == 1 and (raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or b"\0" in raw[:4] or no_text(raw)):
        decoded(raw, path)
    try:
        return raw.removeprefix(BOM).decode() if line == 1 else raw.decode()
    except UnicodeDecodeError as error:
        raise not_utf8(raw, error.start, path, line) from None


def no_text(data: bytes) -> str | None:
    """What a file is that is no text at all, by its first bytes."""
    return next((kind for mark, kind in _NO_TEXT.items() if data.startswith(mark)), None)


def not_utf8(data: bytes, at: int, path: Path, line: int | None = None) -> UserError:
    """The error for bytes that are not UTF-8 from ``at`` on, with the encoding that they do make sense in."""
    what, todo = (
        (f"not UTF-8 (byte {at} of the line)", "save the file as UTF-8")
        if line
        else (f"not UTF-8 (byte {at})", "save it as UTF-8")
    )
    line = line or data.count(b"\n", 0, at) + 1
    try:
        data.decode("gb18030")
    except UnicodeDecodeError:
        return mistake(what, todo, path=path, line=line)
    return _other(path, f"{what}; it reads as GB18030 (GBK)", "GB18030", line)


def _other(path: Path, what: str, encoding: str, line: int | None = None) -> UserError:
    name = shlex.quote(str(path))
    return mistake(
        what,
        f"convert it: iconv -f {encoding} -t UTF-8 {name} > {shlex.quote(path.stem + '.utf8' + path.suffix)}",
        path=path,
        line=line,
    )
