"""The default engine: a GGUF file in this process, decoded in batches on llama.cpp's low-level API.

The system message (prompt, guidance) is decoded once a call, a ticket once, and its candidates fork from there by
sharing cells, or with ``kv: streams`` by copying them. A small model on the CPU runs as one single-threaded context a
core: they never wait for each other, which is what makes threads slow on a busy machine. A large one, or one on a GPU,
runs as ``engine.contexts`` of them: one computes while another draws tokens.

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
from verdicts.engines.llama.streams import StreamScheduler, cells_of_stream, of_like_length
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
        self._open = [self._context() for _ in range(self.threads if self.context_per_core else config.contexts)]
        if not self.context_per_core:
            self.threads = config.n_threads or (self._probe(self._open[0]) if on_cpu else min(4, cores()))
        for context in self._open:
            if not self.context_per_core:
                context.set_threads(self.threads)
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
        config, streams = self.config, self.config.kv == "streams"
        sequences = min(1 + max(2 * config.slots, MAX_CANDIDATES), MAX_SEQUENCES)  # 1: sequence 0 holds the prefix
        return Context(
            self.model,
            cells=cells_of_stream(1) if streams else config.context_tokens,  # streams are made as long as tickets need
            batch_tokens=min(config.batch_tokens, config.context_tokens),
            sequences=1 if streams else sequences,
            n_threads=1,
            streams=streams,
            kv_type=config.kv_type,
        )

    def _probe(self, context: Context) -> int:
        """Threads worth having for one context, by decoding a few tokens with 1, 2, 4 …"""

        def seconds(count: int) -> float:
            context.set_threads(count)
            start = time.perf_counter()
            context.decode([Span([0], 0, self.tail[-1:] * 16, False)])
            context.clear()
            return time.perf_counter() - start

        return worthwhile(seconds, cores())

    # --- the interface

    def rollout(
        self, system: str, users: Sequence[str], decodes: Sequence[Sequence[Decode]]
    ) -> Iterator[list[Completion]]:
        """Answer each ticket once for each of its decode settings; see ``Engine.rollout``."""
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

    def _length(self, prefix_tokens: int, prompt: Sequence[int], ticket: _Ticket[_Answer]) -> int:
        """Tokens that one of a ticket's sequences may come to, with the prefix."""
        return prefix_tokens + len(prompt) + self._branch(ticket)

    def _branch(self, ticket: _Ticket[_Answer]) -> int:
        """Tokens that one of a ticket's sequences may come to behind its prompt."""
        thinking = self.vocabulary.thinking
        branch = self.vocabulary.protocol.longest + ticket.max_new_tokens
        return branch + thinking.max_new_tokens + len(thinking.opening) + len(thinking.closing) if thinking else branch

    def _job(self, prefix_tokens: int, prompt: Sequence[int], ticket: _Ticket[_Answer]) -> Job | None:
        """The job of a ticket; None where it does not fit in the cells, or in the length the model was trained for."""
        cells = len(prompt) + ticket.max_width * self._branch(ticket)
        length = self._length(prefix_tokens, prompt, ticket)
        if self.config.kv == "streams":
            held = length
        else:
            held = prefix_tokens + cells
            if ticket.max_width >= self._open[0].sequences:
                raise mistake(
                    f"too few for a ticket's {ticket.max_width} candidates ({self.config.slots})",
                    "raise it or sample less",
                    field="engine.slots",
                )
        fits = held <= self.config.context_tokens and length <= self.model.train_context
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
        """Run tickets chunk by chunk, a chunk ahead of the reader; yields each ticket's answers in order."""
        prefix = self._prefix(system)
        waiting: deque[list[_Unit[_Answer]]] = deque()
        try:
            for part in chunks(len(users), self.config.chunk):
                prompts = {i: self._prompt(users[i]) for i in part}
                tickets = {i: make(prompts[i], asked[i]) for i in part}
                lengths = {i: self._length(len(prefix), prompts[i], tickets[i]) for i in part}
                units: list[_Unit[_Answer]] = []
                for cells, unit in self._units(prompts, lengths, unit_tickets):
                    pairs = [(prompts[i], tickets[i]) for i in unit]
                    units.append(_Unit(unit, self.runners.submit(self._run_unit, prefix, pairs, cells)))
                waiting.append(units)
                if len(waiting) > 1:
                    yield from _in_order(waiting.popleft())
            while waiting:
                yield from _in_order(waiting.popleft())
        finally:  # a reader that stops early, or a failed unit: let what runs end, start nothing new
            for unit_left in (unit for units in waiting for unit in units):
                unit_left.future.cancel()

    def _units(
        self, prompts: dict[int, list[int]], lengths: dict[int, int], unit_tickets: int
    ) -> Iterator[tuple[int, list[int]]]:
        """Cut a chunk's tickets into units that run together: the cells of each one's streams, and its tickets.

        Where cells are shared the tickets are put in the order of their token ids, so that neighbours share beginnings,
        and on a small model's contexts cut into units of ``unit_tickets``: more would scan each other's cells. Streams
        want tickets of like length.
        """
        if self.config.kv == "streams":
            for group in of_like_length(lengths):
                count = -(-len(group) // (2 * self.config.slots))  # units of like size, each two turns at most
                for unit in range(count):
                    tickets = group[unit * len(group) // count : (unit + 1) * len(group) // count]
                    yield cells_of_stream(lengths[tickets[0]]), tickets
            return
        order = sorted(prompts, key=prompts.__getitem__)
        size = unit_tickets if self.context_per_core else len(order)
        for start in range(0, len(order), size):
            yield 0, order[start : start + size]

    def _run_unit(
        self, prefix: list[int], tickets: Sequence[tuple[list[int], _Ticket[_Answer]]], cells: int
    ) -> list[list[_Answer]]:
        """Run tickets on one context from its canonical state: the prefix in the first cells, all else free."""
        jobs = [job for prompt, ticket in tickets if (job := self._job(len(prefix), prompt, ticket))]
        if not jobs:
            return [ticket.answers for _, ticket in tickets]
        context, slots = self.contexts.get(), self.config.slots
        try:
            if context.streams:
                cells = min(cells, cells_of_stream(self.config.context_tokens))
                sequences = min(slots, max(1, self.config.context_tokens // cells))
                context.resize(cells * sequences, sequences)
            if context.prefix != prefix:
                self._decode_prefix(context, prefix)
            refill = 0 if self.context_per_core else slots // 2
            if context.streams:
                StreamScheduler(context, len(prefix), refill, self.sampling_threads).run(jobs)
            else:
                Scheduler(context, len(prefix), slots, refill, self.sampling_threads).run(jobs)
            return [ticket.answers for _, ticket in tickets]
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
        if context.streams:
            for stream in range(1, context.sequences):
                context.fork(0, stream)
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
