"""Reading and writing the files that tools exchange.

Readers name every mistake as ``path:line: field: what; what to do`` (encodings: text_files.py; JSON: json_text.py).
Writers put the whole file beside its place and rename it, so that a file that exists is whole. JSON is UTF-8 with
Chinese unescaped, keys in the order of the record model.
"""

import difflib
import json
import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, TextIO, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from verdicts.base.errors import UserError, mistake
from verdicts.base.json_text import Flaw, decode
from verdicts.base.made import makes
from verdicts.base.text_files import BOM, line_text, open_bytes, read_text
from verdicts.base.whole_file import beside

RowT = TypeVar("RowT", bound=BaseModel)

# JSON allows these inside a string, yet str.splitlines takes each for a line end. Escaped, a record stays one line.
_LINE_ENDS = ("\x85", "\u2028", "\u2029")
_HALF = re.compile("[\ud800-\udfff]")
_ARRAY_MB = 64  # a file beyond this is not read whole to say what it holds instead of lines


def read_rows(path: Path, model: type[RowT], *, allow_empty: bool = False) -> list[RowT]:
    """Read a JSONL file into records.

    Raises UserError for a missing or (unless ``allow_empty``) empty file and for the first bad line.
    """
    return [row for _, row in read_numbered(path, model, allow_empty=allow_empty)]


def read_numbered(path: Path, model: type[RowT], *, allow_empty: bool = False) -> list[tuple[int, RowT]]:
    """Read a JSONL file into (line number, record) pairs, for a caller that names mistakes of its own.

    Raises as read_rows does.
    """
    return parse_rows(read_text(path), model, path, allow_empty=allow_empty)


def parse_rows(text: str, model: type[RowT], path: Path, *, allow_empty: bool = False) -> list[tuple[int, RowT]]:
    """The text of a JSONL file as (line number, record) pairs. Raises as read_rows does."""
    rows = [
        (number, parse_row(line, model, path, number))
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]
    if not rows and not allow_empty:
        raise mistake("the file holds no record", "give a file with at least one JSON object a line", path=path)
    return rows


def read_json(path: Path, model: type[RowT]) -> RowT:
    """Read a file that is one JSON object."""
    text = read_text(path)
    if not text.strip():
        raise mistake("the file is empty", "restore it, or delete it to have it made again", path=path)
    return parse_row(text, model, path, None)


def parse_row(text: str, model: type[RowT], path: Path, line: int | None) -> RowT:
    """Parse one JSON object as a record; raises UserError naming path, line and field."""
    return validate(decode_json(text, path, line), model, path, line)


def decode_json(text: str, path: Path, line: int | None = None) -> Any:
    """The value of a JSON text. Raises UserError for what json_text refuses, at ``line`` or the text's own line."""
    try:
        return decode(text)
    except Flaw as flaw:
        at = flaw.at.lineno if flaw.at and line is None else line
        if line is not None and flaw.at and (instead := _instead_of_lines(text, path)):
            raise mistake(*instead, path=path, line=line) from None
        raise mistake(flaw.what, flaw.todo, path=path, line=at, field=".".join(map(str, flaw.loc)) or None) from None


def _instead_of_lines(text: str, path: Path) -> tuple[str, str] | None:
    """What a file whose line is no JSON holds instead and what to do, where it is JSON as a whole."""
    if text.strip()[:1] not in ("[", "{") or not path.is_file() or path.stat().st_size > _ARRAY_MB * 2**20:
        return None
    try:
        value = decode(read_text(path))
    except (Flaw, UserError):
        return None
    if isinstance(value, list):
        return (
            f"holds one JSON array of {len(value)} items, not an object a line",
            f"write one object a line: jq -c .[] {shlex.quote(str(path))}",
        )
    return "holds one object over several lines", f"write it on one line: jq -c . {shlex.quote(str(path))}"


def validate(
    value: Any, model: type[RowT], path: Path | Callable[[tuple[int | str, ...]], Path], line: int | None = None
) -> RowT:
    """Check a decoded value against a record model; raises UserError naming path, line and field.

    ``path`` may be a function from the place of a mistake to the file it comes from, where a value has several sources.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _mistake_of(error, model, value, path, line) from None


def _mistake_of(error: ValidationError, model: type[BaseModel], value: Any, path: Any, line: int | None) -> UserError:
    """The first problem of a validation as one sentence. An unknown field comes first: it explains a missing one."""
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    loc = _without_tags(first["loc"], value)
    context = first.get("ctx", {})
    if first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        loc = (*loc, context["discriminator"].strip("'"))
    field = ".".join(str(part) for part in loc) or None
    path = path(loc) if callable(path) else path
    shown = _shown(first.get("input"))
    if first["type"] == "extra_forbidden":
        known = difflib.get_close_matches(str(loc[-1]), _known_fields(model, first["loc"][:-1]), n=1)
        return mistake(
            "unknown field", f"did you mean {known[0]!r}?" if known else "remove it", path=path, line=line, field=field
        )
    if first["type"] in ("missing", "union_tag_not_found"):
        return mistake("missing", "add it", path=path, line=line, field=field)
    if first["type"] == "union_tag_invalid":
        choices, _, last = context["expected_tags"].rpartition(", ")
        what = f"input should be {choices} or {last} ({_shown(context['tag'])})"
        return mistake(what, "correct the value", path=path, line=line, field=field)
    if first["type"] == "value_error":
        what, _, todo = str(context["error"]).partition("; ")
        return mistake(what, todo or "correct it", path=path, line=line, field=field)
    return mistake(
        f"{first['msg'][0].lower()}{first['msg'][1:]} ({shown})", "correct the value", path=path, line=line, field=field
    )


def _without_tags(loc: tuple[int | str, ...], value: Any) -> tuple[int | str, ...]:
    """The place of a mistake as the file has it: pydantic adds the tag of a union, ``engine.openai.base_url``.

    A tag is a part that the value does not hold: a name in a list, or one in a mapping with more behind it.
    """
    place: list[int | str] = []
    for number, part in enumerate(loc, start=1):
        if isinstance(value, dict) and part not in value and (number < len(loc) or part in value.values()):
            continue
        if isinstance(value, list | str) and isinstance(part, str):
            continue
        place.append(part)
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            value = None
    return tuple(place)


def _shown(value: Any) -> str:
    """A wrong value, cut to a line's part."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


def _known_fields(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Field names of the model that sits at ``loc`` inside ``model`` (best effort: names of the last model met)."""
    choices = [model]
    for part in loc:
        tagged = [one for one in choices if any(part in _literals(f.annotation) for f in one.model_fields.values())]
        if len(choices) > 1 and tagged:  # the tag of a union
            choices = tagged
            continue
        info = choices[0].model_fields.get(str(part)) or choices[0].model_fields.get("root")
        inner = _types_in(info.annotation) if info else []
        choices = [t for t in inner if isinstance(t, type) and issubclass(t, BaseModel)] or choices
    return list(choices[0].model_fields)


def _literals(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _types_in(annotation: Any) -> list[Any]:
    args = getattr(annotation, "__args__", ())
    return [annotation, *(found for arg in args for found in _types_in(arg))]


def _without_halves(text: str) -> str:
    """JSON text that UTF-8 can hold: half a surrogate, which no reader takes, is spelt out as ``\\\\udxxx``."""
    return _HALF.sub(lambda found: f"\\\\u{ord(found.group()):04x}", text) if _HALF.search(text) else text


def dump(row: BaseModel | dict[str, Any]) -> str:
    """One record as one JSON line, without the line end."""
    value = row.model_dump(mode="json") if isinstance(row, BaseModel) else row
    text = _without_halves(json.dumps(value, ensure_ascii=False))
    for char in _LINE_ENDS:
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def write_text(path: Path, text: str) -> None:
    """Write a whole file: beside its place, flushed to disk, then renamed. Raises UserError where the disk refuses."""
    with whole_files(path) as (file,):
        file.write(text)


def write_rows(path: Path, rows: Iterable[BaseModel | dict[str, Any]]) -> None:
    """Write records as JSONL, whole; a record is in memory only while it is written."""
    with whole_files(path) as (file,):
        file.writelines(dump(row) + "\n" for row in rows)


def write_json(path: Path, value: BaseModel | dict[str, Any]) -> None:
    """Write one JSON object, indented for people, whole."""
    write_text(path, json_text(value))


def json_text(value: BaseModel | dict[str, Any]) -> str:
    """One JSON object, indented for people."""
    value = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return _without_halves(json.dumps(value, ensure_ascii=False, indent=2)) + "\n"


def write_text_if_changed(path: Path, text: str) -> bool:
    """Write only where the content differs, so that Make sees a new time for new content alone. Returns whether so."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        makes(path)
        return False
    write_text(path, text)
    return True


# -- one row in memory at a time: for files that grow with a run's tickets


class Placed(NamedTuple):
    """A line that is not blank, without its line end: its number from 1, and where its bytes stand in the file."""

    line: int
    offset: int
    length: int
    text: str


def stream_lines(path: Path, *, blank: bool = False) -> Iterator[Placed]:
    """Yield the lines of a text file that are not blank (``blank``: those too), with their places.

    Raises UserError with the line.
    """
    line = offset = 0
    with open_bytes(path) as file:
        for raw in file:
            # bytes.splitlines ends a line where open() in text mode does: at \n, \r and \r\n
            for piece in raw.splitlines(keepends=True) if b"\r" in raw else (raw,):
                line += 1
                body = piece.rstrip(b"\r\n")
                text = line_text(body, path, line)
                bom = len(BOM) if line == 1 and body.startswith(BOM) else 0
                if blank or (text and not text.isspace()):
                    yield Placed(line, offset + bom, len(body) - bom, text)
                offset += len(piece)


def stream_placed(path: Path, model: type[RowT], *, allow_empty: bool = False) -> Iterator[tuple[Placed, RowT]]:
    """Yield (place, record) pairs of a JSONL file. Raises as read_rows does, but only once it comes to the mistake.

    A caller that writes while it reads must therefore write beside its place until the end.
    """
    empty = not allow_empty
    for placed in stream_lines(path):
        empty = False
        yield placed, parse_row(placed.text, model, path, placed.line)
    if empty:
        raise mistake("the file holds no record", "give a file with at least one JSON object a line", path=path)


def stream_rows(path: Path, model: type[RowT], *, allow_empty: bool = False) -> Iterator[RowT]:
    """Yield the records of a JSONL file. Raises as stream_placed does."""
    return (row for _, row in stream_placed(path, model, allow_empty=allow_empty))


def stream_good(path: Path, model: type[RowT]) -> Iterator[tuple[int, RowT]]:
    """Yield (line number, record) pairs of a file's good lines."""
    for placed in stream_lines(path):
        try:
            yield placed.line, parse_row(placed.text, model, path, placed.line)
        except UserError:
            continue


class RowsByPlace:
    """A file whose rows are read again by their place. Raises UserError where it has changed since it was opened."""

    def __init__(self, path: Path):
        self.path = path
        self._file = open(path, "rb")  # noqa: SIM115  open as long as this object lives
        self._state = self._now()

    def text(self, offset: int, length: int) -> str:
        """The text that stands there."""
        if self._now() != self._state:
            raise mistake("changed while it was read", "run the tool again", path=self.path)
        return os.pread(self._file.fileno(), length, offset).decode("utf-8")

    def row(self, offset: int, length: int, model: type[RowT]) -> RowT:
        """The record that stands there."""
        return parse_row(self.text(offset, length), model, self.path, None)

    def _now(self) -> tuple[int, int]:
        state = os.fstat(self._file.fileno())
        return state.st_size, state.st_mtime_ns


@contextmanager
def whole_files(*paths: Path) -> Iterator[list[TextIO]]:
    """Files to write row by row: beside their places, then flushed to disk and renamed.

    All of them are renamed or, where anything is raised, none.
    """
    with ExitStack() as stack:
        temporaries = [stack.enter_context(beside(path)) for path in paths]
        with ExitStack() as opened:
            yield [opened.enter_context(open(path, "w", encoding="utf-8", newline="\n")) for path in temporaries]
