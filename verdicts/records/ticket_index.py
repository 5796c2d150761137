"""A run's tickets by their place in the file, so that a million of them fit: 37 bytes of memory a ticket, however long
it is.
"""

import hashlib
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from verdicts.base.errors import mistake, stands_twice
from verdicts.base.jsonl import RowsByPlace, stream_lines, stream_placed, stream_rows
from verdicts.records.tickets import StageA, Verdict

LABELS: tuple[Verdict, ...] = ("pass", "fail")


class Keys:
    """Numbers by key, without the keys: each was added as 16 bytes of BLAKE2b, the first one as number 0.

    Of a million keys two share their 128 bits once in 10^27 sets: equal digests are taken for equal keys. Takes
    ``digests`` over, and leaves them empty.
    """

    def __init__(self, digests: bytearray):
        column = np.frombuffer(digests, dtype=f"S{DIGEST}")
        self._numbers = np.argsort(column, kind="stable").astype(np.uint32)
        self._digests = column[self._numbers]
        del column
        digests.clear()
        self._last: tuple[str, int | None] = ("", None)

    def number(self, key: str) -> int | None:
        """The number of a key, None where it was not added."""
        if self._last[0] != key:  # a ticket's candidates follow each other
            wanted = key_digest(key)
            at = int(np.searchsorted(self._digests, wanted))
            # numpy shows S16 without its last zero bytes
            found = at < len(self._digests) and self._digests[at] == wanted.rstrip(b"\0")
            self._last = key, int(self._numbers[at]) if found else None
        return self._last[1]

    def firsts(self) -> np.ndarray:
        """Of each number, the first number that was added under its key."""
        if not (self._digests[1:] == self._digests[:-1]).any():
            return np.arange(len(self._digests), dtype=np.uint32)
        fresh = np.ones(len(self._digests), dtype=bool)
        fresh[1:] = self._digests[1:] != self._digests[:-1]
        firsts = np.empty(len(self._digests), dtype=np.uint32)
        firsts[self._numbers] = self._numbers[np.flatnonzero(fresh)[np.cumsum(fresh) - 1]]
        return firsts


DIGEST = 16


def key_digest(key: str) -> bytes:
    """What stands for a key."""
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=DIGEST).digest()


class Tickets(Mapping[str, StageA]):
    """Stage-A tickets by ticket_key, each read again from the file when it is asked for.

    A ticket's number is its place in file order.

    Raises UserError for what read_tickets refuses.
    """

    def __init__(self, path: Path, mission: str | None = None):
        self.path, digests = path, bytearray()
        self._offset, self._length = array("Q"), array("I")
        self._label, self._mission = array("B"), array("I")
        self.missions: list[str] = []
        known: dict[str, int] = {}
        for placed, ticket in stream_placed(path, StageA):
            digests += key_digest(ticket.ticket_key)
            self._offset.append(placed.offset)
            self._length.append(placed.length)
            self._label.append(LABELS.index(ticket.label))
            self._mission.append(known.setdefault(ticket.mission, len(known)))
        self.missions = list(known)
        self._keys = Keys(digests)
        self._refuse(mission)
        self._places = RowsByPlace(path)

    def _refuse(self, mission: str | None) -> None:
        """Raise UserError at the first line that repeats a key or is of a foreign mission."""
        firsts = self._keys.firsts()
        repeated = next(((int(firsts[at]), int(at)) for at in np.flatnonzero(firsts != np.arange(len(firsts)))), None)
        foreign = (
            next((at for at, of in enumerate(self._mission) if self.missions[of] != mission), None)
            if mission is not None and self.missions != [mission]
            else None
        )
        if repeated is None and foreign is None:
            return  # the file is not read again to count its lines
        lines = [placed.line for placed in stream_lines(self.path)]
        if repeated and (foreign is None or repeated[1] <= foreign):
            first, again = (lines[number] for number in repeated)
            name = f"ticket_key {self._read(repeated[1]).ticket_key!r}"
            raise stands_twice(name, first, path=self.path, line=again, field="group_id")
        if foreign is not None:
            what = f"{self.missions[self._mission[foreign]]!r} is not this run's mission {mission!r}"
            raise mistake(what, "run it under its own MISSION", path=self.path, line=lines[foreign], field="mission")

    def _read(self, number: int) -> StageA:
        return RowsByPlace(self.path).row(self._offset[number], self._length[number], StageA)

    def __len__(self) -> int:
        return len(self._offset)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._keys.number(key) is not None

    def __iter__(self) -> Iterator[str]:
        return (ticket.ticket_key for ticket in stream_rows(self.path, StageA))

    def __getitem__(self, key: str) -> StageA:
        number = self._keys.number(key)
        if number is None:
            raise KeyError(key)
        return self.at(number)

    def at(self, number: int) -> StageA:
        """A ticket by its number."""
        return self._places.row(self._offset[number], self._length[number], StageA)

    def number(self, key: str) -> int | None:
        """A ticket's number, None where there is no such ticket."""
        return self._keys.number(key)

    def label(self, number: int) -> str:
        """A ticket's label, without reading it."""
        return LABELS[self._label[number]]

    def mission_number(self, number: int) -> int:
        """Which of ``missions`` a ticket is of, without reading it."""
        return self._mission[number]

    def count(self, label: str) -> int:
        """How many tickets have this label."""
        return self._label.count(LABELS.index(label))


class Numbers:
    """Numbers of ticket keys, also of those that no ticket has: they come after the tickets'."""

    def __init__(self, tickets: Tickets):
        self._tickets = tickets
        self._strangers: dict[str, int] = {}

    def of(self, key: str) -> int:
        """The number of a key."""
        number = self._tickets.number(key)
        return len(self._tickets) + self._strangers.setdefault(key, len(self._strangers)) if number is None else number

    def key(self, number: int) -> str:
        """The key of a number."""
        return (
            self._tickets.at(number).ticket_key
            if number < len(self._tickets)
            else list(self._strangers)[number - len(self._tickets)]
        )


class Column:
    """A number for each ticket number, 0 until it is set."""

    def __init__(self, typecode: str):
        self._values = array(typecode)

    def __getitem__(self, number: int) -> int:
        return self._values[number] if number < len(self._values) else 0

    def __setitem__(self, number: int, value: int) -> None:
        if number >= len(self._values):
            self._values.extend(array(self._values.typecode, [0]) * (number + 1 - len(self._values)))
        self._values[number] = value
