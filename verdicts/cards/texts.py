"""What both cards have in common: tables in Markdown, and names of files with what they hold."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from verdicts.base.digests import digest_of_path

SYNTHETIC = "> **Synthetic.** Drawn tickets and photos, no real ones: these figures say nothing of production."


def table_of(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown; a ``|`` or a line end inside a cell is spelt out."""
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for row in rows:
        cells = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in row)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def content_table(paths: Iterable[Path], beside: Path) -> str:
    """Each file that is there with the first 16 digits of its SHA-256; names as seen from ``beside``."""
    there = [path for path in paths if path.exists()]
    return table_of(
        ("content", "SHA-256"), [(_named(path, beside), f"`{digest_of_path(path)[:16]}`") for path in there]
    )


def _named(path: Path, beside: Path) -> str:
    return path.relative_to(beside).as_posix() if path.is_relative_to(beside) else path.as_posix()


def joined(parts: Iterable[str]) -> str:
    """Paragraphs, those that are empty left out."""
    return "\n\n".join(part for part in parts if part) + "\n"
