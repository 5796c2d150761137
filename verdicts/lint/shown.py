"""What a Stage-B prompt says of a ticket: its photos as facts, and all other lines."""

import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache

from verdicts.facts.summary import Fact, read_summary
from verdicts.facts.words import REMARK, TEXT

_PHOTO_LINE = re.compile(r"image_\d+: (.*)")


class Shown:
    """A user message of Stage B, read. ``photos``: the facts of each; ``others``: lines that are of no photo."""

    def __init__(self, user: str):
        self.photos: list[tuple[Fact, ...]] = []
        self.others: list[str] = []
        for line in user.split("\n"):
            if found := _PHOTO_LINE.fullmatch(line):
                self.photos.append(_facts(found[1]))
            else:
                self.others.append(line)

    @classmethod
    def of_summaries(cls, summaries: list[str]) -> "Shown":
        """The same of a ticket's summaries."""
        return cls("\n".join(f"image_1: {' '.join(text.split())}" for text in summaries))

    def free_texts(self) -> Iterator[str]:
        """What is neither a fact of a photo nor the text on a label: other lines, remarks."""
        yield from self.others
        for fact in self._all():
            yield from (text for text in (fact.remark, *(v for name, v in fact.attributes if name == REMARK)) if text)

    def said(self) -> Iterator[str]:
        """All that is said, the text on labels apart: whoever photographs a word does not judge the ticket with it."""
        yield from self.free_texts()
        for fact in self._all():
            yield ",".join([fact.category, *(v for name, v in (*fact.attributes, *fact.shared) if name != TEXT)])

    def key(self) -> bytes | None:
        """16 bytes that tickets share whose photos show the same facts in any order, free texts apart."""
        if not self.photos:
            return None
        photos = sorted(repr(sorted(map(_fact_key, facts))) for facts in self.photos)
        return hashlib.blake2b("\0".join(photos).encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def _all(self) -> Iterator[Fact]:
        return (fact for facts in self.photos for fact in facts)


@lru_cache(maxsize=4096)
def _facts(summary: str) -> tuple[Fact, ...]:
    return tuple(read_summary(summary).facts)


def _fact_key(fact: Fact) -> tuple[str, tuple[tuple[str, str], ...], int]:
    said = (pair for pair in (*fact.attributes, *fact.shared) if pair[0] not in (TEXT, REMARK))
    return fact.category, tuple(sorted(said)), fact.count
