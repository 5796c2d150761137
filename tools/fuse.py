"""Mix dense, summary and chat sources into one training file, in the proportion a config states.

    python -m tools.fuse --config configs/fusion/demo.yaml --output-dir data/fused
    python -m tools.fuse --corpus RUN [--old data/bbu_line] --name NAME --output-dir data/fused
                                                                       by configs/fusion/default.yaml

    a fusion config and the sources it names ──> <name>.train.jsonl    messages, images, task, source, weight, group_id
                                                 <name>.val.jsonl      the same, every validation row once
                                                 <name>.manifest.json  hashes, counts, shares, config

Every row of every source, and every photo, is checked before anything is written. The same config, seed and sources
give the same bytes. Memory does not grow with the length of rows, only by some bytes a row (docs/fusion.md).
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verdicts.corpus.mix import Manifest
    from verdicts.corpus.mix_config import Fusion, Source
    from verdicts.corpus.retention import TaskLoss
    from verdicts.records.corpus import Task

DEFAULT = Path("configs/fusion/default.yaml")


def main(
    output_dir: Annotated[Path, typer.Option(help="Folder of the fused files.")],
    config: Annotated[
        Path | None,
        typer.Option(
            help="Fusion config; its file name names the output. With --corpus: configs/fusion/default.yaml without it."
        ),
    ] = None,
    corpus: Annotated[
        Path | None,
        typer.Option(help="A run's folder of a mission: {corpus} in the config's paths; its name is {mission}."),
    ] = None,
    old: Annotated[
        Path | None,
        typer.Option(help="Folder of the student's old tasks: {old} in the config's paths; data/<mission> without it."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the output, where it is not the config's.")] = None,
) -> None:
    """Mix dense, summary and chat sources into one training file."""
    from verdicts.base.jsonl import write_json
    from verdicts.base.made import uses
    from verdicts.base.progress import progress
    from verdicts.corpus.index import index_sources, token_counter, write
    from verdicts.corpus.mix import account, choose_rows, manifest, table
    from verdicts.corpus.mix_config import left_out, read_fusion
    from verdicts.corpus.retention import adapt_ratios

    places = where(config, corpus, old, name)
    config, name = config or DEFAULT, name or (config or DEFAULT).stem
    cfg = read_fusion(config, places)
    absent = left_out(config, cfg, places)
    for path in (Path(path) for source in absent for path in source.paths):
        uses(path)  # its coming makes another mix
    count, unit = token_counter(cfg.mix.tokenizer, config)
    mixed, retention = adapt_ratios(cfg, losses(cfg, config, name))
    files = [Path(path) for source in cfg.sources for path in (*source.paths, *(source.val.paths or []))]
    with progress("fuse: reading", sum(file.stat().st_size for file in files), unit="bytes") as bar:
        index = index_sources(cfg, count, bar.update)
    train, val = choose_rows(index, mixed, config)
    parts = {"train": train, "val": val}
    with progress("fuse: writing", len(train) + len(val), unit="rows") as bar:
        outputs = write(index, parts, cfg, output_dir, name, bar.update)
    gone = [source.name for source in absent]
    made = manifest(index, cfg, config, name, parts, outputs, unit, gone, retention)
    write_json(output_dir / f"{name}.manifest.json", made)
    for line in table(made.sources):
        cli.say(line)
    for sentence in (*released(made), *adapted(made)):
        cli.say(f"fuse {name}: {sentence}")
    for warning in warnings(made, absent):
        cli.complain(f"fuse {name}: {warning}", "wait")
    cli.say(f"{account(name, made.sources)}; mixed by {cfg.mix.by}, loss counted in {unit}; {outputs['train'].path}")


def where(config: Path | None, corpus: Path | None, old: Path | None, name: str | None) -> dict[str, str]:
    """What the config's places stand for. Raises UserError without config and corpus, or where the corpus is none."""
    from verdicts.base.errors import mistake

    if config is None and corpus is None:
        raise mistake(
            "neither is given",
            "give a fusion config, or the run folder whose corpus is to be learnt",
            field="--config, --corpus",
        )
    if name is not None and (not re.fullmatch(r"[^/\\\0]+", name) or name.startswith(".")):
        raise mistake(
            f"no plain name ({name!r})", "write a name without slashes that does not begin with a dot", field="--name"
        )
    if corpus is None:
        return {} if old is None else {"old": old.as_posix()}
    if not (corpus / "distill.train.jsonl").is_file():
        raise mistake(
            "no corpus in it (distill.train.jsonl)",
            "run `make distill` for this run and mission first",
            path=corpus,
            field="--corpus",
        )
    mission = corpus.resolve().name
    return {"corpus": corpus.as_posix(), "mission": mission, "old": (old or Path("data") / mission).as_posix()}


def losses(cfg: "Fusion", config: Path, name: str) -> "dict[Task, TaskLoss]":
    """What the student of ``mix.retention`` lost of each old task, nothing where the mix does not ask.

    Raises UserError where no source of the mix could follow it.
    """
    from verdicts.corpus.mix_config import config_mistake
    from verdicts.corpus.retention import why_kept
    from verdicts.evaluation.lost import read_losses

    if cfg.mix.retention is None:
        return {}
    found = read_losses(Path(cfg.mix.retention.gate), name)
    old = [source for source in cfg.sources if source.template != "chatml"]
    if all(why_kept(source, cfg.mix.anchor, found) for source in old):
        raise config_mistake(
            config,
            ("mix", "retention", "gate"),
            f"no source with a ratio has a score before and after in it ({cfg.mix.retention.gate})",
            "name the gate of a student that was asked about these old tasks, or take retention out",
        )
    return found


def adapted(made: "Manifest") -> list[str]:
    """What each old task lost, and its ratio before and after."""
    return [
        f"{one.name}: {one.lost.metric} lost {one.lost.loss:.1%} of itself; "
        f"ratio {one.ratio:g} -> {one.adapted_ratio:g}"
        for one in made.retention
        if one.lost and one.kept is None
    ]


def released(made: "Manifest") -> list[str]:
    """What the student released of each source's tickets, and how often these are taken."""
    return [
        f"of {one.distinct_rows:,} tickets of {one.name} to learn from the student judged {one.judged_rows:,} and "
        f"released {one.released_rows:,} wrongly; these are taken {source.released.times:g} times"
        for one, source in zip(made.sources, made.config.sources, strict=True)
        if source.released
    ]


def warnings(made: "Manifest", absent: "Sequence[Source]") -> list[str]:
    """What a person should know before a student learns from this mix."""
    from verdicts.corpus.rows import only_verdict
    from verdicts.stage_b.protocol import WORD

    said = []
    if absent:
        looked = ", ".join(path for source in absent for path in source.paths)
        photos = {source.dataset for source in (*made.sources, *absent)} - {"chat"}
        gone = photos - {source.dataset for source in made.sources}
        tasks = "old tasks" if gone == photos else f"{' and '.join(source.name for source in absent)} rows"
        said.append(f"no {tasks} in the mix: the student may forget them (looked for {looked})")
    if kept := [f"{one.name} ({one.kept})" for one in made.retention if one.kept]:
        said.append(f"{len(kept)} of {len(made.retention)} sources of old tasks keep their ratio: {', '.join(kept)}")
    if made.retention and all(one.kept or one.adapted_ratio == round(one.ratio or 0, 6) for one in made.retention):
        said.append("mix.retention moves nothing: no old task lost more than another")
    if only := only_verdict(made.verdicts):
        said.append(
            f"all {made.verdicts[only]} chat rows to learn from say {WORD[only]}: sft asks for sft.allow_one_sided: "
            "true"
        )
    return said


if __name__ == "__main__":
    cli.run(
        main,
        result="fuse",
        writes=lambda output_dir, config, name, **_: output_dir / (name or (config or DEFAULT).stem),
    )
