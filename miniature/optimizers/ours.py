"""Our loop: rollouts, reflection, trials, rules that earn or leave (docs/guidance.md)."""

from collections.abc import Iterator
from dataclasses import dataclass

from miniature.optimizers.arm import Found, Task
from verdicts.engines import Engine
from verdicts.measure.rehearsal import rounds_in_memory, with_seed
from verdicts.rounds.holdout import is_held_out


@dataclass(frozen=True)
class Ours:
    """As shipped; the rules are those after its last whole round."""

    def search(self, task: Task, engine: Engine, seed: int) -> Iterator[Found]:
        """As Arm.search."""
        held_out = [ticket for ticket in task.tickets if is_held_out(ticket.group_id, task.config.learn)]
        for done in rounds_in_memory(with_seed(task.config, seed), engine, task.tickets):
            yield Found(done.rules, held_out)
