"""What a rule between the files of a run is: it sees the records it asks for, and counts what was wrong."""

from pathlib import Path

from verdicts.base.errors import mistake
from verdicts.records.ticket_index import Numbers, Tickets
from verdicts.runs.reader import PlacedRecord, Problems, RunUnderCheck

REMAKE = "delete the file to have it made again"


def wrong(path: Path, line: int | None, field: str, what: str, todo: str) -> str:
    """A problem as a sentence."""
    return str(mistake(what, todo, path=path, line=line, field=field))


def wrong_row(row: PlacedRecord, field: str, what: str, todo: str) -> str:
    """The same of a record where it stands."""
    return wrong(row.path, row.line, field, what, todo)


class Rule:
    """One rule. ``says``: its line in the report; ``needs``: the run's own files without which it is not looked at.

    ``sees``: names of the files whose records it sees; empty: all files. ``rounds/*/guidance.json`` names the
    file of every round.
    """

    says: str
    needs: frozenset[str] = frozenset()
    sees: tuple[str, ...] = ()

    def __init__(self, run: RunUnderCheck):
        self.run, self.looked, self.problems = run, 0, Problems()

    @property
    def tickets(self) -> Tickets:
        """The run's tickets. No rule is shown a record before they were read without a mistake."""
        assert self.run.tickets is not None
        return self.run.tickets

    @property
    def numbers(self) -> Numbers:
        """Numbers of ticket keys, also of keys that no ticket has."""
        assert self.run.numbers is not None
        return self.run.numbers

    def found(self, problem: str | None) -> None:
        """Count one thing that was looked at: None where all is well, else the problem as a sentence."""
        self.looked += 1
        if problem:
            self.problems.add(problem)

    def see(self, row: PlacedRecord) -> None:
        """Look at one record."""

    def end(self) -> None:
        """Look at what only the whole run shows."""
