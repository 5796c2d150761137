"""The students before and after, and the gate's verdicts, as far as RUN/evaluation/ holds them.

There is a folder for each student and its questions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from verdicts.base.jsonl import read_json
from verdicts.evaluation.counts import COUNTS, SideCount
from verdicts.evaluation.scores import METRICS
from verdicts.records.evaluation import Behaviour, Difference, Evaluation, F1Record, GateRecord, McNemar
from verdicts.stats.rates import Rate


@dataclass(frozen=True)
class Compared:
    """One score before and after; ``change`` None: no gate has compared them."""

    name: str
    before: Rate | F1Record | None
    after: Rate | F1Record | None
    change: Difference | None

    @property
    def is_rate(self) -> bool:
        """Whether it is a rate; else it is an F1."""
        return isinstance(self.before or self.after, Rate)


@dataclass(frozen=True)
class StudentResult:
    """What the page shows of one pair of student and questions. ``gate`` None: it has not spoken on these evaluations.

    ``name``: its folder below evaluation/, "" in a run of an older version. ``pairs``: all of the run, with this one.
    ``behaviour``: what teacher, before and after do on changed tickets, as far as that was tested.
    """

    name: str
    before: Evaluation | None
    after: Evaluation | None
    gate: GateRecord | None
    pairs: "tuple[StudentResult, ...]" = ()
    behaviour: Mapping[str, Behaviour] = field(default_factory=dict)

    @property
    def asked(self) -> Evaluation:
        """The later evaluation."""
        return self.sides[-1][1]

    @property
    def sides(self) -> list[tuple[str, Evaluation]]:
        """What was evaluated, as (before or after, evaluation)."""
        return [(when, side) for when, side in (("before", self.before), ("after", self.after)) if side]

    @property
    def scores(self) -> list[Compared]:
        """Every score that the gate judges, before and after; without those that no photo asks for."""
        changes = self.gate.chat | self.gate.retention if self.gate else {}
        return [
            Compared(
                metric.name,
                metric.of(self.before) if self.before else None,
                metric.of(self.after) if self.after else None,
                changes.get(metric.name),
            )
            for metric in METRICS
            if metric.name not in self.absent
        ]

    @property
    def absent(self) -> list[str]:
        """The metrics that no photo asks for."""
        return [metric.name for metric in METRICS if not any(metric.known(side) for _, side in self.sides)]

    @staticmethod
    def counts(side: Evaluation) -> list[SideCount]:
        """What is counted beside the scores of one side, where there is any."""
        return [count for count in COUNTS if count.of(side)[0]]

    @property
    def mcnemar(self) -> dict[str, McNemar]:
        """The gate's paired tests by what they compare."""
        return self.gate.mcnemar if self.gate else {}


def read_student(run_dir: Path) -> StudentResult | None:
    """The pair to show; None where nothing was evaluated.

    The last by name among those of the run's own student (its checkpoint's path names the run or its mission),
    else the last of all, and rather one that the gate has judged.
    """
    folder = run_dir / "evaluation"
    places = [folder, *sorted(path for path in folder.glob("*") if path.is_dir())]
    pairs = [found for place in places if (found := read_pair(place, "" if place == folder else place.name))]
    if not pairs:
        return None
    own = set(run_dir.resolve().parts[-2:]) | {"-".join(run_dir.resolve().parts[-2:])}
    shown = max(enumerate(pairs), key=lambda pair: (_is_of(own, pair[1]), pair[1].gate is not None, pair[0]))[1]
    return replace(shown, pairs=tuple(pairs), behaviour=read_behaviours(folder / shown.name))


def read_behaviours(folder: Path) -> dict[str, Behaviour]:
    """The behavioural tests of a folder, by who was tested."""
    paths = {who: folder / f"behaviour-{who}" / "behaviour.json" for who in ("teacher", "before", "after")}
    return {who: read_json(path, Behaviour) for who, path in paths.items() if path.exists()}


def _is_of(names: set[str], pair: StudentResult) -> bool:
    return pair.after is not None and not names.isdisjoint(Path(pair.after.student.folder).parts)


def read_pair(folder: Path, name: str) -> StudentResult | None:
    """Read before.json, after.json and gate.json of one folder; None where none is there.

    The gate's own copies count, as long as no newer evaluation lies beside them.
    """
    gate = read_json(folder / "gate.json", GateRecord) if (folder / "gate.json").exists() else None
    before, after = (
        read_json(folder / side, Evaluation) if (folder / side).exists() else None
        for side in ("before.json", "after.json")
    )
    if gate and all(
        made is None or _says(made) == _says(judged) for made, judged in ((before, gate.before), (after, gate.after))
    ):
        return StudentResult(name, gate.before, gate.after, gate)
    return StudentResult(name, before, after, None) if before or after else None


def _says(evaluation: Evaluation) -> tuple[object, ...]:
    """What the gate judged of an evaluation: two that agree in it are the same to a reader of the page."""
    return (
        evaluation.student.sha256,
        evaluation.questions,
        evaluation.tickets,
        evaluation.chat,
        evaluation.summary,
        evaluation.dense,
    )
