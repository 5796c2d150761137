"""Photos as they arrive, in folders or a manifest, and which of them can be summarised.

    <mission>/审核通过|审核不通过/<group_id>/*.jpg|jpeg|png      photos of a group in natural order: 2.jpg before 10.jpg
    manifest.jsonl    {"group_id": "…", "label": "pass", "images": ["a/1.jpg", …]}, paths relative to the manifest

What cannot be used is told apart by a reason word and never stops the rest. Hidden files, Thumbs.db and desktop.ini are
no photos and are passed over.
"""

import os
import re
import stat
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from tools.core.config import SummarizeSection
from tools.core.errors import mistake
from tools.core.jsonl import read_rows
from tools.core.photo_files import FORMATS, MAX_ASPECT, UNREADABLE
from tools.core.records import GroupId, Record, Refusal, Refused, Verdict, ticket_key

LABEL_FOLDERS: dict[Verdict, str] = {"pass": "审核通过", "fail": "审核不通过"}
EXTENSIONS = {".jpg", ".jpeg", ".png"}
NO_PHOTOS = {"thumbs.db", "desktop.ini"}


class Unfit(Exception):
    """A photo that cannot be summarised: a reason word and, for people, what was found."""

    def __init__(self, reason: Refusal, detail: str = "") -> None:
        super().__init__(reason)
        self.reason: Refusal = reason
        self.detail = detail


@dataclass(frozen=True)
class Group:
    """A ticket's photos in their order, as paths from the working directory. ``unfit``: why no photo of it can be used."""

    group_id: str
    label: Verdict
    images: tuple[str, ...]
    unfit: Refusal | None = None


@dataclass(frozen=True)
class Intake:
    """What was given: groups, files that belong to none or whose name cannot be told, and folders that were passed over."""

    groups: list[Group]
    strays: list[Refused]
    ignored: list[str]


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
    if _shown(path.as_posix()) != path.as_posix():
        raise mistake("the path is not UTF-8", "rename the folder", path=_shown(path.as_posix()))
    intake = _from_folder(path) if path.is_dir() else _from_manifest(path)
    if not intake.groups:
        places = " or ".join(f"{name}/<group_id>/" for name in LABEL_FOLDERS.values())
        raise mistake("no group of photos in it", f"put each group's photos into {places}", path=path)
    return intake


def natural(name: str) -> list[str | int]:
    """Sort key that reads digits as numbers."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", name))]


def look_at_all(images: Sequence[str], limits: SummarizeSection, looked: Callable[[], None]) -> tuple[dict[str, tuple[int, int]], dict[str, Unfit]]:
    """Sizes of the photos that seem usable, and why the others are not. ``looked`` is called after each.

    From here on the process keeps ``limits.max_photo_megapixels`` instead of Pillow's own limit, and Pillow is silent: what
    is wrong with a photo is told by its reason.
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
    if (extension := os.path.splitext(image)[1]).lower() not in EXTENSIONS:
        raise Unfit("unknown_extension", extension)
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
    """Width and height as the file says; nothing is decoded, so a small file that unfolds to gigabytes does no harm."""
    from PIL import Image

    try:
        with Image.open(image, formats=FORMATS) as picture:
            return picture.size
    except Image.DecompressionBombError as error:
        raise Unfit("too_many_pixels", str(error).split(")")[0].partition("(")[2]) from None
    except Image.UnidentifiedImageError:
        raise Unfit("not_an_image") from None
    except PermissionError as error:
        raise Unfit("unreadable", error.strerror) from None
    except UNREADABLE as error:
        raise Unfit("broken", str(error)) from None


def _from_manifest(path: Path) -> Intake:
    groups, seen = [], set()
    for row in read_rows(path, ManifestRow):
        key = ticket_key(row.group_id, row.label)
        images = tuple((path.parent / image).as_posix() for image in row.images)
        groups.append(Group(row.group_id, row.label, images, "duplicate_group" if key in seen else None if images else "empty_group"))
        seen.add(key)
    return Intake(groups, [], [])


def _from_folder(folder: Path) -> Intake:
    found = {label: folder / name for label, name in LABEL_FOLDERS.items() if (folder / name).is_dir()}
    if not found:
        names = list(LABEL_FOLDERS.values())
        near = [path for path in (folder.parent, *_entries(folder)) if any((path / name).is_dir() for name in names)]
        todo = f"did you mean {near[0]}?" if near else f"give the folder that holds {' and '.join(names)}"
        raise mistake(f"no folder {' or '.join(names)} in it", todo, path=folder)
    groups: list[Group] = []
    strays: list[Refused] = []
    for label, place in found.items():
        for entry in _entries(place):
            if entry.is_dir():
                groups.append(_group(entry, label, strays))
            else:
                strays.append(_stray(entry, "", label, "no_group"))
    ignored = [_shown(path.as_posix()) for path in _entries(folder) if path.is_dir() and path not in found.values()]
    return Intake(groups, strays, ignored)


def _group(folder: Path, label: Verdict, strays: list[Refused]) -> Group:
    """A group of the photos in a folder; those whose path JSON cannot hold go to ``strays``."""
    name = _shown(folder.name)
    try:
        entries = _entries(folder)
    except OSError:
        return Group(name, label, (), "unreadable")
    named = [entry for entry in entries if _shown(entry.as_posix()) == entry.as_posix()]
    strays += [_stray(entry, name, label, "bad_name") for entry in entries if entry not in named]
    return Group(name, label, tuple(entry.as_posix() for entry in named), "bad_name" if name != folder.name or not name.strip() else None if entries else "empty_group")


def _stray(path: Path, group_id: str, label: Verdict, reason: Refusal) -> Refused:
    return Refused(image=_shown(path.as_posix()), group_id=group_id, label=label, reason=reason, detail="")


def _entries(folder: Path) -> list[Path]:
    visible = [path for path in folder.iterdir() if not path.name.startswith(".") and path.name.lower() not in NO_PHOTOS]
    return sorted(visible, key=lambda path: (natural(path.name), path.name))


def _shown(name: str) -> str:
    """A name that JSON can hold: bytes that are not UTF-8 (an archive packed on Windows) are spelt out."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
