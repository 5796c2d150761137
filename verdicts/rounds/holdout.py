"""Tickets that guidance is learnt from, and tickets that it is only judged on.

A share of all groups is held out by a hash of their id: reflection is never shown them, no proposal is tried on them
and no rule is credited by them. They are rolled out like all others, so that every rate stands for both sides.
"""

from collections.abc import Iterable
from typing import Literal, Protocol, TypeVar

from verdicts.base.split import is_in_share
from verdicts.config.sections import LearnSection

Side = Literal["learn", "holdout"]
SIDES: tuple[Side, Side] = ("learn", "holdout")


class OfGroup(Protocol):
    """Whatever belongs to a group."""

    group_id: str


_Row = TypeVar("_Row", bound=OfGroup)


def is_held_out(group_id: str, learn: LearnSection) -> bool:
    """Whether a group is held out; the same for any set of tickets that it is part of."""
    return is_in_share(learn.seed, group_id, learn.holdout)


def side_of(group_id: str, learn: LearnSection) -> Side:
    """``learn`` or ``holdout``."""
    return "holdout" if is_held_out(group_id, learn) else "learn"


def to_learn_from(rows: Iterable[_Row], learn: LearnSection) -> list[_Row]:
    """The rows of groups that are not held out, in their order."""
    return [row for row in rows if not is_held_out(row.group_id, learn)]
