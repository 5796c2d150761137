"""What a GGUF file takes of a GPU's memory, read from its header before a weight is loaded."""

import ctypes
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from verdicts.base.errors import mistake
from verdicts.engines.llama.runtime import library

if TYPE_CHECKING:
    from verdicts.config.engine import LlamaCppConfig

# Bytes of a number of a KV cell. The engine's context holds f16; q8_0 has a scale of 2 bytes for each 32 numbers.
CELL_BYTES = {"f16": 2.0, "q8_0": 34 / 32}
_GIB = 2**30


class Memory(NamedTuple):
    """Bytes: ``weights`` (the model's files), ``kv`` (its ``cells`` KV cells) and, about, working ``buffers``.

    ``layers`` of the model; ``parameters`` of its matrices in them, which cost two operations a token each; ``kind`` of
    the cells' numbers; ``contexts`` that share the cells out among them.
    """

    weights: int
    kv: int
    cells: int
    buffers: int = 0
    layers: int = 0
    parameters: int = 0
    kind: str = "f16"
    contexts: int = 1

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.kv + self.buffers

    def __str__(self) -> str:
        total = self.weights + self.kv
        buffers = f"about {bytes_text(self.buffers)} of working buffers" if self.buffers else "working buffers"
        return (
            f"{bytes_text(total)} of GPU memory = {bytes_text(self.weights)} of weights + {bytes_text(self.kv)} for "
            f"{self.cells:,} KV cells in {self.kind}, {buffers} on top; does it not fit, lower engine.context_tokens "
            "(the cells of a context), engine.contexts or engine.n_gpu_layers (layers on the GPU; 0: none)"
        )


def memory_of(model: Path, cells: int, batch_tokens: int = 0, kind: str = "f16") -> Memory:
    """What a model takes with so many cells of a ``kind`` (CELL_BYTES), ``batch_tokens`` computed together.

    Raises UserError for a file that is no GGUF file, or lacks its sizes.

    A KV cell holds a key and a value of each KV head of each layer: layers x heads x (key length + value length)
    numbers. Names: docs/gguf.md of ggml-org/ggml. Buffers hold, for each token of a batch, its logits, what a layer
    computes of it, and which cells it may see: fitted to what llama.cpp reserves on a CPU with flash attention, 3.63,
    8.51, 14.51 and 282.05 MiB for 128, 512, 512 and 2,048 tokens and 8,192, 2,048, 8,192 and 65,536 cells of the
    miniature teacher.
    """
    told = _sizes(model)
    try:
        heads, layers = int(told["attention.head_count"]), int(told["block_count"])
        of_head = int(told["embedding_length"]) // heads
        kv_heads = int(told.get("attention.head_count_kv", heads))
        lengths = [int(told.get(f"attention.{part}_length", of_head)) for part in ("key", "value")]
        width, inner = int(told["embedding_length"]), int(told.get("feed_forward_length", 0))
        vocabulary = int(told.get("vocab_size", 0))
    except (KeyError, ValueError) as error:
        raise mistake(f"its header does not say it ({error})", "nothing to do: this figure alone is missing") from None
    kv = round(cells * layers * kv_heads * sum(lengths) * CELL_BYTES[kind])
    buffers = batch_tokens * (4 * vocabulary + 8 * inner + 12 * width + 2 * cells)
    attention = width * (heads + kv_heads) * sum(lengths)  # queries and output; keys and values
    return Memory(_file_bytes(model), kv, cells, buffers, layers, layers * (attention + 3 * width * inner), kind)


def engine_memory(engine: "LlamaCppConfig") -> Memory:
    """What an engine of this configuration takes: its cells and buffers once a context. Raises as ``memory_of``."""
    batch = min(engine.batch_tokens, engine.context_tokens)
    one = memory_of(Path(engine.model), engine.context_tokens, batch, engine.kv_type)
    count = engine.contexts
    return one._replace(kv=count * one.kv, cells=count * one.cells, buffers=count * one.buffers, contexts=count)


def _file_bytes(model: Path) -> int:
    """Size of a model's file, or of all files of one that was split (x-00001-of-00003.gguf)."""
    if split := re.fullmatch(r"(.*)-\d{5}-of-(\d{5})\.gguf", model.name):
        return sum(part.stat().st_size for part in model.parent.glob(f"{split[1]}-?????-of-{split[2]}.gguf"))
    return model.stat().st_size


def _sizes(model: Path) -> dict[str, str]:
    """The header's values of the model's own architecture, without its name before them."""
    lib = library()
    params = lib.llama_model_default_params()
    params.vocab_only = True
    handle = lib.llama_model_load_from_file(str(model).encode(), params)
    if not handle:
        raise mistake("no GGUF file that llama.cpp can read", "check the path and the file", path=model)
    text = ctypes.create_string_buffer(4096)
    try:
        found = {}
        vocabulary = str(lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(handle)))
        for number in range(lib.llama_model_meta_count(handle)):
            lib.llama_model_meta_key_by_index(handle, number, text, len(text))
            key = text.value.decode("utf-8", "replace")
            lib.llama_model_meta_val_str_by_index(handle, number, text, len(text))
            found[key] = text.value.decode("utf-8", "replace")
    finally:
        lib.llama_model_free(handle)
    prefix = found.get("general.architecture", "") + "."
    found.setdefault(f"{prefix}vocab_size", vocabulary)
    return {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)}


def bytes_text(count: float) -> str:
    """``16.0 GiB``, ``48 MiB``."""
    return f"{count / _GIB:.1f} GiB" if count >= _GIB else f"{count / 2**20:.0f} MiB"
