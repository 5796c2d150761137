"""The audit sample: what people said of the teacher's answers, and how often these were wrong.

Review looks at tickets on which label and teacher differ. Where both are wrong together nobody would look: for that a
mission of high risk has a sample of all answers, kept or dropped (distill.audit.jsonl).

    right           the answer is right
    reason_wrong    the verdict is right, its reason is not
    verdict_wrong   the verdict is wrong, whatever the label says
    unsure          cannot be told

An answer leaves the corpus only where the person says ``drop`` as well. A decision belongs to the answer that it was
made of: where the teacher answers otherwise by now, it counts no longer, and says so.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, get_args

from verdicts.base.errors import mistake, stands_twice
from verdicts.base.jsonl import read_numbered, read_rows
from verdicts.records.corpus import AuditDecision, AuditRow, AuditWord
from verdicts.records.tickets import Verdict
from verdicts.stats.rates import Rate, wilson

SAMPLE, KEPT = "distill.audit.jsonl", "audit_decisions.jsonl"


def is_audited(path: Path) -> bool:
    """Whether the first row of a file of decisions is about an audit."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = next((line for line in file if line.strip()), "")
        row = json.loads(first)
    except (OSError, ValueError, RecursionError):
        return False  # whoever reads it says what is wrong
    return isinstance(row, dict) and "audit" in row


def read_sample(run_dir: Path) -> dict[str, AuditRow]:
    """The sample by ticket_key, in its order; none where the run has none."""
    path = run_dir / SAMPLE
    rows = read_rows(path, AuditRow, allow_empty=True) if path.exists() else []
    return {row.ticket_key: row for row in rows}


def read_audited(path: Path, sample: Mapping[str, AuditRow] | None = None) -> dict[str, AuditDecision]:
    """Decisions by ticket_key. ``sample``: refuses tickets that are not in it, and completes decisions made by hand,
    which do not say of which answer, from it.

    Raises UserError naming the line, also for a second decision of a ticket.
    """
    seen: dict[str, int] = {}
    found: dict[str, AuditDecision] = {}
    for line, said in read_numbered(path, AuditDecision, allow_empty=True):
        key = said.ticket_key
        if key in seen:
            raise stands_twice(repr(key), seen[key], path=path, line=line, field="ticket_key")
        if sample is not None and key not in sample:
            what = f"no ticket {key!r} in this run's audit sample"
            raise mistake(what, "correct the key or delete the line", path=path, line=line, field="ticket_key")
        if sample is not None and said.verdict is None:
            said = said.model_copy(update={"verdict": sample[key].verdict, "reason": sample[key].reason})
        seen[key], found[key] = line, said
    return found


def is_of(said: AuditDecision, verdict: Verdict, reason: str) -> bool:
    """Whether a decision is about this answer."""
    return (said.verdict, said.reason) == (verdict, reason)


class AuditResult(NamedTuple):
    """What an audit came to. ``told``: decisions by word, of answers that stand; ``stale``: on answers that do not.

    ``wrong``: wrong verdicts among those that were told right or wrong; ``by_verdict``: the same of each verdict (of
    passes it is what is released wrongly). ``faulty``: wrong verdicts or wrong reasons. ``dropped``: answers to leave
    out of the corpus.
    """

    sampled: int
    told: dict[AuditWord, int]
    stale: int
    wrong: Rate
    faulty: Rate
    by_verdict: dict[Verdict, Rate]
    dropped: int

    @property
    def decided(self) -> int:
        """Tickets of the sample whose answer somebody looked at."""
        return sum(self.told.values())

    def __str__(self) -> str:
        told = ", ".join(f"{number} {word}" for word, number in self.told.items() if number)
        rest = f"; {self.stale} decisions on answers that have changed since" if self.stale else ""
        part = " (only a part of the sample)" if 0 < self.decided < self.sampled else ""
        rates = (
            f"; wrong verdicts {self.wrong}, of passes {self.by_verdict['pass']}, wrong verdicts or reasons "
            f"{self.faulty}{part}"
            if self.wrong.n
            else ""
        )
        dropped = f"; {self.dropped} to leave out of the corpus" if self.dropped else ""
        return (
            f"audit: {self.decided} of {self.sampled} sampled answers decided" + (f" ({told})" if told else "")
        ) + f"{rates}{dropped}{rest}"


def audit_result(sample: Mapping[str, AuditRow], said: Collection[AuditDecision]) -> AuditResult:
    """Count decisions on a sample. Those on tickets that are in it no more are stale too."""
    current = [one for one in said if one.ticket_key in sample]
    current = [one for one in current if is_of(one, sample[one.ticket_key].verdict, sample[one.ticket_key].reason)]
    words = Counter(one.audit for one in current)
    judged = [one for one in current if one.audit != "unsure"]

    def share(rows: list[AuditDecision], *bad: AuditWord) -> Rate:
        return wilson(sum(one.audit in bad for one in rows), len(rows))

    return AuditResult(
        sampled=len(sample),
        told={word: words[word] for word in get_args(AuditWord)},
        stale=len(said) - len(current),
        wrong=share(judged, "verdict_wrong"),
        faulty=share(judged, "verdict_wrong", "reason_wrong"),
        by_verdict={
            side: share([one for one in judged if one.verdict == side], "verdict_wrong") for side in get_args(Verdict)
        },
        dropped=sum(one.drop for one in current),
    )


def read_audit_result(run_dir: Path) -> AuditResult | None:
    """How the audit of a run stands; None where nothing was sampled."""
    sample, kept = read_sample(run_dir), run_dir / KEPT
    if not sample:
        return None
    return audit_result(sample, read_audited(kept).values() if kept.exists() else [])


def merge_audited(before: Mapping[str, AuditDecision], given: Mapping[str, AuditDecision]) -> Iterator[AuditDecision]:
    """All decisions, sorted by ticket; a given one replaces the one before."""
    return (said for _, said in sorted({**before, **given}.items()))


def audited_changes(before: Mapping[str, AuditDecision], given: Mapping[str, AuditDecision]) -> str:
    """What a merge does, counted: ``3 given = 1 new + 1 changed + 1 unchanged; 4 others kept``."""
    words = [
        "new" if key not in before else "unchanged" if before[key] == said else "changed" for key, said in given.items()
    ]
    parts = " + ".join(f"{words.count(word)} {word}" for word in ("new", "changed", "unchanged"))
    return f"{len(given)} given = {parts}; {len(before.keys() - given.keys())} others kept"
