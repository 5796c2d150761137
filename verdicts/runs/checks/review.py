"""Rules about need_review.json."""

from array import array
from collections import defaultdict

from verdicts.records.rollout import Trajectory
from verdicts.records.ticket_index import Column
from verdicts.review.review_list import Evaluations
from verdicts.review.review_list_file import Listed
from verdicts.runs.checks.rule import REMAKE, Rule, wrong
from verdicts.runs.reader import PlacedRecord, RunUnderCheck


class ReviewHoldsTheUnsupported(Rule):
    """need_review.json lists the tickets that no candidate of their last evaluation supports.

    Under ``policy: label_suspect`` it lists some of them: those that reflection could not explain.
    """

    says = "need_review.json = tickets no candidate supports at their last evaluation"
    needs = frozenset({"need_review.json", "trajectories.jsonl"})
    sees = ("trajectories.jsonl", "need_review.json")

    def __init__(self, run: RunUnderCheck):
        super().__init__(run)
        self.evaluations, self.order, self.listed = Evaluations(), array("I"), Column("B")

    def see(self, row: PlacedRecord) -> None:
        if isinstance(row.record, Trajectory):
            number = self.numbers.of(row.record.ticket_key)
            if not self.evaluations.seen(number):
                self.order.append(number)
            self.evaluations.see(number, None, row.record)
        elif isinstance(row.record, Listed):
            self.listed[self.numbers.of(row.record.ticket.ticket_key)] = 1

    def end(self) -> None:
        for number in self.order:
            listed, unsupported, what = self.listed[number], self.evaluations.unsupported(number), None
            if listed and not unsupported:
                what = f"{self.numbers.key(number)!r} is listed, though a candidate supports its label"
            elif not listed and unsupported and self.run.policy == "unsupported":
                what = f"{self.numbers.key(number)!r} is missing, though no candidate supports its label"
            self.found(wrong(self.run.folder / "need_review.json", None, "tickets", what, REMAKE) if what else None)


class ReviewCountsItsTickets(Rule):
    """The count and both breakdowns add up."""

    says = "need_review.json counts its tickets"
    needs = frozenset({"need_review.json"})
    sees = ("need_review.json",)

    def __init__(self, run: RunUnderCheck):
        super().__init__(run)
        self.listed: dict[str, int] = defaultdict(int)

    def see(self, row: PlacedRecord) -> None:
        if isinstance(row.record, Listed):
            self.listed[row.record.mission] += 1

    def end(self) -> None:
        for mission, review in self.run.review.items():
            breakdowns = review.by_gt_label, review.by_reason_code
            counts = [review.count, self.listed[mission], *(sum(counted.values()) for counted in breakdowns)]
            what = "count, tickets, by_gt_label and by_reason_code give {}, {}, {}, {}".format(*counts)
            path = self.run.folder / "need_review.json"
            self.found(wrong(path, None, mission, what, REMAKE) if len(set(counts)) != 1 else None)
