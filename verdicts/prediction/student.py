"""A student with the guidance that it is asked under: verdicts of tickets that nobody has labelled.

    from verdicts import Student
    student = Student.of_run("runs/demo/bbu_line", "checkpoints/demo/merged")
    for found in student.judge([{"group_id": "T-1", "per_image": {"image_1": "BBU设备/华为,显示完整×1"}}]):
        print(found.verdict, found.p_fail, found.reason)

One model does all: it summarises photos, then judges the summaries. It is loaded when it is first asked.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from verdicts.base.errors import mistake
from verdicts.config.tools import PredictConfig, read_section
from verdicts.guidance.file import read_guidance
from verdicts.intake.names import Door
from verdicts.intake.ticket import NotTaken, mended_new_ticket
from verdicts.prediction.asking import ask, asked_digest, dialogue, digest_of_tickets
from verdicts.prediction.decide import Answered, decide
from verdicts.records.predictions import NewTicket, Prediction
from verdicts.stage_b.prompts import load_prompts
from verdicts.student.model import Student, check_folder


class VerdictStudent:
    """The student in ``folder`` under the rules of a guidance.json, asked as the configuration says.

    Raises UserError for files that are not there or wrong; weights are looked at, not loaded.
    """

    def __init__(self, cfg: PredictConfig, guidance: Path, folder: Path | None = None):
        self.cfg, self.folder = cfg, folder or Path(cfg.student.model)
        self.prompts = load_prompts(cfg.prompts, cfg.mission)
        rules = read_guidance(guidance, cfg.mission.name)
        self.guidance_step, self.system = rules.step, self.prompts.stage_b_system(rules.experiences)
        check_folder(self.folder, weights=True)

    @classmethod
    def of_run(cls, run: Path | str, student: Path | str | None = None) -> "VerdictStudent":
        """The student of a run: RUN/config/predict.yaml and RUN/guidance.json; the configured one where none is named.

        ``run``: ``runs/<RUN>/<MISSION>``. ``student``: a checkpoint folder, ``checkpoints/<name>/merged``.
        """
        folder = Path(run)
        if not (section := folder / "config" / "predict.yaml").is_file():
            raise mistake("no such file", "run make predict for this run once: it writes it", path=section)
        cfg = read_section(section, PredictConfig)
        return cls(cfg, folder / "guidance.json", Path(student) if student else None)

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

    def digest(self, tickets: Iterable[NewTicket]) -> str:
        """Names all that the answers of these tickets depend on."""
        return asked_digest(self.cfg, self.folder, self.system, self.prompts, digest_of_tickets(tickets))

    def predictions(
        self,
        tickets: Iterable[NewTicket],
        saved: Iterable[list[Answered]] = (),
        done: Callable[[list[Answered]], object] = lambda batch: None,
    ) -> Iterator[Prediction]:
        """A prediction a ticket, in their order; ``tickets`` is gone through twice. ``saved`` and ``done``: as ask."""
        questions = (dialogue(self.prompts, self.system, one) for one in tickets if one.per_image)
        answers = ask(lambda: self.model, self.cfg, questions, saved, done)
        for ticket in tickets:
            answered = next(answers) if ticket.per_image else None
            yield decide(ticket, answered, self.cfg.predict, self.cfg.fail_first)
