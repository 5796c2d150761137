"""Compare an exported student on llama.cpp with the same student by transformers, and say whether it may ship.

    python -m tools.export_gate --config RUN/config/export_gate.yaml \\
        --before PAIR/before.json --after PAIR/after.json --served PAIR/export-f16/after.json \\
        --export checkpoints/demo/gguf-f16 --student checkpoints/demo/merged --output PAIR/export-f16/export.json
                                                                       PAIR is RUN/evaluation/demo-0123abcd

In:  three evaluations of the same questions (evaluate): the base, the taught student, and the taught student through
     llama-server (evaluate --export), their answers files beside them; the exported files and the student's checkpoint.
Out: a table on stdout, and export.json: shipped or refused, reasons, both engines' scores, agreement with intervals.

Exits with 0 where the export may ship, with 1 and the reasons where it may not, with 2 where the three cannot be
compared. docs/export.md.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from verdicts.export.records import ExportGate


def main(
    config: Annotated[Path, typer.Option(help="Section file config/export_gate.yaml.")],
    before: Annotated[Path, typer.Option(help="Evaluation of the base student.")],
    after: Annotated[Path, typer.Option(help="Evaluation of the taught student by transformers.")],
    served: Annotated[Path, typer.Option(help="Evaluation of its exported files on llama-server.")],
    export: Annotated[Path, typer.Option(help="Folder of the exported files.")],
    student: Annotated[Path, typer.Option(help="Checkpoint folder of the taught student.")],
    output: Annotated[Path, typer.Option(help="export.json to write.")],
) -> None:
    """Compare an exported student with the same student by transformers, and say whether it may ship."""
    from verdicts.base.errors import mistake
    from verdicts.base.jsonl import json_text, write_text_if_changed
    from verdicts.base.plain import plain_lines
    from verdicts.config.tools import ExportGateConfig, read_section
    from verdicts.evaluation.pairs import pair_answers, read_evaluation, refuse_edited, refuse_other_student
    from verdicts.export.asking import export_hash, read_conversion
    from verdicts.export.gate import compared, judge_export

    cfg = read_section(config, ExportGateConfig)
    sides = [read_evaluation(path) for path in (before, after, served)]
    for path in (before, after, served):
        refuse_edited(path)
    for path, side in ((after, sides[1]), (served, sides[2])):
        pair_answers(sides[0], side, path)
    refuse_other_student(sides[1][0], after, student)
    conversion = read_conversion(export, student)
    if (now := export_hash(export, cfg.llama_server)) != sides[2][0].student.sha256:
        what = (
            f"it is about other files or settings of llama-server ({sides[2][0].student.sha256}) than there are ({now})"
        )
        raise mistake(what, "ask again (evaluate --export)", path=served, field="student")
    found = judge_export(*sides, compared(export, student, conversion), cfg.gate, cfg.llama_server.min_agreement)
    write_text_if_changed(output, json_text(found))
    print(plain_lines(table(found)))
    for reason in found.reasons:
        cli.say(f"export_gate: {reason}", "stop")
    for remark in found.remarks:
        cli.say(f"export_gate: remark: {remark}", "wait")
    good = found.state == "shipped"
    outcome = "may ship" if good else f"REFUSED, {len(found.reasons)} reason{'s' * (len(found.reasons) > 1)}"
    cli.say(f"export_gate: {export} ({found.conversion.quant}): {outcome}; {output}", "good" if good else "stop")
    if not good:
        raise typer.Exit(1)


def table(found: "ExportGate") -> list[str]:
    """Both engines as aligned lines: scores, then how many answers are the same."""
    from verdicts.evaluation.counts import COUNTS
    from verdicts.evaluation.scores import METRICS
    from verdicts.evaluation.shown import moved, score_shown

    old, new = found.transformers, found.served
    rows: list[tuple[str, ...]] = [
        ("", "transformers", "llama.cpp", "change in points"),
        ("student", old.student.folder, new.student.folder, ""),
    ]
    for metric in METRICS:
        if metric.known(old) or metric.known(new):
            change = moved(found.changes[metric.name])
            rows.append((metric.title, score_shown(metric.of(old)), score_shown(metric.of(new)), change))
    rows += [(count.title, count.told(old), count.told(new), "") for count in COUNTS if count.is_shown(old, new)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.append(f"same verdict: {found.agreement}")
    lines += [f"same text, {task}: {rate}" for task, rate in found.same_text.items() if rate.n]
    return lines


if __name__ == "__main__":
    cli.run(main, writes="output")
