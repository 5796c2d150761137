"""From candidates to one verdict: majority vote, fail-first on ties, and a guard against passes with an explicit
negative.

Label-blind: the label is only written beside the verdict (``label_match``), never used to choose it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from verdicts.config.sections import FailFirst
from verdicts.records.rollout import Selection, Trajectory, VerdictLogprob, votes_of
from verdicts.records.tickets import StageA, Verdict
from verdicts.stage_b.negatives import negatives_in
from verdicts.stage_b.protocol import clean_summary, render, third_state_word

OVERRIDE = "fail_first_override"
TIE = "tie_fail_first"


class Summarised(Protocol):
    """Anything that has the summaries of photos, a ticket for one."""

    @property
    def per_image(self) -> Mapping[str, str]:
        """Photo -> summary."""


def explicit_negative(ticket: Summarised, guard: FailFirst) -> tuple[str, str] | None:
    """The first (photo, fact) that is one of the guard's negatives, or None; the fact as a reader may see it."""
    if not guard.enabled:
        return None
    for photo, summary in ticket.per_image.items():
        for fact in negatives_in(summary, guard):
            return photo, clean_summary(fact.shown)
    return None


def majority(verdicts: Sequence[Verdict]) -> tuple[Verdict, float]:
    """The verdict most candidates gave and its share of the votes; a tie is a fail."""
    fails = sum(verdict == "fail" for verdict in verdicts)
    verdict: Verdict = "fail" if 2 * fails >= len(verdicts) else "pass"
    return verdict, round(max(fails, len(verdicts) - fails) / len(verdicts), 6)


def select(ticket: StageA, candidates: Sequence[Trajectory], guard: FailFirst) -> Selection | None:
    """Choose a ticket's verdict and reason; None where no candidate of the model is valid.

    The first candidate of the winning verdict speaks for it (the grid goes from cold to warm), one with a whole reason
    before one whose reason was cut. Where the guard overrides a pass it speaks itself: ``selected_candidate`` is then
    the index of the row that ``guard_row`` gives.
    """
    asked = by_model(candidates)
    valid = [candidate for candidate in asked if candidate.format_ok]
    if not valid:
        return None
    verdict, strength = majority([candidate.verdict for candidate in valid if candidate.verdict])
    chosen = min(
        (candidate for candidate in valid if candidate.verdict == verdict), key=lambda candidate: candidate.cut
    )
    assert chosen.reason is not None  # a valid answer has both
    reason, index, warnings = chosen.reason, chosen.candidate_index, []
    if 0 < sum(candidate.verdict == "pass" for candidate in valid) == len(valid) / 2:
        warnings.append(TIE)
    if verdict == "pass" and (negative := explicit_negative(ticket, guard)):
        verdict, reason, index = "fail", guard_reason(*negative), asked[-1].candidate_index + 1
        warnings.append(OVERRIDE)
    if chosen.cut and index == chosen.candidate_index:
        warnings.append("reason_cut")
    return Selection(
        ticket_key=ticket.ticket_key, group_id=ticket.group_id, mission=ticket.mission, label=ticket.label,
        verdict=verdict, reason=reason, vote_strength=strength, label_match=verdict == ticket.label,
        candidates=votes_of([candidate.verdict for candidate in asked]), selected_candidate=index,
        guidance_step=chosen.guidance_step, epoch=chosen.epoch, round=chosen.round, warnings=warnings,
        prompt=chosen.prompt,
    )  # fmt: skip


def by_model(candidates: Iterable[Trajectory]) -> list[Trajectory]:
    """The candidates that the model gave: they alone vote, and they alone say how well it keeps the format."""
    return [candidate for candidate in candidates if candidate.source == "model"]


def guard_row(selection: Selection | None) -> Trajectory | None:
    """The guard's verdict as a candidate of its own, so that what was selected is among the candidates; None where it
    overrode nothing.
    """
    if selection is None or selection.selected_candidate is None or OVERRIDE not in selection.warnings:
        return None
    return Trajectory(
        ticket_key=selection.ticket_key, group_id=selection.group_id, mission=selection.mission,
        round=selection.round, epoch=selection.epoch, candidate_index=selection.selected_candidate, decode=None,
        response_text=render(selection.verdict, selection.reason), verdict=selection.verdict, reason=selection.reason,
        format_ok=True, label_match=selection.label_match,
        verdict_logprob=VerdictLogprob.model_validate({"pass": None, "fail": None}),
        guidance_step=selection.guidance_step, source="guard", prompt=selection.prompt,
    )  # fmt: skip


def guard_reason(photo: str, segment: str) -> str:
    """The reason of an overridden pass; the segment is shown unless it would bring a third-state word into it."""
    shown = f"：{segment[:60]}" if third_state_word(segment) is None else ""
    return f"{photo} 出现明确负项{shown}(G0)"
