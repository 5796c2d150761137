"""A rule list from the facts themselves: RIPPER (W. W. Cohen, 1995) by the package wittgenstein.

Features of a ticket: what its summaries say of which object, remarks, fewer photos than 2, 3 or 4, and the teacher's
verdict under the checklist alone (one call a ticket), so that rules amend the checklist as guidance does. What comes
out is a classifier of its own. It is no guidance: no student can be shown it, and its verdicts have no reason.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from miniature.optimizers.arm import Found, Task, verdicts
from verdicts.engines import Engine
from verdicts.facts.summary import read_summary
from verdicts.records.tickets import StageA

_LABEL, _TEACHER = "label", "teacher fails it"


@dataclass(frozen=True)
class RuleList:
    """``seen``: tickets that a feature has to hold in, and be missing in. ``k``: rounds of RIPPER's optimisation."""

    seen: int = 5
    k: int = 2

    def search(self, task: Task, engine: Engine, seed: int) -> Iterator[Found]:
        """As Arm.search."""
        import pandas
        import wittgenstein

        said = verdicts(task, engine, [], task.tickets)
        rows = [features(ticket) for ticket in task.tickets]
        counted = Counter(name for row in rows for name in row)
        columns = sorted(name for name, n in counted.items() if self.seen <= n <= len(rows) - self.seen)
        frame = pandas.DataFrame(_table(rows, said, columns))
        frame[_LABEL] = [ticket.label for ticket in task.tickets]
        ripper = wittgenstein.RIPPER(k=self.k, random_state=seed)
        ripper.fit(frame, class_feat=_LABEL, pos_class="fail")

        def decide(engine: Engine, tickets: Sequence[StageA]) -> list[str]:
            given = verdicts(task, engine, [], tickets)
            table = pandas.DataFrame(_table([features(ticket) for ticket in tickets], given, columns))
            return ["fail" if fails else "pass" for fails in ripper.predict(table)]

        rules = ["; ".join(f"{cond.feature}={cond.val}" for cond in rule.conds) for rule in ripper.ruleset_.rules]
        yield Found(rules, task.tickets, decide)


def features(ticket: StageA) -> set[str]:
    """What holds of a ticket."""
    found = {f"fewer than {photos} photos" for photos in (2, 3, 4) if len(ticket.per_image) < photos}
    for summary in ticket.per_image.values():
        read = read_summary(summary)
        found.update(f"remark {remark}" for remark in read.remarks)
        for fact in read.facts:
            for name in fact.objects:
                found.add(name)
                found.update(f"{name}/{value}" for _, value in fact.attributes)
    return found


def _table(rows: Sequence[set[str]], said: Sequence[str], columns: Sequence[str]) -> dict[str, Any]:
    table = {name: [int(name in row) for row in rows] for name in columns}
    return {_TEACHER: [int(verdict == "fail") for verdict in said], **table}
