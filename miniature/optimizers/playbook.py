"""An ACE-like playbook (Q. Zhang et al., Agentic Context Engineering, 2025): bullets with helpful and harmful counters.

Tickets come in small batches. A rule that a right verdict cites is helpful, one that a wrong verdict cites harmful; in
ACE a model says so, which the miniature cannot. What reflection proposes of the wrong ones enters without a trial. A
rule leaves once it is harmful often enough, and more often than helpful.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from miniature.optimizers.arm import Found, Rules, Task, batches, guarded, propose, wrong_groups
from verdicts.engines import Decode, Engine
from verdicts.stage_b.protocol import cited_rules, parse


@dataclass(frozen=True)
class Playbook:
    """``batch``: tickets between two updates. ``epochs``: passes over all tickets, at most."""

    batch: int = 16
    epochs: int = 5
    min_harmful: int = 2

    def search(self, task: Task, engine: Engine, seed: int) -> Iterator[Found]:
        """As Arm.search."""
        rng, rules, helpful, harmful = Random(f"playbook/{seed}"), Rules(), Counter[str](), Counter[str]()
        decode = Decode(0.0, 1.0, task.config.rollout.max_new_tokens, seed)
        updates = (batch for _ in range(self.epochs) for batch in batches(task.tickets, self.batch, rng))
        for number, batch in enumerate(updates):
            system = task.prompts.stage_b_system(task.guidance(rules).experiences)
            users = [task.prompts.stage_b_user(ticket.per_image) for ticket in batch]
            wrong = []
            for ticket, (answer,) in zip(batch, engine.rollout(system, users, [[decode]] * len(batch)), strict=True):
                said = parse(answer.text)
                if not said.verdict:
                    continue
                right = guarded(task, ticket, said.verdict) == ticket.label
                numbers = (int(key[1:]) for key in cited_rules(said.reason or ""))
                (helpful if right else harmful).update(rules[n - 1] for n in numbers if 1 <= n <= len(rules))
                if not right:
                    wrong.append(ticket)
            added = propose(task, engine, rules, wrong_groups(task, wrong, most=4), f"playbook/{seed}/{number}")
            left = [text for text in added if self.min_harmful <= harmful[text] > helpful[text]]
            rules = [text for text in added if text not in left]
            for text in left:
                del helpful[text], harmful[text]
            yield Found(rules, task.tickets)
