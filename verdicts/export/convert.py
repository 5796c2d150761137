"""A student's checkpoint folder into the two files that llama.cpp loads: the language part and the vision part."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from verdicts.base.errors import mistake
from verdicts.export.server import GET_PROGRAMS

MODEL, MMPROJ = "model.gguf", "mmproj.gguf"
BY_CONVERTER = ("f32", "f16", "bf16", "q8_0")
BY_QUANTIZE = (
    "q4_0", "q4_1", "q5_0", "q5_1", "q2_k", "q3_k_s", "q3_k_m", "q3_k_l", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m",
    "q6_k", "iq4_nl", "iq4_xs",
)  # fmt: skip
QUANTS = (*BY_CONVERTER, *BY_QUANTIZE)


def key_of(programs: Path) -> str:
    """Which release of llama.cpp the programs come from, and how they were compiled.

    Raises UserError where they are not there.
    """
    for name in ("bin/llama-server", "bin/llama-quantize", "converter/convert_hf_to_gguf.py", "key"):
        if not (programs / name).is_file():
            raise mistake("no such file", GET_PROGRAMS, path=programs / name)
    return (programs / "key").read_text(encoding="utf-8").strip()


def convert(student: Path, folder: Path, quant: str, mmproj_quant: str, programs: Path) -> None:
    """Write ``model.gguf`` and ``mmproj.gguf`` into ``folder``; ``convert.log`` there holds what the programs said.

    ``quant``: one of QUANTS; ``mmproj_quant``: one of BY_CONVERTER. Raises UserError where a program fails.
    """
    log = folder / "convert.log"
    model, wide = folder / MODEL, folder / ".wide.gguf"
    direct = quant in BY_CONVERTER
    _converter(programs, student, model if direct else wide, quant if direct else "auto", [], log)
    _converter(programs, student, folder / MMPROJ, mmproj_quant, ["--mmproj"], log)
    if not direct:
        quantize = programs / "bin" / "llama-quantize"
        _run([str(quantize), str(wide), str(model), quant.upper()], log, "llama-quantize")
        wide.unlink()


def _converter(programs: Path, student: Path, to: Path, kind: str, more: Sequence[str], log: Path) -> None:
    name = student.resolve().parent.name if student.name == "merged" else student.resolve().name
    words = [sys.executable, "-m", "verdicts.export.converter", str(programs / "converter"), str(student)]
    words += ["--model-name", name]
    _run([*words, "--outfile", str(to), "--outtype", kind, *more], log, "llama.cpp's converter")


def _run(command: Sequence[str], log: Path, name: str) -> None:
    """Run a program into the log; raises UserError with its last words where it fails."""
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), "HF_HUB_OFFLINE": "1"}
    with log.open("a", encoding="utf-8") as out:
        code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=here).returncode
    if code:
        lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
        said = next((line for line in reversed(lines) if line), "nothing")
        raise mistake(f"{name} failed (exit {code}): {said[:300]}", "see its log", path=log)
