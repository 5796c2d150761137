"""The miniature student as GGUF files, written by the table of verdicts/export/tensors.py instead of the converter."""

import json
from collections.abc import Callable
from pathlib import Path

from verdicts.export.check import mmproj_settings, model_settings, weights
from verdicts.export.convert import MMPROJ, MODEL
from verdicts.export.tensors import places
from verdicts.student.processor import load_photo_processor

STUDENT = Path(__file__).resolve().parents[2] / "data" / "miniature" / "student"
PROGRAMS = Path(__file__).resolve().parents[2] / ".wheels" / "llama-programs"


def write_export(
    folder: Path,
    student: Path = STUDENT,
    tensors: Callable[[str, dict], None] | None = None,
    settings: Callable[[str, dict], None] | None = None,
) -> Path:
    """Write ``model.gguf`` (F16) and ``mmproj.gguf``; the two functions may change each file's content first."""
    import gguf
    import numpy as np

    folder.mkdir(parents=True, exist_ok=True)
    config = json.loads((student / "config.json").read_text())
    processor = load_photo_processor(student)
    held: dict[str, dict] = {MODEL: {}, MMPROJ: {}}
    for name, value in weights(student):
        for place in places(name, config):
            part = np.ascontiguousarray(place.part(value))
            narrow = part.ndim > 1 and place.name != "v.position_embd.weight"
            held[MMPROJ if place.vision else MODEL][place.name] = part.astype(np.float16) if narrow else part
    fields = {
        MODEL: model_settings(config) | _tokenizer(student, processor),
        MMPROJ: mmproj_settings(config, processor.image_processor),
    }
    for file in (MODEL, MMPROJ):
        if tensors:
            tensors(file, held[file])
        if settings:
            settings(file, fields[file])
        writer = gguf.GGUFWriter(folder / file, fields[file].pop("general.architecture"))
        for key, value in fields[file].items():
            _add(writer, key, value)
        for name, value in held[file].items():
            writer.add_tensor(name, value)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return folder


def _tokenizer(student: Path, processor) -> dict:
    tokens = processor.tokenizer
    special = {at for at, token in tokens.added_tokens_decoder.items() if token.special}
    merges = json.loads((student / "tokenizer.json").read_text())["model"]["merges"]
    return {
        "tokenizer.ggml.tokens": tokens.convert_ids_to_tokens(list(range(len(tokens)))),
        "tokenizer.ggml.token_type": [3 if at in special else 1 for at in range(len(tokens))],
        "tokenizer.ggml.merges": [merge if isinstance(merge, str) else " ".join(merge) for merge in merges],
        "tokenizer.ggml.eos_token_id": tokens.eos_token_id,
        "tokenizer.chat_template": processor.chat_template,
    }


def _add(writer, key: str, value) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)
