"""What the student takes of memory: its sizes from config.json and the heads of its files, before a weight is loaded.

The teacher's are read by verdicts/engines/llama/memory.py. What is no plain count is said to be about so much: it comes
from one measurement at the shapes of a Qwen3-VL-4B (docs/sft.md) and grows with the sizes that it depends on.
"""

from pathlib import Path
from typing import Any, NamedTuple

from verdicts.base.errors import mistake
from verdicts.config.sections import Config, SftSection
from verdicts.models.checkpoints import Checkpoint, check_weights, settings, weight_files

GIB = 2**30
WIDTHS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}  # bytes of a number in a safetensors file
PROMPT_TOKENS = 600  # a prompt's own words, about
# Measured with 8 top layers of hidden size 2,560 and 151,936 tokens (docs/sft.md, "Memory at full size"): 31 GiB at
# 12,018 tokens together and 47 GiB at 24,036, of which 8.3 GiB are weights. Rows that nothing is kept of take less.
HIDDEN, TOP_LAYERS, VOCABULARY = 2560, 8, 151_936
LEARNING_A_TOKEN = 16 * GIB / 12_018
LEARNING_FIXED = 6.7 * GIB  # logits and their gradient, in parts; the optimiser; CUDA's own


class StudentShape(NamedTuple):
    """``weights``: numbers. ``kv_numbers``: of a token in all language layers."""

    weights: int
    hidden: int
    intermediate: int
    vocabulary: int
    kv_numbers: int


def shape_of(folder: Path) -> StudentShape:
    """The sizes of a Qwen3-VL checkpoint. Raises UserError for a folder that is none, or whose files are not whole."""
    checkpoint = Checkpoint(folder, "student.model", "fetch the checkpoint again, or name another one")
    if not (folder / "config.json").is_file():
        raise checkpoint.wrong("no checkpoint folder (it has no config.json)")
    widths = {WIDTHS.get(dtype, 2) for dtype in check_weights(checkpoint)}
    held = sum((folder / name).stat().st_size for name in weight_files(checkpoint))
    text: Any = settings(checkpoint).get("text_config")
    try:
        heads = int(text["num_attention_heads"])
        of_head = int(text.get("head_dim") or int(text["hidden_size"]) // heads)
        kv = int(text["num_hidden_layers"]) * int(text["num_key_value_heads"]) * of_head * 2
        hidden, inner, words = (int(text[name]) for name in ("hidden_size", "intermediate_size", "vocab_size"))
    except (KeyError, TypeError, ValueError) as error:
        raise mistake(
            f"its text_config does not say its sizes ({error})", "take the checkpoint's own config.json",
            path=folder / "config.json",
        ) from None  # fmt: skip
    return StudentShape(held // max(widths, default=2), hidden, inner, words, kv)


class AnsweringBytes(NamedTuple):
    """Bytes that answering rows together takes: ``fixed`` whatever the batch, and ``row`` for each row."""

    fixed: int
    row: int

    def of(self, rows: int) -> int:
        """Bytes for so many rows."""
        return self.fixed + rows * self.row

    def most(self, free: int) -> int:
        """How many rows fit."""
        return max(0, free - self.fixed) // self.row


def answering(shape: StudentShape, photo_pixels: int, new_tokens: int, width: int) -> AnsweringBytes:
    """What a row takes that shows one photo: its KV cells, and what the layer at work holds of it.

    ``width``: bytes of a number, 2 on a GPU and 4 on a CPU (verdicts/student/model.py).
    """
    read = PROMPT_TOKENS + photo_pixels // 1024  # a token of a Qwen3-VL is 32 x 32 pixels
    working = read * (2 * shape.intermediate + 8 * shape.hidden) * width
    return AnsweringBytes(shape.weights * width, (read + new_tokens) * shape.kv_numbers * width + working)


class LearningBytes(NamedTuple):
    """Bytes that sft takes: ``fixed``, and ``token`` for each token of the rows that are computed together."""

    fixed: int
    token: float

    def of(self, tokens: int) -> int:
        """Bytes for so many tokens together."""
        return self.fixed + round(tokens * self.token)

    def most(self, free: int) -> int:
        """How many tokens fit together."""
        return int(max(0, free - self.fixed) / self.token)


def learning(shape: StudentShape, sft: SftSection, width: int) -> LearningBytes:
    """What fine-tuning takes, from the measurement above."""
    size = shape.hidden / HIDDEN * width / 2
    fixed = shape.weights * width + LEARNING_FIXED * shape.vocabulary / VOCABULARY * width / 2
    return LearningBytes(round(fixed), LEARNING_A_TOKEN * size * sft.top_layers / TOP_LAYERS)


def taught_bytes(shape: StudentShape, config: Config) -> int:
    """Bytes on disk that teaching a student takes: the merged checkpoint, its state while it learns, and sft's cache.

    The adapter has 7 matrices a layer of ``rank`` x (hidden or intermediate); the state holds it with two moments.
    """
    sft = config.sft
    adapter = sft.top_layers * sft.rank * len(sft.targets) * (shape.hidden + shape.intermediate) * 4
    return 2 * shape.weights + 4 * adapter + round(sft.cache_gb * 1e9)
