"""What people found of tickets afterwards."""

from pathlib import Path

from verdicts.base.errors import mistake
from verdicts.base.jsonl import decode_json, stream_lines


def read_audit(path: Path) -> dict[str, str]:
    """Category by ticket_key; other fields are left alone."""
    found = {}
    for placed in stream_lines(path):
        row = decode_json(placed.text, path, placed.line)
        if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in ("ticket_key", "category")):
            raise mistake("is no object with ticket_key and category", "give both as text", path=path, line=placed.line)
        found[row["ticket_key"]] = row["category"]
    return found
