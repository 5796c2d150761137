"""The scheduler on a context without a model: who is decoded together, in which cells, with which random numbers.

The context stands in for llama.cpp: it keeps the tokens of every sequence as cells that sequences share, refuses what
llama.cpp would refuse (no room in a call or in the cells, a gap in a sequence), and answers with logits that depend on
the whole text of a sequence. So a token in a wrong cell, or a wrong row, shows in what a program is sent.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from verdicts.engines import Decode
from verdicts.engines.llama.runtime import Span
from verdicts.engines.llama.schedule import Job, Scheduler
from verdicts.engines.llama.sequences import NO_TOKEN, Feed, Program, Sampler

PREFIX = [7, 7, 7]
VOCABULARY = 16


def row_of(text: Sequence[int]) -> np.ndarray:
    """The logits that follow a text; another text gives others."""
    return np.random.default_rng([len(text), *text]).standard_normal(VOCABULARY).astype(np.float32)


class FakeContext:
    """What the scheduler needs of a Context. ``calls``: spans by decode call; ``held``: cells by sequence."""

    def __init__(self, cells: int = 1000, batch_tokens: int = 32, sequences: int = 9) -> None:
        self.cells, self.batch_tokens, self.sequences = cells, batch_tokens, sequences
        self.prefix_cells = [[token, position] for position, token in enumerate(PREFIX)]
        self.held: dict[int, list[list[int]]] = {0: list(self.prefix_cells)}
        self.calls: list[list[Span]] = []
        self.most = 0

    def fork(self, source: int, target: int) -> None:
        assert target not in self.held and 0 < target < self.sequences
        self.held[target] = list(self.held[source])

    def drop(self, sequence: int) -> None:
        del self.held[sequence]

    def used(self) -> int:
        """Cells in use: one that several sequences share counts once."""
        return len({id(cell) for cells in self.held.values() for cell in cells})

    def text(self, sequence: int) -> list[int]:
        return [token for token, _ in self.held[sequence]]

    def decode(self, spans: Sequence[Span]) -> np.ndarray:
        assert spans and all(span.tokens for span in spans), "llama.cpp takes no empty batch, and no empty part of one"
        assert sum(len(span.tokens) for span in spans) <= self.batch_tokens
        self.calls.append([Span(list(s.sequences), s.position, list(s.tokens), s.wants_logits) for s in spans])
        rows = []
        for span in spans:
            for at, token in enumerate(span.tokens):
                cell = [token, span.position + at]
                for sequence in span.sequences:
                    assert len(self.held[sequence]) == cell[1], "a token must follow those that its sequence holds"
                    self.held[sequence].append(cell)
            if span.wants_logits:
                texts = [self.text(sequence) for sequence in span.sequences]
                rows.append(row_of(texts[0]))
        self.most = max(self.most, self.used())
        assert self.most <= self.cells
        return np.array(rows, np.float32).reshape(-1, VOCABULARY)


def sampler(seed: int, temperature: float = 1.0) -> Sampler:
    return Sampler.of(Decode(temperature, 1.0, 0, seed))


def writes(prompt: list[int], count: int, seed: int, said: list) -> Program:
    """A program that reads a prompt and writes ``count`` tokens; ``said`` gets them, each with a check of its row."""
    text, own, tokens = [*PREFIX], sampler(seed), list(prompt)
    for _ in range(count):
        text += tokens
        row, token = yield Feed(tokens, own)
        said.append((token, np.array_equal(row, row_of(text))))
        tokens = [token]
    return []


def reads(prompt: list[int], seen: list) -> Program:
    """A program that looks at what follows a prompt."""
    seen.append((yield Feed(list(prompt))))
    return []


def branches(prompt: list[int], parts: Sequence[Program]) -> Program:
    """A program that reads a prompt, then goes on as ``parts``."""
    yield Feed(list(prompt))
    return list(parts)


def writes_on(before: list[int], seed: int, said: list) -> Program:
    """A branch behind ``before`` that feeds a token and writes one."""
    row, token = yield Feed([1], sampler(seed))
    said.append((token, np.array_equal(row, row_of([*PREFIX, *before, 1]))))
    return []


def job(program: Program, cells: int = 20, width: int = 1, max_width: int = 1) -> Job:
    return Job(program, cells, width, max_width)


def run(context: FakeContext, jobs: Sequence[Job], slots: int = 8, refill: int = 0) -> Scheduler:
    scheduler = Scheduler(context, len(PREFIX), slots, refill, None)
    scheduler.run(jobs)
    return scheduler


def assert_left_as_found(context: FakeContext, scheduler: Scheduler) -> None:
    """Only the prefix is left, and every number can be taken again, the lowest first."""
    assert context.held == {0: context.prefix_cells}
    assert scheduler.free_ids == list(range(context.sequences - 1, 0, -1))
    assert (scheduler.free_cells, scheduler.reserved_ids) == (context.cells - len(PREFIX), 0)


def test_nothing_to_do_decodes_nothing():
    context = FakeContext()
    assert_left_as_found(context, run(context, []))
    assert context.calls == []


def test_programs_that_fit_are_decoded_together():
    context, said = FakeContext(), [[], [], []]
    scheduler = run(context, [job(writes([n, n], 4, n, said[n])) for n in range(3)])
    assert [sum(len(span.sequences) for span in call) for call in context.calls] == [3, 3, 3, 3]
    assert all(len(tokens) == 4 and all(right for _, right in tokens) for tokens in said)
    assert_left_as_found(context, scheduler)


@pytest.mark.parametrize(
    ("prompts", "decoded"),
    [
        ([[1, 2, 3, 4], [1, 2, 5], [1, 2], [6]], [([1, 2], 3), ([3, 4], 1), ([5], 1), ([6], 1)]),
        ([[6], [1, 2, 5], [1, 2, 3, 4]], [([1, 2], 2), ([3, 4], 1), ([5], 1), ([6], 1)]),  # none ends with [1, 2]
        ([[1], [2], [1, 1], [1, 1, 1]], [([1], 3), ([1], 2), ([1], 1), ([2], 1)]),
    ],
)
def test_what_prompts_have_in_common_is_decoded_once_and_belongs_to_all(prompts, decoded):
    context, seen = FakeContext(), [[] for _ in prompts]
    run(context, [job(reads(prompt, into)) for prompt, into in zip(prompts, seen, strict=True)])
    (call,) = context.calls
    assert [(span.tokens, len(span.sequences)) for span in call] == decoded
    for prompt, [(row, token)] in zip(prompts, seen, strict=True):
        assert np.array_equal(row, row_of([*PREFIX, *prompt])) and token == NO_TOKEN


def test_equal_prompts_share_one_row_and_draw_for_themselves():
    context, said = FakeContext(), [[] for _ in range(7)]
    prompts = [[1, 2]] * 6 + [[3]]
    run(context, [job(writes(prompts[seed], 1, seed, into)) for seed, into in enumerate(said)])
    (call,) = context.calls
    assert [(span.tokens, span.wants_logits) for span in call] == [([1, 2], True), ([3], True)]
    assert all(right for [(_, right)] in said)
    assert len({token for [(token, _)] in said[:6]}) > 1


@pytest.mark.parametrize("slots", [1, 2, 3, 8])
@pytest.mark.parametrize("batch_tokens", [1, 2, 5, 32])
def test_what_a_program_draws_depends_neither_on_its_company_nor_on_the_size_of_a_call(slots, batch_tokens):
    prompts = [[n % 3, 1, *range(n)] for n in range(7)]

    def draws(numbers: Sequence[int], **how: int) -> list[list[int]]:
        said: list[list] = [[] for _ in numbers]
        context = FakeContext(batch_tokens=batch_tokens)
        jobs = [job(writes(prompts[n], 5, n, into)) for n, into in zip(numbers, said, strict=True)]
        assert_left_as_found(context, run(context, jobs, **how))
        assert all(right for tokens in said for _, right in tokens)
        return [[token for token, _ in tokens] for tokens in said]

    alone = [draws([n])[0] for n in range(7)]
    assert draws(range(7), slots=slots) == alone
    assert draws(range(7), slots=slots, refill=slots // 2) == alone
    assert draws([6, 2, 4], slots=slots) == [alone[n] for n in (6, 2, 4)]


def test_a_prompt_longer_than_a_call_is_decoded_in_parts():
    context, seen = FakeContext(batch_tokens=4), []
    run(context, [job(reads(list(range(10)), seen))])
    assert [[(span.position, span.tokens, span.wants_logits) for span in call] for call in context.calls] == [
        [(3, [0, 1, 2, 3], False)],
        [(7, [4, 5, 6, 7], False)],
        [(11, [8, 9], True)],
    ]
    assert len(seen) == 1


def test_no_more_sequences_than_slots_are_under_way():
    context, said = FakeContext(), [[] for _ in range(7)]
    run(context, [job(writes([n], 3, n, said[n])) for n in range(7)], slots=3)
    assert [sum(len(span.sequences) for span in call) for call in context.calls] == [3] * 6 + [1] * 3
    assert all(len(tokens) == 3 for tokens in said)


def test_jobs_start_again_when_so_many_sequences_are_left_as_refill_says():
    lengths = [1, 4, 4, 1]

    def company(refill: int) -> list[int]:
        context = FakeContext()
        jobs = [job(writes([n], length, n, [])) for n, length in enumerate(lengths)]
        run(context, jobs, slots=3, refill=refill)
        return [sum(len(span.sequences) for span in call) for call in context.calls]

    assert company(0) == [3, 2, 2, 2, 1]  # the fourth waits until all others have ended
    assert company(2) == [3, 3, 2, 2]  # it takes the place of the first


def test_those_under_way_come_before_those_that_have_just_started():
    context = FakeContext()
    run(context, [job(writes([n], length, n, [])) for n, length in enumerate([1, 4, 3])], slots=2, refill=2)
    order = [[seq_id for span in call for seq_id in span.sequences] for call in context.calls]
    assert order == [[1, 2], [2, 1], [2, 1], [2, 1]]  # the third job has the number of the first


@pytest.mark.parametrize(("batch_tokens", "calls"), [(32, [1, 4, 1]), (3, [1, 3, 1, 1])])
def test_a_job_wider_than_the_slots_runs_alone_and_one_wider_than_a_call_takes_turns(batch_tokens, calls):
    context, said = FakeContext(batch_tokens=batch_tokens), [[] for _ in range(5)]
    parts = [writes_on([5], n, said[n]) for n in range(4)]
    wide = job(branches([5], parts), width=4, max_width=4)
    scheduler = run(context, [wide, job(writes([6], 1, 4, said[4]))], slots=1)
    assert [sum(len(span.sequences) for span in call) for call in context.calls] == calls
    assert all(right for [(_, right)] in said)
    assert_left_as_found(context, scheduler)


def test_a_job_waits_for_the_cells_that_it_may_need():
    context = FakeContext(cells=len(PREFIX) + 25)
    said = [[], []]
    scheduler = run(context, [job(writes([n] * 5, 10, n, said[n]), cells=15) for n in range(2)])
    assert all(len(call) == 1 for call in context.calls)  # 30 cells do not fit into 25
    assert [len(tokens) for tokens in said] == [10, 10]
    assert_left_as_found(context, scheduler)


def test_a_job_waits_for_the_numbers_that_it_may_need():
    context = FakeContext(sequences=4)  # three beside the prefix
    parts = [[writes([n], 2, n, []) for n in range(2)] for _ in range(2)]
    scheduler = run(context, [job(branches([5 + n], part), width=1, max_width=2) for n, part in enumerate(parts)])
    assert max(sum(len(span.sequences) for span in call) for call in context.calls) == 2
    assert_left_as_found(context, scheduler)


def test_a_program_that_ends_at_once_frees_its_cells_and_number_for_the_next():
    context, seen = FakeContext(cells=len(PREFIX) + 6), []
    scheduler = run(context, [job(reads([n] * 6, seen), cells=6) for n in range(4)], slots=1)
    assert len(seen) == 4
    assert [span.sequences for call in context.calls for span in call] == [[1]] * 4
    assert_left_as_found(context, scheduler)


def test_branches_share_the_cells_they_come_from_and_the_first_stays_in_place():
    context, said = FakeContext(), [[], [], []]
    parts = [writes_on([4] * 9, n, said[n]) for n in range(3)]
    scheduler = run(context, [job(branches([4] * 9, parts), max_width=3)])
    read, written = context.calls
    assert [span.sequences for span in read] == [[1]] and [span.sequences for span in written] == [[1], [2], [3]]
    assert context.most == len(PREFIX) + 9 + 3
    assert all(right for [(_, right)] in said)
    assert_left_as_found(context, scheduler)


def test_a_job_holds_its_cells_until_its_last_branch_has_ended():
    order: list[str] = []

    def named(name: str, count: int) -> Program:
        tokens = [1]
        for _ in range(count):
            _, token = yield Feed(tokens, sampler(1))
            tokens = [token]
        order.append(name)
        return []

    context = FakeContext(cells=len(PREFIX) + 20)
    first = job(branches([3], [named("short", 1), named("long", 6)]), cells=15, max_width=2)
    scheduler = run(context, [first, job(named("next", 1), cells=15)], refill=8)
    assert order == ["short", "long", "next"]
    assert_left_as_found(context, scheduler)


def test_a_banned_token_is_never_sent_and_one_that_may_stand_is_not_drawn_again():
    banned = np.zeros(VOCABULARY, bool)
    banned[2:] = True
    drawn = []

    def picky(seed: int, mask: np.ndarray | None) -> Iterator[Feed]:
        own = sampler(seed, temperature=3.0)
        for _ in range(10):
            _, token = yield Feed([1], own, banned=mask)
            drawn.append(token)
        return []

    run(FakeContext(), [job(picky(seed, banned)) for seed in range(8)])
    assert set(drawn) == {0, 1}
    drawn.clear()
    run(FakeContext(), [job(picky(3, None))])
    free = list(drawn)
    drawn.clear()
    run(FakeContext(), [job(picky(3, np.zeros(VOCABULARY, bool)))])
    assert drawn == free


def test_the_same_jobs_are_decoded_by_the_same_calls_whatever_ran_before():
    def jobs() -> list[Job]:
        parts = [writes([2], 3, n, []) for n in range(2)]
        return [job(writes([1, n], n + 1, n, [])) for n in range(4)] + [job(branches([3, 3], parts), max_width=2)]

    fresh, used = FakeContext(), FakeContext()
    run(fresh, jobs(), slots=3, refill=1)
    run(used, [job(writes([9], n + 2, n, [])) for n in range(5)], refill=2)
    used.calls.clear()
    run(used, jobs(), slots=3, refill=1)
    assert used.calls == fresh.calls
