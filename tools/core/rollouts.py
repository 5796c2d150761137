"""From a model's completions to trajectories and selections, and a seal on outputs that need not be made again.

Label-blind where it matters: seeds come from group_id and candidate index, prompts from guidance and summaries.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from tools.core.config import RolloutSection
from tools.core.engines import Completion, Decode
from tools.core.jsonl import write_text
from tools.core.protocol import parse
from tools.core.records import DecodeSettings, Malformed, StageA, Trajectory, VerdictLogprob
from tools.core.windows import Place


def candidate_seed(seed: int, group_id: str, index: int) -> int:
    """A 31-bit seed for one candidate of one ticket, the same in every round."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{group_id}/{index}".encode()).digest()[:4]) >> 1


def decodes_for(ticket: StageA, section: RolloutSection) -> list[Decode]:
    """The sampling grid of one ticket: ``samples`` candidates for each entry, in grid order."""
    settings = [entry for entry in section.grid for _ in range(section.samples)]
    return [
        Decode(entry.temperature, entry.top_p, section.max_new_tokens, candidate_seed(section.seed, ticket.group_id, index))
        for index, entry in enumerate(settings)
    ]


def trajectories_of(
    ticket: StageA, decodes: Sequence[Decode], completions: Sequence[Completion], place: Place, round_number: int, step: int
) -> list[Trajectory]:
    """One trajectory a candidate: the answer read, and whether its verdict is the label."""
    rows = []
    for index, (decode, completion) in enumerate(zip(decodes, completions, strict=True)):
        text = completion.text.rstrip("\r\n")
        parsed = parse(text)
        whole = parsed.why is None and completion.finish == "stop"
        rows.append(
            Trajectory(
                ticket_key=ticket.ticket_key, group_id=ticket.group_id, mission=ticket.mission,
                round=round_number, epoch=place.epoch, candidate_index=index,
                decode=DecodeSettings(temperature=decode.temperature, top_p=decode.top_p, max_new_tokens=decode.max_new_tokens, seed=decode.seed),
                response_text=text, verdict=parsed.verdict if whole else None, reason=parsed.reason if whole else None,
                format_ok=whole, label_match=whole and parsed.verdict == ticket.label,
                verdict_logprob=VerdictLogprob(**{side: _rounded(value) for side, value in completion.verdict_logprob.items()}),
                guidance_step=step,
            )  # fmt: skip
        )
    return rows


def belongs(
    chunk: Sequence[tuple[Sequence[Trajectory], Sequence[str]]], window: Sequence[StageA], decodes: Sequence[Sequence[Decode]], first: int, round_number: int, step: int
) -> bool:
    """Whether saved rows are those of the window's tickets from number ``first`` on: each candidate once, in order, of this round and guidance."""
    if not chunk or first + len(chunk) > len(window):
        return False
    for (rows, finishes), ticket, asked in zip(chunk, window[first:], decodes[first:], strict=False):
        due = [(ticket.ticket_key, ticket.group_id, ticket.mission, round_number, step, index, decode.seed) for index, decode in enumerate(asked)]
        found = [(row.ticket_key, row.group_id, row.mission, row.round, row.guidance_step, row.candidate_index, row.decode.seed) for row in rows]
        if found != due or len(finishes) != len(due) or any(row.label_match != (row.verdict == ticket.label) for row in rows):
            return False
    return True


def failures_of(rows: Sequence[Trajectory], finishes: Sequence[str]) -> list[Malformed]:
    """The hard failures among one ticket's candidates, and one more record where no candidate is left."""
    failures = []
    for row, finish in zip(rows, finishes, strict=True):
        if not row.format_ok:
            why = "over_length" if finish == "over_length" else parse(row.response_text).why or "cut_off"
            failures.append(_failure(row, row.candidate_index, why, row.response_text))
    if len(failures) == len(rows):
        failures.append(_failure(rows[0], None, "no_valid_candidate", ""))
    return failures


def _failure(row: Trajectory, index: int | None, why: str, text: str) -> Malformed:
    return Malformed(
        ticket_key=row.ticket_key, group_id=row.group_id, mission=row.mission, round=row.round, epoch=row.epoch,
        candidate_index=index, why=why, response_text=text, guidance_step=row.guidance_step,
    )  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


OUTPUTS = ("trajectories.jsonl", "failure_malformed.jsonl", "selections.jsonl")


def seal(folder: Path, digest: str) -> None:
    """Note beside a rollout's outputs which inputs they came from."""
    write_text(folder / ".rollout.sha256", _seal(folder, digest))


def is_sealed(folder: Path, digest: str) -> bool:
    """Whether the outputs in a folder are what these inputs gave, untouched since: then asking a model again would repeat them."""
    note = folder / ".rollout.sha256"
    return note.exists() and all((folder / name).exists() for name in OUTPUTS) and note.read_text(encoding="utf-8") == _seal(folder, digest)


def _seal(folder: Path, digest: str) -> str:
    outputs = (hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in OUTPUTS)
    return "".join(f"{line}\n" for line in [digest, *outputs])
