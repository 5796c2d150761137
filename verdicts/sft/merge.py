"""A full checkpoint from the base and what its adapter learnt, made from files, and put in its place when it is whole.

Every tensor that did not learn is copied as the bytes it has, whatever its dtype; a learnt one is computed in float32
and rounded once to the base's dtype. Names, shards and the tied output stay as in the base.
"""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from verdicts.base.errors import mistake
from verdicts.models.fingerprint import sampled_hash

if TYPE_CHECKING:
    import torch

WEIGHTS = "*.safetensors"
PARTS = ("adapter", "merged")
METRICS_FILE = "metrics.json"
# What a checkpoint folder holds beside its weights: configs, tokenizer, processor, chat template, shard index.
COPIED_SUFFIXES = {".json", ".jinja", ".txt", ".model"}


def check_folders(base: Path, output: Path) -> None:
    """Raise UserError where the base lies in the way of the output, or the output is no folder."""
    if base.resolve().is_relative_to(output.resolve()):
        raise mistake(
            f"is inside the output folder ({output})", "name another --output-dir", path=base, field="student.model"
        )
    if output.exists() and not output.is_dir():
        raise mistake("is not a folder", "name another --output-dir", path=output)


def base_hashes(base: Path) -> dict[str, str]:
    """Short hash of each of the base's files, by name."""
    return {
        file.name: sampled_hash(file)
        for file in sorted(base.iterdir())
        if file.suffix in COPIED_SUFFIXES or file.match(WEIGHTS)
    }


def write_merged(base: Path, deltas: dict[str, "torch.Tensor"], output: Path) -> None:
    """Write ``output``: ``base`` with each delta (float32, by tensor name) added.

    Raises RuntimeError where a delta belongs to no tensor of the base.
    """
    from safetensors import safe_open
    from safetensors.torch import save_file

    output.mkdir(parents=True)
    for file in base.iterdir():
        if file.suffix in COPIED_SUFFIXES:
            shutil.copyfile(file, output / file.name)
    missing = set(deltas)
    for file in sorted(base.glob(WEIGHTS)):  # one shard in memory at a time
        with safe_open(file, framework="pt") as held:
            mine = missing.intersection(held.keys())
            if mine:
                tensors = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118  not a dict: keys() alone
                metadata = held.metadata()
        if not mine:  # a file of which nothing learnt keeps its bytes
            shutil.copyfile(file, output / file.name)
            continue
        for name in mine:
            # bf16 has 8 bits: the sum in it would round twice, and lose small deltas
            tensors[name] = (tensors[name].float() + deltas[name]).to(tensors[name].dtype)
        save_file(tensors, output / file.name, metadata=metadata)
        missing -= mine
    if missing:
        raise RuntimeError(f"no such tensors in {base}: {sorted(missing)}")


def publish(made: Path, output: Path) -> None:
    """Move the parts and metrics.json from ``made`` to ``output``, over those of an earlier run.

    metrics.json goes first and comes last: a folder that has it is of one run. Weights, which safetensors writes for
    their owner alone, get its mode.
    """
    for weights in made.rglob(WEIGHTS):
        weights.chmod((made / METRICS_FILE).stat().st_mode)
    (output / METRICS_FILE).unlink(missing_ok=True)
    for part in PARTS:
        if (output / part).exists():  # a folder cannot be renamed over one that holds files
            os.replace(output / part, made / f"earlier-{part}")
        os.replace(made / part, output / part)
    os.replace(made / METRICS_FILE, output / METRICS_FILE)
