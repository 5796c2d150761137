"""Rules that hold between the files of a run (docs/design.md §3 and §4), a module for each subject.

A rule sees the records of the files it asks for, one at a time and in the order of ``reader.read_run``. What it has to
remember of a ticket it keeps in columns by ticket number: a run may hold a million of them.
"""

from collections.abc import Callable, Iterator

from verdicts.corpus.distill import read_one_sided
from verdicts.records.synthetic import BANNER, is_synthetic
from verdicts.runs.checks.answers import LabelMatchIsRight, ValidAnswersKeepTheProtocol
from verdicts.runs.checks.corpus import CorpusSaysWhatWasSelected, SamePhotosSamePrompt, TrainAndValShareNoGroup
from verdicts.runs.checks.review import ReviewCountsItsTickets, ReviewHoldsTheUnsupported
from verdicts.runs.checks.rounds import OneGuidanceInAConvergedEpoch, RoundsFollowEachOther, RuleKeysAreNeverUsedAgain
from verdicts.runs.checks.rows import OneSelectionATicket, RowsStandOnce, TicketsAreKnown
from verdicts.runs.checks.rule import Rule
from verdicts.runs.reader import PlacedRecord, RunUnderCheck


def tickets_are_no_field_data(run: RunUnderCheck) -> str | None:
    """A warning where tickets were drawn."""
    return BANNER if is_synthetic(run.folder) else None


def corpus_has_two_sides(run: RunUnderCheck) -> str | None:
    """A warning where the student would see one verdict, or one label, alone."""
    missing = read_one_sided(run.folder / "distill.train.jsonl")
    return str(missing) if missing else None


WARNINGS: list[tuple[set[str], Callable[[RunUnderCheck], str | None]]] = [
    (set(), tickets_are_no_field_data),
    ({"distill.train.jsonl"}, corpus_has_two_sides),
]

RULES: tuple[type[Rule], ...] = (
    RoundsFollowEachOther,
    RuleKeysAreNeverUsedAgain,
    TicketsAreKnown,
    OneSelectionATicket,
    RowsStandOnce,
    ValidAnswersKeepTheProtocol,
    LabelMatchIsRight,
    OneGuidanceInAConvergedEpoch,
    ReviewHoldsTheUnsupported,
    ReviewCountsItsTickets,
    CorpusSaysWhatWasSelected,
    SamePhotosSamePrompt,
    TrainAndValShareNoGroup,
)


class Rules:
    """All rules, each shown the records it asks for."""

    def __init__(self, run: RunUnderCheck):
        self.run = run
        self._rules = [rule(run) for rule in RULES]
        self._by_name: dict[str, list[Rule]] = {}

    def see(self, row: PlacedRecord) -> None:
        """Show a record to the rules that look at its file."""
        name = row.name if row.round is None else f"rounds/*/{row.name}"
        if name not in self._by_name:
            self._by_name[name] = [rule for rule in self._rules if name in rule.sees or not rule.sees]
        for rule in self._by_name[name]:
            rule.see(row)

    def end(self) -> Iterator[Rule]:
        """The rules that could be looked at, done."""
        for rule in self._rules:
            if rule.needs <= self.run.found:
                rule.end()
                yield rule
