"""A photo's answer as the line of facts that a ticket holds, and what had to be taken off it.

Some students write a prefix line, a frame of ``` or one summary for each of several photos; what follows 无关图片 says
nothing more of a photo that shows nothing. JSON over several lines stays JSON on one.
"""

import json
import re
from typing import Any, Literal, NamedTuple

from verdicts.facts.prefix import split_prefix
from verdicts.facts.words import IRRELEVANT

# prefix: the line <DOMAIN=…>, <TASK=…>; frame: lines of ```; photos: JSON of several photos, of which the first
# counts; irrelevant: words behind 无关图片.
Mending = Literal["prefix", "frame", "photos", "irrelevant"]
_FRAME = re.compile(r"\s*```\w*\s*\n(.*?)\n?\s*```\s*", re.DOTALL)
_PHOTO = re.compile(r"(?:image|photo|图片)_?\d+")
_ALONE = re.compile(rf"{IRRELEVANT}(\s*×\s*\d+)?")


class MendedLine(NamedTuple):
    """One line, and what was taken off the answer, in order."""

    line: str
    mended: list[Mending]


def as_line(answer: str) -> MendedLine:
    """The answer on one line, without what stands around its facts."""
    mended: list[Mending] = []
    text = answer
    if framed := _FRAME.fullmatch(text):
        text = framed[1]
        mended.append("frame")
    prefix, text = split_prefix(text)
    if prefix:
        mended.append("prefix")
    line = " ".join(part for part in map(str.strip, text.splitlines()) if part)
    first = _first_of_photos(line)
    if first is not None:
        line = first
        mended.append("photos")
    if line.startswith(IRRELEVANT) and not _ALONE.fullmatch(line):
        line = IRRELEVANT
        mended.append("irrelevant")
    return MendedLine(line, mended)


def _first_of_photos(line: str) -> str | None:
    """Of ``{"image_1": …}`` what is said of the first photo; None where the line is no such JSON."""
    if not line.startswith("{"):
        return None
    try:
        said: dict[str, Any] = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not said or not all(map(_PHOTO.fullmatch, said)):
        return None
    first = next(iter(said.values()))
    return first if isinstance(first, str) else json.dumps(first, ensure_ascii=False)
