"""Which llama.cpp is used: what may serve here, in which order, how it is compiled, and whether it computes right.

reads   constraints.txt (its version), make/llama.cmake (which parts are compiled), make/llama_cuda.cmake (what a build
        for NVIDIA's GPUs changes)
writes  .wheels/KEY/llama_cpp_python-*.whl and .wheels/*.refused, which builds died or computed something else on this
        processor, and how

Plain Python without packages: it runs before the virtual environment is there.
"""

import collections
import os
import platform
import re
import shutil
import signal
from pathlib import Path

from setup_commands import CONSTRAINTS, ROOT, Unfit, digest, follow, run, sentence

PARTS, SELFCHECK = ROOT / "make" / "llama.cmake", ROOT / "tools" / "selfcheck.py"
CUDA_PARTS = ROOT / "make" / "llama_cuda.cmake"  # includes PARTS
CUDA = re.compile(r"-DGGML_CUDA=(ON|1|TRUE|YES)\b", re.I)
WHEELS = ROOT / ".wheels"
PORTABLE = "-DGGML_NATIVE=OFF"
# options that a portable build goes without
FOR_A_PROCESSOR = re.compile(r"-DGGML_(NATIVE|AMX|AVX|FMA|BMI2|F16C|SSE42|CPU_ARM|CPU_ALL|BACKEND_DL)\w*=")
GB_A_COMPILER = 1.0  # peak memory of one compiler process


def cpu():
    """What a library compiled for this processor depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        flags = platform.processor()
    return [platform.machine(), " ".join(sorted(flags.split()))]


def llama_pin():
    """The requirement of llama-cpp-python with its version."""
    return re.search(r"^llama-cpp-python==\S+", CONSTRAINTS.read_text(), re.M).group()


def wheel_key(cmake_args):
    """Names a build: the same key means the same libraries."""
    compilers = [os.environ.get(name) for name in ("CC", "CXX", "CUDACXX", "CFLAGS", "CXXFLAGS", "LDFLAGS")]
    machine = [platform.machine()] if PORTABLE in cmake_args else cpu()
    texts = [path.read_text() for path in ((PARTS, CUDA_PARTS) if CUDA.search(cmake_args) else (PARTS,))]
    return digest(llama_pin(), *texts, cmake_args, compilers, machine, platform.libc_ver())


def wheel_name():
    """The pattern of a wheel's file name."""
    return f"llama_cpp_python-{llama_pin().partition('==')[2]}-*.whl"


# what may serve as llama.cpp: ``words`` say what it is, ``cmake_args`` is None for a wheel put into .wheels by hand
Build = collections.namedtuple("Build", "key words cmake_args")


def builds(cmake_args):
    """What may serve as llama.cpp here, in the order in which it is tried."""
    found = []
    for path in sorted(WHEELS.glob(wheel_name())):
        state = path.stat()
        key = f"{path.name}:{state.st_size}:{int(state.st_mtime)}"
        found.append(Build(key, f"{path.name} from {WHEELS.name}", None))
    words = "with " + cmake_args if PORTABLE in cmake_args else "for this very processor"
    found.append(Build(wheel_key(cmake_args), "llama.cpp compiled " + words, cmake_args))
    portable = " ".join([PORTABLE, *(word for word in cmake_args.split() if not FOR_A_PROCESSOR.match(word))])
    if sorted(portable.split()) != sorted(cmake_args.split()):
        words = f"llama.cpp compiled for any processor ({PORTABLE}: AVX2 on x86-64, nothing newer)"
        found.append(Build(wheel_key(portable), words, portable))
    return found


def refusal(build):
    """The file that says why a build is not used on this processor."""
    return WHEELS / (digest(build.key, cpu()) + ".refused")


def choose(cmake_args):
    """The first build that was not refused here."""
    return next(build for build in builds(cmake_args) if not refusal(build).exists())


def refuse(build, cmake_args, wrong):
    """Leave a build out from now on.

    Where no other is left it raises Unfit, and all may be tried again: something else may be mended meanwhile.
    """
    refusal(build).write_text(f"{build.words}: {wrong}\n")
    left = [other for other in builds(cmake_args) if not refusal(other).exists()]
    if left:
        sentence(f"{build.words} is left out: {wrong}; {left[0].words} takes its place")
        return
    for other in builds(cmake_args):
        refusal(other).unlink()
    has_gpu = re.search(r"-DGGML_(CUDA|HIP|VULKAN|SYCL|MUSA)=", cmake_args)
    gpu = "; without GPU: CMAKE_ARGS= make setup" if has_gpu else ""
    raise Unfit(
        f"no build of llama.cpp computes right here, the last one ({build.words}): {wrong}; another compiler may help "
        f"(CC=, CXX=, after rm -rf {WHEELS.name}){gpu}"
    )


def kept_wheel(build):
    """The wheel of a build; None where it has to be compiled."""
    if build.cmake_args is None:
        return WHEELS / build.key.partition(":")[0]
    return next(iter(sorted((WHEELS / build.key).glob(wheel_name()))), None)


def check_compilers(cmake_args):
    """Raise Unfit where a compiler that is needed is not here."""
    for kind, variable, names in (("C", "CC", "cc gcc clang"), ("C++", "CXX", "c++ g++ clang++")):
        given = os.environ.get(variable)
        if not any(shutil.which(name) for name in ([given.split()[0]] if given else names.split())):
            missing = f"no {kind} compiler ({names.replace(' ', ', ')}) here"
            asked = f"{variable}={given} is not a program" if given else missing
            raise Unfit(
                f"{asked}, and llama.cpp has to be compiled: install one (Debian and Ubuntu: apt install g++; "
                "Fedora: dnf install gcc-c++; macOS: xcode-select --install)"
            )
    cuda = re.search(r"-DGGML_CUDA=(ON|1|TRUE|YES)\b", cmake_args, re.I) and "CMAKE_CUDA_COMPILER" not in cmake_args
    if cuda and not (os.environ.get("CUDACXX") or os.environ.get("CUDA_PATH") or shutil.which("nvcc")):
        raise Unfit(
            f"CMAKE_ARGS={cmake_args}, and no CUDA compiler (nvcc) on PATH: install the CUDA toolkit, or name it: "
            "CUDACXX=/usr/local/cuda/bin/nvcc; without GPU: CMAKE_ARGS= make setup"
        )


def jobs():
    """Compilers that run at once: one a core, as far as memory goes."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) / 2**20
    except (OSError, StopIteration):
        free = cores * GB_A_COMPILER
    return max(1, min(cores, int(free / GB_A_COMPILER)))


def compile_llama(python, build, log):
    """Compile llama.cpp into .wheels/KEY/; nothing of the environment changes. Returns what to say about it."""
    folder, beside = WHEELS / build.key, WHEELS / (build.key + ".tmp")
    parts = CUDA_PARTS if CUDA.search(build.cmake_args) else PARTS
    settings = {
        "CMAKE_ARGS": f"-DCMAKE_PROJECT_llama_cpp_INCLUDE='{parts}' {build.cmake_args}".strip(),
        "CMAKE_BUILD_PARALLEL_LEVEL": os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL") or str(jobs()),
        "SKBUILD_CMAKE_VERBOSE": "false",  # whole compiler commands would hide the count
        "SKBUILD_NINJA_MAKE_FALLBACK": "false",  # ninja counts files; pip fetches it where it is missing
    }
    shutil.rmtree(str(beside), ignore_errors=True)
    try:
        # pip's own cache is left out: it knows a wheel by its version, not by what it was compiled for
        pip = [python, "-m", "pip", "wheel", "-v", "--no-deps", "--no-cache-dir", "--wheel-dir", beside]
        seconds = run("compiling llama.cpp", [*pip, llama_pin()], log, settings)
        shutil.rmtree(str(folder), ignore_errors=True)
        beside.rename(folder)
    finally:
        shutil.rmtree(str(beside), ignore_errors=True)
    return f"llama.cpp compiled in {int(seconds)} s"


def check(python, log):
    """Let the installed llama.cpp answer stored prompts in a process that may die.

    Returns what is wrong with it, "" for nothing. Where the tools are not here yet (an image in the making), it is only
    loaded.
    """
    if SELFCHECK.exists():
        code, said, _ = follow(
            "checking what llama.cpp computes",
            [python, "-m", "tools.selfcheck", "--if-new"],
            log,
            {"PYTHONPATH": str(ROOT)},
        )
        if code and not said.startswith("llama.cpp "):  # the check itself could not run
            failed = f"the check of llama.cpp failed (exit {code}): {said}; the end of {log} says more"
            raise Unfit(said if code == 2 else failed)
        return said.partition("; ")[0] if code else ""
    code, said, _ = follow(
        "loading llama.cpp",
        [python, "-c", "import llama_cpp; print(llama_cpp.llama_print_system_info().decode())"],
        log,
    )
    if code < 0:
        name = signal.Signals(-code).name if -code in list(signal.Signals) else f"signal {-code}"
        said = f"llama.cpp dies of {name} when it is loaded"
    return said if code else ""
