"""Search that learns nothing from what it tried: best of n, and random edits."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from random import Random

from miniature.optimizers.arm import Found, Rules, Task, halves, propose, share_right, verdicts, wrong_groups
from verdicts.engines import Engine


@dataclass(frozen=True)
class BestOfN:
    """Guidance after guidance, each from the checklist by ``steps`` reflections; the best on the validation half stays.

    ``batch``: tickets whose errors one reflection is shown.
    """

    steps: int = 2
    batch: int = 32
    val_share: float = 0.5

    def search(self, task: Task, engine: Engine, seed: int) -> Iterator[Found]:
        """As Arm.search: until the budget is spent."""
        rng = Random(f"best_of_n/{seed}")
        train, val = halves(task.tickets, self.val_share, seed)
        best = share_right(verdicts(task, engine, [], val), val)
        yield Found([], val)
        for number in count():
            rules = Rules()
            for step in range(self.steps):
                batch = rng.sample(train, min(self.batch, len(train)))
                said = verdicts(task, engine, rules, batch)
                wrong = [ticket for ticket, verdict in zip(batch, said, strict=True) if verdict != ticket.label]
                groups = wrong_groups(task, wrong, most=1)
                rules = propose(task, engine, rules, groups, f"best_of_n/{seed}/{number}/{step}")
            score = share_right(verdicts(task, engine, rules, val), val)
            if score > best:
                best = score
                yield Found(rules, val)


@dataclass(frozen=True)
class RandomEdits:
    """Add, drop or replace a rule at random; kept where it is better on a fresh sample of ``sample`` tickets.

    It draws from the grammar of the miniature's worlds: a prior that no real mission has.
    """

    sample: int = 32

    def search(self, task: Task, engine: Engine, seed: int) -> Iterator[Found]:
        """As Arm.search: until the budget is spent."""
        rng, rules = Random(f"random_edits/{seed}"), Rules()
        while True:
            yield Found(rules, task.tickets)
            edited = self._edit(task, rules, rng)
            tickets = rng.sample(task.tickets, min(self.sample, len(task.tickets)))
            before, after = (share_right(verdicts(task, engine, kept, tickets), tickets) for kept in (rules, edited))
            if after > before:
                rules = edited

    def _edit(self, task: Task, rules: Rules, rng: Random) -> Rules:
        edited = list(rules)
        kind = rng.choice(("add", "drop", "replace")) if rules else "add"
        if kind != "add":
            edited.pop(rng.randrange(len(edited)))
        if kind != "drop":
            edited.append(rng.choice([text for text in task.grammar if text not in rules]))
        return edited
