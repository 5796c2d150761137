"""Which version of the files' forms a run folder holds: config/run.json.

The number grows when a record changes so that a reader of before would misread it. Whoever raises it says in this
module how older folders are read; a folder without the file is of version 1.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from verdicts.base.errors import mistake
from verdicts.base.jsonl import decode_json, write_json
from verdicts.base.made import does_not_use
from verdicts.base.record import Record
from verdicts.base.text_files import read_text

SCHEMA_VERSION = 1


class RunVersion(Record):
    """config/run.json: the version of the forms that the files of this run have (``schema_version``)."""

    schema_version: Annotated[int, Field(ge=1)]


def begins(run_dir: Path) -> bool:
    """Whether a run has nothing yet. One that is there already keeps its version, which may be none."""
    return not (run_dir / "config").exists()


def write_version(run_dir: Path) -> None:
    """Write the version of a run that began now."""
    write_json(run_dir / "config" / "run.json", RunVersion(schema_version=SCHEMA_VERSION))


def refuse_newer(run_dir: Path) -> None:
    """Raise UserError for a run folder whose files have forms that this code does not know.

    Only the number is looked at: a later version may write more into the file. What is no number is for check to name.
    """
    path = run_dir / "config" / "run.json"
    if not path.exists():
        return
    does_not_use(path)  # results follow the forms of files, which their own digests stand for
    told = decode_json(read_text(path), path)
    version = told.get("schema_version") if isinstance(told, dict) else None
    if type(version) is int and version > SCHEMA_VERSION:
        what = f"the run was made by a later version (its files are of version {version}, known is {SCHEMA_VERSION})"
        raise mistake(what, "read it with that version", path=path)
