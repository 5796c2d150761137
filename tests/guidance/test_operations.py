"""The operations on guidance: a class each, and what each needs of its record."""

from typing import get_args

import pytest

from tests.support.builders import guidance
from verdicts.guidance.operations import FIELDS, OPERATIONS, of_record
from verdicts.guidance.reflection import answer_schema
from verdicts.records.reflection import Operation, OperationName

ONE, TWO = "出现标签无法识别则不通过", "缺少地线标签则不通过"


def record(op: str, **fields: object) -> Operation:
    return Operation.model_validate({"op": op, "evidence": ["a::fail"], **fields})


def test_every_word_that_a_record_may_hold_has_its_class():
    assert tuple(OPERATIONS) == get_args(OperationName)
    assert {kind.name: name for name, kind in OPERATIONS.items()} == {name: name for name in OPERATIONS}


def test_every_field_of_an_operation_is_one_of_its_record():
    assert Operation.model_fields.keys() >= FIELDS


@pytest.mark.parametrize("rules", [0, 1, 2])
def test_a_model_is_offered_the_operations_that_the_rules_in_force_allow(rules):
    keys = [f"G{number}" for number in range(1, rules + 1)]
    kinds = answer_schema(keys, 2, 40)["properties"]["operations"]["items"]["anyOf"]
    offered = [kind["properties"]["op"]["enum"][0] for kind in kinds]
    assert offered == {0: ["add"], 1: ["add", "update", "delete"], 2: list(OPERATIONS)}[rules]
    for kind, name in zip(kinds, offered, strict=True):
        assert kind["properties"].keys() == {"op", "rationale", "evidence"} | OPERATIONS[name].fields


@pytest.mark.parametrize(
    ("operation", "keys", "text"),
    [
        (record("add", text=TWO), [], TWO),
        (record("update", key="G1", text=TWO), ["G1"], TWO),
        (record("delete", key="G1"), ["G1"], ""),
        (record("merge", keys=["G1", "G2"], text=TWO), ["G1", "G2"], TWO),
        (record("add", key="G1", text=TWO), [], TWO),
        (record("delete", key="G1", text=TWO), ["G1"], ""),
    ],
)
def test_an_operation_touches_the_rules_of_its_own_fields_and_no_others(operation, keys, text):
    assert (list(of_record(operation).keys), of_record(operation).text) == (keys, text)


@pytest.mark.parametrize(
    ("operation", "after"),
    [
        (record("add", text="新规则"), {"G1": ONE, "G2": TWO, "G3": "新规则"}),
        (record("update", key="G1", text="新规则"), {"G1": "新规则", "G2": TWO}),
        (record("delete", key="G1"), {"G2": TWO}),
        (record("merge", keys=["G1", "G2"], text="新规则"), {"G3": "新规则"}),
    ],
)
def test_each_is_one_step_and_leaves_a_guidance_that_its_file_takes(operation, after):
    before = guidance(G1=ONE, G2=TWO)
    changed, key = of_record(operation).apply(before, "r0001-01", 1)
    assert changed.step == before.step + 1
    assert {name: text for name, text in changed.experiences.items() if name != "G0"} == after
    assert key == (None if operation.op == "delete" else changed.last_applied_rule_keys[0])
