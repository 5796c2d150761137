"""Groups of photos in folders.

    <mission>/审核通过|审核不通过/<group_id>/    photos in natural order (2.jpg before 10.jpg)

A group's photos may lie in folders of its own. A folder with no photo of its own and several folders of photos is taken
for no group: these may be groups, and photos of two tickets must not become one. Whatever is not read has a reason
word. Hidden files, Thumbs.db and desktop.ini are no photos and are passed over.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from verdicts.base.errors import mistake
from verdicts.photos.files import ENDINGS, ending_of
from verdicts.photos.label_folders import LABEL_FOLDERS, label_of
from verdicts.records.tickets import Refusal, Refused, Verdict, ticket_key

NO_PHOTOS = {"thumbs.db", "desktop.ini"}
MAX_FOLDER_DEPTH = 16  # of folders inside a group
NAMES_SHOWN = 3  # names in a sentence


@dataclass(frozen=True)
class PhotoGroup:
    """A ticket's photos in their order, as paths from the working directory.

    ``label``: None where none was read. ``nested``: how many lie in a folder of the group's.

    ``unfit``: why no photo of it can be used, ``detail``: what was found.
    """

    group_id: str
    label: Verdict | None
    images: tuple[str, ...]
    unfit: Refusal | None = None
    detail: str = ""
    nested: int = 0


@dataclass(frozen=True)
class Intake:
    """What was given: groups, files that belong to none or whose name cannot be told, and notes on what was found."""

    groups: list[PhotoGroup]
    strays: list[Refused] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def from_folder(folder: Path) -> Intake:
    """The groups of a mission's folder, passes first. Raises UserError where neither label folder is in it."""
    inside = entries(folder)
    found = {path: label for path in inside if path.is_dir() and (label := label_of(path.name))}
    if not found:
        raise _no_label_folder(folder, inside)
    intake, seen = Intake([]), set[str]()
    for place in sorted(found, key=lambda path: (found[path] != "pass", path.name != LABEL_FOLDERS[found[path]])):
        label = found[place]
        if place.name != LABEL_FOLDERS[label]:
            intake.notes.append(f"reading {shown(place.as_posix())} as {LABEL_FOLDERS[label]}")
        for entry in entries(place):
            if not entry.is_dir():
                intake.strays.append(stray(entry, "", label, "no_group"))
                continue
            group = _group(entry, label, intake)
            twice = ticket_key(group.group_id, label) in seen
            intake.groups.append(PhotoGroup(group.group_id, label, group.images, "duplicate_group") if twice else group)
            seen.add(ticket_key(group.group_id, label))
    for path in inside:
        if path not in found:
            _pass_over(path, intake)
    return intake


def groups_without_labels(folder: Path) -> Intake:
    """The groups of a folder, one a folder in it. Label folders are looked through; what they say is not read."""
    intake = Intake([])
    for entry in entries(folder):
        sorted_by_people = entry.is_dir() and label_of(entry.name) is not None
        for place in entries(entry) if sorted_by_people else [entry]:
            if place.is_dir():
                intake.groups.append(_group(place, None, intake))
            else:
                intake.strays.append(stray(place, "", None, "no_group"))
    return intake


def _pass_over(path: Path, intake: Intake) -> None:
    """What lies beside the label folders: each of its files is refused, and a folder is named."""
    files, _ = _walk(path) if path.is_dir() else ([path], [])
    intake.strays.extend(stray(file, "", None, "no_label") for file in files)
    if path.is_dir():
        lost = f"; {len(files)} files in it are refused (no_label): rename it where it is one of them" if files else ""
        intake.notes.append(f"passing over {shown(path.as_posix())}: it is neither of the two label folders{lost}")


def _no_label_folder(folder: Path, inside: list[Path]) -> Exception:
    names = " or ".join(LABEL_FOLDERS.values())
    near = [
        path
        for path in (folder.parent, *inside)
        if path.is_dir() and any(label_of(name) for name in _folder_names(path))
    ]
    there = [shown(path.name) for path in inside if path.is_dir()]
    if near:
        return mistake(f"no folder {names} in it", f"did you mean {shown(near[0].as_posix())}?", path=folder)
    more = f" and {len(there) - NAMES_SHOWN} more" if len(there) > NAMES_SHOWN else ""
    what = f" (found {', '.join(there[:NAMES_SHOWN])}{more})" if there else ""
    todo = (
        f"rename the folders of passed and failed groups to {' and '.join(LABEL_FOLDERS.values())}, or give"
        if there
        else "give"
    )
    return mistake(
        f"no folder {names} in it{what}",
        f"{todo} the folder that holds {' and '.join(LABEL_FOLDERS.values())}",
        path=folder,
    )


def _folder_names(path: Path) -> list[str]:
    try:
        return [inner.name for inner in path.iterdir() if inner.is_dir()]
    except OSError:
        return []


def _group(folder: Path, label: Verdict | None, intake: Intake) -> PhotoGroup:
    """A group of the photos in a folder and the folders in it; those whose path JSON cannot hold go to the strays."""
    name = shown(folder.name)
    try:
        direct = entries(folder)
    except OSError:
        return PhotoGroup(name, label, (), "unreadable")
    files, closed = _walk(folder)
    intake.strays.extend(stray(path, name, label, "unreadable", why) for path, why in closed)
    named = [path for path in files if shown(path.as_posix()) == path.as_posix()]
    intake.strays.extend(stray(path, name, label, "bad_name") for path in files if path not in named)
    images, nested = tuple(path.as_posix() for path in named), sum(path.parent != folder for path in named)
    if name != folder.name:
        return PhotoGroup(name, label, images, "bad_name")
    parts = [
        path.name
        for path in direct
        if path.is_dir() and any(file.is_relative_to(path) and file != path for file in files)
    ]
    own = any(path.is_file() and (ending_of(path.name) in ENDINGS or not ending_of(path.name)) for path in direct)
    if len(parts) > 1 and not own:
        some = ", ".join(parts[:NAMES_SHOWN]) + (", …" if len(parts) > NAMES_SHOWN else "")
        what = f"no photo of its own, but {len(parts)} folders of photos ({some})"
        place = LABEL_FOLDERS[label] if label else folder.parent.as_posix()
        todo = f"put these right into {place} if they are groups, else their photos into one folder"
        intake.notes.append(f"refusing {folder.as_posix()} (nested_groups): {what}; {todo}")
        return PhotoGroup(name, label, images, "nested_groups", f"{what}; {todo}")
    return PhotoGroup(name, label, images, None if direct else "empty_group", nested=nested)


def _walk(folder: Path) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Files below a folder in natural order, an empty folder as itself.

    Beside them the folders that cannot be looked into, with the reason.
    """
    files: list[Path] = []
    closed: list[tuple[Path, str]] = []
    _descend(folder, (), files, closed)
    return files, closed


def _descend(folder: Path, above: tuple[str, ...], files: list[Path], closed: list[tuple[Path, str]]) -> None:
    real = os.path.realpath(folder)
    if real in above or len(above) > MAX_FOLDER_DEPTH:
        closed.append(
            (folder, "a link to a folder above it" if real in above else f"more than {MAX_FOLDER_DEPTH} folders deep")
        )
        return
    try:
        inside = entries(folder)
    except OSError as error:
        closed.append((folder, error.strerror or str(error)))
        return
    if not inside and above:
        files.append(folder)
    for path in inside:
        if path.is_dir():
            _descend(path, (*above, real), files, closed)
        else:
            files.append(path)


def stray(path: Path, group_id: str, label: Verdict | None, reason: Refusal, detail: str = "") -> Refused:
    """The row of a file that is in no group, or whose name cannot be told."""
    return Refused(image=shown(path.as_posix()), group_id=group_id, label=label, reason=reason, detail=detail)


def entries(folder: Path) -> list[Path]:
    """What is visible in a folder, in natural order."""
    visible = [
        path for path in folder.iterdir() if not path.name.startswith(".") and path.name.lower() not in NO_PHOTOS
    ]
    return sorted(visible, key=lambda path: (natural(path.name), path.name))


def natural(name: str) -> list[str | int]:
    """Sort key that reads digits as numbers."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", name))]


def shown(name: str) -> str:
    """A name that JSON can hold: bytes that are not UTF-8 (an archive packed on Windows) are spelt out."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
