"""An exported student asked through llama-server, as the student's own runner is asked: rows in, answers out.

A photo goes ``prepared`` (upright, in the size and with the filter of the student's own image processor, as a PNG, so
that the server has nothing to do) or ``as_is``: the file's bytes, and the server prepares it. The two differ: the
server does not turn a photo upright, and it keeps a photo's proportions and fills what is left over with black, where
the student's processor stretches it.
"""

import base64
import hashlib
import io
import itertools
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from verdicts.base.errors import mistake
from verdicts.base.jsonl import read_json
from verdicts.config.sections import LlamaServerSection
from verdicts.engines.openai.reply import read_choice
from verdicts.export.convert import MMPROJ, MODEL
from verdicts.export.records import Conversion
from verdicts.export.server import PROGRAMS, LlamaServer, Served
from verdicts.models.fingerprint import checkpoint_hash, whole_hash
from verdicts.photos.files import PHOTO_MARK, NotAPhoto, open_photo
from verdicts.student.model import Dialogue, Encoder
from verdicts.student.processor import scaled

_TIMEOUT_S = 600.0  # of one answer
_TOP_LOGPROBS = 100  # tokens listed where the verdicts part


@dataclass(frozen=True)
class ServedRow:
    """A row as a client sends it. ``messages``: as OpenAI's chat completions have them."""

    messages: list[dict[str, Any]]


class ServedStudent:
    """Answers as ``Student`` does, from a running llama-server. ``other_ids``: prompts whose ids are not the student's.

    ``encoder``: the student's own tokenizer and image processor. Raises UserError where the server ends or refuses.
    """

    def __init__(self, encoder: Encoder, server: LlamaServer, photos: str, slots: int) -> None:
        self.encoder, self.server, self.photos = encoder, server, photos
        self.other_ids = self.prompts = 0
        self._slots = slots
        self._client = httpx.Client(base_url=server.url, timeout=_TIMEOUT_S, trust_env=False)

    def encode(self, row: Dialogue, generate: bool = True) -> ServedRow:
        """A row as it is sent. One without photos is tokenised by both, and counted where their ids differ."""
        messages = [dict(message) for message in row.messages]
        if generate and messages and messages[-1]["role"] == "assistant":
            messages.pop()
        if not row.images:
            self.prompts += 1
            ids = self.encoder.encode(Dialogue(messages), generate=True).ids
            self.other_ids += self.ids(messages) != ids
            return ServedRow(messages)
        urls = map(self._url, row.images)
        return ServedRow([{"role": m["role"], "content": _parts(m["content"], urls)} for m in messages])

    def encode_all(self, batches: Sequence[Sequence[Dialogue]]) -> Iterator[list[ServedRow]]:
        """Rows of batch after batch, as they are sent."""
        for batch in batches:
            yield [self.encode(row) for row in batch]

    def ids(self, messages: Sequence[dict[str, Any]]) -> list[int]:
        """The ids that the server makes of messages without photos, by its own template."""
        prompt = self._post("/apply-template", {"messages": list(messages)})["prompt"]
        asked = {"content": prompt, "add_special": True, "parse_special": True}
        ids: list[int] = self._post("/tokenize", asked)["tokens"]
        return ids

    def answer_encoded(self, rows: Sequence[ServedRow], max_new_tokens: int) -> list[tuple[str, bool]]:
        """Greedy answers, one a row; beside each text whether it came to its end."""

        return [(said, whole) for said, whole, _ in self._answers(rows, {"max_tokens": max_new_tokens})]

    def answer_verdicts(
        self, rows: Sequence[ServedRow], max_new_tokens: int
    ) -> list[tuple[str, bool, tuple[float, float] | None]]:
        """As ``answer_encoded``, of Stage-B questions: also ln P of a pass and of a fail where the answer parts.

        A verdict that is not among the first hundred tokens there has ln P of minus infinity.
        """
        asked = {"max_tokens": max_new_tokens, "logprobs": True, "top_logprobs": _TOP_LOGPROBS}
        answers = []
        for said, whole, choice in self._answers(rows, asked):
            found = read_choice(choice)
            known = {} if isinstance(found, str) else found.verdict_logprob
            sure = [-math.inf if (one := known.get(side)) is None else one for side in ("pass", "fail")]
            answers.append((said, whole, (sure[0], sure[1]) if max(sure) > -math.inf else None))
        return answers

    def _answers(self, rows: Sequence[ServedRow], settings: dict[str, Any]) -> list[tuple[str, bool, dict[str, Any]]]:
        """Text, whether it came to its end, and all that the server says of each row's greedy answer."""

        def ask(row: ServedRow) -> tuple[str, bool, dict[str, Any]]:
            told = {"messages": row.messages, "temperature": 0, "cache_prompt": True, **settings}
            choice: dict[str, Any] = self._post("/v1/chat/completions", told)["choices"][0]
            return choice["message"]["content"] or "", choice["finish_reason"] == "stop", choice

        with ThreadPoolExecutor(self._slots) as threads:
            return list(threads.map(ask, rows))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _url(self, path: Path) -> str:
        try:
            content = path.read_bytes()
            if self.photos == "as_is":
                kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
                return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
            file = io.BytesIO()
            scaled(open_photo(io.BytesIO(content)), self.encoder.photos).save(file, "PNG", compress_level=1)
        except (OSError, NotAPhoto) as error:
            raise mistake(str(error), "put the photo there, or drop its row", path=path) from None
        return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"

    def _post(self, place: str, body: dict[str, Any]) -> Any:
        try:
            reply = self._client.post(place, json=body)
        except httpx.TransportError as error:
            self.server.check()
            raise mistake(f"no answer ({type(error).__name__})", "see the server's log", path=self.server.url) from None
        if reply.status_code != 200:
            said = " ".join(reply.text.split())[:300]
            raise mistake(f"refused with {reply.status_code}: {said}", "see the server's log", path=self.server.url)
        return reply.json()


def export_hash(folder: Path, settings: LlamaServerSection) -> str:
    """First 16 hex digits of a SHA-256 over both files and how the server is asked: what decides the answers."""
    asked = settings.model_dump(exclude={"min_agreement"}, mode="json")
    digest = hashlib.sha256(repr(sorted(asked.items())).encode())
    for name in (MODEL, MMPROJ):
        digest.update(f"{name}:{whole_hash(folder / name)}\n".encode())
    return digest.hexdigest()[:16]


def read_conversion(folder: Path, student: Path) -> Conversion:
    """What is known of an export.

    Raises UserError where a file of it is not there, and where it is of another student than the one in ``student``.
    """
    path = folder / "conversion.json"
    for file in (path, folder / MODEL, folder / MMPROJ):
        if not file.is_file():
            raise mistake("no such file", "export the student first (make export)", path=file)
    found = read_json(path, Conversion)
    if (now := checkpoint_hash(student)) != found.student.sha256:
        what = f"it was made of {found.student.folder} ({found.student.sha256}), and {student} is {now}"
        raise mistake(what, "export the student again", path=path, field="student")
    return found


@contextmanager
def serving_student(
    folder: Path, student: Path, settings: LlamaServerSection, max_photo_pixels: int, log: Path
) -> Iterator[ServedStudent]:
    """The exported student in ``folder``, served while the block runs, with the photo limits that it learnt with."""
    fewest, most = read_conversion(folder, student).photo_tokens
    served = Served(
        folder / MODEL,
        folder / MMPROJ,
        context=settings.context_tokens,
        slots=settings.slots,
        threads=settings.n_threads,
        photo_tokens=(fewest, most),
    )
    encoder = Encoder(student, max_photo_pixels)
    with LlamaServer(served, log, programs=PROGRAMS) as server:
        asked = ServedStudent(encoder, server, settings.photos, settings.slots)
        try:
            yield asked
        finally:
            asked.close()


def _parts(text: str, urls: Iterator[str]) -> str | list[dict[str, Any]]:
    """A user's text with its photos as parts; text alone as it is."""
    texts = text.split(PHOTO_MARK)
    if len(texts) == 1:
        return text
    between = ({"type": "image_url", "image_url": {"url": url}} for url in itertools.islice(urls, len(texts) - 1))
    parts: list[dict[str, Any]] = [{"type": "text", "text": texts[0]}]
    for photo, after in zip(between, texts[1:], strict=True):
        parts += [photo, {"type": "text", "text": after}]
    return [part for part in parts if part.get("text") != ""]
