"""Two evaluations where an operating point decides the second: verdicts at its threshold, without its own groups."""

from collections.abc import Sequence

from verdicts.evaluation.operating_point import group_name
from verdicts.evaluation.pairs import Pairs
from verdicts.evaluation.scores import tally
from verdicts.records.evaluation import Evaluation, OperatingPoint, ScoredAnswer
from verdicts.stage_b.threshold import by_chance_of_fail


def pairs_at_point(pairs: Pairs, point: OperatingPoint) -> tuple[Pairs, int]:
    """The pairs as the point decides them, and how many tickets are left out: those of the groups that chose it."""
    chose = set(point.groups)
    kept = [
        (old, decided(new, point.threshold))
        for old, new in pairs
        if old.task != "chat" or group_name(old.group_id) not in chose
    ]
    return kept, len(pairs) - len(kept)


def decided(row: ScoredAnswer, threshold: float) -> ScoredAnswer:
    """An answer with the verdict that the threshold gives; without a verdict or P(fail) there is none."""
    if row.task != "chat":
        return row
    verdict = by_chance_of_fail(threshold, row.p_fail) if row.verdict and row.p_fail is not None else None
    return row.model_copy(update={"verdict": verdict, "right": verdict == row.label})


def scored_again(evaluation: Evaluation, answers: Sequence[ScoredAnswer]) -> Evaluation:
    """An evaluation with the scores of these answers."""
    tickets, chat, summary, dense = tally(answers)
    return evaluation.model_copy(update={"tickets": tickets, "chat": chat, "summary": summary, "dense": dense})
