"""Records are strict, and a ticket is known by group_id and label."""

import json

import pytest
from pydantic import ValidationError

from tests.support.builders import G0, candidate, drawn_rows, guidance, rule_meta, ticket
from verdicts.base.errors import UserError
from verdicts.base.jsonl import dump, read_rows, write_rows
from verdicts.records.corpus import ChatRow, SftRow
from verdicts.records.guidance import MissionGuidance, RemovedRule
from verdicts.records.review import ReviewDecision, read_decisions
from verdicts.records.rollout import Trajectory, VerdictLogprob, votes_of
from verdicts.records.tickets import StageA, read_tickets, ticket_key


@pytest.mark.parametrize("mission", ["bbu_line", "bbu_cable", "bbu_wind", "bbu_install"])
def test_tickets_are_read_as_they_are(mission, tmp_path):
    path = tmp_path / "stage_a.jsonl"
    rows = drawn_rows(mission, 200)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    tickets = read_tickets(path)
    assert len(tickets) == 200
    assert "".join(dump(row) + "\n" for row in tickets) == path.read_text(encoding="utf-8")


def test_a_ticket_may_have_reasons_for_its_failing_whatever_its_label():
    row = ticket("a").model_dump()
    for label in ("fail", "pass"):
        given = row | {"label": label, "fail_reasons": ["地排端补拍", "两端标签一致"]}
        assert json.loads(dump(StageA.model_validate(given))) == given


def test_a_ticket_without_reasons_is_written_as_before():
    row = ticket("a").model_dump()
    assert set(row) == {"group_id", "mission", "label", "images", "per_image"}
    assert dump(StageA.model_validate(row | {"fail_reasons": []})) == dump(ticket("a"))


@pytest.mark.parametrize("reason", ["", " ", "补拍\n拍全", "补拍\u2028拍全"])
def test_a_reason_is_one_line_that_says_something(reason):
    with pytest.raises(ValidationError, match=r"on one line|is blank"):
        StageA.model_validate(ticket("a", "fail").model_dump() | {"fail_reasons": [reason]})


def test_the_same_group_may_have_both_labels():
    assert ticket_key("QC-1", "pass") == "QC-1::pass"
    assert ticket("QC-1", "pass").ticket_key != ticket("QC-1", "fail").ticket_key


def test_a_repeated_ticket_is_named_with_both_lines(tmp_path):
    path = tmp_path / "stage_a.jsonl"
    write_rows(path, [ticket("a"), ticket("a", "fail"), ticket("a")])
    with pytest.raises(
        UserError,
        match=r"stage_a.jsonl:3: group_id: ticket_key 'a::pass' stands on line 1 already; keep one of the two",
    ):
        read_tickets(path)


def test_a_ticket_of_another_mission_is_named(tmp_path):
    path = tmp_path / "stage_a.jsonl"
    write_rows(path, [ticket("a"), ticket("b", mission="挡风板安装检查")])
    assert len(read_tickets(path)) == 2
    with pytest.raises(
        UserError,
        match=r":2: mission: '挡风板安装检查' is not this run's mission 'BBU接地线检查'; run it under its own MISSION",
    ):
        read_tickets(path, "BBU接地线检查")


def test_records_are_frozen_and_not_coerced():
    with pytest.raises(ValidationError):
        ticket("a").label = "fail"
    with pytest.raises(ValidationError):
        StageA.model_validate(ticket("a").model_dump() | {"group_id": 7})


def test_a_record_reads_back_from_its_line_under_its_json_names(tmp_path):
    row = candidate(ticket("a"), "fail")
    write_rows(tmp_path / "t.jsonl", [row])
    assert '"verdict_logprob": {"pass": -2.1, "fail": -0.1}' in (tmp_path / "t.jsonl").read_text(encoding="utf-8")
    assert read_rows(tmp_path / "t.jsonl", Trajectory) == [row]


def test_a_number_that_json_cannot_hold_is_refused():
    with pytest.raises(ValidationError):
        VerdictLogprob.model_validate({"pass": float("-inf"), "fail": 0.0})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"experiences": {"G1": "x"}}, "experiences has no G0"),
        ({"experiences": {"G0": G0, "G2": "x"}}, "experiences and metadata disagree on G1"),
        ({"experiences": {"G0": G0, "rule": "x"}}, "String should match pattern"),
        (
            {"removed": {"G1": RemovedRule(text="x", round=1, why="low", metadata=rule_meta())}},
            "rule key G1 was removed before",
        ),
    ],
)
def test_guidance_that_contradicts_itself_is_refused(changes, message):
    good = guidance(1, G1="出现标签无法识别则不通过")
    fields = {name: getattr(good, name) for name in MissionGuidance.model_fields}
    with pytest.raises(ValidationError, match=message):
        MissionGuidance.model_validate(fields | changes)


def test_a_chat_row_has_exactly_four_keys_and_three_roles():
    messages = [{"role": role, "content": "x"} for role in ("system", "user", "assistant")]
    row = ChatRow.model_validate({"group_id": "a", "mission": "m", "label": "pass", "messages": messages})
    assert list(row.model_dump()) == ["group_id", "mission", "label", "messages"]
    assert list(SftRow(**row.model_dump()).model_dump()) == [
        "group_id",
        "mission",
        "label",
        "messages",
        "weight",
        "flags",
    ]
    for bad in (messages[:2], messages[::-1], [messages[0], messages[2], messages[2]]):
        with pytest.raises(ValidationError):
            ChatRow.model_validate({"group_id": "a", "mission": "m", "label": "pass", "messages": bad})


def test_votes_count_malformed_candidates_apart():
    assert votes_of(["pass", None, "fail", "pass"]).model_dump() == {"pass": 2, "fail": 1, "malformed": 1}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            [("x::pass", "exclude")],
            r":1: ticket_key: no ticket 'x::pass' in this run; correct the key or delete the line",
        ),
        (
            [("a::pass", "exclude"), ("a::pass", "unsure")],
            r":2: ticket_key: 'a::pass' is decided on line 1 already; keep one of the two",
        ),
    ],
)
def test_a_decision_for_an_unknown_ticket_or_a_second_one_is_named(tmp_path, lines, message):
    path = tmp_path / "review_decisions.jsonl"
    write_rows(path, [ReviewDecision(ticket_key=key, decision=decision) for key, decision in lines])
    with pytest.raises(UserError, match=message):
        read_decisions(path, {"a::pass"})


def test_an_unknown_decision_word_is_named(tmp_path):
    path = tmp_path / "review_decisions.jsonl"
    path.write_text('{"ticket_key": "a::pass", "decision": "delete"}\n')
    with pytest.raises(
        UserError,
        match=r":1: decision: input should be 'label_wrong', 'model_wrong', 'exclude' or 'unsure' \(\"delete\"\)",
    ):
        read_decisions(path, {"a::pass"})
