"""Bring the training rows of other teams into the project's form: rows to learn from, and held-out questions.

    python -m tools.import_data --data their/rows --name rows --output-dir data/rows --models qwen3 --mission bbu_line

In:  a JSONL file, or a folder of them: {images, objects, width, height, summary, metadata}, or {messages} alone.
Out: dense.jsonl, summary.jsonl, irrelevant.jsonl, irrelevant.dense.jsonl, chat.jsonl, held_out/{dense,summary}.jsonl;
     refused.jsonl and repaired.jsonl with a reason a row, import.json with the counts (docs/import.md).
"""

from pathlib import Path
from typing import Annotated

import typer

from verdicts.command import cli


def main(
    data: Annotated[str, typer.Option(help="Training rows: a JSONL file, or a folder of *.jsonl.")],
    name: Annotated[str, typer.Option(help="Name of the import.")],
    output_dir: Annotated[Path, typer.Option(help="Folder to write, data/<name>.")],
    mission: Annotated[str, typer.Option(help="Mission whose prompts the rows are asked with, in their domain.")],
    models: Annotated[str, typer.Option(help="Model set: configs/models/<set>.yaml.")] = "miniature",
    overlay: Annotated[Path | None, typer.Option(help="One more YAML laid over the configuration.")] = None,
) -> None:
    """Bring the training rows of other teams into the project's form."""
    from functools import cache

    from verdicts.base.errors import mistake
    from verdicts.base.progress import progress
    from verdicts.config.load import load
    from verdicts.importing.account import account_sentence
    from verdicts.importing.files import Importer, data_files, looker
    from verdicts.importing.rows import Reader
    from verdicts.records.corpus import Message
    from verdicts.stage_b.prompts import load_prompts

    for variable, said in (("DATA", data), ("NAME", name)):
        if not said.strip():
            raise mistake("is not given", "make import DATA=file-or-folder NAME=name", field=variable)
    cfg = load(models, mission, overlay)
    files = data_files(Path(data), output_dir)

    @cache
    def asked(domain: str) -> dict[str, list[Message]]:
        own = (
            cfg.mission
            if domain == cfg.mission.domain
            else cfg.mission.model_copy(update={"domain": domain, "slug": ""})
        )
        prompts = load_prompts(cfg.prompts, own)
        return {task: [Message(**one) for one in prompts.photo_messages(task)] for task in ("dense", "summary")}

    asked(cfg.mission.domain)  # a prompt that cannot be used is told at once
    reader = Reader(cfg.import_, cfg.mission.domain, looker(cfg.summarize))
    size = sum(path.stat().st_size for path in files if path.is_file())
    with progress("import", size, unit="bytes") as bar:
        report = Importer(reader, cfg.import_, asked).run(files, output_dir, name, bar.update)
    cli.say(f"{account_sentence(report)}; {output_dir}")


if __name__ == "__main__":
    cli.run(main, result="import_data", writes="output_dir")
