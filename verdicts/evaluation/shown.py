"""Scores and their changes as the tables of the gates show them."""

from verdicts.records.evaluation import Difference, F1Record
from verdicts.stats.rates import Rate


def moved(by: Difference) -> str:
    """``-45.3 [-52.1, -38.6]``, in points."""
    if by.change is None or by.low is None or by.high is None:
        return "n/a"
    return f"{100 * by.change:+.1f} [{100 * by.low:+.1f}, {100 * by.high:+.1f}]"


def score_shown(score: Rate | F1Record) -> str:
    """``80.0% [49.0%, 94.3%] (8/10)``; for an F1 its hits, given and wanted."""
    if isinstance(score, F1Record):
        if score.f1 is None:
            return f"n/a (0 wanted, {score.given} given)"
        return f"{score.f1:.1%} ({score.hits} of {score.given} given, {score.wanted} wanted)"
    return str(score)
