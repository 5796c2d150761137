"""Choose from which P(fail) on a model fails a ticket, so that its false release rate is shown to keep a target.

    python -m tools.calibrate --config RUN/config/calibrate.yaml --evaluation PAIR/after.json --output PAIR/point.json
                                                                       PAIR is RUN/evaluation/demo-0123abcd
    python -m tools.calibrate --config RUN/config/calibrate.yaml --run-dir RUN --output RUN/point.json

In:  an evaluation of the student (evaluate) with its answers file beside it: labels, and P(fail) of each answer. For
     the teacher a converged run: what it answered about the groups that its guidance never saw.
Out: point.json, the operating point: threshold, bound, counts, and for whom it holds. predict and gate are told the
     student's by --point, rollout --whole the teacher's.

Exits with 0 where a threshold was found. Exits with 1 and writes nothing where there are too few fails, and says how
many are missing. The method and its figures: docs/operating_point.md.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verdicts.evaluation.operating_point import LabelledChance
    from verdicts.evaluation.run_answers import RunAnswers
    from verdicts.records.evaluation import Evaluation, OperatingPoint, ScoredAnswer


def main(
    config: Annotated[Path, typer.Option(help="Section file config/calibrate.yaml.")],
    output: Annotated[Path, typer.Option(help="Operating point to write (JSON).")],
    evaluation: Annotated[
        Path | None, typer.Option(help="Evaluation of the student on tickets that it never saw.")
    ] = None,
    run_dir: Annotated[
        Path | None, typer.Option(help="runs/<RUN>/<MISSION>: its teacher, by the tickets that were held out.")
    ] = None,
) -> None:
    """Choose from which P(fail) on a student, or a run's teacher, fails a ticket."""
    from verdicts.base.errors import mistake
    from verdicts.base.jsonl import json_text, write_text_if_changed
    from verdicts.config.tools import CalibrateConfig, read_section
    from verdicts.evaluation.operating_point import TooFew, point_of
    from verdicts.evaluation.run_answers import read_run_answers

    section = read_section(config, CalibrateConfig).calibrate
    source = run_dir or evaluation
    if source is None or (run_dir and evaluation):
        raise mistake("name either --evaluation or --run-dir", "one of them says whom to calibrate", field="--run-dir")
    found = point_of(section=section, **(read_run_answers(source) if run_dir else of_student(source))._asdict())
    if isinstance(found, TooFew):
        cli.say(f"calibrate: {found.sentence(section.target, section.confidence)}; {source}", "stop")
        raise typer.Exit(1)
    write_text_if_changed(output, json_text(found))
    cli.say(f"calibrate: {sentence(found)}; {output}", "good")


def of_student(evaluation: Path) -> "RunAnswers":
    """The tickets of an evaluation with P(fail), whom they judge, and its files by content."""
    from verdicts.base.digests import digest_of_path
    from verdicts.evaluation.pairs import read_evaluation, refuse_edited
    from verdicts.evaluation.run_answers import RunAnswers
    from verdicts.evaluation.scores import answers_path

    asked, answers = read_evaluation(evaluation)
    refuse_edited(evaluation)
    judge = judge_of(asked, evaluation)
    inputs = {path.name: digest_of_path(path) for path in (evaluation, answers_path(evaluation))}
    return RunAnswers(judged(answers, answers_path(evaluation)), judge, inputs)


def judge_of(asked: "Evaluation", path: Path) -> dict[str, object]:
    """For whom the point will hold. Raises UserError for an evaluation that does not say by which guidance."""
    from verdicts.base.errors import mistake

    if asked.made_from is None:
        raise mistake("an older version made it, which does not say from what", _AGAIN, path=path, field="made_from")
    who = {"mission": asked.mission, "engine": asked.engine, "student": asked.student}
    return who | {"guidance": asked.made_from.guidance}


_AGAIN = "evaluate again: delete it, then make evaluate"


def judged(answers: "Sequence[ScoredAnswer]", path: Path) -> "list[LabelledChance]":
    """The tickets with their P(fail); of an answer that is no verdict there is none.

    Raises UserError where there is no ticket, or no answer has any.
    """
    from verdicts.base.errors import mistake
    from verdicts.evaluation.operating_point import LabelledChance

    rows = [
        LabelledChance(row.group_id, row.label, row.p_fail if row.verdict else None)
        for row in answers
        if row.task == "chat" and row.label is not None
    ]
    if all(row.p_fail is None for row in rows):
        raise mistake("no answer to a ticket has P(fail)", _AGAIN, path=path, field="p_fail")
    return rows


def sentence(found: "OperatingPoint") -> str:
    """The point in words: threshold, what was shown, the release rate beside it, and what left out groups say."""
    rest = found.checked
    without = f"; {found.without} tickets without a verdict left out" if found.without else ""
    return (
        f"fail from P(fail) {found.threshold:g}: {found.released} of {found.fails} calibration fails released, FRR at "
        f"most {found.bound:.2%} at {found.confidence:.0%} confidence (target {found.target:g}); releases "
        f"{found.release} of all, blocks {found.false_block} of the passes; other groups: FRR {rest['frr']}, releases "
        f"{rest['release']}{without}"
    )


if __name__ == "__main__":
    cli.run(main, writes="output")
