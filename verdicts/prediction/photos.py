"""Tickets without labels from photos: a folder of groups, or a manifest. The student summarises what it then judges.

<folder>/<group_id>/*       photos of a group in natural order; label folders above the groups are looked through
manifest.jsonl              {"group_id": "…", "images": ["a/1.jpg", …]}, paths relative to the manifest
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field

from verdicts.base import made
from verdicts.base.errors import UserError, mistake
from verdicts.base.json_text import Flaw, decode
from verdicts.base.jsonl import decode_json, stream_lines, validate
from verdicts.base.part_file import PartFile
from verdicts.base.progress import progress
from verdicts.base.record import Record
from verdicts.config.prompts import SummaryPrompts
from verdicts.config.tools import SummarizeConfig
from verdicts.intake.ticket import OF_LABELS
from verdicts.photos.folders import Intake, PhotoGroup, groups_without_labels
from verdicts.photos.intake import Unfit, look_at_all
from verdicts.records.predictions import MissingPhoto, NewTicket
from verdicts.records.tickets import DoorRefusal, GroupId, Refused
from verdicts.student.summaries import PhotoAnswer, answer_batches, cut_batches, refusal_of, reusable, settings_digest

if TYPE_CHECKING:
    from verdicts.prediction.student import VerdictStudent


class NewManifestRow(Record):
    """One line of a manifest without labels."""

    group_id: GroupId
    images: list[Annotated[str, Field(min_length=1)]]


def is_of_photos(path: Path) -> bool:
    """Whether new tickets are photos: a folder, or a file whose first row has no summaries but images."""
    if path.is_dir():
        return True
    try:
        first = decode(next(stream_lines(path)).text)
    except (Flaw, StopIteration, UserError):
        return False  # the reader of summaries says what is wrong
    return isinstance(first, dict) and "per_image" not in first and "images" in first


class NewPhotos:
    """Groups of photos, read and looked at. ``summarised`` has the student write their summaries.

    Of each photo it holds its path and its summary's place in the part file. Tickets are made as they are asked for,
    until that file is removed. Raises UserError for a bad line, and where there is no group.
    """

    def __init__(self, path: Path, student: "VerdictStudent"):
        made.uses(path)  # a photo more is another input
        self.labels_unread, self.refused, self.notes = 0, Counter[DoorRefusal](), list[BaseModel]()
        self.intake = groups_without_labels(path) if path.is_dir() else self._manifest(path)
        if not self.intake.groups:
            raise mistake("no group of photos in it", "put each group's photos into a folder of its own", path=path)
        self.rows, self.student = len(self.intake.groups), student
        self._unfit: dict[str, Unfit] = {}
        self._places: dict[str, int] = {}
        self._part: PartFile | None = None

    def __iter__(self) -> Iterator[NewTicket]:
        cfg = self.student.cfg
        whole = cfg.summarize.broken == "drop_group"
        for group in self.intake.groups:
            answers = {image: self._answer(image) for image in group.images if image in self._places}
            yield as_ticket(group, cfg.mission.name, self._unfit, answers, whole)

    def _answer(self, image: str) -> PhotoAnswer:
        assert self._part is not None  # it has the places
        batch: list[PhotoAnswer] = self._part.at(self._places[image])
        return next(answer for answer in batch if answer.image == image)

    @property
    def strays(self) -> list[Refused]:
        """Files that are in no group, or whose name cannot be told."""
        return self.intake.strays

    def _manifest(self, path: Path) -> Intake:
        groups = []
        for placed in stream_lines(path):
            value = decode_json(placed.text, path, placed.line)
            if isinstance(value, dict):
                self.labels_unread += any(name in value for name in OF_LABELS)
                value = {name: part for name, part in value.items() if name not in OF_LABELS}
            row = validate(value, NewManifestRow, path, placed.line)
            images = tuple((path.parent / image).as_posix() for image in row.images)
            groups.append(PhotoGroup(row.group_id, None, images, None if images else "empty_group"))
        return Intake(groups)

    def summarised(self, part_path: Path) -> PartFile:
        """Write the summaries; answers that the returned part file holds are not asked again."""
        cfg = self.student.cfg
        images = list(dict.fromkeys(image for group in self.intake.groups if not group.unfit for image in group.images))
        with progress("predict: looking", len(images), unit="photos") as bar:
            sizes, self._unfit = look_at_all(images, cfg.summarize, bar.update)
        asked = self.student.prompts.photo_messages("summary")
        told = SummarizeConfig(
            prompts=SummaryPrompts(summary=cfg.prompts.summary), student=cfg.student, summarize=cfg.summarize
        )
        model = self.student.model
        batches = cut_batches(sizes, model.photo_tokens, cfg.summarize)
        part = PartFile(part_path, settings_digest(told, asked, model), list[PhotoAnswer])
        known = {saved.image for batch in part.load(reusable(batches)) for saved in batch}
        left = [batch for batch in batches if batch[0] not in known]
        with progress("predict: summaries", len(sizes), len(known), "photos") as bar:
            for done in answer_batches(model, left, asked, cfg.summarize.max_new_tokens):
                part.append([answer.model_dump(mode="json") for answer in done])
                bar.update(len(done))
        self._part, self._places = part, {one.image: place for place, batch in part.places() for one in batch}
        return part


def as_ticket(
    group: PhotoGroup, mission: str, unfit: Mapping[str, Unfit], answers: Mapping[str, PhotoAnswer], whole: bool
) -> NewTicket:
    """A group's summaries, and its photos without one. ``whole``: a group that lacks one is not judged."""
    found = [(image, *refusal_of(group, image, unfit, answers)) for image in group.images]
    kept = [image for image, reason, _ in found if reason is None]
    missing = [MissingPhoto(image=image, reason=why, detail=detail) for image, why, detail in found if why is not None]
    if whole and missing:
        missing += [MissingPhoto(image=image, reason="incomplete_group", detail="") for image in kept]
        kept = []
    if not group.images:
        missing = [MissingPhoto(image="", reason=group.unfit or "no_photo_left", detail=group.detail)]
    per_image = {f"image_{at}": answers[image].summary for at, image in enumerate(kept, start=1)}
    return NewTicket(group_id=group.group_id, mission=mission, images=kept, per_image=per_image, missing=missing)
