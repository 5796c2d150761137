"""schemas: what editors are told of the records."""

import json
import re
from pathlib import Path

import pytest

from tests.support.builders import call, snapshot
from tools.schemas import schema_name
from verdicts.corpus.rows import FusedRow
from verdicts.records.run_folder import ROUND_FILES, RUN_FILES

COMMITTED = Path(__file__).resolve().parents[2] / "schemas"
MODELS = {model.__name__: model for model in (*RUN_FILES.values(), *ROUND_FILES.values())}


def test_the_committed_schemas_are_up_to_date(tmp_path):
    outcome = call("schemas", output_dir=tmp_path)
    assert outcome.last_line == f"schemas: {len(MODELS)} in {tmp_path}"
    assert snapshot(tmp_path) == snapshot(COMMITTED), "run: make schemas"


def test_the_committed_page_on_formats_is_up_to_date(tmp_path):
    docs = COMMITTED.parent / "docs"
    assert call("schemas", output_dir=tmp_path, notes=docs / "formats.yaml", page=tmp_path / "formats.md").code == 0
    assert (tmp_path / "formats.md").read_text(encoding="utf-8") == (docs / "formats.md").read_text(encoding="utf-8"), (
        "run: make schemas"
    )


def test_the_page_on_formats_names_every_file_and_every_field_of_its_record():
    text = (COMMITTED.parent / "docs" / "formats.md").read_text(encoding="utf-8")
    for name, model in {**RUN_FILES, **ROUND_FILES, "<name>.train.jsonl": FusedRow}.items():
        assert f"| `{name}` | [{model.__name__}](#{model.__name__.lower()}) |" in text
        section = text.split(f"### {model.__name__}\n")[1].split("\n### ")[0]
        fields = [info.alias or field for field, info in model.model_fields.items() if field != "root"]
        assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == fields


def test_a_note_on_a_field_that_is_gone_is_refused(tmp_path):
    notes = tmp_path / "notes.yaml"
    notes.write_text("files: {}\nfields: {StageA.lable: a typing error}\n", encoding="utf-8")
    outcome = call("schemas", output_dir=tmp_path, notes=notes, page=tmp_path / "formats.md")
    assert (
        outcome.code == 2
        and "fields.StageA.lable: there is no such record or field; correct or delete the note" in outcome.last_line
    )


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("StageA", "stage_a"),
        ("SftRow", "sft_row"),
        ("Trajectory", "trajectory"),
        ("NeedReviewFile", "need_review_file"),
    ],
)
def test_a_schema_is_named_after_its_record(model, name):
    assert schema_name(model) == f"{name}.schema.json"


@pytest.mark.parametrize("name", MODELS)
def test_a_schema_refuses_unknown_fields_and_knows_the_json_names(name):
    schema = json.loads((COMMITTED / schema_name(name)).read_text(encoding="utf-8"))
    assert schema.get("additionalProperties") is not True
    assert "pass_" not in json.dumps(schema)


def test_the_editor_mapping_in_the_docs_names_every_schema_and_every_file():
    text = (COMMITTED.parent / "docs" / "schemas.md").read_text(encoding="utf-8")
    mapping = json.loads(text.split("```json\n")[1].split("```")[0])["json.schemas"]
    pairs = {
        (re.sub(r"^runs/\*/\*/(rounds/\*/)?", "", match), entry["url"])
        for entry in mapping
        for match in entry["fileMatch"]
    }
    wanted = {
        (name, f"./schemas/{schema_name(model.__name__)}")
        for files in (RUN_FILES, ROUND_FILES)
        for name, model in files.items()
    }
    assert pairs == wanted
