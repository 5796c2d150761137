"""What waits for review of a run of any size.

The last evaluation of each ticket, and the list that aggregate_review writes of it.

Numbers are those of ticket_index.Tickets; all columns together cost about 60 bytes of memory a ticket.
"""

from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np

from verdicts.base.jsonl import Placed, RowsByPlace, parse_row
from verdicts.records.review import MissionReview, NeedReviewEntry, ReviewReason, ReviewTicket
from verdicts.records.rollout import Selection, Trajectory
from verdicts.records.run_folder import stream_file
from verdicts.records.ticket_index import Column, Tickets
from verdicts.records.tickets import Verdict
from verdicts.review.unsupported import log_odds_against, review_ticket

REASONS: tuple[ReviewReason, ...] = get_args(ReviewReason)
_SEEN, _VALID, _MATCHES = 1, 2, 4


class Evaluations:
    """What each ticket's last evaluation came to, from the run's trajectories as they are read.

    Where its rows stand, and whether they support the label.
    """

    def __init__(self) -> None:
        self._round, self._start, self._end, self._found = Column("q"), Column("Q"), Column("Q"), Column("B")

    def see(self, number: int, placed: Placed | None, row: Trajectory) -> None:
        """Take in one candidate of a ticket; without its place it cannot be read again."""
        found, at = self._found[number], _held(row.round)
        if found and at < self._round[number]:
            return  # rows may stand in any order: this one is of an older round
        if not found or at > self._round[number]:
            self._round[number], found = at, _SEEN
            if placed:
                self._start[number] = placed.offset
        if placed:
            self._end[number] = placed.offset + placed.length
        self._found[number] = found | _VALID * row.format_ok | _MATCHES * (row.format_ok and row.label_match)

    def seen(self, number: int) -> bool:
        """Whether a ticket was evaluated at all."""
        return self._found[number] > 0

    def unsupported(self, number: int) -> bool:
        """As review.is_unsupported of the last evaluation's candidates."""
        return self._found[number] == _SEEN | _VALID

    def candidates(self, number: int, key: str, file: RowsByPlace) -> list[Trajectory]:
        """The last evaluation's candidates, read again."""
        start = self._start[number]
        lines = file.text(start, self._end[number] - start).replace("\r", "\n").split("\n")
        rows = [parse_row(line, Trajectory, file.path, None) for line in lines if line.strip()]
        return [row for row in rows if row.ticket_key == key and _held(row.round) == self._round[number]]


def _held(number: int) -> int:
    """A round's number as a column of 64 bits can hold it: a file edited by hand may say anything."""
    return max(-(2**62), min(number, 2**62))


class ReviewQueue:
    """The tickets that are unsupported at their last evaluation and were queued, as need_review.json has them.

    Under ``policy: unsupported`` every unsupported ticket was queued, under ``label_suspect`` those that reflection
    could not explain. A ticket without a selection is a hard failure and no matter for review.
    """

    def __init__(self, tickets: Tickets):
        self.tickets, self.queued = tickets, 0
        self._times, self._reason = array("I", [0]) * len(tickets), array("B", [0]) * len(tickets)

    def queue(self, entry: NeedReviewEntry) -> None:
        """Take in one entry of the rounds' queues, oldest first."""
        self.queued += 1
        if (number := self.tickets.number(entry.ticket_key)) is not None:
            self._times[number] += 1
            self._reason[number] = REASONS.index(entry.reason_code)

    def read(self, trajectories: Path, selections: Path) -> None:
        """Take in the run's view; raises UserError for a bad row of it."""
        tickets = self.tickets
        self._offset, self._length = array("Q", [0]) * len(tickets), array("I", [0]) * len(tickets)
        for placed, chosen in stream_file(selections, Selection):
            if (number := tickets.number(chosen.ticket_key)) is not None:
                self._offset[number], self._length[number] = placed.offset, placed.length
        self._evaluations = Evaluations()
        for placed, row in stream_file(trajectories, Trajectory):
            if (number := tickets.number(row.ticket_key)) is not None:
                self._evaluations.see(number, placed, row)
        self._trajectories, self._selections = RowsByPlace(trajectories), RowsByPlace(selections)

    def missions(self) -> Iterator[tuple[str, MissionReview, Iterator[ReviewTicket]]]:
        """Each mission, by name: its review without tickets, and its tickets, the likeliest label error first."""
        count = len(self.tickets)
        waits = np.fromiter(map(self._waits, range(count)), dtype=bool, count=count)
        missions = np.fromiter(map(self.tickets.mission_number, range(count)), dtype=np.uint32, count=count)
        for name in sorted(self.tickets.missions):
            listed = np.flatnonzero(waits & (missions == self.tickets.missions.index(name)))
            labels = (self.tickets.label(number) for number in listed.tolist())
            reasons = (REASONS[self._reason[number]] for number in listed.tolist())
            review = MissionReview(
                count=len(listed),
                by_gt_label=_counts(get_args(Verdict), Counter(labels)),
                by_reason_code=_counts(REASONS, Counter(reasons)),
                tickets=[],
            )
            yield name, review, (self.ticket(number) for number in self._ranked(listed).tolist())

    def _waits(self, number: int) -> bool:
        return bool(self._length[number] and self._times[number] and self._evaluations.unsupported(number))

    def _ranked(self, listed: np.ndarray) -> np.ndarray:
        """The likeliest label error first: by log-odds against the label (none: last), times queued, key."""
        odds, keys = array("d"), []
        for number in listed.tolist():
            ticket = self.tickets.at(number)
            candidates = self._evaluations.candidates(number, ticket.ticket_key, self._trajectories)
            against = log_odds_against(ticket.label, candidates)
            odds.append(float("inf") if against is None else -against)
            keys.append(ticket.ticket_key)
        by_key = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
        del keys  # the only column of texts: a million keys weigh more than all else here
        times = np.frombuffer(self._times, dtype=np.uint32)[listed].astype(np.int64)
        return listed[by_key[np.lexsort((-times[by_key], np.array(odds)[by_key]))]]

    def ticket(self, number: int) -> ReviewTicket:
        """One ticket ready to read."""
        ticket = self.tickets.at(number)
        chosen = self._selections.row(self._offset[number], self._length[number], Selection)
        candidates = self._evaluations.candidates(number, ticket.ticket_key, self._trajectories)
        return review_ticket(ticket, chosen, candidates, self._times[number], REASONS[self._reason[number]])


def _counts(words: tuple[str, ...], found: Counter[str]) -> dict[str, int]:
    """How often each word was found, absent ones as 0."""
    return {word: found[word] for word in words}
