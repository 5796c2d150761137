"""docs/formats.md: every file with its fields, written from the record models so that it cannot drift."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from verdicts.base.errors import mistake
from verdicts.corpus.mix import Manifest
from verdicts.corpus.rows import FusedRow, GeneralChatRow, ImageRow
from verdicts.export.records import Conversion, ExportGate
from verdicts.records.evaluation import GateLook
from verdicts.records.imports import ImportReport, RefusedImport, RepairedImport
from verdicts.records.run_folder import ROUND_FILES, RUN_FILES

FOLDERS: dict[str, Mapping[str, type[BaseModel]]] = {
    "runs/<RUN>/<MISSION>/": RUN_FILES,
    "runs/<RUN>/<MISSION>/rounds/NNNN/": ROUND_FILES,
    "runs/": {"looks.jsonl": GateLook},
    "data/<NAME>/": {
        "dense.jsonl": ImageRow,
        "summary.jsonl": ImageRow,
        "irrelevant.jsonl": ImageRow,
        "irrelevant.dense.jsonl": ImageRow,
        "chat.jsonl": GeneralChatRow,
        "held_out/dense.jsonl": ImageRow,
        "held_out/summary.jsonl": ImageRow,
        "refused.jsonl": RefusedImport,
        "repaired.jsonl": RepairedImport,
        "import.json": ImportReport,
    },
    "checkpoints/<name>/, and the gate of it in the run": {
        "gguf-<quant>/conversion.json": Conversion,
        "evaluation/<student>-<questions>/export-<quant>/export.json": ExportGate,
    },
    "data/fused/": {"<name>.train.jsonl": FusedRow, "<name>.val.jsonl": FusedRow, "<name>.manifest.json": Manifest},
}
HEAD = """# Formats

Written by `make schemas` from the records in the code and the notes in `docs/formats.yaml`; edit those.

`.jsonl` holds one JSON object a line, `.json` one object; UTF-8, Chinese unescaped. An unknown field is an error, named
`path:line: field: what; what to do`. `label` and `verdict` are `pass` or `fail`; 通过 and 不通过 live in model text
alone. No record holds a wall-clock time. [JSON Schemas for editors](schemas.md); what an edit makes again:
[by_hand.md](by_hand.md).
"""


def formats_page(notes: Mapping[str, Any]) -> str:
    """The page. ``notes``: docs/formats.yaml. Raises UserError for a note on a file or field that does not exist."""
    written: dict[str, str] = {}
    parts = [HEAD]
    for folder, files in FOLDERS.items():
        parts.append(
            f"## {folder}\n\n| file | record | |\n|---|---|---|\n"
            + "\n".join(_file_line(name, model, notes["files"]) for name, model in files.items())
            + "\n"
        )
    for model in [model for files in FOLDERS.values() for model in files.values()]:
        schema = model.model_json_schema()
        for name, part in [(model.__name__, schema), *schema.get("$defs", {}).items()]:
            written.setdefault(name, f"### {name}\n\n{_text(part)}\n{_table(name, part, notes['fields'])}")
    known = {f"{name}.{field}" for name, text in written.items() for field in _fields_of(text)}
    for kind, found, right in (
        ("files", notes["files"], {name for files in FOLDERS.values() for name in files}),
        ("fields", notes["fields"], known),
    ):
        if unknown := sorted(set(found) - right):
            raise mistake(
                "there is no such record or field",
                "correct or delete the note",
                path="docs/formats.yaml",
                field=f"{kind}.{unknown[0]}",
            )
    return "\n".join([*parts, "## Records\n", *(written[name] for name in sorted(written))])


def _file_line(name: str, model: type[BaseModel], notes: Mapping[str, str]) -> str:
    return f"| `{name}` | [{model.__name__}](#{model.__name__.lower()}) | {notes.get(name, '')} |"


def _text(schema: Mapping[str, Any]) -> str:
    """A record's docstring as one paragraph."""
    return " ".join(schema.get("description", "").split()).replace("``", "`") + "\n"


def _table(name: str, schema: Mapping[str, Any], notes: Mapping[str, str]) -> str:
    if "properties" not in schema:
        return f"{kind_of(schema)}.\n"
    required = set(schema.get("required", ()))
    rows = [
        f"| `{field}` | {kind_of(part)}{'' if field in required else ', optional'} "
        f"| {notes.get(f'{name}.{field}', '')} |"
        for field, part in schema["properties"].items()
    ]
    return "| field | type | |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _fields_of(text: str) -> Iterator[str]:
    return (line.split("`")[1] for line in text.splitlines() if line.startswith("| `"))


def kind_of(schema: Mapping[str, Any]) -> str:
    """A JSON Schema's type in words.

    ``text``, ``pass or fail``, ``list of text``, ``mapping to [RuleMeta](#rulemeta)``, ``number or null``.
    """
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(kind_of(part) for part in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(schema["enum"][:-1]) + f" or {schema['enum'][-1]}"
    if "const" in schema:
        return str(schema["const"])
    match schema.get("type"):
        case "array":
            return f"list of {kind_of(schema['items'])}"
        case "object" if schema.get("additionalProperties") or "patternProperties" in schema:
            values = schema.get("additionalProperties") or next(iter(schema["patternProperties"].values()))
            return "mapping" if values is True else f"mapping to {kind_of(values)}"
        case kind:
            return {"string": "text", "boolean": "true or false", "object": "mapping", None: "anything"}.get(
                kind, str(kind)
            )
