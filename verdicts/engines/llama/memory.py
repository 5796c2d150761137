"""What a GGUF file takes of a GPU's memory, read from its header before a weight is loaded."""

import ctypes
import re
from pathlib import Path
from typing import NamedTuple

from verdicts.base.errors import mistake
from verdicts.engines.llama.runtime import library

CELL_BYTES = 2  # a number of a KV cell is f16 (runtime.Context)
_GIB = 2**30


class Memory(NamedTuple):
    """Bytes: ``weights`` (the model's files) and ``kv`` (its ``cells`` KV cells). Working buffers come on top."""

    weights: int
    kv: int
    cells: int

    def __str__(self) -> str:
        total = self.weights + self.kv
        return (
            f"{_size(total)} of GPU memory = {_size(self.weights)} of weights + {_size(self.kv)} for {self.cells:,} KV "
            "cells in f16, working buffers on top; does it not fit, lower engine.context_tokens (the cells) or "
            "engine.n_gpu_layers (layers on the GPU; 0: none)"
        )


def memory_of(model: Path, cells: int) -> Memory:
    """What a model takes with so many cells. Raises UserError for a file that is no GGUF file, or lacks its sizes.

    A KV cell holds a key and a value of each KV head of each layer: layers x heads x (key length + value length)
    numbers. Names: docs/gguf.md of ggml-org/ggml.
    """
    told = _sizes(model)
    try:
        heads, layers = int(told["attention.head_count"]), int(told["block_count"])
        of_head = int(told["embedding_length"]) // heads
        kv_heads = int(told.get("attention.head_count_kv", heads))
        lengths = sum(int(told.get(f"attention.{part}_length", of_head)) for part in ("key", "value"))
    except (KeyError, ValueError) as error:
        raise mistake(f"its header does not say it ({error})", "nothing to do: this figure alone is missing") from None
    return Memory(_file_bytes(model), cells * layers * kv_heads * lengths * CELL_BYTES, cells)


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
        for number in range(lib.llama_model_meta_count(handle)):
            lib.llama_model_meta_key_by_index(handle, number, text, len(text))
            key = text.value.decode("utf-8", "replace")
            lib.llama_model_meta_val_str_by_index(handle, number, text, len(text))
            found[key] = text.value.decode("utf-8", "replace")
    finally:
        lib.llama_model_free(handle)
    prefix = found.get("general.architecture", "") + "."
    return {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)}


def _size(count: int) -> str:
    """``16.0 GiB``, ``48 MiB``."""
    return f"{count / _GIB:.1f} GiB" if count >= _GIB else f"{count / 2**20:.0f} MiB"
