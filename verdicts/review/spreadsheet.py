"""Decisions in a spreadsheet: the table people fill in, and reading back whatever their program made of it.

Accepted, as JSON lines or as a table: UTF-8 with or without BOM, UTF-16 with BOM (Excel's "Unicode text"), GB18030
(what a Chinese Excel calls CSV) and Big5. Tables: commas, semicolons or tabs, or what a first line ``sep=;`` says; LF,
CRLF or CR; line ends inside quotes; heads and words in English, simplified or traditional Chinese, in any case and
width; added columns. Quoting and line ends follow RFC 4180. A cell that a spreadsheet would run as a formula is written
behind an apostrophe (OWASP, "CSV Injection"), which reading takes off again.
"""

import codecs
import csv
import difflib
import io
import re
import unicodedata
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import get_args

from verdicts.base.errors import mistake
from verdicts.base.jsonl import parse_rows, validate
from verdicts.base.text_files import no_text, read_bytes
from verdicts.command.cli import say
from verdicts.records.review import Decision, ListedTicket, ReviewDecision, ReviewTicket, decisions_by_ticket
from verdicts.review.decisions import refuse_unteachable
from verdicts.stage_b.protocol import WORD

# field -> its head in our own tables. The first five are read back, the others are there to decide by.
HEADS = {
    "ticket_key": "工单", "decision": "决定", "note": "备注", "reviewer": "复核人",
    "corrected_reason": "更正理由",
    "label": "人工标签", "fail_reasons": "不通过理由", "prediction": "模型判断",
    "reason": "模型理由",
    "log_odds_against_label": "标签存疑度", "times_queued": "入队次数", "summaries": "照片摘要",
    "opinions": "两人意见",
}  # fmt: skip
DECISION_WORDS: dict[Decision, str] = {
    "label_wrong": "标签错",
    "model_wrong": "模型错",
    "exclude": "排除",
    "unsure": "不确定",
}
_SIMPLIFIED = str.maketrans("標籤簽錯誤確單決備註斷隊數據類別號圖為對", "标签签错误确单决备注断队数据类别号图为对")


def _word(text: str) -> str:
    """A head or word without what programs and people change in it.

    That is width, case, blanks, hyphens, traditional characters.
    """
    return re.sub(
        r"[\s_-]+", "_", unicodedata.normalize("NFKC", text).translate(_SIMPLIFIED).strip().strip(".。").casefold()
    )


_FIELD_OF = {_word(head): field for field, head in HEADS.items()} | {field: field for field in HEADS}
_DECISION_OF = {_word(word): decision for decision, word in DECISION_WORDS.items()} | {
    decision: decision for decision in DECISION_WORDS
}
_DECISION_OF |= {_word("标签错误"): "label_wrong", _word("模型错误"): "model_wrong"}
# What a program may run: a formula's sign, also behind blanks, line ends and characters that do not show.
# The apostrophe is ours.
_UNSEEN = "\\s\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff"
_FORMULA = re.compile(f"[\t\r\n]|[{_UNSEEN}]*[=+@＝＋－＠'-]")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_CHINESE = ("gb18030", "big5")
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SEP = re.compile(r'"?sep=(.)"?(\r\n|\r|\n|$)', re.IGNORECASE)


def read_given(path: Path, known: Container[str]) -> dict[str, ReviewDecision]:
    """Read decisions from JSONL or a spreadsheet's text, whichever it is; rows without a decision are skipped.

    Raises UserError naming the line for an unknown ticket, a second decision for a ticket, an unknown word.
    """
    text = _decoded(path)
    if text.lstrip()[:1] in ("{", "["):
        lines = text.replace("\r\n", "\n").replace("\r", "\n")
        given = decisions_by_ticket(path, parse_rows(lines, ReviewDecision, path), known)
    else:
        given = decisions_by_ticket(path, _read_table(path, text, known), known)
    return _some(path, given)


def read_cells(
    path: Path, heads: list[str], rows: Iterable[tuple[int, dict[str, object]]], known: Container[str]
) -> dict[str, ReviewDecision]:
    """The decisions of a table whose rows are read already, by number and head; raises as ``read_given`` does."""
    if not {"ticket_key", "decision"} <= {_FIELD_OF.get(_word(head)) for head in heads}:
        named = ", ".join(heads)[:60]
        raise mistake(f"has no columns ticket_key and decision ({named})", "add the column decision", path=path)
    ours = ListedTicket.model_fields.keys() - HEADS.keys()  # what the review list has besides
    heads = [head for head in heads if head not in ours]
    fields = dict(zip(heads, _fields(path, heads, 1), strict=True))

    def decided() -> Iterator[tuple[int, ReviewDecision]]:
        for number, cells in rows:
            row = {fields[head]: "" if cell is None else str(cell) for head, cell in cells.items() if fields.get(head)}
            row["ticket_key"] = _key(row["ticket_key"], known)
            if (decision := _decision_in(path, number, row)) is not None:
                yield number, decision

    return _some(path, decisions_by_ticket(path, decided(), known))


def _some(path: Path, given: dict[str, ReviewDecision]) -> dict[str, ReviewDecision]:
    """The decisions, where there are any and all of them can be taught."""
    refuse_unteachable(path, given.values())
    if not given:
        raise mistake("holds no decision", "fill in at least one", path=path)
    return given


def write_table(
    queue: Iterable[ReviewTicket], said: Mapping[str, ReviewDecision], opinions: Mapping[str, str] | None = None
) -> str:
    """The queue as CSV text for a spreadsheet, a ticket a row in the order given, with what was decided already."""
    out = io.StringIO(newline="")
    table = csv.writer(out, lineterminator="\r\n")
    table.writerow(HEADS.values())
    for ticket in queue:
        decision = said.get(ticket.ticket_key)
        odds = ticket.log_odds_against_label
        cells: list[str | int] = [
            ticket.ticket_key, DECISION_WORDS[decision.decision] if decision else "", decision.note if decision else "",
            decision.reviewer if decision else "",
            decision.corrected_reason if decision else "",
            WORD[ticket.gt_label], "；".join(ticket.fail_reasons),
            WORD[ticket.pred_verdict], ticket.pred_reason, "" if odds is None else f"{odds:.2f}", ticket.times_queued,
            "\n".join(f"{number}. {text}" for number, text in enumerate(ticket.per_image.values(), start=1)),
            (opinions or {}).get(ticket.ticket_key, ""),
        ]  # fmt: skip
        table.writerow([cell if isinstance(cell, int) else _shielded(cell) for cell in cells])
    return "\ufeff" + out.getvalue()  # Excel takes a file without BOM for its local code page


def decision_of(text: str) -> Decision | None:
    """The decision that a word says, in English or Chinese, in any case and width; None for any other word."""
    return _DECISION_OF.get(_word(text))


def _shielded(cell: str) -> str:
    """The cell, behind an apostrophe where a program might run it as a formula (or where it begins with one itself)."""
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def _unshielded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell


def _decoded(path: Path) -> str:
    data = read_bytes(path)
    if kind := no_text(data):
        raise mistake(f"is {kind}, not text", "save it as CSV (UTF-8)", path=path)
    named = [encoding for bom, encoding in _BOMS if data.startswith(bom)]
    read: list[str] = []
    for encoding in named or ["utf-8", *_CHINESE]:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding not in _CHINESE:
            return text
        read.append(text)
        # Bytes of one Chinese encoding mostly decode in the other too, into nonsense. What tells: in a table its heads,
        # in JSON characters that are none.
        if text.lstrip()[:1] == "{":
            reads_well = not any(unicodedata.category(char) in ("Co", "Cn") for char in text)
        else:
            reads_well = _heads_in(text) is not None
        if reads_well:
            say(f"review_apply: {path} is not UTF-8, read as {encoding.upper()}")
            return text
    if read and read[0].lstrip()[:1] != "{":
        return read[0]  # for its heads to be named
    raise mistake("not UTF-8, UTF-16 or GB18030", "save it as CSV (UTF-8)", path=path)


def _read_table(path: Path, text: str, known: Container[str]) -> Iterator[tuple[int, ReviewDecision]]:
    """The decisions of a table with the line on which each row begins."""
    found = _heads_in(text)
    above = 1 if (sep := _SEP.match(text)) else 0
    text = text[sep.end() :] if sep else text
    if found is None:
        raise mistake(
            f"its first line has no heads ticket_key and decision ({_first_cells(text)})",
            "keep the heads of the exported table",
            path=path,
            line=1 + above,
        )
    delimiter, heads = found
    fields = _fields(path, heads, 1 + above)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    next(rows)
    while True:
        line = rows.line_num + 1 + above
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise mistake(f"not a table row ({error})", "close its quotes", path=path, line=line) from None
        if any(cell.strip() for cell in cells[len(fields) :]):
            raise mistake(
                f"{len(cells)} cells under {len(fields)} heads",
                "quote a cell that holds the delimiter",
                path=path,
                line=line,
            )
        row = {field: cell for field, cell in zip(fields, cells, strict=False) if field}
        row["ticket_key"] = _key(row.get("ticket_key", ""), known)
        if (decision := _decision_in(path, line, row)) is not None:
            yield line, decision


def _key(cell: str, known: Container[str]) -> str:
    """The ticket a cell names: as it stands, or else without the blanks and the apostrophe that it came with."""
    wanted = [_unshielded(cell), cell, _unshielded(cell.strip())]
    return next((key for key in wanted if key in known), wanted[-1])


def _heads_in(text: str) -> tuple[str, list[str]] | None:
    """The delimiter and the heads as written; None where the table has not both a ticket and a decision column."""
    sep = _SEP.match(text)
    table = text[sep.end() :] if sep else text
    for delimiter in sep.group(1) if sep else ",;\t":
        try:
            rows = csv.reader(io.StringIO(table, newline=""), delimiter=delimiter)
            heads = [head.strip() for head in next(rows, [])]
        except csv.Error:
            continue
        if {"ticket_key", "decision"} <= {_FIELD_OF.get(_word(head)) for head in heads}:
            return delimiter, heads
    return None


def _first_cells(text: str) -> str:
    return ", ".join(re.split("[,;\t]", re.split("[\r\n]", text, maxsplit=1)[0]))[:60]


def _fields(path: Path, heads: list[str], line: int) -> list[str]:
    """The field of each column, "" for one that is passed over.

    A head that is nearly one of ours is refused: its column would be lost.
    """
    fields = [_FIELD_OF.get(_word(head), "") for head in heads]
    if twice := next((field for field in HEADS if fields.count(field) > 1), None):
        raise mistake("stands on two columns", "keep one of the two", path=path, line=line, field=twice)
    added = [head for head, field in zip(heads, fields, strict=True) if head and not field]
    for head in added:
        near = difflib.get_close_matches(
            _word(head), [name for name, field in _FIELD_OF.items() if field not in fields], n=1, cutoff=0.7
        )
        if near:
            raise mistake("unknown head", f"did you mean {near[0]!r}?", path=path, line=line, field=head)
    if added:
        columns = f"{len(added)} added column{'s' * (len(added) > 1)}"
        say(f"review_apply: passing over {columns} of {path}: {', '.join(added)}")
    return fields


def _decision_in(path: Path, line: int, row: dict[str, str]) -> ReviewDecision | None:
    """A row's decision; None where it has none yet."""
    given, note = row.get("decision", ""), _unshielded(row.get("note", ""))
    reason = _unshielded(row.get("corrected_reason", "")).strip()
    if not given.strip() and not note.strip() and not reason:
        return None
    word = decision_of(given)
    if word is None:
        beside = "a note" if note.strip() else "a reason to teach"
        what = f"unknown decision {given.strip()!r}" if given.strip() else f"empty, though there is {beside}"
        raise mistake(
            what,
            f"write one of {', '.join(get_args(Decision))} ({'、'.join(DECISION_WORDS.values())})",
            path=path,
            line=line,
            field="decision",
        )
    said = {
        "ticket_key": row["ticket_key"],
        "decision": word,
        "note": note.replace("\r\n", "\n"),
        "reviewer": _unshielded(row.get("reviewer", "")).strip(),
        "corrected_reason": reason,
    }
    return validate(said, ReviewDecision, path, line)
