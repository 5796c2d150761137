"""The student: a Qwen3-VL checkpoint folder that turns conversations with photos into ids and answers them.

``Encoder`` needs the folder's small files alone; ``Student`` adds the weights. Ids are those of the folder's own chat
template, with one difference: text that came from data is tokenised apart and as plain text, so that ``<|im_end|>`` in a
label photo's text never becomes a control token. Pixels come from Pillow, never torchvision: the same everywhere.
torch and transformers are imported when an Encoder is made.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.core.engines import chat
from tools.core.engines.threads import quiet_openmp
from tools.core.errors import mistake
from tools.core.photo_files import NotAPhoto, open_photo
from tools.core.vision_processor import load_photo_processor

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

PHOTO = "<image>"
MAX_ASPECT = 200  # of a photo's sides: transformers' smart_resize for Qwen-VL takes no narrower one
NOT_LEARNT = -100  # the label that transformers' losses leave out
GET_WEIGHTS = "download a Qwen3-VL (`hf download Qwen/Qwen3-VL-4B-Instruct --local-dir {folder}`), or make the miniature (`make miniature-student`)"


@dataclass(frozen=True)
class Row:
    """One conversation, as in a fused file: ``messages`` of role and content, a ``<image>`` in a user's text for each of ``images``.

    Where ``images`` is empty, ``<image>`` is text like any other.
    """

    messages: Sequence[Mapping[str, str]]
    images: Sequence[Path] = ()


@dataclass(frozen=True)
class Encoded:
    """A row as ids. ``learn``: whether an id is an answer's or ends one. ``pixels`` [patches, values] and ``grid`` [photos, 3] are None without photos."""

    ids: list[int]
    learn: list[bool]
    pixels: "Tensor | None"
    grid: "Tensor | None"


class Encoder:
    """Tokenizer and image processor of a checkpoint folder.

    ``max_photo_pixels`` scales larger photos down to about so many pixels; 0 leaves it to the folder's
    preprocessor_config.json. Raises UserError for a folder that is not there or holds another architecture.
    """

    def __init__(self, folder: Path, max_photo_pixels: int = 0) -> None:
        self.folder = folder
        check_folder(folder)
        quiet_openmp()
        try:
            import torch
            import transformers
        except ImportError as error:
            raise mistake(f"{error.name} is not installed", "run `make setup-student`", field="student.model") from None
        self.torch = torch
        transformers.utils.logging.disable_progress_bar()
        self.config = transformers.AutoConfig.from_pretrained(folder)
        processor = load_photo_processor(folder)
        self.tokenizer, self.photos, self.template = processor.tokenizer, processor.image_processor, processor.chat_template
        if max_photo_pixels:
            size = dict(self.photos.size)
            self.photos.size = size | {"longest_edge": max_photo_pixels, "shortest_edge": min(size["shortest_edge"], max_photo_pixels)}
        self.text = chat.PlainText(self.tokenizer)
        self._around = lru_cache(maxsize=256)(self._cut)  # a corpus has few forms of conversation

    def encode(self, row: Row, generate: bool = False) -> Encoded:
        """Ids of a conversation, or with ``generate`` of what comes before its last answer, ending with the assistant's opening.

        Raises UserError for a photo that cannot be read and for a number of ``<image>`` that is not the number of photos.
        """
        messages = list(row.messages)
        if generate and messages and messages[-1]["role"] == "assistant":
            messages.pop()
        pixels, grid, sizes = self._see(row.images)
        form, texts = _form(messages, bool(row.images))
        if row.images and (marks := len(texts) - len(messages)) != len(row.images):
            raise mistake(f"{len(row.images)} images but {marks} {PHOTO} in the user's text", "write one a photo, where the photo belongs")
        around = self._around(form, generate)
        counts = iter(sizes)
        ids = self._template(around[0], counts)
        learn = [False] * len(ids)
        for (role, text), after in zip(texts, around[1:], strict=True):
            said, then = self.text.ids(text), self._template(after, counts)
            end = then.index(self.tokenizer.eos_token_id) + 1 if role == "assistant" else 0
            ids += said + then
            learn += [role == "assistant"] * len(said) + [True] * end + [False] * (len(then) - end)
        if next(counts, None) is not None:
            raise mistake("its chat template does not show every photo", "use the template of a Qwen3-VL", path=self.folder)
        return Encoded(ids, learn, pixels, grid)

    def batch(self, rows: Sequence[Encoded], left: bool) -> "dict[str, Tensor]":
        """Tensors of a model call, padded on one side to the longest row: ``input_ids``, ``attention_mask``, ``mm_token_type_ids``
        and ``labels`` [rows, ids], and where there are photos ``pixel_values`` [patches, values] and ``image_grid_thw`` [photos, 3].
        """
        torch, longest = self.torch, max(len(row.ids) for row in rows)

        def padded(values: Sequence[Sequence[int]], filler: int) -> "Tensor":
            return torch.tensor([[filler] * (longest - len(v)) + list(v) if left else list(v) + [filler] * (longest - len(v)) for v in values])

        input_ids = padded([row.ids for row in rows], self.tokenizer.pad_token_id)
        attention_mask = padded([[1] * len(row.ids) for row in rows], 0)
        out = {
            "input_ids": input_ids, "attention_mask": attention_mask, "mm_token_type_ids": (input_ids == self.config.image_token_id).int(),
            "labels": padded([[i if learnt else NOT_LEARNT for i, learnt in zip(row.ids, row.learn, strict=True)] for row in rows], NOT_LEARNT),
        }  # fmt: skip
        if seen := [row for row in rows if row.pixels is not None]:
            out |= {"pixel_values": torch.cat([row.pixels for row in seen]), "image_grid_thw": torch.cat([row.grid for row in seen])}
        return out

    def photo_tokens(self, width: int, height: int) -> int:
        """How many ids a photo of this size (upright) takes, without its two marks."""
        return self.photos.get_number_of_image_patches(height, width) // self.photos.merge_size**2

    def _see(self, images: Sequence[Path]) -> "tuple[Tensor | None, Tensor | None, tuple[int, ...]]":
        """Pixels and grids of photos, and how many ids each takes."""
        if not images:
            return None, None, ()
        seen = self.photos([_readable(path) for path in images], return_tensors="pt")
        grid = seen["image_grid_thw"]
        return seen["pixel_values"], grid, tuple((grid.prod(-1) // self.photos.merge_size**2).tolist())

    def _cut(self, form: tuple[tuple[str, int], ...], generate: bool) -> list[str]:
        """Template text around the texts of a conversation of this form: (role, photos) for each message."""
        messages: list[dict[str, Any]] = []
        marks: list[str] = []
        for role, photos in form:
            mine = [f"TEXT-9f1c4e7a-{len(marks) + n}-" for n in range(photos + 1)]
            marks += mine
            parts: list[dict[str, str]] = [{"type": "text", "text": mine[0]}]
            for mark in mine[1:]:
                parts += [{"type": "image"}, {"type": "text", "text": mark}]
            messages.append({"role": role, "content": parts if photos else mine[0]})
        special = {"bos_token": self.tokenizer.bos_token or "", "eos_token": self.tokenizer.eos_token or ""}
        return chat.cut(self.template, messages, marks, source=str(self.folder), add_generation_prompt=generate, enable_thinking=False, **special)

    def _template(self, text: str, counts: Iterator[int]) -> list[int]:
        """Ids of template text; each photo's one pad stands for as many as the photo takes."""
        pad = self.config.image_token_id
        return [i for one in self.text.template_ids(text) for i in ([pad] * next(counts) if one == pad else [one])]


class Student(Encoder):
    """An Encoder with its weights: bf16 on a GPU, float32 on a CPU.

    ``n_threads`` of a CPU, 0 for torch's own choice. Raises UserError as Encoder does, and for weights that are not there.
    """

    def __init__(self, folder: Path, max_photo_pixels: int = 0, n_threads: int = 0) -> None:
        check_folder(folder, weights=True)
        super().__init__(folder, max_photo_pixels)
        import transformers

        torch = self.torch
        if n_threads:
            torch.set_num_threads(n_threads)
        gpu = torch.cuda.is_available()
        kind, dtype = transformers.Qwen3VLForConditionalGeneration, torch.bfloat16 if gpu else torch.float32
        self.model = kind.from_pretrained(folder, dtype=dtype).to("cuda" if gpu else "cpu").eval()

    def answer(self, rows: Sequence[Row], max_new_tokens: int) -> list[str]:
        """Greedy answers, one a row, from one left-padded batch. An answer without end is cut at ``max_new_tokens``."""
        return [text for text, _ in self.answer_encoded([self.encode(row, generate=True) for row in rows], max_new_tokens)]

    def answer_encoded(self, rows: Sequence[Encoded], max_new_tokens: int) -> list[tuple[str, bool]]:
        """As ``answer``, of rows encoded with ``generate``; beside each text whether it came to its end."""
        torch, tokens = self.torch, self.tokenizer
        batch = {name: tensor.to(self.model.device) for name, tensor in self.batch(rows, left=True).items() if name != "labels"}
        # the folder's own settings may sample and penalise: greedy is greedy
        plain = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None, "repetition_penalty": None}
        try:
            with torch.inference_mode():
                written = self.model.generate(**batch, max_new_tokens=max_new_tokens, pad_token_id=tokens.pad_token_id, **plain)
        except torch.OutOfMemoryError:
            longest = batch["input_ids"].shape[1]
            raise mistake(f"GPU memory is too small for {len(rows)} rows of up to {longest} tokens", "lower the batch in the configuration") from None
        ends = self.model.generation_config.eos_token_id
        ends = {tokens.eos_token_id, *(ends if isinstance(ends, list) else [ends])}
        answers = [ids[batch["input_ids"].shape[1] :].tolist() for ids in written]
        texts = [tokens.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False) for ids in answers]
        return [(text, not ends.isdisjoint(ids)) for text, ids in zip(texts, answers, strict=True)]


def check_folder(folder: Path, weights: bool = False) -> None:
    """Raise UserError unless ``folder`` is a checkpoint of a Qwen3-VL, and holds its weights where these are wanted."""
    field, get = "student.model", GET_WEIGHTS.format(folder=folder)
    if not (folder / "config.json").is_file():
        what = "no config.json in it" if folder.is_dir() else "no such checkpoint folder"
        raise mistake(what, get, path=folder, field=field)
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError):
        raise mistake("config.json is not a JSON object", get, path=folder, field=field) from None
    if kind != "qwen3_vl":
        raise mistake(f"another architecture ({kind}); qwen3_vl is needed", get, path=folder, field=field)
    if weights and (missing := missing_weights(folder)):
        raise mistake(f"its weights are missing ({missing})", get, path=folder, field=field)


def missing_weights(folder: Path) -> str | None:
    """The first weight file that a checkpoint folder lacks, None where all are there."""
    index = folder / "model.safetensors.index.json"
    names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())) if index.is_file() else ["model.safetensors"]
    return next((name for name in names if not (folder / name).is_file()), None)


def _readable(path: Path) -> "Image.Image":
    try:
        picture = open_photo(path)
    except FileNotFoundError:
        raise mistake("no such file", "correct the path or delete the row", path=path) from None
    except NotAPhoto as error:
        raise mistake(f"not a whole photo ({error})", "replace the file or delete the row", path=path) from None
    if max(picture.size) > MAX_ASPECT * min(picture.size):
        raise mistake(f"too narrow a photo ({picture.width} × {picture.height})", "replace the file or delete the row", path=path)
    return picture


def _form(messages: Sequence[Mapping[str, str]], photos: bool) -> tuple[tuple[tuple[str, int], ...], list[tuple[str, str]]]:
    """The form of a conversation, (role, photos) for each message, and its texts with their roles, cut where photos stand."""
    texts = [(m["role"], m["content"].split(PHOTO) if photos and m["role"] == "user" else [m["content"]]) for m in messages]
    return tuple((role, len(parts) - 1) for role, parts in texts), [(role, part) for role, parts in texts for part in parts]
