"""The JSON form of a summary.

``统计`` counts the values of each attribute, ``备注`` holds remarks, ``分组统计`` counts groups.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from verdicts.facts.fact import MAX_COUNT, Fact, SummaryFacts, as_count
from verdicts.facts.words import REMARK, TEXT, UNREADABLE_LABEL

_ENTRIES = re.compile(r'(?:"统计"\s*:\s*\[?|^\s*\[)\s*(?={)')  # one entry may stand without its list
_GAP = re.compile(r"[\s,]*")
_CATEGORY = "类别"


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON as it is written: a name that stands twice is there twice."""

    def of(self, name: str) -> Any:
        return next((value for key, value in self if key == name), None)


_DECODER = json.JSONDecoder(object_pairs_hook=_Pairs, parse_int=as_count)


def read_json_summary(text: str, start: int = 0) -> SummaryFacts:
    """Read a summary that begins as JSON does; ``start`` is where it begins in the whole text.

    One that was cut off gives the entries that are whole, and the rest as a fact of its text.
    """
    facts: list[Fact] = []
    end = 0
    if found := _ENTRIES.search(text):
        end = found.end()
        for at, until, entry in _decoded(text, end):
            facts += _entry(entry, text[at:until], start + at)
            end = until
    whole = _whole(text)
    if whole is None or not found:
        rest = text[end:].strip()
        facts += [Fact("", text=rest, start=start + text.find(rest, end))] if rest else []
    remarks = [_text(value) for value in _listed(whole.of(REMARK))] if whole else []
    return SummaryFacts("json", facts, [remark for remark in remarks if remark], tuple(_groups(whole)))


def _whole(text: str) -> _Pairs | None:
    """The object that the text is; an empty one for a bare list of entries, None for what is no JSON."""
    try:
        value = _DECODER.decode(text.strip())
        value = _DECODER.decode(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, _Pairs) else _Pairs() if isinstance(value, list) else None


def _decoded(text: str, at: int) -> Iterator[tuple[int, int, _Pairs]]:
    """(start, end, entry) of the objects of a list, up to the first that cannot be read."""
    while True:
        gap = _GAP.match(text, at)
        at = gap.end() if gap else at
        try:
            entry, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        if not isinstance(entry, _Pairs):
            return
        yield at, end, entry
        at = end


def _entry(entry: _Pairs, text: str, start: int) -> Iterator[Fact]:
    """A fact for each value of each attribute; one for the bare object where it has none."""
    named = entry.of(_CATEGORY)
    categories = [_text(key) for key, _ in named] if isinstance(named, _Pairs) else [_text(named)]
    # several objects in one entry: whose attributes these are is not known
    category = categories[0] if len(categories) == 1 else ""
    told = [(name, list(_counted(value))) for name, value in entry if name != _CATEGORY]
    told = [(name, [(value, n) for value, n in counted if n]) for name, counted in told]
    single = [(name, value, n) for name, counted in told for value, n in counted]
    total = objects_among(single)
    shared = tuple((name, counted[0][0]) for name, counted in told if len(counted) == 1 and counted[0][1] == total)
    for name, value, n in single:
        yield Fact(category, ((name, value),), n, "", text, "", shared, start)
    if not single or not category:
        for one in categories:
            yield Fact(one, (), 1, "", text, "", (), start)


def objects_among(told: Iterable[tuple[str, str, int]]) -> int:
    """How many objects the (name, value, count) of one entry are said of: each name once of an object, at most.

    A label has the text on it or the word that none can be read, never both: these are different labels.
    """
    sums = Counter[str]()
    labels = 0
    for name, value, n in told:
        sums[name] += n
        labels += n if name == TEXT or value in UNREADABLE_LABEL else 0
    return max(labels, *sums.values(), 0)


def _counted(value: Any) -> Iterator[tuple[str, int]]:
    """(value, count) of an attribute; a value without a count stands for one object."""
    if isinstance(value, _Pairs):
        for key, n in value:
            yield key, _number(n)
    else:
        for one in _listed(value):
            yield _text(one), 1


def _groups(whole: _Pairs | None) -> Iterator[tuple[str, int]]:
    groups = whole.of("分组统计") if whole else None
    yield from ((key, _number(n)) for key, n in groups) if isinstance(groups, _Pairs) else ()


def _number(n: Any) -> int:
    """A count: what is no whole number stands for one object."""
    return min(max(n, 0), MAX_COUNT) if isinstance(n, int) and not isinstance(n, bool) else 1


def _listed(value: Any) -> list[Any]:
    return [] if value is None else value if type(value) is list else [value]


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
