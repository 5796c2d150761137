"""Turn each photo of a mission's tickets into one line of facts (Stage A).

    python -m tools.summarize --config RUN/config/summarize.yaml --mission bbu_line --input data/bbu_line \\
        --output RUN/summaries/stage_a.jsonl

In:  folders <input>/审核通过|审核不通过/<group_id>/ with photos in them, or a manifest JSONL (group_id, label, images).
Out: stage_a.jsonl, a ticket a line; stage_a.refused.jsonl, what has no summary and why; stage_a.asked.json, the prompt
     and the student (docs/summarize.md).

A photo that cannot be used never stops the run. Answers are kept in stage_a.part.jsonl until the end: a killed run goes
on where it stopped and ends in the same bytes.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from verdicts.records.summaries import SummariesAsked
    from verdicts.student.summaries import SummarizeResult


def main(
    config: Annotated[Path, typer.Option(help="Section file config/summarize.yaml.")],
    mission: Annotated[str, typer.Option(help="Mission slug: configs/missions/<slug>.yaml.")],
    input: Annotated[Path, typer.Option(help="Folder that holds 审核通过 and 审核不通过, or a manifest JSONL.")],
    output: Annotated[Path, typer.Option(help="Stage-A tickets to write (JSONL).")],
) -> None:
    """Turn each photo of a mission's tickets into one line of facts."""
    from verdicts.base import made
    from verdicts.base.errors import mistake
    from verdicts.base.part_file import PartFile
    from verdicts.base.progress import progress
    from verdicts.config.load import mission_of
    from verdicts.config.tools import SummarizeConfig, read_section
    from verdicts.photos.intake import look_at_all, read_input
    from verdicts.stage_b.prompts import load_prompts
    from verdicts.student.model import Student, check_folder
    from verdicts.student.summaries import (
        PhotoAnswer,
        answer_batches,
        asked_with,
        assemble_tickets,
        cut_batches,
        reusable,
        settings_digest,
    )

    cfg = read_section(config, SummarizeConfig)
    of, folder = mission_of(mission), Path(cfg.student.model)
    asked = load_prompts(cfg.prompts, of).photo_messages("summary")
    check_folder(folder, weights=True)
    if output.is_dir():
        raise mistake("is a folder", "give a file", path=output, field="--output")
    made.uses(input)  # a photo more is another input
    intake = read_input(input)
    for note in intake.notes:
        cli.say(f"summarize: {note}")

    images = list(dict.fromkeys(image for group in intake.groups if not group.unfit for image in group.images))
    with progress("summarize: looking", len(images), unit="photos") as bar:
        sizes, unfit = look_at_all(images, cfg.summarize, bar.update)

    answers: dict[str, PhotoAnswer] = {}
    part_path = output.with_name(f"{output.stem}.part.jsonl")
    if sizes:
        student = Student(folder, cfg.student.max_photo_pixels, cfg.student.n_threads)
        batches = cut_batches(sizes, student.photo_tokens, cfg.summarize)
        part = PartFile(part_path, settings_digest(cfg, asked, student), list[PhotoAnswer])
        answers |= {saved.image: saved for batch in part.load(reusable(batches)) for saved in batch}
        if answers:
            cli.say(f"summarize: going on after {len(answers)} of {len(sizes)} photos")
        left = [batch for batch in batches if batch[0] not in answers]
        with progress("summarize", len(sizes), len(answers), "photos") as bar:
            for done in answer_batches(student, left, asked, cfg.summarize.max_new_tokens):
                part.append([answer.model_dump(mode="json") for answer in done])
                answers |= {answer.image: answer for answer in done}
                bar.update(len(done))

    outcome = assemble_tickets(intake, of.name, unfit, answers, cfg.summarize.broken)
    refused = write(outcome, asked_with(cfg, asked, outcome), output)
    part_path.unlink(missing_ok=True)
    if not outcome.tickets:
        raise mistake(f"no photo of it can be summarised: {outcome.sentence()}", f"see {refused}", path=input)
    if (share := outcome.cut_off()) > cfg.summarize.max_cut_off:
        most = f"{cfg.summarize.max_new_tokens} tokens: raise summarize.max_new_tokens"
        cli.say(f"summarize: WARNING: {share:.1%} of {outcome.answered} answers were cut off at {most}", "wait")
    cli.say(f"summarize: {outcome.sentence()}; {output}")


def write(outcome: "SummarizeResult", asked: "SummariesAsked", output: Path) -> Path:
    """Write the tickets, where there are any, and what was refused; returns the refused ones' file."""
    from verdicts.base.jsonl import write_json, write_rows

    refused = output.with_name(f"{output.stem}.refused.jsonl")
    write_rows(refused, outcome.refused)
    if outcome.tickets:
        write_rows(output, outcome.tickets)
        write_json(output.with_name(f"{output.stem}.asked.json"), asked)
    return refused


if __name__ == "__main__":
    cli.run(main, result="summarize", engine="torch", writes="output")
