"""Compile llama.cpp's own programs once and keep them: `make llama-programs` calls it, never a plain set-up.

reads   constraints.txt (the version), make/llama.cmake and make/llama_programs.cmake (what is compiled, and how)
writes  .wheels/programs-KEY/{bin/{llama-server,llama-quantize},converter/,key}; .wheels/llama-programs, a link to it

They come from the source release of llama-cpp-python that the library of .venv comes from, compiled in the same way. A
CMAKE_ARGS that make setup was told holds here too.
"""

import argparse
import os
import shutil
import sys
import zipfile
from pathlib import Path

from setup import alone, recorded
from setup_commands import ROOT, Unfit, digest, run, sentence
from setup_llama import WHEELS, check_compilers, choose, jobs, llama_pin, wheel_key, wheel_name

PROGRAMS = ROOT / "make" / "llama_programs.cmake"
LINK = WHEELS / "llama-programs"
PROGRAM_FILES = ("bin/llama-server", "bin/llama-quantize", "converter/convert_hf_to_gguf.py")
NEEDED = (*PROGRAM_FILES, "key")


def folder_of(cmake_args):
    """Where the programs of these settings lie: the same name means the same programs."""
    return WHEELS / ("programs-" + digest(wheel_key(cmake_args), PROGRAMS.read_text()))


def build(python, cmake_args, folder, log):
    """Compile the programs into ``folder``. Returns seconds."""
    check_compilers(cmake_args)
    beside = WHEELS / (folder.name + ".tmp")
    settings = {
        "CMAKE_ARGS": f"-DCMAKE_PROJECT_llama_cpp_INCLUDE='{PROGRAMS}' -DLLAMA_BUILD=OFF {cmake_args}".strip(),
        "CMAKE_BUILD_PARALLEL_LEVEL": os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL") or str(jobs()),
        "SKBUILD_CMAKE_VERBOSE": "false",
        "SKBUILD_NINJA_MAKE_FALLBACK": "false",
    }
    shutil.rmtree(str(beside), ignore_errors=True)
    try:
        pip = [python, "-m", "pip", "wheel", "-v", "--no-deps", "--no-cache-dir", "--wheel-dir", beside]
        seconds = run("compiling llama.cpp's programs", [*pip, llama_pin()], log, settings)
        with zipfile.ZipFile(next(beside.glob(wheel_name()))) as wheel:
            inside = [name for name in wheel.namelist() if name.startswith("llama_programs/")]
            wheel.extractall(beside, inside)
        (beside / "llama_programs" / "key").write_text(f"{llama_pin()} {folder.name}\n")
        for name in PROGRAM_FILES:
            (beside / "llama_programs" / name).chmod(0o755)
        shutil.rmtree(str(folder), ignore_errors=True)
        (beside / "llama_programs").rename(folder)
    finally:
        shutil.rmtree(str(beside), ignore_errors=True)
    return int(seconds)


def point_to(folder):
    """Let .wheels/llama-programs name these programs."""
    beside = WHEELS / ".llama-programs.tmp"
    if beside.is_symlink():
        beside.unlink()
    beside.symlink_to(folder.name)
    beside.replace(LINK)


def main():
    """Have the programs; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, required=True)
    venv = parser.parse_args().venv
    try:
        with alone():
            asked = os.environ.get("CMAKE_ARGS", recorded(venv / ".ready").get("cmake_args", "")).strip()
            cmake_args = choose(asked).cmake_args
            cmake_args = asked if cmake_args is None else cmake_args  # a wheel put there by hand says nothing of itself
            folder = folder_of(cmake_args)
            if not all((folder / name).is_file() for name in NEEDED):
                log = WHEELS / "programs.log"
                log.write_text("")
                seconds = build(venv / "bin" / "python", cmake_args, folder, log)
                sentence(f"llama.cpp's programs compiled in {seconds} s: {folder}")
            if not LINK.is_symlink() or LINK.resolve() != folder.resolve():
                point_to(folder)
    except (Unfit, PermissionError) as problem:
        sentence(str(problem))
        return 2
    except KeyboardInterrupt:
        sentence("interrupted; nothing is left half made")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
