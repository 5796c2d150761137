"""Write the cards of a run: of its corpus, and of the student that was taught with it.

    python -m tools.cards --run-dir runs/demo/bbu_line --checkpoint checkpoints/demo

In:  distill.*.jsonl, guidance.json, selections.jsonl, config/, evaluation/*/ of the run; metrics.json and adapter/ of
     the student; data/fused/<name>.manifest.json.
Out: RUN/README.md and checkpoints/<name>/README.md, as huggingface_hub writes cards. No figure without its file.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(
    run_dir: Annotated[Path, typer.Option(help="runs/<RUN>/<MISSION>.")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="checkpoints/<name> or its merged/; else the student that the run evaluated.")
    ] = None,
) -> None:
    """Write the cards of a run's corpus and of its student."""
    from verdicts.base.errors import mistake
    from verdicts.base.jsonl import read_json, write_text_if_changed
    from verdicts.base.run_version import refuse_newer
    from verdicts.records.evaluation import Evaluation
    from verdicts.records.guidance import GuidanceFile
    from verdicts.records.run_folder import paths_of
    from verdicts.records.synthetic import is_synthetic

    try:
        import huggingface_hub  # noqa: F401
    except ImportError as error:
        raise mistake(f"{error.name} is not installed", "run `make setup-student`") from None
    from verdicts.cards.corpus import corpus_card
    from verdicts.cards.student import read_taught, student_card

    refuse_newer(run_dir)
    if not (run_dir / "guidance.json").is_file():
        raise mistake("no guidance yet", "make distill first", path=run_dir)
    mission, synthetic = next(iter(read_json(run_dir / "guidance.json", GuidanceFile).root)), is_synthetic(run_dir)
    asked = [Path(read_json(path, Evaluation).student.folder) for path in paths_of(run_dir, "evaluation/*/after.json")]
    folder = folder_of(checkpoint, asked)
    cards = {run_dir / "README.md": corpus_card(run_dir, mission, synthetic)}
    if folder:
        cards[folder / "README.md"] = student_card(read_taught(folder, run_dir), mission, synthetic)
    for path, text in cards.items():
        write_text_if_changed(path, text)
    without = "" if folder else "; no student was evaluated in this run (CHECKPOINT=checkpoints/<name> names one)"
    cli.say(f"cards: {' and '.join(map(str, cards))}{without}", "good" if folder else "wait")


def folder_of(checkpoint: Path | None, asked: "Sequence[Path]") -> Path | None:
    """checkpoints/<name>, named or of the last student that was evaluated; None where there is none."""
    if checkpoint:
        return checkpoint.parent if checkpoint.name == "merged" else checkpoint
    there = [folder.parent for folder in asked if folder.name == "merged" and folder.is_dir()]
    return there[-1] if there else None


if __name__ == "__main__":
    cli.run(main)
