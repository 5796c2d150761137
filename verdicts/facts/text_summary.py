"""The text form of a summary: ``类型/属性,属性×2，…`` with the slips that such text has."""

import re
from collections.abc import Iterator

from verdicts.facts.fact import Fact, as_count
from verdicts.facts.words import LABEL, LABEL_STATES, OBJECTS, PARENTS, TEXT

_ITEM = re.compile(r"[^，；;\n]*")
_COUNT = re.compile(r"\s*×\s*([0-9]+)\s*$")
_GROUP = re.compile(r"\s*组\s*([0-9]+(?:[|,、][0-9]+)*)\s*[:：]\s*")
_DOUBT = r"(?:通过但)?(?:需要?(?:人工)?|待)复核"
_REMARK = re.compile(rf"[/,，、(（\s]*(?:{_DOUBT}[,，、:：/\s]*备注[:：,，]?|备注[:：,，])\s*")
_PART = re.compile(r"[/,·]")
_LABEL = re.compile(rf"{LABEL}[/,:：]?")
_LONGEST_FIRST = sorted(OBJECTS, key=lambda word: (-len(word), word))


def read_text_facts(text: str, start: int = 0) -> list[Fact]:
    """The facts of a summary of the text form; ``start`` is where it begins in the whole text."""
    return [fact for at, item in _items(text) for fact in _item(item, start + at)]


def _item(item: str, start: int = 0) -> list[Fact]:
    """The facts of one item of the text form: one, or one for each object that has attributes of its own."""
    body, count = item.strip(), 1
    if found := _COUNT.search(body):
        count, body = as_count(found[1]), body[: found.start()]
    group = _GROUP.match(body)
    body = body[group.end() :] if group else body
    remark = ""
    if found := _REMARK.search(body):
        body, remark = body[: found.start()], body[found.end() :].strip(" )）")
    read = _label(body) or _objects(body)
    return [
        Fact(category, attributes, count, remark, item, group[1] if group else "", (), start)
        for category, attributes in read
    ]


def _items(text: str) -> Iterator[tuple[int, str]]:
    """(place, item). A full-width comma inside a remark that no count ends does not end the item."""
    held: tuple[int, str] | None = None
    for found in _ITEM.finditer(text):
        if not found[0].strip():
            continue
        if held and _goes_on(held[1], found[0]):
            held = held[0], text[held[0] : found.end()]
            continue
        if held:
            yield held
        lead = len(found[0]) - len(found[0].lstrip())
        held = found.start() + lead, found[0].strip()
    if held:
        yield held


def _goes_on(item: str, behind: str) -> bool:
    open_remark = _REMARK.search(item) and not _COUNT.search(item)
    return bool(open_remark) and "/" not in behind and not _leading_object(behind.strip())


def _label(body: str) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    """A label with its state, or with its text, which may hold any mark; nothing where the item is no label."""
    found = _LABEL.match(body)
    if not found:
        return []
    said = body[found.end() :].strip()
    if not said:
        return [(LABEL, ())]
    return [(LABEL, (("" if said in LABEL_STATES else TEXT, said),))]


def _objects(body: str) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    """(category, attributes) in order: an object behind attributes begins the next."""
    read: list[tuple[list[str], list[str]]] = [([], [])]
    for word in _parts(body):
        objects, attributes = read[-1]
        if word in OBJECTS or not objects:
            if attributes:
                read.append(([word], []))
            else:
                objects.append(word)
        else:
            attributes.append(word)
    return [(_category(objects), tuple(("", value) for value in attributes)) for objects, attributes in read]


def _parts(body: str) -> Iterator[str]:
    """The words between the marks of an item; an object that stands glued to what is said of it is cut off."""
    for part in _PART.split(body):
        last = ""
        for word in re.split("、", part):
            glued = _leading_object(word.strip())
            if last and not glued and last not in OBJECTS:
                last += f"、{word.strip()}"  # an enumeration inside one attribute
                continue
            if last:
                yield last
            last = word.strip()
            while glued and glued != last:
                yield glued
                last = last.removeprefix(glued)
                glued = _leading_object(last)
        if last:
            yield last


def _leading_object(text: str) -> str:
    return next((word for word in _LONGEST_FIRST if text.startswith(word)), "")


def _category(objects: list[str]) -> str:
    own = [word for word in dict.fromkeys(objects) if word not in PARENTS]
    return "、".join(own or dict.fromkeys(objects))
