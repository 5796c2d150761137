"""From a model's completions to trajectories and hard failures.

Label-blind where it matters: seeds come from group_id and candidate index, prompts from guidance and summaries.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from verdicts.base.seeding import seeded_int
from verdicts.config.sections import RolloutSection
from verdicts.engines import LENGTH, NO_VERDICT, STOP, Completion, Decode
from verdicts.records.rollout import DecodeSettings, Malformed, Trajectory, VerdictLogprob
from verdicts.records.tickets import StageA
from verdicts.rounds.windows import Place
from verdicts.stage_b.protocol import Parsed, cut_reason, normalise, parse, render

NO_PROBABILITY = "no_probability"


def candidate_seed(seed: int, group_id: str, index: int) -> int:
    """A 31-bit seed for one candidate of one ticket, the same in every round."""
    return seeded_int(seed, group_id, index, bits=31)


def decodes_for(ticket: StageA, section: RolloutSection) -> list[Decode]:
    """The sampling grid of one ticket: ``samples`` candidates for each entry, in grid order."""
    settings = [entry for entry in section.grid for _ in range(section.samples)]
    return [
        Decode(
            entry.temperature, entry.top_p, section.max_new_tokens, candidate_seed(section.seed, ticket.group_id, index)
        )
        for index, entry in enumerate(settings)
    ]


def without_probability(completions: Sequence[Completion], threshold: float | None) -> list[Completion]:
    """The completions; where a threshold decides, one whose verdicts have no probability finishes for that reason.

    It is then no answer, as it is none of a student: fail comes first, and nobody guesses.
    """
    if threshold is None:
        return list(completions)
    return [
        replace(completion, finish=NO_PROBABILITY)
        if completion.finish in (STOP, LENGTH) and completion.verdict_logprob == NO_VERDICT
        else completion
        for completion in completions
    ]


def trajectories_of(
    ticket: StageA,
    decodes: Sequence[Decode],
    completions: Sequence[Completion],
    place: Place,
    round_number: int,
    step: int,
    cut_reasons: str = "keep",
    prompt: str = "",
) -> list[Trajectory]:
    """One trajectory a candidate: the answer read, and whether its verdict is the label.

    A whole verdict whose reason did not end within ``max_new_tokens`` stands, be it held by the grammar or written
    freely, unless ``cut_reasons`` is ``refuse``. ``prompt`` names the templates that were asked with.
    """
    rows = []
    for index, (decode, completion) in enumerate(zip(decodes, completions, strict=True)):
        text, parsed, cut = read(completion, cut_reasons)
        whole = parsed.why is None
        said = completion.text.rstrip()
        rows.append(
            Trajectory(
                ticket_key=ticket.ticket_key,
                group_id=ticket.group_id,
                mission=ticket.mission,
                round=round_number,
                epoch=place.epoch,
                candidate_index=index,
                decode=DecodeSettings(
                    temperature=decode.temperature,
                    top_p=decode.top_p,
                    max_new_tokens=decode.max_new_tokens,
                    seed=decode.seed,
                ),
                response_text=text,
                verdict=parsed.verdict,
                reason=parsed.reason,
                format_ok=whole,
                label_match=whole and parsed.verdict == ticket.label,
                verdict_logprob=VerdictLogprob.model_validate(
                    {side: _rounded(value) for side, value in completion.verdict_logprob.items()}
                ),
                guidance_step=step,
                raw_text=said if whole and said != text else None,
                cut=cut,
                prompt=prompt,
            )
        )
    return rows


def read(completion: Completion, cut_reasons: str) -> tuple[str, Parsed, bool]:
    """The text to keep of an answer, what it says, and whether its reason was cut.

    What is malformed is kept as it was said.
    """
    said = completion.text.rstrip()
    if completion.finish not in (STOP, LENGTH):  # over_length, refused: there is no answer
        return said or getattr(completion, "detail", ""), Parsed(None, None, completion.finish), False
    text = normalise(said).text
    parsed = parse(text)
    if parsed.verdict is None or parsed.reason is None:
        return said, parsed, False
    if completion.finish == STOP:
        return text, parsed, False
    if cut_reasons == "refuse":
        return said, Parsed(None, None, "cut_off"), False
    reason = cut_reason(parsed.reason)
    return render(parsed.verdict, reason), parsed._replace(reason=reason), True


def belongs(
    chunk: Sequence[tuple[Sequence[Trajectory], Sequence[str]]],
    window: Sequence[StageA],
    decodes: Sequence[Sequence[Decode]],
    first: int,
    round_number: int,
    step: int,
) -> bool:
    """Whether saved rows are those of the window's tickets from number ``first`` on: each candidate once, in order, of
    this round and guidance.
    """
    if not chunk or first + len(chunk) > len(window):
        return False
    for (rows, finishes), ticket, asked in zip(chunk, window[first:], decodes[first:], strict=False):
        due = [
            (ticket.ticket_key, ticket.group_id, ticket.mission, round_number, step, index, decode.seed)
            for index, decode in enumerate(asked)
        ]
        found = [
            (
                row.ticket_key,
                row.group_id,
                row.mission,
                row.round,
                row.guidance_step,
                row.candidate_index,
                row.decode and row.decode.seed,
            )
            for row in rows
        ]
        if (
            found != due
            or len(finishes) != len(due)
            or any(row.label_match != (row.verdict == ticket.label) for row in rows)
        ):
            return False
    return True


def failures_of(rows: Sequence[Trajectory], finishes: Sequence[str]) -> list[Malformed]:
    """The hard failures among one ticket's candidates, and one more record where no candidate is left."""
    failures = []
    for row, finish in zip(rows, finishes, strict=True):
        if not row.format_ok:
            why = finish if finish not in (STOP, LENGTH) else parse(normalise(row.response_text).text).why or "cut_off"
            failures.append(_failure(row, row.candidate_index, why, row.response_text))
    if len(failures) == len(rows):
        failures.append(_failure(rows[0], None, "no_valid_candidate", ""))
    return failures


def forgiven_in_answers(rows: Iterable[Trajectory]) -> str:
    """What was forgiven among candidates, for a summary line: ``; 5 answers in another form (4 full_width, 1 bold), 2
    reasons cut`` or nothing.
    """
    rows = list(rows)
    kinds = [kinds for row in rows if row.raw_text is not None and (kinds := normalise(row.raw_text).forgiven)]
    counts = Counter(kind for found in kinds for kind in found)
    named = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    cut = sum(row.cut for row in rows)
    parts = ([f"{len(kinds)} answers in another form ({named})"] if kinds else []) + (
        [f"{cut} reasons cut"] if cut else []
    )
    return f"; {', '.join(parts)}" if parts else ""


def _failure(row: Trajectory, index: int | None, why: str, text: str) -> Malformed:
    fields = {
        "ticket_key": row.ticket_key, "group_id": row.group_id, "mission": row.mission,
        "round": row.round, "epoch": row.epoch, "candidate_index": index,
        "why": why, "response_text": text, "guidance_step": row.guidance_step,
    }  # fmt: skip
    return Malformed.model_validate(fields)  # which holds why to the known reason words


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
