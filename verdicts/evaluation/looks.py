"""How often gates looked at the same held-out questions, and what a further look costs.

Students that are judged on the same questions until one passes will find one that passes by chance. So each look is
counted, by questions, student and threshold: the same student judged again is the same look. With ``gate.looks: spend``
look j is judged at the level 0.05 / (j (j + 1)). These levels sum to 0.05 over all looks there may ever be, so the
chance that any student is shown below a limit that it does not keep stays within 5 % (Bonferroni's inequality with
unequal levels; spending a level over looks: K. K. G. Lan and D. L. DeMets, Biometrika 70, 1983).

The count stands in one file beside all runs, a chain of lines, and in each gate.json. A ledger that is gone, or lacks
its last lines, is made whole from the gate records of the runs; one that was edited is refused.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from verdicts.base.digests import digest_of_text
from verdicts.base.errors import UserError, mistake
from verdicts.base.jsonl import dump, read_json, read_numbered, write_rows
from verdicts.base.whole_file import writing
from verdicts.records.evaluation import GateLook, GateRecord

ALL = 0.05  # of all looks together


class Counted(NamedTuple):
    """The looks at some questions up to one's own, and how many gate records knew of that the ledger did not."""

    looks: list[GateLook]
    restored: int


def level_of_look(number: int) -> float:
    """The level of look ``number`` (from 1): 0.025, 0.0083, 0.0042, …"""
    return ALL / (number * (number + 1))


def count_look(ledger: Path, questions: str, student: str, threshold: float | None) -> Counted:
    """The looks at these questions up to that of this student, written into the ledger where it is new.

    Raises UserError where the ledger was edited.
    """
    with _held(ledger):
        rows = _read(ledger)
        known = {_key(row) for row in rows}
        lost = [look for look in _looks_of_gates(ledger.parent) if _key(look) not in known]
        lost = list({_key(look): look for look in sorted(lost, key=lambda look: look.number)}.values())
        for key in [*map(_key, lost), (questions, student, threshold)]:
            if key not in known:
                rows.append(_next(rows, *key))
                known.add(key)
        at = next(at for at, row in enumerate(rows) if _key(row) == (questions, student, threshold))
        write_rows(ledger, rows)
    return Counted([row for row in rows[: at + 1] if row.questions == questions], len(lost))


def _key(look: GateLook) -> tuple[str, str, float | None]:
    return look.questions, look.student, look.threshold


def _next(rows: list[GateLook], questions: str, student: str, threshold: float | None) -> GateLook:
    number = 1 + sum(row.questions == questions for row in rows)
    return GateLook(
        number=number, questions=questions, student=student, threshold=threshold,
        before=digest_of_text(dump(rows[-1])) if rows else "",
    )  # fmt: skip


def _read(ledger: Path) -> list[GateLook]:
    rows: list[GateLook] = []
    for line, row in read_numbered(ledger, GateLook, allow_empty=True) if ledger.exists() else []:
        if row != _next(rows, *_key(row)):
            what = "this line does not follow the lines before it: looks were edited or deleted"
            raise mistake(what, "put back the file as it was, or delete it: gate records know their looks",
                          path=ledger, line=line, field="before")  # fmt: skip
        rows.append(row)
    return rows


def _looks_of_gates(runs: Path) -> Iterator[GateLook]:
    """The looks that the gate records of all runs know."""
    for path in sorted(runs.glob("*/*/evaluation/*/gate.json")):
        try:
            yield from read_json(path, GateRecord).looks
        except UserError:  # a record of another run that cannot be read tells nothing; its own tools name it
            continue


@contextmanager
def _held(ledger: Path) -> Iterator[None]:
    """Two gates at a time write one ledger after the other."""
    with writing(ledger):
        ledger.parent.mkdir(parents=True, exist_ok=True)
    with open(ledger.with_name(f".{ledger.name}.lock"), "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
