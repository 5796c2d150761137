"""Every kind of record goes out to Parquet and comes back equal; decisions come back in from such tables."""

from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from tests.support.builders import RunFolder, call, guidance, snapshot, ticket
from verdicts.base.errors import UserError
from verdicts.base.jsonl import read_rows
from verdicts.records.review import ListedTicket, ReviewDecision
from verdicts.records.run_folder import RUN_FILES, paths_of
from verdicts.records.tickets import StageA
from verdicts.tables.parquet import GROUP, stream_cells, stream_parquet, write_parquet
from verdicts.tables.schema import from_cells, schema_of, to_cells

ROWS = {model for name, model in RUN_FILES.items() if name.endswith(".jsonl")} | {ListedTicket}
KEYS = ("a::fail", "b::fail", "c::pass")
PLAYED = dict.fromkeys(KEYS, "pass pass") | {"c::pass": "fail fail"}
TEXT = '=1\u2028“第”\n{"a'


def value_of(schema: dict, shared: dict, whole: bool) -> Any:
    """A value that a JSON schema allows: with all that is optional (``whole``), or with nothing of it."""
    if "$ref" in schema:
        return value_of(shared[schema["$ref"].rpartition("/")[2]], shared, whole)
    if "anyOf" in schema:
        others = [one for one in schema["anyOf"] if one.get("type") != "null"]
        return value_of(others[0], shared, whole) if whole or len(others) == len(schema["anyOf"]) else None
    if "properties" in schema:
        names = schema["properties"] if whole else schema.get("required", [])
        return {name: value_of(schema["properties"][name], shared, whole) for name in names}
    if schema.get("type") == "object":
        inner = schema["additionalProperties"]
        inner = {} if inner is True else inner
        return {name: value_of(inner, shared, whole) for name in "za"} if whole else {}
    if schema.get("type") == "array":
        return [value_of(schema["items"], shared, whole)] * 2 if whole else []
    simple = {"string": TEXT, "integer": -(2**62), "number": 0.1, "boolean": True, None: {"any": [1, None, "x"]}}
    return schema.get("const", schema.get("enum", [simple[schema.get("type")]])[0])


@pytest.mark.parametrize("model", sorted(ROWS, key=lambda model: model.__name__), ids=lambda model: model.__name__)
def test_every_kind_of_record_comes_back_equal(tmp_path, model):
    schema = model.model_json_schema(mode="serialization")
    values = [value_of(schema, schema.get("$defs", {}), whole) for whole in (True, False)]
    rows = [to_cells(value, model) for value in values]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema_of(model)), tmp_path / "t.parquet")
    assert [from_cells(cells, model) for _, cells in stream_cells(tmp_path / "t.parquet")] == values


def test_datasets_has_a_type_for_every_column():
    from datasets import Features

    for model in ROWS:
        assert list(Features.from_arrow_schema(schema_of(model))) == schema_of(model).names


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """A finished run in which three tickets are queued."""
    tickets = [ticket(*key.split("::"), (f"电线/捆扎整齐×{n}",), reasons=("=1",)) for n, key in enumerate(PLAYED, 1)]
    made = RunFolder(tmp_path / "final" / "bbu_line", tickets).play(PLAYED, after=guidance(1, G1="规则"))
    return made.play(PLAYED).finish().complete()


def tables(run: RunFolder) -> Path:
    outcome = call("to_parquet", run_dir=run.folder, output_dir=run.folder / "parquet")
    assert outcome.code == 0, outcome.err
    return run.folder / "parquet"


def apply(run: RunFolder, path: Path):
    return call("review_apply", run_dir=run.folder, decisions=path)


def decided(run: RunFolder) -> dict[str, str]:
    rows = read_rows(run.folder / "review_decisions.jsonl", ReviewDecision)
    return {row.ticket_key: f"{row.decision}/{row.note}/{row.corrected_reason}" for row in rows}


def test_all_record_files_of_a_run_come_back_equal_from_its_tables(run):
    folder, seen = tables(run), 0
    for name, model in RUN_FILES.items():
        for path in paths_of(run.folder, name) if name.endswith(".jsonl") else ():
            table = (folder / path.relative_to(run.folder)).with_suffix(".parquet")
            assert [row for _, row in stream_parquet(table, model)] == read_rows(path, model, allow_empty=True), name
            assert table.stat().st_size > 0
            seen += 1
    assert seen >= 8
    listed = [row for _, row in stream_parquet(folder / "need_review.parquet", ListedTicket)]
    assert [row.ticket_key for row in listed] == list(KEYS) and listed[0].mission == "BBU接地线检查"
    before = snapshot(folder)
    assert snapshot(tables(run)) == before  # the same bytes again
    assert call("check", run_dir=run.folder).code == 0


def test_a_table_is_written_and_read_a_row_group_at_a_time(tmp_path):
    row = ticket("a")
    waiting = (row for _ in range(2 * GROUP + 1))
    assert write_parquet(tmp_path / "t.parquet", StageA, waiting) == 2 * GROUP + 1
    file = pyarrow.parquet.ParquetFile(tmp_path / "t.parquet")
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [GROUP, GROUP, 1]
    assert file.schema_arrow.metadata[b"record"] == b"StageA"
    assert next(stream_parquet(tmp_path / "t.parquet", StageA)) == (1, row)


def test_the_review_list_with_a_column_of_decisions_is_brought_in(run):
    table = pyarrow.parquet.read_table(tables(run) / "need_review.parquet")
    more = {"decision": ["标签错", None, "model_wrong"], "note": ["看\n得见", None, None]}
    more["corrected_reason"] = [None, None, "缺螺丝(G0)"]
    for name, cells in more.items():
        table = table.append_column(name, pyarrow.array(cells, pyarrow.string()))
    pyarrow.parquet.write_table(table, run.folder.parent / "decided.parquet")
    outcome = apply(run, run.folder.parent / "decided.parquet")
    assert outcome.code == 0, outcome.err
    assert decided(run) == {"a::fail": "label_wrong/看\n得见/", "c::pass": "model_wrong//缺螺丝(G0)"}
    assert "column" not in outcome.err  # those of the list are known


def test_our_own_table_of_decisions_comes_back_in_whole(run):
    rows = [ReviewDecision(ticket_key="a::fail", decision="exclude", reviewer="王", adjudicated=True)]
    path = run.folder.parent / "mine.parquet"
    write_parquet(path, ReviewDecision, rows)
    assert apply(run, path).code == 0
    assert read_rows(run.folder / "review_decisions.jsonl", ReviewDecision) == rows


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"ticket_key": ["x::fail"], "decision": ["exclude"]}, "bad.parquet:1: ticket_key: no ticket 'x::fail'"),
        (
            {"ticket_key": ["a::fail"] * 2, "decision": ["exclude"] * 2},
            ":2: ticket_key: 'a::fail' is decided on line 1",
        ),
        ({"ticket_key": ["a::fail"], "decision": ["maybe"]}, ":1: decision: unknown decision 'maybe'; write one of"),
        ({"ticket_key": ["a::fail"], "decision": [None]}, "bad.parquet: holds no decision; fill in at least one"),
        ({"ticket_key": ["a::fail"]}, "has no columns ticket_key and decision (ticket_key); add the column decision"),
        ({"ticket_key": [7], "decision": ["exclude"]}, ":1: ticket_key: no ticket '7' in this run"),
    ],
)
def test_a_table_that_cannot_be_brought_in_is_named_and_nothing_is_written(run, columns, message):
    path = run.folder.parent / "bad.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    before = snapshot(run.folder)
    outcome = apply(run, path)
    assert outcome.code == 2 and message in outcome.err and outcome.err.count("\n") == 1
    assert snapshot(run.folder) == before


def test_a_cut_table_is_named(run):
    path = run.folder.parent / "cut.parquet"
    write_parquet(path, ReviewDecision, [ReviewDecision(ticket_key="a::fail", decision="exclude")])
    path.write_bytes(path.read_bytes()[:-20])
    outcome = apply(run, path)
    assert outcome.code == 2 and "cut.parquet: is no whole Parquet file (" in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_folder_that_is_no_run_and_a_number_that_fits_no_column_are_named(tmp_path):
    outcome = call("to_parquet", run_dir=tmp_path, output_dir=tmp_path / "out")
    assert outcome.code == 2 and "holds no record file; name the folder of a run" in outcome.err
    listed = ListedTicket(
        ticket_key="a::fail", group_id="a", gt_label="fail", pred_verdict="pass", pred_reason="", mission="m",
        reason_code="label_suspect", times_queued=2**70, last_round=1, log_odds_against_label=None, images=["a"],
        per_image={"image_1": "x"}, candidates=[],
    )  # fmt: skip
    with pytest.raises(UserError, match="one of rows 1 to 1 fits no column"):
        write_parquet(tmp_path / "t.parquet", ListedTicket, [listed])
    assert not (tmp_path / "t.parquet").exists()
