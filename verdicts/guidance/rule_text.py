"""What the text of a rule says: whether it is another's text again, copies a detail, or names what the checklist does
not.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

from verdicts.config.sections import DetailPatterns, RuleWords
from verdicts.records.guidance import MissionGuidance
from verdicts.records.tickets import StageA
from verdicts.stage_b.prompts import rule_number
from verdicts.stage_b.protocol import third_state_word

_NOT_TEXT = re.compile(r"[\W_]+")
_OBJECT = re.compile(r"[一-鿿]{2,}")


def normal(text: str) -> str:
    """A rule text without width, case, space and punctuation, for telling equal rules."""
    return _NOT_TEXT.sub("", unicodedata.normalize("NFKC", text)).lower()


def details_of(tickets: Iterable[StageA], patterns: DetailPatterns) -> set[str]:
    """Texts that belong to single tickets and must not enter a rule.

    Group ids, label texts with ids or site names, and codes and site names in what people wrote. A label that is one
    plain acronym (RRU, GPS) is a word of the trade, not a detail.
    """
    label_text, marks = re.compile(patterns.label_text), re.compile(patterns.marks)
    reason_text = re.compile(patterns.reason_text)
    details: set[str] = set()
    for ticket in tickets:
        details.add(ticket.group_id)
        labels = (found.strip() for summary in ticket.per_image.values() for found in label_text.findall(summary))
        details.update(
            label
            for label in labels
            if len(label) >= patterns.min_chars and marks.search(label) and not (label.isascii() and label.isalpha())
        )
        written = (found.group() for reason in ticket.fail_reasons for found in reason_text.finditer(reason))
        details.update(text for text in written if len(text) >= patterns.min_chars)
    return details


def text_refusal(
    text: str, guidance: MissionGuidance, details: Iterable[str], patterns: DetailPatterns, max_chars: int
) -> str | None:
    """Why a text may not become a rule (a reason word and the value), or None."""
    if len(text) > max_chars:
        return f"too_long: {len(text)} characters"
    if word := third_state_word(text):
        return f"third_state: {word}"
    if found := re.search(patterns.ids, text, re.IGNORECASE):
        return f"copied_detail: {found.group()}"
    if copied := sorted(detail for detail in details if detail in text):
        return f"copied_detail: {copied[0]}"
    wanted = normal(text)
    for key, known in guidance.experiences.items():
        if normal(known) == wanted:
            return f"duplicate_of: {key}"
    left = {key: removed.round for key, removed in guidance.removed.items() if normal(removed.text) == wanted}
    if left and not _learnt_since(max(left.values()), guidance, wanted):
        return f"removed_before: {max(left, key=rule_number)}"
    for known, why in guidance.refused.items():
        if normal(known) == wanted:
            return f"refused_before: {why}"
    return None


def _learnt_since(round_number: int, guidance: MissionGuidance, but: str) -> bool:
    """Whether in this round or later a text (normal, not ``but``) was accepted that no earlier rule had.

    A right rule may leave because verdicts that rest on it fail for a reason that is still to be learnt; when that is
    learnt, it may be tried again. What was known when it left is no ground, so two rules cannot call each other back
    for ever.
    """
    accepted = [
        (guidance.metadata[key].created_round, text)
        for key, text in guidance.experiences.items()
        if key in guidance.metadata
    ]
    accepted += [(removed.metadata.created_round, removed.text) for removed in guidance.removed.values()]
    first = {normal(text): created for created, text in sorted(accepted, reverse=True)}
    return any(created >= round_number for text, created in first.items() if text != but)


def foreign_object(text: str, checklist: str, words: RuleWords) -> str | None:
    """The first thing a rule names that shares no two characters with the checklist; None where all is there."""
    for found in _OBJECT.findall(_any_of(tuple(words.generic)).sub("，", text)):
        if not any(found[at : at + 2] in checklist for at in range(len(found) - 1)):
            return str(found)
    return None


def counts_photos(text: str, words: RuleWords) -> bool:
    """Whether a rule is about the number of photos, which tests among tickets with as many would be blind to."""
    return bool(_both(tuple(words.photos), tuple(words.amounts)).search(text))


def photo_class(ticket: StageA, most: int) -> int:
    """The number of a ticket's photos, as tests part them: those with ``most`` or more stand together."""
    return min(len(ticket.per_image), most)


@lru_cache
def _any_of(words: Sequence[str]) -> re.Pattern[str]:
    """Any of some words; at one place the first that fits, in their order."""
    return re.compile("|".join(map(re.escape, words)))


@lru_cache
def _both(some: Sequence[str], others: Sequence[str]) -> re.Pattern[str]:
    """A word of both lists on one line, in any order."""
    one, other = _any_of(some).pattern, _any_of(others).pattern
    return re.compile(f"(?:{one}).*(?:{other})|(?:{other}).*(?:{one})")
