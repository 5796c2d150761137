"""The student before and after, and the gate's verdict, as far as RUN/evaluation/ holds them."""

from dataclasses import dataclass
from pathlib import Path

from tools.core.evaluation import Evaluation, F1Record
from tools.core.gate import CHAT, RETAINED, Difference, GateRecord, McNemar
from tools.core.jsonl import read_json
from tools.core.records import RateRecord


@dataclass(frozen=True)
class Compared:
    """One score before and after; ``change`` None: no gate has compared them."""

    name: str
    before: RateRecord | F1Record | None
    after: RateRecord | F1Record | None
    change: Difference | None

    @property
    def is_rate(self) -> bool:
        return isinstance(self.before or self.after, RateRecord)


@dataclass(frozen=True)
class StudentResult:
    """What the page shows of evaluation/. ``gate`` None: it has not spoken."""

    before: Evaluation | None
    after: Evaluation | None
    gate: GateRecord | None

    @property
    def sides(self) -> list[tuple[str, Evaluation]]:
        return [(when, side) for when, side in (("before", self.before), ("after", self.after)) if side]

    @property
    def scores(self) -> list[Compared]:
        changes = self.gate.chat | self.gate.retention if self.gate else {}
        return [
            Compared(name, self.before and score.of(self.before), self.after and score.of(self.after), changes.get(name))
            for name, score in (CHAT | RETAINED).items()
        ]

    @property
    def mcnemar(self) -> dict[str, McNemar]:
        return self.gate.mcnemar if self.gate else {}


def read_evaluation(folder: Path) -> StudentResult | None:
    """Read before.json, after.json and gate.json; None where none is there. The gate's own copy of an evaluation counts, for its verdict is about that."""
    gate = read_json(folder / "gate.json", GateRecord) if (folder / "gate.json").exists() else None
    if gate:
        return StudentResult(gate.before, gate.after, gate)
    before, after = (read_json(folder / name, Evaluation) if (folder / name).exists() else None for name in ("before.json", "after.json"))
    return StudentResult(before, after, None) if before or after else None
