"""Decisions that people hand in, in whatever form, by reviewer."""

from collections.abc import Container, Sequence
from pathlib import Path
from typing import NamedTuple

from verdicts.base.errors import mistake
from verdicts.base.jsonl import decode_json
from verdicts.base.text_files import open_bytes, read_text
from verdicts.command.cli import say
from verdicts.records.review import ReviewDecision, decisions_by_ticket
from verdicts.review.decisions import refuse_unteachable
from verdicts.review.label_studio_export import is_export, read_export
from verdicts.review.spreadsheet import read_cells, read_given
from verdicts.tables.parquet import columns_of, is_parquet, stream_cells, stream_parquet


class Reviewer(NamedTuple):
    """One reviewer's decisions by ticket. ``name``: theirs, or that of the file where it names none, or several."""

    name: str
    said: dict[str, ReviewDecision]


def read_reviewers(paths: Sequence[Path], known: Container[str]) -> list[Reviewer]:
    """Each file's reviewers: one of JSONL or a table, every annotator of a Label Studio export.

    Raises UserError naming the place for a bad row, and for a reviewer who stands in two files.
    """
    found: list[Reviewer] = []
    of: dict[str, Path] = {}
    for path in paths:
        for reviewer in _reviewers(path, known):
            if reviewer.name in of:
                raise mistake(
                    f"is by {reviewer.name}, as {of[reviewer.name]} is", "name another reviewer's file", path=path
                )
            of[reviewer.name] = path
            found.append(reviewer)
    return found


def _reviewers(path: Path, known: Container[str]) -> list[Reviewer]:
    items = _export_in(path)
    if items is None:
        said = read_given(path, known) if not is_parquet(path) else _of_table(path, known)
        names = {decision.reviewer for decision in said.values()} - {""}
        return [Reviewer(names.pop() if len(names) == 1 else path.name, said)]
    exported = read_export(path, items, known)
    for line in exported.counted:
        say(f"review_apply: {path}: {line}")
    for decisions in exported.by_reviewer.values():
        refuse_unteachable(path, decisions.values())
    if not exported.by_reviewer:
        raise mistake("holds no decision of this run's tickets", "export a project that people decided", path=path)
    return [Reviewer(name, said) for name, said in exported.by_reviewer.items()]


def _of_table(path: Path, known: Container[str]) -> dict[str, ReviewDecision]:
    """The decisions of a Parquet table: one of our own, or one with the columns of our spreadsheet."""
    heads = columns_of(path)
    if set(heads) == {*ReviewDecision.model_fields}:
        return decisions_by_ticket(path, stream_parquet(path, ReviewDecision), known)
    return read_cells(path, heads, stream_cells(path), known)


def _export_in(path: Path) -> list[object] | None:
    """The items of a Label Studio export; None for a file that is none."""
    with open_bytes(path) as file:
        if file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"[":
            return None
    value = decode_json(read_text(path), path)
    return value if is_export(value) else None
