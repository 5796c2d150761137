"""The chat corpus: which selected answers the student learns from, how they are split, which ones people look at."""

import hashlib
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tools.core.config import DistillConfig, DistillSection
from tools.core.decisions import label_after
from tools.core.errors import mistake
from tools.core.jsonl import read_numbered
from tools.core.prompts import stage_b_system, stage_b_user
from tools.core.protocol import parse, render
from tools.core.records import (
    AuditRow,
    ChatRow,
    DroppedRow,
    DropReason,
    LoopStatus,
    Message,
    ReviewDecision,
    Selection,
    SftRow,
    StageA,
    Verdict,
)

DROPPED_BY_PEOPLE: dict[str, DropReason] = {"exclude": "excluded", "unsure": "unsure", "model_wrong": "model_wrong"}


@dataclass(frozen=True)
class Fate:
    """What becomes of one row: ``dropped`` is a reason word, None for a row that is kept. ``label``: as corrected by people."""

    label: Verdict
    dropped: DropReason | None = None
    weight: float = 1.0
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Item:
    """One selected answer on its way into the corpus."""

    ticket: StageA
    selection: Selection
    chat: ChatRow
    fate: Fate


def require_convergence(status: LoopStatus, path: Path) -> None:
    """Raise UserError unless the loop has converged: before that its answers were given under rules that still changed."""
    if status.status == "running":
        raise mistake("the loop is still running", "let it end first", path=path, field="status")
    if status.status == "unreadable":
        raise mistake("the loop stopped because too many answers could not be read", "run the loop again: it says what to change", path=path, field="status")
    if status.status == "max_epochs":
        what = f"the loop ended after {status.epochs} epochs without one in which no round changed guidance"
        raise mistake(what, "raise loop.max_epochs, or read what the last rounds changed", path=path, field="status")


def read_answers(path: Path, tickets: Mapping[str, StageA], step: int) -> list[Selection]:
    """Read the run's selections; refuses an unknown ticket, one given twice, an older guidance, and a reason that breaks the protocol."""
    seen: dict[str, int] = {}
    answers = []
    for line, row in read_numbered(path, Selection):
        if row.ticket_key not in tickets:
            raise mistake(f"{row.ticket_key!r} is not a ticket of this stage_a.jsonl", "correct or delete the line", path=path, line=line, field="ticket_key")
        if row.ticket_key in seen:
            raise mistake(f"{row.ticket_key!r} stands on line {seen[row.ticket_key]} already", "keep one of the two", path=path, line=line, field="ticket_key")
        if row.guidance_step != step:
            what = f"answered under step {row.guidance_step}, guidance.json is at step {step}"
            raise mistake(what, "make the run's view again (collect)", path=path, line=line, field="guidance_step")
        if why := parse(render(row.verdict, row.reason)).why:
            raise mistake(f"breaks the two-line protocol ({why})", "write one line without a third state", path=path, line=line, field="reason")
        seen[row.ticket_key] = line
        answers.append(row)
    return answers


def items(
    cfg: DistillConfig,
    experiences: Mapping[str, str],
    tickets: Mapping[str, StageA],
    answers: Iterable[Selection],
    review: Container[str],
    decisions: Mapping[str, ReviewDecision],
) -> list[Item]:
    """Every selected answer with its conversation and its fate, in the order given. ``review``: ticket keys of the review list."""
    found = []
    for answer in answers:
        key = answer.ticket_key
        ticket = tickets[key]
        chat = chat_row(cfg.mission.name, experiences, ticket, answer)
        found.append(Item(ticket, answer, chat, fate(ticket.label, answer.verdict, decisions.get(key), key in review, cfg.distill)))
    return _without_duplicates(found)


def _without_duplicates(found: Sequence[Item]) -> list[Item]:
    """Drop a corrected row whose group has the same photos under that label already: it would teach the same twice."""
    kept = {_content(item) for item in found if not item.fate.dropped and "label_corrected" not in item.fate.flags}
    doubled = [item for item in found if "label_corrected" in item.fate.flags and _content(item) in kept]
    return [replace(item, fate=Fate(item.ticket.label, dropped="duplicate")) if item in doubled else item for item in found]


def _content(item: Item) -> tuple[str, Verdict, tuple[str, ...]]:
    return item.ticket.group_id, item.fate.label, tuple(item.ticket.per_image.values())


def chat_row(mission: str, experiences: Mapping[str, str], ticket: StageA, selection: Selection) -> ChatRow:
    """The conversation in which the teacher gave this answer. The label stays beside the messages, never in them."""
    return ChatRow(
        group_id=ticket.group_id,
        mission=ticket.mission,
        label=ticket.label,
        messages=[
            Message(role="system", content=stage_b_system(mission, experiences)),
            Message(role="user", content=stage_b_user(ticket.per_image)),
            Message(role="assistant", content=render(selection.verdict, selection.reason)),
        ],
    )


def fate(label: Verdict, verdict: Verdict, decision: ReviewDecision | None, in_review: bool, settings: DistillSection) -> Fate:
    """Decide on one row: people first, then the review list, then ``conflict_policy`` where verdict and label differ."""
    said = decision.decision if decision else None
    if said in DROPPED_BY_PEOPLE:
        return Fate(label, dropped=DROPPED_BY_PEOPLE[said])
    if said is None and in_review:
        return Fate(label, dropped="needs_review")
    label, flags = label_after(label, decision), ("label_corrected",) if said == "label_wrong" else ()
    if verdict == label:
        return Fate(label, flags=flags)
    match settings.conflict_policy:
        case "drop":
            return Fate(label, dropped="conflict")
        case "downweight":
            return Fate(label, weight=settings.conflict_weight, flags=(*flags, "conflict"))
        case "mark":
            return Fate(label, flags=(*flags, "conflict"))
        case "keep":
            return Fate(label, flags=flags)


def validation_groups(group_ids: Iterable[str], share: float, seed: int) -> set[str]:
    """Choose the groups that validate: those whose seeded hash, a number in [0, 1), is below ``share``.

    A group's side depends on nothing but its name and the seed, so new tickets move no old one. Only where chance left
    a side empty, the group nearest to it goes there: both sides hold something whenever there are two groups (one alone
    trains). A share of 0 or 1 means what it says.
    """
    ranked = sorted({group: hash_share(seed, group) for group in group_ids}.items(), key=lambda item: (item[1], item[0]))
    chosen = {group for group, place in ranked if place < share}
    if share in (0, 1):
        return chosen
    if len(ranked) < 2:
        return set()
    if not chosen:
        return {ranked[0][0]}
    if len(chosen) == len(ranked):
        return chosen - {ranked[-1][0]}
    return chosen


def hash_share(seed: int, name: str) -> float:
    """A number in [0, 1) that depends on seed and name alone (the first 8 bytes of their SHA-256)."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def sft_row(item: Item) -> SftRow:
    """A kept row with its corrected label, weight and flags."""
    return SftRow(
        group_id=item.chat.group_id,
        mission=item.chat.mission,
        label=item.fate.label,
        messages=item.chat.messages,
        weight=item.fate.weight,
        flags=",".join(item.fate.flags),
    )


def dropped_row(item: Item) -> DroppedRow:
    """A refused row with its reason word and its label as it was."""
    return DroppedRow(
        group_id=item.chat.group_id,
        mission=item.chat.mission,
        label=item.chat.label,
        messages=item.chat.messages,
        ticket_key=item.ticket.ticket_key,
        dropped=item.fate.dropped,
    )


def audit_sample(items: Sequence[Item], size: int, seed: int, validation: set[str]) -> list[AuditRow]:
    """A seeded sample of all answers, kept or dropped, the riskiest first: false releases, other releases, false blocks, the rest.

    Within a risk the weakest votes come first. The sample is drawn before it is sorted, so it stands for the whole.
    """
    drawn = sorted(items, key=lambda item: hash_share(seed, f"audit:{item.ticket.ticket_key}"))[:size]
    drawn.sort(key=lambda item: (_risk(item.ticket.label, item.selection.verdict), item.selection.vote_strength, item.ticket.ticket_key))
    return [_audit_row(item, validation) for item in drawn]


def _risk(label: Verdict, verdict: Verdict) -> int:
    """0 for a false release, 1 for another release, 2 for a false block, 3 for a block that the label shares."""
    return [("fail", "pass"), ("pass", "pass"), ("pass", "fail"), ("fail", "fail")].index((label, verdict))


def _audit_row(item: Item, validation: set[str]) -> AuditRow:
    side = "val" if item.ticket.group_id in validation else "train"
    return AuditRow(
        ticket_key=item.ticket.ticket_key,
        group_id=item.ticket.group_id,
        mission=item.ticket.mission,
        label=item.ticket.label,
        verdict=item.selection.verdict,
        reason=item.selection.reason,
        vote_strength=item.selection.vote_strength,
        used_in="dropped" if item.fate.dropped else side,
        dropped=item.fate.dropped,
        images=item.ticket.images,
        per_image=item.ticket.per_image,
    )


def summary(tickets: int, found: Sequence[Item], train: int, val: int) -> str:
    """The count sentence: tickets in = train + val + dropped (by reason word) + unanswered."""
    reasons = Counter(item.fate.dropped for item in found if item.fate.dropped)
    why = f" ({', '.join(f'{word} {count}' for word, count in sorted(reasons.items()))})" if reasons else ""
    corrected = sum("label_corrected" in item.fate.flags for item in found)
    return (
        f"distill: {tickets} tickets = {train} train + {val} val + {reasons.total()} dropped{why} + {tickets - len(found)} without an answer"
        + (f"; {corrected} labels corrected by people" if corrected else "")
        + ("" if train else "; nothing is left to train on: decide the review list or loosen distill.conflict_policy")
    )
