"""Generation of a row: descriptions of objects and summaries, checked and brought into their form."""

import json
import re
from typing import Any, Literal

from verdicts.base.json_text import Flaw, decode
from verdicts.corpus.rows import OTHER_MEDIA
from verdicts.facts.prefix import Prefix, split_prefix
from verdicts.facts.words import IRRELEVANT
from verdicts.importing.findings import Mended, Unusable, excerpt
from verdicts.photos.files import PHOTO_MARK
from verdicts.student.json_scores import is_json

Generation = Literal["v1", "v2"]
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
_BETWEEN = re.compile("([,/])")
_PAIRS = re.compile(r"(^|,)[^,/=]+=")
_COUNTED = re.compile(rf"{IRRELEVANT}\s*×\s*\d+")


def read_desc(value: Any, field: str, mended: Mended) -> str:
    """The words of an object without control characters, and without blanks at their ends and beside ``,`` and ``/``.

    Raises Unusable where nothing is left.
    """
    if not isinstance(value, str):
        raise Unusable("missing_field" if value is None else "bad_field", field, f"no text ({excerpt(value)})")
    text = _CONTROL.sub("", value)
    if text != value:
        mended.note("desc_control", field, excerpt(value))
    tidy = "".join(part.strip() for part in _BETWEEN.split(text))
    if tidy != text:
        mended.note("desc_blanks", field, excerpt(text))
    if not tidy:
        raise Unusable("empty_desc", field, excerpt(value))
    return _no_media(tidy, field)


def read_summary_text(value: Any, field: str, mended: Mended) -> tuple[Prefix | None, str]:
    """The text of a summary on one line, apart from the prefix line that it may begin with.

    Raises Unusable for one that is blank, or begins like JSON and is no whole summary.
    """
    if isinstance(value, dict):
        mended.note("summary_object", field, "an object in place of its text")
        value = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str):
        raise Unusable("bad_field", field, f"no text ({excerpt(value)})")
    prefix, text = split_prefix(value)
    if prefix:
        mended.note("prefix_removed", field, f"{prefix.domain}, {prefix.task}")
    text = text.strip()
    if not text:
        raise Unusable("blank_summary", field, excerpt(value))
    if text.startswith(("{", "[")):
        return prefix, _no_media(_json_line(text, field, mended), field)
    if _COUNTED.fullmatch(text):
        mended.note("irrelevant_count", field, text)
        text = IRRELEVANT
    line = " ".join(part.strip() for part in text.splitlines() if part.strip())
    if line != text:
        mended.note("summary_lines", field, f"{len(text.splitlines())} lines")
    return prefix, _no_media(line, field)


def _json_line(text: str, field: str, mended: Mended) -> str:
    """A JSON summary on one line; one that is on one line already stays as it is."""
    try:
        value = decode(text)
    except Flaw as flaw:
        raise Unusable("broken_summary", field, str(flaw)) from None
    if not isinstance(value, dict):
        raise Unusable("broken_summary", field, f"JSON, but no object ({excerpt(text)})")
    if not is_json(text):
        raise Unusable("broken_summary", field, f"an entry has no 类别, or there is none ({excerpt(text)})")
    if len(text.splitlines()) == 1:
        return text
    mended.note("summary_lines", field, f"{len(text.splitlines())} lines")
    return json.dumps(value, ensure_ascii=False)


def _no_media(text: str, field: str) -> str:
    word = next((word for word in (PHOTO_MARK, *OTHER_MEDIA) if word in text), None)
    if word:
        raise Unusable("media_word", field, f"{word} would be read as a photo or clip")
    return text


def generation_of_desc(desc: str) -> Generation:
    """The generation of an object's words: ``v2`` for ``key=value`` pairs, ``v1`` for ``类型/属性,属性``."""
    return "v2" if _PAIRS.match(desc) else "v1"


def generation_of_summary(text: str) -> Generation:
    """The generation of a summary's words: ``v2`` for JSON."""
    return "v2" if text.startswith("{") else "v1"
