"""The facts of a photo's summary, in both forms that such teams write.

The first generation is text of items, ``类型/属性,属性×2，…``; the second is JSON with counts. What cannot be read is a
fact of its own, with the text as it stands.
"""

from collections.abc import Sequence

from verdicts.facts.fact import Fact, SummaryFacts
from verdicts.facts.json_summary import read_json_summary
from verdicts.facts.prefix import split_prefix
from verdicts.facts.text_summary import read_text_facts
from verdicts.facts.words import IRRELEVANT

__all__ = ["Fact", "SummaryFacts", "read_summary"]


def read_summary(text: str, own: Sequence[str] = ()) -> SummaryFacts:
    """Read a summary of either form, with or without a prefix line; raises nothing.

    ``irrelevant``: it says no more than 无关图片. Attributes of one object are never given to another: an item that
    names a second object behind the attributes of a first is two facts. ``own``: names of objects besides those known.
    """
    payload = split_prefix(text)[1]
    start = len(text) - len(payload)
    if payload.lstrip().startswith(("{", "[{", '"{')):
        return read_json_summary(payload, start)
    facts = read_text_facts(payload, start, own)
    if [fact.category for fact in facts] == [IRRELEVANT]:
        return SummaryFacts("irrelevant", facts, [])
    remarks = {fact.start: fact.remark for fact in facts if fact.remark}
    return SummaryFacts("text", facts, list(remarks.values()))
