"""A student's language model in two halves: the frozen layers below the first that learns, and the layers above.

What comes out of the lower half depends on the row alone: it is the same with the adapter on and off, at the first step
and at the last. So a step computes it once for both, and verdicts/sft/row_cache.py may keep it on disk.
"""

import copy
from collections.abc import Mapping
from typing import Any

import torch

INPUTS = ("input_ids", "mm_token_type_ids", "pixel_values", "image_grid_thw")  # of a batch, what the model reads


class Halves:
    """The two halves of a PeftModel over a Qwen3-VL, made of its own modules: nothing is copied.

    ``first`` is the lowest language layer that learns; ``why_not`` says why the model cannot be cut there, and is ""
    where it can. Raises RuntimeError where no language layer learns.
    """

    def __init__(self, model: Any) -> None:
        whole = model.get_base_model().model
        layers = list(whole.language_model.layers)
        learning = [at for at, layer in enumerate(layers) if any(p.requires_grad for p in layer.parameters())]
        if not learning:
            raise RuntimeError("no language layer learns")
        self.first = learning[0]
        self.why_not = _why_not(whole.config, self.first)
        self._lower = _with_parts(
            whole, language_model=_with_parts(whole.language_model, layers=layers[: self.first], norm=None)
        )
        self._upper = _with_parts(whole.language_model, layers=layers[self.first :])

    def places(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
        """Where tokens stand [3, rows, ids]: time, height and width. None without photos: one after another."""
        given = {name: value for name, value in _given(batch).items() if name != "pixel_values"}
        found: torch.Tensor | None = self._lower.compute_3d_position_ids(inputs_embeds=None, **given)
        return found

    @torch.no_grad()
    def lower(self, batch: Mapping[str, torch.Tensor], places: torch.Tensor | None) -> torch.Tensor:
        """What goes into the first layer that learns [rows, ids, width]: photos, embeddings, the layers below."""
        hidden: torch.Tensor = self._lower(**_given(batch), position_ids=places, use_cache=False).last_hidden_state
        return hidden

    def upper(self, lower: torch.Tensor, places: torch.Tensor | None) -> torch.Tensor:
        """The last layer's output, normed, [rows, ids, width], of what ``lower`` gave."""
        hidden: torch.Tensor = self._upper(inputs_embeds=lower, position_ids=places, use_cache=False).last_hidden_state
        return hidden


def _why_not(config: Any, first: int) -> str:
    # A Qwen3-VL adds features of the vision tower behind its first language layers: they must all lie below.
    added = len(config.vision_config.deepstack_visual_indexes)
    if first < added:
        return f"the lowest layer that learns ({first}) lies among the first {added}, to which photos add features"
    if config.text_config.attention_dropout:
        return "the base's attention drops out at random (attention_dropout in its config.json)"
    return ""


def _given(batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: batch[name] for name in INPUTS if name in batch}


def _with_parts(module: Any, **parts: Any) -> Any:
    """The same module with some parts exchanged: a list becomes its layers, None leaves the part's input as it is."""
    other = copy.copy(module)
    other._modules = dict(module._modules)  # the copy shares everything else, weights above all
    for name, part in parts.items():
        if isinstance(part, list):
            part = torch.nn.ModuleList(part)
        other._modules[name] = torch.nn.Identity() if part is None else part
    return other
