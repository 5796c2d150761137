"""Which tensor of a checkpoint stands where in the two GGUF files: a table of our own, not the converter's.

Names: transformers' Qwen3VLForConditionalGeneration, and GGUF's architectures qwen3vl (model) and clip (mmproj).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

_LAYER = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip
_BLOCK = {
    "norm1": "ln1", "norm2": "ln2", "attn.qkv": "attn_qkv", "attn.proj": "attn_out", "mlp.linear_fc1": "ffn_up",
    "mlp.linear_fc2": "ffn_down",
}  # fmt: skip
_TEXT = {"embed_tokens": "token_embd", "norm": "output_norm"}
_VISION = {
    "pos_embed": "v.position_embd", "merger.norm": "v.post_ln", "merger.linear_fc1": "mm.0", "merger.linear_fc2": "mm.2"
}  # fmt: skip
_DEEPSTACK = {"norm": "norm", "linear_fc1": "fc1", "linear_fc2": "fc2"}
LANGUAGE, VISUAL = "model.language_model.", "model.visual."


class Stored(NamedTuple):
    """Where a tensor goes: ``vision`` into mmproj, its GGUF name there, and the part of it that goes."""

    vision: bool
    name: str
    part: "Callable[[Array], Array]" = lambda whole: whole


def places(name: str, config: Mapping[str, Any]) -> Iterator[Stored]:
    """Where the tensor ``name`` of a checkpoint with this config.json goes; raises KeyError for one that is unknown."""
    whole, _, kind = name.rpartition(".")
    words = whole.split(".")
    if name == "lm_head.weight":
        if not config.get("tie_word_embeddings"):
            yield Stored(False, "output.weight")
    elif name.startswith(LANGUAGE + "layers."):
        yield Stored(False, f"blk.{words[3]}.{_LAYER['.'.join(words[4:])]}.{kind}")
    elif name.startswith(LANGUAGE):
        yield Stored(False, f"{_TEXT['.'.join(words[2:])]}.{kind}")
    elif name.startswith(VISUAL + "blocks."):
        yield Stored(True, f"v.blk.{words[3]}.{_BLOCK['.'.join(words[4:])]}.{kind}")
    elif name.startswith(VISUAL + "deepstack_merger_list."):
        layer = config["vision_config"]["deepstack_visual_indexes"][int(words[3])]
        yield Stored(True, f"v.deepstack.{layer}.{_DEEPSTACK[words[4]]}.{kind}")
    elif name == VISUAL + "patch_embed.proj.weight":  # two moments in time, each a convolution of its own
        yield Stored(True, "v.patch_embd.weight", lambda whole: whole[:, :, 0])
        yield Stored(True, "v.patch_embd.weight.1", lambda whole: whole[:, :, 1])
    elif name == VISUAL + "patch_embed.proj.bias":
        yield Stored(True, "v.patch_embd.bias")
    else:
        yield Stored(True, f"{_VISION[name.removeprefix(VISUAL).rpartition('.')[0]]}.{kind}")
