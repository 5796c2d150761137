"""What a sequence does, as generators: feed tokens, see logits or a drawn token, go on, branch, or end.

A program yields ``Ask`` and is sent ``(logits row, drawn token or None)``; the row is valid until its next ``yield``.
It ends by returning a list of programs that continue from the same state (forks), or an empty list.
Programs know tokens and rules; ``schedule`` knows batches and cells.
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


@dataclass(frozen=True)
class Writer:
    """A candidate: its settings and its own stream of random numbers (PCG64), so that company never changes it."""

    decode: Decode
    random: np.random.Generator = field(compare=False)

    @classmethod
    def of(cls, decode: Decode) -> "Writer":
        return cls(decode, np.random.default_rng(decode.seed))


class Ask(NamedTuple):
    """Feed ``tokens``; if ``writer`` is given, draw the next token by its settings, never one that ``refused`` marks or ``grammar`` forbids."""

    tokens: Sequence[int]
    writer: Writer | None = None
    refused: np.ndarray | None = None
    grammar: "Grammar | None" = None

    def barring(self, token: int, row: np.ndarray) -> np.ndarray | None:
        """The mask under which to draw from ``row`` again, None where ``token`` may stand. Few tokens are refused, so the mask comes second."""
        if self.grammar is not None:
            return None if self.grammar.allows(token) else self.grammar.refused(row)
        return self.refused if self.refused is not None and self.refused[token] else None


Program = Generator[Ask, tuple[np.ndarray, int | None], "list[Program]"]


class Thinking(NamedTuple):
    """How a model thinks before it answers: ids that open and close it, and the most tokens in between."""

    opening: list[int]
    closing: list[int]
    max_new_tokens: int


@dataclass(frozen=True)
class Voice:
    """All that programs need to know of a model: its protocol tokens, its text, and its way of thinking (None: off)."""

    plan: TwoLine
    text: Callable[[Sequence[int]], str]
    pieces: Sequence[bytes]
    thinking: Thinking | None


def verdict_logprobs(plan: TwoLine, row: np.ndarray) -> dict[str, float | None]:
    """Log-probabilities of the two verdicts in the full distribution where they part."""
    logp = log_softmax(row)
    return {verdict: float(logp[token]) for verdict, token in plan.verdict.items()}


def judge(voice: Voice, prompt: Sequence[int], put: Callable[[dict[str, float | None]], None]) -> Program:
    """Look at the verdicts' probabilities and stop."""
    row, _ = yield Ask([*prompt, *voice.plan.header])
    put(verdict_logprobs(voice.plan, row))
    return []


def shared_verdict(
    voice: Voice,
    prompt: Sequence[int],
    writers: Sequence[Writer],
    per_verdict: bool,
    put: Callable[[int, Completion], None],
) -> Program:
    """Draw each candidate's verdict from the one distribution that all share, then write reasons.

    ``per_verdict``: the first candidate of each verdict writes for all of that verdict; else each writes its own.
    """
    row, _ = yield Ask([*prompt, *voice.plan.header])
    logprob = verdict_logprobs(voice.plan, row)
    drawn = [_verdict(writer, logprob) for writer in writers]
    groups = (
        [[i for i, verdict in enumerate(drawn) if verdict == one] for one in dict.fromkeys(drawn)]
        if per_verdict
        else [[i] for i in range(len(drawn))]
    )
    return [_reason(voice, drawn[group[0]], writers[group[0]], logprob, _to_all(group, put)) for group in groups]


def _verdict(writer: Writer, logprob: dict[str, float | None]) -> str:
    share = two_way(logprob["pass"], logprob["fail"], writer.decode.temperature, writer.decode.top_p)
    return "pass" if writer.random.random() < share else "fail"


def _to_all(group: Sequence[int], put: Callable[[int, Completion], None]) -> Callable[[Completion], None]:
    return lambda completion: [put(i, completion) for i in group][0]


def _reason(
    voice: Voice, verdict: str, writer: Writer, logprob: dict[str, float | None], put: Callable[[Completion], None]
) -> Program:
    plan = voice.plan
    given = [plan.verdict[verdict], *plan.rest[verdict]]
    room = writer.decode.max_new_tokens - plan.longest
    tokens, written, so_far, finish = given, [], b"", LENGTH
    while len(written) < room:
        _, token = yield Ask(tokens, writer, plan.mask(written, so_far))
        if token in plan.eog:
            finish = STOP
            break
        written.append(token)
        so_far += voice.pieces[token]
        tokens = [token]
    put(Completion(voice.text([*plan.header, *given, *written]), logprob, finish))
    return []


def apart(
    voice: Voice,
    prompt: Sequence[int],
    writers: Sequence[Writer],
    grammar: bool,
    put: Callable[[int, Completion], None],
) -> Program:
    """Share the prompt only: each candidate thinks (if it does) and answers by itself, by the grammar or freely."""
    yield Ask(prompt[:-1])
    branch = _own_verdict if grammar else free
    return [branch(voice, prompt[-1:], writer, _to_all([i], put)) for i, writer in enumerate(writers)]


def _own_verdict(voice: Voice, prompt: Sequence[int], writer: Writer, put: Callable[[Completion], None]) -> Program:
    tokens = (yield from _think(voice, prompt, writer)) if voice.thinking else list(prompt)
    row, _ = yield Ask([*tokens, *voice.plan.header])
    logprob = verdict_logprobs(voice.plan, row)
    return (yield from _reason(voice, _verdict(writer, logprob), writer, logprob, put))


def free(voice: Voice, prompt: Sequence[int], writer: Writer, put: Callable[[Completion], None]) -> Program:
    """Write freely up to the end of turn. Verdict log-probabilities are kept if the answer begins as the protocol does."""
    tokens = (yield from _think(voice, prompt, writer)) if voice.thinking else list(prompt)
    written: list[int] = []
    logprob, finish = NO_VERDICT, LENGTH
    while len(written) < writer.decode.max_new_tokens:
        row, token = yield Ask(tokens, writer)
        if written == voice.plan.header:
            logprob = verdict_logprobs(voice.plan, row)
        if token in voice.plan.eog:
            finish = STOP
            break
        written.append(token)
        tokens = [token]
    put(Completion(voice.text(written), logprob, finish))
    return []


def by_grammar(
    voice: Voice,
    prompt: Sequence[int],
    writer: Writer,
    opened: "Callable[[], Grammar]",
    put: Callable[[Completion], None],
) -> Program:
    """Write what a grammar allows, up to the end of turn, which it allows where the text is whole."""
    tokens = (yield from _think(voice, prompt, writer)) if voice.thinking else list(prompt)
    written: list[int] = []
    finish = LENGTH
    grammar = opened()
    try:
        while len(written) < writer.decode.max_new_tokens:
            _, token = yield Ask(tokens, writer, grammar=grammar)
            if token in voice.plan.eog:
                finish = STOP
                break
            if not grammar.accept(token):  # a vocabulary that has no token for what has to come: the text stays cut
                break
            written.append(token)
            tokens = [token]
    finally:
        grammar.close()
    put(Completion(voice.text(written), NO_VERDICT, finish))
    return []


def _think(
    voice: Voice, prompt: Sequence[int], writer: Writer
) -> Generator[Ask, tuple[np.ndarray, int | None], list[int]]:
    """Think up to the closing token, the end of turn or the limit; returns the tokens to feed before the answer."""
    thinking = voice.thinking
    tokens = [*prompt, *thinking.opening]
    for _ in range(thinking.max_new_tokens):
        _, token = yield Ask(tokens, writer)
        if token == thinking.closing[0] or token in voice.plan.eog:
            return thinking.closing
        tokens = [token]
    return [*tokens, *thinking.closing]
