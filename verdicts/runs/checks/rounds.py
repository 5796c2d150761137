"""Rules about rounds and the guidance that passes through them."""

from array import array
from collections import defaultdict

from verdicts.records.guidance import GuidanceFile
from verdicts.runs.checks.rule import REMAKE, Rule, wrong, wrong_row
from verdicts.runs.reader import PlacedRecord, Problems, RunUnderCheck
from verdicts.stage_b.prompts import rule_number


class RoundsFollowEachOther(Rule):
    """Rounds are numbered without a gap, their rows bear their number, and guidance steps never go back."""

    says = "rounds follow each other"

    def __init__(self, run: RunUnderCheck):
        super().__init__(run)
        self.steps: dict[str, int] = defaultdict(int)
        self.guidance: dict[int, list[str | None]] = {}
        self.rows: dict[int, tuple[array[int], Problems]] = {}

    def see(self, row: PlacedRecord) -> None:
        if row.round is None:
            return
        if isinstance(row.record, GuidanceFile):
            self.guidance[row.round] = [
                self._step(row, mission, guidance.step) for mission, guidance in row.record.root.items()
            ]
            return
        looked, problems = self.rows.setdefault(row.round, (array("Q", [0]), Problems()))
        looked[0] += 1
        if row.record.round != row.round:
            what = f"{row.record.round} in the folder of round {row.round}"
            problems.add(wrong_row(row, "round", what, "correct it"))

    def _step(self, row: PlacedRecord, mission: str, step: int) -> str | None:
        before, self.steps[mission] = self.steps[mission], step
        if step >= before:
            return None
        return wrong_row(row, f"{mission}.step", f"{step} after {before} in the round before", "run the loop again")

    def end(self) -> None:
        if not (self.guidance or self.rows or self.run.loop or "selections.jsonl" in self.run.found):
            return  # no loop has begun: the run has its tickets, and perhaps a baseline
        # Only here is it known which rounds there are: a gap shows once a later round was read.
        for number in range(max(max(self.guidance, default=0), self.run.loop.rounds if self.run.loop else 0) + 1):
            if number not in self.guidance:
                path = self.run.round_path(number, "guidance.json")
                what = "no such file, though later rounds or loop.json need it"
                self.found(wrong(path, None, "", what, "run the loop again"))
                continue
            for problem in self.guidance[number]:
                self.found(problem)
            looked, problems = self.rows.get(number, ((0,), Problems()))
            self.looked += looked[0]
            self.problems.take(problems)


class RuleKeysAreNeverUsedAgain(Rule):
    """A key that left guidance stays away."""

    says = "rule keys are never used again"
    sees = ("rounds/*/guidance.json",)

    def __init__(self, run: RunUnderCheck):
        super().__init__(run)
        self.born: dict[str, set[str]] = defaultdict(set)
        self.gone: dict[str, set[str]] = defaultdict(set)

    def see(self, row: PlacedRecord) -> None:
        for mission, guidance in row.record.root.items():
            keys, born, gone = set(guidance.experiences), self.born[mission], self.gone[mission]
            again = sorted(keys & gone, key=rule_number)
            problem = None
            if again:
                field = f"{mission}.experiences.{again[0]}"
                problem = wrong_row(row, field, "a removed key is used again", "give the rule a new key")
            self.found(problem)
            gone |= born - keys
            born |= keys


class OneGuidanceInAConvergedEpoch(Rule):
    """In a converged run every selection was made under the guidance that the run ended with."""

    says = "one guidance for the whole converged epoch"
    needs = frozenset({"loop.json", "selections.jsonl"})
    sees = ("rounds/*/guidance.json", "selections.jsonl")

    def __init__(self, run: RunUnderCheck):
        super().__init__(run)
        self.steps: dict[str, int] | None = None  # what the last round left; None where the run has not converged on it

    def see(self, row: PlacedRecord) -> None:
        if isinstance(row.record, GuidanceFile):
            if self.run.loop and self.run.loop.status == "converged" and self.run.loop.rounds == row.round:
                self.steps = {mission: guidance.step for mission, guidance in row.record.root.items()}
        elif self.steps is not None:
            step, want = row.record.guidance_step, self.steps.get(row.record.mission)
            what = f"{step}, but the run converged at step {want}"
            self.found(wrong_row(row, "guidance_step", what, REMAKE) if step != want else None)
