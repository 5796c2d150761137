"""The student before and after, and the gate's verdict, as far as RUN/evaluation/ holds them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.core.errors import mistake
from tools.core.jsonl import validate
from tools.core.records import RateRecord

RATES = {"frr": ("chat", "frr"), "false_block": ("chat", "false_block"), "label_match": ("chat", "label_match"), "format": ("chat", "format"), "summary_exact": ("summary", "exact")}
SHARES = {"attribute_f1": ("summary", "attribute_f1"), "dense_f1": ("dense", "f1")}


@dataclass(frozen=True)
class Compared:
    """One figure before and after; a rate with its interval, or a bare share (F1)."""

    name: str
    before: RateRecord | float | None
    after: RateRecord | float | None

    @property
    def is_rate(self) -> bool:
        return isinstance(self.before or self.after, RateRecord)

    @property
    def difference(self) -> float | None:
        """After minus before, as a share."""
        before, after = (value.rate if isinstance(value, RateRecord) else value for value in (self.before, self.after))
        return None if before is None or after is None else after - before


@dataclass(frozen=True)
class Evaluation:
    """What the page shows of it. ``passed`` None: no gate has spoken. ``students``: (when, folder, hash)."""

    figures: list[Compared]
    students: list[tuple[str, str, str]]
    passed: bool | None
    reasons: list[str]
    mcnemar: dict[str, Any]
    tickets: int | None


def read_evaluation(folder: Path) -> Evaluation | None:
    """Read before.json, after.json and gate.json; None where none is there. Raises UserError for one that is no JSON object."""
    before, after, gate = (_object(folder / f"{name}.json") for name in ("before", "after", "gate"))
    if before is None and after is None and gate is None:
        return None
    figures = [Compared(name, *(_rate(value, place, folder / f"{when}.json") for when, value in (("before", before), ("after", after)))) for name, place in RATES.items()]
    figures += [Compared(name, _share(before, place), _share(after, place)) for name, place in SHARES.items()]
    students = [(when, str(_at(value, "student", "folder") or ""), str(_at(value, "student", "sha256") or "")) for when, value in (("before", before), ("after", after)) if value]
    mcnemar = _at(gate, "mcnemar")
    return Evaluation(
        figures=[figure for figure in figures if figure.before is not None or figure.after is not None],
        students=students,
        passed=_at(gate, "passed"),
        reasons=[str(reason) for reason in _at(gate, "reasons") or []],
        mcnemar={name: value for name, value in mcnemar.items() if isinstance(value, (int, float, str))} if isinstance(mcnemar, dict) else {},
        tickets=_count(_at(after or before, "tickets")),
    )


def _object(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise mistake(f"not valid JSON ({error})", "delete it to have it made again", path=path) from None
    if not isinstance(value, dict):
        raise mistake("is no JSON object", "delete it to have it made again", path=path)
    return value


def _at(value: Any, *place: str) -> Any:
    for name in place:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _rate(value: Any, place: tuple[str, ...], path: Path) -> RateRecord | None:
    found = _at(value, *place)
    return None if found is None else validate(found, RateRecord, path)


def _share(value: Any, place: tuple[str, ...]) -> float | None:
    found = _at(value, *place, "f1")
    return float(found) if isinstance(found, (int, float)) else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) else len(value) if isinstance(value, list) else None
