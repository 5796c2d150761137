"""Opening a photo the way it is meant to be seen. One home for every tool that shows photos to a model.

What counts is the content. A format that is not read here (HEIC, a camera's raw file, …) is told by name, so that its
owner knows what to convert.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from verdicts.records.tickets import Refusal

if TYPE_CHECKING:
    from PIL import Image

FORMATS = (
    "JPEG",
    "PNG",
    "WEBP",
    "GIF",
    "BMP",
    "TIFF",
)  # by content, whatever the name says; some of the others that Pillow knows run programs
ENDINGS = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
PHOTO_MARK = "<image>"  # in a user's text: the place of a photo
MAX_ASPECT = 200  # of a photo's sides: transformers' smart_resize for Qwen-VL takes no narrower one
# What Pillow's readers raise on broken bytes. DecompressionBombError is apart: Pillow is not imported here.
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
)
_ORIENTATION = 0x0112  # EXIF tag
_HEAD = 32  # bytes that tell a format
# ISO/IEC 14496-12, box ftyp: the major brands of HEIF (23008-12), AVIF and Canon's CR3.
_BRANDS = {"HEIC": "heic heix heim heis hevc hevx mif1 msf1", "AVIF": "avif avis", "CR3": "crx"}
_STARTS = {
    "JPEG XL": (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
    "PSD": (b"8BPS",), "RAF": (b"FUJIFILMCCD-RAW",),
    "ORF": (b"IIRO", b"IIRS", b"MMOR"), "RW2": (b"IIU\0",), "CR2": (b"II*\0\x10\0\0\0CR",), "PDF": (b"%PDF-",),
}  # fmt: skip
# Endings of such formats. Most raw files are TIFFs by their first bytes.
# They hold a thumbnail that Pillow would show instead.
_RAW = {
    ".dng", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".cr2", ".cr3", ".crw", ".raf", ".orf", ".rw2", ".pef", ".srw",
    ".3fr", ".raw", ".erf", ".kdc", ".dcr", ".mrw",
}  # fmt: skip
_OTHERS = {
    ".heic": "HEIC", ".heif": "HEIC", ".hif": "HEIC", ".avif": "AVIF", ".jxl": "JPEG XL", ".jp2": "JPEG 2000",
    ".psd": "PSD", ".pdf": "PDF",
}  # fmt: skip


class NotAPhoto(ValueError):
    """Bytes that are no whole picture: a reason word, and as the message what Pillow says."""

    def __init__(self, reason: Refusal, what: str) -> None:
        super().__init__(what)
        self.reason: Refusal = reason


def open_photo(file: BinaryIO) -> "Image.Image":
    """The whole photo as people see it, as 8-bit RGB.

    Upright (EXIF orientation applied), the first frame where it moves, deeper grey scaled to 8 bits, what is
    transparent on white. Raises NotAPhoto for what is no whole picture.
    """
    with _opened(file) as picture:
        picture.load()  # a TIFF turns itself here, and a PNG may hold its EXIF block behind its pixels
        turn = _turn(picture)
        whole = _rgb(picture)
        return whole if turn is None else whole.transpose(turn)


def is_turned(file: BinaryIO) -> bool:
    """Whether people see the photo in another way than it is stored. Raises NotAPhoto where its header is broken."""
    with _opened(file) as picture:
        return _turn(picture) is not None


def stored_size(file: BinaryIO) -> tuple[int, int]:
    """Width and height in pixels as they are stored (a turn may swap them), from the header alone.

    Raises NotAPhoto where that is broken.
    """
    with _opened(file) as picture:
        return picture.size


def other_format(name: str, head: bytes) -> str | None:
    """What a file is that holds a picture in a format not read here ("HEIC", "AVIF", "NEF", …).

    Told by its first bytes or, of a camera's raw file, its ending.
    """
    found = next((kind for kind, starts in _STARTS.items() if head.startswith(starts)), None)
    if found is None and head[4:8] == b"ftyp":
        brand = head[8:12].decode("latin-1").strip()
        found = next((kind for kind, brands in _BRANDS.items() if brand in brands.split()), None)
    if found is None and (ending := ending_of(name)) in _RAW and head[:2] in (b"II", b"MM"):
        found = ending[1:].upper()
    return found


def named_format(name: str) -> str | None:
    """The format that an ending promises, where it is one that is not read here."""
    ending = ending_of(name)
    return ending[1:].upper() if ending in _RAW else _OTHERS.get(ending)


def ending_of(name: str) -> str:
    """A path's ending in small letters, with its dot; "" where there is none."""
    return os.path.splitext(name)[1].lower()


def head_of(file: BinaryIO) -> bytes:
    """The first bytes, as ``other_format`` wants them; the file stands at its start again."""
    head = file.read(_HEAD)
    file.seek(0)
    return head


@contextmanager
def _opened(file: BinaryIO) -> "Iterator[Image.Image]":
    from PIL import Image, UnidentifiedImageError

    if other := other_format(getattr(file, "name", "") or "", head_of(file)):
        raise NotAPhoto("convert_to_jpeg", f"{other}: convert it to JPEG")
    try:
        with Image.open(file, formats=FORMATS) as picture:
            yield picture
    except Image.DecompressionBombError as error:
        raise NotAPhoto("too_many_pixels", str(error).split(")")[0].partition("(")[2]) from None
    except UnidentifiedImageError as error:
        raise NotAPhoto("not_an_image", str(error)) from None
    except UNREADABLE as error:
        raise NotAPhoto("broken", str(error) or type(error).__name__) from None


def _rgb(picture: "Image.Image") -> "Image.Image":
    """A loaded picture of any mode as RGB."""
    from PIL import Image

    if picture.mode.startswith(("I", "F")):
        return _grey(picture).convert("RGB")
    if picture.mode == "LAB":
        from PIL import ImageCms

        to_rgb = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
        turned = ImageCms.applyTransform(picture, to_rgb)
        assert turned is not None  # None comes of inPlace=True alone
        return turned
    if picture.has_transparency_data:
        seen = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("RGB")
    return picture.convert("RGB")


def _grey(picture: "Image.Image") -> "Image.Image":
    """Grey of 16 or 32 bits in 8.

    Integers keep their upper byte, as colours of 16 bits do in Pillow; where a file does not say what is white (32
    bits, floats), it is the least usual one that holds all values: 1, 255, 65,535, else the brightest.
    """
    import numpy as np
    from PIL import Image

    held = np.asarray(picture)
    if picture.mode.startswith("I;16"):
        out = held.astype(np.uint16) >> 8
    else:
        values = np.nan_to_num(held.astype(np.float32), posinf=0.0, neginf=0.0)
        low, high = min(0.0, float(values.min())), float(values.max())
        usual = (1.0, 255.0, 65535.0) if picture.mode == "F" else (255.0, 65535.0)
        white = next((top for top in usual if low == 0 and high <= top), high)
        out = np.round((values - low) * (255 / ((white - low) or 1.0)))
    hidden = picture.info.get("transparency")
    if isinstance(hidden, int):
        out = np.where(held == hidden, 255, out)
    return Image.fromarray(out.astype(np.uint8))


def _turn(picture: "Image.Image") -> "Image.Transpose | None":
    """What makes a photo upright: EXIF 2.3, tag Orientation. A damaged EXIF block says nothing."""
    from PIL.Image import Transpose

    try:
        orientation = picture.getexif().get(_ORIENTATION)
    except UNREADABLE:
        return None
    turns = {
        2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE, 6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90,
    }  # fmt: skip
    return turns.get(orientation) if isinstance(orientation, int) else None
