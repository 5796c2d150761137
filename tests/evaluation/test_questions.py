"""tools.questions: held-out questions are named by what they are, wherever they lie."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.builders import call
from verdicts.base.jsonl import write_text
from verdicts.evaluation.question_files import held_out_files

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path):
    for path in held_out_files(tmp_path / "held out", "bbu_line"):
        write_text(path, f"{path.name}\n")
    return tmp_path / "held out"


def named(folder) -> str:
    outcome = call("questions", held_out=folder, mission="bbu_line")
    assert outcome.code == 0, outcome.err
    return outcome.out.strip()


def test_the_same_questions_have_one_name_in_any_folder_at_any_time(folder, tmp_path):
    first = named(folder)
    assert len(first) == 16 and int(first, 16)
    shutil.copytree(folder, tmp_path / "it's elsewhere")
    assert named(tmp_path / "it's elsewhere") == first


@pytest.mark.parametrize("kind", ["stage_a", "summary", "dense"])
def test_another_line_in_any_file_is_another_name(folder, kind):
    first = named(folder)
    write_text(folder / f"bbu_line.{kind}.jsonl", "other\n")
    assert named(folder) != first


def test_files_that_change_places_are_other_questions(folder):
    first = named(folder)
    _, summary, dense = held_out_files(folder, "bbu_line")
    was = summary.read_bytes(), dense.read_bytes()
    summary.write_bytes(was[1])
    dense.write_bytes(was[0])
    assert named(folder) != first


@pytest.mark.parametrize("kind", ["stage_a", "summary", "dense"])
def test_a_file_that_is_not_there_is_named(folder, kind):
    path = folder / f"bbu_line.{kind}.jsonl"
    path.unlink()
    outcome = call("questions", held_out=folder, mission="bbu_line")
    assert (outcome.code, outcome.out) == (2, "") and f"{path}: no such file; " in outcome.err


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        (("bbu_line.dense.jsonl", "dense.jsonl"), "bbu_line.dense.jsonl"),
        (("dense.jsonl",), "dense.jsonl"),
        ((), "bbu_line.dense.jsonl"),
    ],
)
def test_a_file_of_no_mission_is_taken_where_the_missions_own_is_not_there(tmp_path, there, taken):
    held_out = tmp_path / "it's held $out"
    for name in there:
        write_text(held_out / name, f"{name}\n")
    assert held_out_files(held_out, "bbu_line")[2] == held_out / taken
    words = ["make", "-s", "GRAPH=1", "MISSION=bbu_line", "--eval", "asked: ; @printf %s $(call held,dense)", "asked"]
    env = {"PATH": os.environ["PATH"], "HELD_OUT": str(held_out)}
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.stdout == str(held_out / taken), done.stderr


def test_it_answers_before_anybody_waits(folder):
    started = time.process_time()
    named(folder)
    assert time.process_time() - started < 0.3
