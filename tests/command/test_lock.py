"""One command at a time writes into a run folder; another, even of the same instant, is told who does.

A dead one's claim counts no more.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.builders import RunFolder, ticket
from tests.support.small_tools import ROOT, end_all, environment, small_tool, start, start_tool, wait_for
from verdicts.base.jsonl import write_text
from verdicts.command import lock

WRITES = 'writes="folder"'
SLEEP = 'Path(f"begun-{os.getpid()}").touch()\ntime.sleep(60)'
DONE = "print('done')"
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="who is alive is read from Linux's /proc"
)


@pytest.fixture(autouse=True)
def nothing_left(tmp_path):
    yield
    end_all(tmp_path)


@pytest.fixture
def run(tmp_path) -> Path:
    folder = tmp_path / "runs/exp/bbu_line"
    (folder / "config").mkdir(parents=True)
    (folder / "config/distill.yaml").touch()
    return folder


@pytest.fixture
def make(tmp_path) -> tuple[int, str]:
    """A process that stands for a make (it catches what make catches): its number, and how MAKE_ROOT names it."""
    process = start(tmp_path, "bash", "-c", "trap : INT TERM HUP; touch made; sleep 100; :")
    wait_for((tmp_path / "made").exists)
    return process.pid, f"{process.pid}::{os.uname().nodename}"


def holder(tmp_path: Path, folder: Path, **env: str) -> subprocess.Popen:
    """A tool that holds a folder until it is ended."""
    process = start_tool(
        small_tool(tmp_path, SLEEP, WRITES, name="holder"), "--folder", folder, env=environment(tmp_path, **env)
    )
    wait_for(lambda: list(tmp_path.glob("begun-*")))
    return process


def other(tmp_path: Path, folder: Path, **env: str) -> tuple[int, str, str]:
    """What another tool says that wants the folder."""
    process = start_tool(
        small_tool(tmp_path, DONE, WRITES, name="other"), "--folder", folder, env=environment(tmp_path, **env)
    )
    out, errors = process.communicate()
    return process.returncode, out, errors


def test_the_second_command_is_told_who_holds_the_folder_and_since_when(tmp_path, run):
    first = holder(tmp_path, run)
    status, out, errors = other(tmp_path, run)
    assert (status, out) == (2, "")
    assert (
        errors.startswith(f"{run}: is held by `{sys.executable} {tmp_path}/holder.py --folder {run}"[:100])
        and f"(pid {first.pid}, since " in errors
    )
    assert errors.endswith(f"); wait for it, stop it (kill {first.pid}), or name another RUN\n")
    assert other(tmp_path, run.parent / "bbu_cable")[:2] == (0, "done\n")


@pytest.mark.parametrize(
    "below", ["rounds/0001", "evaluation/after.json", "summaries/stage_a.jsonl", ".", "rounds/0001/guidance.json"]
)
def test_whatever_is_written_below_a_run_folder_the_whole_run_is_held(tmp_path, run, below):
    assert lock.folder_of(run / below) == run
    assert lock.folder_of(tmp_path / "elsewhere" / below) == (tmp_path / "elsewhere" / below).resolve()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_holder_is_no_holder(tmp_path, run, number):
    first = holder(tmp_path, run)
    first.send_signal(number)
    first.wait()
    assert other(tmp_path, run) == (0, "done\n", "")


def test_the_number_of_a_dead_holder_taken_by_another_process_does_not_count(tmp_path, run, make):
    assert other(tmp_path, run, MAKE_ROOT=make[1])[0] == 0
    assert other(tmp_path, run)[0] == 2  # it is alive
    with lock._note_of(run) as note:
        said = note.read().replace(f'"root": [{make[0]}, ', f'"root": [{make[0]}, 1')
        note.seek(0)
        note.truncate()
        note.write(said)
    assert other(tmp_path, run) == (0, "done\n", "")


def test_tools_of_one_make_share_a_folder(tmp_path, run, make):
    holder(tmp_path, run, MAKE_ROOT=make[1])
    assert other(tmp_path, run, MAKE_ROOT=make[1]) == (0, "done\n", "")
    assert other(tmp_path, run)[0] == 2


def test_a_make_holds_the_folder_between_its_tools(tmp_path, run, make):
    assert other(tmp_path, run, MAKE_ROOT=make[1])[0] == 0
    status, _, errors = other(tmp_path, run)
    assert status == 2 and f"(pid {make[0]}, since " in errors


def test_a_tool_still_at_work_without_a_note_is_waited_for_and_then_named_as_unknown(tmp_path, run):
    first = holder(tmp_path, run)
    with lock._note_of(run) as note:
        note.truncate()
    begun = time.monotonic()
    assert (
        other(tmp_path, run)[2]
        == f"{run}: a command of another machine, container or user writes here; wait for it, or name another RUN\n"
    )
    assert time.monotonic() - begun >= lock.PATIENCE_S
    first.kill()


def test_of_eight_that_begin_at_the_same_instant_one_goes_on(tmp_path, run):
    over = tmp_path / "over"
    holds = f"print('mine', flush=True)\nwhile not Path({str(over)!r}).exists():\n    time.sleep(0.05)"
    tool = small_tool(tmp_path, holds, WRITES)
    at_once = f"while [ ! -e {tmp_path}/go ]; do :; done; exec {sys.executable} {tool} --folder {run}"
    processes = [start(tmp_path, "bash", "-c", at_once) for _ in range(8)]
    (tmp_path / "go").touch()
    wait_for(lambda: sum(process.poll() is not None for process in processes) >= 7)
    over.touch()
    said = [process.communicate() for process in processes]
    assert sorted(process.returncode for process in processes) == [0, *[2] * 7]
    assert [out for out, _ in said if out] == ["mine\n"]
    assert all("is held by" in errors for out, errors in said if not out)


def test_nothing_of_a_lock_lies_in_the_folder_and_what_dead_writers_left_is_swept(tmp_path, run):
    ended = subprocess.Popen(["true"])
    ended.wait()
    (run / "rounds/0001").mkdir(parents=True)
    for name in (
        f".loop.json.{ended.pid}-00ff00.tmp",
        f"rounds/0001/.guidance.json.{ended.pid}-00ff00.tmp",
        f".loop.json.{os.getpid()}-00ff00.tmp",
        ".mine.tmp",
    ):
        (run / name).touch()
    assert other(tmp_path, run)[0] == 0
    left = sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file() and path.suffix != ".yaml")
    assert left == [f".loop.json.{os.getpid()}-00ff00.tmp", ".mine.tmp"]


def test_who_writes_a_file_sweeps_what_a_killed_writer_of_it_left(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    for name in (
        f".a[1].jsonl.{ended.pid}-00ff00.tmp",
        f".a[1].jsonl.{os.getpid()}-00ff00.tmp",
        f".other.jsonl.{ended.pid}-00ff00.tmp",
    ):
        (tmp_path / name).touch()
    write_text(tmp_path / "a[1].jsonl", "x")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["a[1].jsonl", f".a[1].jsonl.{os.getpid()}-00ff00.tmp", f".other.jsonl.{ended.pid}-00ff00.tmp"]
    )


# -- the real tools

WRITING = {
    "prepare": "run_dir", "rollout": "output_dir", "reflect": "round_dir", "apply": "output", "next_round": "output",
    "collect": "output_dir", "aggregate_review": "output_dir", "distill": "output_dir", "review_apply": "run_dir",
    "evaluate": "output", "gate": "output", "summarize": "output", "fuse": "config", "sft": "output_dir",
    "baseline": "output_dir", "import_data": "output_dir", "predict": "output", "calibrate": "output",
    "export": "output_dir", "export_gate": "output", "lint_corpus": "output", "behaviour": "output",
    "suspects": "output",
}  # fmt: skip


def test_every_tool_that_writes_into_a_run_holds_it_and_no_other_does():
    held = {
        path.stem
        for path in (ROOT / "tools").glob("*.py")
        if "writes=" in path.read_text(encoding="utf-8").partition('if __name__ == "__main__":')[2]
    }
    assert held == set(WRITING)


@pytest.mark.parametrize("tool", ["collect", "review_apply"])
def test_a_tool_is_refused_while_another_command_holds_the_run_and_pages_are_not(tmp_path, run, tool):
    made = RunFolder(run, [ticket("a"), ticket("c", "fail")])
    made.play({"a::pass": "pass", "c::fail": "pass"}).play({"a::pass": "pass", "c::fail": "pass"}).finish().complete()
    words = {
        "collect": [
            "--config",
            run / "config" / "collect.yaml",
            "--loop",
            made.loop,
            "--rounds",
            made.rounds,
            "--stage-a",
            made.stage_a,
            "--output-dir",
            run,
        ],
        "review_apply": ["--run-dir", run],
        "review_page": ["--run-dir", run, "--output", run / "review.html"],
    }
    first = holder(tmp_path, run)

    def call(name: str) -> tuple[int, str]:
        process = start(ROOT, sys.executable, "-m", f"tools.{name}", *words[name], env=environment(tmp_path))
        return (process.wait(), process.communicate()[1])

    status, errors = call(tool)
    assert status == 2 and "is held by" in errors and errors.count("\n") == 1
    assert "is held by" not in call("review_page")[1]
    first.kill()
    first.wait()
    assert call(tool)[0] == 0
