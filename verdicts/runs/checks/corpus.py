"""Rules about the corpus that the student learns from."""

import hashlib
from array import array

import numpy as np

from verdicts.records.corpus import ChatRow
from verdicts.records.rollout import Selection
from verdicts.records.ticket_index import Column, Keys, key_digest
from verdicts.records.tickets import ticket_key
from verdicts.runs.checks.rule import REMAKE, Rule, wrong, wrong_row
from verdicts.runs.reader import PlacedRecord, RunUnderCheck
from verdicts.stage_b.protocol import render


class CorpusSaysWhatWasSelected(Rule):
    """Each answer of the corpus is the selected one of its ticket."""

    says = "corpus answers are the selected candidates"
    needs = frozenset({"distill_chatml.jsonl", "selections.jsonl"})
    sees = ("selections.jsonl", "distill_chatml.jsonl")

    def __init__(self, run: RunUnderCheck):
        super().__init__(run)
        self.said = Column("Q")  # 8 bytes of the answer's digest; 0: none

    def see(self, row: PlacedRecord) -> None:
        if isinstance(row.record, Selection):
            self.said[self.numbers.of(row.record.ticket_key)] = _short(render(row.record.verdict, row.record.reason))
            return
        answer = _short(row.record.messages[2].content)
        same = self.said[self.numbers.of(ticket_key(row.record.group_id, row.record.label))] == answer
        what = "not the selected answer of its ticket"
        self.found(None if same else wrong_row(row, "messages.2", what, REMAKE))


class SamePhotosSamePrompt(Rule):
    """Tickets with the same summaries have the same prompt, so no label and no id is in it."""

    says = "same summaries, same prompt"
    needs = frozenset({"distill_chatml.jsonl"})
    sees = ("distill_chatml.jsonl",)

    def __init__(self, run: RunUnderCheck):
        super().__init__(run)
        self.photos, self.prompt, self.line = bytearray(), array("Q"), array("I")

    def see(self, row: PlacedRecord) -> None:
        said: ChatRow = row.record
        ticket = self.tickets.get(ticket_key(said.group_id, said.label))
        if ticket is None:
            self.looked += 1
            return
        self.photos += key_digest(repr(list(ticket.per_image.items())))
        self.prompt.append(_short(said.messages[0].content + "\0" + said.messages[1].content))
        self.line.append(row.line or 0)

    def end(self) -> None:
        first = Keys(self.photos).firsts()
        prompt = np.frombuffer(self.prompt, dtype=np.uint64)
        for at in np.flatnonzero(prompt != prompt[first]).tolist():
            what = "another ticket with the same summaries has another prompt"
            self.problems.add(wrong(self.run.folder / "distill_chatml.jsonl", self.line[at], "messages", what, REMAKE))
        self.looked += len(prompt)


class TrainAndValShareNoGroup(Rule):
    """A group's tickets are all on one side."""

    says = "train and val share no group"
    needs = frozenset({"distill.train.jsonl", "distill.val.jsonl"})
    sees = ("distill.train.jsonl", "distill.val.jsonl")

    def __init__(self, run: RunUnderCheck):
        super().__init__(run)
        self.digests = bytearray()
        self.train: Keys | None = None  # complete once the first row of val is seen

    def see(self, row: PlacedRecord) -> None:
        if row.name == "distill.train.jsonl":
            self.digests += key_digest(row.record.group_id)
            return
        if self.train is None:
            self.train = Keys(self.digests)
        what = f"{row.record.group_id!r} is in distill.train.jsonl too"
        shared = self.train.number(row.record.group_id) is not None
        self.found(wrong_row(row, "group_id", what, REMAKE) if shared else None)


def _short(text: str) -> int:
    """What stands for a text in a column; never 0."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()) or 1
