"""Turn the trained miniature into one GGUF file that llama.cpp loads as it is.

    python -m miniature.teacher.export_gguf --input-dir out --output data/miniature/teacher.gguf

Reads teacher.safetensors, tokenizer.json and metrics.json of miniature.teacher.train; writes a qwen3 GGUF
(matrices Q8_0, norms F32, tied output left out). Needs the packages gguf, safetensors, numpy and tokenizers.
"""

import json
import os
import sys
from pathlib import Path

# transformers' name of a layer tensor -> GGUF's
_LAYER = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}  # fmt: skip


def gguf_name(name: str) -> str:
    """``model.layers.3.mlp.up_proj.weight`` -> ``blk.3.ffn_up.weight``."""
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    _, _, number, *rest = name.removesuffix(".weight").split(".")
    return f"blk.{number}.{_LAYER['.'.join(rest)]}.weight"


def add_shape(writer, name: str, shape: dict) -> None:
    """Write the sizes of a Qwen3 (keys of its config.json) and a name into a GGUF's header."""
    writer.add_name(name)
    writer.add_context_length(shape["max_position_embeddings"])
    writer.add_embedding_length(shape["hidden_size"])
    writer.add_block_count(shape["num_hidden_layers"])
    writer.add_feed_forward_length(shape["intermediate_size"])
    writer.add_head_count(shape["num_attention_heads"])
    writer.add_head_count_kv(shape["num_key_value_heads"])
    writer.add_key_length(shape["head_dim"])
    writer.add_value_length(shape["head_dim"])
    writer.add_layer_norm_rms_eps(shape["rms_norm_eps"])
    writer.add_rope_freq_base(shape["rope_theta"])
    writer.add_vocab_size(shape["vocab_size"])


def _add_tokenizer(writer, path: Path) -> None:
    import gguf

    from miniature.teacher.tokenizer import SPECIALS, TEACHER_TEMPLATE

    model = json.loads(path.read_text(encoding="utf-8"))["model"]
    tokens = [token for token, _ in sorted(model["vocab"].items(), key=lambda item: item[1])] + list(SPECIALS)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    first = len(tokens) - len(SPECIALS)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [gguf.TokenType.NORMAL] * first + [gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.USER_DEFINED] * 2
    )
    writer.add_token_merges(merges)
    writer.add_bos_token_id(first)
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_pad_token_id(first)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEACHER_TEMPLATE)


def export(trained: Path, output: Path) -> int:
    """Write the GGUF whole. Returns its size in bytes."""
    import gguf
    import numpy as np
    from safetensors.numpy import load_file

    beside = output.with_name(f".{output.name}.tmp")
    output.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(beside, "qwen3")
    add_shape(writer, "miniature-teacher", json.loads((trained / "metrics.json").read_text(encoding="utf-8"))["shape"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    _add_tokenizer(writer, trained / "tokenizer.json")
    for name, tensor in load_file(trained / "teacher.safetensors").items():
        tensor = tensor.astype(np.float32)
        if tensor.ndim == 1:
            writer.add_tensor(gguf_name(name), tensor)
        else:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(gguf_name(name), gguf.quants.quantize(tensor, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(beside, output)
    return output.stat().st_size


def main(
    input_dir: Path = Path("checkpoints/miniature-teacher"), output: Path = Path("data/miniature/teacher.gguf")
) -> None:
    """Export a trained miniature to GGUF."""
    for name in ("teacher.safetensors", "tokenizer.json", "metrics.json"):
        if not (input_dir / name).exists():
            from verdicts.base.errors import UserError

            raise UserError(f"{input_dir / name}: no such file; run python -m miniature.teacher.train first")
    size = export(input_dir, output)
    print(f"export_gguf: {output} written, {size / 1e6:.1f} MB", file=sys.stderr)


if __name__ == "__main__":
    from verdicts.command.cli import run

    run(main)
