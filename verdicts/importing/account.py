"""The account of an import: what became of each row, in counts that add up."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from verdicts.importing.findings import Mended, Unusable
from verdicts.importing.rows import Example
from verdicts.records.imports import ImportReport, Lengths

RowKind = Literal["dense_and_summary", "dense_only", "summary_only", "irrelevant", "chat"]
SAID: dict[RowKind, str] = {
    "dense_and_summary": "with objects and summary",
    "dense_only": "with objects alone",
    "summary_only": "with a summary alone",
    "irrelevant": "irrelevant",
    "chat": "chat",
}


@dataclass
class ImportAccount:
    """Counts of rows, kept while they are read and written."""

    files: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    repairs: Counter[str] = field(default_factory=Counter)
    repaired: int = 0
    objects: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    domains: Counter[str] = field(default_factory=Counter)
    prompts: dict[str, str] = field(default_factory=dict)
    reordered: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    groups: set[str] = field(default_factory=set)
    groups_held_out: set[str] = field(default_factory=set)
    written: Counter[str] = field(default_factory=Counter)
    lengths: dict[str, Counter[int]] = field(default_factory=dict)

    def take(self, example: Example | None, mended: Mended) -> None:
        """Count a row that is imported; ``example`` None for a conversation."""
        self.kinds[row_kind(example)] += 1
        self.repaired += bool(mended)
        self.repairs.update(one.repair for one in mended)
        if example:
            self.objects.update(thing.kind for thing in example.objects)
            self.words.update([example.words] if example.words else [])
            self.domains[example.domain] += 1
            self.reordered += example.reordered

    def refuse(self, why: Unusable) -> None:
        """Count a row that is not."""
        self.reasons[why.reason] += 1

    def measure(self, task: str, answer: str) -> None:
        """Count the length of an answer."""
        self.lengths.setdefault(task, Counter())[len(answer)] += 1

    def report(self, name: str) -> ImportReport:
        """The account as a record."""
        kinds = {kind: self.kinds[kind] for kind in SAID}
        return ImportReport.model_validate(
            {
                "name": name,
                "files": dict(self.files),
                "rows_in": sum(self.files.values()),
                **kinds,
                "refused": self.reasons.total(),
                "refused_by_reason": dict(sorted(self.reasons.items())),
                "repaired": self.repaired,
                "repairs": dict(sorted(self.repairs.items())),
                "objects": dict(sorted(self.objects.items())),
                "words": dict(sorted(self.words.items())),
                "domains": dict(sorted(self.domains.items())),
                "prompts": dict(sorted(self.prompts.items())),
                "reordered": self.reordered,
                "ignored_fields": dict(sorted(self.ignored.items())),
                "groups": len(self.groups),
                "groups_held_out": len(self.groups_held_out),
                "written": dict(self.written),
                "lengths": {task: lengths_of(counts) for task, counts in sorted(self.lengths.items())},
            }
        )


def row_kind(example: Example | None) -> RowKind:
    """What a row gives."""
    if example is None:
        return "chat"
    if example.irrelevant:
        return "irrelevant"
    if example.objects and example.summary:
        return "dense_and_summary"
    return "dense_only" if example.objects else "summary_only"


def lengths_of(counts: Counter[int]) -> Lengths:
    """Length -> how many answers have it, as a record."""
    total, seen, at_most = counts.total(), 0, []
    for length in sorted(counts):
        seen += counts[length]
        at_most.append((seen / total, length))
    median, p95, p99 = (next(length for share, length in at_most if share >= wanted) for wanted in (0.5, 0.95, 0.99))
    return Lengths(median=median, p95=p95, p99=p99, longest=max(counts))


def account_sentence(report: ImportReport) -> str:
    """The counts: rows read = what each kind gave + refused; repaired; what was written."""
    parts = [f"{getattr(report, kind)} {said}" for kind, said in SAID.items()]
    reasons, repairs = words_of(report.refused_by_reason), words_of(report.repairs)
    learnt = [f"{count} {name.removesuffix('.jsonl')}" for name, count in report.written.items() if "/" not in name]
    asked = [
        f"{count} {name.removeprefix('held_out/').removesuffix('.jsonl')}"
        for name, count in report.written.items()
        if "/" in name
    ]
    return (
        f"import {report.name}: {report.rows_in} rows read = {' + '.join(parts)} + {report.refused} refused{reasons}; "
        f"{report.repaired} repaired{repairs}; {', '.join(learnt)} rows to learn from; {' and '.join(asked)} questions "
        f"of {report.groups_held_out} of {report.groups} groups"
    )


def words_of(counts: Mapping[Any, int]) -> str:
    """`` (odd_length 3, photo_size 1)``, most first; nothing for none."""
    most = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return f" ({', '.join(f'{word} {count}' for word, count in most)})" if counts else ""
