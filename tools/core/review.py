"""The need-review list: tickets that no candidate of their last evaluation supports (DESIGN.md §4).

A candidate is an answer of the model, or the guard's verdict where it overrode the model's: both can support a label.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

from tools.core.records import (
    MissionReview,
    NeedReviewEntry,
    NeedReviewFile,
    ReviewCandidate,
    ReviewReason,
    ReviewTicket,
    Selection,
    StageA,
    Trajectory,
    Verdict,
)
from tools.core.selection import by_model


def is_unsupported(candidates: Iterable[Trajectory]) -> bool:
    """True where at least one candidate of a ticket is valid and none of the valid ones matches the label."""
    valid = [candidate for candidate in candidates if candidate.format_ok]
    return bool(valid) and not any(candidate.label_match for candidate in valid)


def queue(
    trajectories: Iterable[Trajectory], selections: Iterable[Selection], policy: str, suspects: Mapping[str, str], shown_in: Mapping[str, str]
) -> list[NeedReviewEntry]:
    """The review entries of one round, in the order of its selections: each unsupported ticket, under ``label_suspect`` only suspects.

    ``suspects``: ticket_key -> id of the reflection that, given the label, could not explain it. ``shown_in``: ticket_key
    -> id of the reflection that was shown it. A ticket without a selection is a hard failure and no matter for review.
    """
    candidates = last_evaluations(trajectories)
    entries = []
    for selection in selections:
        key = selection.ticket_key
        if not is_unsupported(candidates.get(key, [])) or (policy == "label_suspect" and key not in suspects):
            continue
        entries.append(
            NeedReviewEntry(
                ticket_key=key,
                group_id=selection.group_id,
                mission=selection.mission,
                gt_label=selection.label,
                pred_verdict=selection.verdict,
                pred_reason=selection.reason,
                reason_code="label_suspect" if policy == "label_suspect" else "no_candidate_supports_gt",
                reflection_id=suspects.get(key, shown_in.get(key)),
                round=selection.round,
                epoch=selection.epoch,
                note="reflection could not explain the label" if key in suspects else "",
            )
        )
    return entries


def last_evaluations(trajectories: Iterable[Trajectory]) -> dict[str, list[Trajectory]]:
    """By ticket_key, its candidates of the last round that evaluated it."""
    last: dict[str, list[Trajectory]] = {}
    for row in trajectories:
        held = last.get(row.ticket_key)
        if held is None or row.round > held[0].round:
            last[row.ticket_key] = [row]
        elif row.round == held[0].round:
            held.append(row)
    return last


def log_odds_against(label: Verdict, candidates: Iterable[Trajectory]) -> float | None:
    """How sure the model is against the label: mean of ln p(other verdict) - ln p(label) over valid candidates that have both."""
    odds = []
    for candidate in candidates:
        logprob = candidate.verdict_logprob
        if candidate.format_ok and logprob.pass_ is not None and logprob.fail is not None:
            for_pass = logprob.pass_ - logprob.fail
            odds.append(-for_pass if label == "pass" else for_pass)
    return round(sum(odds) / len(odds), 6) if odds else None


def distinct_answers(candidates: Iterable[Trajectory]) -> list[ReviewCandidate]:
    """The model's valid answers, equal ones counted; the most frequent first."""
    counts = Counter((candidate.verdict, candidate.reason) for candidate in by_model(candidates) if candidate.format_ok)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [ReviewCandidate(verdict=verdict, reason=reason, count=count) for (verdict, reason), count in ranked]


def review_file(
    tickets: Iterable[StageA], trajectories: Iterable[Trajectory], selections: Iterable[Selection], queue: Iterable[NeedReviewEntry]
) -> NeedReviewFile:
    """Build need_review.json.

    A ticket is listed where it is unsupported at its last evaluation and was queued: under ``policy: unsupported`` every
    such ticket was, under ``label_suspect`` only those that reflection could not explain. A ticket without a selection is
    a hard failure and no matter for review. Missions are sorted; a mission's tickets stand in the order of ``_rank``.
    """
    last = last_evaluations(trajectories)
    chosen = {selection.ticket_key: selection for selection in selections}
    entries: dict[str, list[NeedReviewEntry]] = defaultdict(list)
    for entry in queue:
        entries[entry.ticket_key].append(entry)
    missions: dict[str, list[ReviewTicket]] = defaultdict(list)
    for ticket in tickets:
        listed = missions[ticket.mission]
        key = ticket.ticket_key
        if key in chosen and entries[key] and is_unsupported(last.get(key, [])):
            listed.append(review_ticket(ticket, chosen[key], last[key], entries[key]))
    return NeedReviewFile(missions={mission: _mission_review(missions[mission]) for mission in sorted(missions)})


def review_ticket(ticket: StageA, selection: Selection, candidates: Sequence[Trajectory], entries: Sequence[NeedReviewEntry]) -> ReviewTicket:
    """One ticket ready to read. ``entries``: its lines of the queue, oldest first."""
    return ReviewTicket(
        ticket_key=ticket.ticket_key,
        group_id=ticket.group_id,
        gt_label=ticket.label,
        pred_verdict=selection.verdict,
        pred_reason=selection.reason,
        reason_code=entries[-1].reason_code,
        times_queued=len(entries),
        last_round=selection.round,
        log_odds_against_label=log_odds_against(ticket.label, candidates),
        images=ticket.images,
        per_image=ticket.per_image,
        candidates=distinct_answers(candidates),
    )


def _rank(ticket: ReviewTicket) -> tuple[float, int, str]:
    """The likeliest label error first: by log-odds against the label (none: last), then by times queued, then by key."""
    odds = ticket.log_odds_against_label
    return (-odds if odds is not None else float("inf"), -ticket.times_queued, ticket.ticket_key)


def _mission_review(tickets: Iterable[ReviewTicket]) -> MissionReview:
    ranked = sorted(tickets, key=_rank)
    return MissionReview(
        count=len(ranked),
        by_gt_label=_counts(Verdict, (ticket.gt_label for ticket in ranked)),
        by_reason_code=_counts(ReviewReason, (ticket.reason_code for ticket in ranked)),
        tickets=ranked,
    )


def _counts(words: object, found: Iterable[str]) -> Mapping[str, int]:
    """How often each word of a Literal type was found, absent ones as 0."""
    counts = Counter(found)
    return {word: counts[word] for word in get_args(words)}


def unresolved(review: NeedReviewFile) -> dict[str, ReviewReason]:
    """The tickets of all missions' lists: ticket_key -> why it is listed."""
    return {ticket.ticket_key: ticket.reason_code for mission in review.missions.values() for ticket in mission.tickets}
