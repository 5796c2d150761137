"""What a sequence does, as generators: feed tokens, see logits or a sampled token, go on, branch, or end.

A program yields ``Feed`` and is sent ``(logits row, sampled token)``; the row is a view, valid until its next yield. It
ends by returning the programs that continue from the same state (forks), or an empty list. Programs know tokens and
rules; ``schedule`` knows batches and KV cells.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from verdicts.engines import LENGTH, NO_VERDICT, STOP, Completion, Decode
from verdicts.engines.llama.two_line import TwoLine
from verdicts.engines.sampling import log_softmax, two_way

if TYPE_CHECKING:
    from verdicts.engines.llama.runtime import Grammar

NO_TOKEN = -1  # sent to a program that did not ask for a token


@dataclass(frozen=True)
class Sampler:
    """A candidate's sampling settings and its own stream of random numbers (PCG64).

    No other candidate takes numbers from it, so a text does not depend on who is decoded together with it.
    """

    decode: Decode
    random: np.random.Generator = field(compare=False)

    @classmethod
    def of(cls, decode: Decode) -> "Sampler":
        """A sampler at the beginning of the stream that the seed names."""
        return cls(decode, np.random.default_rng(decode.seed))


class Feed(NamedTuple):
    """Feed ``tokens``; with a ``sampler``, sample the next one: none that ``banned`` marks or ``grammar`` forbids."""

    tokens: list[int]
    sampler: Sampler | None = None
    banned: np.ndarray | None = None
    grammar: "Grammar | None" = None

    def redraw_mask(self, token: int, row: np.ndarray) -> np.ndarray | None:
        """None where ``token`` is allowed; else the mask (True is banned) under which to sample from ``row`` again.

        Almost every sampled token is allowed. To sample first and mask only after a banned token costs far less than to
        mask each row, and leaves the odds between the allowed tokens as they are.
        """
        if self.grammar is not None:
            return None if self.grammar.allows(token) else self.grammar.banned(row)
        return self.banned if self.banned is not None and self.banned[token] else None


Program = Generator[Feed, tuple[np.ndarray, int], "list[Program]"]


class ThinkingTokens(NamedTuple):
    """How a model thinks before it answers: ids that open and close it, and the most tokens in between."""

    opening: list[int]
    closing: list[int]
    max_new_tokens: int


@dataclass(frozen=True)
class Vocabulary:
    """What programs need to know of a model: the protocol in its tokens, and how it thinks (None: not at all).

    ``pieces``: the bytes of each token.
    """

    protocol: TwoLine
    detokenize: Callable[[Sequence[int]], str]
    pieces: Sequence[bytes]
    thinking: ThinkingTokens | None


# A callback that takes one answer; with an index where a program answers for several candidates.
OnAnswer = Callable[[Completion], None]
OnCandidate = Callable[[int, Completion], None]


def verdict_logprobs(protocol: TwoLine, row: np.ndarray) -> dict[str, float]:
    """Log-probabilities of the two verdicts in the full distribution where they part."""
    logp = log_softmax(row)
    return {verdict: float(logp[token]) for verdict, token in protocol.verdict.items()}


def score_verdicts(
    vocabulary: Vocabulary, prompt: list[int], on_answer: Callable[[dict[str, float | None]], None]
) -> Program:
    """Look at the verdicts' probabilities and stop."""
    row, _ = yield Feed([*prompt, *vocabulary.protocol.header])
    on_answer({**verdict_logprobs(vocabulary.protocol, row)})
    return []


def shared_verdict(
    vocabulary: Vocabulary,
    prompt: list[int],
    samplers: Sequence[Sampler],
    per_verdict: bool,
    on_candidate: OnCandidate,
) -> Program:
    """Draw each candidate's verdict from the one distribution that all share, then write reasons.

    ``per_verdict``: the first candidate of each verdict writes for all of that verdict; else each writes its own.
    """
    # Header and prompt are the same for all candidates: one decode gives the distribution of all their verdicts.
    row, _ = yield Feed([*prompt, *vocabulary.protocol.header])
    logprob = verdict_logprobs(vocabulary.protocol, row)
    drawn = [_draw_verdict(sampler, logprob) for sampler in samplers]
    if per_verdict:
        groups = [[i for i, verdict in enumerate(drawn) if verdict == one] for one in dict.fromkeys(drawn)]
    else:
        groups = [[i] for i in range(len(drawn))]
    return [
        _reason(vocabulary, drawn[group[0]], samplers[group[0]], logprob, _for_all(group, on_candidate))
        for group in groups
    ]


def _draw_verdict(sampler: Sampler, logprob: dict[str, float]) -> str:
    share = two_way(logprob["pass"], logprob["fail"], sampler.decode.temperature, sampler.decode.top_p)
    return "pass" if sampler.random.random() < share else "fail"


def _for_all(group: Sequence[int], on_candidate: OnCandidate) -> OnAnswer:
    """A callback that gives one answer to every candidate of a group."""

    def on_answer(completion: Completion) -> None:
        for i in group:
            on_candidate(i, completion)

    return on_answer


def _reason(
    vocabulary: Vocabulary, verdict: str, sampler: Sampler, logprob: dict[str, float], on_answer: OnAnswer
) -> Program:
    protocol = vocabulary.protocol
    forced = [protocol.verdict[verdict], *protocol.rest[verdict]]
    # The longer verdict is taken off for both, so that a limit cuts reasons alike whatever the verdict.
    room = sampler.decode.max_new_tokens - protocol.longest
    tokens, finish = forced, LENGTH
    written: list[int] = []
    so_far = b""
    while len(written) < room:
        _, token = yield Feed(tokens, sampler, protocol.mask(written, so_far))
        if token in protocol.eog:
            finish = STOP
            break
        written.append(token)
        so_far += vocabulary.pieces[token]
        tokens = [token]
    on_answer(Completion(vocabulary.detokenize([*protocol.header, *forced, *written]), {**logprob}, finish))
    return []


def independent(
    vocabulary: Vocabulary,
    prompt: list[int],
    samplers: Sequence[Sampler],
    grammar: bool,
    on_candidate: OnCandidate,
) -> Program:
    """Share the prompt only: each candidate thinks (if it does) and answers by itself, by the grammar or freely."""
    # Not the prompt's last token: each branch feeds that one itself, for the logits that its first token comes from.
    yield Feed(prompt[:-1])
    branch = _own_verdict if grammar else free_text
    return [branch(vocabulary, prompt[-1:], sampler, _for_all([i], on_candidate)) for i, sampler in enumerate(samplers)]


def _own_verdict(vocabulary: Vocabulary, prompt: list[int], sampler: Sampler, on_answer: OnAnswer) -> Program:
    tokens = yield from _before_answer(vocabulary, prompt, sampler)
    row, _ = yield Feed([*tokens, *vocabulary.protocol.header])
    logprob = verdict_logprobs(vocabulary.protocol, row)
    return (yield from _reason(vocabulary, _draw_verdict(sampler, logprob), sampler, logprob, on_answer))


def free_text(vocabulary: Vocabulary, prompt: list[int], sampler: Sampler, on_answer: OnAnswer) -> Program:
    """Write freely up to the end of turn. Verdict log-probabilities are kept if it begins as the protocol does."""
    protocol = vocabulary.protocol
    tokens = yield from _before_answer(vocabulary, prompt, sampler)
    written: list[int] = []
    logprob, finish = NO_VERDICT, LENGTH
    while len(written) < sampler.decode.max_new_tokens:
        row, token = yield Feed(tokens, sampler)
        if written == protocol.header:
            logprob = {**verdict_logprobs(protocol, row)}
        if token in protocol.eog:
            finish = STOP
            break
        written.append(token)
        tokens = [token]
    on_answer(Completion(vocabulary.detokenize(written), logprob, finish))
    return []


def grammar_text(
    vocabulary: Vocabulary,
    prompt: list[int],
    sampler: Sampler,
    open_grammar: "Callable[[], Grammar]",
    on_answer: OnAnswer,
) -> Program:
    """Write what a grammar allows, up to the end of turn, which it allows where the text is whole."""
    tokens = yield from _before_answer(vocabulary, prompt, sampler)
    written: list[int] = []
    finish = LENGTH
    grammar = open_grammar()  # after the thinking, which no grammar holds
    try:
        while len(written) < sampler.decode.max_new_tokens:
            _, token = yield Feed(tokens, sampler, grammar=grammar)
            if token in vocabulary.protocol.eog:
                finish = STOP
                break
            if not grammar.accept(token):  # a vocabulary that has no token for what has to come: the text stays cut
                break
            written.append(token)
            tokens = [token]
    finally:
        grammar.close()
    on_answer(Completion(vocabulary.detokenize(written), NO_VERDICT, finish))
    return []


def _before_answer(
    vocabulary: Vocabulary, prompt: list[int], sampler: Sampler
) -> Generator[Feed, tuple[np.ndarray, int], list[int]]:
    """Think, where the model does: up to the closing token, the end of turn or the limit.

    Returns the tokens to feed before the answer.
    """
    thinking = vocabulary.thinking
    if thinking is None:
        return list(prompt)
    tokens = [*prompt, *thinking.opening]
    for _ in range(thinking.max_new_tokens):
        _, token = yield Feed(tokens, sampler)
        # The closing token was sampled, not fed: it goes in front of the answer with the line end that follows it.
        if token == thinking.closing[0] or token in vocabulary.protocol.eog:
            return thinking.closing
        tokens = [token]
    return [*tokens, *thinking.closing]
