"""Run many programs on one llama.cpp context: who is decoded together, in which cells, with which random numbers.

All decisions follow from the jobs and their order, so the same jobs on a context in the same state give the same bytes.
Jobs that start together share the common beginnings of their prompts: a token that several tickets begin with is decoded
once and belongs to all of them (7 to 19 % of the tokens beyond the prefix in chunks of 64 tickets).
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from verdicts.engines.llama.runtime import Context, Run
from verdicts.engines.llama.sequences import Ask, Program
from verdicts.engines.sampling import draw


@dataclass
class Job:
    """A ticket to run. ``cells``: the most KV cells it can come to hold beside the prefix; ``width``: how many sequences it
    is expected to grow to; ``widest``: the most it can grow to."""

    program: Program
    cells: int
    width: int
    widest: int
    alive: int = 1


@dataclass
class _Sequence:
    number: int
    position: int
    program: Program
    job: Job
    ask: Ask
    fed: int = 0


@dataclass
class _Stretch:
    """Tokens that ``numbers`` have in common from ``position`` on; the prompts of ``enders`` end with its last token."""

    numbers: list[int]
    position: int
    tokens: Sequence[int]
    enders: list[_Sequence]


class Schedule:
    """Runs jobs beside a decoded prefix that sequence 0 holds. Free sequence numbers are always taken lowest first."""

    def __init__(
        self, context: Context, prefix_tokens: int, slots: int, refill: int, pool: ThreadPoolExecutor | None
    ) -> None:
        """``refill``: new jobs start when no more than this many sequences are left. A GPU wants its batches full; the
        CPU's attention wants tickets that are read and tickets that are written in separate batches (0)."""
        self.context, self.prefix_tokens, self.slots, self.refill, self.pool = (
            context,
            prefix_tokens,
            slots,
            refill,
            pool,
        )
        self.free_cells = context.cells - prefix_tokens
        self.free_numbers = list(range(context.sequences - 1, 0, -1))
        self.promised = 0  # numbers that running jobs may hold at most
        self.stretches: deque[_Stretch] = deque()  # prompts of tickets that have just started
        self.starting = 0  # sequences in them
        self.active: list[_Sequence] = []

    def run(self, jobs: Sequence[Job]) -> None:
        """Run all jobs to their end and forget their cells. Raises RuntimeError if llama.cpp fails."""
        queue = deque(jobs)
        while queue or self.active or self.stretches:
            if not self.stretches and len(self.active) <= self.refill:
                self._admit(queue)
            self._step()

    def _admit(self, queue: deque[Job]) -> None:
        group = []
        while queue and self._fits(queue[0]):
            job = queue.popleft()
            self.free_cells -= job.cells
            self.promised += job.widest
            self.starting += job.width
            group.append(_Sequence(self._take(0), self.prefix_tokens, job.program, job, next(job.program)))
        self.starting = 0
        group.sort(key=lambda sequence: sequence.ask.tokens)
        self.stretches.extend(shared_stretches(group, 0))

    def _fits(self, job: Job) -> bool:
        if not self.active and not self.starting:
            return True  # the engine checked that a job alone fits
        numbers_left = self.context.sequences - 1 - self.promised
        return (
            job.cells <= self.free_cells
            and job.widest <= numbers_left
            and len(self.active) + self.starting + job.width <= self.slots
        )

    def _take(self, source: int) -> int:
        number = self.free_numbers.pop()
        self.context.fork(source, number)
        return number

    def _step(self) -> None:
        """One decode call: the next tokens of all that are under way, then as much of waiting prompts as fits."""
        room = self.context.batch_tokens
        runs: list[Run] = []
        ready: list[_Sequence] = []
        rows: list[int] = []
        for sequence in self.active:
            part = sequence.ask.tokens[sequence.fed : sequence.fed + room]
            if not part:
                break
            done = sequence.fed + len(part) == len(sequence.ask.tokens)
            runs.append(Run([sequence.number], sequence.position, part, done))
            sequence.fed += len(part)
            sequence.position += len(part)
            room -= len(part)
            if done:
                rows.append(len(ready))
                ready.append(sequence)
        under_way, wanted = len(ready), len(ready)
        while room and self.stretches:
            room, ended = self._feed_stretch(runs, room)
            ready += ended
            rows += [wanted] * len(ended)
            wanted += bool(ended)
        logits = self.context.decode(runs)
        self.active += ready[under_way:]
        for sequence, row, token in zip(ready, rows, self._tokens(ready, logits, rows)):
            self._advance(sequence, logits[row], token)

    def _feed_stretch(self, runs: list[Run], room: int) -> tuple[int, list[_Sequence]]:
        """Add the first stretch, or what fits of it; returns the room that is left and the sequences whose prompt it ends."""
        stretch = self.stretches[0]
        part, stretch.tokens = stretch.tokens[:room], stretch.tokens[room:]
        done = not stretch.tokens
        runs.append(Run(stretch.numbers, stretch.position, part, done and bool(stretch.enders)))
        stretch.position += len(part)
        if done:
            self.stretches.popleft()
        for sequence in stretch.enders if done else ():
            sequence.position = stretch.position
        return room - len(part), stretch.enders if done else []

    def _tokens(self, ready: Sequence[_Sequence], logits: np.ndarray, rows: Sequence[int]) -> list[int | None]:
        """Draw for all that ask for it at once; a refused token is drawn again from the allowed ones."""
        drawers = [i for i, sequence in enumerate(ready) if sequence.ask.writer]
        tokens: list[int | None] = [None] * len(ready)
        if not drawers:
            return tokens
        for i, token in zip(drawers, self._draw([ready[i] for i in drawers], logits, [rows[i] for i in drawers])):
            tokens[i] = int(token)
        masks = {i: mask for i in drawers if (mask := ready[i].ask.barring(tokens[i], logits[rows[i]])) is not None}
        if again := list(masks):
            allowed = np.stack([np.where(mask, -np.inf, logits[rows[i]]) for i, mask in masks.items()])
            for i, token in zip(again, self._draw([ready[i] for i in again], allowed, range(len(again)))):
                tokens[i] = int(token)
        return tokens

    def _draw(self, sequences: Sequence[_Sequence], logits: np.ndarray, rows: Sequence[int]) -> np.ndarray:
        writers = [sequence.ask.writer for sequence in sequences]
        temperature = np.array([writer.decode.temperature for writer in writers], np.float32)
        top_p = np.array([writer.decode.top_p for writer in writers])
        uniform = np.array([writer.random.random() for writer in writers])
        return draw(logits, rows, temperature, top_p, uniform, self.pool)

    def _advance(self, sequence: _Sequence, row: np.ndarray, token: int | None) -> None:
        try:
            sequence.ask, sequence.fed = sequence.program.send((row, token)), 0
        except StopIteration as end:
            self._branch(sequence, end.value)

    def _branch(self, sequence: _Sequence, programs: Sequence[Program]) -> None:
        """Replace an ended sequence by those that go on from its state, the first one in its own place."""
        job = sequence.job
        job.alive += len(programs) - 1
        numbers = [sequence.number, *(self._take(sequence.number) for _ in programs[1:])]
        self.active.remove(sequence)
        self.active += [
            _Sequence(number, sequence.position, program, job, next(program))
            for number, program in zip(numbers, programs)
        ]
        if not programs:
            self.context.drop(sequence.number)
            self.free_numbers.append(sequence.number)
            self.free_numbers.sort(reverse=True)
        if not job.alive:
            self.free_cells += job.cells
            self.promised -= job.widest


def shared_stretches(group: Sequence[_Sequence], start: int) -> Iterator[_Stretch]:
    """The prompts of ``group`` (sorted, equal up to ``start``) as stretches without repetition; what is shared comes first."""
    if not group:
        return
    first, last = group[0].ask.tokens, group[-1].ask.tokens
    end = next(
        (i for i, (a, b) in enumerate(zip(first[start:], last[start:]), start) if a != b), min(len(first), len(last))
    )
    enders = [sequence for sequence in group if len(sequence.ask.tokens) == end]
    if end > start:
        yield _Stretch([sequence.number for sequence in group], group[0].position + start, first[start:end], enders)
    for _, branch in groupby(group[len(enders) :], key=lambda sequence: sequence.ask.tokens[end]):
        yield from shared_stretches(list(branch), end)
