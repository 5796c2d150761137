"""tools.questions: held-out questions are named by what they are, wherever they lie."""

import shutil
import time

import pytest

from tests.support.builders import call
from verdicts.base.jsonl import write_text
from verdicts.evaluation.question_files import held_out_files


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


def test_it_answers_before_anybody_waits(folder):
    started = time.process_time()
    named(folder)
    assert time.process_time() - started < 0.3
