"""What a corpus has of the held-out questions: groups, photos by content, tickets that show the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from verdicts.base.digests import digest_of_path
from verdicts.base.jsonl import decode_json, stream_lines
from verdicts.evaluation.question_files import KINDS
from verdicts.intake.photo_files import PhotoFiles
from verdicts.lint.findings import Findings
from verdicts.lint.rows import LintRow
from verdicts.lint.shown import Shown


class HeldOut:
    """All held-out questions below a folder, of any mission. ``unseen``: photos named there that are no file."""

    def __init__(self, folder: Path | None):
        self.folder, self.unseen = folder, 0
        there = folder.is_dir() if folder else False
        self.files = (
            sorted(path for kind in KINDS for path in folder.glob(f"*{kind}.jsonl")) if folder and there else []
        )
        self._files = PhotoFiles(folder)
        self._groups: dict[str, str] = {}
        self._tickets: dict[bytes, str] = {}
        self._photos: dict[str, str] = {}
        self._sizes: set[int] = set()
        for path in self.files:
            for place, row in _rows(path):
                self._take(path, place, row)

    def _take(self, path: Path, place: str, row: dict[str, Any]) -> None:
        group = row.get("group_id")
        if isinstance(group, str) and group:
            self._groups.setdefault(group, place)
        summaries = row.get("per_image")
        if isinstance(summaries, dict) and (key := Shown.of_summaries([*map(str, summaries.values())]).key()):
            self._tickets.setdefault(key, place)
        images = row.get("images")
        for name in images if isinstance(images, list) else ():
            photo = self._files.find_of(str(group), str(name))
            if photo:
                self._sizes.add(photo.stat().st_size)
                self._photos.setdefault(digest_of_path(photo), f"{name} ({place})")
            else:
                self.unseen += 1

    def see(self, row: LintRow, path: Path, photos: list[Path], key: bytes | None, findings: Findings) -> None:
        """Compare a row. ``photos``: its own, or its ticket's; ``key``: what its ticket's photos show."""
        if place := self._groups.get(row.group):
            findings.add("held_out_group", path, row.line, f"group {row.group!r} is held out ({place})")
        elif key and (place := self._tickets.get(key)):
            findings.add("held_out_twin", path, row.line, f"shows the same facts as a held-out ticket ({place})")
        for photo in photos:
            # a file of another size is another photo: few have to be read
            if self._sizes and photo.stat().st_size in self._sizes:
                place = self._photos.get(digest_of_path(photo))
                if place:
                    findings.add("held_out_photo", path, row.line, f"{photo} is held out as {place}")
                    return

    def said(self) -> list[str]:
        """What could not be compared."""
        if not self.files:
            return [f"held-out questions: {f'none in {self.folder}' if self.folder else 'no folder of them is named'}"]
        return [f"{self.unseen} held-out photos: they are not there"] if self.unseen else []


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a file as they are: held-out tickets come in as teams write them."""
    for place in stream_lines(path):
        row = decode_json(place.text, path, place.line)
        if isinstance(row, dict):
            yield f"{path}:{place.line}", row
