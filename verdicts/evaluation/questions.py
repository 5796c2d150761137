"""Held-out questions: Stage-B tickets and photos the student never trained on, sampled by group.

A question holds what the student sees (``messages``, ``images``) and, apart from it, what is right (``label`` or
``expected``). A group or photo that stands in the trained file is an error: nothing is left out silently.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from verdicts.base.errors import mistake, stands_twice
from verdicts.base.jsonl import read_numbered, read_rows
from verdicts.base.split import hash_share
from verdicts.corpus.rows import FusedRow, ImageRow, check_photos, parse_line, stream
from verdicts.facts.dense import read_objects
from verdicts.facts.summary import read_summary
from verdicts.records.corpus import SftRow, Task
from verdicts.records.tickets import StageA, Verdict
from verdicts.stage_b.prompts import Prompts, name_of_messages
from verdicts.student.json_scores import is_json
from verdicts.student.object_scores import without_area


@dataclass(frozen=True)
class Question:
    """One question.

    ``key`` names it among those of its task; ``label`` is a ticket's, ``expected`` the answer wanted of a photo.
    ``prompt`` names what asks it.
    """

    task: Task
    key: str
    group_id: str
    messages: tuple[Mapping[str, str], ...]
    images: tuple[Path, ...] = ()
    label: Verdict | None = None
    expected: str | None = None
    prompt: str = ""


class Trained(NamedTuple):
    """What a student trained on: group ids, and absolute paths of photos."""

    path: Path
    groups: frozenset[str]
    photos: frozenset[str]


Of = TypeVar("Of", StageA, Question)


def read_trained(path: Path) -> Trained:
    """Groups and photos of a fused training file; raises UserError at its first bad line and where it holds none."""
    groups: set[str] = set()
    photos: set[str] = set()
    for line, _, raw in stream(path):
        row = parse_line(raw, FusedRow, path, line)
        groups.add(row.group_id)
        photos.update(map(os.path.abspath, row.images))
    if not groups:
        raise mistake("the file holds no record", "make it again with fuse", path=path)
    return Trained(path, frozenset(groups - {""}), frozenset(photos))


def held_out_tickets(tickets: list[StageA], path: Path, trained: Trained, only_groups_of: Path | None) -> list[StageA]:
    """The held-out tickets in ``path``, narrowed to the groups of a distill.val.jsonl where one is given.

    Raises UserError for a ticket the student trained on, and where no ticket is left.
    """
    if only_groups_of:
        wanted = {row.group_id for row in read_rows(only_groups_of, SftRow)}
        tickets = [ticket for ticket in tickets if ticket.group_id in wanted]
        if not tickets:
            raise mistake(
                f"none of its tickets is of a group in {only_groups_of}", "give both files of one run", path=path
            )
    for ticket in tickets:
        _refuse_trained(
            ticket.ticket_key,
            ticket.group_id,
            [str(path.parent / image) for image in ticket.images],
            trained,
            path,
            None,
        )
    return tickets


def ticket_questions(tickets: Sequence[StageA], prompts: Prompts, system: str) -> list[Question]:
    """Stage B as the rollout asks it: the system message with the run's guidance, a ticket's summaries, no label."""
    first = {"role": "system", "content": system}
    return [
        Question(
            "chat",
            ticket.ticket_key,
            ticket.group_id,
            (first, {"role": "user", "content": prompts.stage_b_user(ticket.per_image)}),
            label=ticket.label,
            prompt=prompts.digest("stage_b"),
        )
        for ticket in tickets
    ]


def read_photo_questions(path: Path, task: Task, trained: Trained) -> list[Question]:
    """The rows of a dense or summary source: all messages but the last are the prompt, the last is the answer wanted.

    Raises UserError for a bad line, a photo that is not there or stands twice, a wanted answer that cannot be scored,
    and a row the student trained on.
    """
    questions: list[Question] = []
    seen: dict[str, int] = {}
    for line, row in read_numbered(path, ImageRow):
        check_photos(row.images, path.parent, path, line)
        key = " ".join(row.images)
        if (first := seen.setdefault(key, line)) != line:
            raise stands_twice(repr(key), first, path=path, line=line, field="images")
        group = row.group_id or row.images[0]
        _refuse_trained(key, row.group_id, [str(path.parent / image) for image in row.images], trained, path, line)
        *asked, answer = row.messages
        if wrong := unscorable(task, answer.content):
            raise mistake(wrong, _CORRECT[task], path=path, line=line, field="messages")
        messages = tuple({"role": message.role, "content": message.content} for message in asked)
        images = tuple(path.parent / image for image in row.images)
        prompt = name_of_messages(messages)
        questions.append(Question(task, key, group, messages, images, expected=answer.content, prompt=prompt))
    return questions


def unscorable(task: Task, wanted: str) -> str | None:
    """Why no answer could be compared with this wanted one, None where it can."""
    if task == "summary":
        begun = read_summary(wanted).form == "json" and not is_json(wanted)
        return "the answer begins as a JSON summary and is no whole one, each entry with its 类别" if begun else None
    objects = read_objects(wanted)
    if objects is None:
        return (
            "the answer is no JSON list of boxes with x1 < x2 and y1 < y2 in 0-1000, "
            "and no object of object_1, object_2, … each with its desc and one of bbox_2d, poly, line in 0-1000"
        )
    flat = without_area(objects)
    return f"an outline encloses nothing ({flat[0]})" if flat else None


_CORRECT = {"dense": "correct it, or give the file as --summary", "summary": "correct it, or delete the row"}


def _refuse_trained(
    name: str, group: str, photos: Sequence[str], trained: Trained, path: Path, line: int | None
) -> None:
    todo = f"hold it out: evaluate on groups that are not in {trained.path}"
    if group in trained.groups:
        raise mistake(
            f"{name!r} is of group {group!r}, which the student trained on",
            todo,
            path=path,
            line=line,
            field="group_id",
        )
    for photo in photos:
        if os.path.abspath(photo) in trained.photos:
            raise mistake(
                f"{name!r} has photo {photo!r}, which the student trained on",
                todo,
                path=path,
                line=line,
                field="images",
            )


def sample_groups(rows: Sequence[Of], most: int, seed: int, knob: str) -> list[Of]:
    """At most ``most`` rows by whole groups, in file order.

    Groups go by their seeded hash (the rule of the corpus split) until one does not fit.

    Raises UserError where not one group fits; ``knob`` names the setting.
    """
    sizes: dict[str, int] = {}
    for row in rows:
        sizes[row.group_id] = sizes.get(row.group_id, 0) + 1
    chosen: set[str] = set()
    room = most
    for group in sorted(sizes, key=lambda name: (hash_share(seed, name), name)):
        room -= sizes[group]
        if room < 0:
            break
        chosen.add(group)
    if not chosen:
        raise mistake(f"{most} is fewer than a group holds ({max(sizes.values())})", "raise it", field=knob)
    return [row for row in rows if row.group_id in chosen]


def questions_digest(questions: Sequence[Question], settings: Sequence[int]) -> str:
    """SHA-256 over all that decides what is asked and what is right.

    Prompts, bytes of photos, reference answers, and ``settings``.
    """
    digest = hashlib.sha256(json.dumps(list(settings)).encode())
    for question in questions:
        asked = [question.task, question.key, question.label, question.expected, list(map(dict, question.messages))]
        digest.update(json.dumps(asked).encode())
        for image in question.images:
            digest.update(hashlib.sha256(image.read_bytes()).digest())
    return digest.hexdigest()
