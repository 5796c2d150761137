"""Turn a taught student into files for llama.cpp, and check that they say what its checkpoint says.

    python -m tools.export --config RUN/config/export.yaml --student checkpoints/demo/merged --quant q8_0 \\
        --output-dir checkpoints/demo/gguf-q8_0

In:  a checkpoint folder of a Qwen3-VL; llama.cpp's own converter and programs (make llama-programs).
Out: model.gguf (the language part), mmproj.gguf (the vision part), conversion.json (what was checked, and with which
     limits of a photo's size the server has to be started), convert.log (what the programs said).

Every tensor is compared with the student's: name, shape, kind and values; and every setting, token and the chat
template. Where anything differs nothing is written, each difference is said, and it exits with 1. docs/export.md.
"""

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verdicts.export.records import Conversion

SHOWN = 12  # findings that are said


def main(
    config: Annotated[Path, typer.Option(help="Section file config/export.yaml.")],
    student: Annotated[Path, typer.Option(help="Checkpoint folder of the student.")],
    output_dir: Annotated[Path, typer.Option(help="Folder of the files to write.")],
    quant: Annotated[str, typer.Option(help="How the language part is stored: f16, q8_0, q4_k_m, …")] = "f16",
    programs: Annotated[Path, typer.Option(help="Folder of llama.cpp's programs.")] = Path(".wheels/llama-programs"),
) -> None:
    """Turn a taught student into files for llama.cpp, and check them."""
    from verdicts.base.errors import mistake
    from verdicts.base.jsonl import write_json
    from verdicts.base.whole_file import writing
    from verdicts.config.tools import ExportConfig, read_section
    from verdicts.export.check import Check, photo_tokens
    from verdicts.export.convert import MMPROJ, MODEL, QUANTS, convert, key_of
    from verdicts.export.records import Conversion
    from verdicts.models.fingerprint import checkpoint_hash
    from verdicts.records.evaluation import Named
    from verdicts.student.model import check_content, check_folder

    cfg = read_section(config, ExportConfig)
    if quant not in QUANTS:
        raise mistake(f"{quant!r} is none that is known", f"choose one of {', '.join(QUANTS)}", field="QUANT")
    check_folder(student, weights=True)
    check_content(student, weights=True)
    key = key_of(programs)
    named = Named(folder=student.as_posix(), sha256=checkpoint_hash(student))
    with writing(output_dir), new_folder(output_dir) as place:
        convert(student, place, quant, cfg.export.mmproj_quant, programs)
        check = Check(student, place, quant, cfg.export.mmproj_quant)
        found = Conversion(
            student=named,
            llama_cpp=key,
            quant=quant,
            mmproj_quant=cfg.export.mmproj_quant,
            files=check.files,
            settings_checked=check.settings,
            photo_tokens=list(photo_tokens(student, cfg.student.max_photo_pixels)),
            found=check.found,
        )
        refuse_what_differs(found)
        for name in (MODEL, MMPROJ, "convert.log"):
            (place / name).replace(output_dir / name)
        write_json(output_dir / "conversion.json", found)
    cli.say(f"{sentence(found)}; {output_dir}", "good")


@contextmanager
def new_folder(output_dir: Path) -> "Iterator[Path]":
    """A folder beside the results, gone afterwards with what is left in it, as are those of killed commands."""
    import shutil

    output_dir.mkdir(parents=True, exist_ok=True)
    for left in output_dir.glob(".new.*"):
        shutil.rmtree(left)
    place = output_dir / f".new.{os.getpid()}"
    place.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def refuse_what_differs(found: "Conversion") -> None:
    """Say what differs and exit with 1, where anything does."""
    if not found.found:
        return
    for finding in found.found[:SHOWN]:
        cli.complain(f"export: {finding.file}: {finding.wrong}: {finding.detail}")
    more = f", {len(found.found) - SHOWN} more than are shown" if len(found.found) > SHOWN else ""
    cli.complain(f"export: nothing is written: {len(found.found)} things differ from {found.student.folder}{more}")
    raise typer.Exit(1)


def sentence(found: "Conversion") -> str:
    """The count sentence."""
    parts = []
    for file in found.files:
        kinds = ", ".join(f"{count} {kind}" for kind, count in file.kinds.items())
        parts.append(f"{file.name} {file.bytes / 1e6:.1f} MB ({kinds})")
    tensors = sum(file.tensors for file in found.files)
    checked = f"{tensors} tensors and {found.settings_checked} settings are the student's"
    return f"export {found.student.folder} as {found.quant}: {', '.join(parts)}; {checked}"


if __name__ == "__main__":
    cli.run(main, result="export", engine="torch", writes="output_dir")
