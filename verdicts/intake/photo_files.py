"""The photo files of tickets, as filters look at them: their bytes, and how they look to people."""

import os
from collections import defaultdict
from pathlib import Path

from verdicts.base.digests import digest_of_path
from verdicts.base.errors import mistake
from verdicts.photos.files import ENDINGS, NotAPhoto, ending_of, open_photo
from verdicts.records.tickets import StageA


class PhotoFiles:
    """Photos below a folder (None: nowhere) by the names that tickets give them.

    A name is a path (from the working directory or from the folder), else the one file of that name below the folder;
    where several have it, the one in a folder named after the ticket's group.
    """

    def __init__(self, folder: Path | None):
        self.folder = folder
        self._by_name: dict[str, list[Path]] | None = None

    def find(self, ticket: StageA, name: str) -> Path | None:
        """A photo's file; None where it is not there, or where nobody can tell which one is meant."""
        return self.find_of(ticket.group_id, name)

    def find_of(self, group: str, name: str) -> Path | None:
        """The same by a ticket's group."""
        if self.folder is None:
            return None
        for direct in (Path(name), self.folder / name, self.folder / group / name):
            if direct.is_file():
                return direct
        found = self._named(Path(name).name)
        found = [path for path in found if path.parent.name == group] or found
        return found[0] if len(found) == 1 else None

    def content(self, ticket: StageA, name: str) -> str | None:
        """A digest of a photo's bytes; None where it is not there."""
        path = self.find(ticket, name)
        return digest_of_path(path) if path else None

    def perceptual(self, ticket: StageA, name: str) -> int | None:
        """The 64-bit perceptual hash of a photo (imagehash.phash: the signs of its lowest frequencies).

        None where it is not there or no picture. Raises UserError where the packages for photos are not installed.
        """
        try:
            import imagehash
        except ModuleNotFoundError as error:
            what = f"{error.name} is not installed"
            raise mistake(what, "run `make setup-student`", field="filters.duplicates.by") from None
        import numpy as np

        path = self.find(ticket, name)
        if path is None:
            return None
        try:
            with path.open("rb") as file:
                bits = imagehash.phash(open_photo(file)).hash
        except (NotAPhoto, OSError):
            return None
        return int.from_bytes(np.packbits(bits).tobytes(), "big")

    def _named(self, name: str) -> list[Path]:
        if self._by_name is None:
            self._by_name = defaultdict(list)
            assert self.folder is not None  # find looks nowhere without one
            for root, _, names in os.walk(self.folder):
                for each in sorted(names):
                    if ending_of(each) in ENDINGS:
                        self._by_name[each].append(Path(root, each))
        return self._by_name.get(name, [])
