"""Commands of the set-up: run into a log, under a line that says how long one has run and how far it is.

Plain Python without packages: it runs before the virtual environment is there.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
SECONDS_BETWEEN_LINES = 15


class Unfit(Exception):
    """What the user can mend: one line."""


def sentence(text):
    """Say something on stderr."""
    print("set-up: " + text, file=sys.stderr, flush=True)


def digest(*parts):
    """Twelve hexadecimal digits that name these values."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


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
        """Take from a line of pip's or the compiler's how far the step is."""
        step = next((say for start, say in STEPS if line.startswith(start)), None)
        if step:
            self.count = "  " + step
        counted = re.search(r"\[(\d+)/(\d+)\] ", line)
        if counted:
            done, total = int(counted.group(1)), int(counted.group(2))
            self.count = f"  {done}/{total} files ({100 * done // total} %)"

    def seconds(self):
        """How long the step has run."""
        return time.monotonic() - self.started

    def show(self):
        """Say so: on a terminal at once, elsewhere every SECONDS_BETWEEN_LINES."""
        minutes, seconds = divmod(int(self.seconds()), 60)
        text = f"set-up: {self.name}  {minutes}:{seconds:02d}{self.count}"
        if self.terminal:
            sys.stderr.write("\r\033[K" + text)
            sys.stderr.flush()
        elif self.seconds() - self.said >= SECONDS_BETWEEN_LINES:
            self.said = self.seconds()
            print(text, file=sys.stderr, flush=True)

    def close(self):
        """Wipe the line."""
        if self.terminal:
            sys.stderr.write("\r\033[K")


def follow(name, command, log, more_environment=None):
    """Run a command into the log under a status line. Returns its exit status, its last line and seconds."""
    # make's own flags must not reach a make that CMake may start, nor another library the check of the installed one
    foreign = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "LLAMA_CPP_LIB_PATH", "RUN_LOG", "QUIET")
    environment = {k: v for k, v in os.environ.items() if k not in foreign}
    # for build tools too; the second is pip's newer name
    pins = dict.fromkeys(("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT"), str(CONSTRAINTS))
    environment.update(more_environment or {}, **pins, PIP_DISABLE_PIP_VERSION_CHECK="1", PYTHONUNBUFFERED="1")
    status, last = Status(name), ["no reason given"]
    with log.open("a", encoding="utf-8") as out:
        out.write(f"$ {' '.join(map(str, command))}\n")
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
        text = log.read_text(encoding="utf-8", errors="replace")
        said = text.partition("error: subprocess-exited-with-error")[0]  # pip's own view follows
        print("\n".join(said.rstrip().splitlines()[-30:]), file=sys.stderr)
        raise Unfit(
            f"{name} failed (exit {code}): the lines above are the end of {log}; docs/setup.md knows the usual causes"
        )
    return seconds
