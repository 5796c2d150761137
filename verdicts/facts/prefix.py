"""The line that may stand before an answer about a photo: ``<DOMAIN=BBU>, <TASK=SUMMARY>``."""

import re
from typing import NamedTuple

# Stage A writes a summary on one line: there a blank stands behind the prefix.
_PREFIX = re.compile(r"\s*<DOMAIN=(?P<domain>\w+)>\s*[,，]?\s*<TASK=(?P<task>\w+)>[ \t\r]*(?:\n|(?=[^\s<])|$)")


class Prefix(NamedTuple):
    """What a prefix line says, in its own words: ``Prefix("BBU", "SUMMARY")``."""

    domain: str
    task: str


def split_prefix(text: str) -> tuple[Prefix | None, str]:
    """The prefix line of an answer and what follows it; (None, text) where there is none."""
    found = _PREFIX.match(text)
    return (Prefix(found["domain"], found["task"]), text[found.end() :]) if found else (None, text)
