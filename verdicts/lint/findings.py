"""The findings of a lint: how many rows of each kind, and the first of them."""

from collections import Counter
from pathlib import Path
from typing import Any, get_args

from verdicts.records.corpus import LintError, LintExample, LintFinding, LintWarning

LINT_ERRORS: tuple[LintError, ...] = get_args(LintError)
LINT_WARNINGS: tuple[LintWarning, ...] = get_args(LintWarning)


class Findings:
    """What was found, by kind. ``most``: examples that are kept of each."""

    def __init__(self, most: int):
        self._most = most
        self._rows: Counter[str] = Counter()
        self._examples: dict[str, list[LintExample]] = {}

    def add(self, kind: LintError | LintWarning, path: Path, line: int, what: str) -> None:
        """A row with a finding."""
        self._rows[kind] += 1
        kept = self._examples.setdefault(kind, [])
        if len(kept) < self._most:
            kept.append(LintExample(file=path.as_posix(), line=line, what=what))

    def of(self, kinds: tuple[Any, ...]) -> dict[Any, LintFinding]:
        """The findings of these kinds, those without a row left out."""
        return {
            kind: LintFinding(rows=self._rows[kind], examples=self._examples[kind])
            for kind in kinds
            if self._rows[kind]
        }
