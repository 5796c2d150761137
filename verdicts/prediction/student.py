"""A student with the guidance that it is asked under: verdicts of tickets that nobody has labelled.

    from verdicts import Student
    student = Student.of_run("runs/demo/bbu_line", "checkpoints/demo/merged")
    for found in student.judge([{"group_id": "T-1", "per_image": {"image_1": "BBU设备/华为,显示完整×1"}}]):
        print(found.verdict, found.p_fail, found.reason)

One model does all: it summarises photos, then judges the summaries. It is loaded when it is first asked.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verdicts.base.errors import mistake
from verdicts.config.tools import PredictConfig, read_section
from verdicts.intake.names import Door
from verdicts.intake.ticket import NotTaken, mended_new_ticket
from verdicts.models.fingerprint import checkpoint_hash
from verdicts.photos.files import MAX_ASPECT, NotAPhoto, open_photo
from verdicts.prediction.asking import ask, asked_digest, dialogue, digest_of_tickets
from verdicts.prediction.decide import Answered, decide
from verdicts.records.evaluation import OperatingPoint
from verdicts.records.guidance import read_guidance
from verdicts.records.predictions import MissingPhoto, NewTicket, Prediction
from verdicts.stage_b.prompts import load_prompts
from verdicts.stage_b.threshold import PointHolder, guidance_digest, read_point
from verdicts.student.answer_text import as_line
from verdicts.student.model import Dialogue, PhotoInputs, Student, check_folder
from verdicts.student.summaries import refusal_reason

if TYPE_CHECKING:
    from PIL import Image


class VerdictStudent:
    """The student in ``folder`` under the rules of a guidance.json, asked as the configuration says.

    ``point``: an operating point that was chosen for this very student (docs/operating_point.md).
    Raises UserError for files that are not there or wrong; weights are looked at, not loaded.
    """

    def __init__(self, cfg: PredictConfig, guidance: Path, folder: Path | None = None, point: Path | None = None):
        self.folder = folder or Path(cfg.student.model)
        self.prompts = load_prompts(cfg.prompts, cfg.mission)
        rules = read_guidance(guidance, cfg.mission.name)
        self.guidance_step, self.system = rules.step, self.prompts.stage_b_system(rules.experiences)
        check_folder(self.folder, weights=True)
        self.point = self._read_point(cfg, point) if point else None
        decided = {"decision": "threshold", "threshold": self.point.threshold} if self.point else {}
        self.cfg = cfg.model_copy(update={"predict": cfg.predict.model_copy(update=decided)})
        if self.cfg.predict.decision == "threshold" and self.cfg.predict.threshold is None:
            raise mistake(
                "is empty", "name an operating point (make calibrate, then POINT=)", field="predict.threshold"
            )

    def _read_point(self, cfg: PredictConfig, point: Path) -> OperatingPoint:
        """The operating point, if it is of this student; raises UserError where it is not, or says it twice."""
        if cfg.predict.threshold is not None:
            what = f"predict.threshold is {cfg.predict.threshold:g}, and an operating point is named"
            raise mistake(what, "use one of them", path=point)
        judge = PointHolder(
            cfg.mission.name, "transformers", checkpoint_hash(self.folder), guidance_digest(self.system)
        )
        return read_point(point, judge)

    @classmethod
    def of_run(
        cls, run: Path | str, student: Path | str | None = None, point: Path | str | None = None
    ) -> "VerdictStudent":
        """The student of a run: RUN/config/predict.yaml and RUN/guidance.json; the configured one where none is named.

        ``run``: ``runs/<RUN>/<MISSION>``. ``student``: a checkpoint folder, ``checkpoints/<name>/merged``.
        """
        folder = Path(run)
        named = [Path(path) if path else None for path in (student, point)]
        return cls(predict_section(folder), folder / "guidance.json", *named)

    @cached_property
    def model(self) -> Student:
        """The weights, loaded once."""
        return Student(self.folder, self.cfg.student.max_photo_pixels, self.cfg.student.n_threads)

    @property
    def door(self) -> Door:
        """What given tickets are held against."""
        return Door.of(self.cfg.mission, self.cfg.tickets)

    def judge(self, rows: Iterable[Mapping[str, Any]]) -> list[Prediction]:
        """Predictions of tickets with summaries: ``group_id``, ``per_image``, and what else a line of a file has.

        A label in them is not read. Raises UserError for a row that can be no ticket.
        """
        tickets = []
        for number, row in enumerate(rows, start=1):
            try:
                tickets.append(mended_new_ticket(dict(row), self.door, Path("rows"), number)[0])
            except NotTaken as refusal:
                raise refusal.error from None
        return list(self.predictions(tickets))

    def judge_photos(self, group_id: str, photos: "Sequence[Image.Image]") -> Prediction:
        """The prediction of one ticket from its photos, named 1, 2, … in ``images`` and ``missing``."""
        seen: dict[str, PhotoInputs] = {}
        missing = []
        for number, photo in enumerate(photos, start=1):
            try:
                seen[str(number)] = self.model.see([upright(photo)])
            except NotAPhoto as error:
                missing.append(MissingPhoto(image=str(number), reason=error.reason, detail=str(error)))
        asked, kept = self.prompts.photo_messages("summary"), dict[str, str]()
        names, size = list(seen), self.cfg.summarize.batch
        for batch in (names[at : at + size] for at in range(0, len(names), size)):
            rows = [self.model.encode(Dialogue(asked, [Path(one)]), generate=True, seen=seen[one]) for one in batch]
            written = self.model.answer_encoded(rows, self.cfg.summarize.max_new_tokens)
            for name, (text, ended) in zip(batch, written, strict=True):
                line = as_line(text).line
                if why := refusal_reason(line, ended):
                    missing.append(MissingPhoto(image=name, reason=why, detail=line))
                else:
                    kept[name] = line
        if missing and self.cfg.summarize.broken == "drop_group":
            missing += [MissingPhoto(image=name, reason="incomplete_group", detail="") for name in kept]
            kept.clear()
        per_image = {f"image_{at}": line for at, line in enumerate(kept.values(), start=1)}
        ticket = NewTicket(
            group_id=group_id, mission=self.cfg.mission.name, images=list(kept), per_image=per_image, missing=missing
        )
        return next(self.predictions([ticket]))

    def digest(self, tickets: Iterable[NewTicket]) -> str:
        """Names all that the answers of these tickets depend on."""
        return asked_digest(self.cfg, self.folder, self.system, self.prompts, digest_of_tickets(tickets))

    def questions(self, tickets: Iterable[NewTicket]) -> Iterator[Dialogue]:
        """What is asked of those tickets that have summaries."""
        return (dialogue(self.prompts, self.system, one) for one in tickets if one.per_image)

    def predictions(
        self,
        tickets: Iterable[NewTicket],
        saved: Iterable[list[Answered]] = (),
        done: Callable[[list[Answered]], object] = lambda batch: None,
    ) -> Iterator[Prediction]:
        """A prediction a ticket, in their order; ``tickets`` is gone through twice. ``saved`` and ``done``: as ask."""
        answers = ask(lambda: self.model, self.cfg, self.questions(tickets), saved, done)
        for ticket in tickets:
            answered = next(answers) if ticket.per_image else None
            yield decide(ticket, answered, self.cfg.predict, self.cfg.fail_first)


def predict_section(run: Path) -> PredictConfig:
    """What a run says of predict. Raises UserError where it does not."""
    if not (section := run / "config" / "predict.yaml").is_file():
        raise mistake("no such file", "run make predict for this run once: it writes it", path=section)
    return read_section(section, PredictConfig)


def upright(photo: "Image.Image") -> "Image.Image":
    """A photo in memory as every tool sees one in a file: upright, 8-bit RGB. Raises NotAPhoto where it cannot be."""
    from PIL import ImageOps

    file = io.BytesIO()
    try:
        ImageOps.exif_transpose(photo).save(file, "TIFF")
    except (OSError, ValueError) as error:
        raise NotAPhoto("broken", str(error)) from None
    file.seek(0)
    seen = open_photo(file)
    if max(seen.size) > MAX_ASPECT * min(seen.size):
        raise NotAPhoto("too_narrow", f"{seen.width} × {seen.height}")
    return seen
