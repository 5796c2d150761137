"""Decisions in a spreadsheet: the table people fill in, and reading back whatever their program made of it.

Accepted: commas, semicolons or tabs; UTF-8 with or without BOM, UTF-16 with BOM (Excel's "Unicode text"), GB18030 (what a
Chinese Excel calls CSV); LF or CRLF; line ends inside quotes; Chinese or English heads and words. Quoting and line ends
follow RFC 4180. A cell that a spreadsheet would run as a formula is written behind an apostrophe (OWASP, "CSV
Injection"), which reading takes off again.
"""

import codecs
import csv
import difflib
import io
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import get_args

from tools.core.errors import mistake
from tools.core.jsonl import read_numbered
from tools.core.protocol import WORD
from tools.core.records import Decision, ReviewDecision, ReviewTicket, decisions_by_ticket

# field -> its head in our own tables. The first three are read back, the others are there to decide by.
HEADS = {
    "ticket_key": "工单", "decision": "决定", "note": "备注", "label": "人工标签", "prediction": "模型判断", "reason": "模型理由",
    "log_odds_against_label": "标签存疑度", "times_queued": "入队次数", "summaries": "照片摘要",
}  # fmt: skip
WORDS: dict[Decision, str] = {"label_wrong": "标签错", "model_wrong": "模型错", "exclude": "排除", "unsure": "不确定"}
_FIELD_OF = {head: field for field, head in HEADS.items()} | {field: field for field in HEADS}
_DECISION_OF = {word: decision for decision, word in WORDS.items()} | {decision: decision for decision in WORDS}
_FORMULA = tuple("=+-@\t\r＝＋－＠'")
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def read_given(path: Path, known: Container[str]) -> dict[str, ReviewDecision]:
    """Read decisions from JSONL or a spreadsheet's text, whichever it is; rows without a decision are skipped.

    Raises UserError naming the line for an unknown ticket, a second decision for a ticket, an unknown word.
    """
    text = _decoded(path)
    if text.lstrip().startswith("{"):
        given = decisions_by_ticket(path, read_numbered(path, ReviewDecision), known)
    else:
        given = decisions_by_ticket(path, _read_table(path, text), known)
    if not given:
        raise mistake("holds no decision", "fill in at least one", path=path)
    return given


def write_table(queue: Iterable[ReviewTicket], said: Mapping[str, ReviewDecision]) -> str:
    """The queue as CSV text for a spreadsheet, a ticket a row in the order given, with what was decided already."""
    out = io.StringIO(newline="")
    table = csv.writer(out, lineterminator="\r\n")
    table.writerow(HEADS.values())
    for ticket in queue:
        decision = said.get(ticket.ticket_key)
        odds = ticket.log_odds_against_label
        cells = [
            ticket.ticket_key, WORDS[decision.decision] if decision else "", decision.note if decision else "", WORD[ticket.gt_label],
            WORD[ticket.pred_verdict], ticket.pred_reason, "" if odds is None else f"{odds:.2f}", ticket.times_queued,
            "\n".join(f"{number}. {text}" for number, text in enumerate(ticket.per_image.values(), start=1)),
        ]  # fmt: skip
        table.writerow([cell if isinstance(cell, int) else _shielded(cell) for cell in cells])
    return "\ufeff" + out.getvalue()  # Excel takes a file without BOM for its local code page


def _shielded(cell: str) -> str:
    """The cell, behind an apostrophe where a program might run it as a formula (or where it begins with one itself)."""
    return f"'{cell}" if cell.startswith(_FORMULA) and not re.fullmatch(r"-?\d+(\.\d+)?", cell) else cell


def _unshielded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def _decoded(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise mistake("no such file", "check the path", path=path) from None
    except IsADirectoryError:
        raise mistake("is a folder", "give a file", path=path) from None
    if data.startswith(b"PK\x03\x04"):
        raise mistake("is a workbook, not text", "save it as CSV (UTF-8)", path=path)
    named = [encoding for bom, encoding in _BOMS if data.startswith(bom)]
    for encoding in named or ["utf-8", "gb18030"]:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise mistake("not UTF-8, UTF-16 or GB18030", "save it as CSV (UTF-8)", path=path)


def _read_table(path: Path, text: str) -> Iterator[tuple[int, ReviewDecision]]:
    """The decisions of a table with the line on which each row begins."""
    delimiter, heads = _heads_of(path, text)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    next(rows)
    while True:
        line = rows.line_num + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise mistake(f"not a table row ({error})", "close its quotes", path=path, line=line) from None
        if any(cell.strip() for cell in cells[len(heads) :]):
            raise mistake(f"{len(cells)} cells under {len(heads)} heads", "quote a cell that holds the delimiter", path=path, line=line)
        row = {field: _unshielded(cell) for field, cell in zip(heads, cells, strict=False)}
        if (decision := _decision_of(path, line, row)) is not None:
            yield line, decision


def _heads_of(path: Path, text: str) -> tuple[str, list[str]]:
    """The delimiter and the field of each column ("" for one without a head), from the first line."""
    first: list[list[str]] = []
    for delimiter in ",;\t":
        try:
            heads = [head.strip() for head in next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])]
        except csv.Error:
            continue
        first.append(heads)
        if {"ticket_key", "decision"} <= {_FIELD_OF.get(head) for head in heads}:
            return delimiter, _fields(path, heads)
    found = ", ".join(max(first, key=len, default=[]))[:60]
    raise mistake(f"its first line has no heads ticket_key and decision ({found})", "keep the heads of the exported table", path=path, line=1)


def _fields(path: Path, heads: list[str]) -> list[str]:
    for head in heads:
        if head and head not in _FIELD_OF:
            near = difflib.get_close_matches(head, _FIELD_OF, n=1)
            raise mistake("unknown head", f"did you mean {near[0]!r}?" if near else "remove the column", path=path, line=1, field=head)
    fields = [_FIELD_OF.get(head, "") for head in heads]
    if twice := next((field for field in HEADS if fields.count(field) > 1), None):
        raise mistake("stands on two columns", "keep one of the two", path=path, line=1, field=twice)
    return fields


def _decision_of(path: Path, line: int, row: dict[str, str]) -> ReviewDecision | None:
    """A row's decision; None where it has none yet."""
    key, note = row["ticket_key"].strip(), row.get("note", "").strip()
    given = row.get("decision", "").strip()
    if not given and not note:
        return None
    word = _DECISION_OF.get(re.sub(r"[\s-]+", "_", given.lower()))
    if word is None:
        what = f"unknown decision {given!r}" if given else "empty, though there is a note"
        raise mistake(what, f"write one of {', '.join(get_args(Decision))} ({'、'.join(WORDS.values())})", path=path, line=line, field="decision")
    return ReviewDecision(ticket_key=key, decision=word, note=note.replace("\r\n", "\n"))
