"""From groups of wrong tickets to operations on guidance."""

import json
import re
import time

import pytest

from miniature.world.prompts import prompts_of
from tests.support.builders import NO_GUARD, candidates, ticket
from verdicts.base.jsonl import dump
from verdicts.config.load import CONFIGS, load
from verdicts.engines import NO_VERDICT, Completion
from verdicts.guidance import model_json
from verdicts.guidance.reflection import FORGIVEN_FIELDS, ErrorGroup, groups_of, read_answer, read_completion
from verdicts.records.reflection import Reflection
from verdicts.records.rollout import Selection
from verdicts.records.tickets import StageA
from verdicts.stage_b.selection import select

PROMPTS = prompts_of("BBU接地线检查")
SECTION = load("miniature", "bbu_line", configs=CONFIGS).reflect
KEYS = ["a::fail", "b::fail", "a::pass"]
ADD = {"op": "add", "text": "出现标签无法识别则不通过", "rationale": "看不清", "evidence": [1, 3]}


def answer(*operations: object, **more: object) -> str:
    return json.dumps({"operations": list(operations), **more}, ensure_ascii=False)


def played(**verdicts: str) -> tuple[list[Selection], dict[str, StageA]]:
    """Tickets ``a_fail="pass"``: group a, label fail, verdict pass; their selections and themselves by key."""
    of = [ticket(name.split("_")[0], name.split("_")[1]) for name in verdicts]
    return [
        select(one, candidates(one, verdict), NO_GUARD) for one, verdict in zip(of, verdicts.values(), strict=True)
    ], {one.ticket_key: one for one in of}


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
    assert operation.model_dump(include=set(raw) - {"evidence"}) == {
        name: value for name, value in raw.items() if name != "evidence"
    }


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
        ({"op": "delete", "key": "G1", "keys": ["G2"], "evidence": [1]}, "unknown_field: keys"),
        ({"op": "delete", "key": "G1", "text": "多余", "evidence": [1]}, "unknown_field: text"),
        ({**ADD, "evidence": [4]}, "unknown_case_number"),
        ({**ADD, "evidence": [0]}, "unknown_case_number"),
        ({**ADD, "evidence": ["4"]}, "unknown_case_number"),
        ({**ADD, "evidence": ["案例十"]}, "unknown_case_number"),
        ({**ADD, "evidence": ["a::fail"]}, "unknown_case_number"),
        ({**ADD, "evidence": ["图1"]}, "unknown_case_number"),
        ({**ADD, "evidence": [None]}, "unknown_case_number"),
        ({**ADD, "evidence": [[1]]}, "unknown_case_number"),
        ({**ADD, "evidence": {"1": 2}}, "unknown_case_number"),
        ({**ADD, "evidence": [True]}, "unknown_case_number"),
        ({**ADD, "evidence": [1.5]}, "unknown_case_number"),
        ({**ADD, "evidence": "9" * 5000}, "unknown_case_number"),
        ({**ADD, "op ": "add"}, "unknown_operation"),
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
    ("text", "kinds"),
    [
        (f"```json\n{answer(ADD)}\n```", ["fence"]),
        (f"```\n{answer(ADD)}\n```", ["fence"]),
        (f"``` JSON\r\n{answer(ADD)}\r\n```\r\n", ["fence"]),
        (f"~~~json\n{answer(ADD)}\n~~~", ["fence"]),
        (f"```json\n{answer(ADD)}", ["fence"]),
        (f"好的，操作如下：\n\n```json\n{answer(ADD)}\n```\n\n以上规则供参考。", ["fence", "prose"]),
        (f"{answer(ADD)}\n以上。", ["prose"]),
        (f"规则 {{mission}} 的修改：{answer(ADD)}", ["prose"]),
        (answer(ADD) * 2, ["repeated"]),
        (f"<think></think>\n\n{answer(ADD)}", ["thinking"]),
        (f"<think>\n\n</think>{answer(ADD)}", ["thinking"]),
        (f"先看案例 {answer()} 不对\n</think>\n{answer(ADD)}", ["thinking"]),
        (f"</think>{answer(ADD)}", ["thinking"]),
        (f"\ufeff{answer(ADD)}", ["bom"]),
        (f"<think></think>\ufeff{answer(ADD)}", ["bom", "thinking"]),
        (answer(ADD).replace("3]", "3,]"), ["trailing_comma"]),
        (answer(ADD)[:-1] + ",}", ["trailing_comma"]),
        (answer({**ADD, "text": "甲,}乙"}).replace("3]}]", "3], }, ]"), ["trailing_comma"]),
        (answer({**ADD, "rationale": "一"}).replace("一", "一\n二\t三"), ["raw_line_end"]),
        (answer(ADD, comment="好", 分析={"a": [1]}), ["unknown_field"]),
        (answer({**ADD, "confidence": 0.9}), ["unknown_field"]),
        (answer({**ADD, "key": None, "keys": []}), ["empty_field"]),
        (
            answer({f" {name} ": value for name, value in ADD.items()}).replace('"operations"', '"operations "'),
            ["key_blanks"],
        ),
        (json.dumps({"operations": ADD}), ["single_operation"]),
        (answer({**ADD, "evidence": ["案例1", "案例3"]}), ["case_words"]),
        (answer({**ADD, "evidence": ["1", " 案例 3 "]}), ["case_words"]),
        (answer({**ADD, "evidence": ["案例１", "Case #3"]}), ["case_words"]),
        (answer({**ADD, "evidence": [1.0, 3]}), ["case_words"]),
        (answer({**ADD, "evidence": "案例1、案例3"}), ["case_words", "not_a_list"]),
        (answer({**ADD, "evidence": ["1,3"]}), ["case_words"]),
        (answer({**ADD, "rationale": None}), []),
        (answer(ADD, unexplainable=None), []),
    ],
)
def test_what_is_wrong_in_form_alone_is_read_and_each_kind_is_counted(text, kinds):
    read = read_answer(text, KEYS)
    assert (read.unreadable, read.rejected) == (None, [])
    assert [operation.evidence for operation in read.operations] == [["a::fail", "a::pass"]]
    assert list(read.forgiven) == kinds and set(kinds) <= set(model_json.FORGIVEN_JSON) | set(FORGIVEN_FIELDS)


def test_every_kind_that_is_documented_is_one_that_happens():
    (table,) = [mark.args[1] for mark in test_what_is_wrong_in_form_alone_is_read_and_each_kind_is_counted.pytestmark]
    assert {kind for _, kinds in table for kind in kinds} == set(model_json.FORGIVEN_JSON) | set(FORGIVEN_FIELDS)


def test_a_single_case_number_is_a_list_of_one():
    for said in (1, "1", "案例1", 1.0):
        read = read_answer(answer({**ADD, "evidence": said}, unexplainable="案例2"), KEYS)
        assert (read.operations[0].evidence, read.unexplainable) == (["a::fail"], ["b::fail"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("\ufeff\n", "empty"),
        ("<think></think>", "empty"),
        ("规则应补充标签要求", "not_json: no object in it"),
        ("规则 {mission} 应补充", "not_json: no object begins as JSON does"),
        ('{"operations":[', "not_json: expecting value"),
        (answer(ADD)[:-20], "not_json: "),
        ("```json\n" + answer(ADD)[:-20] + "\n```", "not_json: "),
        ("{'operations': []}", "not_json: no object begins as JSON does"),
        (answer(ADD) + answer(), "two_objects: "),
        ('{"operations": [], "operations": []}', "not_json: a key stands twice"),
        ("[" * 100_000, "not_json"),
        ('{"a":' * 100_000, "not_json: nested too deep"),
        ('{"operations": [], "unexplainable": [' + "9" * 5000 + "]}", "not_json"),
        ('{"operations": [{"op": "add", "text": "a", "evidence": [NaN]}]}', "not_json"),
        ('{"operations": [{"op": "\\ud83d"}]}', "not_json: half a character in it"),
        ("[]", "not_an_answer"),
        ("null", "not_an_answer"),
        ("{}", "not_an_answer"),
        ('{"operations": {}}', "not_an_answer"),
        ('{"operations": "无"}', "not_an_answer"),
        ('{"operations": [], " operations": []}', "not_an_answer"),
        (json.dumps(ADD), "not_an_answer"),
    ],
)
def test_nonsense_is_unreadable_and_no_refused_operation(text, why):
    read = read_answer(text, KEYS)
    assert (read.operations, read.unexplainable, read.rejected, read.forgiven) == ([], [], [], {})
    assert read.unreadable.startswith(why) and len(read.unreadable) < 120


def test_a_case_that_is_none_is_named_and_the_operations_stand():
    for said in ([9], "图3", [True]):
        read = read_answer(answer(ADD, unexplainable=said), KEYS)
        assert [rejected.why for rejected in read.rejected] == ["unknown_case_number: in unexplainable"] and len(
            read.operations
        ) == 1


@pytest.mark.parametrize(
    ("completion", "why"),
    [
        (Completion(answer(ADD), NO_VERDICT, "stop"), None),
        (Completion(answer(ADD), NO_VERDICT, "length"), None),
        (Completion(answer(ADD)[:-9], NO_VERDICT, "length"), "cut_off"),
        (Completion("", NO_VERDICT, "over_length"), "over_length"),
        (Completion("", NO_VERDICT, "refused"), "refused"),
    ],
)
def test_an_answer_that_never_came_or_was_cut_is_unreadable_for_that_reason(completion, why):
    read = read_completion(completion, KEYS)
    assert (read.unreadable, len(read.operations)) == (why, why is None)


def test_reading_takes_no_time_on_hostile_text():
    started = time.process_time()  # of this process alone: a busy machine does not count
    for text in (
        '{"' * 50_000,
        '{"a":1} ' * 50_000,
        '"' * 100_000,
        '{"a":"' + "\\" * 100_000,
        " ,]" * 50_000,
        '{"a": [' + "1," * 50_000,
        "</think>{" * 20_000,
        "{" * 100_000,
    ):
        read_answer(text, KEYS)
    assert time.process_time() - started < 4


@pytest.mark.parametrize("spaces", ["", "\n", "  "])
def test_white_space_around_the_answer_and_a_thought_before_it_are_forgiven(spaces):
    assert len(read_answer(f"{spaces}<think>先看标签</think>{spaces}{answer(ADD)}{spaces}", KEYS).operations) == 1


def test_errors_of_the_two_directions_are_never_shown_together():
    selections, tickets = played(a_fail="pass", b_fail="pass", c_pass="fail", d_pass="pass", e_fail="fail")
    groups = groups_of(PROMPTS, selections, tickets, SECTION, "seed", len)
    shown = {group.direction: {shown.ticket_key for shown in group.tickets} for group in groups}
    assert shown == {"false_release": {"a::fail", "b::fail"}, "false_block": {"c::pass"}}


def test_right_verdicts_need_no_reflection():
    assert groups_of(PROMPTS, *played(a_pass="pass", b_fail="fail"), SECTION, "seed", len) == []


def test_groups_are_limited_in_size_and_number_and_share_no_ticket():
    selections, tickets = played(**{f"t{number}_fail": "pass" for number in range(30)})
    section = SECTION.model_copy(update={"group_size": 4, "groups": 3})
    groups = groups_of(PROMPTS, selections, tickets, section, "seed", lambda text: 1)
    keys = [shown.ticket_key for group in groups for shown in group.tickets]
    assert [len(group.tickets) for group in groups] == [4, 4, 4] and len(set(keys)) == 12


def test_the_last_group_takes_what_is_left():
    selections, tickets = played(**{f"t{number}_fail": "pass" for number in range(5)})
    groups = groups_of(
        PROMPTS, selections, tickets, SECTION.model_copy(update={"group_size": 4, "groups": 3}), "seed", lambda text: 1
    )
    assert [len(group.tickets) for group in groups] == [4, 1]


def test_the_seed_decides_which_errors_stand_together():
    selections, tickets = played(**{f"t{number}_fail": "pass" for number in range(12)})
    first, again, other = (
        groups_of(PROMPTS, selections, tickets, SECTION, seed, lambda text: 1) for seed in ("1", "1", "2")
    )
    assert first == again != other


def test_a_group_is_cut_to_its_token_budget_and_keeps_at_least_one_ticket():
    selections, tickets = played(**{f"t{number}_fail": "pass" for number in range(4)})
    (whole,) = groups_of(
        PROMPTS, selections, tickets, SECTION.model_copy(update={"prompt_tokens": 10_000}), "seed", len
    )
    two = len(ErrorGroup(whole.direction, whole.tickets[:2]).user(PROMPTS))
    for budget, kept in ((two, 2), (two - 1, 1), (1, 1)):
        (group,) = groups_of(
            PROMPTS, selections, tickets, SECTION.model_copy(update={"prompt_tokens": budget}), "seed", len
        )
        assert group.tickets == whole.tickets[:kept]


def test_a_case_shows_both_verdicts_and_the_summaries_cleaned_of_third_state_markers():
    of = ticket("QC-1", "fail", ("BBU设备/需复核备注:无法判断品牌×1", "电线/散乱×1"))
    user = ErrorGroup("false_release", [of]).user(PROMPTS)
    assert "案例1 人工:不通过 模型:通过\nimage_1: BBU设备/备注:无法判断品牌×1\nimage_2: 电线/散乱×1" in user
    assert "QC-1" not in user and "复核" not in user
    assert "案例1 人工:通过 模型:不通过" in ErrorGroup("false_block", [ticket("a")]).user(PROMPTS)


# -- what people wrote
def wrote(name: str, label: str = "fail", *reasons: str) -> StageA:
    return ticket(name, label, ("电线/散乱×1",), reasons=reasons)


def test_what_people_wrote_is_a_line_of_its_case_and_a_case_without_has_none():
    user = ErrorGroup("false_release", [wrote("a", "fail", "补拍地排端", "标签统一"), wrote("b")], 120).user(PROMPTS)
    assert user.endswith(
        "案例1 人工:不通过 模型:通过\n人工理由: 补拍地排端；标签统一\nimage_1: 电线/散乱×1\n"
        "案例2 人工:不通过 模型:通过\nimage_1: 电线/散乱×1"
    )


def test_no_reason_can_begin_a_case_or_bring_a_third_state_in():
    (line,) = re.findall(
        "人工理由.*", ErrorGroup("false_release", [wrote("a", "fail", "需复核备注:补拍  两端")], 120).user(PROMPTS)
    )
    assert line == "人工理由: 备注:补拍 两端"


@pytest.mark.parametrize(("chars", "shown"), [(6, "补拍；拍全两"), (5, "补拍；拍全…"), (1, "补…")])
def test_long_reasons_are_cut_and_the_cut_is_marked(chars, shown):
    user = ErrorGroup("false_release", [wrote("a", "fail", "补拍", "拍全两")], chars).user(PROMPTS)
    assert f"人工理由: {shown}\n" in user


def test_reasons_are_shown_with_tickets_that_people_failed_and_only_where_the_knob_says_so():
    selections, tickets = played(a_fail="pass", b_pass="fail")
    tickets = {key: one.model_copy(update={"fail_reasons": ["补拍"]}) for key, one in tickets.items()}
    shown = {
        group.direction: group.user(PROMPTS) for group in groups_of(PROMPTS, selections, tickets, SECTION, "s", len)
    }
    assert "人工理由: 补拍" in shown["false_release"] and "人工理由" not in shown["false_block"]
    off = groups_of(PROMPTS, selections, tickets, SECTION.model_copy(update={"show_reasons": False}), "s", len)
    without = groups_of(PROMPTS, *played(a_fail="pass", b_pass="fail"), SECTION, "s", len)
    assert [group.user(PROMPTS) for group in off] == [group.user(PROMPTS) for group in without]


def test_a_refused_answer_survives_its_file():
    read = read_answer(answer({"op": ["add"], "text": "\u2028"}), KEYS)
    fields = {name: [] for name in ("ticket_keys", "operations", "unexplainable", "applied", "cleaned_up")}
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
