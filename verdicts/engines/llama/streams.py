"""Run many programs on one llama.cpp context in which each sequence has KV cells of its own, a stream.

Attention looks at a sequence's own stream only, where a shared buffer makes it scan the cells of all: on one H100 a
32B reads three times as fast with 64 tickets open (docs/engines.md). The price: each stream holds a copy of the
prefix, made once a guidance, and beginnings that tickets share are read once a ticket.

llama.cpp computes a call in one piece only where its sequences are neighbours and bring equally many tokens. So the
running ones always are streams 0, 1, 2 …: where one ends, the last moves into its place. Prompts are read in groups
of like length, filled up behind their end with tokens that are forgotten at once. Prompts and answers are never in
one call. All decisions follow from the jobs and their order: the same jobs give the same bytes.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from verdicts.base.progress import add_tokens
from verdicts.engines.llama.drawing import sample_tokens
from verdicts.engines.llama.runtime import Context, Span
from verdicts.engines.llama.schedule import Job
from verdicts.engines.llama.sequences import Feed, Program

_Key = TypeVar("_Key")


def cells_of_stream(tokens: int) -> int:
    """Cells of a stream for so many tokens: llama.cpp rounds them up to a multiple of 256."""
    return -(-tokens // 256) * 256


def of_like_length(lengths: Mapping[_Key, int]) -> list[list[_Key]]:
    """Keys in groups, the longest first: none is shorter than three quarters of the longest of its group."""
    groups: list[list[_Key]] = []
    for key in sorted(lengths, key=lambda key: -lengths[key]):
        if not groups or lengths[key] < 0.75 * lengths[groups[-1][0]]:
            groups.append([])
        groups[-1].append(key)
    return groups


@dataclass(eq=False)
class _Running:
    """A program at work in the stream of its place in the list of all.

    ``position``: where its next token goes; ``fed``: how many tokens of ``feed`` are decoded; ``ended``: it is done.
    ``waiting``: programs that go on from an earlier position of this stream once there is room, the latest one last.
    """

    position: int
    program: Program
    feed: Feed
    fed: int = 0
    ended: bool = False
    waiting: list[tuple[int, Program]] = field(default_factory=list)

    def go_on(self, position: int, program: Program) -> None:
        """Run ``program`` from ``position`` on."""
        self.position, self.program, self.feed, self.fed, self.ended = position, program, next(program), 0, False

    @property
    def left(self) -> list[int]:
        """Tokens that are to be decoded before it has something to say."""
        return self.feed.tokens[self.fed :]


class StreamScheduler:
    """Runs jobs in streams that all hold the decoded prefix, and leaves them so."""

    def __init__(self, context: Context, prefix_tokens: int, refill: int, pool: ThreadPoolExecutor | None) -> None:
        """``refill``: new jobs start when no more than this many streams are at work."""
        self.context, self.prefix_tokens, self.refill, self.pool = context, prefix_tokens, refill, pool
        self.running: list[_Running] = []

    def run(self, jobs: Sequence[Job]) -> None:
        """Run all jobs to their end. Raises RuntimeError if llama.cpp fails."""
        queue = deque(jobs)
        while queue or self.running:
            if len(self.running) <= self.refill:
                self._start_waiting()
                self._read([queue.popleft() for _ in range(min(len(queue), self._room()))])
            if self.running:
                self._write()

    def _room(self) -> int:
        return self.context.sequences - len(self.running)

    def _start_waiting(self) -> None:
        """Let programs that wait go on in streams of their own, as many as there are."""
        for parent in list(self.running):
            while parent.waiting and self._room():
                position, program = parent.waiting.pop()
                self.context.fork(self.running.index(parent), len(self.running))
                self.context.cut(len(self.running), position)
                self.running.append(_Running(position, program, next(program)))

    # --- prompts

    def _read(self, jobs: Sequence[Job]) -> None:
        """Start jobs: decode their prompts, the longest first, as many together as a call has room for."""
        started = [_Running(self.prefix_tokens, job.program, next(job.program)) for job in jobs]
        started.sort(key=lambda running: -len(running.feed.tokens))  # stable: equal ones in their order
        first = len(self.running)
        self.running += started
        for group in self._groups(started):
            self._read_group(first, group)
            first += len(group)
        self._settle()

    def _groups(self, started: Sequence[_Running]) -> Iterator[Sequence[_Running]]:
        at = 0
        while at < len(started):
            count = max(1, self.context.batch_tokens // len(started[at].feed.tokens))
            yield started[at : at + count]
            at += count

    def _read_group(self, first: int, group: Sequence[_Running]) -> None:
        """Decode the prompts of neighbouring streams from ``first`` on, filled up to the length of the longest."""
        prompts = [running.feed.tokens for running in group]
        longest = len(prompts[0])
        columns = self.context.batch_tokens // len(group)
        add_tokens(read=sum(map(len, prompts)), written=0)
        for running, prompt in zip(group, prompts, strict=True):
            running.position += len(prompt)
        for start in range(0, longest, columns):
            spans, ready = [], []
            for stream, (running, prompt) in enumerate(zip(group, prompts, strict=True), first):
                tokens = prompt[start : start + columns]
                position, width = self.prefix_tokens + start, min(columns, longest - start)
                if tokens:
                    done = start + len(tokens) == len(prompt)
                    spans.append(Span([stream], position, tokens, done))
                    ready += [running] * done
                if fill := prompts[0][: width - len(tokens)]:
                    spans.append(Span([stream], position + len(tokens), fill, False))
            self._decode(spans, ready)
        for stream, running in enumerate(group, first):
            self.context.cut(stream, running.position)

    # --- answers

    def _write(self) -> None:
        """Decode the next tokens of all that run: as many of each as the one that has the fewest."""
        columns = min(self.context.batch_tokens // len(self.running), *(len(running.left) for running in self.running))
        spans, ready = [], []
        for stream, running in enumerate(self.running):
            tokens = running.left[:columns]
            done = len(tokens) == len(running.left)
            spans.append(Span([stream], running.position, tokens, done))
            ready += [running] * done
            running.fed += columns
            running.position += columns
        add_tokens(read=0, written=columns * len(self.running))
        self._decode(spans, ready)
        self._settle()

    def _decode(self, spans: Sequence[Span], ready: Sequence[_Running]) -> None:
        """One call; ``ready`` are those whose tokens are all decoded now, in the order of the spans that end them."""
        logits = self.context.decode(spans)
        tokens = sample_tokens([running.feed for running in ready], logits, range(len(ready)), self.pool)
        for running, row, token in zip(ready, logits, tokens, strict=True):
            try:
                running.feed, running.fed = running.program.send((row, token)), 0
            except StopIteration as end:
                self._branch(running, end.value)

    def _branch(self, running: _Running, programs: Sequence[Program]) -> None:
        """Go on with the first program; the others wait at this position."""
        running.waiting += [(running.position, program) for program in reversed(programs[1:])]
        if programs:
            running.go_on(running.position, programs[0])
        else:
            running.ended = True

    def _settle(self) -> None:
        """Give the places of ended ones to what waited for them, or to the last ones."""
        for stream in reversed(range(len(self.running))):
            running = self.running[stream]
            if not running.ended:
                continue
            if running.waiting:
                position, program = running.waiting.pop()
                self.context.cut(stream, position)
                running.go_on(position, program)
                continue
            last = self.running.pop()
            if last is not running:
                self.context.fork(len(self.running), stream)
                self.running[stream] = last
            self.context.cut(len(self.running), self.prefix_tokens)
