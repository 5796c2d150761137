"""Opening a photo the way it is meant to be seen. One home for every tool that shows photos to a model."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

_ORIENTATION = 0x0112  # EXIF tag
_QUARTER_TURNS = ("TRANSPOSE", "TRANSVERSE", "ROTATE_90", "ROTATE_270")  # these swap the sides


class NotAPhoto(ValueError):
    """A file that is no whole picture; the message says what Pillow says."""


def open_photo(path: Path) -> "Image.Image":
    """The whole photo, upright (EXIF orientation applied), as RGB.

    Raises NotAPhoto for a file that is no whole picture, OSError's own kinds (FileNotFoundError, PermissionError, …) for
    one that cannot be opened.
    """
    with _opened(path) as picture:
        turn = _turn(picture)
        whole = picture.convert("RGB")
    return whole if turn is None else whole.transpose(turn)


def photo_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels of the upright photo, from the file's header alone. Raises as open_photo."""
    with _opened(path) as picture:
        turn, (wide, high) = _turn(picture), picture.size
    return (high, wide) if turn is not None and turn.name in _QUARTER_TURNS else (wide, high)


@contextmanager
def _opened(path: Path) -> "Iterator[Image.Image]":
    from PIL import Image

    # what Pillow's decoders raise on broken bytes, by its own source and by experiment
    broken = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError, TypeError, OverflowError, Image.DecompressionBombError)
    with open(path, "rb") as file:
        try:
            with Image.open(file) as picture:
                yield picture
        except broken as error:
            raise NotAPhoto(str(error) or type(error).__name__) from None


def _turn(picture: "Image.Image") -> "Image.Transpose | None":
    """What makes a photo upright: EXIF 2.3, tag Orientation. A damaged EXIF block says nothing."""
    from PIL.Image import Transpose

    try:
        orientation = picture.getexif().get(_ORIENTATION)
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError, KeyError, TypeError):
        return None
    turns = {2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
             6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90}  # fmt: skip
    return turns.get(orientation)
