"""Which model answered: short hashes of a model file and of a checkpoint folder."""

import hashlib
from pathlib import Path

_SAMPLED = 16 * 2**20  # bytes hashed at each end: reading all of 18 GB would take longer than a round


def sampled_hash(path: Path) -> str:
    """First 16 hex digits of a SHA-256 over the file's size and its first and last 16 MiB (all of it, if it is smaller)."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_SAMPLED))
        file.seek(max(file.tell(), size - _SAMPLED))
        digest.update(file.read())
    return digest.hexdigest()[:16]


def weights_hash(folder: Path) -> str:
    """First 16 hex digits of a SHA-256 over the sampled hashes of all weight files of a checkpoint, in order of their names."""
    return hashlib.sha256("".join(sampled_hash(file) for file in sorted(folder.glob("*.safetensors"))).encode()).hexdigest()[:16]
