"""The miniature student's tokenizer and checkpoint folder, as transformers reads them.

The tokenizer is the teacher's (same ids) with what photos need behind it: Qwen-VL's vision marks, and four pieces of
the dense answer's JSON as single tokens, which halves such an answer.
"""

import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from miniature.student.network import FRAMES, MERGE, PATCH, PHOTO_TOKENS, StudentNetwork, StudentShape, VisionShape
from miniature.teacher.network import Shape
from miniature.teacher.tokenizer import SPECIALS, ChatTokenizer

VISION_MARKS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
JSON_PIECES = ('{"bbox_2d":[', '],"label":"', '"},', '"}]')
# Qwen3-VL's chat form, without tools: text or a list of parts, photos as their marks.
STUDENT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' or 'image' in part %}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}{% elif "
    "'text' in part %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ "
    "'<|im_start|>assistant\\n' }}{% endif %}"
)
_PIXELS = {"shortest_edge": 128 * 128, "longest_edge": 256 * 256}


def student_tokenizer(plain: Tokenizer) -> Tokenizer:
    """A copy of the teacher's tokenizer with the student's tokens added behind."""
    grown = Tokenizer.from_str(plain.to_str())
    grown.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in (*SPECIALS, *VISION_MARKS)])
    grown.add_tokens([AddedToken(piece, special=False, normalized=False) for piece in JSON_PIECES])
    return grown


class StudentTokens(ChatTokenizer):
    """Chats and photo tasks as ids. Text from data never becomes a control token, as in ChatTokenizer."""

    def __init__(self, plain: Tokenizer):
        super().__init__(plain)
        self.grown = student_tokenizer(plain)
        self.piece = {name: self.grown.token_to_id(name) for name in (*VISION_MARKS, *JSON_PIECES)}
        self.vocab_size = self.grown.get_vocab_size()
        self._photo_head = [self.special["<|im_start|>"], *self.ids("user\n"), self.piece["<|vision_start|>"]]
        self.photo_at = len(self._photo_head)

    def photo_prompt(self, task: str) -> list[int]:
        """The ids before the answer of a photo task; ``task`` is the text of its prompt file."""
        photo = [self.piece["<|image_pad|>"]] * PHOTO_TOKENS + [self.piece["<|vision_end|>"]]
        return self._photo_head + photo + self.ids(task) + self._assistant

    def answer(self, text: str) -> list[int]:
        """The ids of an answer, JSON pieces whole, and its end."""
        return self.grown.encode(text, add_special_tokens=False).ids + self._end

    def shape(self, layers: int = 6, hidden: int = 256, inner: int = 768) -> StudentShape:
        """The network's sizes for this tokenizer."""
        return StudentShape(
            Shape(self.vocab_size, hidden, inner, layers), VisionShape(), self.piece["<|image_pad|>"],
            self.piece["<|video_pad|>"],
            self.piece["<|vision_start|>"], self.piece["<|vision_end|>"], self.special["<|im_end|>"],
            self.special["<|endoftext|>"],
        )  # fmt: skip


def save_checkpoint(folder: Path, student: StudentNetwork, tokens: StudentTokens) -> None:
    """Write config, fp16 weights, tokenizer and processor files.

    Needs safetensors only, so that it runs beside any transformers.
    """
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().to(torch.float16).contiguous().cpu() for name, value in student.tensors().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    shape = student.student_shape
    text, vision = (
        {"model_type": "qwen3_vl_text", "dtype": "float16"},
        {"model_type": "qwen3_vl_vision", "dtype": "float16"},
    )
    config = shape.config()
    config |= {"text_config": text | config["text_config"], "vision_config": vision | config["vision_config"]}
    head: dict[str, Any] = {
        "architectures": ["Qwen3VLForConditionalGeneration"],
        "model_type": "qwen3_vl",
        "dtype": "float16",
    }
    _write(folder / "config.json", head | config)
    ends = {"eos_token_id": shape.eos_token_id, "pad_token_id": shape.pad_token_id}
    _write(folder / "generation_config.json", ends | {"do_sample": False})
    save_processor_files(folder, tokens)


def save_processor_files(folder: Path, tokens: StudentTokens) -> None:
    """Tokenizer, image and video preprocessor and chat template."""
    (folder / "tokenizer.json").write_text(tokens.grown.to_str(), encoding="utf-8")
    _write(folder / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
        "padding_side": "left",
        "clean_up_tokenization_spaces": False, "model_max_length": 8192,
    })  # fmt: skip
    pixels = {
        "size": _PIXELS,
        "patch_size": PATCH,
        "temporal_patch_size": FRAMES,
        "merge_size": MERGE,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    _write(
        folder / "preprocessor_config.json",
        pixels | {"image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen3VLProcessor"},
    )
    _write(
        folder / "video_preprocessor_config.json",
        pixels | {"video_processor_type": "Qwen3VLVideoProcessor", "processor_class": "Qwen3VLProcessor"},
    )
    (folder / "chat_template.jinja").write_text(STUDENT_TEMPLATE, encoding="utf-8")


def _write(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
