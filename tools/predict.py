"""Give tickets that nobody has labelled their verdicts: the student under a run's guidance.

    python -m tools.predict --config RUN/config/predict.yaml --tickets new.jsonl --guidance RUN/guidance.json \\
        --student checkpoints/demo/merged --output RUN/predictions/new/predictions.jsonl

In:  tickets without labels: summaries (JSONL: group_id, mission, images, per_image), a folder of groups of photos, or
     a manifest of them (group_id, images); a student, the run's guidance; an operating point of that student
     (tools.calibrate), where one is named.
Out: predictions.jsonl, a ticket a line; predictions.asked.json beside it, who was asked and the counts;
     photos.refused.jsonl, files in no group, and tickets.{repaired,refused,aside}.jsonl, what was done to the rows
     (docs/tickets.md), where there is anything.

A label in the input is taken out unread. The student is asked as evaluate asks it, so that what the gate found holds
here. Killed, it goes on at the last whole batch; the files come out the same, byte for byte. docs/predict.md.
With --shard i/N it answers a share of the batches into predictions.shard-i-of-N.jsonl alone; --shard merge makes the
files of all N of them (docs/clusters.md).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command import cli

SHOWN = 5  # verdicts that are said, for whoever asks of a few tickets

if TYPE_CHECKING:
    from verdicts.command.shards import Shard
    from verdicts.photos.folders import Intake
    from verdicts.prediction.counts import PredictionCounts
    from verdicts.prediction.photos import NewPhotos
    from verdicts.prediction.source import NewTickets
    from verdicts.prediction.student import VerdictStudent


def main(
    config: Annotated[Path, typer.Option(help="Section file config/predict.yaml.")],
    tickets: Annotated[Path, typer.Option(help="New tickets: summaries (JSONL), a folder of groups, or a manifest.")],
    guidance: Annotated[Path, typer.Option(help="The run's guidance.json.")],
    output: Annotated[Path, typer.Option(help="Predictions to write (JSONL).")],
    student: Annotated[
        Path | None, typer.Option(help="Checkpoint folder of the student; the configured one without it.")
    ] = None,
    point: Annotated[
        Path | None, typer.Option(help="Operating point (make calibrate): decides by its threshold.")
    ] = None,
    shard: Annotated[str, typer.Option(help="i/N: that share of the batches alone; merge: the files of all N.")] = "",
) -> None:
    """Give tickets that nobody has labelled their verdicts."""
    from verdicts.base.errors import mistake
    from verdicts.base.jsonl import write_json
    from verdicts.command.shards import is_merge, shard_named
    from verdicts.config.tools import PredictConfig, read_section
    from verdicts.intake.given import say_entrance
    from verdicts.intake.reader import write_lists
    from verdicts.models.fingerprint import checkpoint_hash
    from verdicts.prediction.counts import asked_of, count_sentence, warning
    from verdicts.prediction.photos import NewPhotos, is_of_photos
    from verdicts.prediction.source import NewTickets
    from verdicts.prediction.student import VerdictStudent

    cfg = read_section(config, PredictConfig)
    asked = VerdictStudent(cfg, guidance, student, point)
    if output.is_dir():
        raise mistake("is a folder", "give a file", path=output, field="--output")
    share = shard_named(shard)
    if shard and is_of_photos(tickets):
        todo = "split the folder, or give tickets with summaries (make summarize takes SHARD)"
        what = "photos are summarised and judged in one go, which has no shares"
        raise mistake(what, todo, path=tickets, field="--shard")
    source = NewPhotos(tickets, asked) if is_of_photos(tickets) else NewTickets(tickets, asked.door)
    summaries = None
    if isinstance(source, NewTickets):
        say_entrance(source.entrance(), tickets)
    else:
        summaries = source.summarised(output.with_name(f".{output.name}.photos.part"))
        write_strays(source.intake, output)
    checkpoint_hash(asked.folder)  # read here, so that the note knows the weights
    if share:
        answer_share(asked, source, output, share)
        return
    tally = write_predictions(asked, source, output, is_merge(shard))
    if summaries:
        summaries.remove()
    write_lists(output.parent, source.notes)
    found = asked_of(asked, source, tally)
    write_json(output.with_name(f"{output.stem}.asked.json"), found)
    if said := warning(found):
        cli.complain(said)
    if student is None:
        cli.complain(f"predict: WARNING: no student was named; {asked.folder}, the configured one, answered")
    cli.say(f"{count_sentence(found)}; {output}")


def write_strays(intake: "Intake", output: Path) -> None:
    """List the files that are in no group, and say so; no list where there are none."""
    from verdicts.base.jsonl import write_rows

    refused = output.with_name("photos.refused.jsonl")
    for note in intake.notes:
        cli.say(f"predict: {note}")
    if not intake.strays:
        refused.unlink(missing_ok=True)
        return
    write_rows(refused, intake.strays)
    cli.complain(f"predict: WARNING: {len(intake.strays)} files are in no group and were not looked at; see {refused}")


def answer_share(student: "VerdictStudent", source: "NewTickets | NewPhotos", output: Path, share: "Shard") -> None:
    """Answer the batches of a share and put them in its file, going on behind those that its part file holds."""
    from verdicts.base.progress import progress
    from verdicts.command.shards import ShardFile, standing
    from verdicts.prediction.asking import ask_share, batch_sizes
    from verdicts.prediction.decide import Answered
    from verdicts.student.summaries import arithmetic_of

    inputs, asked = student.digest(source), sum(bool(ticket.per_image) for ticket in source)
    if kept := standing(output, share, inputs):
        cli.say(f"predict: share {share}: kept {kept}: made from the same inputs")
        return
    sizes = batch_sizes(student.cfg, asked)
    units = share.units(len(sizes))
    made_with = arithmetic_of(student.model) if units else ""
    part = ShardFile(output, share, inputs, made_with, list[Answered])
    saved = part.cut(lambda place, batch: place < len(units) and len(batch) == sizes[units[place]])
    own, done = sum(sizes[unit] for unit in units), sum(sizes[unit] for unit in units[:saved])
    if done:
        cli.say(f"predict: share {share}: going on after {done} of {own} tickets")
    with progress(f"predict {share}", own, done) as bar:

        def keep(batch: list[Answered]) -> None:
            part.append(batch)
            bar.update(len(batch))

        if units[saved:]:
            ask_share(student.model, student.cfg, student.questions(source), units[saved:], keep)
    part.finish()
    cli.say(f"predict: share {share}: {own} of {asked} tickets; {part.whole}")


def write_predictions(
    student: "VerdictStudent", source: "NewTickets | NewPhotos", output: Path, merge: bool
) -> "PredictionCounts":
    """Write the predictions row by row, whole at the end; goes on behind the answers that the part file holds.

    ``merge``: the answers are those of all shares.
    """
    from verdicts.base.jsonl import dump, whole_files
    from verdicts.base.part_file import PartFile
    from verdicts.base.progress import progress
    from verdicts.command.shards import MergedShards
    from verdicts.prediction.asking import batch_sizes, saved_answers
    from verdicts.prediction.counts import PredictionCounts, verdict_sentence
    from verdicts.prediction.decide import Answered

    tally, asked, first = PredictionCounts(), sum(bool(ticket.per_image) for ticket in source), list[str]()
    part: PartFile | MergedShards
    if merge:
        sizes, part = batch_sizes(student.cfg, asked), MergedShards(output, student.digest(source), list[Answered])
        part.check(len(sizes), lambda unit, batch: len(batch) == sizes[unit])
        saved, done = part.units(len(sizes)), asked
    else:
        part = PartFile(output.with_name(f".{output.name}.part"), student.digest(source), list[Answered])
        saved, done = saved_answers(part, student.cfg, asked)
    if done and not merge:
        cli.say(f"predict: going on after {done} of {asked} tickets")
    with progress("predict", asked, done) as bar, whole_files(output) as (file,):

        def keep(batch: list[Answered]) -> None:
            part.append(batch)
            bar.update(len(batch))

        for row in student.predictions(source, saved, keep):
            file.write(dump(row) + "\n")
            tally.take(row)
            first += [verdict_sentence(row)] if len(first) < SHOWN else []
    part.remove()
    for said in first:
        cli.say(said)
    return tally


if __name__ == "__main__":
    cli.run(main, result="predict", engine="torch", writes="output")
