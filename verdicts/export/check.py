"""Whether two GGUF files say what a student's checkpoint says: every tensor, setting and token, and the template.

Values: F32, F16 and BF16 have to be the checkpoint's, rounded to that kind. Of a quantised tensor the relative error
‖read − wanted‖ / ‖wanted‖ has to be within three steps of its bits a weight, 3 · 2^−⌊bits⌋: a sound one has two
fifths to a half of that, a swapped one 1.4.
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verdicts.export.convert import BY_CONVERTER, MMPROJ, MODEL
from verdicts.export.records import ExportedFile, ExportFinding, Wrong
from verdicts.export.tensors import Stored, places
from verdicts.models.checkpoints import settings, weight_files
from verdicts.models.fingerprint import whole_hash
from verdicts.student.model import as_checkpoint
from verdicts.student.processor import load_photo_processor

if TYPE_CHECKING:
    from verdicts.export.tensors import Array

CONTROL = 3  # of gguf.TokenType: a token that text never becomes
LAYER_NORM_EPS = 1e-6  # of every LayerNorm of transformers' Qwen3VLVisionModel
NARROW = {"f32": {"F32"}, "f16": {"F16"}, "bf16": {"BF16"}, "q8_0": {"Q8_0", "F16"}}  # kinds of a matrix, by quant
WIDER = ("v.patch_embd.weight", "v.patch_embd.weight.1", "v.position_embd.weight")  # the converter keeps these wider
STEPS = 3  # steps of its bits a weight that a quantised tensor may be off


class Check:
    """The check of one export. ``found``: what is wrong; ``files``: what each file holds; ``settings``: how many."""

    def __init__(self, student: Path, folder: Path, quant: str, mmproj_quant: str) -> None:
        self.student, self.folder = student, folder
        self.config = settings(as_checkpoint(student))
        self.quants = {MODEL: quant, MMPROJ: mmproj_quant}
        self.found: list[ExportFinding] = []
        self.files: list[ExportedFile] = []
        self.settings = 0
        readers = {name: self._open(name) for name in (MODEL, MMPROJ)}
        if not self.found:
            self._settings(readers)
            self._tensors(readers)

    def _wrong(self, file: str, wrong: Wrong, detail: str) -> None:
        self.found.append(ExportFinding(file=file, wrong=wrong, detail=detail))

    def _open(self, name: str) -> Any:
        import gguf

        try:
            return gguf.GGUFReader(self.folder / name)
        except (OSError, ValueError, KeyError, IndexError) as error:
            self._wrong(name, "unreadable", " ".join(str(error).split())[:200])
            return None

    def _settings(self, readers: Mapping[str, Any]) -> None:
        processor = load_photo_processor(self.student)
        for file, wanted in (
            (MODEL, model_settings(self.config)),
            (MMPROJ, mmproj_settings(self.config, processor.image_processor)),
        ):
            fields = {name: field.contents() for name, field in readers[file].fields.items()}
            for name, value in wanted.items():
                self.settings += 1
                if not _same(fields.get(name), value):
                    self._wrong(file, "setting", f"{name} is {fields.get(name)}, the student's {value}")
        fields = {name: field.contents() for name, field in readers[MODEL].fields.items()}
        self._tokenizer(fields, processor.tokenizer)
        self.settings += 1
        if fields.get("tokenizer.chat_template") != processor.chat_template:
            self._wrong(MODEL, "chat_template", "it is another than the student's")

    def _tokenizer(self, fields: Mapping[str, Any], tokenizer: Any) -> None:
        """Tokens by id, what they are merged from, which are control tokens, and which one ends a turn."""
        tokens, kinds = fields.get("tokenizer.ggml.tokens") or [], fields.get("tokenizer.ggml.token_type") or []
        held = json.loads((self.student / "tokenizer.json").read_text(encoding="utf-8"))
        merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in held["model"]["merges"]]
        wanted = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
        padded = self.config["text_config"]["vocab_size"]
        wanted += [f"[PAD{at}]" for at in range(len(wanted), padded)]
        other = next((at for at, pair in enumerate(zip(tokens, wanted, strict=False)) if pair[0] != pair[1]), None)
        if len(tokens) != len(wanted) or other is not None:
            first = f", the first that differs is {other}" if other is not None else ""
            self._wrong(MODEL, "tokens", f"{len(tokens)} tokens, the student has {len(wanted)}{first}")
        if fields.get("tokenizer.ggml.merges") != merges:
            self._wrong(MODEL, "tokens", "its merges are others than the student's")
        for at, token in tokenizer.added_tokens_decoder.items():
            if token.special and kinds[at : at + 1] != [CONTROL]:
                self._wrong(MODEL, "tokens", f"{token.content!r} ({at}) is no control token")
        end = fields.get("tokenizer.ggml.eos_token_id")
        if end != tokenizer.eos_token_id:
            self._wrong(MODEL, "tokens", f"the end of a turn is {end}, the student's is {tokenizer.eos_token_id}")
        if fields.get("tokenizer.ggml.add_bos_token"):
            self._wrong(MODEL, "tokens", "it begins each prompt with a token of its own, the student does not")
        self.settings += 5

    def _tensors(self, readers: Mapping[str, Any]) -> None:
        left = {file: {tensor.name: tensor for tensor in reader.tensors} for file, reader in readers.items()}
        kinds: dict[str, dict[str, int]] = {file: {} for file in readers}
        worst: dict[str, dict[str, float]] = {file: {} for file in readers}
        for name, wanted in weights(self.student):
            for place in self._places(name):
                file = MMPROJ if place.vision else MODEL
                tensor = left[file].pop(place.name, None)
                if tensor is None:
                    self._wrong(file, "missing", f"{place.name} is not there ({name})")
                    continue
                kind = tensor.tensor_type.name
                kinds[file][kind] = kinds[file].get(kind, 0) + 1
                error = self._compare(file, tensor, place.part(wanted), name)
                worst[file][kind] = max(worst[file].get(kind, 0.0), error)
        for file, reader in readers.items():
            for name in sorted(left[file]):
                self._wrong(file, "extra", f"{name} is of no tensor of the student")
            path = self.folder / file
            self.files.append(
                ExportedFile(
                    name=file,
                    bytes=path.stat().st_size,
                    sha256=whole_hash(path),
                    tensors=len(reader.tensors),
                    kinds=dict(sorted(kinds[file].items())),
                    error={kind: round(value, 6) for kind, value in sorted(worst[file].items())},
                )
            )

    def _places(self, name: str) -> list[Stored]:
        """Where a tensor has to be; one that no place is known for is a finding."""
        try:
            return list(places(name, self.config))
        except (KeyError, IndexError, ValueError):
            self._wrong(MODEL, "missing", f"{name} of the student has no place that is known")
            return []

    def _compare(self, file: str, tensor: Any, wanted: "Array", source: str) -> float:
        """Say what is wrong with a tensor; returns its relative error."""
        import gguf
        import numpy as np

        name, kind, quant = tensor.name, tensor.tensor_type.name, self.quants[file]
        if tuple(reversed(tensor.shape.tolist())) != wanted.shape:
            shown = tuple(reversed(tensor.shape.tolist()))
            self._wrong(file, "shape", f"{name} is {shown}, {source} of the student {wanted.shape}")
            return 0.0
        wide = wanted.ndim == 1 or name in WIDER
        if (wide and kind not in {"F32", "F16", "BF16"}) or (wanted.ndim == 1 and kind != "F32"):
            self._wrong(file, "kind", f"{name} is {kind}, F32 is needed")
        elif not wide and quant in BY_CONVERTER and kind not in NARROW[quant]:
            self._wrong(file, "kind", f"{name} is {kind}, {quant} was asked for")
        read = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(wanted.shape)
        if kind in ("F16", "BF16"):
            wanted = gguf.quants.dequantize(gguf.quants.quantize(wanted, tensor.tensor_type), tensor.tensor_type)
        norm = float(np.linalg.norm(wanted))
        error = float(np.linalg.norm(read - wanted.reshape(read.shape))) / (norm or 1.0)
        block, size = gguf.GGML_QUANT_SIZES[tensor.tensor_type]
        most = 0.0 if kind in ("F32", "F16", "BF16") else STEPS * 2.0 ** -math.floor(8 * size / block)
        if not error <= most:
            self._wrong(
                file, "values", f"{name} is not {source} of the student: off by {error:.3g}, at most {most:.3g}"
            )
        return error if math.isfinite(error) else -1.0


def weights(student: Path) -> "Iterator[tuple[str, Array]]":
    """The tensors of a checkpoint with their names, one at a time, as float32."""
    import torch
    from safetensors import safe_open

    for name in weight_files(as_checkpoint(student)):
        with safe_open(student / name, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118  # no mapping
                yield key, file.get_tensor(key).to(torch.float32).numpy()


def model_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """What model.gguf has to say of the language part, by this config.json."""
    text = config["text_config"]
    rope = text.get("rope_parameters") or text.get("rope_scaling") or {}
    theta = rope.get("rope_theta", text.get("rope_theta"))
    named = {
        "block_count": text["num_hidden_layers"],
        "context_length": text["max_position_embeddings"],
        "embedding_length": text["hidden_size"],
        "feed_forward_length": text["intermediate_size"],
        "attention.head_count": text["num_attention_heads"],
        "attention.head_count_kv": text["num_key_value_heads"],
        "attention.key_length": text["head_dim"],
        "attention.value_length": text["head_dim"],
        "attention.layer_norm_rms_epsilon": text["rms_norm_eps"],
        "rope.freq_base": theta,
        "rope.dimension_sections": [*rope["mrope_section"], 0],
        "n_deepstack_layers": len(config["vision_config"]["deepstack_visual_indexes"]),
    }
    return {"general.architecture": "qwen3vl", "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "qwen2"} | {
        f"qwen3vl.{name}": value for name, value in named.items()
    }


def mmproj_settings(config: Mapping[str, Any], photos: Any) -> dict[str, Any]:
    """What mmproj.gguf has to say of the vision part and of how photos are prepared."""
    vision = config["vision_config"]
    layers = range(vision["depth"])
    named = {
        "projection_dim": vision["out_hidden_size"],
        "image_size": int(math.sqrt(vision["num_position_embeddings"])) * vision["patch_size"],
        "patch_size": photos.patch_size,
        "spatial_merge_size": photos.merge_size,
        "image_mean": list(photos.image_mean),
        "image_std": list(photos.image_std),
        "embedding_length": vision["hidden_size"],
        "feed_forward_length": vision["intermediate_size"],
        "block_count": vision["depth"],
        "attention.head_count": vision["num_heads"],
        "attention.layer_norm_epsilon": LAYER_NORM_EPS,
        "is_deepstack_layers": [layer in vision["deepstack_visual_indexes"] for layer in layers],
    }
    kind = {"clip.has_vision_encoder": True, "clip.projector_type": "qwen3vl_merger", "clip.use_gelu": True}
    return {"general.architecture": "clip"} | kind | {f"clip.vision.{name}": value for name, value in named.items()}


def photo_tokens(student: Path, max_photo_pixels: int) -> tuple[int, int]:
    """The fewest and the most tokens that a photo of this student takes, as the Encoder prepares it."""
    photos = load_photo_processor(student).image_processor
    a_token = (photos.patch_size * photos.merge_size) ** 2
    most = [photos.size["longest_edge"], *([max_photo_pixels] if max_photo_pixels else [])]
    fewest = min(photos.size["shortest_edge"], *most)
    return max(1, fewest // a_token), max(1, min(most) // a_token)


def _same(read: Any, wanted: Any) -> bool:
    if isinstance(wanted, list):
        return isinstance(read, list) and len(read) == len(wanted) and all(map(_same, read, wanted))
    if isinstance(wanted, float) and isinstance(read, int | float):
        return math.isclose(read, wanted, rel_tol=1e-6)
    return bool(read == wanted)
