"""Write a training mix for a run, of the sources that are there.

    python -m tools.new_fusion --run-dir runs/miniature/bbu_line --name mine --output configs/fusion/mine.yaml

In:  the run's corpus; corpora of the same model set beside it, one a mission; rows in data/: imported ones, and the
     student's old tasks of data/<mission>/.
Out: a fusion config (docs/fusion.md) that works as it is, with a comment at each source. It overwrites nothing.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CORPUS = ("distill.train.jsonl", "distill.val.jsonl")


class Rows(NamedTuple):
    """A kind of rows that data/<name>/ may hold: its source in the mix, files, part of the anchor, and what it is."""

    source: str
    dataset: str
    template: str
    files: tuple[str, ...]
    ratio: float
    share: float
    what: str


# Where to begin, not where to end: docs/fusion.md, Tuning.
KINDS = (
    Rows("dense", "dense", "dense", ("dense.jsonl", "{mission}.dense.jsonl"), 2.0, 0.1, "objects of a photo"),
    Rows("summary", "summary", "summary", ("summary.jsonl", "{mission}.summary.jsonl"), 0.5, 0.1, "a photo in a line"),
    Rows(
        "irrelevant", "summary", "summary", ("irrelevant.jsonl",), 0.01, 0.05, "photos that show nothing: a word each"
    ),
    Rows("irrelevant_dense", "dense", "dense", ("irrelevant.dense.jsonl",), 0.01, 0.05, "the same, asked for objects"),
    Rows("talk", "chat", "chat_general", ("chat.jsonl",), 0.02, 0.05, "general chat"),
)


def main(
    run_dir: Annotated[Path, typer.Option(help="runs/<RUN>/<MISSION>: the run whose corpus is the anchor.")],
    name: Annotated[str, typer.Option(help="Name of the mix, for FUSION=.")],
    output: Annotated[Path, typer.Option(help="The config to write, new.")],
    data: Annotated[Path, typer.Option(help="Folder of imported rows and old tasks.")] = Path("data"),
) -> None:
    """Write a training mix for a run."""
    from verdicts.base.jsonl import write_text
    from verdicts.config.load import load
    from verdicts.config.tools import DistillConfig, read_section
    from verdicts.corpus.mix_config import read_fusion
    from verdicts.runs.naming import remembered, variables_of

    refuse(run_dir, name, output)
    made = remembered(run_dir)[0]
    student = load(made.models or "miniature", run_dir.name, made.config and Path(made.config.path)).student.model
    seed = read_section(run_dir / "config" / "distill.yaml", DistillConfig).distill.seed
    corpora, others = beside(run_dir, made.models)
    found = list(old_rows(data, run_dir.name))
    lines = [
        f"# A mix for {run_dir}, written by make new-fusion of what was there. Edit it as you like: docs/fusion.md",
        f"#   make gate {variables_of(run_dir)} FUSION={name} HELD_OUT=folder",
        f"seed: {seed}  # the one of distill.seed, so that a ticket's photos and its verdict fall on the same side",
        "image_paths: relative",
        "mix:",
        "  by: loss_tokens  # a dense answer is many times as long as a verdict",
        "  anchor: chat  # taken whole; the others are cut or repeated to their ratio of it",
        f"  tokenizer: {tokenizer(Path(student))}",
        "sources:",
        *anchor([run_dir, *corpora], others),
        *(line for kind, files in found for line in replay(kind, files)),
        *([] if found else [f"# no old tasks: nothing was found in {data}/*/ (make import, or data/{run_dir.name}/)"]),
    ]
    write_text(output, "\n".join(lines) + "\n")
    read_fusion(output)
    kinds = ", ".join(f"{kind.source} {len(files)}" for kind, files in found)
    if not found:
        cli.complain(f"new_fusion {name}: no old tasks in the mix: the student may forget them", "wait")
    cli.say(
        f"new_fusion {name}: {1 + len(corpora)} corpora" + (f", files of {kinds}" if kinds else "") + f"; {output}; "
        f"next: make fuse {variables_of(run_dir)} FUSION={name}"
    )


def refuse(run_dir: Path, name: str, output: Path) -> None:
    """Raise UserError where there is no name or no corpus, or where the mix is there already."""
    from verdicts.base.errors import mistake

    if not re.fullmatch(r"\w[\w.+@-]*", name):
        raise mistake(f"no plain name ({name!r})", "name the mix: make new-fusion NAME=mine", field="NAME")
    if output.exists():
        raise mistake("exists already, and may hold somebody's work", "name another NAME, or delete it", path=output)
    if not has_corpus(run_dir):
        raise mistake(
            "no corpus in it (distill.train.jsonl)", "run `make distill` for this run and mission first", path=run_dir
        )


def has_corpus(run_dir: Path) -> bool:
    """Whether a run has rows to learn from, and the file of those to validate with."""
    train, val = (run_dir / name for name in CORPUS)
    return train.is_file() and train.stat().st_size > 0 and val.is_file()


def beside(run_dir: Path, models: str | None) -> tuple[list[Path], list[Path]]:
    """Other runs of the model set with a corpus: one for each other mission, and the rest.

    The one of the same RUN comes first. Synthetic tickets and real ones are not mixed.
    """
    from verdicts.records.synthetic import is_synthetic
    from verdicts.runs.naming import remembered

    drawn, taken, rest = is_synthetic(run_dir), {run_dir.name: run_dir}, []
    runs = (path.parent.parent for path in run_dir.parents[1].glob("*/*/config/made_with.json"))
    for other in sorted(runs, key=lambda run: (run.parent != run_dir.parent, run)):
        if other == run_dir or not has_corpus(other) or is_synthetic(other) != drawn:
            continue
        if models and remembered(other)[0].models == models:
            rest += [other] if other.name in taken else []
            taken.setdefault(other.name, other)
    return [run for run in taken.values() if run != run_dir], rest


def old_rows(data: Path, mission: str) -> Iterator[tuple[Rows, list[Path]]]:
    """Each kind of rows with the files that hold some: of imported folders, and of the mission's own."""
    folders = sorted({path.parent for path in data.glob("*/import.json")} | {data / mission})
    for kind in KINDS:
        names = [name.format(mission=mission) for name in kind.files]
        files = [folder / name for folder in folders for name in names]
        if there := [file for file in files if file.is_file() and file.stat().st_size]:
            yield kind, there


def anchor(runs: list[Path], others: list[Path]) -> Iterator[str]:
    """The source of verdicts: corpora of runs, and as comments those of tickets that are in it already."""
    yield from ("  - name: chat  # verdicts of this run first, then of other missions", "    dataset: chat")
    yield from ("    template: chatml", "    paths:", *paths(run / CORPUS[0] for run in runs))
    yield from (
        f"      # - {run / CORPUS[0]}  # another run of {run.name}: put it in that one's place" for run in others
    )
    yield from ("    val:", "      paths:", *(f"  {line}" for line in paths(run / CORPUS[1] for run in runs)))
    yield from ("    ratio: 1.0", "    weight: 1.0", "    fail_oversample: 1.0  # 2.0: failed tickets twice")


def replay(kind: Rows, files: list[Path]) -> Iterator[str]:
    """A source of what the student does already, so that it does not forget it."""
    yield from (f"  - name: {kind.source}  # {kind.what}", f"    dataset: {kind.dataset}")
    yield from (f"    template: {kind.template}", "    paths:", *paths(files))
    yield from (f"    val: {{share: {kind.share}}}", f"    ratio: {kind.ratio}  # of the verdicts' loss")
    yield "    weight: 1.0"


def paths(files: Iterable[Path]) -> Iterator[str]:
    """A list item a file, with its number of rows."""
    for file in files:
        with open(file, "rb") as rows:
            count = sum(1 for row in rows if row.strip())
        yield f"      - {quoted(file)}  # {count:,} rows"


def tokenizer(student: Path) -> str:
    """What counts loss tokens: the student's checkpoint where it is there."""
    if (student / "tokenizer.json").is_file():
        return quoted(student)
    return f'""  # counts characters; {student} was not there when this was written'


def quoted(path: Path) -> str:
    """A path as YAML reads it back."""
    return (
        path.as_posix()
        if re.fullmatch(r"[A-Za-z0-9_./@+-]+", path.as_posix())
        else json.dumps(path.as_posix(), ensure_ascii=False)
    )


if __name__ == "__main__":
    cli.run(main)
