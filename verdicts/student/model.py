"""The student: a Qwen3-VL checkpoint folder that turns conversations with photos into ids and answers them.

``Encoder`` needs the folder's small files alone; ``Student`` adds the weights. Ids are those of the folder's own chat
template, with one difference: text that came from data is tokenised apart and as plain text, so that ``<|im_end|>`` in
a label photo's text never becomes a control token. Pixels come from Pillow, never torchvision: the same everywhere.
torch and transformers are imported when an Encoder is made.
"""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from verdicts.base.errors import UserError, mistake
from verdicts.base.progress import add_tokens
from verdicts.command.cli import complain
from verdicts.models import chat_template as chat
from verdicts.models.checkpoints import (
    LOCAL,
    Checkpoint,
    check_small_files,
    check_weights,
    ends_of_turn,
    load_model,
    settings,
    until_end,
    weight_files,
)
from verdicts.models.threads import quiet_openmp
from verdicts.photos.files import MAX_ASPECT, PHOTO_MARK, NotAPhoto, open_photo
from verdicts.student.batches import readers
from verdicts.student.processor import load_photo_processor, scaled
from verdicts.student.verdict_watch import VerdictWatch

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

FIELD = "student.model"
NOT_LEARNT = -100  # the label that transformers' losses leave out
GET_WEIGHTS = (
    "download a Qwen3-VL (`hf download Qwen/Qwen3-VL-4B-Instruct --local-dir {folder}`), "
    "or make the miniature (`make miniature-student`)"
)


@dataclass(frozen=True)
class Dialogue:
    """One conversation, as in a fused file.

    ``messages`` of role and content, a ``<image>`` in a user's text for each of ``images``.

    Where ``images`` is empty, ``<image>`` is text like any other.
    """

    messages: Sequence[Mapping[str, str]]
    images: Sequence[Path] = ()


@dataclass(frozen=True)
class Encoded:
    """A row as ids.

    ``learn``: whether an id is an answer's or ends one. ``pixels`` [patches, values] and ``grid`` [photos, 3] are None
    without photos; ``vision``: what ``Student.look`` made of them.
    """

    ids: list[int]
    learn: list[bool]
    pixels: "Tensor | None"
    grid: "Tensor | None"
    vision: "Vision | None" = None


class Vision(NamedTuple):
    """What the vision tower says of a row's photos, on the model's device.

    ``pooled`` [photos' ids, width], and as much in ``deep`` for each language layer that photos add to.
    """

    pooled: "Tensor"
    deep: "list[Tensor]"


Watch = Callable[[Sequence[Encoded]], "Callable[[Tensor, Tensor], Tensor]"]


class PhotoInputs(NamedTuple):
    """Photos as a model sees them.

    ``pixels`` [patches, values], ``grid`` [photos, 3] and how many ids each photo takes. ``vision``: see Encoded.
    """

    pixels: "Tensor | None"
    grid: "Tensor | None"
    counts: Sequence[int]
    vision: Vision | None = None


class Encoder:
    """Tokenizer and image processor of a checkpoint folder.

    ``max_photo_pixels`` scales larger photos down to at most so many pixels; 0 leaves the limit of the folder's
    preprocessor_config.json. Raises UserError for a folder that is not there or holds another architecture.
    """

    def __init__(self, folder: Path, max_photo_pixels: int = 0) -> None:
        self.folder = folder
        check_folder(folder)
        check_content(folder)
        quiet_openmp()
        import torch
        import transformers

        self.torch, checkpoint = torch, as_checkpoint(folder)
        transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # untyped there
        with checkpoint.reading("config.json"):
            self.config = transformers.AutoConfig.from_pretrained(folder, **LOCAL)
        with checkpoint.reading("tokenizer or image processor"):
            processor = load_photo_processor(folder)
        self.tokenizer, self.photos, self.template = (
            processor.tokenizer,
            processor.image_processor,
            processor.chat_template,
        )
        if max_photo_pixels:
            size = dict(self.photos.size)
            self.photos.size = {edge: min(size[edge], max_photo_pixels) for edge in ("shortest_edge", "longest_edge")}
        self.text = chat.PlainText(self.tokenizer)
        self.end, self.ends = ends_of_turn(checkpoint, self.tokenizer, self.template)
        self.pad = self.end if self.tokenizer.pad_token_id is None else self.tokenizer.pad_token_id
        self._around = lru_cache(maxsize=256)(self._cut)  # a corpus has few forms of conversation

    def encode(self, row: Dialogue, generate: bool = False, seen: PhotoInputs | None = None) -> Encoded:
        """Ids of a conversation.

        With ``generate`` of what comes before its last answer, ending with the assistant's opening.

        ``seen`` is what ``see`` made of the row's photos, where a caller has read them ahead. Raises UserError for a
        photo that cannot be read and for a number of ``<image>`` that is not the number of photos.
        """
        messages = list(row.messages)
        if generate and messages and messages[-1]["role"] == "assistant":
            messages.pop()
        seen = seen or self.photos_of(row)
        form, texts = _form(messages, bool(row.images))
        if row.images and (marks := len(texts) - len(messages)) != len(row.images):
            raise mistake(
                f"{len(row.images)} images but {marks} {PHOTO_MARK} in the user's text",
                "write one a photo, where the photo belongs",
            )
        around = self._around(form, generate)
        counts = iter(seen.counts)
        # The template's text and the data's are tokenised apart, piece by piece, and put together again as ids.
        ids = self._template(around[0], counts)
        learn = [False] * len(ids)
        for (role, text), after in zip(texts, around[1:], strict=True):
            said, then = self.text.ids(text), self._template(after, counts)
            end = then.index(self.end) + 1 if role == "assistant" else 0  # to end its turn is part of the answer
            ids += said + then
            learn += [role == "assistant"] * len(said) + [True] * end + [False] * (len(then) - end)
        if next(counts, None) is not None:
            raise mistake(
                "its chat template does not show every photo", "use the template of a Qwen3-VL", path=self.folder
            )
        return Encoded(ids, learn, seen.pixels, seen.grid, seen.vision)

    def photos_of(self, row: Dialogue) -> PhotoInputs:
        """What ``see`` makes of a conversation's photos. Raises UserError for one that cannot be read."""
        return self.see([_readable(path) for path in row.images])

    def batch(self, rows: Sequence[Encoded], left: bool) -> "dict[str, Tensor]":
        """Tensors of a model call, padded on one side to the longest row.

        ``input_ids``, ``attention_mask``, ``mm_token_type_ids`` and ``labels`` [rows, ids], and where there are photos
        ``pixel_values`` [patches, values] and ``image_grid_thw`` [photos, 3].
        """
        torch, longest = self.torch, max(len(row.ids) for row in rows)

        def padded(values: Sequence[Sequence[int]], filler: int) -> "Tensor":
            fill = [[filler] * (longest - len(v)) for v in values]
            pairs = zip(fill, values, strict=True)
            tensor: Tensor = torch.tensor([[*more, *v] if left else [*v, *more] for more, v in pairs])
            return tensor

        labels = [[i if learnt else NOT_LEARNT for i, learnt in zip(r.ids, r.learn, strict=True)] for r in rows]
        input_ids = padded([row.ids for row in rows], self.pad)
        attention_mask = padded([[1] * len(row.ids) for row in rows], 0)
        out = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "mm_token_type_ids": (input_ids == self.config.image_token_id).int(),
            "labels": padded(labels, NOT_LEARNT),
        }
        if seen := [row for row in rows if row.pixels is not None]:
            out |= {
                "pixel_values": torch.cat([row.pixels for row in seen]),
                "image_grid_thw": torch.cat([row.grid for row in seen]),
            }
        return out

    def photo_tokens(self, width: int, height: int) -> int:
        """How many ids a photo of this size (upright) takes, without its two marks."""
        patches: int = self.photos.get_number_of_image_patches(height, width)
        merged: int = self.photos.merge_size**2
        return patches // merged

    def see(self, photos: "Sequence[Image.Image]") -> PhotoInputs:
        """Pixels of upright RGB photos. Many threads may do so at a time."""
        if not photos:
            return PhotoInputs(None, None, ())
        seen = self.photos([scaled(photo, self.photos) for photo in photos], return_tensors="pt")
        grid = seen["image_grid_thw"]
        return PhotoInputs(seen["pixel_values"], grid, (grid.prod(-1) // self.photos.merge_size**2).tolist())

    def _cut(self, form: tuple[tuple[str, int], ...], generate: bool) -> list[str]:
        """Template text around the texts of a conversation of this form: (role, photos) for each message."""
        messages: list[dict[str, Any]] = []
        marks: list[str] = []
        for role, photos in form:
            # marks that no template holds; numbered, so that a template that swaps two texts is noticed
            mine = [f"TEXT-9f1c4e7a-{len(marks) + n}-" for n in range(photos + 1)]
            marks += mine
            parts: list[dict[str, str]] = [{"type": "text", "text": mine[0]}]
            for mark in mine[1:]:
                parts += [{"type": "image"}, {"type": "text", "text": mark}]
            messages.append({"role": role, "content": parts if photos else mine[0]})
        special = {"bos_token": self.tokenizer.bos_token or "", "eos_token": self.tokenizer.eos_token or ""}
        return chat.text_around(
            self.template,
            messages,
            marks,
            source=str(self.folder),
            add_generation_prompt=generate,
            enable_thinking=False,
            **special,
        )

    def _template(self, text: str, counts: Iterator[int]) -> list[int]:
        """Ids of template text; each photo's one pad stands for as many as the photo takes."""
        pad = self.config.image_token_id
        return [i for one in self.text.template_ids(text) for i in ([pad] * next(counts) if one == pad else [one])]


class Student(Encoder):
    """An Encoder with its weights: bf16 on a GPU, float32 on a CPU.

    ``n_threads`` of a CPU, 0 for torch's own choice. Raises UserError as Encoder does, and for weights that are not
    there.
    """

    def __init__(self, folder: Path, max_photo_pixels: int = 0, n_threads: int = 0) -> None:
        check_folder(folder, weights=True)
        check_content(folder, weights=True)
        super().__init__(folder, max_photo_pixels)
        import transformers

        torch = self.torch
        if n_threads:
            torch.set_num_threads(n_threads)
        gpu = torch.cuda.is_available()
        kind, dtype = transformers.Qwen3VLForConditionalGeneration, torch.bfloat16 if gpu else torch.float32
        self.take(load_model(kind, as_checkpoint(folder), dtype=dtype).to("cuda" if gpu else "cpu"))

    def take(self, model: Any) -> None:
        """Answer with these weights, which lie where they are to run."""
        import transformers

        self.model, self._fits = model, 0
        # the folder's own settings may sample, penalise and end elsewhere: greedy is greedy
        self.model.generation_config = transformers.GenerationConfig(  # type: ignore[no-untyped-call]  # untyped there
            do_sample=False, eos_token_id=sorted(self.ends), pad_token_id=self.pad
        )

    def see(self, photos: "Sequence[Image.Image]") -> PhotoInputs:
        """As Encoder's, in the numbers that the vision tower computes in: half as much to hold and to copy to a GPU."""
        seen = super().see(photos)
        return seen if seen.pixels is None else seen._replace(pixels=seen.pixels.to(self.model.dtype))

    def look(self, seen: PhotoInputs) -> PhotoInputs:
        """Photos with what the vision tower says of them, for as many prompts as ask of them.

        Each row's photos by themselves: what is said of them depends on no other, whatever batch they stand in.
        """
        if seen.pixels is None or seen.grid is None:
            return seen
        device = self.model.device
        with self.torch.inference_mode():
            said = self.model.model.get_image_features(seen.pixels.to(device), seen.grid.to(device), return_dict=True)
        vision = Vision(self.torch.cat(said.pooler_output), [self.torch.cat(part) for part in said.deepstack_features])
        return seen._replace(pixels=None, vision=vision)

    def answer(self, rows: Sequence[Dialogue], max_new_tokens: int) -> list[str]:
        """Greedy answers, one a row, from one left-padded batch. An answer without end is cut at ``max_new_tokens``."""
        return [
            text for text, _ in self.answer_encoded([self.encode(row, generate=True) for row in rows], max_new_tokens)
        ]

    def encode_all(self, batches: Sequence[Sequence[Dialogue]]) -> Iterator[list[Encoded]]:
        """Rows of batch after batch, encoded to be answered.

        Photos of the next batch are read in threads meanwhile. Where it asks of the same photos again, they are neither
        read nor looked at again. Raises UserError for a photo that cannot be read.
        """
        held: dict[tuple[Path, ...], PhotoInputs] = {}
        with ThreadPoolExecutor(readers()) as pool:
            coming: dict[tuple[Path, ...], Future[PhotoInputs]] = {}
            for batch, following in zip([(), *batches], [*batches, ()], strict=True):
                mine = {tuple(row.images) for row in batch}
                now, coming = coming, {}
                for row in following:
                    if (photos := tuple(row.images)) and photos not in mine and photos not in coming:
                        coming[photos] = pool.submit(self.photos_of, row)
                held |= {photos: self.look(read.result()) for photos, read in now.items()}
                if batch:
                    yield [self.encode(row, generate=True, seen=held.get(tuple(row.images))) for row in batch]
                after = {tuple(row.images) for row in following}
                held = {photos: seen for photos, seen in held.items() if photos in after}

    def answer_encoded(
        self,
        rows: Sequence[Encoded],
        max_new_tokens: int,
        watch: "Watch | None" = None,
    ) -> list[tuple[str, bool]]:
        """As ``answer``, of rows encoded with ``generate``; beside each text whether it came to its end.

        A batch that does not fit the GPU is cut in halves, and so is every one as large that comes later; a warning
        says so. ``watch``: is told the rows of a batch that begins, padded on the left to the longest; what it returns
        is shown ids [rows, ids] and scores [rows, vocabulary] of each step and returns the scores. Raises UserError
        where one row alone does not fit.
        """
        if not rows:
            return []
        half, longest = -(-len(rows) // 2), max(len(row.ids) for row in rows) + max_new_tokens
        if len(rows) == 1 or not self._fits or len(rows) * longest <= self._fits:
            try:
                return self._written(rows, max_new_tokens, watch)
            except self.torch.OutOfMemoryError:
                if len(rows) == 1:
                    raise self._too_small(rows) from None
                self._fits = half * longest
            self._say_halved(rows)
        return [one for part in (rows[:half], rows[half:]) for one in self.answer_encoded(part, max_new_tokens, watch)]

    def answer_verdicts(
        self, rows: Sequence[Encoded], max_new_tokens: int
    ) -> list[tuple[str, bool, tuple[float, float] | None]]:
        """As ``answer_encoded``, of Stage-B questions: also ln P of a pass and of a fail where the answer parts."""
        watch = VerdictWatch(self)
        written = self.answer_encoded(rows, max_new_tokens, watch)
        return [(text, whole, watch.found.get(id(row))) for row, (text, whole) in zip(rows, written, strict=True)]

    def _written(self, rows: Sequence[Encoded], max_new_tokens: int, watch: "Watch | None") -> list[tuple[str, bool]]:
        """The answers of one batch."""
        torch, tokens, device = self.torch, self.tokenizer, self.model.device
        batch = self.batch([replace(row, pixels=None) for row in rows], left=True)
        asked: dict[str, Any] = {name: tensor.to(device) for name, tensor in batch.items() if name != "labels"}
        seen = [self.look(PhotoInputs(row.pixels, row.grid, (), row.vision)) for row in rows]
        if shown := [(one.grid, one.vision) for one in seen if one.grid is not None and one.vision is not None]:
            from transformers.models.qwen3_vl import modeling_qwen3_vl

            made: Any = modeling_qwen3_vl.BaseModelOutputWithDeepstackFeatures  # one a photo, where it says one tensor
            deep = [list(layer) for layer in zip(*(vision.deep for _, vision in shown), strict=True)]
            said = made(pooler_output=[vision.pooled for _, vision in shown], deepstack_features=deep)
            grid = torch.cat([grid for grid, _ in shown]).to(device)
            asked |= {"mm_encoder_outputs": {"image": said}, "image_grid_thw": grid}
        with torch.inference_mode():
            looks = [self._numbers, *([watch(rows)] if watch else [])]
            written = self.model.generate(**asked, max_new_tokens=max_new_tokens, logits_processor=looks)
        answers = [until_end(ids[batch["input_ids"].shape[1] :].tolist(), self.ends) for ids in written]
        add_tokens(sum(len(row.ids) for row in rows), sum(len(ids) for ids, _ in answers))
        return [
            (tokens.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False), ended)
            for ids, ended in answers
        ]

    def _too_small(self, rows: Sequence[Encoded]) -> UserError:
        longest = max(len(row.ids) for row in rows)
        return mistake(
            f"GPU memory is too small for {len(rows)} rows of up to {longest} tokens",
            "lower the batch in the configuration",
        )

    def _say_halved(self, rows: Sequence[Encoded]) -> None:
        gc.collect()  # no frame of what failed is left, but circles may be
        self.torch.cuda.empty_cache()
        longest = max(len(row.ids) for row in rows)
        complain(
            f"WARNING: GPU memory is too small for {len(rows)} rows of up to {longest} tokens; they are answered in "
            "halves: lower the batch in the configuration"
        )

    def _numbers(self, _: "Tensor", scores: "Tensor") -> "Tensor":
        """Scores as they are; raises UserError where one is not a number, of which no answer can be made."""
        if self.torch.isnan(scores).any():
            raise as_checkpoint(self.folder).wrong("the model's scores are no numbers (NaN)")
        return scores


def as_checkpoint(folder: Path) -> Checkpoint:
    """The student's folder, and how to get one."""
    return Checkpoint(folder, FIELD, GET_WEIGHTS.format(folder=folder))


def check_folder(folder: Path, weights: bool = False) -> None:
    """Raise UserError unless ``folder`` is a checkpoint of a Qwen3-VL that can be run here.

    With ``weights`` it must also hold its weights.
    """
    if absent := next((name for name in ("torch", "transformers", "PIL") if find_spec(name) is None), None):
        raise mistake(f"{absent} is not installed", "run `make setup-student`", field=FIELD)
    checkpoint = as_checkpoint(folder)
    held = settings(checkpoint)
    if (kind := held.get("model_type")) != "qwen3_vl":
        raise checkpoint.wrong(f"another architecture ({kind}); qwen3_vl is needed")
    if weights and (missing := missing_weights(folder)):
        raise checkpoint.wrong(f"its weights are missing ({missing})")


def check_content(folder: Path, weights: bool = False) -> None:
    """Raise UserError for what a checkpoint's small files and the heads of its weights show to be wrong.

    Comes after ``check_folder``.
    """
    checkpoint = as_checkpoint(folder)
    held = settings(checkpoint)
    if absent := next(
        (part for part in ("text_config", "vision_config") if not isinstance(held.get(part), dict)), None
    ):
        raise checkpoint.wrong(f"its config.json has no {absent}")
    if weights:
        check_weights(checkpoint)
    check_small_files(checkpoint)


def missing_weights(folder: Path) -> str | None:
    """The first weight file that a checkpoint folder lacks, None where all are there."""
    return next((name for name in weight_files(as_checkpoint(folder)) if not (folder / name).is_file()), None)


def _readable(path: Path) -> "Image.Image":
    try:
        with open(path, "rb") as file:
            picture = open_photo(file)
    except OSError as error:
        raise mistake(f"cannot be read ({error.strerror})", "correct the path or delete the row", path=path) from None
    except NotAPhoto as error:
        raise mistake(f"not a whole photo ({error})", "replace the file or delete the row", path=path) from None
    if max(picture.size) > MAX_ASPECT * min(picture.size):
        raise mistake(
            f"too narrow a photo ({picture.width} × {picture.height})", "replace the file or delete the row", path=path
        )
    return picture


def _form(
    messages: Sequence[Mapping[str, str]], photos: bool
) -> tuple[tuple[tuple[str, int], ...], list[tuple[str, str]]]:
    """The form of a conversation, (role, photos) for each message, and its texts with their roles.

    The texts are cut where photos stand.
    """
    texts = [
        (m["role"], m["content"].split(PHOTO_MARK) if photos and m["role"] == "user" else [m["content"]])
        for m in messages
    ]
    return tuple((role, len(parts) - 1) for role, parts in texts), [
        (role, part) for role, parts in texts for part in parts
    ]
