"""What each step of a run took: seconds and tokens, from the lines that tools leave in its run.log.

    2026-01-31T12:00:00 took rollout: 12.3 s, 34567 tokens read, 8910 written

A step that was stopped or failed has its line too; one that was killed outright has none. No record holds a time, so
that the same run has the same bytes: only the log knows.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from verdicts.runs.cost import amount, duration

_LINE = re.compile(r"\S+ took ([a-z_]+): ([0-9]+\.[0-9]) s, ([0-9]+) tokens read, ([0-9]+) written")
# in the order of the chain; others follow
STEPS_IN_ORDER = (
    "summarize", "rollout", "reflect", "apply", "next_round", "collect", "aggregate_review", "baseline", "distill",
    "fuse", "sft", "evaluate", "gate", "predict",
)  # fmt: skip


@dataclass
class StepSpent:
    """``calls`` of a tool, their seconds together, and tokens that models read and wrote for them."""

    step: str
    calls: int = 0
    seconds: float = 0.0
    read: int = 0
    written: int = 0

    @property
    def rate(self) -> float | None:
        """Tokens a second, read and written together; None where no model was asked."""
        tokens = self.read + self.written
        return tokens / self.seconds if tokens and self.seconds else None


def read_spent(run_dir: Path) -> list[StepSpent]:
    """What each step took so far, in the order of the chain; empty for a run whose log says nothing of it."""
    path = run_dir / "run.log"
    return spent_of(path.read_text(encoding="utf-8", errors="replace").splitlines()) if path.is_file() else []


def spent_of(lines: Iterable[str]) -> list[StepSpent]:
    """The same of a log's lines; those that say something else are passed by."""
    found: dict[str, StepSpent] = defaultdict(lambda: StepSpent(""))
    for line in lines:
        if said := _LINE.fullmatch(line.strip()):
            one = found[said[1]]
            one.step = said[1]
            one.calls += 1
            one.seconds += float(said[2])
            one.read += int(said[3])
            one.written += int(said[4])
    known = {step: place for place, step in enumerate(STEPS_IN_ORDER)}
    return sorted(found.values(), key=lambda one: (known.get(one.step, len(known)), one.step))


def all_steps(steps: Iterable[StepSpent]) -> StepSpent:
    """All of them together."""
    whole = StepSpent("all")
    for one in steps:
        whole.calls, whole.seconds = whole.calls + one.calls, whole.seconds + one.seconds
        whole.read, whole.written = whole.read + one.read, whole.written + one.written
    return whole


def spent_cells(steps: list[StepSpent]) -> Iterator[tuple[str, ...]]:
    """Rows of a table: step, calls, time, tokens read, tokens written, tokens a second; the last row is all of them."""
    for one in [*steps, all_steps(steps)] if steps else []:
        asked = one.read or one.written
        yield (
            one.step, str(one.calls), duration(one.seconds) if one.seconds >= 10 else f"{one.seconds:.1f} s",
            amount(one.read) if asked else "–", amount(one.written) if asked else "–",
            amount(one.rate) if one.rate and one.step != "all" else "–",
        )  # fmt: skip
