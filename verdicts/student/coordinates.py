"""Whether a summary holds what looks like a place: a summary states facts, never places.

What was read from a label or a watermark is another matter: ``标签/10,20,30,40``, ``文本=10,20,30,40`` and the values
of ``文本`` and ``站点距离`` in a JSON summary may hold any numbers. There only what no label says counts: numbers in
brackets, ``bbox``, a model's own marks. Imports the standard library only.
"""

import re

from verdicts.facts.words import DISTANCE, LABEL, TEXT

_NUMBER = r"\d{1,4}(?:\.\d+)?"
_BETWEEN = r"\s*[)）\]]*\s*[,，]\s*[(（\[]*\s*"  # numbers of a box: "1, 2", "(1,2),(3,4)"
_MARKS = (
    rf"bbox|\[\s*{_NUMBER}\s*(?:,\s*{_NUMBER}\s*){{1,3}}\]|\(\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\)\s*,\s*\("
    rf"|\"(?:poly|line)\"\s*:\s*\[|<\|?(?:box|quad|point|object_ref)"
)
_IN_READ_TEXT = re.compile(_MARKS)
_ANYWHERE = re.compile(rf"{_MARKS}|(?<!\d){_NUMBER}(?:{_BETWEEN}{_NUMBER}){{3}}(?!\d)")
# Text that was read in a photo: behind 标签/ and 文本= up to the item's end, and the names that JSON counts.
_READ_TEXT = re.compile(
    rf"{LABEL}/[^，；\n]*|(?:{TEXT}|{DISTANCE})=[^，；\n]*|\"(?:{TEXT}|{DISTANCE})\"\s*:\s*(?:{{[^{{}}]*}}|\"[^\"]*\")"
)


def has_coordinates(summary: str) -> bool:
    """Whether a summary of either form holds what looks like a box, an outline or a line."""
    if any(_IN_READ_TEXT.search(found[0]) for found in _READ_TEXT.finditer(summary)):
        return True
    return _ANYWHERE.search(_READ_TEXT.sub(" ", summary)) is not None
