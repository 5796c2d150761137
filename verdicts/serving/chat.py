"""What a served student is asked, as OpenAI-compatible clients send it: the same prompts as predict's and summarize's.

questions = ChatQuestions.of_run("runs/demo/bbu_line")
client.chat.completions.create(model="student", messages=questions.ticket({"per_image": …, "group_id": "T-1"}))
client.chat.completions.create(model="student", messages=questions.photo("today/T-1/1.jpg"))
"""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from verdicts.config.tools import PredictConfig
from verdicts.intake.names import Door
from verdicts.intake.ticket import NotTaken, mended_new_ticket
from verdicts.photos.files import PHOTO_MARK, NotAPhoto, is_turned, open_photo
from verdicts.prediction.asking import dialogue
from verdicts.prediction.student import predict_section
from verdicts.records.guidance import read_guidance
from verdicts.stage_b.prompts import load_prompts

ChatMessage = dict[str, Any]


class ChatQuestions:
    """The questions of a mission under the rules of a guidance.json. Raises UserError for files that are wrong.

    ``max_tokens`` is what predict allows a verdict, ``max_tokens_photo`` what summarize allows a line of facts.
    """

    def __init__(self, cfg: PredictConfig, guidance: Path):
        self._door, self._prompts = Door.of(cfg.mission, cfg.tickets), load_prompts(cfg.prompts, cfg.mission)
        self._system = self._prompts.stage_b_system(read_guidance(guidance, cfg.mission.name).experiences)
        self.max_tokens, self.max_tokens_photo = cfg.evaluate.max_new_tokens, cfg.summarize.max_new_tokens

    @classmethod
    def of_run(cls, run: Path | str) -> "ChatQuestions":
        """Those of ``runs/<RUN>/<MISSION>``: its config/predict.yaml and its guidance.json."""
        return cls(predict_section(Path(run)), Path(run) / "guidance.json")

    def ticket(self, row: Mapping[str, Any]) -> list[ChatMessage]:
        """A ticket's question, from a row as ``Student.judge`` takes it. Raises UserError for one that is no ticket."""
        try:
            ticket = mended_new_ticket(dict(row), self._door, Path("rows"), 1)[0]
        except NotTaken as refusal:
            raise refusal.error from None
        return [dict(message) for message in dialogue(self._prompts, self._system, ticket).messages]

    def photo(self, path: Path | str) -> list[ChatMessage]:
        """The question for a photo's line of facts, the photo inside. Raises NotAPhoto for what is no whole picture."""
        url = photo_url(Path(path))
        return [
            {"role": message["role"], "content": _parts(message["content"], url)}
            if PHOTO_MARK in message["content"]
            else dict(message)
            for message in self._prompts.photo_messages("summary")
        ]


def photo_url(path: Path) -> str:
    """A photo as a ``data:`` URL: an upright JPEG as it is, anything else as people see it, a PNG.

    llama-server turns no photo upright. Raises NotAPhoto.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NotAPhoto("unreadable", error.strerror or str(error)) from None
    seen, kind = open_photo(io.BytesIO(content)), "jpeg"
    if not content.startswith(b"\xff\xd8\xff") or is_turned(io.BytesIO(content)):
        file = io.BytesIO()
        seen.save(file, "PNG")
        content, kind = file.getvalue(), "png"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _parts(text: str, url: str) -> list[ChatMessage]:
    """A user's text with its one photo, as parts."""
    before, _, after = text.partition(PHOTO_MARK)
    parts: list[ChatMessage] = [{"type": "text", "text": before}, {"type": "image_url", "image_url": {"url": url}}]
    return [part for part in [*parts, {"type": "text", "text": after}] if part.get("text") != ""]
