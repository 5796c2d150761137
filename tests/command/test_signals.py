"""Ctrl-C, TERM, a closed terminal, a dead make, a dead engine, a full disk: each ends a tool at once, in one sentence.

Nothing half-made is left.
"""

import os
import pty
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.small_tools import (
    ROOT,
    as_by_hand,
    end_all,
    environment,
    left_of,
    small_tool,
    start,
    start_tool,
    wait_for,
)

SLOW = 3.0  # seconds that a busy machine may take to let a process run at all, beyond the two that a stop may take
STOP = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
READY = 'Path("begun").touch()\n'
linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")


@pytest.fixture(autouse=True)
def nothing_left(tmp_path):
    yield
    end_all(tmp_path)


def stop(process: subprocess.Popen, folder: Path, number: int) -> tuple[float, str]:
    """Send a signal once the tool is at work; returns seconds until it is gone, and its stderr."""
    wait_for((folder / "begun").exists)
    os.kill(process.pid, number)
    took = wait_for(lambda: process.poll() is not None)
    return took, process.communicate()[1]


@pytest.mark.parametrize(("number", "status"), STOP)
@pytest.mark.parametrize("how", ["", 'engine="llama.cpp"'])
def test_a_signal_ends_a_tool_with_one_sentence_that_says_how_to_go_on(tmp_path, number, status, how):
    process = start_tool(small_tool(tmp_path, READY + "time.sleep(60)", how))
    took, errors = stop(process, tmp_path, number)
    assert (process.returncode, errors) == (
        status,
        f"small: stopped by {number.name}; the same command goes on where it stopped\n",
    )
    assert took < 2 + SLOW and left_of(tmp_path) == []


@pytest.mark.parametrize(
    "body",
    [
        # the main thread in compiled code, where no handler of Python runs
        'hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)',
        "with ThreadPoolExecutor() as pool:\n"
        '    pool.submit(hashlib.pbkdf2_hmac, "sha256", b"", b"", 2**31 - 1).result()',
        "while True:\n    try:\n        time.sleep(60)\n    except BaseException:\n        pass",
        "try:\n    time.sleep(60)\nfinally:\n    time.sleep(60)",
    ],
)
def test_a_tool_ends_in_two_seconds_whatever_it_is_in_the_middle_of_and_leaves_no_file(tmp_path, body):
    writing = (
        "from verdicts.base.whole_file import beside\n"
        "with beside(folder / 'out.jsonl') as temporary:\n"
        "    temporary.touch()\n"
        "    "
    )
    process = start_tool(small_tool(tmp_path, writing + READY + "    " + body.replace("\n", "\n    ")))
    took, errors = stop(process, tmp_path, signal.SIGTERM)
    assert (process.returncode, errors.count("\n"), took < 2 + SLOW) == (143, 1, True), errors
    assert not [path.name for path in tmp_path.iterdir() if "out.jsonl" in path.name]


def test_a_tool_ends_although_nobody_reads_what_it_says(tmp_path):
    process = start_tool(small_tool(tmp_path, READY + "while True:\n    cli.complain('x' * 9999)"))
    wait_for((tmp_path / "begun").exists)
    time.sleep(1)
    process.terminate()
    assert wait_for(lambda: process.poll() is not None) < 2 + SLOW and process.returncode == 143


def test_a_signal_that_was_switched_off_stays_off(tmp_path):
    process = start_tool(
        small_tool(tmp_path, READY + "time.sleep(1)\nprint('done')"),
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    wait_for((tmp_path / "begun").exists)
    os.kill(process.pid, signal.SIGHUP)
    assert process.communicate()[0] == "done\n" and process.returncode == 0


def test_ctrl_c_while_a_tool_still_imports_shows_no_traceback():
    program = (
        "import os, signal, sys\nsys.argv = ['-m']\nimport tools\nos.kill(os.getpid(), signal.SIGINT)\nprint('alive')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, preexec_fn=as_by_hand
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_a_closed_terminal_ends_a_tool(tmp_path):
    ours, theirs = pty.openpty()
    tool = small_tool(tmp_path, READY + "time.sleep(60)", 'engine="llama.cpp"')
    process = start(
        tmp_path, "setsid", "--ctty", "--wait", sys.executable, tool, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    wait_for((tmp_path / "begun").exists)
    os.close(ours)
    assert wait_for(lambda: process.poll() is not None) < 2 + SLOW
    assert process.returncode == 129 and left_of(tmp_path) == []


def test_a_closed_stderr_ends_no_work(tmp_path):
    tool = small_tool(tmp_path, "for _ in range(9):\n    cli.say('a sentence')\n(folder / 'done').touch()")
    reader, writer = os.pipe()
    os.close(reader)
    process = start_tool(tool, stderr=writer)
    os.close(writer)
    assert process.wait() == 0 and (tmp_path / "done").exists()


def test_a_reader_that_has_enough_ends_a_tool_without_a_word(tmp_path):
    tool = small_tool(tmp_path, "print('line\\n' * 100_000)")
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} {tool} | head -1"], capture_output=True, text=True, env=environment(tmp_path)
    )
    assert (done.stdout, done.stderr) == ("line\n", "")


# -- the make above


MAKEFILE = """SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
{root}
all:
	@ask() {{ echo on; }}; \\
	next=$$(ask); while [ -n "$$next" ]; do $(MAKE) round; next=$$(ask); done
round:
	@echo "$$PPID" >inner; {python} {tool}
direct:
	@{python} {tool}
"""


def root_lines() -> str:
    """The lines of the project's Makefile that name the make which a person called."""
    return re.search(
        r"^ifeq \(undefined,\$\(origin MAKE_ROOT\)\)\n.*?^endif$",
        (ROOT / "Makefile").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )[0]


@linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("target", ["all", "direct"])
@pytest.mark.parametrize("how", ["", 'engine="llama.cpp"'])
def test_a_signal_to_make_alone_ends_all_that_it_started(tmp_path, number, target, how):
    tool = small_tool(tmp_path, READY + "time.sleep(60)", how)
    (tmp_path / "Makefile").write_text(
        MAKEFILE.format(root=root_lines(), python=sys.executable, tool=tool), encoding="utf-8"
    )
    process = start(tmp_path, "make", target)
    wait_for((tmp_path / "begun").exists)
    os.kill(process.pid, number)
    assert wait_for(lambda: not left_of(tmp_path)) < 2 + SLOW
    assert process.wait() in (-number, 2, 130) and "Traceback" not in process.communicate()[1]


@linux
def test_a_tool_that_an_orphan_starts_does_nothing(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    tool = small_tool(tmp_path, "time.sleep(30)\nPath('begun').touch()")
    process = start_tool(tool, env=environment(tmp_path, MAKE_ROOT=f"{ended.pid}:1:{os.uname().nodename}"))
    assert (
        process.communicate()[1]
        == "small: stopped, since the make that asked for it has ended; the same command goes on where it stopped\n"
    )
    assert process.returncode == 143 and not (tmp_path / "begun").exists()


@linux
@pytest.mark.parametrize("root", ["", "nonsense", "1:x:y", "999999999:7:another-machine"])
def test_a_root_that_says_nothing_of_this_machine_is_no_reason_to_stop(tmp_path, root):
    tool = small_tool(tmp_path, "time.sleep(0.5)\nprint('done')")
    process = start_tool(tool, env=environment(tmp_path, MAKE_ROOT=root))
    assert process.communicate() == ("done\n", "")


# -- the engine below


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (
            signal.SIGSEGV,
            "small: llama.cpp died (SIGSEGV): this build does not fit this processor, or the model file is damaged or "
            "changed while it was read; run `CMAKE_ARGS=-DGGML_NATIVE=OFF make setup`, and check the file\n",
        ),
        (signal.SIGILL, "small: llama.cpp died (SIGILL): this build does not fit"),
        (signal.SIGABRT, "small: llama.cpp died (SIGABRT): this build does not fit"),
        (signal.SIGFPE, "small: llama.cpp died (SIGFPE): this build does not fit"),
        (signal.SIGBUS, "small: llama.cpp died (SIGBUS): the model file changed while it was read"),
        (signal.SIGKILL, "small: killed (SIGKILL), by hand or because memory ran out"),
    ],
)
def test_an_engine_that_dies_of_a_signal_is_explained(tmp_path, number, says):
    process = start_tool(
        small_tool(tmp_path, f"os.kill(os.getpid(), {int(number)})\ntime.sleep(60)", 'engine="llama.cpp"')
    )
    _, errors = process.communicate()
    assert process.returncode == 2 and errors.startswith(says) and errors.count("\n") == 1


@pytest.mark.parametrize(
    ("body", "status"), [("raise typer.Exit(1)", 1), ("sys.exit(7)", 7), ("print('out')", 0), ("1 / 0", 1)]
)
def test_a_supervised_tool_ends_as_it_would_alone(tmp_path, body, status):
    alone = start_tool(small_tool(tmp_path, body, name="alone"))
    supervised = start_tool(small_tool(tmp_path, body, 'engine="torch"', name="supervised"))
    (out, errors), (same_out, same_errors) = alone.communicate(), supervised.communicate()
    assert alone.returncode == supervised.returncode == status
    assert (out, errors.count("\n")) == (same_out, same_errors.replace("supervised", "alone").count("\n"))


@linux
def test_a_killed_supervisor_takes_its_child_with_it(tmp_path):
    process = start_tool(small_tool(tmp_path, READY + "time.sleep(60)", 'engine="llama.cpp"'))
    wait_for((tmp_path / "begun").exists)
    process.kill()
    process.wait()
    assert wait_for(lambda: not left_of(tmp_path)) < 1 + SLOW


# -- the disk


def limited(bytes_: int):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, bytes_))


WRITE = 'from verdicts.base.jsonl import write_text\nwrite_text(folder / "out.jsonl", "x" * 5000)'
APPEND = 'from verdicts.base.part_file import PartFile\nPartFile(folder / "out.jsonl", "digest").append("x" * 5000)'


@pytest.mark.parametrize("body", [WRITE, APPEND])
def test_a_disk_that_refuses_is_one_sentence_and_what_was_there_stays(tmp_path, body):
    (tmp_path / "out.jsonl").write_text("earlier\n", encoding="utf-8")
    process = start_tool(small_tool(tmp_path, body), preexec_fn=limited(4096))
    _, errors = process.communicate()
    assert errors == (
        "out.jsonl: no file may be that long here; raise the limit (ulimit -f), "
        "then give the same command again: what was there is as it was\n"
    )
    assert process.returncode == 2 and (tmp_path / "out.jsonl").read_text(encoding="utf-8").startswith("earlier\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "small.py"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_one_sentence(tmp_path):
    with open("/dev/full", "w") as full:
        process = start_tool(
            small_tool(tmp_path, "print('x')"), stdout=full, env=environment(tmp_path, PYTHONUNBUFFERED="")
        )
    assert (
        process.communicate()[1].startswith("standard output: the disk is full; make room") and process.returncode == 2
    )


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("a_file/out.jsonl", "a_file: a file stands where a folder is wanted"),
        ("a_file/below/out.jsonl", "a_file/below: a file stands where a folder is wanted"),
        ("a_folder", "a_folder: is a folder where a file is wanted"),
        ("x" * 300 + ".jsonl", "x.jsonl: the name is too long"),
    ],
)
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path, place, says):
    (tmp_path / "a_file").touch()
    (tmp_path / "a_folder").mkdir()
    process = start_tool(small_tool(tmp_path, WRITE.replace('"out.jsonl"', repr(place))))
    _, errors = process.communicate()
    assert process.returncode == 2 and says in errors and errors.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_file", "a_folder", "small.py"]


def in_a_namespace(tmp_path: Path, mount: str, tool: Path) -> subprocess.CompletedProcess:
    """Run a tool where ``mount`` holds for it alone."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("unshare -rm is not allowed here")
    done = subprocess.run(
        ["unshare", "-rm", "bash", "-c", f"{mount}; exec {sys.executable} {tool} --folder disk"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=environment(tmp_path),
    )
    if "mount:" in done.stderr:
        pytest.skip(done.stderr)
    return done


@pytest.mark.parametrize(
    ("mount", "says"),
    [
        (
            "mount -t tmpfs -o size=16k none disk; echo earlier >disk/out.jsonl",
            "disk/out.jsonl: the disk is full; make room, then give the same command again",
        ),
        (
            "mount --bind disk disk; mount -o remount,bind,ro disk",
            "disk/out.jsonl: the disk can only be read; name a place that can be written",
        ),
    ],
)
@pytest.mark.parametrize("body", [WRITE.replace("5000", "50_000"), APPEND.replace("5000", "50_000")])
def test_a_full_and_a_read_only_disk_are_one_sentence_each(tmp_path, mount, says, body):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/out.jsonl").write_text("earlier\n", encoding="utf-8")
    looked = "\nfinally:\n    print(*sorted(os.listdir(folder)), (folder / 'out.jsonl').read_text()[:8].strip())"
    done = in_a_namespace(tmp_path, mount, small_tool(tmp_path, "try:\n    " + body.replace("\n", "\n    ") + looked))
    assert (
        (done.returncode, done.stdout) == (2, "out.jsonl earlier\n")
        and done.stderr.startswith(says)
        and done.stderr.count("\n") == 1
    )


def test_a_full_disk_inside_a_compiled_library_is_one_sentence(tmp_path):
    failing = (
        "from verdicts.base.whole_file import writing\n"
        "with writing(folder / 'made'):\n"
        "    raise RuntimeError('I/O error: No space left on device (os error 28)')"
    )
    process = start_tool(small_tool(tmp_path, failing))
    assert (
        process.communicate()[1]
        == "made: the disk is full; make room, then give the same command again: what was there is as it was\n"
    )
    assert process.returncode == 2
