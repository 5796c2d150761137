"""Trying a change of guidance on tickets before it is accepted.

A new rule easily rides on the base rate: where two labels of three are fail, any rule that fails more tickets
"improves" label match. A change is accepted only if it explains errors: among tickets of one verdict it must change
wrong ones more often than right ones (one-sided exact test), and most of what it changes must become right. A rule that
is not about the number of photos is tested among tickets with as many: where there are few photos everything is missing
more often, and labels may follow their number.

A run tries many changes, so the level of the test falls with each that finds nothing: ``level_of`` spends a budget of
false acceptances over all trials since the last acceptance (the LORD rule of A. Javanmard and A. Montanari, Annals of
Statistics 46, 2018). A trial that could not have been significant whatever it showed costs nothing (R. E. Tarone,
Biometrics 46, 1990), nor does one that shows nothing at all, p > 1/2, for which all others pay by half their level
(discarding: J. Tian and A. Ramdas, ADDIS, NeurIPS 2019).
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from math import exp, lgamma, log, sqrt
from typing import NamedTuple

import numpy as np

from verdicts.config.sections import LifeCycle, TrialSection
from verdicts.records.reflection import Trial
from verdicts.records.rollout import Selection
from verdicts.records.tickets import StageA

# Words of rules that name no object: what is said of objects, and what any photo has.
_GENERIC = re.compile(
    "照片|图片|拍摄|画面|重复|模糊|清晰|数量|少于|多于|至少|以上|以下|不足|超过|提供|同一|缺失|缺少|没有|未见|须见|必须|应当|需要|可见|出现|存在|无法|不能|未能|识别|"
    "不通过|通过|判定|视为|作为|依据|理由|情形|情况|豁免|如果|或者|以及|并且|任一|任何|全部|所有|方可|才能|不得|不可|[且若则的与和或及须需有无未即可张一二三两]"
)
DISCARD = 0.5
_PHOTO_COUNT = re.compile(
    "(照片|图片|张).*(少于|多于|不足|至少|超过|数量)|(少于|多于|不足|至少|超过|数量).*(照片|图片|张)"
)
_OBJECT = re.compile(r"[一-鿿]{2,}")


class Sample(NamedTuple):
    """Tickets of one verdict a change is tried on, with their number among all that it could be tried on.

    ``labels``: how many of those tickets, of any verdict, have each label.
    """

    verdict: str
    errors: list[Selection]
    corrects: list[Selection]
    errors_in_all: float
    corrects_in_all: float
    labels: Mapping[str, int]


def draw_sample(
    selections: Sequence[Selection],
    verdict: str,
    limits: TrialSection,
    seed: str,
    shown: Collection[str],
    standing: Callable[[Sequence[Selection]], list[Selection]],
) -> Sample:
    """Draw up to ``limits.errors`` wrong and ``limits.corrects`` right tickets whose verdict is ``verdict``.

    Wrong tickets that reflection was ``shown`` (keys) are left out, unless that leaves less than a quarter of what is
    wanted. ``standing`` gives those of some selections whose verdict still holds under present guidance: the others are
    passed over.
    """
    of_verdict = [selection for selection in selections if selection.verdict == verdict]
    wrong = [selection for selection in of_verdict if not selection.label_match]
    unseen, seen = (
        [selection for selection in wrong if (selection.ticket_key in shown) == was_shown]
        for was_shown in (False, True)
    )
    drawn = random.Random(seed)
    errors, errors_in_all = _draw(unseen, limits.errors, drawn, standing)
    seen_errors, seen_in_all = _draw(
        seen, limits.errors - len(errors) if 4 * len(errors) < limits.errors else 0, drawn, standing
    )
    corrects, corrects_in_all = _draw(
        [selection for selection in of_verdict if selection.label_match], limits.corrects, drawn, standing
    )
    return Sample(
        verdict,
        errors + seen_errors,
        corrects,
        errors_in_all + (seen_in_all or len(seen)),
        corrects_in_all,
        Counter(selection.label for selection in selections),
    )


def _draw(
    pool: Sequence[Selection],
    most: int,
    drawn: random.Random,
    standing: Callable[[Sequence[Selection]], list[Selection]],
) -> tuple[list[Selection], float]:
    """Up to ``most`` of a pool that still stand, and how many of the whole pool do by that."""
    order, kept, asked = drawn.sample(pool, len(pool)), [], 0
    while len(kept) < most and asked < len(order):
        batch = order[asked : asked + most - len(kept)]
        kept += standing(batch)
        asked += len(batch)
    return kept, len(pool) * len(kept) / asked if asked else 0.0


class Table(NamedTuple):
    """How many of some errors and of some corrects a change hits."""

    changed_errors: int
    errors: int
    changed_corrects: int
    corrects: int

    @property
    def best(self) -> "Table":
        """The same number of changes with as many errors among them as there are."""
        changed = self.changed_errors + self.changed_corrects
        hit = min(changed, self.errors)
        return Table(hit, self.errors, changed - hit, self.corrects)


def exact_p(strata: Iterable[Table]) -> float:
    """One-sided p-value that a change hits errors no more than corrects, within each stratum.

    With one stratum Fisher's exact test (R. A. Fisher, 1935), with several the exact conditional test of a common odds
    ratio (D. R. Cox, 1970): margins of each stratum are fixed, and the number of changed errors is summed over them.
    """
    ways, least, seen = np.ones(1), 0, 0
    for table in strata:
        changed = table.changed_errors + table.changed_corrects
        low, high = max(0, changed - table.corrects), min(table.errors, changed)
        logs = np.array(
            [_log_comb(table.errors, hit) + _log_comb(table.corrects, changed - hit) for hit in range(low, high + 1)]
        )
        ways = np.convolve(ways, np.exp(logs - logs.max()))
        ways /= ways.max()
        least, seen = least + low, seen + table.changed_errors
    return float(ways[seen - least :].sum() / ways.sum())


def _log_comb(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def strata_of(trial: Trial) -> list[Table]:
    """The tables of a trial: one for each number of photos, where it is tested so."""
    whole = Table(len(trial.fixed), trial.errors, len(trial.broke), trial.corrects)
    return [Table(*counts) for counts in trial.strata] or [whole]


def level_of(trials: int, spend: float) -> float:
    """The level of the next test after ``trials`` that accepted nothing: half of ``spend`` times a sequence that sums
    to 1 over all of them.
    """
    t = trials + 1
    return DISCARD * spend * 0.07720838 * log(max(t, 2)) / (t * exp(sqrt(log(t))))


def foreign_object(text: str, checklist: str) -> str | None:
    """The first thing a rule names that shares no two characters with the checklist; None where all it names is there."""
    return next(
        (
            found
            for found in _OBJECT.findall(_GENERIC.sub("，", text))
            if not any(found[at : at + 2] in checklist for at in range(len(found) - 1))
        ),
        None,
    )


def counts_photos(text: str) -> bool:
    """Whether a rule is about the number of photos, which tests among tickets with as many would be blind to."""
    return bool(_PHOTO_COUNT.search(text))


def photo_class(ticket: StageA) -> int:
    """The number of a ticket's photos, as tests part them: those with more than six stand together."""
    return min(len(ticket.per_image), 7)


def weigh(
    sample: Sample, before: Mapping[str, str], after: Mapping[str, str], *, noise: float = 0.0, level: float | None = None, foreign: str | None = None,
    photos: Mapping[str, int] | None = None,
) -> Trial:  # fmt: skip
    """Compare verdicts before and after a change (ticket_key -> verdict) on a sample. ``noise``: the share of labels
    that may be wrong; ``photos``: of each ticket, where the test is to be among tickets with as many.

    Tickets that had another verdict than the sample's before the change are left out: they would dilute the test.
    ``precision`` is the share of changed verdicts that became right, each side weighted by its number among all
    tickets; ``harm`` what it breaks beyond the noise, as a share of all tickets with the label that it breaks.
    """
    drawn = [*sample.errors, *sample.corrects]
    label = {
        selection.ticket_key: selection.label for selection in drawn if before[selection.ticket_key] == sample.verdict
    }
    wrong = [key for key in label if before[key] != label[key]]
    right = [key for key in label if before[key] == label[key]]
    fixed = [key for key in wrong if after[key] != before[key]]
    broke = [key for key in right if after[key] != before[key]]
    gain = len(fixed) * sample.errors_in_all / max(1, len(sample.errors))
    loss = len(broke) * sample.corrects_in_all / max(1, len(sample.corrects))
    strata = (
        [
            [sum(photos[key] == count for key in keys) for keys in (fixed, wrong, broke, right)]
            for count in sorted({photos[key] for key in label})
        ]
        if photos
        else []
    )
    trial = Trial(
        errors=len(wrong), corrects=len(right), fixed=sorted(fixed), broke=sorted(broke),
        precision=round(gain / (gain + loss), 6) if gain + loss else None, p_value=1.0,
        level=None if level is None else round(level, 9), harm=harm_of(gain, loss, sample.labels.get(sample.verdict, 0), noise),
        foreign=foreign, strata=strata,
    )  # fmt: skip
    return trial.model_copy(update={"p_value": round(exact_p(strata_of(trial)), 9)})


def harm_of(gain: float, loss: float, labelled: float, noise: float) -> float:
    """By how much a rule that mends ``gain`` and breaks ``loss`` raises the rate of the other error: a share of the
    ``labelled`` tickets.

    Of all that it changes a share of ``noise`` is left out: a right rule, too, fails tickets whose labels are wrong.
    """
    return round(max(0.0, loss - noise * (gain + loss)) / labelled, 6) if labelled else 0.0


def verdict_on(trial: Trial, limits: TrialSection, life: LifeCycle) -> str | None:
    """Why a tried change is refused (a reason word), or None where it is accepted.

    It may do twice the harm that a rule in force may: a right exception also releases tickets that fail for a reason
    still to be learnt.
    """
    if len(trial.fixed) < limits.min_fixed:
        return f"fixes_too_few: {len(trial.fixed)}"
    if trial.precision < limits.min_precision * (1 - life.label_noise):
        return f"breaks_too_many: fixed {len(trial.fixed)}, broke {len(trial.broke)}"
    if trial.harm > 2 * life.max_harm:
        return (
            f"does_harm: broke {len(trial.broke)} of {trial.corrects} right, {trial.harm:.1%} more of the other error"
        )
    if trial.p_value > trial.level:
        of = f"level {trial.level:.2g}" + (
            f" for {trial.foreign}, which the checklist does not name" if trial.foreign else ""
        )
        return f"rides_on_the_base_rate: p {trial.p_value:.2g}, {of}"
    return None


def counts(trial: Trial) -> bool:
    """Whether a trial has to be paid for: it could have been significant at its level, and did not show nothing at all."""
    return trial.p_value <= DISCARD and exact_p([table.best for table in strata_of(trial)]) <= trial.level


def does_harm(trial: Trial) -> bool:
    """Whether a refused change did enough harm to be remembered: it broke three tickets and twice as many as it fixed.

    Less is not held against it: a right exception breaks tickets too, while a rule that fails them for another reason
    is still to be found.
    """
    return len(trial.broke) >= max(3, 2 * len(trial.fixed))


def does_nothing(trial: Trial) -> bool:
    """Whether a change left every tried verdict as it was."""
    return not trial.fixed and not trial.broke


def more_tickets(trial: Trial, most: int = 50) -> int | None:
    """How many times as many tickets like those of a trial would have shown what it showed at its level; None beyond
    ``most`` times, or where no number would.
    """
    return next(
        (
            times
            for times in range(2, most + 1)
            if exact_p(Table(*(count * times for count in table)) for table in strata_of(trial)) <= trial.level
        ),
        None,
    )


def near_misses(trials: Iterable[Trial], limits: TrialSection, life: LifeCycle) -> list[Trial]:
    """Trials whose only fault was too little evidence."""
    return [
        trial
        for trial in trials
        if trial.level is not None and (verdict_on(trial, limits, life) or "").startswith("rides_on")
    ]
