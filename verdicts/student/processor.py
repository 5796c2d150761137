"""Loading a Qwen3-VL processor with or without torchvision.

transformers' own class wants torchvision for its video part alone. Where it is missing, the same checkpoint folder is
read into a processor without videos: same pixels, same ids. Nothing here is imported before it is used.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image


def load_processor(folder: Path | str) -> Any:
    """The processor of a checkpoint folder; plain AutoProcessor where torchvision is installed."""
    from transformers import AutoProcessor
    from transformers.utils.import_utils import is_torchvision_available

    return (
        AutoProcessor.from_pretrained(folder, trust_remote_code=False)  # type: ignore[no-untyped-call]  # untyped there
        if is_torchvision_available()
        else load_photo_processor(folder)
    )


def load_photo_processor(folder: Path | str) -> Any:
    """The same processor without its video part."""
    processor = photo_processor().from_pretrained(folder, trust_remote_code=False)
    processor.chat_template = _template(Path(folder), processor.tokenizer)
    return processor


@lru_cache(maxsize=1)
def photo_processor() -> Any:
    """Qwen3-VL's processor for text and photos, a class whose pixels come from Pillow."""
    from transformers import AutoTokenizer
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
    from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor

    class PhotoProcessor(Qwen3VLProcessor):
        """Qwen3-VL's processor without its video part."""

        def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None):
            super().__init__(  # type: ignore[no-untyped-call]  # untyped there
                image_processor, tokenizer, None, chat_template=chat_template
            )

        @classmethod
        def get_attributes(cls) -> list[str]:
            return ["image_processor", "tokenizer"]

        @classmethod
        def from_pretrained(cls, place: Path | str, **how: Any) -> Any:  # type: ignore[override]  # narrower
            tokenizer = AutoTokenizer.from_pretrained(place, **how)
            photos = Qwen2VLImageProcessorPil.from_pretrained(place, **how)
            return cls(photos, tokenizer, chat_template=tokenizer.chat_template)

    return PhotoProcessor


def scaled(photo: "Image.Image", photos: Any) -> "Image.Image":
    """An upright photo in the size to which the image processor ``photos`` scales it before it cuts patches.

    The processor does the same, but first turns the whole photo into numbers and back: half of its time on one of 12
    megapixels. Where it would scale the result again (its least and most pixels are close), the photo stays as it is.
    """
    from PIL.Image import Resampling
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    def size_of(height: int, width: int) -> tuple[int, int]:
        seen: tuple[int, int] = smart_resize(
            height,
            width,
            factor=photos.patch_size * photos.merge_size,
            min_pixels=photos.size["shortest_edge"],
            max_pixels=photos.size["longest_edge"],
        )
        return seen

    height, width = size_of(photo.height, photo.width)
    if (width, height) == photo.size or size_of(height, width) != (height, width):
        return photo
    return photo.resize((width, height), Resampling.BICUBIC)


def register_photo_processor() -> None:
    """Let the stock AutoProcessor read a Qwen3-VL folder that names no processor class by ``photo_processor``."""
    from transformers import AutoProcessor, Qwen3VLConfig

    AutoProcessor.register(  # type: ignore[no-untyped-call]  # untyped there
        Qwen3VLConfig, photo_processor(), exist_ok=True
    )


def _template(folder: Path, tokenizer: Any) -> str | None:
    """The chat template, wherever a checkpoint keeps it: a file of its own, old or new, or the tokenizer's settings."""
    if (own := folder / "chat_template.jinja").is_file():
        return own.read_text(encoding="utf-8")
    if (old := folder / "chat_template.json").is_file():
        template: str | None = json.loads(old.read_text(encoding="utf-8"))["chat_template"]
        return template
    template = tokenizer.chat_template
    return template
