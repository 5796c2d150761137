"""Run many programs on one llama.cpp context: who is decoded together, in which KV cells, with which random numbers.

All decisions follow from the jobs and their order, so the same jobs on a context in the same state give the same bytes.
Jobs that start together share the common beginnings of their prompts: a token that several tickets begin with is
decoded once and belongs to all of them (7 to 19 % of the tokens beyond the prefix in chunks of 64 tickets).
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from verdicts.base.progress import add_tokens
from verdicts.engines.llama.drawing import sample_tokens
from verdicts.engines.llama.runtime import Context, Span
from verdicts.engines.llama.sequences import Feed, Program


@dataclass(eq=False)
class Job:
    """A ticket to run.

    ``cells``: the most KV cells it can come to hold beside the prefix. ``width``: how many sequences it is expected to
    grow to; ``max_width``: the most it can grow to. ``alive``: its sequences that have not ended.
    """

    program: Program
    cells: int
    width: int
    max_width: int
    alive: int = 1


@dataclass(eq=False)
class _Sequence:
    """A program at work. ``position``: where its next token goes; ``fed``: how many tokens of ``feed`` are decoded."""

    seq_id: int
    position: int
    program: Program
    job: Job
    feed: Feed
    fed: int = 0


@dataclass(eq=False)
class _SharedSpan:
    """Tokens that ``seq_ids`` have in common from ``position`` on; the prompts of ``ending`` end with the last one."""

    seq_ids: list[int]
    position: int
    tokens: list[int]
    ending: list[_Sequence]


class Scheduler:
    """Runs jobs beside a decoded prefix that sequence 0 holds."""

    def __init__(
        self, context: Context, prefix_tokens: int, slots: int, refill: int, pool: ThreadPoolExecutor | None
    ) -> None:
        """``refill``: new jobs start when no more than this many sequences are left.

        A GPU wants its batches full. The CPU's attention wants tickets that are read and tickets that are written in
        separate batches (0).
        """
        self.context, self.prefix_tokens, self.slots = context, prefix_tokens, slots
        self.refill, self.pool = refill, pool
        self.free_cells = context.cells - prefix_tokens
        # Descending, so that pop() gives the lowest: the same jobs get the same ids, whatever ran before.
        self.free_ids = list(range(context.sequences - 1, 0, -1))
        self.reserved_ids = 0  # that running jobs may hold at most
        self.prompts: deque[_SharedSpan] = deque()  # prompts of tickets that have just started, not decoded yet
        self.active: list[_Sequence] = []

    def run(self, jobs: Sequence[Job]) -> None:
        """Run all jobs to their end and forget their cells. Raises RuntimeError if llama.cpp fails."""
        queue = deque(jobs)
        while queue or self.active or self.prompts:
            if not self.prompts and len(self.active) <= self.refill:
                self._admit(queue)
            self._step()

    # --- who starts

    def _admit(self, queue: deque[Job]) -> None:
        """Start the next jobs, as many as fit, with their prompts laid over each other."""
        group: list[_Sequence] = []
        starting = 0
        while queue and self._fits(queue[0], starting):
            job = queue.popleft()
            self.free_cells -= job.cells
            self.reserved_ids += job.max_width
            starting += job.width
            group.append(_Sequence(self._fork(0), self.prefix_tokens, job.program, job, next(job.program)))
        # In this order neighbours share the most, and a prompt that is another's beginning comes before it.
        group.sort(key=lambda sequence: sequence.feed.tokens)
        self.prompts.extend(shared_spans(group, 0))

    def _fits(self, job: Job, starting: int) -> bool:
        """Whether a job can start: nothing is ever thrown out again, so the most that it may need must be free now."""
        if not self.active and not starting:
            return True  # the engine checked that a job alone fits
        return (
            job.cells <= self.free_cells
            and job.max_width <= self.context.sequences - 1 - self.reserved_ids
            and len(self.active) + starting + job.width <= self.slots
        )

    def _fork(self, source: int) -> int:
        """A new sequence that shares all cells of ``source``."""
        seq_id = self.free_ids.pop()
        self.context.fork(source, seq_id)
        return seq_id

    # --- one decode call

    def _step(self) -> None:
        """Decode the next tokens of all that are under way, then as much of the waiting prompts as fits."""
        spans: list[Span] = []
        ready: list[_Sequence] = []  # those whose tokens are all in this call
        rows: list[int] = []  # and the row of logits of each
        room = self._add_active(spans, ready, rows)
        written, running = self.context.batch_tokens - room, len(ready)
        next_row = running
        while room and self.prompts:
            room, ended = self._add_prompt(spans, room)
            ready += ended
            rows += [next_row] * len(ended)  # prompts that end together are equal: one row of logits serves them all
            next_row += bool(ended)
        logits = self.context.decode(spans)
        add_tokens(read=sum(len(span.tokens) for span in spans) - written, written=written)
        self.active += ready[running:]
        tokens = sample_tokens([sequence.feed for sequence in ready], logits, rows, self.pool)
        for sequence, row, token in zip(ready, rows, tokens, strict=True):
            self._advance(sequence, logits[row], token)

    def _add_active(self, spans: list[Span], ready: list[_Sequence], rows: list[int]) -> int:
        """Add the tokens of all active sequences, in order; returns the room that is left in the call."""
        room = self.context.batch_tokens
        for sequence in self.active:
            part = sequence.feed.tokens[sequence.fed : sequence.fed + room]
            if not part:  # no room left: this one and those after it wait for the next call
                break
            done = sequence.fed + len(part) == len(sequence.feed.tokens)
            spans.append(Span([sequence.seq_id], sequence.position, part, done))
            sequence.fed += len(part)
            sequence.position += len(part)
            room -= len(part)
            if done:
                rows.append(len(ready))
                ready.append(sequence)
        return room

    def _add_prompt(self, spans: list[Span], room: int) -> tuple[int, list[_Sequence]]:
        """Add the first shared span, or what fits. Returns the room left and the sequences whose prompt it ends."""
        shared = self.prompts[0]
        part, shared.tokens = shared.tokens[:room], shared.tokens[room:]
        done = not shared.tokens
        spans.append(Span(shared.seq_ids, shared.position, part, done and bool(shared.ending)))
        shared.position += len(part)
        if not done:
            return room - len(part), []
        self.prompts.popleft()
        for sequence in shared.ending:
            sequence.position = shared.position
        return room - len(part), shared.ending

    # --- what comes next

    def _advance(self, sequence: _Sequence, row: np.ndarray, token: int) -> None:
        try:
            sequence.feed, sequence.fed = sequence.program.send((row, token)), 0
        except StopIteration as end:
            self._branch(sequence, end.value)

    def _branch(self, sequence: _Sequence, programs: Sequence[Program]) -> None:
        """Replace an ended sequence by those that go on from its state, the first one in its own cells."""
        job = sequence.job
        job.alive += len(programs) - 1
        self.active.remove(sequence)
        if programs:
            seq_ids = [sequence.seq_id, *(self._fork(sequence.seq_id) for _ in programs[1:])]
            self.active += [
                _Sequence(seq_id, sequence.position, program, job, next(program))
                for seq_id, program in zip(seq_ids, programs, strict=True)
            ]
        else:
            self.context.drop(sequence.seq_id)
            self.free_ids.append(sequence.seq_id)
            self.free_ids.sort(reverse=True)
        if not job.alive:
            self.free_cells += job.cells
            self.reserved_ids -= job.max_width


def shared_spans(group: Sequence[_Sequence], start: int) -> Iterator[_SharedSpan]:
    """The prompts of ``group`` (sorted, equal up to ``start``) without repetition; what is shared comes first.

    A prefix tree, walked from its root: each span is an edge of it.
    """
    if not group:
        return
    # Sorted: what the first and the last have in common, all have.
    first, last = group[0].feed.tokens, group[-1].feed.tokens
    shorter = min(len(first), len(last))
    end = next((i for i in range(start, shorter) if first[i] != last[i]), shorter)
    ending = [sequence for sequence in group if len(sequence.feed.tokens) == end]
    if end > start:
        yield _SharedSpan([sequence.seq_id for sequence in group], group[0].position + start, first[start:end], ending)
    for _, branch in groupby(group[len(ending) :], key=lambda sequence: sequence.feed.tokens[end]):
        yield from shared_spans(list(branch), end)
