"""Updates like Training-Free GRPO's (Tencent Youtu Lab, 2025): experience from groups of rollouts that disagree.

Each ticket is answered several times. Where some answers are right and some wrong, reflection is shown the ticket, the
losing verdict and the label; what it proposes enters the experience, without a trial.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from miniature.optimizers.arm import Found, Rules, Task, batches, guarded, propose, wrong_groups
from verdicts.engines import Engine
from verdicts.rounds.trajectories import decodes_for
from verdicts.stage_b.protocol import parse


@dataclass(frozen=True)
class GroupRelative:
    """``epochs`` as in the paper. ``all_wrong``: show groups without a right answer too, unlike GRPO."""

    batch: int = 32
    epochs: int = 3
    all_wrong: bool = False

    def search(self, task: Task, engine: Engine, seed: int) -> Iterator[Found]:
        """As Arm.search."""
        rng, rules = Random(f"group_relative/{seed}"), Rules()
        updates = (batch for _ in range(self.epochs) for batch in batches(task.tickets, self.batch, rng))
        for number, batch in enumerate(updates):
            system = task.prompts.stage_b_system(task.guidance(rules).experiences)
            users = [task.prompts.stage_b_user(ticket.per_image) for ticket in batch]
            decodes = [decodes_for(ticket, task.config.rollout) for ticket in batch]
            shown = []
            for ticket, answers in zip(batch, engine.rollout(system, users, decodes), strict=True):
                said = [verdict for answer in answers if (verdict := parse(answer.text).verdict)]
                right = [guarded(task, ticket, verdict) == ticket.label for verdict in said]
                if not all(right) and (self.all_wrong or any(right)):
                    shown.append(ticket)
            rules = propose(task, engine, rules, wrong_groups(task, shown, most=4), f"group_relative/{seed}/{number}")
            yield Found(rules, task.tickets)
