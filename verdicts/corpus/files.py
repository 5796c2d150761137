"""The corpus as files, one row in memory at a time: the answers it is made of, and what is written of them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from verdicts.base.errors import mistake, stands_twice
from verdicts.base.jsonl import RowsByPlace, dump, stream_placed, stream_rows, whole_files
from verdicts.config.tools import DistillConfig
from verdicts.corpus.distill import (
    FILES,
    AuditSample,
    Item,
    RowDecision,
    Validation,
    agreement,
    chat_row,
    decide_row,
    dropped_row,
    sft_row,
)
from verdicts.records.corpus import AuditDecision
from verdicts.records.review import ReviewDecision, ReviewReason
from verdicts.records.rollout import Selection
from verdicts.records.ticket_index import Column, Tickets
from verdicts.records.tickets import StageA, ticket_key
from verdicts.review.audit import is_of
from verdicts.review.review_list import REASONS
from verdicts.review.review_list_file import stream_review
from verdicts.stage_b.prompts import Prompts
from verdicts.stage_b.protocol import parse, render
from verdicts.stage_b.selection import writer_of


class Answers:
    """The run's selections, in their order and by ticket: 16 bytes of memory each.

    Refuses an unknown ticket, one given twice, an older guidance, another prompt, a reason that breaks the protocol.
    """

    def __init__(self, path: Path, tickets: Tickets, step: int, prompt: str):
        self.path, self._tickets, self._prompt = path, tickets, prompt
        self._line, self._offset, self._length = Column("I"), Column("Q"), Column("I")
        for placed, row in stream_placed(path, Selection):
            number = self._checked(row, placed.line, step)
            self._line[number], self._offset[number], self._length[number] = placed.line, placed.offset, placed.length
        self._places = RowsByPlace(path)

    def _checked(self, row: Selection, line: int, step: int) -> int:
        """The ticket's number; raises UserError for an answer that no corpus may hold."""
        number, key = self._tickets.number(row.ticket_key), row.ticket_key
        if number is None:
            raise mistake(
                f"{key!r} is not a ticket of this stage_a.jsonl",
                "correct or delete the line",
                path=self.path,
                line=line,
                field="ticket_key",
            )
        if first := self._line[number]:
            raise stands_twice(repr(key), first, path=self.path, line=line, field="ticket_key")
        if row.guidance_step != step:
            what = f"answered under step {row.guidance_step}, guidance.json is at step {step}"
            raise mistake(what, "make the run's view again (collect)", path=self.path, line=line, field="guidance_step")
        if row.prompt and row.prompt != self._prompt:
            what = f"answered to prompt {row.prompt}, the configuration's is {self._prompt}"
            raise mistake(what, "make the rounds again (rollout)", path=self.path, line=line, field="prompt")
        if why := parse(render(row.verdict, row.reason)).why:
            raise mistake(
                f"breaks the two-line protocol ({why})",
                "write one line without a third state",
                path=self.path,
                line=line,
                field="reason",
            )
        return number

    def __iter__(self) -> Iterator[Selection]:
        return stream_rows(self.path, Selection)

    def get(self, key: str) -> Selection | None:
        """A ticket's answer, read again; None where it has none."""
        number = self._tickets.number(key)
        if number is None or not self._line[number]:
            return None
        return self._places.row(self._offset[number], self._length[number], Selection)


class Reasons:
    """Why tickets wait for people, from need_review.json: a byte a ticket."""

    def __init__(self, path: Path, tickets: Tickets):
        self._tickets, self._reason = tickets, Column("B")
        for _, ticket in stream_review(path, {}):
            if (number := tickets.number(ticket.ticket_key)) is not None:
                self._reason[number] = 1 + REASONS.index(ticket.reason_code)

    def get(self, key: str) -> ReviewReason | None:
        """Why a ticket waits, None where it does not."""
        number = self._tickets.number(key)
        reason = 0 if number is None else self._reason[number]
        return REASONS[reason - 1] if reason else None


@dataclass(frozen=True)
class Judging:
    """All that decides on the rows of a corpus. ``review``: why tickets wait.

    ``decisions``: what people said of tickets; ``audited``: what they said of answers.
    """

    cfg: DistillConfig
    prompts: Prompts
    experiences: Mapping[str, str]
    tickets: Tickets
    answers: Answers
    review: Reasons
    decisions: Mapping[str, ReviewDecision]
    audited: Mapping[str, AuditDecision]

    def decided(self) -> Iterator[tuple[StageA, Selection, RowDecision]]:
        """Every selected answer with its ticket and what becomes of it, in the order given."""
        for answer in self.answers:
            ticket = self.tickets[answer.ticket_key]
            found = self._decide(ticket, answer)
            yield (
                ticket,
                answer,
                RowDecision(ticket.label, dropped="duplicate") if self._doubles(ticket, found) else found,
            )

    def items(self) -> Iterator[Item]:
        """The same, with the conversation of each."""
        for ticket, answer, found in self.decided():
            yield Item(ticket, answer, chat_row(self.prompts, self.experiences, ticket, answer), found)

    def validation(self) -> Validation:
        """Which groups validate, of those that keep a row."""
        groups = Validation(self.cfg.distill.val_share, self.cfg.distill.seed)
        for ticket, _, found in self.decided():
            if not found.dropped:
                groups.see(ticket.group_id)
        return groups

    def _decide(self, ticket: StageA, answer: Selection) -> RowDecision:
        key = ticket.ticket_key
        said, waits = self.decisions.get(key), self.review.get(key)
        by_threshold = writer_of(answer) == "threshold"
        found = decide_row(ticket.label, answer.verdict, said, waits, self.cfg.distill, agreement(answer), by_threshold)
        looked = self.audited.get(key)
        if not (looked and looked.drop) or found.dropped or found.taught:  # what people wrote themselves stays
            return found
        return RowDecision(ticket.label, dropped="audited") if is_of(looked, answer.verdict, answer.reason) else found

    def _doubles(self, ticket: StageA, found: RowDecision) -> bool:
        """Whether a corrected row's group has the same photos under that label already: it would teach them twice."""
        if "label_corrected" not in found.flags:
            return False
        key = ticket_key(ticket.group_id, found.label)
        answer = self.answers.get(key)
        if answer is None:
            return False
        other = self.tickets[key]
        kept = self._decide(other, answer)
        return (
            not kept.dropped
            and "label_corrected" not in kept.flags
            and list(other.per_image.values()) == list(ticket.per_image.values())
        )


@dataclass
class Written:
    """What a corpus came to. ``dropped``: by reason word; ``corrected``: kept rows whose label people corrected.

    ``reasons``: kept rows whose reason people wrote.
    """

    train: int = 0
    val: int = 0
    corrected: int = 0
    reasons: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


def write_corpus(judging: Judging, folder: Path) -> Written:
    """Write the five files of a corpus, all of them or, where anything is raised, none."""
    written, validation, settings = Written(), judging.validation(), judging.cfg.distill
    sample = AuditSample(settings.audit_sample if judging.cfg.mission.high_risk else 0, settings.seed)
    with whole_files(*(folder / name for name in FILES)) as (chat, train, val, dropped, audit):
        for item in judging.items():
            chat.write(dump(item.chat) + "\n")
            sample.see(item)
            written.corrected += "label_corrected" in item.decision.flags
            written.reasons += "reason_corrected" in item.decision.flags
            if item.decision.dropped:
                written.dropped[item.decision.dropped] += 1
                dropped.write(dump(dropped_row(item)) + "\n")
            elif item.ticket.group_id in validation:
                written.val += 1
                val.write(dump(sft_row(item)) + "\n")
            else:
                written.train += 1
                train.write(dump(sft_row(item)) + "\n")
        audit.writelines(dump(row) + "\n" for row in sample.rows(validation))
    return written
