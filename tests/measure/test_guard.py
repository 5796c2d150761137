"""The tool that says how often the guard fires on labelled tickets."""

import json

import pytest

from tests.support.builders import call, ticket
from verdicts.base.jsonl import write_rows, write_text

UNFITTED = "BBU设备/华为,显示完整,机柜空间充足需要安装/这个BBU设备未按要求配备挡风板×1"
PARTLY = "BBU设备/华为,只显示部分,机柜空间充足需要安装/这个BBU设备未按要求配备挡风板×1"
WRONG_WAY = '{"统计": [{"类别": "挡风板", "安装方向": {"方向正确": 1, "方向错误": 1}}]}'
FINE = "BBU设备/华为,显示完整,无需安装×1"
MISSION = "挡风板安装检查"


@pytest.fixture
def given(tmp_path):
    """Five tickets of which a and c fire rightly, b wrongly; d is exempt, e fine."""
    tickets = [
        ticket("a", "fail", (FINE, UNFITTED), MISSION),
        ticket("b", "pass", (UNFITTED, PARTLY), MISSION),
        ticket("c", "fail", (WRONG_WAY,), MISSION),
        ticket("d", "pass", (PARTLY, "挡风板/未发现方向错误×1"), MISSION),
        ticket("e", "fail", (FINE,), MISSION),
    ]
    write_rows(tmp_path / "t.jsonl", tickets)
    audit = [{"ticket_key": f"{key}", "category": "clear"} for key in ("a::fail", "b::pass", "d::pass")]
    write_text(tmp_path / "audit.jsonl", "".join(json.dumps(row) + "\n" for row in audit))
    return {
        "models": "miniature",
        "mission": "bbu_wind",
        "tickets": tmp_path / "t.jsonl",
        "output": tmp_path / "o.json",
    }


def test_tickets_that_fire_are_counted_by_label_and_category(given, tmp_path):
    outcome = call("guard", **given, audit=tmp_path / "audit.jsonl")
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines() == [
        "| tickets | fires, label fail | fires, label pass | exempt |",
        "|---|---|---|---|",
        "| all | 2/3 | 1/2 | 1 |",
        "| clear | 1/1 | 1/2 | 1 |",
        "| not audited | 1/2 | 0/0 | 0 |",
        "denied: 挡风板/安装方向错误, 1 facts",
        "fires: BBU设备/未按要求配备挡风板, 2 facts",
        "fires: 挡风板/安装方向错误, 1 facts",
        "in doubt: BBU设备/未按要求配备挡风板, 2 facts",
    ]
    assert outcome.last_line == (
        "guard: fires on 3 of 5 tickets: 2 of 3 with label fail, 1 of 2 with label pass; 1 exempt; "
        + str(given["output"])
    )
    facts = json.loads(given["output"].read_text(encoding="utf-8"))["facts"]
    assert [(one["ticket_key"], one["photo"], one["exempt"]) for one in facts] == [
        ("a::fail", "image_2", ""),
        ("b::pass", "image_1", ""),
        ("b::pass", "image_2", "in doubt"),
        ("c::fail", "image_1", ""),
        ("d::pass", "image_1", "in doubt"),
        ("d::pass", "image_2", "denied"),
    ]


def test_tickets_are_taken_as_teams_write_them(given):
    given["tickets"].write_text(given["tickets"].read_text(encoding="utf-8").replace('"fail"', '"不通过"'), "utf-8")
    outcome = call("guard", **given)
    assert "| all | 2/3 | 1/2 | 1 |" in outcome.out and "3 repairs (label 3)" in outcome.err


def test_an_overlay_changes_what_fires(given, tmp_path):
    write_text(tmp_path / "strict.yaml", "fail_first: {doubts: []}\n")
    outcome = call("guard", **given, overlay=tmp_path / "strict.yaml")
    assert "| all | 2/3 | 2/2 | 0 |" in outcome.out and "in doubt" not in outcome.out


def test_a_guard_that_is_switched_off_is_said(given, tmp_path):
    write_text(tmp_path / "off.yaml", "fail_first: {enabled: false}\n")
    assert call("guard", **given, overlay=tmp_path / "off.yaml").last_line.startswith(
        "guard (switched off: fail_first."
    )


def test_a_bad_audit_is_one_sentence_and_nothing_is_written(given, tmp_path):
    write_text(tmp_path / "audit.jsonl", '{"ticket_key": "a::fail"}\n')
    outcome = call("guard", **given, audit=tmp_path / "audit.jsonl")
    assert outcome.code == 2 and "audit.jsonl:1: is no object with ticket_key and category" in outcome.err
    assert not given["output"].exists()
