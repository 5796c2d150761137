"""The tickets that a proposed change is tried on."""

import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from verdicts.config.sections import TrialSection
from verdicts.records.rollout import Selection

KeepStanding = Callable[[Sequence[Selection]], list[Selection]]


class TrialSample(NamedTuple):
    """Tickets of one verdict a change is tried on, with their number among all that it could be tried on.

    ``labels``: how many of those tickets, of any verdict, have each label.
    """

    verdict: str
    errors: list[Selection]
    corrects: list[Selection]
    errors_in_all: float
    corrects_in_all: float
    labels: Mapping[str, int]

    @classmethod
    def of_all(
        cls, verdict: str, errors: list[Selection], corrects: list[Selection], all_: Sequence[Selection]
    ) -> "TrialSample":
        """Nothing drawn: every wrong and every right ticket of a verdict, among ``all_`` tickets of any."""
        labels: Counter[str] = Counter(selection.label for selection in all_)
        return cls(verdict, errors, corrects, len(errors), len(corrects), labels)


def draw_sample(
    selections: Sequence[Selection],
    verdict: str,
    limits: TrialSection,
    seed: str,
    shown: Collection[str],
    standing: KeepStanding,
) -> TrialSample:
    """Draw up to ``limits.errors`` wrong and ``limits.corrects`` right tickets whose verdict is ``verdict``.

    Wrong tickets that reflection was ``shown`` (keys) are left out, unless that leaves less than ``limits.min_unseen``
    of what is wanted. ``standing`` gives those of some selections whose verdict still holds under present guidance: the
    others are passed over.
    """
    of_verdict = [selection for selection in selections if selection.verdict == verdict]
    wrong = [selection for selection in of_verdict if not selection.label_match]
    right = [selection for selection in of_verdict if selection.label_match]
    unseen = [selection for selection in wrong if selection.ticket_key not in shown]
    seen = [selection for selection in wrong if selection.ticket_key in shown]
    rng = random.Random(seed)  # one generator for all three draws: their order is part of the result
    errors, errors_in_all = _draw(unseen, limits.errors, rng, standing)
    missing = limits.errors - len(errors) if len(errors) < limits.min_unseen * limits.errors else 0
    seen_errors, seen_in_all = _draw(seen, missing, rng, standing)
    corrects, corrects_in_all = _draw(right, limits.corrects, rng, standing)
    return TrialSample(
        verdict,
        errors + seen_errors,
        corrects,
        errors_in_all + (seen_in_all or len(seen)),
        corrects_in_all,
        Counter(selection.label for selection in selections),
    )


def _draw(
    pool: Sequence[Selection], most: int, rng: random.Random, standing: KeepStanding
) -> tuple[list[Selection], float]:
    """Up to ``most`` of a pool that still stand, and how many of the whole pool do by that."""
    order = rng.sample(pool, len(pool))
    kept: list[Selection] = []
    asked = 0
    while len(kept) < most and asked < len(order):
        batch = order[asked : asked + most - len(kept)]
        kept += standing(batch)
        asked += len(batch)
    return kept, len(pool) * len(kept) / asked if asked else 0.0
