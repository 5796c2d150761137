"""Rules that hold between the files of a run (docs/design.md §3 and §4).

A rule sees the records of the files it asks for, one at a time and in the order of run_reader.read_run, and counts what it
looked at and what was wrong. What it has to remember of a ticket it keeps in columns by ticket number.
"""

import hashlib
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from verdicts.base.errors import mistake
from verdicts.corpus.distill import read_one_sided
from verdicts.records.corpus import ChatRow
from verdicts.records.guidance import GuidanceFile
from verdicts.records.rollout import Selection, Trajectory
from verdicts.records.run_folder import ROW_NAMES, Once
from verdicts.records.synthetic import BANNER, is_synthetic
from verdicts.records.ticket_index import Column, Keys, digest_of
from verdicts.records.tickets import StageA, ticket_key
from verdicts.review.list_file import Listed
from verdicts.review.waiting import Evaluations
from verdicts.runs.reader import Problems, Row, Run
from verdicts.stage_b.prompts import rule_number
from verdicts.stage_b.protocol import parse, render

AGAIN = "delete the file to have it made again"


def _wrong(path: Path, line: int | None, field: str, what: str, todo: str) -> str:
    return str(mistake(what, todo, path=path, line=line, field=field))


class Rule:
    """One rule. ``says``: its line in the report; ``needs``: the run's own files without which it is not looked at; ``sees``: names of the files it sees.

    A name such as ``rounds/*/guidance.json`` is that of a round's file; an empty ``sees`` means all files.
    """

    says: str
    needs: frozenset[str] = frozenset()
    sees: tuple[str, ...] = ()

    def __init__(self, run: Run):
        self.run, self.looked, self.problems = run, 0, Problems()

    def found(self, problem: str | None) -> None:
        """Count one thing that was looked at: None where all is well, else the problem as a sentence."""
        self.looked += 1
        if problem:
            self.problems.add(problem)

    def see(self, row: Row) -> None:
        """Look at one record."""

    def end(self) -> None:
        """Look at what only the whole run shows."""


class RoundsFollowEachOther(Rule):
    """Rounds are numbered without a gap, their rows bear their number, and guidance steps never go back."""

    says = "rounds follow each other"

    def __init__(self, run: Run):
        super().__init__(run)
        self.steps: dict[str, int] = defaultdict(int)
        self.guidance: dict[int, list[str | None]] = {}
        self.rows: dict[int, tuple[array, Problems]] = {}

    def see(self, row: Row) -> None:
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
            problems.add(
                _wrong(
                    row.path, row.line, "round", f"{row.record.round} in the folder of round {row.round}", "correct it"
                )
            )

    def _step(self, row: Row, mission: str, step: int) -> str | None:
        before, self.steps[mission] = self.steps[mission], step
        return (
            _wrong(
                row.path, None, f"{mission}.step", f"{step} after {before} in the round before", "run the loop again"
            )
            if step < before
            else None
        )

    def end(self) -> None:
        for number in range(max(max(self.guidance, default=0), self.run.loop.rounds if self.run.loop else 0) + 1):
            if number not in self.guidance:
                path = self.run.round_path(number, "guidance.json")
                self.found(
                    _wrong(
                        path, None, "", "no such file, though later rounds or loop.json need it", "run the loop again"
                    )
                )
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

    def __init__(self, run: Run):
        super().__init__(run)
        self.born, self.gone = defaultdict(set), defaultdict(set)

    def see(self, row: Row) -> None:
        for mission, guidance in row.record.root.items():
            keys, born, gone = set(guidance.experiences), self.born[mission], self.gone[mission]
            again = sorted(keys & gone, key=rule_number)
            self.found(
                _wrong(
                    row.path,
                    None,
                    f"{mission}.experiences.{again[0]}",
                    "a removed key is used again",
                    "give the rule a new key",
                )
                if again
                else None
            )
            gone |= born - keys
            born |= keys


class TicketsAreKnown(Rule):
    """A record of a ticket names one of Stage A, and agrees with it on group, mission and label."""

    says = "records name known tickets"

    def see(self, row: Row) -> None:
        if _fields_of_a_ticket(type(row.record)) is not None and row.record.ticket_key:
            self.found(self._stranger(row, row.record.ticket_key))

    def _stranger(self, row: Row, key: str) -> str | None:
        tickets = self.run.tickets
        number = tickets.number(key)
        if number is None:
            return _wrong(
                row.path,
                row.line,
                "ticket_key",
                f"{key!r} is not a ticket of stage_a.jsonl",
                "correct the key or delete the line",
            )
        label = tickets.label(number)
        known = {
            "group_id": key.removesuffix(f"::{label}"),
            "mission": tickets.missions[tickets.mission_number(number)],
            "label": label,
            "gt_label": label,
        }
        for name in _fields_of_a_ticket(type(row.record)):
            if (said := getattr(row.record, name)) != known[name]:
                return _wrong(
                    row.path,
                    row.line,
                    name,
                    f"{said!r}, but ticket {key!r} has {known[name]!r}",
                    "correct one of the two",
                )
        return None


@cache
def _fields_of_a_ticket(model: type) -> tuple[str, ...] | None:
    """What a record says of its ticket, besides its key; None where it is of no ticket. (Asking a record for a field it lacks is slow.)"""
    if not issubclass(model, BaseModel) or not ("ticket_key" in model.model_fields or model is StageA):
        return None
    return tuple(name for name in ("group_id", "mission", "label", "gt_label") if name in model.model_fields)


class OneSelectionATicket(Rule):
    """The run's view holds each ticket once."""

    says = "one selection a ticket in the run's view"
    needs = frozenset({"selections.jsonl"})
    sees = ("selections.jsonl",)

    def __init__(self, run: Run):
        super().__init__(run)
        self.line = Column("I")

    def see(self, row: Row) -> None:
        number = self.run.numbers.of(row.record.ticket_key)
        first = self.line[number]
        self.line[number] = first or row.line
        self.found(
            _wrong(
                row.path,
                row.line,
                "ticket_key",
                f"{row.record.ticket_key!r} stands on line {first} already",
                "keep one of the two",
            )
            if first
            else None
        )


class RowsStandOnce(Rule):
    """No row of any other file stands in it twice."""

    says = "no row of another file stands twice"

    def __init__(self, run: Run):
        super().__init__(run)
        self.path: Path | None = None
        self.once: Once | None = None

    def see(self, row: Row) -> None:
        if row.name not in ROW_NAMES or (row.round is None and row.name == "selections.jsonl"):
            return
        if row.path != self.path:
            self.end()
            self.path, self.once = row.path, Once(row.path, type(row.record))
        self.looked += 1
        self.once.see(row.record)

    def end(self) -> None:
        for line, first, names in self.once.twice() if self.once else ():
            self.problems.add(
                _wrong(
                    self.path,
                    line,
                    ROW_NAMES[self.path.name][-1],
                    f"{names} stands on line {first} already",
                    "keep one of the two",
                )
            )
        self.once = None


class ValidAnswersKeepTheProtocol(Rule):
    """A candidate with format_ok reads as exactly its verdict and reason, in two lines."""

    says = "valid candidates keep the two-line protocol"
    needs = frozenset({"trajectories.jsonl"})
    sees = ("trajectories.jsonl",)

    def see(self, row: Row) -> None:
        said: Trajectory = row.record
        if not said.format_ok:
            return
        parsed = parse(said.response_text)
        same = (parsed.verdict, parsed.reason) == (said.verdict, said.reason) and said.response_text.count("\n") == 1
        what = f"does not read as verdict {said.verdict} and its reason ({parsed.why or 'another answer'})"
        self.found(
            None if same else _wrong(row.path, row.line, "response_text", what, "correct it, or set format_ok to false")
        )


class LabelMatchIsRight(Rule):
    """label_match says whether the verdict is the ticket's label."""

    says = "label_match says what it says"
    needs = frozenset({"trajectories.jsonl", "selections.jsonl"})
    sees = ("trajectories.jsonl", "selections.jsonl")

    def see(self, row: Row) -> None:
        said: Trajectory | Selection = row.record
        number = self.run.tickets.number(said.ticket_key)
        right = number is None or said.label_match == (said.verdict == self.run.tickets.label(number))
        self.found(
            None
            if right
            else _wrong(
                row.path, row.line, "label_match", f"{said.label_match} for verdict {said.verdict}", "correct it"
            )
        )


class OneGuidanceInAConvergedEpoch(Rule):
    """In a converged run every selection was made under the guidance that the run ended with."""

    says = "one guidance for the whole converged epoch"
    needs = frozenset({"loop.json", "selections.jsonl"})
    sees = ("rounds/*/guidance.json", "selections.jsonl")

    def __init__(self, run: Run):
        super().__init__(run)
        self.steps: dict[str, int] | None = None  # what the last round left; None where the run has not converged on it

    def see(self, row: Row) -> None:
        if isinstance(row.record, GuidanceFile):
            if self.run.loop and self.run.loop.status == "converged" and self.run.loop.rounds == row.round:
                self.steps = {mission: guidance.step for mission, guidance in row.record.root.items()}
        elif self.steps is not None:
            step, want = row.record.guidance_step, self.steps.get(row.record.mission)
            self.found(
                _wrong(row.path, row.line, "guidance_step", f"{step}, but the run converged at step {want}", AGAIN)
                if step != want
                else None
            )


class ReviewHoldsTheUnsupported(Rule):
    """need_review.json lists the tickets no candidate of their last evaluation supports (under label_suspect: some of them)."""

    says = "need_review.json = tickets no candidate supports at their last evaluation"
    needs = frozenset({"need_review.json", "trajectories.jsonl"})
    sees = ("trajectories.jsonl", "need_review.json")

    def __init__(self, run: Run):
        super().__init__(run)
        self.evaluations, self.order, self.listed = Evaluations(), array("I"), Column("B")

    def see(self, row: Row) -> None:
        if isinstance(row.record, Trajectory):
            number = self.run.numbers.of(row.record.ticket_key)
            if not self.evaluations.seen(number):
                self.order.append(number)
            self.evaluations.see(number, None, row.record)
        elif isinstance(row.record, Listed):
            self.listed[self.run.numbers.of(row.record.ticket.ticket_key)] = 1

    def end(self) -> None:
        for number in self.order:
            listed, unsupported, what = self.listed[number], self.evaluations.unsupported(number), None
            if listed and not unsupported:
                what = f"{self.run.numbers.key(number)!r} is listed, though a candidate supports its label"
            elif not listed and unsupported and self.run.policy == "unsupported":
                what = f"{self.run.numbers.key(number)!r} is missing, though no candidate supports its label"
            self.found(_wrong(self.run.folder / "need_review.json", None, "tickets", what, AGAIN) if what else None)


class ReviewCountsItsTickets(Rule):
    """The count and both breakdowns add up."""

    says = "need_review.json counts its tickets"
    needs = frozenset({"need_review.json"})
    sees = ("need_review.json",)

    def __init__(self, run: Run):
        super().__init__(run)
        self.tickets: dict[str, int] = defaultdict(int)

    def see(self, row: Row) -> None:
        if isinstance(row.record, Listed):
            self.tickets[row.record.mission] += 1

    def end(self) -> None:
        for mission, review in self.run.review.items():
            counts = [
                review.count,
                self.tickets[mission],
                sum(review.by_gt_label.values()),
                sum(review.by_reason_code.values()),
            ]
            what = "count, tickets, by_gt_label and by_reason_code give {}, {}, {}, {}".format(*counts)
            self.found(
                _wrong(self.run.folder / "need_review.json", None, mission, what, AGAIN)
                if len(set(counts)) != 1
                else None
            )


class CorpusSaysWhatWasSelected(Rule):
    """Each answer of the corpus is the selected one of its ticket."""

    says = "corpus answers are the selected candidates"
    needs = frozenset({"distill_chatml.jsonl", "selections.jsonl"})
    sees = ("selections.jsonl", "distill_chatml.jsonl")

    def __init__(self, run: Run):
        super().__init__(run)
        self.said = Column("Q")  # 8 bytes of the answer's digest; 0: none

    def see(self, row: Row) -> None:
        if isinstance(row.record, Selection):
            self.said[self.run.numbers.of(row.record.ticket_key)] = _short(
                render(row.record.verdict, row.record.reason)
            )
            return
        answer = _short(row.record.messages[2].content)
        same = self.said[self.run.numbers.of(ticket_key(row.record.group_id, row.record.label))] == answer
        self.found(
            None if same else _wrong(row.path, row.line, "messages.2", "not the selected answer of its ticket", AGAIN)
        )


class SamePhotosSamePrompt(Rule):
    """Tickets with the same summaries have the same prompt, so no label and no id is in it."""

    says = "same summaries, same prompt"
    needs = frozenset({"distill_chatml.jsonl"})
    sees = ("distill_chatml.jsonl",)

    def __init__(self, run: Run):
        super().__init__(run)
        self.photos, self.prompt, self.line = bytearray(), array("Q"), array("I")

    def see(self, row: Row) -> None:
        said: ChatRow = row.record
        ticket = self.run.tickets.get(ticket_key(said.group_id, said.label))
        if ticket is None:
            self.looked += 1
            return
        self.photos += digest_of(repr(list(ticket.per_image.items())))
        self.prompt.append(_short(said.messages[0].content + "\0" + said.messages[1].content))
        self.line.append(row.line)

    def end(self) -> None:
        first = Keys(self.photos).firsts()
        prompt = np.frombuffer(self.prompt, dtype=np.uint64)
        for at in np.flatnonzero(prompt != prompt[first]).tolist():
            what = "another ticket with the same summaries has another prompt"
            self.problems.add(_wrong(self.run.folder / "distill_chatml.jsonl", self.line[at], "messages", what, AGAIN))
        self.looked += len(prompt)


class TrainAndValShareNoGroup(Rule):
    """A group's tickets are all on one side."""

    says = "train and val share no group"
    needs = frozenset({"distill.train.jsonl", "distill.val.jsonl"})
    sees = ("distill.train.jsonl", "distill.val.jsonl")

    def __init__(self, run: Run):
        super().__init__(run)
        self.digests, self.train = bytearray(), None

    def see(self, row: Row) -> None:
        if row.name == "distill.train.jsonl":
            self.digests += digest_of(row.record.group_id)
            return
        if self.train is None:
            self.train = Keys(self.digests)
        what = f"{row.record.group_id!r} is in distill.train.jsonl too"
        self.found(
            _wrong(row.path, row.line, "group_id", what, AGAIN)
            if self.train.number(row.record.group_id) is not None
            else None
        )


def _short(text: str) -> int:
    """What stands for a text in a column; never 0."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()) or 1


def tickets_are_no_field_data(run: Run) -> str | None:
    """A warning where tickets were drawn."""
    return BANNER if is_synthetic(run.folder) else None


def corpus_has_two_sides(run: Run) -> str | None:
    """A warning where the student would see one verdict, or one label, alone."""
    missing = read_one_sided(run.folder / "distill.train.jsonl")
    return str(missing) if missing else None


WARNINGS: list[tuple[set[str], Callable[[Run], str | None]]] = [
    (set(), tickets_are_no_field_data),
    ({"distill.train.jsonl"}, corpus_has_two_sides),
]

RULES: tuple[type[Rule], ...] = (
    RoundsFollowEachOther,
    RuleKeysAreNeverUsedAgain,
    TicketsAreKnown,
    OneSelectionATicket,
    RowsStandOnce,
    ValidAnswersKeepTheProtocol,
    LabelMatchIsRight,
    OneGuidanceInAConvergedEpoch,
    ReviewHoldsTheUnsupported,
    ReviewCountsItsTickets,
    CorpusSaysWhatWasSelected,
    SamePhotosSamePrompt,
    TrainAndValShareNoGroup,
)


class Rules:
    """All rules, each shown the records it asks for."""

    def __init__(self, run: Run):
        self.run = run
        self._rules = [rule(run) for rule in RULES]
        self._by_name: dict[str, list[Rule]] = {}

    def see(self, row: Row) -> None:
        """Show a record to the rules that look at its file."""
        name = row.name if row.round is None else f"rounds/*/{row.name}"
        if name not in self._by_name:
            self._by_name[name] = [rule for rule in self._rules if name in rule.sees or not rule.sees]
        for rule in self._by_name[name]:
            rule.see(row)

    def end(self) -> Iterator[Rule]:
        """The rules that could be looked at, done."""
        for rule in self._rules:
            if rule.needs <= self.run.found:
                rule.end()
                yield rule
