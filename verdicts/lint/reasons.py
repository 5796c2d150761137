"""Whether a reason says the opposite of its verdict, by the words that reasons are made of.

A pass whose reason names what is missing or at fault, and a fail whose reason finds no fault. What a reader could take
either way is no finding: a fault that is denied, that a rule waives, or that stands in a condition.
"""

import re
from collections.abc import Mapping

from verdicts.config.sections import FailFirst, ReasonWords
from verdicts.facts.words import IRRELEVANT, OBJECTS, PARENTS
from verdicts.records.tickets import Verdict
from verdicts.stage_b.prompts import rule_number
from verdicts.stage_b.protocol import cited_rules

_CLAUSE = re.compile(r"[，,；;。！!\n]")
_SAYS = {
    "pass": re.compile(r"(?:判定?为?|结论为?|故|因此|应|予以?)不(?:予|能)?通过"),
    "fail": re.compile(r"(?:判定?为?|结论为?|故|因此|可以?|应|予以)通过"),
}
_RULE_LINE = re.compile(r"^(G\d+): (.*)$", re.MULTILINE)


class ReasonReader:
    """Reads reasons with these words. ``guard``: words that deny and that ask."""

    def __init__(self, words: ReasonWords, guard: FailFirst):
        self._words, self._guard = words, guard
        self._negations = [word for word in guard.negations if len(word) > 1]  # 无 alone is part of many words
        self._objects = sorted({*OBJECTS} - {*PARENTS, IRRELEVANT}, key=len, reverse=True)
        faults = "|".join(map(re.escape, (*words.missing, *words.against)))
        self._denied_fault = re.compile(
            f"(?:{'|'.join(map(re.escape, guard.negations))})[^，,；;。]{{0,12}}?(?:{faults})"
        )

    def contradiction(self, verdict: Verdict, reason: str, rules: Mapping[str, str]) -> str | None:
        """What in a reason speaks against its verdict, None where nothing does. ``rules``: texts by key."""
        if said := _SAYS[verdict].search(reason):
            return f"the verdict is {verdict}, the reason says {said[0]}"
        if verdict == "fail":
            fine = next((word for word in self._words.fine if word in reason), None)
            left = _without(self._denied_fault.sub("", reason), self._words.fine)
            faultless = fine and not any(word in left for word in self._words.but)
            return f"the verdict is fail, the reason finds all well ({fine})" if faultless else None
        if any(word in reason for word in self._words.waived) or self._rests_on_a_waiver(reason, rules):
            return None
        found = next(filter(None, map(self._fault, _CLAUSE.split(reason))), None)
        return f"the verdict is pass, the reason names {found}" if found else None

    def _rests_on_a_waiver(self, reason: str, rules: Mapping[str, str]) -> bool:
        learnt = (rules.get(key, "") for key in cited_rules(reason) if rule_number(key))
        return any(word in text for text in learnt for word in self._words.waived)

    def _fault(self, clause: str) -> str | None:
        """What a clause names as missing or at fault."""
        if any(word in clause for word in (*self._words.conditions, *self._guard.questions)):
            return None
        denied = min((at for word in self._guard.negations if (at := clause.find(word)) >= 0), default=len(clause))
        faults = [word for word in (*self._words.missing, *self._words.against) if word in clause]
        for word in faults:
            if clause.find(word) <= denied:
                return word
        if faults:
            return None
        for word in self._negations:
            rest = clause.partition(word)[2]
            if name := next((name for name in self._objects if name in rest), None):
                return f"{word}{name}"
        return None


def _without(text: str, words: list[str]) -> str:
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, "")
    return text


def rules_in(system: str) -> dict[str, str]:
    """The rules that a system message of Stage B shows, by key."""
    return dict(_RULE_LINE.findall(system))
