"""Start llama.cpp's own converter: a process of its own, for it brings its own version of the package gguf.

    python -m verdicts.export.converter .wheels/llama-programs/converter checkpoints/demo/merged --outfile model.gguf

Two things are put right from outside. The converter knows a tokenizer by a hash over the ids of a stored text, so it
knows no vocabulary of one's own; what the hash stands for (`tokenizer.ggml.pre`) is how text is cut before the merges,
and that is read from tokenizer.json here. And it asks for the package sentencepiece before it looks whether the
checkpoint has anything for it.
"""

import json
import runpy
import sys
from pathlib import Path
from typing import Any

# How Qwen2 and Qwen3 cut text: the regular expression of their tokenizer.json, and of `qwen2` in src/llama-vocab.cpp.
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def cut_as_qwen2(tokenizer: dict[str, Any]) -> bool:
    """Whether a tokenizer.json cuts text as Qwen2 does: split by its expression, then bytes."""
    steps = (tokenizer.get("pre_tokenizer") or {}).get("pretokenizers") or []
    patterns = [step.get("pattern", {}).get("Regex") for step in steps if step.get("type") == "Split"]
    return patterns == [QWEN2] and [step.get("type") for step in steps] == ["Split", "ByteLevel"]


def put_right(model: Any) -> None:
    """Let the converter's TextModel read ``tokenizer.ggml.pre`` where its list of hashes does not know it."""
    known, by_sentencepiece = model.get_vocab_base_pre, model._set_vocab_sentencepiece

    def get_vocab_base_pre(self: Any, tokenizer: Any) -> str:
        try:
            name: str = known(self, tokenizer)
        except NotImplementedError:
            if not cut_as_qwen2(json.loads((self.dir_model / "tokenizer.json").read_text(encoding="utf-8"))):
                raise
            name = "qwen2"
        return name

    def set_vocab_sentencepiece(self: Any, *args: Any, **options: Any) -> None:
        if not (self.dir_model / "tokenizer.model").is_file():
            raise FileNotFoundError  # what the converter goes on after, to the tokenizer.json
        by_sentencepiece(self, *args, **options)

    model.get_vocab_base_pre, model._set_vocab_sentencepiece = get_vocab_base_pre, set_vocab_sentencepiece


def main() -> None:
    """Run convert_hf_to_gguf.py of the folder that is the first argument with all further ones."""
    place = Path(sys.argv[1]).resolve()
    sys.path[:0] = [str(place), str(place / "gguf-py")]
    from conversion.base import TextModel  # type: ignore[import-not-found]  # comes with llama.cpp's source

    put_right(TextModel)
    script = place / "convert_hf_to_gguf.py"
    sys.argv = [str(script), *sys.argv[2:]]
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main()
