"""What a model takes of a GPU's memory, from its header alone."""

from pathlib import Path

import pytest

from tests.support.llama import config
from verdicts.base.errors import UserError
from verdicts.engines.llama import memory
from verdicts.engines.llama.memory import engine_memory, memory_of

ROOT = Path(__file__).resolve().parents[2]
TEACHER = ROOT / "data/miniature/teacher.gguf"
# https://huggingface.co/Qwen/Qwen3-32B/blob/main/config.json
QWEN3_32B = {
    "block_count": "64",
    "embedding_length": "5120",
    "attention.head_count": "64",
    "attention.head_count_kv": "8",
    "attention.key_length": "128",
    "attention.value_length": "128",
}


def headed(monkeypatch, tmp_path, header: dict[str, str]) -> Path:
    """A file of 3,000 bytes with this header."""
    monkeypatch.setattr(memory, "_sizes", lambda _: header)
    (tmp_path / "x.gguf").write_bytes(bytes(3000))
    return tmp_path / "x.gguf"


def test_65536_cells_of_a_qwen3_32b_are_16_gib(monkeypatch, tmp_path):
    found = memory_of(headed(monkeypatch, tmp_path, QWEN3_32B), 65_536)
    assert (found.kv, found.weights) == (16 * 2**30, 3000)
    assert "16.0 GiB for 65,536 KV cells in f16" in str(found) and "lower engine.context_tokens" in str(found)


def test_the_miniatures_header_is_read_by_llama_cpp():
    # 6 layers of 4 heads with keys and values of 64: 3,072 numbers of 2 bytes a cell
    found = memory_of(TEACHER, 8192)
    assert (found.kv, found.weights) == (8192 * 3072 * 2, TEACHER.stat().st_size)
    assert str(found).startswith("54 MiB of GPU memory = 6 MiB of weights + 48 MiB for 8,192 KV cells in f16")


def test_a_head_without_lengths_has_its_part_of_the_embedding_and_all_heads_have_keys(monkeypatch, tmp_path):
    header = {"block_count": "2", "embedding_length": "64", "attention.head_count": "4"}
    assert memory_of(headed(monkeypatch, tmp_path, header), 10).kv == 10 * 2 * 4 * (16 + 16) * 2


def test_a_model_in_several_files_is_as_large_as_all_of_them(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_sizes", lambda _: QWEN3_32B)
    for part in (1, 2, 3):
        (tmp_path / f"q-0000{part}-of-00003.gguf").write_bytes(bytes(100 * part))
    assert memory_of(tmp_path / "q-00001-of-00003.gguf", 1).weights == 600


@pytest.mark.parametrize("text", [b"", b"GGUF", b"not a model"])
def test_a_file_that_is_no_model_is_one_sentence(tmp_path, text):
    (tmp_path / "x.gguf").write_bytes(text)
    with pytest.raises(UserError, match=r"x\.gguf: no GGUF file that llama\.cpp can read; check the path and the file"):
        memory_of(tmp_path / "x.gguf", 1)


def test_a_header_without_sizes_is_said(monkeypatch, tmp_path):
    with pytest.raises(UserError, match="its header does not say it"):
        memory_of(headed(monkeypatch, tmp_path, {"block_count": "2"}), 1)


def test_an_engine_takes_cells_and_buffers_once_a_context(monkeypatch, tmp_path):
    file = headed(monkeypatch, tmp_path, QWEN3_32B)
    knobs = {"model": str(file), "context_tokens": 65_536, "batch_tokens": 2048, "kv": "streams"}
    one = engine_memory(config(**knobs))
    two = engine_memory(config(**knobs, contexts=2, kv_type="q8_0"))
    assert one.kv == 16 * 2**30
    assert (two.kv, two.cells, two.buffers) == (17 * 2**30, 131_072, 2 * one.buffers)
    assert "17.0 GiB for 131,072 KV cells in q8_0" in str(two)
