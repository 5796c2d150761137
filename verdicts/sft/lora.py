"""LoRA on the top language layers of a Qwen3-VL, and on nothing else (Hu et al. 2021, through peft)."""

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verdicts.base.errors import mistake
from verdicts.config.sections import SftSection

if TYPE_CHECKING:
    import torch
    from peft import LoraConfig

# Where a language layer holds each projection; their names alone would catch other parts of other models.
PART_OF = {
    name: part
    for part, names in {"self_attn": "q_proj k_proj v_proj o_proj", "mlp": "gate_proj up_proj down_proj"}.items()
    for name in names.split()
}


def top_layers(folder: Path, config: SftSection) -> list[int]:
    """Numbers of the layers that learn, from the checkpoint's config.json.

    Raises UserError where it has fewer layers than ``top_layers``.
    """
    have = json.loads((folder / "config.json").read_text(encoding="utf-8"))["text_config"].get("num_hidden_layers")
    if not isinstance(have, int):
        raise mistake(
            "its text_config does not say num_hidden_layers",
            "take the checkpoint's own config.json",
            path=folder / "config.json",
            field="student.model",
        )
    if config.top_layers > have:
        raise mistake(
            f"{config.top_layers}, but the model has {have} language layers ({folder})",
            f"set it to 1 to {have}",
            field="sft.top_layers",
        )
    return list(range(have - config.top_layers, have))


def adapted(layers: list[int], targets: list[str]) -> list[str]:
    """Names of the modules that learn, in the model's order."""
    return [
        f"model.language_model.layers.{layer}.{PART_OF[name]}.{name}"
        for layer in layers
        for name in PART_OF
        if name in targets
    ]


def lora_config(layers: list[int], config: SftSection) -> "LoraConfig":
    """What peft is told: a pattern that names exactly these modules."""
    from peft import LoraConfig

    names = [name for name in PART_OF if name in config.targets]
    parts = [part for part in ("self_attn", "mlp") if any(PART_OF[name] == part for name in names)]
    # not peft's "all-linear": that would catch the vision tower's modules too
    place = rf"({'|'.join(map(str, layers))})\.({'|'.join(parts)})\.({'|'.join(names)})"
    pattern = rf"model\.language_model\.layers\.{place}"
    return LoraConfig(r=config.rank, lora_alpha=config.alpha, lora_dropout=config.dropout, target_modules=pattern)


def adapt(model: "torch.nn.Module", settings: "LoraConfig", names: list[str]) -> Any:
    """Freeze ``model`` and add the adapter (weights drawn from torch's seed); returns the PeftModel.

    Raises RuntimeError unless exactly the modules ``names`` were adapted and nothing else can learn.
    """
    from peft import get_peft_model
    from peft.tuners.lora import LoraLayer

    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "`is_gradient_checkpointing`"
        )  # peft's call; what it says is for peft's developers
        found = get_peft_model(model, settings)
    base = found.get_base_model()
    hit = [name for name, module in base.named_modules() if isinstance(module, LoraLayer)]
    learning = {name.partition(".lora_")[0] for name, parameter in base.named_parameters() if parameter.requires_grad}
    if hit != names or learning != set(names):
        raise RuntimeError(f"adapted {hit}, learning {sorted(learning)}, wanted {names}")
    return found
