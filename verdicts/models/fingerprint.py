"""Which model answered: a short hash of a model file or a checkpoint folder."""

import hashlib
from pathlib import Path

from verdicts.base import made
from verdicts.base.errors import mistake

_SAMPLED = 16 * 2**20  # bytes hashed at each end: reading all of 18 GB would take longer than a round


def sampled_hash(path: Path) -> str:
    """First 16 hex digits of a SHA-256 over the file's size and its first and last 16 MiB (all of a smaller one)."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_SAMPLED))
        file.seek(max(file.tell(), size - _SAMPLED))
        digest.update(file.read())
    return digest.hexdigest()[:16]


def whole_hash(path: Path) -> str:
    """SHA-256 of a whole file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checkpoint_hash(folder: Path) -> str:
    """First 16 hex digits of a SHA-256 over every file of a checkpoint folder that decides its answers, with names.

    Weights are read whole: two students that differ in their top layers alone have the same ends of file.
    """
    digest = hashlib.sha256()
    for path in sorted(
        path for path in folder.iterdir() if path.suffix in (".safetensors", ".json", ".jinja", ".txt", ".model")
    ):
        with path.open("rb") as file:
            digest.update(f"{path.name}:{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def use_model(path: Path, sha256: str) -> None:
    """Say that results depend on a model that answered elsewhere, where this machine has it too.

    ``sha256``: as the engine's fingerprint has it. Raises UserError where this machine's is another one.
    """
    if not sha256 or not path.exists():
        return
    here = sampled_hash(path) if path.is_file() else checkpoint_hash(path)
    if here != sha256:
        raise mistake(f"is not the model that answered (sha256 {here}, not {sha256})",
                      "have the same model everywhere", path=path)  # fmt: skip
    made.uses(path)
