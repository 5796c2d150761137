"""The default engine: a GGUF file in this process, decoded in batches on llama.cpp's low-level API.

The system message (prompt, guidance) is decoded once a call, a ticket once, and its candidates fork from there by
sharing cells. A small model on the CPU runs as one single-threaded context a core (they never wait for each other,
which is what makes threads slow on a busy machine); a large one, or one on a GPU, as one context.

Same machine, same build, same chunk: same bytes. Chunks start from one state (the prefix in the first cells, all else
free), so neither resuming nor the number of contexts changes a bit of any answer.
"""

import queue
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from verdicts.base.errors import mistake
from verdicts.base.progress import add_tokens
from verdicts.engines import NO_VERDICT, OVER_LENGTH, Completion, Decode, check_calls, chunks
from verdicts.engines.llama import sequences as programs
from verdicts.engines.llama.json_grammar import gbnf
from verdicts.engines.llama.runtime import MAX_SEQUENCES, Context, Grammar, Model, Span
from verdicts.engines.llama.schedule import Job, Scheduler
from verdicts.engines.llama.two_line import TwoLine
from verdicts.engines.sampling import LARGE_VOCABULARY
from verdicts.models import chat_template as chat
from verdicts.models.fingerprint import sampled_hash
from verdicts.models.threads import cores, worthwhile

if TYPE_CHECKING:
    from verdicts.config.engine import LlamaCppConfig

SMALL_MODEL = 256 * 2**20  # bytes: below this a CPU core has a context of its own
MAX_CONTEXTS = 8
MAX_CANDIDATES = 64  # of a ticket, where engine.slots asks for no more
_OVER_LENGTH = Completion("", NO_VERDICT, OVER_LENGTH)
_Answer = TypeVar("_Answer")
_Asked = TypeVar("_Asked")  # what a ticket is asked with: decode settings, or nothing but its text


@dataclass
class _Ticket(Generic[_Answer]):
    """A ticket to run: its program, where its answers appear, and the most tokens that one of them may have.

    ``width``: the sequences that it is expected to grow to; ``max_width``: the most that it can grow to.
    """

    program: programs.Program
    answers: list[_Answer]
    max_new_tokens: int
    width: int = 1
    max_width: int = 1


class LlamaCppEngine:
    """See ``verdicts.engines.Engine``. ``threads``: how many it computes with.

    Raises UserError for a missing or broken file and for settings that do not go together.
    """

    def __init__(self, config: "LlamaCppConfig") -> None:
        path = Path(config.model)
        if not path.is_file():
            fetch = "hf download Qwen/Qwen3-32B-GGUF Qwen3-32B-Q4_K_M.gguf --local-dir models"
            todo = f"check engine.model, or fetch it (`{fetch}`)"
            raise mistake("no such model file", todo, path=path, field="engine.model")
        self.config = config
        self.model = Model(path, config.n_gpu_layers)
        self.fingerprint = {
            "engine": "llama_cpp",
            "model": path.name,
            "sha256": sampled_hash(path),
            "version": version("llama_cpp_python"),
        }
        self.pieces = chat.pieces(
            self.model.chat_template(),
            bos=self.model.token_text("bos"),
            eos=self.model.token_text("eos"),
            thinking=config.thinking.enabled,
            source=str(path),
        )
        protocol = TwoLine(self.model.plain_ids, self.model.pieces, self.model.banned, self.model.eog)
        self.vocabulary = programs.Vocabulary(protocol, self.model.text, self.model.pieces, self._thinking())
        self.tail = self.model.template_ids(self.pieces.tail)
        self.sampling_threads = (
            ThreadPoolExecutor(min(8, cores())) if self.model.vocab_size > LARGE_VOCABULARY else None
        )
        self.contexts: queue.SimpleQueue[Context] = queue.SimpleQueue()
        on_cpu = config.n_gpu_layers == 0 or not self.model.lib.llama_supports_gpu_offload()
        self.context_per_core = on_cpu and self.model.bytes < SMALL_MODEL
        wanted = config.n_threads or cores()
        self.threads = min(wanted, MAX_CONTEXTS) if self.context_per_core else wanted
        self._open = [self._context() for _ in range(self.threads if self.context_per_core else 1)]
        if not self.context_per_core:
            self.threads = config.n_threads or (self._probe(self._open[0]) if on_cpu else min(4, cores()))
            self._set_threads(self._open[0], self.threads)
        for context in self._open:
            self.contexts.put(context)
        self.runners = ThreadPoolExecutor(len(self._open))

    def _thinking(self) -> programs.ThinkingTokens | None:
        if not self.config.thinking.enabled:
            return None
        closing = self.model.template_ids("</think>")
        if len(closing) != 1:
            raise mistake(
                "the model has no </think> token", "set thinking.enabled to false", field="engine.thinking.enabled"
            )
        opened = self.pieces.tail.rstrip().endswith("<think>")  # some templates open the thinking themselves
        return programs.ThinkingTokens(
            [] if opened else self.model.template_ids("<think>\n"),
            closing + self.model.plain_ids("\n\n"),
            self.config.thinking.max_new_tokens,
        )

    def _context(self) -> Context:
        config = self.config
        return Context(
            self.model,
            cells=config.context_tokens,
            batch_tokens=min(config.batch_tokens, config.context_tokens),
            sequences=min(1 + max(2 * config.slots, MAX_CANDIDATES), MAX_SEQUENCES),  # 1: sequence 0 holds the prefix
            n_threads=1,
        )

    def _set_threads(self, context: Context, count: int) -> None:
        self.model.lib.llama_set_n_threads(context.handle, count, count)

    def _probe(self, context: Context) -> int:
        """Threads worth having for one context, by decoding a few tokens with 1, 2, 4 …"""

        def seconds(count: int) -> float:
            self._set_threads(context, count)
            start = time.perf_counter()
            context.decode([Span([0], 0, self.tail[-1:] * 16, False)])
            context.clear()
            return time.perf_counter() - start

        return worthwhile(seconds, cores())

    # --- the interface

    def rollout(
        self, system: str, users: Sequence[str], decodes: Sequence[Sequence[Decode]]
    ) -> Iterator[list[Completion]]:
        """_Answer each ticket once for each of its decode settings; see ``Engine.rollout``."""
        check_calls(users, decodes)
        return self._run(system, users, decodes, self._rollout_ticket, self.config.slots)

    def judge(self, system: str, users: Sequence[str]) -> list[dict[str, float | None]]:
        """Verdict log-probabilities of each ticket; see ``Engine.judge``."""
        return [seen for (seen,) in self._run(system, users, users, self._judge_ticket, self.config.slots)]

    def complete(
        self, system: str, users: Sequence[str], decodes: Sequence[Decode], json_schema: dict[str, Any] | None = None
    ) -> list[Completion]:
        """Free text for each prompt, or JSON of a schema, held by llama.cpp's own grammar; see ``Engine.complete``."""
        check_calls(users, decodes)
        grammar = None if json_schema is None else partial(Grammar, self.model, gbnf(json_schema))
        make = partial(self._complete_ticket, grammar=grammar)
        return [written for (written,) in self._run(system, users, decodes, make, max(1, self.config.slots // 4))]

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text`` as data."""
        return len(self.model.plain_ids(text))

    def close(self) -> None:
        """Free contexts and weights."""
        self.runners.shutdown()
        if self.sampling_threads:
            self.sampling_threads.shutdown()
        for context in self._open:
            context.close()
        self._open = []
        self.model.close()

    # --- what one ticket asks for

    def _rollout_ticket(self, prompt: list[int], decodes: Sequence[Decode]) -> _Ticket[Completion]:
        answers = [_OVER_LENGTH] * len(decodes)
        config, samplers = self.config, [programs.Sampler.of(decode) for decode in decodes]
        max_new_tokens = max(decode.max_new_tokens for decode in decodes)
        width = len(samplers)
        if self.vocabulary.thinking or not config.grammar:
            program = programs.independent(self.vocabulary, prompt, samplers, config.grammar, answers.__setitem__)
            return _Ticket(program, answers, max_new_tokens, width, width)
        per_verdict = config.reasons == "per_verdict"
        program = programs.shared_verdict(self.vocabulary, prompt, samplers, per_verdict, answers.__setitem__)
        if per_verdict:  # most tickets come to one verdict, none to more than two
            return _Ticket(program, answers, max_new_tokens, 1, min(2, width))
        return _Ticket(program, answers, max_new_tokens, width, width)

    def _judge_ticket(self, prompt: list[int], _: str) -> _Ticket[dict[str, float | None]]:
        answers = [NO_VERDICT]
        program = programs.score_verdicts(self.vocabulary, prompt, partial(answers.__setitem__, 0))
        return _Ticket(program, answers, max_new_tokens=0)

    def _complete_ticket(
        self, prompt: list[int], decode: Decode, grammar: Callable[[], Grammar] | None
    ) -> _Ticket[Completion]:
        answers = [_OVER_LENGTH]
        sampler, on_answer = programs.Sampler.of(decode), partial(answers.__setitem__, 0)
        program = (
            programs.grammar_text(self.vocabulary, prompt, sampler, grammar, on_answer)
            if grammar
            else programs.free_text(self.vocabulary, prompt, sampler, on_answer)
        )
        return _Ticket(program, answers, decode.max_new_tokens)

    def _job(self, context: Context, prefix_tokens: int, prompt: Sequence[int], ticket: _Ticket[_Answer]) -> Job | None:
        """The job of a ticket; None where it does not fit in the cells, or in the length the model was trained for."""
        thinking = self.vocabulary.thinking
        branch = self.vocabulary.protocol.longest + ticket.max_new_tokens
        branch += thinking.max_new_tokens + len(thinking.opening) + len(thinking.closing) if thinking else 0
        cells = len(prompt) + ticket.max_width * branch
        length = prefix_tokens + len(prompt) + branch
        if ticket.max_width >= context.sequences:
            raise mistake(
                f"too few for a ticket's {ticket.max_width} candidates ({self.config.slots})",
                "raise it or sample less",
                field="engine.slots",
            )
        fits = prefix_tokens + cells <= context.cells and length <= self.model.train_context
        return Job(ticket.program, cells, ticket.width, ticket.max_width) if fits else None

    # --- prompts, prefixes and workers

    def _prefix(self, system: str) -> list[int]:
        model = self.model
        head = model.template_ids(self.pieces.head)
        bos = model.bos_ids()
        start = (
            head if head[: len(bos)] == bos else bos + head
        )  # some templates write it, some leave it to the tokenizer
        ids = start + model.plain_ids(system) + model.template_ids(self.pieces.middle)
        most = min(self.config.context_tokens, model.train_context)
        if len(ids) >= most:
            raise mistake(
                f"the system message has {len(ids)} tokens, the context {most}",
                "raise engine.context_tokens or shorten the guidance",
                field="engine.context_tokens",
            )
        return ids

    def _prompt(self, user: str) -> list[int]:
        return self.model.plain_ids(user) + self.tail

    def _run(
        self,
        system: str,
        users: Sequence[str],
        asked: Sequence[_Asked],
        make: Callable[[list[int], _Asked], _Ticket[_Answer]],
        unit_tickets: int,
    ) -> Iterator[list[_Answer]]:
        """Run tickets chunk by chunk, a chunk ahead of the reader; yields each ticket's answers in order.

        A chunk is put in the order of its token ids, so that neighbours share beginnings. On a small model's contexts
        it is cut into units of ``unit_tickets``: more would scan each other's cells.
        """
        prefix = self._prefix(system)
        waiting: deque[list[_Unit[_Answer]]] = deque()
        try:
            for part in chunks(len(users), self.config.chunk):
                prompts = {i: self._prompt(users[i]) for i in part}
                order = sorted(part, key=prompts.__getitem__)
                size = unit_tickets if self.context_per_core else len(order)
                units: list[_Unit[_Answer]] = []
                for start in range(0, len(order), size):
                    unit = order[start : start + size]
                    own_prompts, own_asked = [prompts[i] for i in unit], [asked[i] for i in unit]
                    future = self.runners.submit(self._run_unit, prefix, own_prompts, own_asked, make)
                    units.append(_Unit(unit, future))
                waiting.append(units)
                if len(waiting) > 1:
                    yield from _in_order(waiting.popleft())
            while waiting:
                yield from _in_order(waiting.popleft())
        finally:  # a reader that stops early, or a failed unit: let what runs end, start nothing new
            for unit_left in (unit for units in waiting for unit in units):
                unit_left.future.cancel()

    def _run_unit(
        self,
        prefix: list[int],
        prompts: Sequence[list[int]],
        asked: Sequence[_Asked],
        make: Callable[[list[int], _Asked], _Ticket[_Answer]],
    ) -> list[list[_Answer]]:
        """Run tickets on one context from its canonical state: the prefix in the first cells, all else free."""
        context = self.contexts.get()
        try:
            if context.prefix != prefix:
                self._decode_prefix(context, prefix)
            tickets = [make(*pair) for pair in zip(prompts, asked, strict=True)]
            fitting = [self._job(context, len(prefix), *pair) for pair in zip(prompts, tickets, strict=True)]
            slots = self.config.slots
            refill = 0 if self.context_per_core else slots // 2
            Scheduler(context, len(prefix), slots, refill, self.sampling_threads).run([job for job in fitting if job])
            return [ticket.answers for ticket in tickets]
        except BaseException:
            context.prefix = None  # its cells are in no known state
            raise
        finally:
            self.contexts.put(context)

    def _decode_prefix(self, context: Context, prefix: list[int]) -> None:
        context.prefix = None
        context.clear()
        for start in range(0, len(prefix), context.batch_tokens):
            context.decode([Span([0], start, prefix[start : start + context.batch_tokens], False)])
        context.prefix = prefix
        add_tokens(read=len(prefix))


@dataclass
class _Unit(Generic[_Answer]):
    """Tickets that run together on one context, by their indices, and what comes of them."""

    tickets: list[int]
    future: Future[list[list[_Answer]]]


def _in_order(units: Sequence[_Unit[_Answer]]) -> Iterator[list[_Answer]]:
    """Answers of one chunk in the order of its tickets, when all its units have ended."""
    answers = {i: answer for unit in units for i, answer in zip(unit.tickets, unit.future.result(), strict=True)}
    return (answers[i] for i in sorted(answers))
