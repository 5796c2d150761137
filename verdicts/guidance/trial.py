"""Trying a change of guidance on tickets, and the verdict on that trial.

A change is accepted only if it explains errors: among tickets of one verdict it must change wrong ones more often than
right ones (verdicts/stats/exact_test.py), and most of what it changes must become right. A rule that is not about
the number of photos is tested among tickets with as many: where there are few photos everything is missing more often,
and labels may follow their number.
"""

from collections.abc import Iterable, Mapping

from verdicts.config.sections import LifeCycle, TrialSection
from verdicts.guidance.sample import TrialSample
from verdicts.records.reflection import Trial
from verdicts.stats.exact_test import Table, exact_p
from verdicts.stats.power import times_needed


def strata_of(trial: Trial) -> list[Table]:
    """The tables of a trial: one for each number of photos, where it is tested so."""
    whole = Table(len(trial.fixed), trial.errors, len(trial.broke), trial.corrects)
    return [Table(*counts) for counts in trial.strata] or [whole]


def weigh(
    sample: TrialSample,
    before: Mapping[str, str],
    after: Mapping[str, str],
    *,
    noise: float = 0.0,
    level: float | None = None,
    foreign: str | None = None,
    photos: Mapping[str, int] | None = None,
) -> Trial:
    """Compare verdicts before and after a change (ticket_key -> verdict) on a sample.

    ``noise``: the share of labels that may be wrong. ``photos``: of each ticket, where the test is to be among tickets
    with as many. Tickets that had another verdict than the sample's before the change are left out: they would dilute
    the test. ``precision`` is the share of changed verdicts that became right, each side weighted by its number among
    all tickets; ``harm`` what it breaks beyond the noise, as a share of all tickets with the label that it breaks.
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
    strata = []
    if photos:
        for count in sorted({photos[key] for key in label}):
            strata.append([sum(photos[key] == count for key in keys) for keys in (fixed, wrong, broke, right)])
    trial = Trial(
        errors=len(wrong),
        corrects=len(right),
        fixed=sorted(fixed),
        broke=sorted(broke),
        precision=round(gain / (gain + loss), 6) if gain + loss else None,
        p_value=1.0,
        level=None if level is None else round(level, 9),
        harm=harm_of(gain, loss, sample.labels.get(sample.verdict, 0), noise),
        foreign=foreign,
        strata=strata,
    )
    return trial.model_copy(update={"p_value": round(exact_p(strata_of(trial)), 9)})


def harm_of(gain: float, loss: float, labelled: float, noise: float) -> float:
    """By how much a rule that mends ``gain`` and breaks ``loss`` raises the rate of the other error.

    A share of the ``labelled`` tickets. Of all that it changes a share of ``noise`` is left out: a right rule, too,
    fails tickets whose labels are wrong.
    """
    return round(max(0.0, loss - noise * (gain + loss)) / labelled, 6) if labelled else 0.0


def verdict_on(trial: Trial, limits: TrialSection, life: LifeCycle) -> str | None:
    """Why a tried change is refused (a reason word), or None where it is accepted.

    It may do ``limits.harm`` times the harm that a rule in force may: a right exception also releases tickets that fail
    for a reason still to be learnt.
    """
    precision, harm, level = trial.precision or 0.0, trial.harm or 0.0, trial.level or 0.0
    if len(trial.fixed) < limits.min_fixed:
        return f"fixes_too_few: {len(trial.fixed)}"
    if precision < limits.min_precision * (1 - life.label_noise):
        return f"breaks_too_many: fixed {len(trial.fixed)}, broke {len(trial.broke)}"
    if harm > limits.harm * life.max_harm:
        return f"does_harm: broke {len(trial.broke)} of {trial.corrects} right, {harm:.1%} more of the other error"
    if trial.p_value > level:
        foreign = f" for {trial.foreign}, which the checklist does not name" if trial.foreign else ""
        return f"rides_on_the_base_rate: p {trial.p_value:.2g}, level {level:.2g}{foreign}"
    return None


def counts(trial: Trial, limits: TrialSection) -> bool:
    """Whether a trial has to be paid for: it could have been significant at its level, and did not show nothing."""
    if trial.p_value > limits.discard:
        return False
    return exact_p([table.best for table in strata_of(trial)]) <= (trial.level or 0.0)


def does_harm(trial: Trial, limits: TrialSection) -> bool:
    """Whether a refused change did enough harm to be remembered: by what it broke, and against what it fixed.

    Less is not held against it: a right exception breaks tickets too, while a rule that fails them for another reason
    is still to be found.
    """
    return len(trial.broke) >= max(limits.remember_broke, limits.remember_ratio * len(trial.fixed))


def does_nothing(trial: Trial) -> bool:
    """Whether a change left every tried verdict as it was."""
    return not trial.fixed and not trial.broke


def more_tickets(trial: Trial, most: int = 50) -> int | None:
    """How many times as many tickets like those of a trial would show what it showed at its level: ``times_needed``."""
    return times_needed(strata_of(trial), trial.level or 0.0, most)


def near_misses(trials: Iterable[Trial], limits: TrialSection, life: LifeCycle) -> list[Trial]:
    """Trials whose only fault was too little evidence."""
    return [
        trial
        for trial in trials
        if trial.level is not None and (verdict_on(trial, limits, life) or "").startswith("rides_on")
    ]
