"""Opening a photo the way it is meant to be seen. One home for every tool that shows photos to a model."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP")  # by content, whatever the name says; some of the others that Pillow knows run programs
MAX_ASPECT = 200  # of a photo's sides: transformers' smart_resize for Qwen-VL takes no narrower one
# What Pillow's readers raise on broken bytes. DecompressionBombError is apart: Pillow is not imported here.
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError, TypeError, OverflowError)
_ORIENTATION = 0x0112  # EXIF tag


class NotAPhoto(ValueError):
    """Bytes that are no whole picture; the message says what Pillow says."""


def open_photo(file: BinaryIO) -> "Image.Image":
    """The whole photo, upright (EXIF orientation applied), as RGB. Raises NotAPhoto for what is no whole picture."""
    with _opened(file) as picture:
        turn = _turn(picture)
        whole = picture.convert("RGB")
    return whole if turn is None else whole.transpose(turn)


def stored_size(file: BinaryIO) -> tuple[int, int]:
    """Width and height in pixels as they are stored (a turn may swap them), from the header alone. Raises NotAPhoto where that is broken."""
    with _opened(file) as picture:
        return picture.size


@contextmanager
def _opened(file: BinaryIO) -> "Iterator[Image.Image]":
    from PIL import Image

    try:
        with Image.open(file, formats=FORMATS) as picture:
            yield picture
    except (*UNREADABLE, Image.DecompressionBombError) as error:
        raise NotAPhoto(str(error) or type(error).__name__) from None


def _turn(picture: "Image.Image") -> "Image.Transpose | None":
    """What makes a photo upright: EXIF 2.3, tag Orientation. A damaged EXIF block says nothing."""
    from PIL.Image import Transpose

    try:
        orientation = picture.getexif().get(_ORIENTATION)
    except UNREADABLE:
        return None
    turns = {2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
             6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90}  # fmt: skip
    return turns.get(orientation)
