"""From groups of wrong tickets to operations on guidance."""

import json

import pytest

from tests.builders import NO_GUARD, candidates, ticket
from tools.core.config import CONFIGS, load
from tools.core.jsonl import dump
from tools.core.records import Reflection, Selection, StageA
from tools.core.reflection import Group, groups_of, read_answer
from tools.core.selection import select

SECTION = load("miniature", "bbu_line", configs=CONFIGS).reflect
KEYS = ["a::fail", "b::fail", "a::pass"]
ADD = {"op": "add", "text": "出现标签无法识别则不通过", "rationale": "看不清", "evidence": [1, 3]}


def answer(*operations: object, **more: object) -> str:
    return json.dumps({"operations": list(operations), **more}, ensure_ascii=False)


def played(**verdicts: str) -> tuple[list[Selection], dict[str, StageA]]:
    """Tickets ``a_fail="pass"``: group a, label fail, verdict pass; their selections and themselves by key."""
    of = [ticket(name.split("_")[0], name.split("_")[1]) for name in verdicts]
    return [select(one, candidates(one, verdict), NO_GUARD) for one, verdict in zip(of, verdicts.values(), strict=True)], {one.ticket_key: one for one in of}


def test_case_numbers_become_the_ticket_keys_of_the_cases_shown():
    read = read_answer(answer(ADD, unexplainable=[2]), KEYS)
    assert [operation.evidence for operation in read.operations] == [["a::fail", "a::pass"]]
    assert (read.rejected, read.unexplainable) == ([], ["b::fail"])


def test_a_case_that_is_named_twice_counts_once():
    assert read_answer(answer({**ADD, "evidence": [3, 1, 3]}), KEYS).operations[0].evidence == ["a::pass", "a::fail"]


@pytest.mark.parametrize(
    "raw",
    [
        ADD,
        {"op": "add", "text": "一条规则"},
        {"op": "update", "key": "G2", "text": "改写", "rationale": "", "evidence": [2]},
        {"op": "delete", "key": "G3", "evidence": [1]},
        {"op": "merge", "keys": ["G1", "G4"], "text": "合并", "evidence": [1, 2]},
    ],
)
def test_each_kind_of_operation_is_read_with_its_fields(raw):
    (operation,) = read_answer(answer(raw), KEYS).operations
    assert operation.model_dump(include=set(raw) - {"evidence"}) == {name: value for name, value in raw.items() if name != "evidence"}


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("add", "unknown_operation"),
        ({"text": "没有 op"}, "unknown_operation"),
        ({**ADD, "op": "replace"}, "unknown_operation"),
        ({**ADD, "op": ["add"]}, "unknown_operation"),
        ({**ADD, "op": None}, "unknown_operation"),
        ({"op": "add", "evidence": [1]}, "missing_field: text"),
        ({"op": "update", "text": "改写", "evidence": [1]}, "missing_field: key"),
        ({"op": "merge", "text": "合并", "evidence": [1]}, "missing_field: keys"),
        ({**ADD, "key": "G1"}, "unknown_field: key"),
        ({**ADD, "confidence": 0.9}, "unknown_field: confidence"),
        ({"op": "delete", "key": "G1", "text": "多余", "evidence": [1]}, "unknown_field: text"),
        ({**ADD, "evidence": [4]}, "unknown_case_number"),
        ({**ADD, "evidence": [0]}, "unknown_case_number"),
        ({**ADD, "evidence": ["1"]}, "unknown_case_number"),
        ({**ADD, "evidence": [True]}, "unknown_case_number"),
        ({**ADD, "evidence": [1.0]}, "unknown_case_number"),
        ({**ADD, "evidence": "1"}, "unknown_case_number"),
        ({**ADD, "text": 7}, "bad_value: text"),
        ({"op": "delete", "key": 3, "evidence": [1]}, "bad_value: key"),
        ({"op": "merge", "keys": "G1", "text": "合并", "evidence": [1]}, "bad_value: keys"),
    ],
)
def test_what_is_no_operation_is_kept_raw_with_its_reason_and_the_others_stand(raw, why):
    read = read_answer(answer(raw, ADD), KEYS)
    assert [(rejected.op, rejected.why) for rejected in read.rejected] == [(raw, why)]
    assert [operation.text for operation in read.operations] == [ADD["text"]]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not_json"),
        ("规则应补充标签要求", "not_json"),
        ('{"operations":[', "not_json"),
        ("```json\n" + answer(ADD) + "\n```", "not_json"),
        (answer(ADD) + "\n以上。", "not_json"),
        (answer(ADD) + answer(ADD), "not_json"),
        ("[" * 100_000, "not_json"),
        ('{"operations": [], "unexplainable": [' + "9" * 5000 + "]}", "not_json"),
        ('{"operations": [{"op": "add", "text": "a", "evidence": [NaN]}]}', "not_json"),
        ('{"operations": [{"op": "\\ud83d"}]}', "not_json"),
        ("[]", "not_an_answer"),
        ("null", "not_an_answer"),
        ("{}", "not_an_answer"),
        ('{"operations": {}}', "not_an_answer"),
        ('{"operations": [], "comment": "好"}', "not_an_answer"),
        ('{"operations": [], "unexplainable": [9]}', "unknown_case_number"),
        ('{"operations": [], "unexplainable": "1"}', "unknown_case_number"),
    ],
)
def test_nonsense_is_one_refusal_and_no_operation(text, why):
    read = read_answer(text, KEYS)
    assert (read.operations, read.unexplainable) == ([], [])
    assert [rejected.why.partition(":")[0] for rejected in read.rejected] == [why]
    assert len(dump(read.rejected[0])) < 200


@pytest.mark.parametrize("spaces", ["", "\n", "  "])
def test_white_space_around_the_answer_and_a_thought_before_it_are_forgiven(spaces):
    assert len(read_answer(f"{spaces}<think>先看标签</think>{spaces}{answer(ADD)}{spaces}", KEYS).operations) == 1


def test_errors_of_the_two_directions_are_never_shown_together():
    selections, tickets = played(a_fail="pass", b_fail="pass", c_pass="fail", d_pass="pass", e_fail="fail")
    groups = groups_of(selections, tickets, SECTION, "seed", len)
    shown = {group.direction: {shown.ticket_key for shown in group.tickets} for group in groups}
    assert shown == {"false_release": {"a::fail", "b::fail"}, "false_block": {"c::pass"}}


def test_right_verdicts_need_no_reflection():
    assert groups_of(*played(a_pass="pass", b_fail="fail"), SECTION, "seed", len) == []


def test_groups_are_limited_in_size_and_number_and_share_no_ticket():
    selections, tickets = played(**{f"t{number}_fail": "pass" for number in range(30)})
    section = SECTION.model_copy(update={"group_size": 4, "groups": 3})
    groups = groups_of(selections, tickets, section, "seed", lambda text: 1)
    keys = [shown.ticket_key for group in groups for shown in group.tickets]
    assert [len(group.tickets) for group in groups] == [4, 4, 4] and len(set(keys)) == 12


def test_the_last_group_takes_what_is_left():
    selections, tickets = played(**{f"t{number}_fail": "pass" for number in range(5)})
    groups = groups_of(selections, tickets, SECTION.model_copy(update={"group_size": 4, "groups": 3}), "seed", lambda text: 1)
    assert [len(group.tickets) for group in groups] == [4, 1]


def test_the_seed_decides_which_errors_stand_together():
    selections, tickets = played(**{f"t{number}_fail": "pass" for number in range(12)})
    first, again, other = (groups_of(selections, tickets, SECTION, seed, lambda text: 1) for seed in ("1", "1", "2"))
    assert first == again != other


def test_a_group_is_cut_to_its_token_budget_and_keeps_at_least_one_ticket():
    selections, tickets = played(**{f"t{number}_fail": "pass" for number in range(4)})
    (whole,) = groups_of(selections, tickets, SECTION.model_copy(update={"prompt_tokens": 10_000}), "seed", len)
    two = len(Group(whole.direction, whole.tickets[:2]).user)
    for budget, kept in ((two, 2), (two - 1, 1), (1, 1)):
        (group,) = groups_of(selections, tickets, SECTION.model_copy(update={"prompt_tokens": budget}), "seed", len)
        assert group.tickets == whole.tickets[:kept]


def test_a_case_shows_both_verdicts_and_the_summaries_cleaned_of_third_state_markers():
    of = ticket("QC-1", "fail", ("BBU设备/需复核备注:无法判断品牌×1", "电线/散乱×1"))
    user = Group("false_release", [of]).user
    assert "案例1 人工:不通过 模型:通过\nimage_1: BBU设备/备注:无法判断品牌×1\nimage_2: 电线/散乱×1" in user
    assert "QC-1" not in user and "复核" not in user
    assert "案例1 人工:通过 模型:不通过" in Group("false_block", [ticket("a")]).user


def test_a_refused_answer_survives_its_file():
    read = read_answer(answer({"op": ["add"], "text": "\u2028"}), KEYS)
    fields = dict.fromkeys(("ticket_keys", "operations", "unexplainable", "applied", "cleaned_up"), [])
    record = Reflection(
        reflection_id="r0001-01",
        round=1,
        epoch=1,
        directions={},
        prompt_digest="",
        raw_response="",
        rejected=read.rejected,
        before_step=0,
        after_step=0,
        **fields,
    )
    assert Reflection.model_validate(json.loads(dump(record))) == record
