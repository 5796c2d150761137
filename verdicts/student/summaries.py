"""Photos to one fact line each: batches of similar size, answers kept beside the output so that a killed run goes on.

A photo's answer may depend, by rounding, on the batch it stands in. Batches are therefore cut from the whole list of
usable photos, and an answer is taken up again only where its whole batch is the same: a run that was killed ends in the
bytes of one that was not.
"""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple

from verdicts.base.digests import digest_of_text
from verdicts.base.record import Record
from verdicts.config.sections import SummarizeSection
from verdicts.config.tools import SummarizeConfig
from verdicts.models.fingerprint import checkpoint_hash
from verdicts.photos.files import NotAPhoto, open_photo
from verdicts.photos.folders import Intake, PhotoGroup
from verdicts.photos.intake import Unfit
from verdicts.records.summaries import SummariesAsked
from verdicts.records.tickets import Refusal, Refused, StageA
from verdicts.stage_b.prompts import name_of_messages
from verdicts.student.answer_text import Mending, as_line
from verdicts.student.batches import readers
from verdicts.student.coordinates import has_coordinates
from verdicts.student.model import Dialogue, PhotoInputs, Student

Messages = Sequence[Mapping[str, str]]  # role and content of each


class PhotoAnswer(Record):
    """What became of one photo: a summary, or a reason to refuse it.

    ``sha256``: of the file's bytes, "" where they could not be read. ``mended``: what was taken off the answer.
    """

    image: str
    sha256: str
    summary: str
    reason: Refusal | None
    detail: str
    mended: list[Mending] = []  # noqa: RUF012


def cut_batches(
    sizes: Mapping[str, tuple[int, int]], tokens: Callable[[int, int], int], limits: SummarizeSection
) -> list[list[str]]:
    """Cut photos (path -> width and height) into batches of similar length, of ``batch`` and ``batch_tokens`` at most.

    The longest come first: what does not fit fails at once.
    """
    out: list[list[str]] = []
    room = 0
    for image in sorted(sizes, key=lambda image: (-tokens(*sizes[image]), image)):
        if not room:  # the first of a batch is its longest
            longest = tokens(*sizes[image]) + limits.max_new_tokens
            room = min(limits.batch, max(1, limits.batch_tokens // longest) if limits.batch_tokens else limits.batch)
            out.append([])
        out[-1].append(image)
        room -= 1
    return out


def arithmetic_of(student: Student) -> str:
    """What rounding depends on beside weights and prompts: ``cpu torch.float32, torch 2.13.0, transformers 5.23.0``."""
    import torch
    import transformers

    where = f"{student.model.device.type} {student.model.dtype}"
    return f"{where}, torch {torch.__version__}, transformers {transformers.__version__}"


def asked_digest_of_photos(
    cfg: SummarizeConfig, asked: Messages, sizes: Mapping[str, tuple[int, int]] | None = None
) -> str:
    """Names everything but the arithmetic that answers depend on: weights, prompt, knobs, and which photos are asked.

    ``sizes``: the photos by path; what they hold is said by each answer's own ``sha256``.
    """
    limits = cfg.summarize
    knobs = [limits.batch, limits.batch_tokens, limits.max_new_tokens, cfg.student.max_photo_pixels]
    said = [checkpoint_hash(Path(cfg.student.model)), list(map(dict, asked)), knobs, sorted((sizes or {}).items())]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def settings_digest(cfg: SummarizeConfig, asked: Messages, student: Student) -> str:
    """Names everything but the photos that an answer depends on: weights, prompt, knobs, arithmetic."""
    own = cfg.model_copy(update={"student": cfg.student.model_copy(update={"model": str(student.folder)})})
    return digest_of_text(f"{asked_digest_of_photos(own, asked)} {arithmetic_of(student)}")


def asked_with(cfg: SummarizeConfig, asked: Messages, outcome: "SummarizeResult") -> SummariesAsked:
    """How the photos of these tickets were asked."""
    folder = Path(cfg.student.model)
    return SummariesAsked(
        prompt=name_of_messages(asked), messages=list(map(dict, asked)),
        student=folder.as_posix(), sha256=checkpoint_hash(folder), max_new_tokens=cfg.summarize.max_new_tokens,
        photos=sum(len(ticket.images) for ticket in outcome.tickets), tickets=len(outcome.tickets),
    )  # fmt: skip


def reusable(batches: Sequence[Sequence[str]]) -> Callable[[Sequence[PhotoAnswer]], bool]:
    """Whether saved answers can be used again.

    They are those of a batch that is planned again, whose files still hold the same bytes, and could be answers of a
    student.
    """
    wanted = {tuple(batch) for batch in batches}
    return lambda saved: (
        tuple(answer.image for answer in saved) in wanted
        and all(
            _sha256(answer.image) == answer.sha256
            and (answer.reason is not None or refusal_reason(answer.summary, True) is None)
            for answer in saved
        )
    )


def _sha256(image: str) -> str:
    try:
        with open(image, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


class _Read(NamedTuple):
    """A photo read ahead: its file's hash and its pixels, or why there are none."""

    sha256: str
    seen: PhotoInputs | None
    unfit: Unfit | None


def answer_batches(
    student: Student, batches: Sequence[Sequence[str]], asked: Messages, max_new_tokens: int
) -> Iterator[list[PhotoAnswer]]:
    """Answer batch after batch; the photos of the next one are read meanwhile.

    ``asked``: the messages that every photo is asked with.
    """

    def read(image: str) -> _Read:
        sha256 = ""
        try:
            content = Path(image).read_bytes()
            sha256 = hashlib.sha256(content).hexdigest()
            return _Read(sha256, student.see([open_photo(io.BytesIO(content))]), None)
        except NotAPhoto as error:
            return _Read(sha256, None, Unfit(error.reason, str(error)))
        except OSError as error:
            return _Read(sha256, None, Unfit("unreadable", error.strerror or str(error)))

    if not batches:  # all were answered before a kill
        return
    with ThreadPoolExecutor(readers()) as pool:
        coming = [pool.submit(read, image) for image in batches[0]]
        for batch, following in zip(batches, [*batches[1:], []], strict=True):
            now, coming = coming, [pool.submit(read, image) for image in following]
            yield _answer(student, batch, [future.result() for future in now], asked, max_new_tokens)


def _answer(
    student: Student, batch: Sequence[str], read: Sequence[_Read], asked: Messages, max_new_tokens: int
) -> list[PhotoAnswer]:
    """Answer the readable photos of one batch together."""
    rows = [
        student.encode(Dialogue(asked, [Path(image)]), generate=True, seen=one.seen)
        for image, one in zip(batch, read, strict=True)
        if one.seen
    ]
    written = iter(student.answer_encoded(rows, max_new_tokens))
    answers = []
    for image, one in zip(batch, read, strict=True):
        if one.unfit:
            answers.append(
                PhotoAnswer(
                    image=image, sha256=one.sha256, summary="", reason=one.unfit.reason, detail=one.unfit.detail
                )
            )
            continue
        text, ended = next(written)
        line, mended = as_line(text)
        reason = refusal_reason(line, ended)
        answers.append(
            PhotoAnswer(
                image=image,
                sha256=one.sha256,
                summary="" if reason else line,
                reason=reason,
                detail=line if reason else "",
                mended=mended,
            )
        )
    return answers


def refusal_reason(line: str, ended: bool) -> Refusal | None:
    """Why an answer is no summary: a fact line is whole, says something and states no places."""
    if not ended:
        return "cut_off"
    if not line:
        return "empty_summary"
    return "coordinates" if has_coordinates(line) else None


class SummarizeResult(NamedTuple):
    """Tickets in the order of their groups, refused photos in the order of the input, and the counts."""

    tickets: list[StageA]
    refused: list[Refused]
    photos: int
    groups: int
    nested: int
    mended: Mapping[Mending, int] = {}
    answered: int = 0

    def cut_off(self) -> float:
        """The share of answers that had no end."""
        return sum(row.reason == "cut_off" for row in self.refused) / max(1, self.answered)

    def sentence(self) -> str:
        """The counts: what came in is what was kept and what was refused."""
        reasons: dict[str, int] = {}
        for row in self.refused:
            if row.image is not None:
                reasons[row.reason] = reasons.get(row.reason, 0) + 1
        lost = sum(reasons.values())
        why = f" ({', '.join(f'{count} {reason}' for reason, count in sorted(reasons.items()))})" if reasons else ""
        groups = f"{self.groups} groups in = {len(self.tickets)} kept + {self.groups - len(self.tickets)} refused"
        inside = f"; {self.nested} photos in folders inside their group" if self.nested else ""
        photos = f"{self.photos} photos in = {self.photos - lost} kept + {lost} refused{why}"
        mended = ", ".join(f"{count} {kind}" for kind, count in sorted(self.mended.items()))
        return f"{photos}; {groups}{inside}{f'; answers mended: {mended}' if mended else ''}{self._to_convert()}"

    def _to_convert(self) -> str:
        """What was given in a format that is not read here, by format."""
        kinds: dict[str, int] = {}
        for row in self.refused:
            kind, found, _ = row.detail.partition(": convert it to JPEG")
            if found:
                kinds[kind] = kinds.get(kind, 0) + 1
        return (
            f"; convert {', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))} to JPEG"
            if kinds
            else ""
        )


def assemble_tickets(
    intake: Intake,
    mission: str,
    unfit: Mapping[str, Unfit],
    answers: Mapping[str, PhotoAnswer],
    broken: Literal["drop_photo", "drop_group"] = "drop_photo",
) -> SummarizeResult:
    """Put the answers back into their groups. ``unfit``: photos that were not shown to the student.

    ``broken``: whether a group goes on without a photo that has no summary, or is left out with all its photos.
    """
    tickets: list[StageA] = []
    refused = list(intake.strays)
    for group in intake.groups:
        kept = []
        reasons = [refusal_of(group, image, unfit, answers) for image in group.images]
        lost = [reason for reason, _ in reasons if reason]
        incomplete = broken == "drop_group" and 0 < len(lost) < len(reasons)
        for image, (why, detail) in zip(group.images, reasons, strict=True):
            reason = why or ("incomplete_group" if incomplete else None)
            if reason:
                refused.append(
                    Refused(image=image, group_id=group.group_id, label=group.label, reason=reason, detail=detail)
                )
            else:
                kept.append(image)
        if kept:
            assert group.label is not None  # tickets that teach come from label folders
            per_image = {f"image_{n}": answers[image].summary for n, image in enumerate(kept, start=1)}
            tickets.append(
                StageA(group_id=group.group_id, mission=mission, label=group.label, images=kept, per_image=per_image)
            )
        else:
            refused.append(
                Refused(
                    image=None,
                    group_id=group.group_id,
                    label=group.label,
                    reason=group.unfit or ("incomplete_group" if incomplete else "no_photo_left"),
                    detail=f"{len(lost)} of {len(reasons)} photos: {', '.join(lost)}" if incomplete else group.detail,
                )
            )
    photos = len(intake.strays) + sum(len(group.images) for group in intake.groups)
    nested = sum(group.nested for group in intake.groups)
    shown = [answers[image] for group in intake.groups for image in group.images if image in answers]
    mended = Counter(kind for answer in shown for kind in answer.mended)
    return SummarizeResult(tickets, refused, photos, len(intake.groups), nested, mended, len(shown))


def refusal_of(
    group: PhotoGroup, image: str, unfit: Mapping[str, Unfit], answers: Mapping[str, PhotoAnswer]
) -> tuple[Refusal | None, str]:
    """Why a photo of a group has no summary, and what was found; None where it has one."""
    if group.unfit:
        return group.unfit, ""
    if image in unfit:
        return unfit[image].reason, unfit[image].detail
    return answers[image].reason, answers[image].detail
