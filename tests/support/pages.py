"""Reading a page in tests: its elements' texts as a person sees them, in one language."""

from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """A page parsed.

    ``texts``: by id, the element's text; ``rows``: by id of a table, its body's cells; ``names``: every element's name.

    Text in Chinese (class zh) is left out unless ``language`` asks for it; white space is one space.
    """

    def __init__(self, path: Path, language: str = "en"):
        super().__init__()
        self.hidden = "zh" if language == "en" else "en"
        self.stack: list[tuple[str, dict[str, str | None]]] = []
        self.found: dict[str, list[str]] = {}
        self.rows: dict[str, list[list[str]]] = {}
        self.names: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.whole: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.texts = {name: " ".join("".join(parts).split()) for name, parts in self.found.items()}
        self.rows = {
            name: [[" ".join(cell.split()) for cell in row] for row in rows if row] for name, rows in self.rows.items()
        }
        self.text = " ".join("".join(self.whole).split())

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.names.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.stack.append((tag, given))
        table = self._table()
        if tag == "tr" and table:
            self.rows.setdefault(table, []).append([])
        if tag in ("td", "th") and table and self._within("tbody"):
            self.rows[table][-1].append("")
        if tag in ("p", "li", "td", "th", "dt", "dd", "small", "summary"):
            self.handle_data(" ")

    def handle_endtag(self, tag):
        while self.stack and self.stack.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if any(
            self.hidden in (given.get("class") or "").split() or name in ("style", "script", "head")
            for name, given in self.stack
        ):
            return
        self.whole.append(data)
        for _, given in self.stack:
            if given.get("id"):
                self.found.setdefault(given["id"], []).append(data)
        table = self._table()
        if table and self._within("tbody") and self.rows.get(table) and self.rows[table][-1]:
            self.rows[table][-1][-1] += data

    def _table(self) -> str | None:
        return next((given.get("id") for name, given in reversed(self.stack) if name == "table"), None)

    def _within(self, tag: str) -> bool:
        return any(name == tag for name, _ in self.stack)
