"""Of rows, what the frozen part of a student says: read from a cache on disk, or computed, each row by itself.

Alone and without padding a row's states depend on nothing but the row and the weights. So they are the same bytes
whether they were read or computed, whatever rows stood beside it, and a training that is killed, or finds the cache
full, empty or damaged, learns the same. They differ in rounding from those of a padded minibatch, where matrices of
another shape are added up in another order (docs/sft.md says by how much).
"""

import hashlib
import importlib.metadata
from array import array
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.utils.rnn import pad_sequence

from verdicts.base.digests import digest_of_path
from verdicts.sft.row_cache import RowCache

if TYPE_CHECKING:
    from verdicts.sft.rows import FusedFile
    from verdicts.sft.train import StudentLoss
    from verdicts.student.model import Encoded


@dataclass
class FrozenRow:
    """A row's ids; its states where they were found, or its pixels to compute them from."""

    key: str
    encoded: "Encoded"
    kept: bool
    states: dict[str, torch.Tensor] | None


class FrozenRows:
    """The frozen states of rows, of one student.

    Of each: ``lower`` [ids, width], what goes into the first layer that learns; ``places`` [3, ids], where its tokens
    stand; and where the row is kept ``base`` [learnt ids, width], the base's output at the places before learnt ids.
    ``settled`` is all that settles these beside the row (``what_settles``).
    """

    def __init__(
        self,
        learner: "StudentLoss",
        cache: RowCache,
        settled: Sequence[str],
        autocast: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        self.learner, self.cache, self.autocast = learner, cache, autocast
        self._settled = hashlib.sha256("\n".join(settled).encode())

    def look_up(
        self, rows: "FusedFile", picked: Sequence[int], kept: Sequence[bool], device: torch.device
    ) -> list[FrozenRow]:
        """Rows with their states, on ``device``, where the cache has them: of those no photo is decoded.

        Runs no model, so any thread may do it.
        """
        seen = [rows.encode_ids(index) for index in picked]
        keys = [self._key(ids, photos) for ids, photos in seen]
        found = self.cache.get_all(keys, [{"lower", "places", *(["base"] if one else [])} for one in kept])
        return [
            FrozenRow(key, rows.encode(index), one, None)
            if states is None
            else FrozenRow(key, ids, one, copied(states, device))
            for index, (ids, _), key, one, states in zip(picked, seen, keys, kept, found, strict=True)
        ]

    def _key(self, ids: "Encoded", photos: Sequence[str]) -> str:
        digest = self._settled.copy()
        for part in (array("q", ids.ids).tobytes(), bytes(ids.learn), "\n".join(photos).encode()):
            digest.update(hashlib.sha256(part).digest())
        return digest.hexdigest()

    def batch(self, rows: "FusedFile", found: Sequence[FrozenRow], device: torch.device) -> dict[str, torch.Tensor]:
        """The states of rows as StudentLoss takes them, padded right: those that were not found are computed now.

        ``base`` is [learnt ids, width] of all rows, 0 for those that are not kept; it is there where any is kept.
        """
        states = [row.states or self._computed(rows, row, device) for row in found]
        lower = pad_sequence([one["lower"] for one in states], batch_first=True)
        places = pad_sequence([one["places"].T for one in states], batch_first=True).permute(2, 0, 1)
        out = {"lower": lower, "places": places}
        if any(row.kept for row in found):
            out["base"] = torch.cat(
                [
                    one["base"] if row.kept else lower.new_zeros(sum(row.encoded.learn), lower.shape[-1])
                    for row, one in zip(found, states, strict=True)
                ]
            )
        return out

    def _computed(self, rows: "FusedFile", row: FrozenRow, device: torch.device) -> dict[str, torch.Tensor]:
        batch = {name: tensor.to(device) for name, tensor in rows.encoder.batch([row.encoded], left=False).items()}
        with torch.no_grad(), self.autocast():
            states = self.learner.frozen(batch, base=row.kept)
        self.cache.put(row.key, states)
        return states


def copied(tensors: Mapping[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    """Tensors of the CPU on ``device``, whole when this returns.

    On a GPU beside what it computes: in the order of its other work, a copy would wait for the step before, and the
    step behind it for the copy.
    """
    if device.type != "cuda":
        return {name: tensor.to(device) for name, tensor in tensors.items()}
    beside = _copying(device)
    with torch.cuda.stream(beside):
        there = {name: tensor.pin_memory().to(device, non_blocking=True) for name, tensor in tensors.items()}
    beside.synchronize()
    for tensor in there.values():
        tensor.record_stream(torch.cuda.default_stream(device))  # which uses it: its memory is free after that alone
    return there


@lru_cache
def _copying(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # untyped there


def what_settles(base: Path, learner: "StudentLoss", max_photo_pixels: int) -> list[str]:
    """All that settles a row's frozen states beside the row: weights, where they are cut, and what computes them.

    Reads the base's files whole the first time.
    """
    model = learner.model.get_base_model()
    weight = next(model.parameters())
    gpu = weight.device.type == "cuda"
    cpu = f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("torch", "transformers", "pillow")]
    return [
        digest_of_path(base),
        f"below layer {learner.halves.first}, {weight.dtype}, {model.config._attn_implementation}",
        f"{max_photo_pixels} pixels",
        torch.cuda.get_device_name(weight.device) if gpu else cpu,
        *versions,
    ]
