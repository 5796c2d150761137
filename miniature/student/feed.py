"""Training batches of the miniature student, drawn on the fly by data processes and made ready by threads.

A photo row is a photo with its two chats (summary, dense) and, for the vision tower's helper, its objects as cells of
the photo's token grid. A chat row is a Stage-B chat with the likelihood of 不通过 that its verdict word is to learn.
"""

import os
import queue
import threading
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np

BUCKETS, BOX_KINDS = 512, 8  # of segment names, hashed
_REUSE_FROM, _KEEP = 50, 300  # photo batches


@dataclass(frozen=True)
class FeedRecipe:
    """What a batch is made of."""

    photos: int = 128  # a step
    chat_tokens: int = 16384  # padded, a step
    verdict_word_weight: int = 6
    max_tokens: int = 768
    chunk: int = 16
    jpeg_share: float = 0.6  # of photos that go through JPEG, as files do
    seed: int = 11


class ChatBatch(NamedTuple):
    """Rows padded to one width.

    Ids [B, T], flat positions to predict from, their targets and weights; for chats the verdict likelihoods [B].
    """

    ids: np.ndarray
    positions: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    likely: np.ndarray | None = None


class PhotoBatch(NamedTuple):
    """A photo batch: pixels [B, height, width, 3] uint8, two chats, and its objects.

    Of all objects: (photo, cell, bucket) and (cx, cy, w, h).
    """

    pixels: np.ndarray
    summary: ChatBatch
    dense: ChatBatch
    cells: np.ndarray
    boxes: np.ndarray


def read_tokens(path: Path):
    """The student's tokens from the teacher's tokenizer.json, on one thread."""
    os.environ["RAYON_NUM_THREADS"] = "1"
    from miniature.student.files import StudentTokens

    return StudentTokens.load(path)


def task_prompts(tokens) -> dict[str, list[int]]:
    """The ids before the answer of each photo task."""
    from miniature.world.prompts import prompts_of

    asked = {task: prompts_of().photo_messages(task)[-1]["content"] for task in ("summary", "dense")}
    return {task: tokens.photo_prompt(text.removeprefix("<image>")) for task, text in asked.items()}


def photo_row(rng: Random, tokens, prompts: dict[str, list[int]], jpeg_share: float) -> tuple:
    """(pixels, summary ids, dense ids, cells); a cell is (cell, bucket, cx, cy, w, h) of an object."""
    from miniature.drawing.photos import paint_photo
    from miniature.student.data import photo_sample
    from verdicts.student.photo_scores import render_dense

    sample = photo_sample(rng)
    pixels, seen = paint_photo(*sample)
    if rng.random() < jpeg_share:
        pixels = _through_jpeg(pixels, rng.randint(88, 95))
    summary = prompts["summary"] + tokens.answer(sample.photo.summary)
    return (
        pixels,
        summary,
        prompts["dense"] + tokens.answer(render_dense(seen)),
        [_cell(box, label) for box, label in seen],
    )


def _through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    from io import BytesIO

    from PIL import Image

    held = BytesIO()
    Image.fromarray(pixels).save(held, "JPEG", quality=quality)
    return np.asarray(Image.open(held))


def _cell(box: tuple[int, int, int, int], label: str) -> tuple[int, int, float, float, float, float]:
    from zlib import crc32

    from miniature.student.network import GRID, MERGE

    x1, y1, x2, y2 = (v / 1000 for v in box)
    cx, cy, high, wide = (x1 + x2) / 2, (y1 + y2) / 2, GRID[0] // MERGE, GRID[1] // MERGE
    cell = min(high - 1, int(cy * high)) * wide + min(wide - 1, int(cx * wide))
    return cell, crc32(label.encode()) % BUCKETS, cx, cy, x2 - x1, y2 - y1


def draw_photos(recipe: FeedRecipe, tokenizer: Path, seed: int, out) -> None:
    """A data process: endless chunks of photo rows."""
    tokens, rng = read_tokens(tokenizer), Random(f"photos:{recipe.seed}:{seed}")
    prompts = task_prompts(tokens)
    while True:
        rows = [photo_row(rng, tokens, prompts, recipe.jpeg_share) for _ in range(recipe.chunk)]
        out.put((np.stack([row[0] for row in rows]), [row[1:] for row in rows]))


def chat_ids(rng: Random, tokens, damaged: bool, word_weight: int) -> tuple[np.ndarray, np.ndarray, float]:
    """(ids, weights, likelihood of 不通过) of a Stage-B chat; a sound chat's verdict is certain."""
    from miniature.student.data import chat_sample, damaged_sample
    from verdicts.stage_b.protocol import HEADER, WORD

    if damaged:
        sample, likely = damaged_sample(rng)
    else:
        sample = chat_sample(rng)
        likely = float(sample.answer.startswith(HEADER + WORD["fail"]))
    ids, before = tokens.chat(sample)
    row, weights = answer_weights(ids, before)
    weights[before + len(tokens.header)] = word_weight
    return row, weights, likely


def draw_chats(recipe: FeedRecipe, tokenizer: Path, seed: int, damaged, out) -> None:
    """A data process: endless chunks of (damaged?, chat rows)."""
    tokens, rng = read_tokens(tokenizer), Random(f"chat:{recipe.seed}:{seed}")
    while True:
        broken = bool(damaged.value)
        rows = [chat_ids(rng, tokens, broken, recipe.verdict_word_weight) for _ in range(4 * recipe.chunk)]
        out.put((broken, [row for row in rows if len(row[0]) <= recipe.max_tokens]))


def answer_weights(ids: list[int], before: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids as an array, and weight 1 on the answer, 0 on the ``before`` ids ahead of it."""
    weights = np.ones(len(ids), np.float32)
    weights[:before] = 0
    return np.array(ids, np.int64), weights


def padded(length: int) -> int:
    """The width of a batch whose longest row has this length."""
    return -(-length // 32) * 32


def collate(rows: list[tuple[np.ndarray, np.ndarray]], likely: list[float] | None = None) -> ChatBatch:
    """A batch of (ids, weights) rows, padded on the right (a causal network never looks there)."""
    width = padded(max(len(ids) for ids, _ in rows))
    table, weight = np.zeros((len(rows), width), np.int64), np.zeros((len(rows), width), np.float32)
    for index, (ids, weights) in enumerate(rows):
        table[index, : len(ids)] = ids
        weight[index, : len(ids)] = weights
    at, column = np.nonzero(weight)
    return ChatBatch(
        table,
        at * width + column - 1,
        table[at, column],
        weight[at, column],
        None if likely is None else np.array(likely, np.float32),
    )


def photo_batch(pixels: list[np.ndarray], rows: list[tuple], before: dict[str, int]) -> PhotoBatch:
    """A batch of photo rows without their pixels, and the pixels."""
    objects = [(index, *cell) for index, row in enumerate(rows) for cell in row[2]]
    return PhotoBatch(
        np.stack(pixels), collate([answer_weights(row[0], before["summary"]) for row in rows]),
        collate([answer_weights(row[1], before["dense"]) for row in rows]),
        np.array([o[:3] for o in objects], np.int64), np.array([o[3:] for o in objects], np.float32),
    )  # fmt: skip


class BatchFeed:
    """Batches made ready by threads; where data processes lag behind, an earlier photo batch is used again."""

    def __init__(self, recipe: FeedRecipe, damaged):
        self.recipe, self.damaged, self.random = recipe, damaged, np.random.default_rng(recipe.seed)
        self.photos: queue.Queue = queue.Queue(maxsize=60)
        self.chats: queue.Queue = queue.Queue(maxsize=60)
        self.old: list[PhotoBatch] = []
        self.drawn = self.reused = self.talked = 0

    def start(self, drawn, talked, before: dict[str, int]) -> None:
        """Begin to empty the queues of the data processes; ``before``: ids ahead of the answer of each photo task."""
        threading.Thread(target=self._run_photos, args=(drawn, before), daemon=True).start()
        threading.Thread(target=self._run_chats, args=(talked,), daemon=True).start()

    def _run_photos(self, source, before: dict[str, int]) -> None:
        pixels: list[np.ndarray] = []
        rows: list[tuple] = []
        pools, size = 1, self.recipe.photos
        while True:
            more, texts = source.get()
            pixels += list(more)
            rows += texts
            if len(rows) < size * pools:
                continue
            order = sorted(range(len(rows)), key=lambda i: len(rows[i][1]))
            for start in self.random.permutation(len(order) // size) * size:
                chosen = order[start : start + size]
                self.photos.put(photo_batch([pixels[i] for i in chosen], [rows[i] for i in chosen], before))
                self.drawn += size
            pixels, rows, pools = [], [], 8

    def _run_chats(self, source) -> None:
        pool: list[tuple] = []
        while True:
            broken, rows = source.get()
            if broken != bool(self.damaged.value):
                pool.clear()
                continue
            pool += rows
            if len(pool) < 1024:
                continue
            batches, pool = _cut(pool, self.recipe.chat_tokens), []
            for index in self.random.permutation(len(batches)):
                self.talked += len(batches[index])
                self.chats.put(
                    (broken, collate([row[:2] for row in batches[index]], [row[2] for row in batches[index]]))
                )

    def next_photos(self) -> PhotoBatch:
        """A new photo batch, or one of the last ones where none is ready."""
        if self.photos.empty() and len(self.old) >= _REUSE_FROM:
            self.reused += 1
            return self.old[int(self.random.integers(len(self.old)))]
        batch = self.photos.get()
        self.old = [*self.old[-_KEEP:], batch]
        return batch

    def next_chat(self) -> ChatBatch:
        """The next chat batch of the phase that training is in; others are thrown away."""
        while True:
            broken, batch = self.chats.get()
            if broken == bool(self.damaged.value):
                return batch


def _cut(pool: list[tuple], tokens: int) -> list[list[tuple[Any, ...]]]:
    """Rows of about one length together, at most ``tokens`` padded ids a batch."""
    batches: list[list[tuple]] = [[]]
    for row in sorted(pool, key=lambda row: len(row[0])):
        if batches[-1] and (len(batches[-1]) + 1) * padded(len(row[0])) > tokens:
            batches.append([])
        batches[-1].append(row)
    return batches
