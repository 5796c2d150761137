"""The gate: whether a student may ship, from its scores before and after training on the same questions.

It must release fewer bad tickets, stay within the limits of configs/base.yaml (``gate``), and forget nothing. Changes are
paired: exact McNemar for verdicts, a bootstrap over groups for the intervals (tools/core/paired.py).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tools.core.config import GateSection
from tools.core.errors import mistake
from tools.core.evaluation import Answer, Evaluation, F1Record, answers_path, tally
from tools.core.fused_rows import Task
from tools.core.jsonl import read_json, read_rows
from tools.core.paired import Parts, change_of, mcnemar_exact
from tools.core.records import RateRecord, Record, Verdict

Pairs = Sequence[tuple[Answer, Answer]]


class Score(NamedTuple):
    """A score of the table: where it stands in an evaluation, and what an answer adds to it (hits, weight)."""

    title: str
    task: Task
    of: Callable[[Evaluation], RateRecord | F1Record]
    adds: Callable[[Answer], tuple[float, float]]


def _errors(label: Verdict) -> Callable[[Answer], tuple[float, float]]:
    """Wrong verdicts among the tickets of a label that have one (metrics.verdict_rates)."""

    def adds(row: Answer) -> tuple[float, float]:
        counts = row.label == label and row.verdict is not None
        return counts and not row.right, counts

    return adds


def _overlap(row: Answer) -> tuple[float, float]:
    return (2 * row.overlap.hits, row.overlap.given + row.overlap.wanted) if row.overlap else (0, 0)


CHAT = {
    "frr": Score("false release (FRR)", "chat", lambda e: e.chat.frr, _errors("fail")),
    "false_block": Score("false block", "chat", lambda e: e.chat.false_block, _errors("pass")),
    "label_match": Score("label match", "chat", lambda e: e.chat.label_match, lambda row: (row.right, row.verdict is not None)),
    "format": Score("format", "chat", lambda e: e.chat.format, lambda row: (row.format_ok, 1)),
}
RETAINED = {
    "summary_exact": Score("summary exact match", "summary", lambda e: e.summary.exact, lambda row: (row.right, 1)),
    "attribute_f1": Score("summary attribute F1", "summary", lambda e: e.summary.attribute_f1, _overlap),
    "dense_f1": Score("dense F1 at IoU 0.5", "dense", lambda e: e.dense.f1, _overlap),
}


class McNemar(Record):
    """An error of verdicts among the tickets of one label, paired: ``left_out`` are those without a verdict before or after."""

    pairs: int
    only_before: int
    only_after: int
    left_out: int
    p_value: float


class Difference(Record):
    """``change`` = after - before, with the 95 % interval of a paired bootstrap over groups."""

    before: float | None
    after: float | None
    change: float | None
    low: float | None
    high: float | None


class GateRecord(Record):
    """evaluation/gate.json. ``chat`` and ``retention`` name their scores as CHAT and RETAINED do."""

    passed: bool
    reasons: list[str]
    before: Evaluation
    after: Evaluation
    mcnemar: dict[str, McNemar]
    chat: dict[str, Difference]
    retention: dict[str, Difference]


def read_evaluation(path: Path) -> tuple[Evaluation, list[Answer]]:
    """An evaluation and the answers beside it; raises UserError where the scores are not those of the answers."""
    evaluation, answers = read_json(path, Evaluation), read_rows(answers_path(path), Answer)
    if tally(answers) != (evaluation.tickets, evaluation.chat, evaluation.summary, evaluation.dense):
        raise mistake(f"its scores are not those of {answers_path(path).name}", "make both again (evaluate)", path=path)
    return evaluation, answers


def paired(before: tuple[Evaluation, list[Answer]], after: tuple[Evaluation, list[Answer]], path: Path) -> Pairs:
    """Each question's answers before and after. Raises UserError, naming the file of after, where the questions are not the same."""
    todo = "evaluate both students on the same tickets, photos and guidance"
    (old, old_answers), (new, new_answers) = before, after
    for field in ("mission", "guidance_step"):
        if (was := getattr(old, field)) != (now := getattr(new, field)):
            raise mistake(f"{now!r} after, {was!r} before", todo, path=path, field=field)
    first, second = ({(row.task, row.key, row.label, row.expected): row for row in rows} for rows in (old_answers, new_answers))
    for name in (*first, *second):
        if name not in first or name not in second:
            side = "before" if name in first else "after"
            raise mistake(f"{name[0]} question {name[1]!r} was asked {side} alone, or with another label or wanted answer", todo, path=path)
    if old.questions != new.questions:
        raise mistake("the same names as before with other prompts, photos or answer lengths", todo, path=path, field="questions")
    return [(row, second[name]) for name, row in first.items()]


def judge(before: Evaluation, after: Evaluation, pairs: Pairs, limits: GateSection) -> GateRecord:
    """All differences, and the reasons why the student may not ship."""
    retention = {name: difference(score, before, after, pairs, limits) for name, score in RETAINED.items()}
    found = [*verdict_reasons(before, after, limits), *retention_reasons(retention, limits.max_retention_loss)]
    return GateRecord(
        passed=not found,
        reasons=found,
        before=before,
        after=after,
        mcnemar={"false_release": mcnemar(pairs, "fail"), "false_block": mcnemar(pairs, "pass")},
        chat={name: difference(score, before, after, pairs, limits) for name, score in CHAT.items()},
        retention=retention,
    )


def difference(score: Score, before: Evaluation, after: Evaluation, pairs: Pairs, limits: GateSection) -> Difference:
    """The change of one score."""
    groups: dict[str, list[Parts]] = {}
    for old, new in pairs:
        if old.task == score.task:
            groups.setdefault(old.group_id, []).append(Parts(*score.adds(old), *score.adds(new)))
    change = change_of(groups, limits.resamples, limits.seed)
    return Difference(before=value_of(score.of(before)), after=value_of(score.of(after)), **change._asdict())


def value_of(score: RateRecord | F1Record) -> float | None:
    """The figure of a rate or an F1."""
    return score.f1 if isinstance(score, F1Record) else score.rate


def mcnemar(pairs: Pairs, label: Verdict) -> McNemar:
    """Wrong verdicts on the tickets of a label, before against after."""
    of_label = [(old, new) for old, new in pairs if old.task == "chat" and old.label == label]
    whole = [(old.right, new.right) for old, new in of_label if old.verdict and new.verdict]
    only_before, only_after = whole.count((False, True)), whole.count((True, False))
    p_value = round(mcnemar_exact(only_before, only_after), 9)
    return McNemar(pairs=len(whole), only_before=only_before, only_after=only_after, left_out=len(of_label) - len(whole), p_value=p_value)


def verdict_reasons(before: Evaluation, after: Evaluation, limits: GateSection) -> list[str]:
    """What is wrong with the verdicts after training.

    A malformed answer is no verdict, so a student could hide bad tickets from FRR by talking nonsense: the limit of FRR must
    hold with each malformed answer to a failed ticket counted as a release too.
    """
    old, new = before.chat, after.chat
    reasons = []
    hidden, failed = new.failed_without_verdict, new.frr.n + new.failed_without_verdict
    if old.frr.rate is None or new.frr.rate is None:
        reasons.append(f"FRR is unknown {'before' if old.frr.rate is None else 'after'}: no failed ticket has a verdict")
    elif new.frr.rate >= old.frr.rate:
        reasons.append(f"FRR did not fall: {old.frr.rate:.2%} before, {new.frr.rate:.2%} after")
    if new.frr.rate is not None and new.frr.rate > limits.max_frr:
        reasons.append(f"FRR {new.frr.rate:.2%} is above its limit {limits.max_frr:.2%}")
    elif failed and (worst := (new.frr.k + hidden) / failed) > limits.max_frr:
        reasons.append(f"FRR would be {worst:.2%}, above its limit {limits.max_frr:.2%}, with the {hidden} malformed answers to failed tickets as releases")
    if new.false_block.rate is None:
        reasons.append("the false block rate is unknown: no passed ticket has a verdict")
    elif new.false_block.rate > limits.max_false_block:
        reasons.append(f"false block rate {new.false_block.rate:.2%} is above its limit {limits.max_false_block:.2%}")
    if (new.format.rate or 0) < limits.min_format:
        reasons.append(f"format rate {new.format.rate or 0:.2%} is below its limit {limits.min_format:.2%}")
    return reasons


def retention_reasons(retention: dict[str, Difference], most: float) -> list[str]:
    """Which retained scores lost more than ``most``."""
    reasons = []
    for name, found in retention.items():
        if found.change is None:
            reasons.append(f"{RETAINED[name].title} is unknown: no photo has anything to score")
        elif -found.change > most:
            lost = f"lost {-100 * found.change:.2f} points, its limit is {100 * most:g}"
            reasons.append(f"{RETAINED[name].title} {lost}: {found.before:.2%} before, {found.after:.2%} after")
    return reasons
