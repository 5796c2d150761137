"""The gate: whether a student may ship, from its scores before and after training on the same questions.

It must release fewer bad tickets, be shown to stay within ``max_frr`` (configs/base.yaml, ``gate``), keep the other
limits and forget nothing. Changes are paired: exact McNemar for verdicts, a bootstrap over groups for the intervals
(verdicts/stats/paired.py).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from verdicts.base.errors import mistake
from verdicts.base.jsonl import read_json, read_numbered, read_rows
from verdicts.config.sections import GateSection
from verdicts.evaluation.questions import Question
from verdicts.evaluation.scores import answers_path, score, tally
from verdicts.models.fingerprint import checkpoint_hash
from verdicts.records.corpus import Task
from verdicts.records.evaluation import Answer, ChatScores, Difference, Evaluation, F1Record, GateRecord, McNemar
from verdicts.records.tickets import Verdict
from verdicts.stats.paired import Parts, change_of, mcnemar_exact
from verdicts.stats.rates import Rate, needed, stands, wilson

Pairs = Sequence[tuple[Answer, Answer]]


class Score(NamedTuple):
    """A score of the table: where it stands in an evaluation, and what an answer adds to it (hits, weight)."""

    title: str
    task: Task
    of: Callable[[Evaluation], Rate | F1Record]
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
    "label_match": Score(
        "label match", "chat", lambda e: e.chat.label_match, lambda row: (row.right, row.verdict is not None)
    ),
    "format": Score("format", "chat", lambda e: e.chat.format, lambda row: (row.format_ok, 1)),
}


RETAINED = {
    "summary_exact": Score("summary exact match", "summary", lambda e: e.summary.exact, lambda row: (row.right, 1)),
    "attribute_f1": Score("summary attribute F1", "summary", lambda e: e.summary.attribute_f1, _overlap),
    "dense_f1": Score("dense F1 at IoU 0.5", "dense", lambda e: e.dense.f1, _overlap),
}


def read_evaluation(path: Path) -> tuple[Evaluation, list[Answer]]:
    """An evaluation and the answers beside it; raises UserError where the scores are not those of the answers."""
    evaluation, answers = read_json(path, Evaluation), read_rows(answers_path(path), Answer)
    if tally(answers) != (evaluation.tickets, evaluation.chat, evaluation.summary, evaluation.dense):
        raise mistake(f"its scores are not those of {answers_path(path).name}", "make both again (evaluate)", path=path)
    return evaluation, answers


def refuse_edited(path: Path) -> None:
    """Raise UserError at the first answer that is not scored as its text gives, or that stands twice.

    ``path``: the evaluation; its answers lie beside it.
    """
    seen: dict[tuple[str, str], int] = {}
    again, beside = "make both again (evaluate)", answers_path(path)
    for line, row in read_numbered(beside, Answer):
        first = seen.setdefault((row.task, row.key), line)
        if first != line:
            raise mistake(f"{row.key!r} stands on line {first} already", again, path=beside, line=line, field="key")
        right = score(
            Question(row.task, row.key, row.group_id, (), label=row.label, expected=row.expected), row.text, row.whole
        )
        if wrong := next(
            (field for field in Answer.model_fields if getattr(row, field) != getattr(right, field)), None
        ):
            raise mistake(
                f"not what its text gives ({getattr(right, wrong)})", again, path=beside, line=line, field=wrong
            )


def refuse_other_student(after: Evaluation, path: Path, student: Path) -> None:
    """Raise UserError unless ``after`` is about the student in this folder, as its files are now."""
    if not (student / "config.json").is_file():
        raise mistake("no such checkpoint folder", "name the student that is to ship", path=student)
    if (now := checkpoint_hash(student)) != after.student.sha256:
        what = f"it is about {after.student.folder} ({after.student.sha256}), and {student.as_posix()} is {now}"
        raise mistake(what, "evaluate the student that is to ship", path=path, field="student")


def refuse_other_questions(evaluation: Evaluation, path: Path, questions: str) -> None:
    """Raise UserError unless an evaluation is about the questions whose digest begins so (tools.questions)."""
    asked = evaluation.made_from.questions if evaluation.made_from else "unknown"
    if not questions or not asked.startswith(questions):
        raise mistake(
            f"it is about questions {asked}, not {questions}",
            "evaluate on the questions that are named",
            path=path,
            field="made_from.questions",
        )


def paired(before: tuple[Evaluation, list[Answer]], after: tuple[Evaluation, list[Answer]], path: Path) -> Pairs:
    """Each question's answers before and after.

    Raises UserError, naming the file of after, where the questions, what the students were told or the base are not the
    same.
    """
    todo = "evaluate both students on the same tickets, photos and guidance"
    (old, old_answers), (new, new_answers) = before, after
    for field in ("mission", "guidance_step"):
        if (was := getattr(old, field)) != (now := getattr(new, field)):
            raise mistake(f"{now!r} after, {was!r} before", todo, path=path, field=field)
    _refuse_other_making(old, new, todo, path)
    first, second = (
        {(row.task, row.key, row.label, row.expected): row for row in rows} for rows in (old_answers, new_answers)
    )
    for name in (*first, *second):
        if name not in first or name not in second:
            side = "before" if name in first else "after"
            raise mistake(
                f"{name[0]} question {name[1]!r} was asked {side} alone, or with another label or wanted answer",
                todo,
                path=path,
            )
    if old.questions != new.questions:
        raise mistake(
            "the same names as before with other prompts, photos or answer lengths", todo, path=path, field="questions"
        )
    return [(row, second[name]) for name, row in first.items()]


def _refuse_other_making(old: Evaluation, new: Evaluation, todo: str, path: Path) -> None:
    """Raise UserError where two evaluations differ in guidance or settings.

    Also where after is not taught from before.
    """
    was, now = old.made_from, new.made_from
    if was is None and now is None:
        return  # of an older version both: the digest of questions alone speaks
    if was is None or now is None:
        raise mistake(
            f"an older version made {'before' if was is None else 'after'}, which does not say from what",
            todo,
            path=path,
            field="made_from",
        )
    if was.guidance != now.guidance:
        raise mistake(
            f"the rules are {now.guidance} after, {was.guidance} before", todo, path=path, field="made_from.guidance"
        )
    if other := sorted(
        name for name in was.settings.keys() | now.settings.keys() if was.settings.get(name) != now.settings.get(name)
    ):
        what = f"{now.settings.get(other[0])} after, {was.settings.get(other[0])} before"
        raise mistake(what, todo, path=path, field=f"made_from.settings.{other[0]}")
    if now.base and now.base.sha256 != old.student.sha256:
        what = f"{new.student.folder} was taught from {now.base.folder} ({now.base.sha256}), and before is {old.student.folder} ({old.student.sha256})"
        raise mistake(what, "evaluate the base that it was taught from", path=path, field="made_from.base")


def judge(before: Evaluation, after: Evaluation, pairs: Pairs, limits: GateSection) -> GateRecord:
    """All differences, and the reasons why the student may not ship."""
    retention = {name: difference(one, before, after, pairs, limits) for name, one in RETAINED.items()}
    found = [*verdict_reasons(before, after, limits), *retention_reasons(retention, limits.max_retention_loss)]
    return GateRecord(
        passed=not found,
        reasons=found,
        remarks=remarks_on(after, retention, limits),
        before=before,
        after=after,
        mcnemar={"false_release": mcnemar(pairs, "fail"), "false_block": mcnemar(pairs, "pass")},
        chat={name: difference(one, before, after, pairs, limits) for name, one in CHAT.items()},
        retention=retention,
    )


def difference(of: Score, before: Evaluation, after: Evaluation, pairs: Pairs, limits: GateSection) -> Difference:
    """The change of one score."""
    groups: dict[str, list[Parts]] = {}
    for old, new in pairs:
        if old.task == of.task:
            groups.setdefault(old.group_id, []).append(Parts(*of.adds(old), *of.adds(new)))
    change = change_of(groups, limits.resamples, limits.seed)
    return Difference(before=value_of(of.of(before)), after=value_of(of.of(after)), **change._asdict())


def value_of(found: Rate | F1Record) -> float | None:
    """The figure of a rate or an F1."""
    return found.f1 if isinstance(found, F1Record) else found.rate


def mcnemar(pairs: Pairs, label: Verdict) -> McNemar:
    """Wrong verdicts on the tickets of a label, before against after."""
    of_label = [(old, new) for old, new in pairs if old.task == "chat" and old.label == label]
    whole = [(old.right, new.right) for old, new in of_label if old.verdict and new.verdict]
    only_before, only_after = whole.count((False, True)), whole.count((True, False))
    return McNemar(
        pairs=len(whole),
        only_before=only_before,
        only_after=only_after,
        left_out=len(of_label) - len(whole),
        p_value=mcnemar_exact(only_before, only_after),
    )


def verdict_reasons(before: Evaluation, after: Evaluation, limits: GateSection) -> list[str]:
    """What is wrong with the verdicts after training.

    FRR is judged by its interval: it has to be shown below its limit. A malformed answer is no verdict, so a student
    could hide bad tickets from FRR by talking nonsense: each one to a failed ticket counts as a release here. What a
    false block or a malformed answer costs is work, not safety: there the rate itself is judged.
    """
    old, new = before.chat, after.chat
    reasons = []
    if old.frr.rate is None or new.frr.rate is None:
        reasons.append(
            f"FRR is unknown {'before' if old.frr.rate is None else 'after'}: no failed ticket has a verdict"
        )
    elif new.frr.rate >= old.frr.rate:
        reasons.append(f"FRR did not fall: {old.frr.rate:.2%} before, {new.frr.rate:.2%} after")
    reasons += release_reasons(new, limits.max_frr)
    if new.false_block.rate is None:
        reasons.append("the false block rate is unknown: no passed ticket has a verdict")
    elif new.false_block.rate > limits.max_false_block:
        reasons.append(f"false block rate {new.false_block.rate:.2%} is above its limit {limits.max_false_block:.2%}")
    if (new.format.rate or 0) < limits.min_format:
        reasons.append(f"format rate {new.format.rate or 0:.2%} is below its limit {limits.min_format:.2%}")
    return reasons


def release_reasons(chat: ChatScores, limit: float) -> list[str]:
    """Why FRR is not shown to be below its limit.

    It is above, would be above with the malformed answers, or too few tickets tell.
    """
    hidden = chat.failed_without_verdict
    worst = wilson(chat.frr.k + hidden, chat.frr.n + hidden)
    if chat.frr.rate is not None and chat.frr.rate > limit:
        return [f"FRR {chat.frr.rate:.2%} is above its limit {limit:.2%}"]
    if stands(worst, limit) == "above":
        return [
            f"FRR would be {worst.rate:.2%}, above its limit {limit:.2%}, with the {hidden} malformed answers to failed tickets as releases"
        ]
    if stands(worst, limit) != "unsure":
        return []
    enough = needed(worst, limit)
    what = f"FRR may be above its limit {limit:.2%}: {worst.k} of {worst.n} held-out fails released, at most {worst.high:.2%} at 95 %"
    if enough is None:
        return [f"{what}; at this rate no number of fails shows it below"]
    return [f"{what}; at this rate {enough} held-out fails are enough: {enough - worst.n} missing"]


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


def remarks_on(after: Evaluation, retention: dict[str, Difference], limits: GateSection) -> list[str]:
    """What is within its limit by its figure and not by its interval, and is let pass: a false block, a retained score."""
    remarks = []
    block = wilson(after.chat.false_block.k, after.chat.false_block.n)
    if stands(block, limits.max_false_block) == "unsure" and (enough := needed(block, limits.max_false_block)):
        remarks.append(
            f"false block may be above its limit {limits.max_false_block:.2%}: {block.k} of {block.n} held-out passes blocked, at most {block.high:.2%} at 95 %; "
            f"{enough} held-out passes would tell"
        )
    for name, found in retention.items():
        if found.low is not None and -found.change <= limits.max_retention_loss < -found.low:
            lost = (
                f"may have lost up to {-100 * found.low:.2f} points, its limit is {100 * limits.max_retention_loss:g}"
            )
            remarks.append(f"{RETAINED[name].title} {lost}; more held-out photos would tell")
    if after.made_from is None:
        remarks.append("an older version made these evaluations: they do not say from which files and which base")
    return remarks
