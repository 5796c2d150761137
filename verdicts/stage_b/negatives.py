"""The one test for an explicit negative, of one fact of a summary at a time.

The guard of a vote asks it of each fact of a photo's summary, the review page of each that it shows. What fires and
what does not: docs/guard.md.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from verdicts.config.sections import FailFirst, Negative
from verdicts.facts.summary import Fact, SummaryFacts, read_summary
from verdicts.facts.words import OBJECTS, PARENTS, REMARK, SAME, TEXT, same

# What may stand between a word that denies and what it denies: `未发现明显松动、损坏`.
_BETWEEN = re.compile(r"(?:[^、或和及与]{1,10}[、或和及与])*(?:有|任何|明显|其[他它]|存在|出现|的)*")


def negatives_in(summary: str, guard: FailFirst) -> list[Fact]:
    """The facts of a summary that are explicit negatives of the mission, in order."""
    return [fact for fact in read_for(summary, guard).facts if is_negative(fact, guard)]


def read_for(summary: str, guard: FailFirst) -> SummaryFacts:
    """A summary read as the guard reads it: the objects that a mission of one's own names are known."""
    own = (word for one in guard.negatives if isinstance(one, Negative) for word in one.objects)
    return read_summary(summary, tuple(own))


def is_negative(fact: Fact, guard: FailFirst) -> bool:
    """Whether a fact is one of the guard's negatives (``negative_of``)."""
    return negative_of(fact, guard) is not None


def negative_of(fact: Fact, guard: FailFirst) -> tuple[str, ...] | None:
    """The guard's negative that a fact is, as object and value or as its words; None where it is none.

    The object and the word against it stand in this one fact. Free text (on a label, in a remark) never counts. A fact
    that says of itself that it is unsure does not either, nor a word that is denied or asked for.
    """
    if not fact.count or _is_unsure(fact, guard.doubts):
        return None
    found = (_words_of(fact, negative, guard) for negative in guard.negatives)
    return next((words for words in found if words), None)


def _words_of(fact: Fact, negative: list[str] | Negative, guard: FailFirst) -> tuple[str, ...]:
    if isinstance(negative, list):
        return tuple(negative) if _holds_all(fact, negative, guard) else ()
    names = (name for name in negative.objects if name in fact.objects)
    values = (word for word in negative.values if _said(word, fact.attributes, guard))
    return next(zip(names, values, strict=False), ())


def _holds_all(fact: Fact, words: Sequence[str], guard: FailFirst) -> bool:
    """Whether one fact holds all words: what is said of the object, its name, or names of its attributes.

    The name of an attribute says nothing alone: 损坏情况=无.
    """
    everything = [*fact.attributes, *fact.shared]
    said = [_said(word, everything, guard) for word in words]
    named = [_names(word, fact, guard) for word in words]
    asked = [any(word in name for name, _ in everything) for word in words]
    found = all(map(any, zip(said, named, asked, strict=True)))
    return found and (any(said) or all(named))


def _names(word: str, fact: Fact, guard: FailFirst) -> bool:
    """The name of an object is meant as a whole: 光纤 is not BBU端光纤插头."""
    if word in OBJECTS and word not in PARENTS:
        return word in fact.objects
    return _stands(word, "", fact.category, guard)


def _said(word: str, attributes: Iterable[tuple[str, str]], guard: FailFirst) -> bool:
    return any(_stands(word, name, value, guard) for name, value in attributes if name not in (TEXT, REMARK))


def _is_unsure(fact: Fact, doubts: Sequence[str]) -> bool:
    free = ("", fact.category), ("", fact.remark)
    said = [*free, *((name, value) for name, value in (*fact.attributes, *fact.shared) if name not in (TEXT, REMARK))]
    return any(form in _text(form, *one) for doubt in doubts for form in same(doubt) for one in said)


def _text(form: str, name: str, value: str) -> str:
    """What a word is looked for in: a value, with its name where the word has one (可见性=部分)."""
    return f"{name}={value}" if "=" in form else value


def _stands(word: str, name: str, value: str, guard: FailFirst) -> bool:
    """Whether the word, or its like of the other generation, stands there without being denied or asked for."""
    return any(
        not _denied(text, found.start(), guard)
        for form in same(word)
        for text in [_text(form, name, value)]
        for found in re.finditer(re.escape(form), text)
    )


def _denied(text: str, at: int, guard: FailFirst) -> bool:
    if any(0 <= text.find(word) < at for word in guard.questions):  # 有无保护措施 asks, though 无保护措施 stands in it
        return True
    own = [(found.start(), found.end()) for found in _negative_words(guard).finditer(text)]
    return any(
        _BETWEEN.fullmatch(text, found.end(), at)
        for word in guard.negations
        for found in re.finditer(re.escape(word), text[:at])
        if not any(start <= found.start() < end for start, end in own)  # 没有标签 denies nothing
    )


@lru_cache(maxsize=8)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word))))


def _negative_words(guard: FailFirst) -> re.Pattern[str]:
    """The words against something, of the guard and of summaries as such."""
    own = [word for one in guard.negatives for word in (one if isinstance(one, list) else one.values)]
    return _pattern(tuple({*own, *(word for words in SAME for word in words)}))
