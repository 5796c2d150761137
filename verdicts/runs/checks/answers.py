"""Rules about what the model answered."""

from verdicts.records.rollout import Selection, Trajectory
from verdicts.runs.checks.rule import Rule, wrong_row
from verdicts.runs.reader import PlacedRecord
from verdicts.stage_b.protocol import parse


class ValidAnswersKeepTheProtocol(Rule):
    """A candidate with format_ok reads as exactly its verdict and reason, in two lines."""

    says = "valid candidates keep the two-line protocol"
    needs = frozenset({"trajectories.jsonl"})
    sees = ("trajectories.jsonl",)

    def see(self, row: PlacedRecord) -> None:
        said: Trajectory = row.record
        if not said.format_ok:
            return
        parsed = parse(said.response_text)
        same = (parsed.verdict, parsed.reason) == (said.verdict, said.reason) and said.response_text.count("\n") == 1
        what = f"does not read as verdict {said.verdict} and its reason ({parsed.why or 'another answer'})"
        self.found(None if same else wrong_row(row, "response_text", what, "correct it, or set format_ok to false"))


class LabelMatchIsRight(Rule):
    """label_match says whether the verdict is the ticket's label."""

    says = "label_match says what it says"
    needs = frozenset({"trajectories.jsonl", "selections.jsonl"})
    sees = ("trajectories.jsonl", "selections.jsonl")

    def see(self, row: PlacedRecord) -> None:
        said: Trajectory | Selection = row.record
        number = self.tickets.number(said.ticket_key)
        right = number is None or said.label_match == (said.verdict == self.tickets.label(number))
        what = f"{said.label_match} for verdict {said.verdict}"
        self.found(None if right else wrong_row(row, "label_match", what, "correct it"))
