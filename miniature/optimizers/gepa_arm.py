"""GEPA 0.1.4 (L. A. Agrawal et al., 2025): a pool of candidates, Pareto selection, minibatch and full evaluation.

Its ``cache_evaluation`` stays off: a ticket's place in the training list and in the validation list are the same key
there, so a cached score of one would be taken for the other.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from miniature.optimizers.arm import Found, Rules, Task, halves, propose, verdicts, wrong_groups
from miniature.optimizers.budget import BudgetSpent, Counted
from verdicts.engines import Engine
from verdicts.records.tickets import StageA

_PART = "guidance"  # the one text that GEPA evolves: a rule a line


@dataclass(frozen=True)
class Gepa:
    """GEPA with what may be tuned of it; the defaults here are its own, and half of the tickets are its valset."""

    minibatch: int = 3
    val_share: float = 0.5
    selector: str = "pareto"
    accept: str = "strict_improvement"

    def search(self, task: Task, engine: Counted, seed: int) -> Iterator[Found]:
        """As Arm.search."""
        import gepa

        train, val = halves(task.tickets, self.val_share, seed)
        last = _Last()
        proposer = _Proposer(task, engine, seed)
        with suppress(BudgetSpent):
            gepa.optimize(
                seed_candidate={_PART: ""},
                trainset=train,
                valset=val,
                adapter=_Adapter(task, engine),
                custom_candidate_proposer=proposer,
                candidate_selection_strategy=self.selector,
                reflection_minibatch_size=self.minibatch,
                acceptance_criterion=self.accept,
                stop_callbacks=[last, lambda _: engine.spent],
                cache_evaluation=False,
                logger=_Silent(),
                seed=seed,
            )
        yield Found(last.best(), val)


class _Adapter:
    """What GEPA asks of a system: scores of a candidate, and which tickets reflection is shown."""

    propose_new_texts = None

    def __init__(self, task: Task, engine: Engine):
        self.task, self.engine = task, engine

    def evaluate(self, batch: Sequence[StageA], candidate: Mapping[str, str], capture_traces: bool = False) -> Any:
        from gepa.core.adapter import EvaluationBatch

        said = verdicts(self.task, self.engine, candidate[_PART].splitlines(), batch)
        scores = [float(verdict == ticket.label) for verdict, ticket in zip(said, batch, strict=True)]
        return EvaluationBatch(said, scores, trajectories=list(batch) if capture_traces else None)

    def make_reflective_dataset(
        self, candidate: Mapping[str, str], eval_batch: Any, components_to_update: Sequence[str]
    ) -> dict[str, list[dict[str, StageA]]]:
        scored = zip(eval_batch.trajectories, eval_batch.scores, strict=True)
        return {_PART: [{"ticket": ticket} for ticket, score in scored if not score]}


class _Proposer:
    """Reflection on the wrong tickets of a minibatch."""

    def __init__(self, task: Task, engine: Engine, seed: int):
        self.task, self.engine, self.seed, self.calls = task, engine, seed, 0

    def __call__(
        self, candidate: Mapping[str, str], dataset: Mapping[str, Sequence[Mapping[str, Any]]], parts: Sequence[str]
    ) -> dict[str, str]:
        rules, self.calls = candidate[_PART].splitlines(), self.calls + 1
        groups = wrong_groups(self.task, [row["ticket"] for row in dataset[_PART]], most=4)
        after = propose(self.task, self.engine, rules, groups, f"gepa/{self.seed}/{self.calls}")
        return {} if after == rules else {_PART: "\n".join(after)}


class _Last:
    """Never stops GEPA, but sees its state before each iteration."""

    state: Any = None

    def __call__(self, state: Any) -> bool:
        self.state = state
        return False

    def best(self) -> Rules:
        """The rules of the best candidate on the valset, the earliest of equals; none where it scored none."""
        if self.state is None:
            return []
        scores = self.state.program_full_scores_val_set
        best = max(range(len(scores)), key=scores.__getitem__)
        return self.state.program_candidates[best][_PART].splitlines()


class _Silent:
    def log(self, message: str) -> None:
        """Say nothing."""
