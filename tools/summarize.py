"""Turn each photo of a mission's tickets into one line of facts (Stage A).

    python -m tools.summarize --config RUN/config/summarize.yaml --mission bbu_line --input data/bbu_line \\
        --output RUN/summaries/stage_a.jsonl

In:  folders <input>/审核通过|审核不通过/<group_id>/ with photos in them, or a manifest JSONL (group_id, label, images).
Out: stage_a.jsonl, a ticket a line; stage_a.refused.jsonl, what has no summary and why; stage_a.asked.json, the prompt
     and the student (docs/summarize.md).

With --shard i/N it answers a share of the batches into stage_a.shard-i-of-N.jsonl alone; --shard merge makes the files
of all N of them (docs/clusters.md).

A photo that cannot be used never stops the run. Answers are kept in stage_a.part.jsonl until the end: a killed run goes
on where it stopped and ends in the same bytes.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verdicts.base.part_file import PartFile
    from verdicts.command.shards import MergedShards, Shard
    from verdicts.config.tools import SummarizeConfig
    from verdicts.records.summaries import SummariesAsked
    from verdicts.student.model import Student
    from verdicts.student.summaries import Messages, PhotoAnswer, SummarizeResult

    Sizes = Mapping[str, tuple[int, int]]


def main(
    config: Annotated[Path, typer.Option(help="Section file config/summarize.yaml.")],
    mission: Annotated[str, typer.Option(help="Mission slug: configs/missions/<slug>.yaml.")],
    input: Annotated[Path, typer.Option(help="Folder that holds 审核通过 and 审核不通过, or a manifest JSONL.")],
    output: Annotated[Path, typer.Option(help="Stage-A tickets to write (JSONL).")],
    shard: Annotated[str, typer.Option(help="i/N: that share of the batches alone; merge: the files of all N.")] = "",
) -> None:
    """Turn each photo of a mission's tickets into one line of facts."""
    from verdicts.base import made
    from verdicts.base.errors import mistake
    from verdicts.base.progress import progress
    from verdicts.command.shards import is_merge, shard_named
    from verdicts.config.load import mission_of
    from verdicts.config.tools import SummarizeConfig, read_section
    from verdicts.photos.intake import look_at_all, read_input
    from verdicts.stage_b.prompts import load_prompts
    from verdicts.student.model import check_folder
    from verdicts.student.summaries import PhotoAnswer, asked_with, assemble_tickets

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
    part: PartFile | MergedShards | None = None
    if mine := shard_named(shard):
        share_of_answers(cfg, asked, sizes, mine, output)
        return
    if sizes:
        all_of_them = merged_answers if is_merge(shard) else all_answers
        answers, part = all_of_them(cfg, asked, sizes, output)

    outcome = assemble_tickets(intake, of.name, unfit, answers, cfg.summarize.broken)
    refused = write(outcome, asked_with(cfg, asked, outcome), output)
    if part:
        part.remove()
    if not outcome.tickets:
        raise mistake(f"no photo of it can be summarised: {outcome.sentence()}", f"see {refused}", path=input)
    if (share := outcome.cut_off()) > cfg.summarize.max_cut_off:
        most = f"{cfg.summarize.max_new_tokens} tokens: raise summarize.max_new_tokens"
        cli.say(f"summarize: WARNING: {share:.1%} of {outcome.answered} answers were cut off at {most}", "wait")
    cli.say(f"summarize: {outcome.sentence()}; {output}")


def all_answers(
    cfg: "SummarizeConfig", asked: "Messages", sizes: "Sizes", output: Path
) -> "tuple[dict[str, PhotoAnswer], PartFile]":
    """Every photo's answer; those of an earlier, killed run are taken up."""
    from verdicts.base.part_file import PartFile
    from verdicts.student.model import Student
    from verdicts.student.summaries import PhotoAnswer, cut_batches, reusable, settings_digest

    student = Student(Path(cfg.student.model), cfg.student.max_photo_pixels, cfg.student.n_threads)
    batches = cut_batches(sizes, student.photo_tokens, cfg.summarize)
    path = output.with_name(f"{output.stem}.part.jsonl")
    part = PartFile(path, settings_digest(cfg, asked, student), list[PhotoAnswer])
    return answered(cfg, asked, student, batches, part, part.load(reusable(batches))), part


def share_of_answers(cfg: "SummarizeConfig", asked: "Messages", sizes: "Sizes", share: "Shard", output: Path) -> None:
    """Answer the batches of a share and put them in its file."""
    from verdicts.command.shards import ShardFile, standing
    from verdicts.student.model import Encoder, Student
    from verdicts.student.summaries import PhotoAnswer, arithmetic_of, asked_digest_of_photos, cut_batches, reusable

    folder, pixels = Path(cfg.student.model), cfg.student.max_photo_pixels
    batches = cut_batches(sizes, Encoder(folder, pixels).photo_tokens, cfg.summarize)
    own, inputs = [batches[unit] for unit in share.units(len(batches))], asked_digest_of_photos(cfg, asked, sizes)
    if kept := standing(output, share, inputs):
        cli.say(f"summarize: share {share}: kept {kept}: made from the same inputs")
        return
    student = Student(folder, pixels, cfg.student.n_threads) if own else None
    made_with = arithmetic_of(student) if student else ""
    part = ShardFile(output, share, inputs, made_with, list[PhotoAnswer])
    saved = part.load(follows=lambda before, batch: own[len(before) :] and reusable([own[len(before)]])(batch))
    found = answered(cfg, asked, student, own, part, saved)
    part.finish()
    cli.say(f"summarize: share {share}: {len(found)} of {len(sizes)} photos; {part.whole}")


def merged_answers(
    cfg: "SummarizeConfig", asked: "Messages", sizes: "Sizes", output: Path
) -> "tuple[dict[str, PhotoAnswer], MergedShards]":
    """Every photo's answer from the files of all shares. No weights are loaded."""
    from verdicts.command.shards import MergedShards
    from verdicts.student.model import Encoder
    from verdicts.student.summaries import PhotoAnswer, asked_digest_of_photos, cut_batches, reusable

    encoder = Encoder(Path(cfg.student.model), cfg.student.max_photo_pixels)
    batches = cut_batches(sizes, encoder.photo_tokens, cfg.summarize)
    merge = MergedShards(output, asked_digest_of_photos(cfg, asked, sizes), list[PhotoAnswer])
    merge.check(len(batches), lambda unit, batch: reusable([batches[unit]])(batch))
    return {answer.image: answer for batch in merge.units(len(batches)) for answer in batch}, merge


def answered(
    cfg: "SummarizeConfig",
    asked: "Messages",
    student: "Student | None",
    batches: list[list[str]],
    part: "PartFile",
    saved: "list[list[PhotoAnswer]]",
) -> "dict[str, PhotoAnswer]":
    """Answer those batches that are not ``saved``; all answers by photo."""
    from verdicts.base.progress import progress
    from verdicts.student.summaries import answer_batches

    answers = {answer.image: answer for batch in saved for answer in batch}
    count = sum(map(len, batches))
    if answers:
        cli.say(f"summarize: going on after {len(answers)} of {count} photos")
    left = [batch for batch in batches if batch[0] not in answers]
    with progress("summarize", count, len(answers), "photos") as bar:
        for done in answer_batches(student, left, asked, cfg.summarize.max_new_tokens) if student else ():
            part.append([answer.model_dump(mode="json") for answer in done])
            answers |= {answer.image: answer for answer in done}
            bar.update(len(done))
    return answers


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
