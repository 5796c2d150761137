"""Which rows a training step sees, and its learning rate: pure functions of config and seed.

A step takes ``accumulate`` x processes x ``batch_rows`` rows of a seeded order in which every task is spread evenly, so
that each step has nearly the file's own mixture: the loss is a mean over a step's learnt tokens, and the shares of
loss that fusion counts hold only where tasks meet in a step. Rows of similar length then come together *within* a
step: sorted by length and cut into its batches, neighbours on all processes at a time, so that none waits.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, cos, pi
from random import Random

from verdicts.config.sections import SftSection


def spread_tasks(tasks: Sequence[str], seed: int, epoch: int) -> list[int]:
    """A seeded permutation of ``range(len(tasks))`` in which the rows of each task stand at even distances."""
    random, placed = Random(f"{seed}:{epoch}"), []
    for task in sorted(set(tasks)):
        rows = [index for index, name in enumerate(tasks) if name == task]
        random.shuffle(rows)
        shift = random.random()
        placed += [((at + shift) / len(rows), index) for at, index in enumerate(rows)]
    return [index for _, index in sorted(placed)]


class StepPlan:
    """The steps of a run over rows with these tasks and lengths (tokens).

    The last step is filled from the next epoch's order.
    """

    def __init__(self, tasks: Sequence[str], lengths: Sequence[int], config: SftSection, processes: int) -> None:
        self.lengths, self.config, self.processes = lengths, config, processes
        self.rows_per_step = config.batch_rows * config.accumulate * processes
        self.steps = ceil(config.epochs * len(tasks) / self.rows_per_step)
        self._order = lru_cache(maxsize=2)(lambda epoch: spread_tasks(tasks, config.seed, epoch))

    def drawn(self, step: int) -> list[int]:
        """The rows of a step (from 0), as they are drawn."""
        count = len(self.lengths)
        places = range(step * self.rows_per_step, (step + 1) * self.rows_per_step)
        return [self._order(at // count)[at % count] for at in places]

    def rows(self, step: int) -> list[int]:
        """The rows of a step (from 0), shortest first."""
        return sorted(self.drawn(step), key=lambda row: (self.lengths[row], row))

    def batches(self, step: int, process: int) -> list[list[int]]:
        """The step's batches that are this process's, one after another: ``accumulate`` of ``batch_rows`` rows."""
        rows, size = self.rows(step), self.config.batch_rows
        return [rows[at : at + size] for at in range(process * size, len(rows), self.processes * size)]


def learning_rate(step: int, steps: int, config: SftSection) -> float:
    """Rate of a step (from 0): linear up to the peak over ``warmup_share`` of the steps, then half a cosine towards 0.

    The cosine is that of Loshchilov & Hutter 2017.
    """
    warm = ceil(config.warmup_share * steps)
    if step < warm:
        return config.learning_rate * (step + 1) / warm
    return config.learning_rate * (1 + cos(pi * (step - warm) / (steps - warm))) / 2
