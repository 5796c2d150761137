"""Asking a student of many tickets, as evaluate asks: the same prompts, the same batches, greedy.

An answer may depend, by rounding, on the batch it stands in. Batches are therefore cut from the tickets alone, and a
killed run goes on behind the last whole one.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from verdicts.base.part_file import PartFile
from verdicts.config.tools import PredictConfig
from verdicts.models.fingerprint import checkpoint_hash
from verdicts.prediction.decide import Answered
from verdicts.records.predictions import NewTicket
from verdicts.stage_b.prompts import Prompts
from verdicts.student.batches import longest_first
from verdicts.student.model import Dialogue, Student


def dialogue(prompts: Prompts, system: str, ticket: NewTicket) -> Dialogue:
    """A ticket's question, as the rollout and evaluate ask it."""
    user = prompts.stage_b_user(ticket.per_image)
    return Dialogue(({"role": "system", "content": system}, {"role": "user", "content": user}))


def answer_batch(student: Student, rows: Sequence[Dialogue], max_new_tokens: int) -> list[Answered]:
    """The answers of one batch. A prompt that leaves no room for an answer is not asked."""
    encoded = [student.encode(row, generate=True) for row in rows]
    limit = getattr(student.config.get_text_config(), "max_position_embeddings", None)
    fits = [limit is None or len(one.ids) + max_new_tokens <= limit for one in encoded]
    asked = [one for one, fit in zip(encoded, fits, strict=True) if fit]
    if not asked:
        return [Answered("", "over_length", None)] * len(rows)
    written = iter(student.answer_verdicts(asked, max_new_tokens))
    answers = []
    for fit in fits:
        text, whole, sure = next(written) if fit else ("", False, None)
        answers.append(Answered(text, "over_length" if not fit else "stop" if whole else "length", sure))
    return answers


def asked_digest(cfg: PredictConfig, student: Path, system: str, prompts: Prompts, tickets: str) -> str:
    """Names everything that an answer depends on. ``tickets``: a digest of their prompts."""
    knobs = [cfg.evaluate.batch, cfg.evaluate.max_new_tokens, cfg.predict.window]
    said = [checkpoint_hash(student), system, prompts.digest("stage_b"), knobs, tickets]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def digest_of_tickets(tickets: Iterable[NewTicket]) -> str:
    """A digest of what of each ticket is asked."""
    digest = hashlib.sha256()
    for ticket in tickets:
        digest.update(json.dumps([ticket.group_id, ticket.per_image]).encode() + b"\n")
    return digest.hexdigest()


def batch_sizes(cfg: PredictConfig, count: int) -> list[int]:
    """How many tickets of ``count`` are answered together, batch after batch."""
    windows = [min(cfg.predict.window, count - start) for start in range(0, count, cfg.predict.window)]
    return [min(cfg.evaluate.batch, size - start) for size in windows for start in range(0, size, cfg.evaluate.batch)]


def saved_answers(part: PartFile, cfg: PredictConfig, count: int) -> tuple[Iterator[list[Answered]], int]:
    """The whole batches that a part file holds of ``count`` tickets, read as they are asked for; and their tickets."""
    sizes = batch_sizes(cfg, count)
    saved = part.cut(lambda place, batch: place < len(sizes) and len(batch) == sizes[place])
    return part.stream(saved), sum(sizes[:saved])


def windows_of(cfg: PredictConfig, questions: Iterable[Dialogue]) -> Iterator[tuple[list[Dialogue], list[list[int]]]]:
    """Windows of questions, each with the batches in which they are asked: numbers of its questions."""
    waiting = iter(questions)
    while window := list(islice(waiting, cfg.predict.window)):
        sizes = [(sum(len(message["content"]) for message in row.messages),) for row in window]
        yield window, longest_first(sizes, cfg.evaluate.batch)


def ask_share(
    student: Student,
    cfg: PredictConfig,
    questions: Iterable[Dialogue],
    units: Sequence[int],
    done: Callable[[list[Answered]], object],
) -> None:
    """Ask the batches with these numbers, counted from 0 over all windows, and no other; ``done`` is told of each."""
    wanted, number = set(units), -1
    for window, batches in windows_of(cfg, questions):
        for batch in batches:
            number += 1
            if number in wanted:
                done(answer_batch(student, [window[at] for at in batch], cfg.evaluate.max_new_tokens))


def ask(
    load: Callable[[], Student],
    cfg: PredictConfig,
    questions: Iterable[Dialogue],
    saved: Iterable[list[Answered]] = (),
    done: Callable[[list[Answered]], object] = lambda batch: None,
) -> Iterator[Answered]:
    """The answers, in the order of the questions; batches that are ``saved`` are not asked again.

    ``load``: gives the student, where anything is left to ask. ``done``: told of each new batch.
    """
    said, student = iter(saved), None
    for window, batches in windows_of(cfg, questions):
        answers: dict[int, Answered] = {}
        for batch in batches:
            found = next(said, None)
            if found is None:
                student = student or load()
                found = answer_batch(student, [window[at] for at in batch], cfg.evaluate.max_new_tokens)
                done(found)
            answers |= dict(zip(batch, found, strict=True))
        yield from (answers[at] for at in range(len(window)))
