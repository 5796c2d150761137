"""llama-server on an exported student: the files that `make export` made, and found to be the student's."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from verdicts.base.errors import mistake
from verdicts.base.jsonl import read_json
from verdicts.config.sections import LlamaServerSection
from verdicts.export.convert import MMPROJ, MODEL
from verdicts.export.records import Conversion
from verdicts.export.server import LlamaServer, Served
from verdicts.serving.server import Address, free_port
from verdicts.serving.view import NAME

HOST = "127.0.0.1"


def exported(student: Path, quant: str) -> Path:
    """The export of a merged student, ``checkpoints/<name>/gguf-<quant>``. Raises UserError where there is none."""
    folder = student.parent / f"gguf-{quant}"
    if not (folder / "conversion.json").is_file():
        raise mistake("no exported student in it", "run make export, or name the QUANT that is there", path=folder)
    return folder


def check_host(address: Address) -> None:
    """Raise UserError for a host that is not this machine alone."""
    if address.host != HOST:
        raise mistake(f"llama-server is started on {HOST} alone", "leave HOST out", field="--host")


@contextmanager
def serving_export(folder: Path, knobs: LlamaServerSection, address: Address) -> Iterator[Address]:
    """While open, the exported student in ``folder`` answers at the address that is returned.

    Raises UserError as LlamaServer does.
    """
    made, address = read_json(folder / "conversion.json", Conversion), free_port(address)
    fewest, most = made.photo_tokens
    served = Served(
        folder / MODEL, folder / MMPROJ, context=knobs.context_tokens, slots=knobs.slots, threads=knobs.n_threads,
        photo_tokens=(fewest, most), name=NAME,
    )  # fmt: skip
    with TemporaryDirectory(prefix="served-") as place:
        log = Path(place) / "llama-server.log"
        with LlamaServer(served, log, port=address.port):
            yield address
