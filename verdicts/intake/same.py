"""Which tickets show the same as one before them: by a digest of what they show, or by near photos.

Within a label the first ticket in file order stands for all that show the same. A ticket of the other label that shows
the same is named, and leaves nobody out: one of the two labels is wrong, and which one is for people to say.
"""

import hashlib
from array import array
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np

from verdicts.intake.photo_files import PhotoFiles
from verdicts.records.ticket_index import DIGEST, Keys
from verdicts.records.tickets import StageA

BITS = 64  # of a perceptual hash
OTHER_LABEL = {"pass": "fail", "fail": "pass"}


class Twin(NamedTuple):
    """The ticket_keys of tickets that stay and show the same as the one that was asked for; None where none does."""

    same_label: str | None
    other_label: str | None


class Same(Protocol):
    """What finds such tickets. ``what``: how a reason says it; ``unseen``: tickets that could not be compared."""

    what: str
    unseen: int

    def see(self, ticket: StageA) -> None:
        """Take in a ticket, all of them in file order."""

    def first_like(self, number: int, ticket: StageA) -> Twin:
        """The tickets that stay and show the same; in file order again. Where none has its label, it stays itself."""


class EqualTickets:
    """Tickets with equal summaries, or equal photo files where ``photos`` is given: 20 bytes of memory each.

    The order of a ticket's photos and their names do not count.
    """

    def __init__(self, photos: PhotoFiles | None):
        self.what = "the same photos" if photos else "the same summaries"
        self.unseen = 0
        self._photos = photos
        self._digests = bytearray()
        self._firsts: np.ndarray | None = None
        self._stays: dict[tuple[int, str], str] = {}  # of tickets that show what another one shows, the first by label

    def see(self, ticket: StageA) -> None:
        """Take in a ticket."""
        parts = [self._photos.content(ticket, name) for name in ticket.images] if self._photos else None
        if parts is not None and not all(parts):
            self.unseen += 1
            parts = [f"unseen {self.unseen}"]
        shown = "\0".join(sorted(map(str, ticket.per_image.values() if parts is None else parts)))
        self._digests += hashlib.blake2b(shown.encode("utf-8", "surrogatepass"), digest_size=DIGEST).digest()

    def first_like(self, number: int, ticket: StageA) -> Twin:
        """The tickets that stay and show the same."""
        if self._firsts is None:
            self._firsts = Keys(self._digests).firsts()
            self._shared = np.bincount(self._firsts, minlength=len(self._firsts)) > 1
        first = int(self._firsts[number])
        if not self._shared[first]:
            return Twin(None, None)
        own, other = (self._stays.get((first, label)) for label in (ticket.label, OTHER_LABEL[ticket.label]))
        if own is None:
            self._stays[first, ticket.label] = ticket.ticket_key
        return Twin(own, other)


class NearTickets:
    """Tickets of as many photos, each of which is near one of the other's, both ways.

    Near: their 64-bit perceptual hashes differ in ``distance`` bits at most. Of distance + 1 bands of bits two such
    hashes share one, so only hashes with a band in common are compared. Some 60 bytes of memory a photo, 200 a ticket.
    """

    def __init__(self, photos: PhotoFiles, distance: int):
        self.what, self.unseen = f"photos that differ in {distance} of 64 bits at most", 0
        self._photos, self._distance = photos, distance
        self._hashes, self._ends = array("Q"), array("I")
        self._index: _Bands | None = None
        self._stays: dict[int, tuple[str, str]] = {}  # label and key by number

    def see(self, ticket: StageA) -> None:
        """Take in a ticket: its photos are read."""
        hashes = [self._photos.perceptual(ticket, name) for name in ticket.images]
        known = [value for value in hashes if value is not None]
        if len(known) < len(hashes):
            self.unseen, known = self.unseen + 1, []
        self._hashes.extend(known)
        self._ends.append(len(self._hashes))

    def first_like(self, number: int, ticket: StageA) -> Twin:
        """The tickets that stay and show the same."""
        if self._index is None:
            self._all = np.array(self._hashes, dtype=np.uint64)
            self._index = _Bands(self._all, self._distance)
            ends = np.frombuffer(self._ends, np.uint32)
            counts = ends - np.concatenate([np.zeros(1, np.uint32), ends[:-1]])
            self._of_photo = np.repeat(np.arange(len(ends), dtype=np.uint32), counts)
        own = self._of(number)
        found: dict[str, str] = {}
        if len(own):
            for other in np.unique(self._of_photo[self._index.near(own[0])]).tolist():
                if other in self._stays and self._cover(own, self._of(other)):
                    label, key = self._stays[other]
                    found.setdefault(label, key)
        if ticket.label not in found:
            self._stays[number] = ticket.label, ticket.ticket_key
        return Twin(found.get(ticket.label), found.get(OTHER_LABEL[ticket.label]))

    def _of(self, number: int) -> np.ndarray:
        return self._all[self._ends[number - 1] if number else 0 : self._ends[number]]

    def _cover(self, one: np.ndarray, other: np.ndarray) -> bool:
        if len(one) != len(other):
            return False
        near = np.bitwise_count(one[:, None] ^ other[None, :]) <= self._distance
        return bool(near.any(axis=0).all() and near.any(axis=1).all())


class _Bands:
    """Photos by bands of their hashes, equal hashes once."""

    def __init__(self, hashes: np.ndarray, distance: int):
        self._values, numbers = np.unique(hashes, return_inverse=True)
        self._by_value = np.argsort(numbers, kind="stable").astype(np.uint32)  # photos, those of one hash together
        self._starts = np.searchsorted(numbers[self._by_value], np.arange(len(self._values) + 1)).astype(np.uint32)
        self._distance = distance
        edges = [BITS * at // (distance + 1) for at in range(distance + 2)]
        self._bands = []
        for low, high in pairwise(edges):
            shift, mask = np.uint64(low), np.uint64(2 ** (high - low) - 1)
            band = (self._values >> shift) & mask
            order = np.argsort(band, kind="stable").astype(np.uint32)
            self._bands.append((shift, mask, order, band[order]))

    def near(self, value: np.uint64) -> np.ndarray:
        """The numbers of all photos near a hash."""
        found = []
        for shift, mask, order, band in self._bands:
            wanted = (value >> shift) & mask
            low, high = np.searchsorted(band, wanted, "left"), np.searchsorted(band, wanted, "right")
            some = order[low:high]
            found.append(some[np.bitwise_count(self._values[some] ^ value) <= self._distance])
        spans = [self._by_value[self._starts[at] : self._starts[at + 1]] for at in np.unique(np.concatenate(found))]
        return np.concatenate(spans) if spans else np.zeros(0, np.uint32)
