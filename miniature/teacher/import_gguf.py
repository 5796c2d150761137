"""Turn the committed teacher back into the files that train_student starts from.

    python -m miniature.teacher.import_gguf --input data/miniature/teacher.gguf \\
        --output-dir checkpoints/miniature-teacher

Writes teacher.safetensors (fp16, Qwen3ForCausalLM's names) and tokenizer.json, as train_teacher did, up to the rounding
of Q8_0. Needs the packages gguf, safetensors, numpy and tokenizers; a GPU machine then needs none of them but the last
two.
"""

import sys
from pathlib import Path


def read_tokenizer(reader):
    """The byte-level BPE that the file holds, without the special tokens behind it."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    from miniature.teacher.tokenizer import QWEN2_PATTERN, SPECIALS

    tokens = reader.get_field("tokenizer.ggml.tokens").contents()[: -len(SPECIALS)]
    merges = [tuple(merge.split(" ")) for merge in reader.get_field("tokenizer.ggml.merges").contents()]
    plain = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=merges))
    plain.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN2_PATTERN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    ])  # fmt: skip
    plain.decoder = decoders.ByteLevel()
    return plain


def read_weights(reader, layers: int) -> dict:
    """Tensors by transformers' name, fp16."""
    import gguf
    import numpy as np

    from miniature.teacher.export_gguf import _LAYER, gguf_name

    names = [
        "model.embed_tokens.weight",
        "model.norm.weight",
        *(f"model.layers.{n}.{name}.weight" for n in range(layers) for name in _LAYER),
    ]
    held = {tensor.name: tensor for tensor in reader.tensors}
    return {
        name: gguf.quants.dequantize(held[gguf_name(name)].data, held[gguf_name(name)].tensor_type).astype(np.float16)
        for name in names
    }


def main(
    input: Path = Path("data/miniature/teacher.gguf"), output_dir: Path = Path("checkpoints/miniature-teacher")
) -> None:
    """Write teacher.safetensors and tokenizer.json."""
    from verdicts.base.errors import mistake

    if not input.is_file():
        raise mistake("no such file", "train the teacher first (make miniature-teacher)", path=input)
    import gguf
    from safetensors.numpy import save_file

    reader = gguf.GGUFReader(input)
    output_dir.mkdir(parents=True, exist_ok=True)
    weights = read_weights(reader, reader.get_field("qwen3.block_count").contents())
    save_file(weights, output_dir / "teacher.safetensors")
    read_tokenizer(reader).save(str(output_dir / "tokenizer.json"))
    print(f"import_gguf: {len(weights)} tensors in {output_dir}", file=sys.stderr)


if __name__ == "__main__":
    from verdicts.command.cli import run

    run(main)
