"""Models of full size with random weights: they take the time and the memory of real ones, and know nothing.

    python -m miniature.measure.fake_weights --teacher models/fake32b.gguf --student models/fake4b

In:  the miniature's tokenizers and chat templates (data/miniature).
Out: a GGUF of Qwen3-32B's shape, all matrices in the asked type, with 151,936 tokens: the miniature's, then made-up
     words (18.4 GB in q4_k, 34.8 in q8_0, 65.5 in bf16); a folder of Qwen3-VL-4B's shape in bf16 (9 GB). Both where
     wanted.

What a step costs depends on shapes and types alone. What such a model writes says nothing of a teacher or student.
Shapes: config.json of Qwen/Qwen3-32B and Qwen/Qwen3-VL-4B-Instruct.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from verdicts.command.cli import run, say

if TYPE_CHECKING:
    import numpy as np

TOKENIZER = Path("data/miniature/teacher.gguf")
SHAPE = {
    "max_position_embeddings": 40960, "hidden_size": 5120, "num_hidden_layers": 64, "intermediate_size": 25600,
    "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 128, "rms_norm_eps": 1e-6, "rope_theta": 1e6,
    "vocab_size": 151936,
}  # fmt: skip


class Packed(NamedTuple):
    """A type of GGUF: bytes and weights of a block, and where in it its halves of scale lie, with their values.

    Without scales a block is a row of numbers of 16 bits (bf16).
    """

    block_bytes: int
    block_weights: int
    scales: dict[int, float]


# ggml-common.h: block_q4_K, block_q8_0. Scales that keep activations of a random network finite.
PACKED = {
    "q4_k": Packed(144, 256, {0: 1e-4, 2: 7.5e-4}),
    "q8_0": Packed(34, 32, {0: 1e-4}),
    "bf16": Packed(64, 32, {}),
}
SPREAD = 0.0075  # standard deviation of weights in bf16, about that in q8_0


def main(
    teacher: Annotated[Path | None, typer.Option(help="GGUF file of Qwen3-32B's shape to write.")] = None,
    student: Annotated[Path | None, typer.Option(help="Folder of Qwen3-VL-4B's shape to write.")] = None,
    kind: Annotated[str, typer.Option(help="Type of the teacher's matrices: q4_k, q8_0 or bf16.")] = "q4_k",
    layers: Annotated[int, typer.Option(min=1, help="Layers of the teacher; 64 are Qwen3-32B's.")] = 64,
) -> None:
    """Write the models that are asked for."""
    from miniature.measure.student_memory import write_random_student
    from verdicts.base.errors import mistake

    if kind not in PACKED:
        raise mistake(f"{kind} is no type known here", f"choose {' or '.join(PACKED)}", field="--kind")
    if teacher is None and student is None:
        raise mistake("nothing is asked for", "name --teacher or --student", field="--teacher")
    if teacher is not None:
        size = write_random_teacher(teacher, SHAPE | {"num_hidden_layers": layers}, kind)
        say(f"fake_weights: {teacher} written, {size / 1e9:.1f} GB")
    if student is not None and not (student / "config.json").exists():
        write_random_student(student)
        say(f"fake_weights: {student} written")


def write_random_teacher(output: Path, shape: dict[str, Any], kind: str) -> int:
    """Write a GGUF of random weights whole. Returns its size in bytes. The same call gives the same bytes."""
    import gguf
    import numpy as np

    from miniature.teacher.export_gguf import add_shape

    beside = output.with_name(f".{output.name}.tmp")
    output.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(beside, "qwen3")
    add_shape(writer, "random-weights", shape)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    add_tokenizer(writer, int(shape["vocab_size"]))
    packed, quantised = PACKED[kind], gguf.GGMLQuantizationType[kind.upper()]
    sizes = dict(matrices_of(shape))
    norms = dict(norms_of(shape))
    for name, (rows, columns) in sizes.items():
        size = rows * columns // packed.block_weights * packed.block_bytes
        writer.add_tensor_info(name, (rows, columns), np.dtype(np.float32), size, raw_dtype=quantised)
    for name, width in norms.items():
        writer.add_tensor_info(name, (width,), np.dtype(np.float32), 4 * width)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    noise = random_blocks(packed)
    for rows, columns in sizes.values():
        writer.write_tensor_data(np.resize(noise, (rows * columns // packed.block_weights, packed.block_bytes)))
    for width in norms.values():
        writer.write_tensor_data(np.ones(width, np.float32))
    writer.close()
    os.replace(beside, output)
    return output.stat().st_size


def random_blocks(packed: Packed) -> "np.ndarray":
    """Blocks of random bits with fixed scales, uint8 ``[2^16 + 1, block_bytes]``: odd, so that rows differ."""
    import numpy as np

    random, count = np.random.default_rng(0), 2**16 + 1
    if not packed.scales:
        numbers = random.standard_normal((count, packed.block_weights), np.float32) * np.float32(SPREAD)
        return np.ascontiguousarray(numbers.view(np.uint16)[:, 1::2]).view(np.uint8)  # the upper half of f32: bf16
    blocks = random.integers(0, 256, (count, packed.block_bytes), np.uint8)
    for at, scale in packed.scales.items():
        blocks[:, at : at + 2] = np.array([scale], np.float16).view(np.uint8)
    return blocks


def matrices_of(shape: dict[str, Any]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Name and shape (rows, columns) of each matrix of a Qwen3."""
    width, inner, head = shape["hidden_size"], shape["intermediate_size"], shape["head_dim"]
    queries, keys = shape["num_attention_heads"] * head, shape["num_key_value_heads"] * head
    yield "token_embd.weight", (shape["vocab_size"], width)
    yield "output.weight", (shape["vocab_size"], width)
    for layer in range(shape["num_hidden_layers"]):
        yield f"blk.{layer}.attn_q.weight", (queries, width)
        yield f"blk.{layer}.attn_k.weight", (keys, width)
        yield f"blk.{layer}.attn_v.weight", (keys, width)
        yield f"blk.{layer}.attn_output.weight", (width, queries)
        yield f"blk.{layer}.ffn_gate.weight", (inner, width)
        yield f"blk.{layer}.ffn_up.weight", (inner, width)
        yield f"blk.{layer}.ffn_down.weight", (width, inner)


def norms_of(shape: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Name and width of each norm of a Qwen3."""
    yield "output_norm.weight", shape["hidden_size"]
    for layer in range(shape["num_hidden_layers"]):
        yield f"blk.{layer}.attn_norm.weight", shape["hidden_size"]
        yield f"blk.{layer}.attn_q_norm.weight", shape["head_dim"]
        yield f"blk.{layer}.attn_k_norm.weight", shape["head_dim"]
        yield f"blk.{layer}.ffn_norm.weight", shape["hidden_size"]


def add_tokenizer(writer: Any, vocab_size: int) -> None:
    """Give it the miniature's vocabulary and template, filled up with made-up words (``x00000``, half with a blank)."""
    import gguf

    fields = gguf.GGUFReader(TOKENIZER).fields
    known = {key.removeprefix("tokenizer."): field.contents() for key, field in fields.items() if "tokenizer." in key}
    tokens, kinds = list(known["ggml.tokens"]), list(known["ggml.token_type"])
    words = [f"{'Ġ' if i % 2 else ''}x{i:05d}" for i in range(vocab_size - len(tokens))]
    writer.add_tokenizer_model(known["ggml.model"])
    writer.add_tokenizer_pre(known["ggml.pre"])
    writer.add_token_list(tokens + words)
    writer.add_token_types(kinds + [gguf.TokenType.NORMAL] * len(words))
    writer.add_token_merges(known["ggml.merges"])
    writer.add_bos_token_id(known["ggml.bos_token_id"])
    writer.add_eos_token_id(known["ggml.eos_token_id"])
    writer.add_pad_token_id(known["ggml.padding_token_id"])
    writer.add_add_bos_token(False)
    writer.add_chat_template(known["chat_template"])


if __name__ == "__main__":
    run(main)
