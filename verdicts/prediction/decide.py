"""From a student's answer to the verdict that stands: read strictly, as evaluate does, then threshold, then guard.

Fail comes first. An answer that cannot be read is no verdict, whatever a threshold would make of its probability; a
threshold without a probability is none either; and a pass, whoever gave it, is held against the explicit negatives.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from verdicts.config.sections import FailFirst, PredictSection
from verdicts.records.predictions import DecidedBy, NewTicket, NoVerdict, Prediction
from verdicts.records.tickets import Verdict
from verdicts.stage_b.protocol import clean_summary, parse, render
from verdicts.stage_b.selection import explicit_negative, guard_reason
from verdicts.stage_b.threshold import by_chance_of_fail, p_fail, turned_reason

Finish = Literal["stop", "length", "over_length"]


class Answered(NamedTuple):
    """What a student wrote of a ticket.

    ``logprob``: natural logarithms of P(pass) and P(fail) where the two part (temperature 1, all tokens); None where
    the answer did not come to that place.
    """

    text: str
    finish: Finish
    logprob: tuple[float, float] | None


def decide(ticket: NewTicket, answered: Answered | None, knobs: PredictSection, guard: FailFirst) -> Prediction:
    """The prediction of a ticket; ``answered`` None: it has no summary, and was not asked."""
    if answered is None:
        lost = ", ".join(sorted({photo.reason for photo in ticket.missing}))
        why: NoVerdict = "incomplete_group" if "incomplete_group" in lost else "no_photo_left"
        return _without(ticket, None, knobs, why, f"{len(ticket.missing)} photos missing: {lost}")
    if answered.finish == "over_length":
        return _without(ticket, answered, knobs, "over_length", "the prompt and its answer exceed the student's length")
    read = parse(answered.text)
    if answered.finish == "length":
        return _without(ticket, answered, knobs, "cut_off", "raise evaluate.max_new_tokens")
    if read.verdict is None or read.reason is None:
        return _without(ticket, answered, knobs, _UNREADABLE[read.why or ""], "the answer is not two lines")
    chance = p_fail(answered.logprob)
    if knobs.threshold is not None and chance is None:
        return _without(ticket, answered, knobs, "no_probability", "the answer does not begin as the protocol says")
    verdict, reason, by = _by_threshold(read.verdict, read.reason, chance, knobs.threshold)
    if verdict == "pass" and (negative := explicit_negative(ticket, guard)):
        verdict, reason, by = "fail", guard_reason(*negative), "guard"
    shown = reason if knobs.reason == "plain" else by_photo(ticket.per_image, reason)
    return Prediction(
        **_known(ticket, answered, knobs), said=read.verdict, verdict=verdict, reason=shown,
        lines=render(verdict, shown), decided_by=by, why=None, detail="",
    )  # fmt: skip


_UNREADABLE: Mapping[str, NoVerdict] = {
    "empty": "empty", "no_verdict": "no_verdict", "no_reason": "no_reason", "extra_lines": "extra_lines",
    "third_state": "third_state",
}  # fmt: skip


def _by_threshold(
    said: Verdict, reason: str, chance: float | None, threshold: float | None
) -> tuple[Verdict, str, DecidedBy]:
    """The verdict that the threshold gives; where it is not the one said, the reason says so, with the model's own."""
    if threshold is None or chance is None:
        return said, reason, "model"
    verdict = by_chance_of_fail(threshold, chance)
    if verdict == said:
        return said, reason, "model"
    return verdict, turned_reason(said, reason, chance, threshold), "threshold"


def by_photo(per_image: Mapping[str, str], reason: str) -> str:
    """The reason as production reads it: ``Image1: its summary; Image2: …; 总结: the reason``.

    A ``;`` inside a summary would be read as the end of it, and is written as a comma.
    """
    said = [
        f"Image{number}: {clean_summary(text).replace(';', '，').replace('；', '，')}"
        for number, text in enumerate(per_image.values(), start=1)
    ]
    return "; ".join([*said, f"总结: {reason}"])


def _known(ticket: NewTicket, answered: Answered | None, knobs: PredictSection) -> dict[str, Any]:
    return {
        "group_id": ticket.group_id, "mission": ticket.mission, "images": ticket.images,
        "per_image": ticket.per_image, "answer": answered.text if answered else "",
        "p_fail": p_fail(answered.logprob) if answered else None, "threshold": knobs.threshold,
        "missing": ticket.missing,
    }  # fmt: skip


def _without(
    ticket: NewTicket, answered: Answered | None, knobs: PredictSection, why: NoVerdict, detail: str
) -> Prediction:
    return Prediction(
        **_known(ticket, answered, knobs), said=None, verdict=None, reason=None, lines=None, decided_by=None,
        why=why, detail=detail,
    )  # fmt: skip
