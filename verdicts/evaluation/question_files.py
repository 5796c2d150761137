"""The held-out questions of a mission as files, and the digest that names them: by content, wherever they lie."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from verdicts.base.errors import mistake

KINDS = ("stage_a", "summary", "dense")


def held_out_files(folder: Path, mission: str) -> list[Path]:
    """The three files of a mission in a folder of held-out questions, in the order of KINDS.

    Where the folder has none of the mission's name, it is the file of the kind alone, as an import writes it.
    """
    return [held_out_file(folder, mission, kind) for kind in KINDS]


def held_out_file(folder: Path, mission: str, kind: str) -> Path:
    """The mission's file of a kind, or else the folder's."""
    own, any_mission = folder / f"{mission}.{kind}.jsonl", folder / f"{kind}.jsonl"
    return any_mission if any_mission.exists() and not own.exists() else own


def files_digest(paths: Iterable[Path]) -> str:
    """First 16 hex digits of a SHA-256 over the files' contents, in their order.

    Raises UserError for one that is not there.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise mistake(
                "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})",
                "correct the path",
                path=path,
            ) from None
    return digest.hexdigest()[:16]


def text_digest(text: str) -> str:
    """The same of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
