"""Epochs and windows: which tickets a round sees. A pure function of tickets, seed and round number.

An epoch is a seeded permutation of all tickets, cut into equal windows; a round is one window (docs/design.md §4).
"""

import random
from collections.abc import Sequence
from math import ceil
from typing import NamedTuple, TypeVar

Ticket = TypeVar("Ticket")


class Place(NamedTuple):
    """Where a round stands, counted from 1 (``window`` from 0)."""

    epoch: int
    window: int
    rounds_per_epoch: int

    @property
    def ends_epoch(self) -> bool:
        """Whether its window is the last of an epoch."""
        return self.window + 1 == self.rounds_per_epoch


def place_of(round_number: int, tickets: int, window_size: int) -> Place:
    """The epoch and window of a round (rounds count from 1)."""
    rounds_per_epoch = ceil(tickets / window_size)
    epoch, window = divmod(round_number - 1, rounds_per_epoch)
    return Place(epoch + 1, window, rounds_per_epoch)


def tickets_of(place: Place, tickets: Sequence[Ticket], seed: int) -> list[Ticket]:
    """The tickets of one window, in the order of its epoch's permutation."""
    order = list(tickets)
    random.Random(f"{seed}/{place.epoch}").shuffle(order)
    first, last = (len(order) * at // place.rounds_per_epoch for at in (place.window, place.window + 1))
    return order[first:last]
