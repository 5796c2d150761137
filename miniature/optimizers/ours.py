"""Our loop: rollouts, reflection, trials, rules that earn or leave (docs/guidance.md)."""

from collections.abc import Iterator
from dataclasses import dataclass

from miniature.optimizers.arm import Found, Task
from verdicts.engines import Engine
from verdicts.measure.rehearsal import rounds_in_memory, with_seed
from verdicts.rounds.holdout import is_held_out


@dataclass(frozen=True)
class Ours:
    """As shipped, unless told otherwise; the rules are those after its last whole round.

    ``window``: tickets of a round, at most (window.tickets). ``draws``: reflect.draws.
    ``pool``: reflect.pool.candidates; -1: as shipped.
    """

    window: int = 0
    draws: int = 0
    pool: int = -1

    def search(self, task: Task, engine: Engine, seed: int) -> Iterator[Found]:
        """As Arm.search."""
        held_out = [ticket for ticket in task.tickets if is_held_out(ticket.group_id, task.config.learn)]
        config = with_seed(task.config, seed)
        window = config.window.model_copy(update={"tickets": self.window or config.window.tickets})
        pool = config.reflect.pool
        if self.pool >= 0:
            pool = pool.model_copy(update={"candidates": self.pool})
        reflect = config.reflect.model_copy(update={"draws": self.draws or config.reflect.draws, "pool": pool})
        config = config.model_copy(update={"window": window, "reflect": reflect})
        for done in rounds_in_memory(config, engine, task.tickets):
            yield Found(done.rules, held_out)
