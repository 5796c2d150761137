"""Photos as they arrive, in folders or a manifest, and which of them can be summarised.

    <mission>/审核通过|审核不通过/<group_id>/*           photos of a group in natural order (folders.py)
    manifest.jsonl    {"group_id": "…", "label": "pass", "images": ["a/1.jpg", …]}, paths relative to the manifest

What cannot be used is told apart by a reason word and never stops the rest.
"""

import os
import stat
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from verdicts.base.errors import mistake
from verdicts.base.jsonl import read_rows
from verdicts.base.record import Record
from verdicts.config.sections import SummarizeSection
from verdicts.photos.files import ENDINGS, MAX_ASPECT, NotAPhoto, ending_of, named_format, stored_size
from verdicts.photos.folders import Intake, PhotoGroup, from_folder, shown
from verdicts.photos.label_folders import LABEL_FOLDERS
from verdicts.records.tickets import GroupId, Refusal, Verdict, ticket_key


class Unfit(Exception):
    """A photo that cannot be summarised: a reason word and, for people, what was found."""

    def __init__(self, reason: Refusal, detail: str = "") -> None:
        super().__init__(reason)
        self.reason: Refusal = reason
        self.detail = detail


class ManifestRow(Record):
    """One line of a manifest."""

    group_id: GroupId
    label: Verdict
    images: list[Annotated[str, Field(min_length=1)]]


def read_input(path: Path) -> Intake:
    """Groups of a mission's folder, passes first, or of a manifest, in its order.

    Raises UserError for a path that is neither, a folder without the two label folders, a line that is no manifest row,
    and an input without any group.
    """
    if shown(path.as_posix()) != path.as_posix():
        raise mistake("the path is not UTF-8", "rename the folder", path=shown(path.as_posix()))
    intake = from_folder(path) if path.is_dir() else _from_manifest(path)
    if not intake.groups:
        places = " or ".join(f"{name}/<group_id>/" for name in LABEL_FOLDERS.values())
        raise mistake("no group of photos in it", f"put each group's photos into {places}", path=path)
    return intake


def look_at_all(
    images: Sequence[str], limits: SummarizeSection, looked: Callable[[], None]
) -> tuple[dict[str, tuple[int, int]], dict[str, Unfit]]:
    """Sizes of the photos that seem usable, and why the others are not. ``looked`` is called after each.

    From here on the process keeps ``limits.max_photo_megapixels`` instead of Pillow's own limit, and Pillow is silent:
    what is wrong with a photo is told by its reason.
    """
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = int(limits.max_photo_megapixels * 1e6)  # Pillow itself opens nothing above twice this
    warnings.filterwarnings("ignore", module="PIL")
    sizes: dict[str, tuple[int, int]] = {}
    unfit: dict[str, Unfit] = {}
    for image in images:
        try:
            sizes[image] = look(image, limits)
        except Unfit as reason:
            unfit[image] = reason
        looked()
    return sizes, unfit


def look(image: str, limits: SummarizeSection) -> tuple[int, int]:
    """Width and height of a photo from its file's head; raises Unfit for what can be told without reading on."""
    try:
        found = os.stat(image)
    except FileNotFoundError:
        raise Unfit("missing") from None
    except (OSError, ValueError) as error:  # links in a circle, no permission; a NUL in the path
        raise Unfit("unreadable", getattr(error, "strerror", None) or str(error)) from None
    if not stat.S_ISREG(found.st_mode):
        raise Unfit("not_a_file")  # opening a pipe would wait for ever
    if not found.st_size:
        raise Unfit("empty_file")
    if found.st_size > limits.max_photo_mb * 1e6:
        raise Unfit("too_large", f"{found.st_size / 1e6:.1f} MB, at most {limits.max_photo_mb:g}")
    width, height = _head(image)
    if width * height > limits.max_photo_megapixels * 1e6:
        raise Unfit("too_many_pixels", f"{width} × {height}, at most {limits.max_photo_megapixels:g} megapixels")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise Unfit("too_narrow", f"{width} × {height}")
    return width, height


def _head(image: str) -> tuple[int, int]:
    """Width and height as the file says; nothing is decoded, so a small file that unfolds to gigabytes does no harm.

    A name without an ending, or with that of another picture format, is no reason: the content is. Another ending is
    one (``1.jpg.bak`` would show a photo twice), and what the file holds is said.
    """
    ending, other = ending_of(image), named_format(image)
    try:
        with open(image, "rb") as file:
            size = stored_size(file)
    except NotAPhoto as error:
        if error.reason == "convert_to_jpeg" or ending in ENDINGS:
            raise Unfit(error.reason, "" if error.reason == "not_an_image" else str(error)) from None
        raise Unfit("unknown_extension", f"{other}: convert it to JPEG" if other else ending) from None
    except OSError as error:
        raise Unfit("unreadable", error.strerror or str(error)) from None
    if ending and ending not in ENDINGS and not other:
        raise Unfit("unknown_extension", f"{ending}; it holds a picture: rename it if it is a photo")
    return size


def _from_manifest(path: Path) -> Intake:
    groups, seen = [], set()
    for row in read_rows(path, ManifestRow):
        key = ticket_key(row.group_id, row.label)
        images = tuple((path.parent / image).as_posix() for image in row.images)
        groups.append(
            PhotoGroup(
                row.group_id, row.label, images, "duplicate_group" if key in seen else None if images else "empty_group"
            )
        )
        seen.add(key)
    return Intake(groups)
