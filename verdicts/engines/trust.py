"""Is this llama.cpp one that was seen to compute right, on this processor and GPU? If not, it is checked first, once.

A library compiled for another processor, or wrongly by its compiler, dies in the first decode or, worse, computes
something else. So before llama.cpp is loaded, a child process answers the stored prompts of ``tools.selfcheck`` with
it. What passed is remembered in a mark beside the environment: libraries by path, size and time, processor, GPUs, and
the stored answers. Imports the standard library only; a mark that matches costs about a millisecond.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from verdicts.base.errors import UserError, mistake
from verdicts.command.cli import say

ROOT = Path(__file__).resolve().parents[2]
EXPECTED = ROOT / "data" / "miniature" / "selfcheck.json"
LIB_PATH = "LLAMA_CPP_LIB_PATH"
REBUILD = "`CMAKE_ARGS=-DGGML_NATIVE=OFF make setup` builds one for any processor"
REMEDY = f"`python -m tools.selfcheck` tells whether llama.cpp computes right here; where it does not, {REBUILD}"
SECONDS = 900  # a GPU may compile its kernels at first use
CHILD = ("-m", "tools.selfcheck", "--inside")
MARKS = 32  # kept: one for each library, processor and choice of GPUs
NOT_ASKED, DIFFERS = 2, 3  # exit status of the child: a file for the check is missing or damaged; the library is wrong
_steers = ("GGML_", "LD_LIBRARY_PATH", "LD_PRELOAD", "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", LIB_PATH)
_sure = False


class CheckResult(NamedTuple):
    """What a child found: ``wrong`` (empty where all is right), ``figures`` in words, ``files`` (its libraries)."""

    wrong: str
    figures: str = ""
    files: tuple[str, ...] = ()


def skip_check() -> None:
    """Load llama.cpp in this process without asking: for the process that finds out."""
    global _sure
    _sure = True


def ensure_checked() -> None:
    """Return where the libraries that ``llama_cpp`` would load compute right; find it out where that is not known.

    Raises UserError where they die, differ or do not load, or where the files for the check are damaged.
    """
    folder = library_folder()
    if _sure or folder is None:  # without llama_cpp, its import says so
        return
    if not is_on_record():
        say("llama.cpp has not computed on this machine yet: a check first, seconds")
        result = check()
        if result.wrong:
            raise failure(result)
        record_pass(result)
    skip_check()


def failure(result: CheckResult) -> UserError:
    """The sentence about libraries that failed. Set-up knows it by its beginning, ``llama.cpp``."""
    todo = f"unset {LIB_PATH}, or build that library anew" if os.environ.get(LIB_PATH) else REBUILD
    return mistake(f"llama.cpp {result.wrong} ({library_folder()})", todo)


# --- the check, in a child that may die


def check() -> CheckResult:
    """Let a child answer the stored prompts. Its death, its silence and its figures all become words.

    Raises UserError where the prompts or their model are missing or damaged: no fault of the libraries.
    """
    environment = {name: value for name, value in os.environ.items() if name != "RUN_LOG"}
    if environment.get(LIB_PATH):
        environment[LIB_PATH] = os.path.abspath(environment[LIB_PATH])
    try:
        child = subprocess.run(
            [sys.executable, *CHILD],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return CheckResult(f"did not answer the stored prompts within {SECONDS} s")
    said = child.stderr.strip().splitlines() or ["no reason given"]
    if child.returncode < 0:
        return CheckResult(f"dies of {signal_name(-child.returncode)} when it answers the stored prompts")
    if child.returncode == NOT_ASKED:
        raise UserError(said[-1])
    if child.returncode:
        return CheckResult(
            said[-1] if child.returncode == DIFFERS else f"cannot answer the stored prompts ({said[-1]})"
        )
    answer = json.loads(child.stdout.splitlines()[-1])
    return CheckResult("", answer["figures"], tuple(answer["files"]))


def signal_name(number: int) -> str:
    """``SIGSEGV``; the number where it has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


# --- who they are


def library_folder() -> Path | None:
    """The folder from which ``llama_cpp`` would load its libraries; None where it is not installed. Imports nothing."""
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        return None
    named = os.environ.get(LIB_PATH)
    return Path(spec.origin).parent / "lib" if named is None else Path(named)


def identity() -> str:
    """A digest of what the result of a check depends on and that is known without loading anything."""
    folder = library_folder()
    libraries = [] if folder is None or not folder.is_dir() else [_stamp(path) for path in sorted(folder.iterdir())]
    steered = sorted(item for item in os.environ.items() if item[0].startswith(_steers))
    parts = [
        os.path.abspath(folder or ""),
        libraries,
        steered,
        _processor(),
        _gpus(),
        EXPECTED.read_text(encoding="utf-8") if EXPECTED.is_file() else "",
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _stamp(path: Path) -> list[Any]:
    """A file's path, size and time; only its path where it is gone."""
    try:
        state = path.stat()
    except OSError:
        return [str(path)]
    return [str(path), state.st_size, state.st_mtime_ns]


def _processor() -> list[str]:
    """Model and abilities of the first core."""
    lines = []
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as info:
            for line in info:
                if not line.strip():
                    break
                if line.startswith(("model name", "flags", "Features", "CPU part")):
                    lines.append(line.strip())
    except OSError:
        lines = [platform.processor()]
    return [platform.machine(), *lines]


def _gpus() -> list[str]:
    """What the kernel tells of graphics processors and their driver; empty where there is none or it tells nothing."""
    named = [
        *Path("/sys/class/drm").glob("card*/device/device"),
        *Path("/proc/driver/nvidia/gpus").glob("*/information"),
        Path("/proc/driver/nvidia/version"),
    ]
    found = []
    for path in sorted(named):
        with contextlib.suppress(OSError):
            found.append(f"{path}: {path.read_text(errors='replace')}")
    return found


def loaded_files() -> list[str]:
    """Libraries that this process has mapped and that take part in computing, those found by a linker too."""
    try:
        lines = Path("/proc/self/maps").read_text(errors="replace").splitlines()
    except OSError:
        return []
    paths = {line.split(maxsplit=5)[5] for line in lines if line.count("/")}
    parts = ("ggml", "llama", "cuda", "cublas", "nvidia", "hip", "rocm", "vulkan", "omp", "stdc++")
    return sorted(path for path in paths if ".so" in path and any(part in os.path.basename(path) for part in parts))


# --- the mark


def _places() -> list[Path]:
    """Where marks may lie: beside the environment, else (a read-only image) in a folder of this user's own."""
    return [Path(sys.prefix) / ".checked", Path(tempfile.gettempdir()) / f"ticket-verdicts-{os.getuid()}" / "checked"]


def _read(place: Path) -> dict[str, Any]:
    """Marks of a file: identity -> stamps of the libraries loaded. Empty where it is missing, damaged or another's."""
    try:
        if place.parent != Path(sys.prefix) and place.stat().st_uid != os.getuid():
            return {}
        marks = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return marks if isinstance(marks, dict) else {}


def is_on_record() -> bool:
    """Whether a check of these very libraries on this machine is on record."""
    key = identity()
    return any(
        key in marks and all(_stamp(Path(stamp[0])) == stamp for stamp in marks[key]) for marks in map(_read, _places())
    )


def record_pass(result: CheckResult) -> bool:
    """Put a passed check on record in the first place that can be written. False where none can be."""
    for place in _places():
        marks = _read(place)
        marks.pop(identity(), None)
        marks[identity()] = [_stamp(Path(path)) for path in result.files]
        kept = dict(list(marks.items())[-MARKS:])
        beside = place.with_name(f"{place.name}.{os.getpid()}")
        try:
            place.parent.mkdir(mode=0o700, exist_ok=True)
            beside.write_text(json.dumps(kept, indent=0), encoding="utf-8")
            beside.replace(place)
            return True
        except OSError:
            with contextlib.suppress(OSError):
                beside.unlink()
    return False
