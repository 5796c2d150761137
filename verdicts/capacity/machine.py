"""What a machine has for a run: GPUs, memory, disk, processors, packages. A value, so that others can be described."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

QUERY = "name,driver_version,memory.total,memory.free"
MIB = 2**20
PACKAGES_LOOKED_AT = (
    "llama-cpp-python", "httpx", "torch", "transformers", "peft", "accelerate", "pillow", "safetensors", "tokenizers",
    "ray",
)  # fmt: skip


@dataclass(frozen=True)
class Gpu:
    """One GPU: its name, its driver's version, bytes of memory in all and free now."""

    name: str
    driver: str
    total: int
    free: int


@dataclass(frozen=True)
class Machine:
    """``trouble``: why GPUs could not be asked, "" where there are none or they answered. ``llama_gpu``: whether this
    build of llama.cpp can use one, None where it is not installed; ``torch_gpu`` the same of torch. Bytes: ``ram`` that
    this process may have, ``ram_free`` now, ``disk_free`` where runs and checkpoints are written. ``packages``:
    version by name.
    """

    ram: int
    ram_free: int
    disk_free: int
    cores: int
    gpus: tuple[Gpu, ...] = ()
    trouble: str = ""
    llama_gpu: bool | None = None
    torch_gpu: bool | None = None
    packages: Mapping[str, str] = field(default_factory=dict)


def look_at_machine(folder: Path) -> Machine:
    """This machine as it is now. ``folder``: on the disk that is meant, there already or not yet."""
    gpus, trouble = read_gpus(*_ask_gpus())
    ram, free = read_memory(_text("/proc/meminfo"), _text("/sys/fs/cgroup/memory.max"))
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    packages = {name: version for name in PACKAGES_LOOKED_AT if (version := _version(name))}
    return Machine(
        ram=ram,
        ram_free=free,
        disk_free=shutil.disk_usage(there).free,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        gpus=gpus,
        trouble=trouble,
        llama_gpu=_llama_gpu() if "llama-cpp-python" in packages else None,
        torch_gpu=_torch_gpu() if "torch" in packages else None,
        packages=packages,
    )


def read_gpus(status: int | None, said: str) -> tuple[tuple[Gpu, ...], str]:
    """What nvidia-smi answered (its exit status, None where there is none) as GPUs and, where it failed, why."""
    if status is None:
        return (), ""
    if status:
        return (), (said.strip().splitlines() or [f"exit status {status}"])[-1]
    rows = [[part.strip() for part in line.split(",")] for line in said.splitlines() if line.strip()]
    try:
        return tuple(Gpu(name, driver, int(total) * MIB, int(free) * MIB) for name, driver, total, free in rows), ""
    except ValueError:  # "[N/A]", or another table
        return (), f"nvidia-smi says {said.strip().splitlines()[0]!r}"


def read_memory(meminfo: str, limit: str) -> tuple[int, int]:
    """Bytes of memory and of free memory, from /proc/meminfo and a container's limit (memory.max of cgroup v2)."""
    sizes = {line.partition(":")[0]: line.split()[1] for line in meminfo.splitlines() if len(line.split()) > 1}
    total = int(sizes.get("MemTotal", 0)) * 1024 or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = int(sizes.get("MemAvailable", 0)) * 1024 or total
    most = int(limit) if limit.strip().isdigit() else total
    return min(total, most), min(free, most)


def _ask_gpus() -> tuple[int | None, str]:
    if not shutil.which("nvidia-smi"):
        return None, ""
    asked = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, f"nvidia-smi did not answer ({type(error).__name__})"
    return done.returncode, done.stdout if not done.returncode else done.stdout + done.stderr


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _llama_gpu() -> bool:
    from verdicts.engines.llama.runtime import library

    return bool(library().llama_supports_gpu_offload())


def _torch_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
