"""Opening a photo the way it is meant to be seen. One home for every tool that shows photos to a model."""

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

_ORIENTATION = 0x0112  # EXIF tag


class NotAPhoto(ValueError):
    """A file that is no whole picture; the message says what Pillow says."""


def open_photo(path: Path) -> "Image.Image":
    """The whole photo, upright (EXIF orientation applied), as RGB.

    Raises NotAPhoto for a file that is no whole picture, OSError's own kinds (FileNotFoundError, PermissionError, …) for
    one that cannot be opened.
    """
    from PIL import Image

    # what Pillow's decoders raise on broken bytes, by its own source and by experiment
    broken = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError, TypeError, OverflowError, Image.DecompressionBombError)
    with open(path, "rb") as file:
        try:
            with Image.open(file) as picture:
                turn = _turn(picture)
                whole = picture.convert("RGB")
        except broken as error:
            raise NotAPhoto(str(error) or type(error).__name__) from None
    return whole if turn is None else whole.transpose(turn)


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
