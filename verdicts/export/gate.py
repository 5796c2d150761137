"""The parity gate: whether an exported student may ship, from its answers on the engine that will serve it.

The same held-out questions were asked before training, after it, and once more through llama-server. The export ships
only where its files are the student's (check.py), its verdicts are those of transformers, its false release rate lies
in the interval that transformers' answers give, and it keeps the limits of the student's own gate there.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from verdicts.config.sections import GateSection
from verdicts.evaluation.gate import RETAINED, change_in, limit_reasons, retention_reasons, unknown_tasks
from verdicts.evaluation.pairs import Pairs
from verdicts.evaluation.scores import METRICS
from verdicts.export.check import Check
from verdicts.export.convert import MMPROJ, MODEL
from verdicts.export.records import Conversion, ExportFinding, ExportGate
from verdicts.models.fingerprint import whole_hash
from verdicts.records.corpus import Task
from verdicts.records.evaluation import Difference, Evaluation, ScoredAnswer
from verdicts.stats.rates import Rate, wilson

Judged = tuple[Evaluation, list[ScoredAnswer]]
TASKS: tuple[Task, ...] = ("chat", "summary", "dense")
NAMED_FINDINGS = 12  # findings that are reasons of their own


def compared(folder: Path, student: Path, conversion: Conversion) -> Conversion:
    """What is known of the files in ``folder``; compared again where they are not those that were compared then."""
    made = {file.name: file.sha256 for file in conversion.files}
    if all(whole_hash(folder / name) == made.get(name) for name in (MODEL, MMPROJ)):
        return conversion
    check = Check(student, folder, conversion.quant, conversion.mmproj_quant)
    return conversion.model_copy(update={"files": check.files, "found": check.found})


def judge_export(
    before: Judged,
    after: Judged,
    served: Judged,
    conversion: Conversion,
    limits: GateSection,
    agree: float,
) -> ExportGate:
    """All figures of both engines, and the reasons why the export may not ship.

    ``before``, ``after``: the base and the taught student by transformers; ``served``: the export. All three were asked
    the same (evaluation.pairs.pair_answers). ``conversion.found``: what differs in the files as they are now.
    """
    to_served, since_before = pairs_of(after[1], served[1]), pairs_of(before[1], served[1])
    agreement = share_alike(to_served, lambda old, new: old.verdict == new.verdict, "chat")
    retention = {
        metric.name: change_in(metric, before[0], served[0], since_before, limits)
        for metric in METRICS
        if metric.name in RETAINED
    }
    reasons = [
        *file_reasons(conversion.found),
        *agreement_reasons(agreement, agree),
        *frr_reasons(after[0].chat.frr, served[0].chat.frr),
        *limit_reasons(before[0], served[0], limits),
        *retention_reasons(retention, limits.max_retention_loss),
        *unknown_tasks(retention),
    ]
    moved = {metric.name: change_in(metric, after[0], served[0], to_served, limits) for metric in METRICS}
    return ExportGate(
        state="refused" if reasons else "shipped",
        reasons=reasons,
        remarks=losses_within(moved, limits.max_retention_loss),
        conversion=conversion,
        transformers=after[0],
        served=served[0],
        agreement=agreement,
        same_text={task: share_alike(to_served, lambda old, new: old.text == new.text, task) for task in TASKS},
        changes=moved,
        retention=retention,
    )


def pairs_of(old: Sequence[ScoredAnswer], new: Sequence[ScoredAnswer]) -> Pairs:
    """Each question's two answers; both sides were asked the same."""
    second = {(row.task, row.key): row for row in new}
    return [(row, second[row.task, row.key]) for row in old]


def share_alike(pairs: Pairs, alike: Callable[[ScoredAnswer, ScoredAnswer], bool], task: Task) -> Rate:
    """The share of a task's questions of which both answers are alike."""
    found = [alike(old, new) for old, new in pairs if old.task == task]
    return wilson(sum(found), len(found))


def file_reasons(found: Sequence[ExportFinding]) -> list[str]:
    """What differs in the files, the first of it in words."""
    reasons = [f"{one.file}: {one.wrong}: {one.detail}" for one in found[:NAMED_FINDINGS]]
    return reasons + (
        [f"{len(found) - NAMED_FINDINGS} more things differ in the files"] if len(found) > NAMED_FINDINGS else []
    )


def agreement_reasons(agreement: Rate, least: float) -> list[str]:
    """Why the verdicts are not those of transformers; one that either engine gives no verdict counts as another."""
    if agreement.rate is not None and agreement.rate >= least:
        return []
    other = agreement.n - agreement.k
    return [f"{other} of {agreement.n} verdicts are others than by transformers: at least {least:.1%} have to agree"]


def frr_reasons(by_transformers: Rate, served: Rate) -> list[str]:
    """Why the false release rate is not the one that the student's own gate saw."""
    if served.rate is None or by_transformers.rate is None:
        return []  # the limits say that it is unknown
    low, high = by_transformers.low or 0.0, by_transformers.high or 1.0
    if low <= served.rate <= high:
        return []
    return [f"FRR {served.rate:.2%} on llama.cpp lies outside of transformers' interval [{low:.2%}, {high:.2%}]"]


def losses_within(moved: dict[str, Difference], most: float) -> list[str]:
    """Scores that the export lost more of than training may lose, though it stays within the limits."""
    return [
        f"{RETAINED[name].title} is {-100 * change.change:.2f} points lower on llama.cpp than by transformers"
        for name, change in moved.items()
        if name in RETAINED and change.change is not None and -change.change > most
    ]
