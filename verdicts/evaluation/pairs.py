"""Two evaluations that may be compared: each is read with its answers, checked against them, and paired by question.

The gate judges nothing that was edited, is of another student, or was asked other questions.
"""

from collections.abc import Sequence
from pathlib import Path

from verdicts.base.errors import mistake, stands_twice
from verdicts.base.jsonl import read_json, read_numbered, read_rows
from verdicts.base.record import Record
from verdicts.evaluation.questions import Question
from verdicts.evaluation.scores import answers_path, score, tally
from verdicts.models.fingerprint import checkpoint_hash
from verdicts.records.evaluation import Behaviour, Evaluation, ScoredAnswer

Pairs = Sequence[tuple[ScoredAnswer, ScoredAnswer]]  # of each question the answer before and after


def read_evaluation(path: Path) -> tuple[Evaluation, list[ScoredAnswer]]:
    """An evaluation and the answers beside it; raises UserError where the scores are not those of the answers."""
    evaluation, answers = read_json(path, Evaluation), read_rows(answers_path(path), ScoredAnswer)
    said = (evaluation.tickets, evaluation.chat, evaluation.summary, evaluation.dense)
    if not all(map(_agree, said, tally(answers))):
        raise mistake(f"its scores are not those of {answers_path(path).name}", "make both again (evaluate)", path=path)
    return evaluation, answers


def _agree(said: object, found: object) -> bool:
    """Whether all that is said is so; an older version said less."""
    return (
        all(getattr(found, field) == getattr(said, field) for field in said.model_fields_set)
        if isinstance(said, Record)
        else said == found
    )


def refuse_edited(path: Path) -> None:
    """Raise UserError at the first answer that is not scored as its text gives, or that stands twice.

    ``path``: the evaluation; its answers lie beside it.
    """
    seen: dict[tuple[str, str], int] = {}
    again, beside = "make both again (evaluate)", answers_path(path)
    for line, row in read_numbered(beside, ScoredAnswer):
        first = seen.setdefault((row.task, row.key), line)
        if first != line:
            raise stands_twice(repr(row.key), first, path=beside, line=line, field="key", todo=again)
        right = score(
            Question(row.task, row.key, row.group_id, (), label=row.label, expected=row.expected, prompt=row.prompt),
            row.text,
            row.whole,
            row.p_fail,
        )
        if wrong := next(
            (field for field in ScoredAnswer.model_fields if getattr(row, field) != getattr(right, field)), None
        ):
            raise mistake(
                f"not what its text gives ({getattr(right, wrong)})", again, path=beside, line=line, field=wrong
            )


def read_behaviour(path: Path, after: Evaluation) -> Behaviour:
    """What the taught student does on changed tickets.

    Raises UserError where that is of another student or guidance.
    """
    found = read_json(path, Behaviour)
    for name, of, wanted in (
        ("asked", found.asked.sha256, after.student.sha256),
        ("guidance_step", found.guidance_step, after.guidance_step),
    ):
        if of != wanted:
            raise mistake(
                f"is of another ({of}) than the evaluation ({wanted})", "run make behaviour", path=path, field=name
            )
    return found


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


def pair_answers(
    before: tuple[Evaluation, list[ScoredAnswer]], after: tuple[Evaluation, list[ScoredAnswer]], path: Path
) -> Pairs:
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
        what = (
            f"{new.student.folder} was taught from {now.base.folder} ({now.base.sha256}), "
            f"and before is {old.student.folder} ({old.student.sha256})"
        )
        raise mistake(what, "evaluate the base that it was taught from", path=path, field="made_from.base")
