"""Sequences with KV cells of their own: the answers of shared cells, whoever moves, waits or is filled up."""

import math

import numpy as np
import pytest

from tests.support.llama import DECODES, SYSTEM, USERS, config
from verdicts.config.engine import Thinking
from verdicts.engines import OVER_LENGTH, Decode
from verdicts.engines.llama.engine import LlamaCppEngine
from verdicts.engines.llama.runtime import Context
from verdicts.engines.llama.streams import cells_of_stream, of_like_length
from verdicts.stage_b.protocol import parse

LONG = Decode(0.0, 1.0, 48, 1)
THINKING = Thinking(enabled=True, max_new_tokens=8)


@pytest.fixture
def open_engine():
    """Open engines with streams that are closed at the end of the test."""
    engines = []

    def opener(**changes) -> LlamaCppEngine:
        engines.append(LlamaCppEngine(config(**{"kv": "streams"} | changes)))
        return engines[-1]

    yield opener
    for engine in engines:
        engine.close()


@pytest.fixture(scope="module")
def engine():
    engine = LlamaCppEngine(config(kv="streams"))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def whole(engine):
    """All tickets answered in one go."""
    return list(engine.rollout(SYSTEM, USERS, DECODES))


def test_streams_are_a_multiple_of_256_cells():
    assert [cells_of_stream(tokens) for tokens in (1, 256, 257, 700)] == [256, 256, 512, 768]


def test_tickets_of_like_length_run_together_the_longest_first():
    assert of_like_length({"a": 800, "b": 1000, "c": 740, "d": 750, "e": 555}) == [["b", "a", "d"], ["c", "e"]]
    assert of_like_length({}) == []


def test_verdict_probabilities_are_those_of_shared_cells(engine):
    shared = LlamaCppEngine(config())
    pairs = zip(engine.judge(SYSTEM, USERS), shared.judge(SYSTEM, USERS), strict=True)
    apart = [abs(math.exp(one["fail"]) - math.exp(other["fail"])) for one, other in pairs]
    shared.close()
    assert max(apart) < 0.02  # rows that are computed together round together, and weights are 8-bit
    assert np.mean(apart) < 0.003


def test_greedy_answers_are_those_of_shared_cells(engine):
    decodes = [[LONG]] * len(USERS)
    shared = LlamaCppEngine(config())
    expected = [answer.text for (answer,) in shared.rollout(SYSTEM, USERS, decodes)]
    shared.close()
    given = [answer.text for (answer,) in engine.rollout(SYSTEM, USERS, decodes)]
    assert sum(one == other for one, other in zip(given, expected, strict=True)) >= 36


def test_a_rollout_resumed_at_any_chunk_border_gives_the_same_text_and_the_same_floats(open_engine, whole):
    fresh = open_engine()
    for border in range(8, 40, 8):
        assert list(fresh.rollout(SYSTEM, USERS[border:], DECODES[border:])) == whole[border:]


def test_the_number_of_contexts_changes_no_bit(open_engine, whole):
    assert list(open_engine(n_threads=3).rollout(SYSTEM, USERS, DECODES)) == whole


def test_what_ran_before_changes_no_bit(engine, whole):
    engine.judge("须见挡风板。" * 100, USERS[:5])
    engine.complete(SYSTEM, USERS[:3], [Decode(1.0, 1.0, 20, i) for i in range(3)])
    stopped = engine.rollout(SYSTEM, USERS, DECODES)
    next(stopped)
    stopped.close()
    assert list(engine.rollout(SYSTEM, USERS[:16], DECODES[:16])) == whole[:16]


def test_every_answer_keeps_the_two_line_protocol(whole):
    answers = [answer for answers in whole for answer in answers if answer.finish == "stop"]
    assert len(answers) > 150
    assert [answer.text for answer in answers if parse(answer.text).why] == []


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_candidates_that_wait_for_a_stream_say_what_they_say_with_streams_enough(open_engine, slots):
    asked = SYSTEM, USERS[:8], DECODES[:8]
    wide = list(open_engine(slots=32, reasons="all").rollout(*asked))
    narrow = list(open_engine(slots=slots, reasons="all").rollout(*asked))
    texts = [[answer.text for answer in answers] for answers in narrow]
    same = [text == answer.text for i, j in enumerate(wide) for text, answer in zip(texts[i], j, strict=True)]
    assert len(same) == 32
    assert sum(same) >= 26  # a text may part where two tokens are about as likely
    assert max(len(set(of_ticket)) for of_ticket in texts) > 2


def test_more_candidates_than_streams_are_answered(open_engine):
    (answers,) = open_engine(slots=2, reasons="all").rollout(
        SYSTEM, USERS[:1], [[Decode(1.0, 1.0, 24, k) for k in range(80)]]
    )
    assert {answer.finish for answer in answers} <= {"stop", "length"}
    assert len({answer.text for answer in answers}) > 5


def test_candidates_that_think_each_for_themselves_fork_from_the_prompt(open_engine):
    engine = open_engine(slots=3, reasons="all", thinking=THINKING)
    answers = [answer for answers in engine.rollout(SYSTEM, USERS[:4], DECODES[:4]) for answer in answers]
    assert len(answers) == 16
    assert [answer.text for answer in answers if answer.finish == "stop" and parse(answer.text).why] == []


def test_a_ticket_far_longer_than_the_others_gets_longer_streams_and_one_beyond_the_context_none(open_engine):
    engine = open_engine(context_tokens=2048)
    photos = "image_1: 标签/5G-BBU-接地线×1，螺丝、光纤插头/机柜处接地螺丝,符合要求×1，" * 30
    long, beyond = engine.rollout(SYSTEM, [photos, photos * 3], [[LONG], [LONG]])
    assert long[0].finish in {"stop", "length"}
    assert beyond[0].finish == OVER_LENGTH
    first, second, third = engine.rollout(SYSTEM, [USERS[0], photos, USERS[1]], [[LONG]] * 3)
    alone = list(engine.rollout(SYSTEM, [USERS[0], USERS[1]], [[LONG]] * 2))
    assert [first, third] == alone
    assert second == long


def test_where_cells_are_few_fewer_streams_run_at_a_time(open_engine):
    opened = []
    engine = open_engine(context_tokens=1600, slots=16)
    resize = Context.resize
    for context in engine._open:
        context.resize = lambda *size, context=context: (opened.append(size), resize(context, *size))
    engine.judge(SYSTEM, USERS[:16])
    assert {cells // sequences for cells, sequences in opened} <= {256, 512, 768}
    assert all(cells <= 1600 for cells, _ in opened)


def test_cells_of_8_bits_say_nearly_the_same(open_engine, engine):
    pairs = zip(open_engine(kv_type="q8_0").judge(SYSTEM, USERS), engine.judge(SYSTEM, USERS), strict=True)
    apart = [abs(math.exp(one["fail"]) - math.exp(other["fail"])) for one, other in pairs]
    assert 0 < max(apart) < 0.2
    assert np.mean(apart) < 0.02
