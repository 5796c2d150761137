"""Drawing tokens: the vectorised sampler against a plain one, and the tokens of the two-line protocol."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from verdicts.base.errors import UserError
from verdicts.engines import Decode
from verdicts.engines.llama.sequences import (
    NO_TOKEN,
    Feed,
    Sampler,
    ThinkingTokens,
    Vocabulary,
    free_text,
    independent,
    shared_verdict,
)
from verdicts.engines.llama.two_line import TwoLine
from verdicts.engines.sampling import TOP_K, draw_small, draw_tokens, log_softmax, most_likely, two_way


def plain_draw(row: np.ndarray, temperature: float, top_p: float, uniform: float) -> int:
    """Nucleus sampling as the paper writes it, one token at a time."""
    if temperature == 0:
        return max(range(len(row)), key=lambda i: (row[i], -i))
    scaled = [float(value) / temperature for value in row]
    top = max(scaled)
    weights = sorted(((math.exp(value - top), -i) for i, value in enumerate(scaled)), reverse=True)
    total, reach, nucleus = sum(weight for weight, _ in weights), 0.0, []
    for weight, negative in weights:
        nucleus.append((weight, -negative))
        reach += weight
        if reach >= top_p * total:
            break
    mark, walked = uniform * reach, 0.0
    for weight, token in nucleus:
        walked += weight
        if walked > mark:
            return token
    return nucleus[-1][1]


@pytest.mark.parametrize("temperature,top_p", [(0.0, 1.0), (0.2, 0.9), (0.7, 0.95), (1.0, 1.0), (1.0, 0.5), (2.5, 1.0)])
@pytest.mark.parametrize("spread", [0.1, 3.0, 12.0])
def test_draws_equal_those_of_a_plain_sampler(temperature, top_p, spread):
    rng = np.random.default_rng(7)
    logits = (rng.standard_normal((200, 300)) * spread).astype(np.float32)
    uniform = rng.random(200)
    expected = [plain_draw(row, temperature, top_p, u) for row, u in zip(logits, uniform, strict=True)]
    drawn = draw_tokens(logits, range(200), np.full(200, temperature, np.float32), np.full(200, top_p), uniform)
    same = np.mean(drawn == expected)
    # a number that falls on a border between tokens may go either way
    assert same == 1 if temperature == 0 else same > 0.98


def test_a_row_is_drawn_alike_in_any_company():
    rng = np.random.default_rng(1)
    logits = (rng.standard_normal((64, 2048)) * 4).astype(np.float32)
    temperature, top_p, uniform = rng.uniform(0, 2, 64).astype(np.float32), rng.uniform(0.5, 1, 64), rng.random(64)
    together = draw_tokens(logits, range(64), temperature, top_p, uniform)
    alone = [
        draw_tokens(logits, [i], temperature[i : i + 1], top_p[i : i + 1], uniform[i : i + 1])[0] for i in range(64)
    ]
    assert list(together) == alone


def test_of_a_large_vocabulary_only_the_most_likely_tokens_are_drawn_with_or_without_threads():
    rng = np.random.default_rng(2)
    logits = rng.standard_normal((6, 40_000)).astype(np.float32)
    settings = np.full(6, 1.0, np.float32), np.full(6, 1.0), rng.random(6)
    drawn = draw_tokens(logits, range(6), *settings)
    with ThreadPoolExecutor(3) as pool:
        assert list(draw_tokens(logits, range(6), *settings, pool)) == list(drawn)
    for row, token, uniform in zip(logits, drawn, settings[2], strict=True):
        best = np.sort(np.argsort(-row, kind="stable")[:TOP_K])
        assert token == best[draw_small(row[best], 1.0, 1.0, uniform)]


@pytest.mark.parametrize("length", [100, 256, 1000, 33_000, 151_936])
def test_the_most_likely_tokens_are_found_by_blocks_as_by_sorting(length):
    row = np.random.default_rng(length).standard_normal(length).astype(np.float32)
    assert list(most_likely(row, TOP_K)) == sorted(np.argsort(-row)[:TOP_K])


def test_log_softmax_is_a_distribution_in_float64():
    logp = log_softmax(np.array([1000.0, 999.0, -1000.0], np.float32))
    assert logp.dtype == np.float64
    assert np.exp(logp).sum() == pytest.approx(1)
    assert logp[0] - logp[1] == pytest.approx(1)


@pytest.mark.parametrize(
    "first,second,temperature,top_p,share",
    [
        (0.6, 0.2, 1.0, 1.0, 0.75),
        (0.6, 0.2, 0.5, 1.0, 0.9),
        (0.6, 0.2, 1.0, 0.7, 1.0),
        (0.2, 0.6, 1.0, 0.7, 0.0),
        (0.6, 0.2, 0.0, 1.0, 1.0),
        (0.3, 0.3, 0.0, 1.0, 0.0),
        (0.3, 0.3, 1.0, 0.9, 0.5),
        (1.0, 1e-300, 0.1, 1.0, 1.0),
    ],
)
def test_a_verdict_is_drawn_from_the_two_renormalised_and_sharpened(first, second, temperature, top_p, share):
    assert two_way(math.log(first), math.log(second), temperature, top_p) == pytest.approx(share)


# A vocabulary of nine: a word each. Ids 7 and 8 are control tokens, 8 ends the turn.
PIECES = [b"Verdict: ", "通过".encode(), "不通过".encode(), b"\nReason:", b" a", b"b", b"\n", b"", b""]
BARRED = np.array([False] * 7 + [True, True])
END = 8


def word_ids(text: str) -> list[int]:
    """Greedy longest match in PIECES."""
    raw, ids = text.encode(), []
    while raw:
        token = max(
            (i for i, piece in enumerate(PIECES) if piece and raw.startswith(piece)), key=lambda i: len(PIECES[i])
        )
        ids.append(token)
        raw = raw[len(PIECES[token]) :]
    return ids


def vocabulary(thinking: ThinkingTokens | None = None) -> Vocabulary:
    protocol = TwoLine(word_ids, PIECES, BARRED, frozenset({END}))
    return Vocabulary(protocol, lambda ids: b"".join(PIECES[i] for i in ids).decode(), PIECES, thinking)


def run(program, rows):
    """Run a program and its branches by hand on endless ``rows`` of preferred tokens; returns what was fed."""
    fed, waiting = [], [program]
    while waiting:
        program = waiting.pop(0)
        feed = next(program)
        try:
            while True:
                fed.append(list(feed.tokens))
                feed = program.send(reply(feed, next(rows)))
        except StopIteration as end:
            waiting += end.value
    return fed


def reply(feed: Feed, preferred: list[int]):
    """A row in which ``preferred`` tokens come first, and the first of them that is not banned."""
    row = np.zeros(len(PIECES), np.float32)
    row[preferred] = np.arange(20, 20 - len(preferred), -1)
    allowed = np.where(feed.banned, -np.inf, row) if feed.banned is not None else row
    return row, int(allowed.argmax()) if feed.sampler else NO_TOKEN


def samplers(*temperatures: float, most: int = 12) -> list[Sampler]:
    return [Sampler.of(Decode(temperature, 1.0, most, seed)) for seed, temperature in enumerate(temperatures)]


def test_the_plan_forces_the_header_and_lets_the_reasons_first_token_bring_the_blank():
    protocol = vocabulary().protocol
    assert (protocol.header, protocol.verdict) == ([0], {"pass": 1, "fail": 2})
    # " a" is the only token with a blank: no choice, so it is given
    assert protocol.rest == {"pass": [3, 4], "fail": [3, 4]}
    assert list(np.flatnonzero(~protocol.running)) == [0, 1, 2, 4, 5, END]


def test_a_reason_is_never_empty_never_broken_and_holds_no_control_token():
    answers = {}
    run(
        shared_verdict(vocabulary(), [5], samplers(0.0), True, answers.__setitem__),
        iter([[1, 2]] + [[END, 7, 6, 3, 5]] + [[7, 6, 3, END]] * 3),
    )
    assert answers[0].text == "Verdict: 通过\nReason: ab"
    assert answers[0].finish == "stop"


def test_an_answer_without_end_is_cut_at_its_limit():
    answers = {}
    run(
        shared_verdict(vocabulary(), [5], samplers(0.0, most=8), True, answers.__setitem__), iter([[2, 1]] + [[5]] * 20)
    )
    assert (answers[0].text, answers[0].finish) == ("Verdict: 不通过\nReason: abbbb", "length")


def test_one_reason_is_written_for_each_verdict_and_shared():
    answers, hot = {}, samplers(*[9.0] * 8)
    fed = run(shared_verdict(vocabulary(), [5], hot, True, answers.__setitem__), iter([[1, 2]] + [[5], [END]] * 2))
    assert len(answers) == 8
    assert len({answer.text for answer in answers.values()}) == 2
    assert len([tokens for tokens in fed if tokens[0] in (1, 2)]) == 2


def test_free_text_keeps_probabilities_only_if_it_begins_as_the_protocol_does():
    answers = {}
    run(independent(vocabulary(), [5, 5], samplers(0.0), False, answers.__setitem__), iter([[5], [0], [1], [END]]))
    assert answers[0].text == "Verdict: 通过"
    assert answers[0].verdict_logprob["pass"] > answers[0].verdict_logprob["fail"]
    run(independent(vocabulary(), [5, 5], samplers(0.0), False, answers.__setitem__), iter([[5], [5], [6], [END]]))
    assert (answers[0].text, answers[0].verdict_logprob) == ("b\n", {"pass": None, "fail": None})


@pytest.mark.parametrize("thought,fed", [([[5], [7]], [7, 6, 0]), ([[5], [END]], [7, 6, 0]), ([[5]] * 3, [5, 7, 6, 0])])
def test_thinking_ends_at_its_closing_token_the_end_of_turn_or_its_limit_and_is_not_in_the_text(thought, fed):
    answers, thinking = {}, ThinkingTokens(opening=[5], closing=[7, 6], max_new_tokens=3)
    seen = run(
        independent(vocabulary(thinking), [5, 5], samplers(0.0), True, answers.__setitem__),
        iter([[5], *thought, [2, 1], [5], [END]]),
    )
    assert fed in seen
    assert answers[0].text == "Verdict: 不通过\nReason: ab"


def test_thinking_goes_before_free_text_too():
    written = []
    run(
        free_text(vocabulary(ThinkingTokens([], [7, 6], 3)), [5], samplers(0.0)[0], written.append),
        iter([[5], [7], [5], [END]]),
    )
    assert [completion.text for completion in written] == ["b"]


def test_a_vocabulary_that_cannot_tell_the_verdicts_apart_is_refused():
    with pytest.raises(UserError, match="does not tell 通过 from 不通过"):
        TwoLine(lambda text: [0, 1], PIECES, BARRED, frozenset({END}))
