"""Export a JSON Schema for each record model, for editors, and the page on formats, for people.

    python -m tools.schemas --output-dir schemas --notes docs/formats.yaml --page docs/formats.md

Out: schemas/<record>.schema.json (docs/schemas.md says how an editor is told of them), docs/formats.md.
"""

import re
from pathlib import Path
from typing import Annotated

import typer

from verdicts.command import cli


def schema_name(model: str) -> str:
    """``SftRow`` -> ``sft_row.schema.json``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", model).lower() + ".schema.json"


def main(
    output_dir: Annotated[Path, typer.Option(help="Folder to write the schemas into.")],
    notes: Annotated[Path | None, typer.Option(help="Its notes on files and fields (YAML).")] = None,
    page: Annotated[Path | None, typer.Option(help="Page on formats to write, with --notes.")] = None,
) -> None:
    """Export a JSON Schema for each record model, and the page on formats."""
    from verdicts.base.jsonl import write_json
    from verdicts.records.run_folder import ROUND_FILES, RUN_FILES

    models = {model.__name__: model for model in (*RUN_FILES.values(), *ROUND_FILES.values())}
    for name, model in sorted(models.items()):
        write_json(output_dir / schema_name(name), model.model_json_schema())
    if page and notes:
        from verdicts.base.jsonl import write_text
        from verdicts.config.load import read_yaml
        from verdicts.runs import formats

        write_text(page, formats.formats_page(read_yaml(notes)))
    cli.say(f"schemas: {len(models)} in {output_dir}")


if __name__ == "__main__":
    cli.run(main)
