"""The rows that fusion reads and writes, and their reader: one line at a time, every mistake with its line.

In:  ``dense`` and ``summary`` rows ``{"images": [path, …], "messages": […]}`` with one ``<image>`` a photo in the text
     (what ms-swift and LLaMA-Factory read), ``chatml`` rows, which are distill.train.jsonl, and ``chat_general`` rows,
     which are ``messages`` alone.
Out: ``FusedRow``. All its rows hold the same keys with the same types, so that Arrow, which guesses a file's types from
     its first megabytes, guesses right.

Image paths of a source are relative to the source's file; those of a fused file to the working directory.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from verdicts.base.errors import mistake
from verdicts.base.jsonl import parse_row
from verdicts.base.record import Record
from verdicts.base.text_files import BOM, line_text, open_bytes
from verdicts.photos.files import PHOTO_MARK
from verdicts.records.corpus import Message, SftRow, Task
from verdicts.records.tickets import Verdict, ticket_key
from verdicts.stage_b.protocol import parse

RowModel = TypeVar("RowModel", bound=BaseModel)


OTHER_MEDIA = ("<video>", "<audio>")  # LLaMA-Factory counts these in every text and refuses the row


def check_turns(messages: list[Message]) -> list[Message]:
    """Raise ValueError unless the roles are an optional system, then user and assistant in turn.

    Every answer must say something.
    """
    roles = [message.role for message in messages]
    found = f"(found {', '.join(roles) or 'none'})"
    if "assistant" not in roles:
        raise ValueError(f"no assistant message {found}; add the answer to learn, or delete the row")
    turns = roles[1:] if roles[0] == "system" else roles
    if turns != ["user", "assistant"] * (len(turns) // 2):
        raise ValueError(
            f"roles must be an optional system, then user and assistant in turn {found}; put them in this order"
        )
    if any(message.role == "assistant" and not message.content.strip() for message in messages):
        raise ValueError("an assistant message is blank; write the answer to learn, or delete the row")
    return messages


def stated_verdict(messages: list[Message]) -> Verdict | None:
    """The verdict that a chat's last answer states, None where it states none."""
    answer = next((message.content for message in reversed(messages) if message.role == "assistant"), "")
    return parse(answer).verdict


def only_verdict(verdicts: Mapping[Verdict, int]) -> Verdict | None:
    """The verdict that all chat rows with a verdict state, None where both occur, or neither.

    One alone teaches to say nothing else.
    """
    there = [verdict for verdict, count in verdicts.items() if count]
    return there[0] if len(there) == 1 else None


def check_placeholders(messages: list[Message], images: int) -> None:
    """Raise ValueError unless the user's texts hold ``<image>`` exactly ``images`` times and no other text does.

    Trainers pair them with photos in order.
    """
    for message in messages:
        for word in OTHER_MEDIA if message.role == "user" else (PHOTO_MARK, *OTHER_MEDIA):
            if word in message.content:
                raise ValueError(f"{word} in the {message.role}'s text would be read as a photo or clip; reword it")
    count = sum(message.content.count(PHOTO_MARK) for message in messages)
    if count != images:
        raise ValueError(
            f"{images} images but {count} {PHOTO_MARK} in the user's text; write one a photo, where the photo belongs"
        )


class Conversation(Record):
    """What every row holds: an exchange that ends with an answer, and the photos its ``<image>`` words stand for."""

    messages: list[Message]
    images: list[str]

    _turns = field_validator("messages")(check_turns)

    @field_validator("images")
    @classmethod
    def _a_word_a_photo(cls, images: list[str], info: ValidationInfo) -> list[str]:
        if "messages" in info.data:
            check_placeholders(info.data["messages"], len(images))
        return images


class ImageRow(Conversation):
    """One row of a dense or summary source.

    Rows with the same ``group_id`` (or else the same first photo) stay on one side of a split.
    """

    images: Annotated[list[str], Field(min_length=1)]
    weight: Annotated[float, Field(gt=0)] = 1.0
    group_id: str = ""


class ChatSourceRow(SftRow):
    """One row of distill.train.jsonl, with the mistakes of a hand edit named in plain words.

    Other programs write the ticket's key beside its group and label; it has to be theirs.
    """

    messages: list[Message]
    ticket_key: str | None = None

    @field_validator("ticket_key")
    @classmethod
    def _key_of_its_ticket(cls, key: str | None, info: ValidationInfo) -> str | None:
        if {"group_id", "label"} <= info.data.keys() and key is not None:
            right = ticket_key(info.data["group_id"], info.data["label"])
            if key != right:
                raise ValueError(f"{key!r} is not the row's group_id and label ({right!r}); correct one of the three")
        return key

    @field_validator("messages")
    @classmethod
    def _text_turns(cls, messages: list[Message]) -> list[Message]:
        check_placeholders(messages, 0)
        return check_turns(messages)


class GeneralChatRow(Record):
    """One row of general chat: it is about no ticket and states no verdict."""

    messages: list[Message]
    weight: Annotated[float, Field(gt=0)] = 1.0

    @field_validator("messages")
    @classmethod
    def _text_turns(cls, messages: list[Message]) -> list[Message]:
        check_placeholders(messages, 0)
        return check_turns(messages)


class FusedRow(Conversation):
    """One row of data/fused/<name>.{train,val}.jsonl.

    ``images`` is empty for chat, ``group_id`` is "" where the source has none.
    """

    task: Task
    source: Annotated[str, Field(min_length=1)]
    weight: Annotated[float, Field(gt=0)]
    group_id: str

    @field_validator("task")
    @classmethod
    def _photos_where_they_belong(cls, task: Task, info: ValidationInfo) -> Task:
        if "images" in info.data and (task == "chat") == bool(info.data["images"]):
            raise ValueError(
                f"a {task} row with {len(info.data['images'])} images; "
                "chat rows have none, dense and summary rows at least one"
            )
        return task


# template -> (the dataset that takes it, its row model)
SourceRow = ImageRow | ChatSourceRow | GeneralChatRow
TEMPLATES: dict[str, tuple[Task, type[ImageRow] | type[ChatSourceRow] | type[GeneralChatRow]]] = {
    "chatml": ("chat", ChatSourceRow),
    "chat_general": ("chat", GeneralChatRow),
    "dense": ("dense", ImageRow),
    "summary": ("summary", ImageRow),
}


def stream(path: Path, digest: Any = None) -> Iterator[tuple[int, int, bytes]]:
    """Yield (line number from 1, byte offset, bytes) of each line that is not blank.

    ``digest``, a hashlib object, takes in the whole file.
    """
    file = open_bytes(path)
    offset = 0
    with file:
        for number, raw in enumerate(file, start=1):
            line = raw.removeprefix(BOM) if number == 1 else raw
            if digest:
                digest.update(raw)
            if line.strip():
                yield number, offset + len(raw) - len(line), line
            offset += len(raw)


def parse_line(raw: bytes, model: type[RowModel], path: Path, line: int) -> RowModel:
    """Parse the bytes of one line as a record; raises UserError naming path, line and field."""
    return parse_row(line_text(raw, path, line), model, path, line)


def check_photos(images: list[str], folder: Path, path: Path, line: int) -> None:
    """Raise UserError for the first image path that names no file; relative paths start at ``folder``."""
    for at, image in enumerate(images):
        if not os.path.isfile(os.path.join(folder, image)):
            todo = f"correct the path (relative to {folder}) or delete the row"
            raise mistake(f"no such file ({image})", todo, path=path, line=line, field=f"images.{at}")


def read_fused(path: Path, *, allow_empty: bool = False) -> Iterator[FusedRow]:
    """Yield the rows of a fused file, one in memory at a time.

    Raises UserError at the first bad line (unknown role, missing answer, unknown field, photo that is not there, …)
    and, at the end, for a file without any row.
    """
    empty = True
    for line, _, raw in stream(path):
        row = parse_line(raw, FusedRow, path, line)
        check_photos(row.images, Path(), path, line)
        empty = False
        yield row
    if empty and not allow_empty:
        raise mistake("the file holds no record", "make it again with fuse", path=path)
