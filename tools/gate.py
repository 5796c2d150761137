"""Compare a student before and after training, and say whether it may ship.

    python -m tools.gate --config RUN/config/gate.yaml --before PAIR/before.json --after PAIR/after.json \\
        --student checkpoints/demo/merged --questions 0123abcd --output PAIR/gate.json
                                                                       PAIR is RUN/evaluation/demo-0123abcd

In:  two evaluations of the same questions (evaluate), their answers files beside them. Every score is made again from
     what the students said. --student: the folder that is to ship; --questions: the held-out questions
     (tools.questions), or its first digits. An evaluation of another student or of other questions is not judged.
     --behaviour: what the student does on changed tickets (behaviour), where gate.max_behaviour sets a limit.
     --point: an operating point (tools.calibrate) decides after; the groups that chose it are left out.
Out: a table on stdout, and gate.json: passed, reasons, remarks, both evaluations, exact McNemar, differences
     with intervals; RUNS/looks.jsonl, where --looks names it, one line a student that was judged on these questions.

Exits with 0 where the student may ship, with 1 and the reasons where it may not, with 2 where the two cannot be
compared. What each figure means: docs/evaluation.md.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from verdicts.config.sections import GateSection
    from verdicts.evaluation.pairs import Pairs
    from verdicts.records.evaluation import Behaviour, Evaluation, GateLook, GateRecord, OperatingPoint


def main(
    config: Annotated[Path, typer.Option(help="Section file config/gate.yaml.")],
    before: Annotated[Path, typer.Option(help="Evaluation of the base student.")],
    after: Annotated[Path, typer.Option(help="Evaluation of the trained student.")],
    output: Annotated[Path, typer.Option(help="gate.json to write.")],
    student: Annotated[
        Path | None, typer.Option(help="Checkpoint folder that is to ship: after has to be about it.")
    ] = None,
    behaviour: Annotated[
        Path | None, typer.Option(help="behaviour-after/behaviour.json: read where gate.max_behaviour sets a limit.")
    ] = None,
    questions: Annotated[
        str | None,
        typer.Option(help="Digest of the held-out questions, or its first digits: both have to be about them."),
    ] = None,
    point: Annotated[
        Path | None, typer.Option(help="Operating point (calibrate): after is judged by its threshold.")
    ] = None,
    looks: Annotated[
        Path | None, typer.Option(help="RUNS/looks.jsonl: counts who was judged on the same questions.")
    ] = None,
) -> None:
    """Compare a student before and after training, and say whether it may ship."""
    from verdicts.base.jsonl import json_text, write_text_if_changed
    from verdicts.base.plain import plain_lines
    from verdicts.config.tools import GateConfig, read_section
    from verdicts.evaluation.gate_words import is_note
    from verdicts.evaluation.pairs import (
        pair_answers,
        read_behaviour,
        read_evaluation,
        refuse_edited,
        refuse_other_questions,
        refuse_other_student,
    )

    cfg = read_section(config, GateConfig)
    old, new = read_evaluation(before), read_evaluation(after)
    pairs = pair_answers(old, new, after)
    for path, (evaluation, _) in ((before, old), (after, new)):
        refuse_edited(path)
        if questions is not None:
            refuse_other_questions(evaluation, path, questions)
    if student:
        refuse_other_student(new[0], after, student)
    limited = behaviour if cfg.gate.max_behaviour is not None else None
    acts = read_behaviour(limited, new[0]) if limited else None
    decided = read_decision(point, cfg.gate, new[0])
    looked = count(looks, new[0], decided[0].threshold if decided else None)
    found = judge(old[0], new[0], pairs, cfg.gate, decided, looked, acts)
    write_text_if_changed(output, json_text(found))  # asked again it says the same, and the report stays up to date
    print(plain_lines(table(found)))
    for reason in found.reasons:
        cli.say(f"gate: {reason}", "stop")
    for remark in found.remarks:
        cli.say(f"gate: {remark}" if is_note(remark) else f"gate: not decided: {remark}", "wait")
    outcome = "passed" if found.passed else f"NOT passed, {len(found.reasons)} reason{'s' * (len(found.reasons) > 1)}"
    cli.say(f"gate: {found.after.place}: {outcome}; {output}", "good" if found.passed else "stop")
    if not found.passed:
        raise typer.Exit(1)


def read_decision(
    point: Path | None, limits: "GateSection", after: "Evaluation"
) -> "tuple[OperatingPoint, str] | None":
    """The operating point that decides, with its file's digest; None where the student's own verdicts count.

    Raises UserError for a point of another student, and where the configuration wants one and none is named.
    """
    from verdicts.base.digests import digest_of_path
    from verdicts.base.errors import mistake
    from verdicts.stage_b.threshold import PointHolder, read_point

    if point is None:
        if limits.decision == "threshold":
            raise mistake(
                "is threshold", "name an operating point (make calibrate, then POINT=)", field="gate.decision"
            )
        return None
    guidance = after.made_from.guidance if after.made_from else ""
    return read_point(point, PointHolder(after.mission, after.engine, after.student.sha256, guidance)), digest_of_path(
        point
    )


def count(ledger: Path | None, after: "Evaluation", threshold: float | None) -> "list[GateLook]":
    """The looks at its questions up to this one; none where looks are not counted."""
    from verdicts.evaluation.looks import count_look

    if ledger is None:
        return []
    questions = after.made_from.questions if after.made_from else after.questions
    counted = count_look(ledger, questions, after.student.sha256, threshold)
    if counted.restored:
        cli.complain(
            f"gate: WARNING: {ledger} lacked {counted.restored} looks that gate records know; they count again"
        )
    return counted.looks


def judge(
    old: "Evaluation",
    new: "Evaluation",
    pairs: "Pairs",
    limits: "GateSection",
    decided: "tuple[OperatingPoint, str] | None",
    looks: "list[GateLook]",
    behaviour: "Behaviour | None",
) -> "GateRecord":
    """The gate's record: by the student's own verdicts or at an operating point, at the level of this look."""
    from verdicts.base.errors import mistake
    from verdicts.evaluation.at_point import pairs_at_point, scored_again
    from verdicts.evaluation.gate import LEVEL, judge_student
    from verdicts.evaluation.gate_words import gate_sentence
    from verdicts.evaluation.looks import level_of_look
    from verdicts.records.evaluation import AtPoint

    if limits.looks == "spend" and not looks:
        raise mistake("is spend, and no ledger is named", "give --looks RUNS/looks.jsonl", field="gate.looks")
    number = looks[-1].number if looks else 0
    level = level_of_look(number) if limits.looks == "spend" else LEVEL
    before, after, remarks, at_point = old, new, list[str](), None
    if decided:
        point, digest = decided
        pairs, left_out = pairs_at_point(pairs, point)
        before = scored_again(old, [was for was, _ in pairs])
        after = scored_again(new, [now for _, now in pairs])
        at_point = AtPoint(
            threshold=point.threshold, target=point.target, point=digest, left_out=left_out, before=before.chat,
            after=after.chat,
        )  # fmt: skip
        rate = str(after.chat.frr)
        remarks.append(gate_sentence("at_point", threshold=f"{point.threshold:g}", rate=rate, n=left_out))
    if number > 1 and limits.looks == "free":
        remarks.append(gate_sentence("look", number=number))
    found = judge_student(before, after, pairs, limits, behaviour, level)
    told = {"before": old, "after": new, "remarks": [*remarks, *found.remarks], "at_point": at_point, "looks": looks}
    return found.model_copy(update=told)


def table(found: "GateRecord") -> list[str]:
    """The comparison as aligned lines: scores, then counts, then McNemar."""
    from verdicts.evaluation.counts import COUNTS
    from verdicts.evaluation.scores import METRICS
    from verdicts.evaluation.shown import moved, score_shown

    old, new, at = found.before, found.after, found.at_point
    if at:
        old, new = (side.model_copy(update={"chat": chat}) for side, chat in ((old, at.before), (new, at.after)))
    rows: list[tuple[str, ...]] = [
        ("", "before", "after", "change in points"),
        ("student", old.student.folder, new.student.folder, ""),
    ]
    changes = found.chat | found.retention
    absent = [metric for metric in METRICS if not metric.known(old) and not metric.known(new)]
    for metric in METRICS:
        if metric not in absent:
            rows.append(
                (metric.title, score_shown(metric.of(old)), score_shown(metric.of(new)), moved(changes[metric.name]))
            )
    rows += [(count.title, count.told(old), count.told(new), "") for count in COUNTS if count.is_shown(old, new)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if absent:
        lines.append(f"nothing to score, since no photo asks for it: {', '.join(metric.title for metric in absent)}")
    for name, test in found.mcnemar.items():
        left_out = f"({test.left_out} left out)"
        pairs = f"{test.only_before} before alone, {test.only_after} after alone, of {test.pairs} pairs {left_out}"
        lines.append(f"exact McNemar, {name.replace('_', ' ')}s: {pairs}; p = {test.p_value:.2g}")
    return lines


if __name__ == "__main__":
    cli.run(main, writes="output")
