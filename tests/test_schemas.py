"""schemas: what editors are told of the records."""

import json
import re
from pathlib import Path

import pytest
from builders import call, snapshot

from tools.core.run_folder import ROUND_FILES, RUN_FILES
from tools.schemas import schema_name

COMMITTED = Path(__file__).resolve().parents[1] / "schemas"
MODELS = {model.__name__: model for model in (*RUN_FILES.values(), *ROUND_FILES.values())}


def test_the_committed_schemas_are_up_to_date(tmp_path):
    outcome = call("schemas", output_dir=tmp_path)
    assert outcome.last_line == f"schemas: {len(MODELS)} in {tmp_path}"
    assert snapshot(tmp_path) == snapshot(COMMITTED), "run: make schemas"


@pytest.mark.parametrize(("model", "name"), [("StageA", "stage_a"), ("SftRow", "sft_row"), ("Trajectory", "trajectory"), ("NeedReviewFile", "need_review_file")])
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
    pairs = {(re.sub(r"^runs/\*/\*/(rounds/\*/)?", "", match), entry["url"]) for entry in mapping for match in entry["fileMatch"]}
    wanted = {(name, f"./schemas/{schema_name(model.__name__)}") for files in (RUN_FILES, ROUND_FILES) for name, model in files.items()}
    assert pairs == wanted
