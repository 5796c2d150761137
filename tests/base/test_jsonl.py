"""Readers name every mistake; writers leave whole files."""

import errno
import json
from pathlib import Path

import pytest

from tests.support.builders import ticket
from verdicts.base import whole_file
from verdicts.base.errors import UserError
from verdicts.base.jsonl import (
    read_json,
    read_numbered,
    read_rows,
    write_json,
    write_rows,
    write_text_if_changed,
)
from verdicts.records.guidance import GuidanceFile
from verdicts.records.run import LoopStatus
from verdicts.records.tickets import StageA

GOOD = '{"group_id": "a", "mission": "m", "label": "pass", "images": ["1.jpg"], "per_image": {"image_1": "x"}}'


def problem(path: Path, model=StageA) -> str:
    with pytest.raises(UserError) as caught:
        (read_json if path.suffix == ".json" else read_rows)(path, model)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(str(path))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (GOOD.replace('"label"', '"lable"'), ":2: lable: unknown field; did you mean 'label'?"),
        (GOOD.replace('"mission"', '"zzz"'), ":2: zzz: unknown field; remove it"),
        (GOOD.replace('"pass"', '"Pass"'), ":2: label: input should be 'pass' or 'fail' (\"Pass\"); correct the value"),
        (GOOD.replace('"mission": "m", ', ""), ":2: mission: missing; add it"),
        (
            GOOD.replace('"group_id": "a"', '"group_id": 7'),
            ":2: group_id: input should be a valid string (7); correct the value",
        ),
        (
            GOOD.replace("image_1", "image_2"),
            ":2: per_image: keys must run image_1, image_2, … without a gap (found 'image_2' for image_1); "
            "renumber the photos",
        ),
        (GOOD.replace('["1.jpg"]', "[]"), ":2: 0 images but 1 summaries; give one summary a photo"),
        (GOOD[:40], ":2: not valid JSON at column 35 (unterminated string); complete or delete the line"),
        ("[1]", ":2: input should be a valid dictionary or instance of StageA ([1]); correct the value"),
    ],
)
def test_a_bad_line_is_named_with_path_line_field_and_remedy(tmp_path, line, message):
    path = tmp_path / "stage_a.jsonl"
    path.write_text(f"{GOOD}\n{line}\n", encoding="utf-8")
    assert problem(path) == message


def test_a_long_bad_value_is_shown_cut(tmp_path):
    path = tmp_path / "stage_a.jsonl"
    path.write_text(GOOD.replace('"pass"', f'"{"p" * 200}"'), encoding="utf-8")
    assert len(problem(path)) < 160 and "ppp..." in problem(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": the file holds no record;"),
        (b"\n \n", ": the file holds no record;"),
        (b"\xff\xfe", ": is UTF-16, not UTF-8; convert it: iconv -f UTF-16 -t UTF-8"),
    ],
)
def test_a_file_without_readable_records_is_named(tmp_path, content, message):
    path = tmp_path / "stage_a.jsonl"
    path.write_bytes(content)
    assert problem(path).startswith(message)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    assert problem(tmp_path / "none.jsonl") == ": no such file; check the path"
    assert problem(tmp_path) == ": is a folder; give a file"


def test_an_empty_file_is_fine_where_the_caller_says_so(tmp_path):
    write_rows(tmp_path / "empty.jsonl", [])
    assert read_rows(tmp_path / "empty.jsonl", StageA, allow_empty=True) == []


def test_blank_lines_a_byte_order_mark_and_crlf_are_forgiven_and_lines_counted_right(tmp_path):
    path = tmp_path / "stage_a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + f"{GOOD}\r\n\r\n{GOOD}\r\n".encode())
    assert [line for line, _ in read_numbered(path, StageA)] == [1, 3]


def test_broken_json_objects_are_named_by_line_and_nested_typos_by_path(tmp_path):
    path = tmp_path / "loop.json"
    path.write_text('{\n "status": "running",\n', encoding="utf-8")
    assert problem(path, LoopStatus).startswith(":3: not valid JSON at column 1")
    path.write_text("", encoding="utf-8")
    assert problem(path, LoopStatus) == ": the file is empty; restore it, or delete it to have it made again"
    path.write_text(
        '{"m": {"step": 0, "experiences": {"G0": "x"}, "metadata": {"G1": {"hitcount": 1}}}}', encoding="utf-8"
    )
    assert problem(path, GuidanceFile) == ": m.metadata.G1.hitcount: unknown field; did you mean 'hit_count'?"


def test_what_is_written_reads_back_and_keeps_chinese_and_field_order(tmp_path):
    rows = [ticket("a", summaries=("需复核备注:无法判断",)), ticket("b", "fail")]
    write_rows(tmp_path / "rows.jsonl", rows)
    assert read_rows(tmp_path / "rows.jsonl", StageA) == rows
    text = (tmp_path / "rows.jsonl").read_text(encoding="utf-8")
    assert "需复核备注" in text
    assert list(json.loads(text.splitlines()[0])) == ["group_id", "mission", "label", "images", "per_image"]


def test_a_record_is_one_line_for_every_reader_whatever_its_text_holds(tmp_path):
    rows = [ticket("a", summaries=("a\u2028b\u2029c\x85d\x0be\nf",))]
    write_rows(tmp_path / "rows.jsonl", rows)
    assert len((tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()) == 1
    assert read_rows(tmp_path / "rows.jsonl", StageA) == rows


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "loop.json"
    write_json(path, {"old": 1})
    monkeypatch.setattr(whole_file.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        write_json(path, {"new": 2})
    assert json.loads(path.read_text()) == {"old": 1}
    assert [found.name for found in tmp_path.iterdir()] == ["loop.json"]


def test_a_folder_of_another_user_is_named_with_its_owner(tmp_path, monkeypatch):
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(whole_file.os, "geteuid", lambda: owner + 1)
    with pytest.raises(UserError) as caught, whole_file.writing(tmp_path / "runs/out.json"):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "runs"))
    whose = f"{tmp_path} belongs to user {owner}, and this is user {owner + 1}"
    assert str(caught.value).startswith(f"{tmp_path}/runs: permission denied: {whose}; chown it")


def test_a_row_that_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "rows.jsonl"
    write_rows(path, [{"a": 1}])
    with pytest.raises(TypeError):
        write_rows(path, [{"a": 2}, {"b": object()}])
    assert path.read_text() == '{"a": 1}\n'


def test_the_same_text_is_not_written_twice(tmp_path):
    path = tmp_path / "section.yaml"
    assert write_text_if_changed(path, "a: 1\n")
    assert not write_text_if_changed(path, "a: 1\n")
    assert write_text_if_changed(path, "a: 2\n")
