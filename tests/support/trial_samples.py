"""Selections and samples of trials with so many right and wrong."""

from collections.abc import Collection, Sequence

from tests.support.builders import NO_GUARD, candidates, ticket
from verdicts.config.load import CONFIGS, load
from verdicts.config.sections import TrialSection
from verdicts.guidance.sample import TrialSample, draw_sample
from verdicts.records.rollout import Selection
from verdicts.stage_b.selection import select

BASE = load("miniature", "bbu_line", configs=CONFIGS)
LIMITS = BASE.reflect.trial.model_copy(update={"errors": 48, "corrects": 48})


def selected(count: int, label: str, verdict: str, name: str = "t") -> list[Selection]:
    """Selections of tickets ``t0 …`` with one label and one verdict."""
    of = [ticket(f"{name}{number}", label) for number in range(count)]
    return [select(one, candidates(one, verdict), NO_GUARD) for one in of]


def drawn(
    selections: Sequence[Selection],
    limits: TrialSection = LIMITS,
    seed: str = "seed",
    shown: Collection[str] = (),
    gone: Collection[str] = (),
) -> TrialSample:
    """A sample of passes, none of which present guidance has changed but those that are ``gone``."""
    return draw_sample(
        selections,
        "pass",
        limits,
        seed,
        shown,
        lambda some: [selection for selection in some if selection.ticket_key not in gone],
    )


def passes(wrong: int, right: int) -> list[Selection]:
    """Passes: ``wrong`` with label fail (keys w0::fail …), ``right`` with label pass (r0::pass …)."""
    return selected(wrong, "fail", "pass", "w") + selected(right, "pass", "pass", "r")


def released(wrong: int, right: int) -> TrialSample:
    """A sample of so many passes."""
    return drawn(passes(wrong, right))
