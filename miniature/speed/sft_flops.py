"""Floating-point operations that a step of sft asks for, from shapes: the figures behind model FLOP utilisation.

A weight matrix costs 2 operations a weight and position forward, and 2 more for the gradient of its input (Chowdhery et
al. 2022, PaLM, appendix B; a frozen matrix lacks the 2 of its own gradient, a LoRA has all 6). Causal attention costs
2 · T · width a position and layer forward (scores and their sum, half of the square), twice that backward. What a way
computes twice to save memory is not counted, nor is padding.
"""

from dataclasses import dataclass
from typing import Any

# dense bf16, operations a second (NVIDIA's data sheets of the SXM cards)
PEAK = {"H100": 989.4e12, "H200": 989.4e12, "A100": 312e12}


@dataclass(frozen=True)
class Shapes:
    """Weights and widths of a student whose layers from ``first`` on learn."""

    layer: int  # weights of a language layer
    width: int  # of attention: heads x their width
    lora: int  # weights that learn
    head: int  # weights of the output layer
    vision: int  # weights that each patch goes through
    merged: int  # weights that each photo token goes through
    patches: int  # of a photo token
    vision_width: int
    vision_depth: int
    first: int
    layers: int


def shapes_of(learner: Any) -> Shapes:
    """The shapes of a StudentLoss."""
    model = learner.model.get_base_model()
    text, vision, tower = model.config.text_config, model.config.vision_config, model.model.visual

    def count(module: Any) -> int:
        return sum(p.numel() for name, p in module.named_parameters() if p.ndim > 1 and "lora_" not in name)

    return Shapes(
        layer=count(model.model.language_model.layers[0]),
        width=text.num_attention_heads * text.head_dim,
        lora=sum(p.numel() for p in learner.learning().values()),
        head=model.lm_head.weight.numel(),
        vision=count(tower.blocks) + count(tower.patch_embed),
        merged=count(tower.merger) + count(tower.deepstack_merger_list),
        patches=vision.spatial_merge_size**2,
        vision_width=vision.hidden_size,
        vision_depth=vision.depth,
        first=learner.halves.first,
        layers=len(model.model.language_model.layers),
    )


def operations(of: Shapes, tokens: int, learnt: int, photo: int, *, lower: int, base: bool) -> float:
    """Operations that a row asks for: ``tokens``, of which ``learnt`` and ``photo`` (one photo's).

    ``lower``: how often what lies below the first layer that learns is computed (0 where it is read); ``base``: whether
    the top layers run for the base too.
    """
    one = tokens * (2 * of.layer + 2 * tokens * of.width)  # a layer forward
    patches = photo * of.patches
    seen = patches * (2 * of.vision + 4 * of.vision_depth * patches * of.vision_width) + 2 * photo * of.merged
    top = of.layers - of.first
    gradient = top * tokens * (2 * of.layer + 4 * tokens * of.width) + 6 * tokens * of.lora
    passes = 2 if base else 1
    return lower * (seen + of.first * one) + passes * top * one + gradient + (passes + 1) * 2 * learnt * of.head
