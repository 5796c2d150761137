"""need_review.json with one ticket in memory at a time: written, and read."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from verdicts.base.errors import UserError, mistake
from verdicts.base.jsonl import parse_row, read_json
from verdicts.records.review import MissionReview, NeedReviewFile, ReviewTicket

CHUNK = 1 << 20  # characters


def write_review(file: TextIO, missions: Iterable[tuple[str, MissionReview, Iterable[ReviewTicket]]]) -> int:
    """Write what ``json_text`` of a NeedReviewFile says; returns how many tickets.

    Each mission: its name, its review without tickets, its tickets.
    """
    file.write('{\n  "missions": {')
    between, count = "\n", 0
    for name, review, tickets in missions:
        head = _indented({name: review.model_dump(mode="json")}, 2)
        file.write(between + head[: head.rindex("[]")].removeprefix("  {\n") + "[")
        for at, ticket in enumerate(tickets):
            file.write((",\n" if at else "\n") + _indented(ticket.model_dump(mode="json"), 8))
        file.write(f"\n{6 * ' '}]" if review.count else "]")
        file.write("\n    }")
        between, count = ",\n", count + review.count
    file.write("}\n}\n" if between == "\n" else "\n  }\n}\n")
    return count


def _indented(value: Any, by: int) -> str:
    """A value as ``json_text`` has it, ``by`` blanks further right. A line end inside a string is always escaped."""
    return " " * by + json.dumps(value, ensure_ascii=False, indent=2).replace("\n", "\n" + " " * by)


class Listed(NamedTuple):
    """A ticket of the review list and its mission."""

    mission: str
    ticket: ReviewTicket


def stream_review(path: Path, heads: dict[str, MissionReview]) -> Iterator[Listed]:
    """Yield the tickets of need_review.json in their order. Raises UserError as read_json does.

    ``heads`` takes each mission's review without its tickets.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            yield from _file(_Text(file), path, heads)
    except (UserError, ValueError, RecursionError, OSError):
        read_json(path, NeedReviewFile)  # which says what is wrong, and where
        raise mistake("not as aggregate_review writes it", "delete the file to have it made again", path=path) from None


def _file(text: "_Text", path: Path, heads: dict[str, MissionReview]) -> Iterator[Listed]:
    found = False
    for name in text.members():
        if name != "missions":
            raise ValueError(name)
        found = True
        for mission in text.members():
            head: dict[str, Any] = {"tickets": []}
            for field in text.members():
                if field == "tickets":
                    for ticket in text.elements():
                        yield Listed(mission, parse_row(ticket, ReviewTicket, path, None))
                else:
                    head[field] = json.loads(text.value())
            heads[mission] = MissionReview.model_validate(head)
    if text.peek() or not found:
        raise ValueError("something stands behind the object, or nothing in it")


class _Text:
    """JSON text, read as far as it is looked at. Raises ValueError where it is not JSON, or holds a key twice."""

    def __init__(self, file: TextIO):
        self._file, self._text, self._at, self._scan = file, "", 0, json.JSONDecoder().raw_decode

    def _more(self) -> bool:
        """Read on, letting go of what was looked at; False at the end."""
        chunk = self._file.read(max(CHUNK, len(self._text) - self._at))
        if chunk:
            self._text, self._at = self._text[self._at :] + chunk, 0
        return bool(chunk)

    def peek(self) -> str:
        """The next character that is no blank, "" at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, wanted: str) -> str:
        """The next character, one of those wanted."""
        found = self.peek()
        if not found or found not in wanted:
            raise ValueError(f"{found!r} for one of {wanted!r}")
        self._at += 1
        return found

    def value(self) -> str:
        """The text of the next value."""
        self.peek()
        while True:
            try:
                end = self._scan(self._text, self._at)[1]
                if end < len(self._text) or not self._more():
                    break
            except json.JSONDecodeError:
                if not self._more():
                    raise
        found, self._at = self._text[self._at : end], end
        return found

    def members(self) -> Iterator[str]:
        """The keys of the next object; whoever asks takes each one's value."""
        seen: set[str] = set()
        self.take("{")
        if self.peek() == "}":
            self.take("}")
            return
        while True:
            if self.peek() != '"' or (key := json.loads(self.value())) in seen:
                raise ValueError("no key, or one given twice")
            seen.add(key)
            self.take(":")
            yield key
            if self.take(",}") == "}":
                return

    def elements(self) -> Iterator[str]:
        """The texts of the next array's values."""
        self.take("[")
        if self.peek() == "]":
            self.take("]")
            return
        while True:
            yield self.value()
            if self.take(",]") == "]":
                return
