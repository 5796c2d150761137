"""What a summary says, in one form whatever the summary's own."""

from dataclasses import dataclass
from typing import Literal

MAX_COUNT = 999_999_999  # a count that runs away is read as this


@dataclass(frozen=True)
class Fact:
    """What a summary says of one kind of object.

    ``category``: the object, without a word that only gathers objects; ``A、B`` where one statement is made of both.
    ``attributes``: (name, value); the name is "" in the text form, but for the text on a label (``文本``). A fact of
    the JSON form has one attribute; ``shared`` are those that all objects of its entry have.
    ``count``: of the objects that it is said of. ``remark``: free text that stands with it. ``group``: of 组1, ``1``.
    ``text``: the item or entry as written, ``start``: where it begins in the summary.
    """

    category: str
    attributes: tuple[tuple[str, str], ...] = ()
    count: int = 1
    remark: str = ""
    text: str = ""
    group: str = ""
    shared: tuple[tuple[str, str], ...] = ()
    start: int = 0

    @property
    def objects(self) -> tuple[str, ...]:
        """The objects that the fact is about, one or several."""
        return tuple(self.category.split("、"))

    @property
    def shown(self) -> str:
        """The fact for a reader: as written, and one of many in an entry of JSON as an item ``类别/名=值×1``."""
        named = ",".join(f"{name}={value}" for name, value in self.attributes)
        return f"{self.category}/{named}×{self.count}" if named and self.text.startswith("{") else self.text


@dataclass(frozen=True)
class SummaryFacts:
    """A summary read. ``remarks``: all free remarks. ``groups``: (group, count), of the JSON form."""

    form: Literal["text", "json", "irrelevant"]
    facts: list[Fact]
    remarks: list[str]
    groups: tuple[tuple[str, int], ...] = ()


def as_count(digits: str) -> int:
    """A count as it is written, at most ``MAX_COUNT``: reading a number of any length costs nothing."""
    return int(digits) if len(digits) <= len(str(MAX_COUNT)) else MAX_COUNT
