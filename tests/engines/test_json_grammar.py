"""Answers held to JSON by llama.cpp's own grammar, on the embedded miniature."""

import json
import re
from random import Random

import numpy as np
import pytest

from miniature.teacher.reflection_data import reflection_case
from tests.support.llama import config
from verdicts.engines import Decode
from verdicts.engines.llama.engine import LlamaCppEngine
from verdicts.engines.llama.json_grammar import gbnf
from verdicts.engines.llama.runtime import Grammar
from verdicts.guidance.reflection import answer_schema, read_answer

SCHEMA = answer_schema(["G1", "G4"], 3, 20)
KEYS = ["a::fail", "b::fail", "c::fail"]
ANSWER = (
    '{"operations":[{"op":"add","text":"出现标签无法识别则不通过","rationale":"","evidence":[1,3]}],"unexplainable":[]}'
)


@pytest.fixture(scope="module")
def engine():
    engine = LlamaCppEngine(config(slots=8))
    yield engine
    engine.close()


def accepts(engine: LlamaCppEngine, schema: dict, text: str) -> bool:
    """Whether a grammar takes a whole text, token by token, and lets the turn end behind it."""
    grammar = Grammar(engine.model, gbnf(schema))
    try:
        return all(grammar.accept(token) for token in engine.model.plain_ids(text)) and grammar.allows(
            min(engine.model.eog)
        )
    finally:
        grammar.close()


@pytest.mark.parametrize(
    "text",
    [
        ANSWER,
        json.dumps(json.loads(ANSWER), ensure_ascii=False),
        '{"operations":[],"unexplainable":[1,2,3]}',
        '{"operations":[{"op":"delete","key":"G4","rationale":"说 \\"过\\"","evidence":[]}],"unexplainable":[]}',
        '{"operations":[{"op":"merge","keys":["G1","G4"],"text":"甲","rationale":"","evidence":[2]}],"unexplainable":[]}',
        '{"operations":[{"op":"update","key":"G1","text":"'
        + "长" * 40
        + '","rationale":"","evidence":[]}],"unexplainable":[]}',
    ],
)
def test_the_grammar_takes_every_answer_that_is_wanted(engine, text):
    assert accepts(engine, SCHEMA, text) and read_answer(text, KEYS).unreadable is None


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{ANSWER}\n```",
        json.dumps(json.loads(ANSWER), ensure_ascii=False, indent=2),
        f"好：{ANSWER}",
        f"{ANSWER}。",
        ANSWER[:-1],
        '{"operations":[{"op":"replace","text":"甲","rationale":"","evidence":[1]}],"unexplainable":[]}',
        '{"operations":[{"op":"delete","key":"G0","rationale":"","evidence":[1]}],"unexplainable":[]}',
        '{"operations":[{"op":"add","text":"甲","rationale":"","evidence":[4]}],"unexplainable":[]}',
        '{"operations":[{"op":"add","text":"甲\n乙","rationale":"","evidence":[1]}],"unexplainable":[]}',
        '{"operations":[{"op":"add","text":"甲\\n乙","rationale":"","evidence":[1]}],"unexplainable":[]}',
        '{"operations":[{"op":"add","text":"\\ud83d","rationale":"","evidence":[1]}],"unexplainable":[]}',
        '{"operations":[{"op":"add","text":"' + "长" * 41 + '","rationale":"","evidence":[]}],"unexplainable":[]}',
        '{"operations":[],"unexplainable":[],"comment":1}',
        '{"unexplainable":[],"operations":[]}',
    ],
)
def test_the_grammar_takes_nothing_else(engine, text):
    assert not accepts(engine, SCHEMA, text)


def test_without_learnable_rules_there_is_nothing_to_update_delete_or_merge():
    assert set(re.findall(r'\\"(add|update|delete|merge)\\"', gbnf(answer_schema([], 4, 80)))) == {"add"}
    assert set(re.findall(r'\\"(add|update|delete|merge)\\"', gbnf(answer_schema(["G2"], 4, 80)))) == {
        "add",
        "update",
        "delete",
    }


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer"}, ["0", "-7", "123456789"], ["01", "1.0", '"1"', ""]),
        ({"type": "string"}, ['""', '"甲乙😀"', '"\\\\\\""'], ["甲", '"a', '"\t"']),
        ({"enum": ['a"b', 3, None, True]}, ['"a\\"b"', "3", "null", "true"], ["false", "a"]),
        ({"type": "array", "items": {"type": "integer"}}, ["[]", "[1]", "[1, 2,3]"], ["[\n1]", "[1,]", "[,1]", "1"]),
        (
            {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3},
            ["[1,2]", "[1,2,3]"],
            ["[]", "[1]", "[1,2,3,4]"],
        ),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 1}, ["[]", "[1]"], ["[1,2]"]),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 0}, ["[]"], ["[1]"]),
        ({"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 1}]}, ["1", '"甲"'], ['"甲乙"', "[]"]),
    ],
)
def test_each_part_of_a_schema_holds(engine, schema, good, bad):
    assert [text for text in good if not accepts(engine, schema, text)] == []
    assert [text for text in bad if accepts(engine, schema, text)] == []


def test_a_schema_that_is_not_known_is_a_programming_error():
    for schema in (
        {"type": "number"},
        {"type": "object", "properties": {"a": {"type": "integer"}}, "required": []},
        {},
    ):
        with pytest.raises(ValueError):
            gbnf(schema)


def test_a_model_that_talks_nonsense_answers_in_json_all_the_same(engine):
    hot = [Decode(3.0, 1.0, 240, seed) for seed in range(4)]
    free = engine.complete("规则", ["写一个对象"] * 4, hot)
    held = engine.complete("规则", ["写一个对象"] * 4, hot, json_schema=SCHEMA)
    assert all(read_answer(answer.text, KEYS).unreadable for answer in free)
    whole = [answer for answer in held if answer.finish == "stop"]
    assert whole  # the others were still writing
    for answer in whole:
        json.loads(answer.text)
        assert read_answer(answer.text, KEYS).unreadable is None and read_answer(answer.text, KEYS).forgiven == {}
    assert all(answer.text.startswith("{") and "<|im" not in answer.text for answer in held)
    assert engine.complete("规则", ["写一个对象"] * 4, hot, json_schema=SCHEMA) == held


def test_where_the_free_answer_keeps_the_form_the_grammar_changes_no_byte_of_it(engine):
    rng = Random(5)
    for _ in range(3):
        sample, _, scene = reflection_case(rng)
        decodes = [Decode(0.7, 0.95, 384, seed) for seed in range(2)]
        free = engine.complete(sample.system, [sample.user] * 2, decodes)
        held = engine.complete(
            sample.system,
            [sample.user] * 2,
            decodes,
            json_schema=answer_schema([key for key in scene.guidance if key != "G0"], 8, 80),
        )
        assert [answer for answer in free if not read_answer(answer.text, ["k"] * 8).unreadable] and free == held


def test_a_mask_leaves_only_what_may_come_next_even_where_the_likeliest_may_not(engine):
    grammar = Grammar(engine.model, gbnf({"enum": ["甲"]}))
    row = np.zeros(engine.model.vocab_size, np.float32)
    mask = grammar.banned(row)
    allowed = {engine.model.pieces[token] for token in np.flatnonzero(~mask)}
    assert allowed and all(b'"\xe7\x94\xb2"'.startswith(piece) for piece in allowed)
    assert not any(grammar.accept(token) for token in engine.model.eog)
    grammar.close()


def test_a_faulty_grammar_is_no_crash(engine):
    with pytest.raises(ValueError):
        Grammar(engine.model, "root ::= (")
