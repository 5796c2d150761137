"""Trying a change of guidance on tickets before it is accepted.

A new rule easily rides on the base rate: where two labels of three are fail, any rule that fails more tickets
"improves" label match. A change is accepted only if it explains errors: among tickets of one verdict it must change
wrong ones more often than right ones (one-sided Fisher exact test), and most of what it changes must become right.
"""

import random
from collections.abc import Mapping, Sequence
from math import comb
from typing import NamedTuple

from tools.core.config import TrialSection
from tools.core.records import Selection, Trial


class Sample(NamedTuple):
    """Tickets of one verdict a change is tried on, with their number in the whole window."""

    verdict: str
    errors: list[Selection]
    corrects: list[Selection]
    errors_in_window: int
    corrects_in_window: int


def draw_sample(selections: Sequence[Selection], verdict: str, limits: TrialSection, seed: str) -> Sample:
    """Draw up to ``limits.errors`` wrong and ``limits.corrects`` right tickets whose verdict is ``verdict``."""
    of_verdict = [selection for selection in selections if selection.verdict == verdict]
    errors = [selection for selection in of_verdict if not selection.label_match]
    corrects = [selection for selection in of_verdict if selection.label_match]
    drawn = random.Random(seed)
    return Sample(
        verdict,
        drawn.sample(errors, min(limits.errors, len(errors))),
        drawn.sample(corrects, min(limits.corrects, len(corrects))),
        len(errors),
        len(corrects),
    )


def fisher_exact(changed_errors: int, errors: int, changed_corrects: int, corrects: int) -> float:
    """One-sided p-value that a change hits errors no more than corrects (hypergeometric tail; R. A. Fisher, 1935)."""
    changed, total = changed_errors + changed_corrects, errors + corrects
    ways = sum(comb(errors, k) * comb(corrects, changed - k) for k in range(changed_errors, min(errors, changed) + 1))
    return ways / comb(total, changed)


def weigh(sample: Sample, before: Mapping[str, str], after: Mapping[str, str]) -> Trial:
    """Compare verdicts before and after a change (ticket_key -> verdict) on a sample.

    Tickets that had another verdict than the sample's before the change are left out: they would dilute the test.
    ``precision`` is the share of changed verdicts that became right, each side weighted by its number in the window.
    """
    drawn = [*sample.errors, *sample.corrects]
    label = {selection.ticket_key: selection.label for selection in drawn if before[selection.ticket_key] == sample.verdict}
    wrong = [key for key in label if before[key] != label[key]]
    right = [key for key in label if before[key] == label[key]]
    fixed = [key for key in wrong if after[key] != before[key]]
    broke = [key for key in right if after[key] != before[key]]
    gain = len(fixed) * sample.errors_in_window / max(1, len(sample.errors))
    loss = len(broke) * sample.corrects_in_window / max(1, len(sample.corrects))
    return Trial(
        errors=len(wrong), corrects=len(right), fixed=sorted(fixed), broke=sorted(broke),
        precision=round(gain / (gain + loss), 6) if gain + loss else None,
        p_value=round(fisher_exact(len(fixed), len(wrong), len(broke), len(right)), 9),
    )  # fmt: skip


def verdict_on(trial: Trial, limits: TrialSection) -> str | None:
    """Why a tried change is refused (a reason word), or None where it is accepted."""
    if len(trial.fixed) < limits.min_fixed:
        return f"fixes_too_few: {len(trial.fixed)}"
    if trial.precision < limits.min_precision:
        return f"breaks_too_many: fixed {len(trial.fixed)}, broke {len(trial.broke)}"
    if trial.p_value > limits.alpha:
        return f"rides_on_the_base_rate: p {trial.p_value:.4f}"
    return None


def does_harm(trial: Trial) -> bool:
    """Whether a refused change did enough harm to be remembered: it broke three tickets and twice as many as it fixed.

    Less is not held against it: a right exception breaks tickets too, while a rule that fails them for another reason
    is still to be found.
    """
    return len(trial.broke) >= max(3, 2 * len(trial.fixed))


def does_nothing(trial: Trial) -> bool:
    """Whether a change left every tried verdict as it was."""
    return not trial.fixed and not trial.broke
