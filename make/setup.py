"""Set up the virtual environment: pinned packages, llama.cpp compiled once and kept. `make setup` calls it.

reads   pyproject.toml (which packages), constraints.txt (which versions), make/llama.cmake (which parts of llama.cpp)
writes  VENV/ with .ready, the mark of a finished set-up, and setup.log; .wheels/KEY/llama_cpp_python-*.whl and
        .wheels/*.refused, which builds died or computed something else on this processor, and how
environment  CMAKE_ARGS is handed to llama.cpp and remembered for later set-ups; CC, CXX, PIP_* mean what they always do

It ends by computing: a process of its own answers stored prompts with the embedded model (tools/selfcheck.py). Where
that process dies or answers otherwise, llama.cpp is built for any processor instead, and a line says so.

Plain Python without packages, in words that an old Python can read, so that it can say that it is too old.
"""

import argparse
import collections
import contextlib
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONSTRAINTS, PROJECT, PARTS = HERE.parent / "constraints.txt", HERE.parent / "pyproject.toml", HERE / "llama.cmake"
WHEELS, SELFCHECK = HERE.parent / ".wheels", HERE.parent / "tools" / "selfcheck.py"
PORTABLE = "-DGGML_NATIVE=OFF"
FOR_A_PROCESSOR = re.compile(
    r"-DGGML_(NATIVE|AMX|AVX|FMA|BMI2|F16C|SSE42|CPU_ARM|CPU_ALL|BACKEND_DL)\w*="
)  # options a portable build goes without
OLDEST = (3, 11)
GB_A_COMPILER = 1.0  # peak memory of one compiler process
SECONDS_BETWEEN_LINES = 15


class Unfit(Exception):
    """What the user can mend: one line."""


def sentence(text):
    print("set-up: " + text, file=sys.stderr, flush=True)


def right_python():
    """Go on in a newer Python if this one is too old and another is there."""
    if sys.version_info[:2] >= OLDEST:
        return
    for minor in range(20, OLDEST[1] - 1, -1):
        newer = shutil.which("python3.%d" % minor)
        if newer and not subprocess.call([newer, "-c", "import ensurepip"], stderr=subprocess.DEVNULL):
            os.execv(newer, [newer] + sys.argv)
    raise Unfit("Python %s is too old: install 3.11 or newer (Debian and Ubuntu: apt install python3.11 python3.11-venv)"
                " and run make setup PYTHON=python3.11" % platform.python_version())  # fmt: skip


def packages(extra):
    """Requirement names of the text path with the tests, or of one extra."""
    import tomllib

    project = tomllib.loads(PROJECT.read_text())["project"]
    return (
        project["optional-dependencies"][extra]
        if extra
        else project["dependencies"] + project["optional-dependencies"]["dev"]
    )


def digest(*parts):
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def cpu():
    """What a library compiled for this processor depends on."""
    try:
        flags = next((line for line in open("/proc/cpuinfo") if line.startswith(("flags", "Features"))), "")
    except OSError:
        flags = platform.processor()
    return [platform.machine(), " ".join(sorted(flags.split()))]


def llama_pin():
    return re.search(r"^llama-cpp-python==\S+", CONSTRAINTS.read_text(), re.M).group()


def wheel_key(cmake_args):
    """Names a build: the same key means the same libraries."""
    compilers = [os.environ.get(name) for name in ("CC", "CXX", "CUDACXX", "CFLAGS", "CXXFLAGS", "LDFLAGS")]
    machine = [platform.machine()] if PORTABLE in cmake_args else cpu()
    return digest(llama_pin(), PARTS.read_text(), cmake_args, compilers, machine, platform.libc_ver())


def wheel_name():
    return "llama_cpp_python-%s-*.whl" % llama_pin().partition("==")[2]


# what may serve as llama.cpp: ``words`` say what it is, ``cmake_args`` is None for a wheel put into .wheels by hand
Build = collections.namedtuple("Build", "key words cmake_args")


def builds(cmake_args):
    """What may serve as llama.cpp here, in the order in which it is tried."""
    found = []
    for path in sorted(WHEELS.glob(wheel_name())):
        state = path.stat()
        found.append(
            Build(
                "%s:%d:%d" % (path.name, state.st_size, state.st_mtime), "%s from %s" % (path.name, WHEELS.name), None
            )
        )
    words = "with " + cmake_args if PORTABLE in cmake_args else "for this very processor"
    found.append(Build(wheel_key(cmake_args), "llama.cpp compiled " + words, cmake_args))
    portable = " ".join([PORTABLE] + [word for word in cmake_args.split() if not FOR_A_PROCESSOR.match(word)])
    if sorted(portable.split()) != sorted(cmake_args.split()):
        found.append(
            Build(
                wheel_key(portable),
                "llama.cpp compiled for any processor (%s: AVX2 on x86-64, nothing newer)" % PORTABLE,
                portable,
            )
        )
    return found


def refusal(build):
    """The file that says why a build is not used on this processor."""
    return WHEELS / (digest(build.key, cpu()) + ".refused")


def choose(cmake_args):
    return next(build for build in builds(cmake_args) if not refusal(build).exists())


def refuse(build, cmake_args, wrong):
    """Leave a build out from now on. Where no other is left, all may be tried again: something else may be mended meanwhile."""
    refusal(build).write_text("%s: %s\n" % (build.words, wrong))
    left = [other for other in builds(cmake_args) if not refusal(other).exists()]
    if left:
        sentence("%s is left out: %s; %s takes its place" % (build.words, wrong, left[0].words))
        return
    for other in builds(cmake_args):
        refusal(other).unlink()
    gpu = (
        "; without GPU: CMAKE_ARGS= make setup" if re.search(r"-DGGML_(CUDA|HIP|VULKAN|SYCL|MUSA)=", cmake_args) else ""
    )
    raise Unfit("no build of llama.cpp computes right here, the last one (%s): %s; another compiler may help (CC=, CXX=, after rm -rf %s)%s"
                % (build.words, wrong, WHEELS.name, gpu))  # fmt: skip


def kept_wheel(build):
    """The wheel of a build; None where it has to be compiled."""
    if build.cmake_args is None:
        return WHEELS / build.key.partition(":")[0]
    return next(iter(sorted((WHEELS / build.key).glob(wheel_name()))), None)


def check_compilers(cmake_args):
    for kind, variable, names in (("C", "CC", "cc gcc clang"), ("C++", "CXX", "c++ g++ clang++")):
        given = os.environ.get(variable)
        if not any(shutil.which(name) for name in ([given.split()[0]] if given else names.split())):
            asked = (
                "%s=%s is not a program" % (variable, given)
                if given
                else "no %s compiler (%s) here" % (kind, names.replace(" ", ", "))
            )
            raise Unfit("%s, and llama.cpp has to be compiled: install one (Debian and Ubuntu: apt install g++;"
                        " Fedora: dnf install gcc-c++; macOS: xcode-select --install)" % asked)  # fmt: skip
    if re.search(r"-DGGML_CUDA=(ON|1|TRUE|YES)\b", cmake_args, re.I) and "CMAKE_CUDA_COMPILER" not in cmake_args:
        if not (os.environ.get("CUDACXX") or os.environ.get("CUDA_PATH") or shutil.which("nvcc")):
            raise Unfit("CMAKE_ARGS=%s, and no CUDA compiler (nvcc) on PATH: install the CUDA toolkit, or name it:"
                        " CUDACXX=/usr/local/cuda/bin/nvcc; without GPU: CMAKE_ARGS= make setup" % cmake_args)  # fmt: skip


def jobs():
    """Compilers that run at once: one a core, as far as memory goes."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        free = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemAvailable")) / 2**20
    except (OSError, StopIteration):
        free = cores * GB_A_COMPILER
    return max(1, min(cores, int(free / GB_A_COMPILER)))


# how pip's log names the steps before the compiler starts
STEPS = (
    ("  Downloading llama", "downloading the source"),
    ("  Installing build dependencies", "fetching build tools"),
    ("  *** Configuring", "looking at this machine"),
    ("  *** Building", "starting"),
    ("  *** Installing", "packing"),
)


class Status:
    """One line that says how long a step has run and how far it is: rewritten on a terminal, repeated elsewhere."""

    def __init__(self, name):
        self.name, self.count, self.started, self.said = name, "", time.monotonic(), 0.0
        self.terminal = sys.stderr.isatty()

    def see(self, line):
        step = next((say for start, say in STEPS if line.startswith(start)), None)
        if step:
            self.count = "  " + step
        counted = re.search(r"\[(\d+)/(\d+)\] ", line)
        if counted:
            done, total = int(counted.group(1)), int(counted.group(2))
            self.count = "  %d/%d files (%d %%)" % (done, total, 100 * done // total)

    def seconds(self):
        return time.monotonic() - self.started

    def show(self):
        text = "set-up: %s  %d:%02d%s" % (self.name, self.seconds() // 60, self.seconds() % 60, self.count)
        if self.terminal:
            sys.stderr.write("\r\033[K" + text)
            sys.stderr.flush()
        elif self.seconds() - self.said >= SECONDS_BETWEEN_LINES:
            self.said = self.seconds()
            print(text, file=sys.stderr, flush=True)

    def close(self):
        if self.terminal:
            sys.stderr.write("\r\033[K")


def follow(name, command, log, more_environment=None):
    """Run a command into the log under a status line. Returns its exit status, its last line and seconds."""
    # make's own flags must not reach a make that CMake may start, nor another library the check of the installed one
    foreign = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "LLAMA_CPP_LIB_PATH", "RUN_LOG", "QUIET")
    environment = {k: v for k, v in os.environ.items() if k not in foreign}
    pins = dict.fromkeys(
        ("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT"), str(CONSTRAINTS)
    )  # for build tools too; pip's newer name
    environment.update(more_environment or {}, **pins, PIP_DISABLE_PIP_VERSION_CHECK="1", PYTHONUNBUFFERED="1")
    status, last = Status(name), ["no reason given"]
    with log.open("a", encoding="utf-8") as out:
        out.write("$ %s\n" % " ".join(map(str, command)))
        pipes = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "text": True,
            "errors": "replace",
        }
        process = subprocess.Popen([str(c) for c in command], env=environment, **pipes)

        def read():
            for line in process.stdout:
                out.write(line)
                out.flush()
                status.see(line)
                last[0] = line.strip() or last[0]

        reader = threading.Thread(target=read)
        reader.start()
        try:
            while reader.is_alive():
                status.show()
                reader.join(0.5)
        finally:
            process.wait()
            reader.join()
            status.close()
    return process.returncode, last[0], status.seconds()


def run(name, command, log, more_environment=None):
    """Run a command that has to succeed; the log's end is shown where it fails. Returns seconds."""
    code, _, seconds = follow(name, command, log, more_environment)
    if code:
        said = log.read_text(encoding="utf-8", errors="replace").partition("error: subprocess-exited-with-error")[
            0
        ]  # pip's own view follows
        print("\n".join(said.rstrip().splitlines()[-30:]), file=sys.stderr)
        raise Unfit(
            "%s failed (exit %d): the lines above are the end of %s; docs/setup.md knows the usual causes"
            % (name, code, log)
        )
    return seconds


def make_venv(venv, cut, log):
    """The environment that is there, or a new one. Returns its Python."""
    python = venv / "bin" / "python"
    if not python.exists():
        try:
            import ensurepip  # noqa: F401
        except ImportError:
            raise Unfit(
                "this Python cannot make virtual environments: install its venv package (Debian and Ubuntu: apt install python3-venv)"
            )
        cut.write_text("{}")
        run("virtual environment", [sys.executable, "-m", "venv", venv], log)
        cut.unlink()
    return python


def compile_llama(python, build, log):
    """Compile llama.cpp into .wheels/KEY/; nothing of the environment changes. Returns what to say about it."""
    folder, beside = WHEELS / build.key, WHEELS / (build.key + ".tmp")
    settings = {
        "CMAKE_ARGS": ("-DCMAKE_PROJECT_llama_cpp_INCLUDE='%s' %s" % (PARTS, build.cmake_args)).strip(),
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
    return "llama.cpp compiled in %d s" % seconds


def check(python, log):
    """Let the installed llama.cpp answer stored prompts in a process that may die. Returns what is wrong with it, "" for nothing.

    Where the tools are not here yet (an image in the making), it is only loaded.
    """
    if SELFCHECK.exists():
        code, said, _ = follow(
            "checking what llama.cpp computes",
            [python, "-m", "tools.selfcheck", "--if-new"],
            log,
            {"PYTHONPATH": str(HERE.parent)},
        )
        if code and not said.startswith("llama.cpp "):  # the check itself could not run
            raise Unfit(
                said
                if code == 2
                else "the check of llama.cpp failed (exit %d): %s; the end of %s says more" % (code, said, log)
            )
        return said.partition("; ")[0] if code else ""
    code, said, _ = follow(
        "loading llama.cpp",
        [python, "-c", "import llama_cpp; print(llama_cpp.llama_print_system_info().decode())"],
        log,
    )
    if code < 0:
        said = "llama.cpp dies of %s when it is loaded" % (
            signal.Signals(-code).name if -code in list(signal.Signals) else "signal %d" % -code
        )
    return said if code else ""


def recorded(path):
    return json.loads(path.read_text()) if path.exists() else {}


def install(python, extra, build, cut_short, log):
    """Install the packages, and a build of llama.cpp where one is given."""
    pip = [python, "-m", "pip", "install", "--constraint", CONSTRAINTS]
    if build:  # even over the same version, compiled otherwise
        run("installing llama.cpp", [*pip, "--no-deps", "--force-reinstall", kept_wheel(build)], log)
    run("installing packages", [*pip, *(["--force-reinstall"] if cut_short else []), *packages(extra)], log)


def wanted(extra, cmake_args, build):
    """What a finished set-up records of itself."""
    new = {"packages": digest(CONSTRAINTS.read_text(), packages(extra), sys.version_info[:2])}
    if not extra:
        new.update(cmake_args=cmake_args, llama=build.key)
    return new


class Place:
    """The environment and its marks: ``ready`` of a finished set-up, ``cut`` of one that is under way or was cut short."""

    def __init__(self, venv, extra):
        self.venv, self.extra, self.log = venv, extra, venv / "setup.log"
        self.ready, self.cut = (venv / (name + ("-" + extra if extra else "")) for name in (".ready", ".unfinished"))

    def bring(self, build, new, old, cut_short=False):
        """Bring the environment from what ``old`` says of it to what ``new`` asks for. Returns how, in words."""
        to_compile = build and not kept_wheel(build)
        if to_compile:
            check_compilers(build.cmake_args)
        if cut_short and not self.extra:  # half-written packages are not worth mending
            shutil.rmtree(str(self.venv))
            cut_short, old = False, {}
        self.venv.mkdir(parents=True, exist_ok=True)
        self.log.write_text("")
        python = make_venv(self.venv, self.cut, self.log)
        how = self.extra or "llama.cpp from " + WHEELS.name
        if to_compile:  # before anything changes: where it fails, the environment there still works
            how = compile_llama(python, build, self.log)
        self.unfinished(new)
        install(python, self.extra, build if new.get("llama") != old.get("llama") else None, cut_short, self.log)
        return how

    def unfinished(self, new):
        self.cut.write_text(json.dumps(new) + "\n")
        if self.ready.exists():
            self.ready.unlink()

    def finished(self):
        if self.cut.exists():
            self.cut.rename(self.ready)
        self.ready.touch()


def set_up(venv, extra):
    """Bring the environment to what the files ask for. A set-up cut short leaves its mark and is done again whole."""
    began, place, how = time.monotonic(), Place(venv, extra), ""
    old = recorded(place.cut) or recorded(place.ready)
    cmake_args = os.environ.get("CMAKE_ARGS", old.get("cmake_args", "")).strip()
    build = None if extra else choose(cmake_args)
    new, cut_short = wanted(extra, cmake_args, build), place.cut.exists()
    if new != old or cut_short:
        how = place.bring(build, new, old, cut_short)
    wrong = "" if extra else check(venv / "bin" / "python", place.log)
    while wrong:  # the packages are there; another build of llama.cpp may do
        place.unfinished(new)
        refuse(build, cmake_args, wrong)
        build, old = choose(cmake_args), new
        new = wanted(extra, cmake_args, build)
        how = place.bring(build, new, old)
        wrong = check(venv / "bin" / "python", place.log)
    place.finished()
    left_out = (
        "" if extra or build == builds(cmake_args)[0] else "; %s (%s/*.refused says why)" % (build.words, WHEELS.name)
    )
    if how:
        sentence(
            "%s is ready: %s, %d packages asked for, %d s in all%s"
            % (venv, how, len(packages(extra)), time.monotonic() - began, left_out)
        )
    else:
        sentence("%s is ready, nothing to do%s" % (venv, left_out))


@contextlib.contextmanager
def alone():
    """One set-up at a time in this folder."""
    WHEELS.mkdir(exist_ok=True)
    with (WHEELS / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sentence("another set-up runs in this folder; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, required=True)
    parser.add_argument("--extra", help="an optional-dependencies group of pyproject.toml")
    arguments = parser.parse_args()
    try:
        right_python()
        with alone():
            set_up(arguments.venv, arguments.extra)
    except (Unfit, PermissionError) as problem:
        sentence(str(problem))
        return 2
    except KeyboardInterrupt:
        sentence("interrupted; run make setup again to go on")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
