"""The chat corpus: which selected answers the student learns from, how they are split, which ones people look at."""

import heapq
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal, NamedTuple

from verdicts.base.errors import mistake
from verdicts.base.jsonl import stream_rows
from verdicts.base.split import hash_share
from verdicts.config.sections import DistillSection
from verdicts.records.corpus import AuditRow, ChatRow, DroppedRow, DropReason, Message, SftRow
from verdicts.records.review import ReviewDecision, ReviewReason
from verdicts.records.rollout import Selection
from verdicts.records.run import LoopStatus
from verdicts.records.tickets import StageA, Verdict
from verdicts.review.decisions import OTHER, label_after, taught_by
from verdicts.stage_b.prompts import Prompts
from verdicts.stage_b.protocol import parse, render
from verdicts.stage_b.selection import OVERRIDE

FILES = (
    "distill_chatml.jsonl",
    "distill.train.jsonl",
    "distill.val.jsonl",
    "distill.dropped.jsonl",
    "distill.audit.jsonl",
)
DROPPED_BY_PEOPLE: dict[str, DropReason] = {"exclude": "excluded", "unsure": "unsure", "model_wrong": "model_wrong"}


@dataclass(frozen=True)
class RowDecision:
    """What becomes of one row.

    ``dropped``: a reason word, None for a row that is kept. ``label``: as corrected by people. ``taught``: the answer
    that people wrote instead of the model's, "" where they wrote none.
    """

    label: Verdict
    dropped: DropReason | None = None
    weight: float = 1.0
    flags: tuple[str, ...] = ()
    taught: str = ""


@dataclass(frozen=True)
class Item:
    """One selected answer on its way into the corpus."""

    ticket: StageA
    selection: Selection
    chat: ChatRow
    decision: RowDecision


def require_convergence(status: LoopStatus, path: Path) -> None:
    """Raise UserError unless the loop has converged: until then answers were given under rules that still changed."""
    if status.status == "running":
        raise mistake("the loop is still running", "let it end first", path=path, field="status")
    if status.status == "unreadable":
        raise mistake(
            "the loop stopped because too many answers could not be read",
            "run the loop again: it says what to change",
            path=path,
            field="status",
        )
    if status.status == "max_epochs":
        what = f"the loop ended after {status.epochs} epochs without one in which no round changed guidance"
        raise mistake(what, "raise loop.max_epochs, or read what the last rounds changed", path=path, field="status")


def supersede_corpus(run_dir: Path) -> Path | None:
    """Move a corpus out of the way of those who would train on it.

    Returns the folder it lies in now, None where there was none.

    Each goes to a folder of its own, ``distill.superseded/0001`` and so on; a move that was cut short goes on in the
    same one.
    """
    found = [name for name in FILES if (run_dir / name).exists()]
    if not found:
        return None
    folders = (run_dir / "distill.superseded" / f"{number:04d}" for number in count(1))
    folder = next(folder for folder in folders if not any((folder / name).exists() for name in found))
    folder.mkdir(parents=True, exist_ok=True)
    for name in found:
        (run_dir / name).rename(folder / name)
    return folder


def chat_row(prompts: Prompts, experiences: Mapping[str, str], ticket: StageA, selection: Selection) -> ChatRow:
    """The conversation in which the teacher gave this answer. The label stays beside the messages, never in them."""
    return ChatRow(
        group_id=ticket.group_id,
        mission=ticket.mission,
        label=ticket.label,
        messages=[
            Message(role="system", content=prompts.stage_b_system(experiences)),
            Message(role="user", content=prompts.stage_b_user(ticket.per_image)),
            Message(role="assistant", content=render(selection.verdict, selection.reason)),
        ],
    )


def decide_row(
    label: Verdict,
    verdict: Verdict,
    decision: ReviewDecision | None,
    review: ReviewReason | None,
    settings: DistillSection,
    agreement: float = 1.0,
    by_threshold: bool = False,
) -> RowDecision:
    """Decide on one row: people first, then the review list, then ``conflict_policy`` where verdict and label differ.
    What still stays is dropped where the votes agree too little (``min_agreement``), unless people decided it.

    ``review``: why the row's ticket waits for people, None where it does not. One that is listed for conflict alone (no
    candidate supports its label) is what ``conflict_policy`` is about: unless that says drop, it stays, with a
    conflict's weight and flag. One whose label reflection could not explain (``label_suspect``) waits for people.

    ``by_threshold``: the threshold wrote the answer, in figures that no student can know, against what the model said.
    It teaches nothing, unless people wrote another.
    """
    said = decision.decision if decision else None
    if taught := taught_by(label, decision):
        corrected = ("label_corrected",) if said == "label_wrong" else ()
        return RowDecision(label_after(label, decision), flags=(*corrected, "reason_corrected"), taught=taught)
    if said in DROPPED_BY_PEOPLE:
        return RowDecision(label, dropped=DROPPED_BY_PEOPLE[said])
    for_conflict_alone = review == "no_candidate_supports_gt" and verdict != label
    if said is None and review and not (for_conflict_alone and settings.conflict_policy != "drop"):
        return RowDecision(label, dropped="needs_review")
    if by_threshold:
        return RowDecision(label, dropped="by_threshold")
    label, flags = label_after(label, decision), ("label_corrected",) if said == "label_wrong" else ()
    refused = verdict != label and settings.conflict_policy == "drop"
    if said is None and not refused and agreement < settings.min_agreement:
        return RowDecision(label, dropped="low_agreement")
    if verdict == label:
        return RowDecision(label, flags=flags)
    match settings.conflict_policy:
        case "drop":
            return RowDecision(label, dropped="conflict")
        case "downweight":
            return RowDecision(label, weight=settings.conflict_weight, flags=(*flags, "conflict"))
        case "mark":
            return RowDecision(label, flags=(*flags, "conflict"))
        case "keep":
            return RowDecision(label, flags=flags)


def agreement(selection: Selection) -> float:
    """The share of a ticket's valid votes behind its verdict; 1 where the guard gave it, for it does not vote."""
    return 1.0 if OVERRIDE in selection.warnings else selection.vote_strength


class Validation:
    """The groups that validate: those whose seeded hash, a number in [0, 1), is below ``share``.

    Show it all groups first, then ask ``group in it``.

    A group's side depends on nothing but its name and the seed, so new tickets move no old one. Only where chance left
    a side empty, the group nearest to it goes there: both sides hold something whenever there are two groups (one alone
    trains). A share of 0 or 1 means what it says. Of the groups only the two at the ends are kept.
    """

    def __init__(self, share: float, seed: int):
        self._share, self._seed = share, seed
        self._first: tuple[float, str] | None = None
        self._last: tuple[float, str] | None = None

    def see(self, group: str) -> None:
        """Take in a group, as often as it comes."""
        place = hash_share(self._seed, group), group
        self._first = min(self._first or place, place)
        self._last = max(self._last or place, place)

    def __contains__(self, group: object) -> bool:
        place = hash_share(self._seed, str(group)), group
        if self._first is None or self._last is None:
            return False
        if self._share in (0, 1):
            return place[0] < self._share
        if self._first == self._last:
            return False
        if self._first[0] >= self._share:
            return place == self._first
        return place[0] < self._share and (self._last[0] >= self._share or place != self._last)


def sft_row(item: Item) -> SftRow:
    """A kept row with its corrected label, answer, weight and flags."""
    *asked, _ = item.chat.messages
    return SftRow(
        group_id=item.chat.group_id,
        mission=item.chat.mission,
        label=item.decision.label,
        messages=[*asked, Message(role="assistant", content=taught)]
        if (taught := item.decision.taught)
        else item.chat.messages,
        weight=item.decision.weight,
        flags=",".join(item.decision.flags),
    )


def dropped_row(item: Item) -> DroppedRow:
    """A refused row with its reason word and its label as it was."""
    assert item.decision.dropped, item.ticket.ticket_key
    return DroppedRow(
        group_id=item.chat.group_id,
        mission=item.chat.mission,
        label=item.chat.label,
        messages=item.chat.messages,
        ticket_key=item.ticket.ticket_key,
        dropped=item.decision.dropped,
    )


class AuditSample:
    """A seeded sample of all answers, kept or dropped.

    It holds the ``size`` answers whose hash is lowest, so it stands for the whole.
    """

    def __init__(self, size: int, seed: int):
        self._size, self._seed = size, seed
        self._drawn: list[tuple[float, str, Item]] = []  # a heap: its first has the highest hash

    def see(self, item: Item) -> None:
        """Take in an answer."""
        place = -hash_share(self._seed, f"audit:{item.ticket.ticket_key}")
        heapq.heappush(self._drawn, (place, item.ticket.ticket_key, item))
        if len(self._drawn) > self._size:
            heapq.heappop(self._drawn)

    def rows(self, validation: Container[str]) -> list[AuditRow]:
        """The sample, the riskiest first: false releases, other releases, false blocks, the rest.

        Within a risk the weakest votes come first.
        """
        drawn = [item for _, _, item in self._drawn]
        drawn.sort(
            key=lambda item: (
                _risk(item.ticket.label, item.selection.verdict),
                item.selection.vote_strength,
                item.ticket.ticket_key,
            )
        )
        return [_audit_row(item, validation) for item in drawn]


def _risk(label: Verdict, verdict: Verdict) -> int:
    """0 for a false release, 1 for another release, 2 for a false block, 3 for a block that the label shares."""
    return [("fail", "pass"), ("pass", "pass"), ("pass", "fail"), ("fail", "fail")].index((label, verdict))


def _audit_row(item: Item, validation: Container[str]) -> AuditRow:
    side: Literal["train", "val"] = "val" if item.ticket.group_id in validation else "train"
    return AuditRow(
        ticket_key=item.ticket.ticket_key,
        group_id=item.ticket.group_id,
        mission=item.ticket.mission,
        label=item.ticket.label,
        verdict=item.selection.verdict,
        reason=item.selection.reason,
        vote_strength=item.selection.vote_strength,
        used_in="dropped" if item.decision.dropped else side,
        dropped=item.decision.dropped,
        images=item.ticket.images,
        per_image=item.ticket.per_image,
    )


class OneSided(NamedTuple):
    """What a corpus lacks.

    ``what``: ``verdict`` where every answer is ``only``, ``label`` where every row is labelled ``only``.
    """

    what: Literal["verdict", "label"]
    only: Verdict

    def __str__(self) -> str:
        said = "answers" if self.what == "verdict" else "is labelled"
        return (
            f"ONE-SIDED CORPUS: every row of distill.train.jsonl {said} {self.only}, none {OTHER[self.only]}. "
            f"A student taught on it alone learns to say {self.only}; add tickets of the other side, "
            "or decide the review list (sft asks for allow_one_sided: true)"
        )


def find_one_sided(rows: Iterable[SftRow]) -> OneSided | None:
    """What a corpus lacks; None where both verdicts and both labels are in it, and where it is empty.

    Reads no further than it must.
    """
    verdicts: set[Verdict] = set()
    labels: set[Verdict] = set()
    for row in rows:
        if said := parse(row.messages[2].content).verdict:
            verdicts.add(said)
        labels.add(row.label)
        if len(verdicts) == len(labels) == 2:
            return None
    if len(verdicts) == 1:
        return OneSided("verdict", verdicts.pop())
    return OneSided("label", labels.pop()) if len(labels) == 1 else None


def read_one_sided(path: Path) -> OneSided | None:
    """The same of a corpus file; None where there is none."""
    return find_one_sided(stream_rows(path, SftRow, allow_empty=True)) if path.exists() else None


def summary(tickets: int, train: int, val: int, dropped: Counter[str], corrected: int) -> str:
    """The counts: tickets in = train + val + dropped (by reason word) + unanswered."""
    why = f" ({', '.join(f'{word} {count}' for word, count in sorted(dropped.items()))})" if dropped else ""
    unanswered = tickets - train - val - dropped.total()
    counts = f"{train} train + {val} val + {dropped.total()} dropped{why} + {unanswered} without an answer"
    return (
        f"{tickets} tickets = {counts}"
        + (f"; {corrected} labels corrected by people" if corrected else "")
        + ("" if train else "; nothing is left to train on: decide the review list or loosen distill.conflict_policy")
    )
