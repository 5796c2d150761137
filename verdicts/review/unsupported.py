"""The need-review list: tickets that no candidate of their last evaluation supports (docs/design.md §4).

A candidate is an answer of the model, or the guard's verdict where it overrode the model's: both can support a label.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from verdicts.records.review import NeedReviewEntry, ReviewCandidate, ReviewReason, ReviewTicket
from verdicts.records.rollout import Selection, Trajectory
from verdicts.records.tickets import StageA, Verdict
from verdicts.stage_b.selection import by_model


def is_unsupported(candidates: Iterable[Trajectory]) -> bool:
    """True where at least one candidate of a ticket is valid and none of the valid ones matches the label."""
    valid = [candidate for candidate in candidates if candidate.format_ok]
    return bool(valid) and not any(candidate.label_match for candidate in valid)


def review_entries(
    trajectories: Iterable[Trajectory],
    selections: Iterable[Selection],
    policy: str,
    suspects: Mapping[str, str],
    shown_in: Mapping[str, str],
) -> list[NeedReviewEntry]:
    """The review entries of one round, in the order of its selections.

    Each unsupported ticket has one, under ``label_suspect`` each of the suspects. A ticket without a selection is a
    hard failure and no matter for review.

    ``suspects``: ticket_key -> id of the reflection that, given the label, could not explain it.
    ``shown_in``: ticket_key -> id of the reflection that was shown it.
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
    """How sure the model is against the label.

    The mean of ln p(other verdict) - ln p(label) over valid candidates that have both.
    """
    odds = []
    for candidate in candidates:
        logprob = candidate.verdict_logprob
        if candidate.format_ok and logprob.pass_ is not None and logprob.fail is not None:
            for_pass = logprob.pass_ - logprob.fail
            odds.append(-for_pass if label == "pass" else for_pass)
    return round(sum(odds) / len(odds), 6) if odds else None


def distinct_answers(candidates: Iterable[Trajectory]) -> list[ReviewCandidate]:
    """The model's valid answers, equal ones counted; the most frequent first."""
    valid = [candidate for candidate in by_model(candidates) if candidate.format_ok]
    counts = Counter((candidate.verdict, candidate.reason) for candidate in valid)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    # The record of a candidate may lack a verdict or a reason, that of a valid one never does.
    return [
        ReviewCandidate.model_validate({"verdict": verdict, "reason": reason, "count": count})
        for (verdict, reason), count in ranked
    ]


def review_ticket(
    ticket: StageA, selection: Selection, candidates: Sequence[Trajectory], times_queued: int, reason_code: ReviewReason
) -> ReviewTicket:
    """One ticket ready to read. ``reason_code``: of its last line of the queue."""
    return ReviewTicket(
        ticket_key=ticket.ticket_key,
        group_id=ticket.group_id,
        gt_label=ticket.label,
        fail_reasons=ticket.fail_reasons,
        pred_verdict=selection.verdict,
        pred_reason=selection.reason,
        reason_code=reason_code,
        times_queued=times_queued,
        last_round=selection.round,
        log_odds_against_label=log_odds_against(ticket.label, candidates),
        images=ticket.images,
        per_image=ticket.per_image,
        candidates=distinct_answers(candidates),
    )
