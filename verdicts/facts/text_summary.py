"""The text form of a summary: ``类型/属性,属性×2，…`` with the slips that such text has."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from verdicts.facts.fact import Fact, as_count
from verdicts.facts.words import LABEL, LABEL_STATES, OBJECTS, PARENTS, TEXT

_ITEM = re.compile(r"[^，；;\n]*")
_COUNT = re.compile(r"\s*×\s*([0-9]+)\s*$")
_GROUP = re.compile(r"\s*组\s*([0-9]+(?:[|,、][0-9]+)*)\s*[:：]\s*")
_DOUBT = r"(?:通过但)?(?:需要?(?:人工)?|待)复核"
_REMARK = re.compile(rf"[/,，、(（\s]*(?:{_DOUBT}[,，、:：/\s]*备注[:：,，]?|备注[:：,，])\s*")
_PART = re.compile(r"[/,·]")
_BROKEN_OFF = re.compile(r"[/,、:：]\s*$")  # a line that ends so goes on
_LABEL = re.compile(rf"{LABEL}[/,:：]?")
_Said = tuple[str, tuple[tuple[str, str], ...]]  # category, attributes


def read_text_facts(text: str, start: int = 0, own: Sequence[str] = ()) -> list[Fact]:
    """The facts of a summary of the text form; ``start`` is where it begins in the whole text."""
    reader = _reader(tuple(own))
    return [fact for at, item in reader.items(text) for fact in reader.facts(item, start + at)]


class _Reader:
    """Reads items. ``own``: names of objects besides those known."""

    def __init__(self, own: Sequence[str]):
        self.names = sorted({*OBJECTS, *own}, key=lambda word: (-len(word), word))
        begins = "|".join(re.escape(word) for word in self.names)
        # behind a count another object may begin with 、 for ，, or with no mark at all
        self.unmarked = re.compile(rf"(×\s*[0-9]+)\s*[、,]?\s*(?={_GROUP.pattern}|{begins})")

    def items(self, text: str) -> Iterator[tuple[int, str]]:
        """(place, item). A full-width comma inside a remark that no count ends does not end the item."""
        start = end = 0
        for at, part in self._marked(text):
            if end and not self._goes_on(text[start:end], text[end:at], part):
                yield start, text[start:end]
                end = 0
            start = start if end else at
            end = at + len(part)
        if end:
            yield start, text[start:end]

    def _marked(self, text: str) -> Iterator[tuple[int, str]]:
        """(place, part) between the marks that end items, without blanks around it."""
        for found in _ITEM.finditer(text):
            start = found.start()
            for inner in [*self.unmarked.finditer(found[0]), None]:
                end = found.start() + inner.end(1) if inner else found.end()
                part = text[start:end].lstrip()
                if part.strip():
                    yield end - len(part), part.rstrip()
                start = found.start() + inner.end() if inner else end

    def facts(self, item: str, start: int) -> list[Fact]:
        """The facts of one item: one, or one for each object that has attributes of its own."""
        body, count, remark = item, 1, ""
        if found := _COUNT.search(body):
            count, body = as_count(found[1]), body[: found.start()]
        group = _GROUP.match(body)
        body = body[group.end() :] if group else body
        if found := _REMARK.search(body):
            body, remark = body[: found.start()], body[found.end() :].strip(" )）")
        return [
            Fact(category, attributes, count, remark, item, group[1] if group else "", (), start)
            for category, attributes in _label(body) or self._objects(body)
        ]

    def _goes_on(self, item: str, mark: str, behind: str) -> bool:
        if "\n" in mark and _BROKEN_OFF.search(item):
            return True
        open_remark = _REMARK.search(item) and not _COUNT.search(item)
        return bool(open_remark) and "/" not in behind and not behind.strip().startswith(tuple(self.names))

    def _objects(self, body: str) -> list[_Said]:
        """(category, attributes) in order: an object behind attributes begins the next."""
        read: list[tuple[list[str], list[str]]] = [([], [])]
        for word in self._words(body):
            objects, attributes = read[-1]
            gathers = not attributes and set(word.split("、")) <= set(PARENTS)
            if objects and not gathers and word != self._leading_object(word):
                attributes.append(word)
            elif attributes:
                read.append(([word], []))
            else:
                objects += word.split("、")
        return [(_category(objects), tuple(("", value) for value in attributes)) for objects, attributes in read]

    def _words(self, body: str) -> Iterator[str]:
        """The words between the marks of an item; an object that stands glued to what is said of it is cut off."""
        for part in _PART.split(body):
            said = ""  # 、 stands inside an attribute that lists things, or for / beside an object
            for word in map(str.strip, part.split("、")):
                if said and not self._leading_object(word):
                    said += f"、{word}"
                    continue
                if said:
                    yield said
                while name := self._leading_object(word):
                    yield name
                    word = word.removeprefix(name).strip()
                said = word
            if said:
                yield said

    def _leading_object(self, text: str) -> str:
        """The object that a text begins with; "" for a label and for a word that gathers objects: inside an item these
        are part of what is said.
        """
        found = next((word for word in self.names if text.startswith(word)), "")
        return "" if found in (LABEL, *PARENTS) else found


@lru_cache
def _reader(own: tuple[str, ...]) -> _Reader:
    return _Reader(own)


def _label(body: str) -> list[_Said]:
    """A label with its state, or with its text, which may hold any mark; nothing where the item is no label."""
    found = _LABEL.match(body)
    if not found:
        return []
    said = body[found.end() :].strip()
    return [(LABEL, (("" if said in LABEL_STATES else TEXT, said),) if said else ())]


def _category(objects: list[str]) -> str:
    own = [word for word in dict.fromkeys(objects) if word not in PARENTS]
    return "、".join(own or dict.fromkeys(objects))
