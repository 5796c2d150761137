"""Set up the virtual environment: pinned packages, llama.cpp compiled once and kept. `make setup` calls it.

reads   pyproject.toml (which packages), constraints.txt (which versions), make/llama.cmake (which parts of llama.cpp)
writes  VENV/ with .ready, the mark of a finished set-up, and setup.log; .wheels/ (make/setup_llama.py)
environment  CMAKE_ARGS is handed to llama.cpp and remembered for later set-ups; CC, CXX, PIP_* mean what they always do

It ends by computing: a process of its own answers stored prompts with the bundled model (tools/selfcheck.py). Where
that process dies or answers otherwise, llama.cpp is built for any processor instead, and a line says so.

Plain Python without packages, in words that Python 3.6 can read, so that it can say that it is too old.
"""

import argparse
import contextlib
import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

from setup_commands import CONSTRAINTS, ROOT, Unfit, digest, follow, run, sentence
from setup_llama import WHEELS, builds, check, check_compilers, choose, compile_llama, kept_wheel, refuse

PROJECT = ROOT / "pyproject.toml"
OLDEST = (3, 11)


def right_python():
    """Go on in a newer Python if this one is too old and another is there."""
    if sys.version_info[:2] >= OLDEST:
        return
    for minor in range(20, OLDEST[1] - 1, -1):
        newer = shutil.which(f"python3.{minor}")
        if newer and not subprocess.call([newer, "-c", "import ensurepip"], stderr=subprocess.DEVNULL):
            os.execv(newer, [newer, *sys.argv])
    raise Unfit(
        f"Python {platform.python_version()} is too old: install 3.11 or newer (Debian and Ubuntu: apt install "
        "python3.11 python3.11-venv) and run make setup PYTHON=python3.11"
    )


def packages(extra):
    """Requirement names of the text path with the tests, or of one extra."""
    import tomllib

    project = tomllib.loads(PROJECT.read_text())["project"]
    extras = project["optional-dependencies"]
    return extras[extra] if extra else project["dependencies"] + extras["dev"]


def make_venv(venv, cut, log):
    """The environment that is there, or a new one. Returns its Python."""
    python = venv / "bin" / "python"
    if not python.exists():
        try:
            import ensurepip  # noqa: F401
        except ImportError:
            raise Unfit(
                "this Python cannot make virtual environments: install its venv package (Debian and Ubuntu: apt "
                "install python3-venv)"
            ) from None
        cut.write_text("{}")
        run("virtual environment", [sys.executable, "-m", "venv", venv], log)
        cut.unlink()
    return python


def recorded(path):
    """What a mark says of its set-up; nothing where it is not there."""
    return json.loads(path.read_text()) if path.exists() else {}


def install(python, extra, build, cut_short, log):
    """Install the packages, and a build of llama.cpp where one is given."""
    pip = [python, "-m", "pip", "install", "--constraint", CONSTRAINTS]
    if build:  # even over the same version, compiled otherwise
        run("installing llama.cpp", [*pip, "--no-deps", "--force-reinstall", kept_wheel(build)], log)
    if not installed_by_uv(python, extra, cut_short, log):
        run("installing packages", [*pip, *(["--force-reinstall"] if cut_short else []), *packages(extra)], log)


def installed_by_uv(python, extra, cut_short, log):
    """Whether uv is here and has installed the packages. It takes a fraction of pip's time, but knows no pip.conf."""
    uv = shutil.which("uv")
    if not uv:
        return False
    command = [uv, "pip", "install", "--python", python, "--constraint", CONSTRAINTS]
    code, said, _ = follow(
        "installing packages by uv", [*command, *(["--reinstall"] if cut_short else []), *packages(extra)], log
    )
    if code:
        sentence(f"uv did not install the packages ({said}); pip does")
    return not code


def wanted(extra, cmake_args, build):
    """What a finished set-up records of itself."""
    new = {"packages": digest(CONSTRAINTS.read_text(), packages(extra), sys.version_info[:2])}
    if not extra:
        new.update(cmake_args=cmake_args, llama=build.key)
    return new


class Place:
    """The environment and its marks: ``ready`` of a finished set-up, ``cut`` of one under way or cut short."""

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
        """Mark the environment as one that is being changed."""
        self.cut.write_text(json.dumps(new) + "\n")
        if self.ready.exists():
            self.ready.unlink()

    def finished(self):
        """Mark the environment as ready."""
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
    left_out = ""
    if build and build != builds(cmake_args)[0]:
        left_out = f"; {build.words} ({WHEELS.name}/*.refused says why)"
    if how:
        took = int(time.monotonic() - began)
        sentence(f"{venv} is ready: {how}, {len(packages(extra))} packages asked for, {took} s in all{left_out}")
    else:
        sentence(f"{venv} is ready, nothing to do{left_out}")


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
    """Set up; returns the exit status."""
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
