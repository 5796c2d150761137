"""From candidates to one verdict: majority vote, fail-first on ties, or a threshold on P(fail); then a guard against
passes with an explicit negative.

Label-blind: the label is only written beside the verdict (``label_match``), never used to choose it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from verdicts.config.sections import FailFirst
from verdicts.records.rollout import AnswerSource, Selection, Trajectory, VerdictLogprob, votes_of
from verdicts.records.tickets import StageA, Verdict
from verdicts.stage_b.negatives import negatives_in
from verdicts.stage_b.protocol import clean_summary, render, third_state_word
from verdicts.stage_b.threshold import by_chance_of_fail, chance_of, turned_reason

OVERRIDE = "fail_first_override"
TIE = "tie_fail_first"
TURNED = "turned_by_threshold"  # the votes alone would have given the other verdict
CUT = "reason_cut"


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


class Decided(NamedTuple):
    """A verdict before the guard. ``speaker``: the candidate_index of what speaks for it; None where none does."""

    verdict: Verdict
    reason: str
    speaker: int | None
    strength: float
    warnings: list[str]


def select(
    ticket: StageA, candidates: Sequence[Trajectory], guard: FailFirst, threshold: float | None = None
) -> Selection | None:
    """Choose a ticket's verdict and reason; None where no candidate of the model is valid.

    The candidates vote, or with a ``threshold`` the ticket fails from that P(fail) on. The first candidate of that
    verdict speaks for it (the grid goes from cold to warm), one with a whole reason before one whose reason was cut.
    Where the guard overrides a pass, or no candidate has the verdict that the threshold gives, these speak themselves:
    ``selected_candidate`` is then the index of the row that ``written_row`` gives.
    """
    asked = by_model(candidates)
    valid = [candidate for candidate in asked if candidate.format_ok]
    if not valid:
        return None
    verdict, reason, index, strength, warnings = _choice(valid, threshold)
    if verdict == "pass" and (negative := explicit_negative(ticket, guard)):
        verdict, reason, index = "fail", guard_reason(*negative), None
        warnings = [*(warning for warning in warnings if warning != CUT), OVERRIDE]
    return Selection(
        ticket_key=ticket.ticket_key, group_id=ticket.group_id, mission=ticket.mission, label=ticket.label,
        verdict=verdict, reason=reason, vote_strength=strength, label_match=verdict == ticket.label,
        candidates=votes_of([candidate.verdict for candidate in asked]),
        selected_candidate=asked[-1].candidate_index + 1 if index is None else index,
        guidance_step=valid[0].guidance_step, epoch=valid[0].epoch, round=valid[0].round, warnings=warnings,
        prompt=valid[0].prompt,
    )  # fmt: skip


def _choice(valid: Sequence[Trajectory], threshold: float | None) -> Decided:
    """What the valid candidates of a ticket come to, by vote or by threshold."""
    votes = [candidate.verdict for candidate in valid if candidate.verdict]
    voted, strength = majority(votes)
    if threshold is None:
        tied = 2 * votes.count("pass") == len(votes)
        return _spoken(valid, voted, strength, [TIE] if tied else [])
    chance = mean_chance(valid)
    assert chance is not None  # without one a candidate is malformed (trajectories.without_probability)
    verdict = by_chance_of_fail(threshold, chance)
    strength = round(votes.count(verdict) / len(votes), 6)
    if verdict == voted:
        return _spoken(valid, verdict, strength, [])
    if verdict in votes:
        return _spoken(valid, verdict, strength, [TURNED])
    reason = turned_reason(voted, _spoken(valid, voted, strength, []).reason, chance, threshold)
    return Decided(verdict, reason, None, strength, [TURNED])


def _spoken(valid: Sequence[Trajectory], verdict: Verdict, strength: float, warnings: list[str]) -> Decided:
    """A verdict in the words of its first candidate."""
    said = min((candidate for candidate in valid if candidate.verdict == verdict), key=lambda candidate: candidate.cut)
    assert said.reason is not None  # a valid answer has both
    return Decided(verdict, said.reason, said.candidate_index, strength, [*warnings, *[CUT] * said.cut])


def mean_chance(valid: Sequence[Trajectory]) -> float | None:
    """P(fail) of a ticket, to six places: the mean of its candidates'; None where none of them has one.

    They all have the same, unless each thinks by itself first or writes freely.
    """
    chances = [chance_of(candidate.verdict_logprob.model_dump(by_alias=True)) for candidate in valid]
    known = [chance for chance in chances if chance is not None]
    return round(sum(known) / len(known), 6) if known else None


def by_model(candidates: Iterable[Trajectory]) -> list[Trajectory]:
    """The candidates that the model gave: they alone vote, and they alone say how well it keeps the format."""
    return [candidate for candidate in candidates if candidate.source == "model"]


def writer_of(selection: Selection) -> AnswerSource:
    """Who wrote the selected answer."""
    if OVERRIDE in selection.warnings:
        return "guard"
    votes = selection.candidates
    asked = votes.pass_ + votes.fail + votes.malformed
    beyond = selection.selected_candidate is not None and selection.selected_candidate >= asked
    return "threshold" if beyond and TURNED in selection.warnings else "model"


def written_row(selection: Selection | None) -> Trajectory | None:
    """What guard or threshold wrote as a candidate of its own, so that what was selected is among the candidates; None
    where a candidate of the model speaks.
    """
    if selection is None or selection.selected_candidate is None or (writer := writer_of(selection)) == "model":
        return None
    return Trajectory(
        ticket_key=selection.ticket_key, group_id=selection.group_id, mission=selection.mission,
        round=selection.round, epoch=selection.epoch, candidate_index=selection.selected_candidate, decode=None,
        response_text=render(selection.verdict, selection.reason), verdict=selection.verdict, reason=selection.reason,
        format_ok=True, label_match=selection.label_match,
        verdict_logprob=VerdictLogprob.model_validate({"pass": None, "fail": None}),
        guidance_step=selection.guidance_step, source=writer, prompt=selection.prompt,
    )  # fmt: skip


def guard_reason(photo: str, segment: str) -> str:
    """The reason of an overridden pass; the segment is shown unless it would bring a third-state word into it."""
    shown = f"：{segment[:60]}" if third_state_word(segment) is None else ""
    return f"{photo} 出现明确负项{shown}(G0)"
