"""Photos without labels: the same summaries as summarize's, every photo and file accounted for, kills gone on after."""

import shutil
from pathlib import Path

import pytest

from tests.support.builders import Outcome, call, guidance, snapshot
from verdicts.base.jsonl import read_rows, write_rows, write_text
from verdicts.config.load import load
from verdicts.config.tools import section_text
from verdicts.prediction.photos import is_of_photos
from verdicts.records.guidance import write_guidance
from verdicts.records.predictions import Prediction
from verdicts.records.tickets import Refused, StageA
from verdicts.student import summaries

pytest.importorskip("torch", reason="the student needs torch: make setup-student")

from PIL import Image

STUDENT = Path("data/miniature/student")


class Killed(BaseException):
    """A kill in the middle."""


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two groups below label folders; one has a broken photo, and a file lies beside them."""
    config = load("miniature", "bbu_line")
    for tool in ("predict", "summarize"):
        write_text(tmp_path / f"{tool}.yaml", section_text(config, tool))
    write_guidance(tmp_path / "guidance.json", config.mission.name, guidance(1, G1="出现电线散乱则不通过"))
    for place, shade in (("审核通过/a/1.png", 60), ("审核不通过/b/1.png", 90), ("审核不通过/b/2.png", 200)):
        path = tmp_path / "labelled" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 64), (shade, 80, 40)).save(path)
    write_text(tmp_path / "labelled/审核通过/a/2.jpg", "no photo")
    for group in ("审核通过/a", "审核不通过/b"):
        shutil.copytree(tmp_path / "labelled" / group, tmp_path / "new" / group.rpartition("/")[2])
    write_text(tmp_path / "new/notes.txt", "x")
    return tmp_path


def predict(folder: Path, tickets: Path, output: Path) -> Outcome:
    return call(
        "predict", config=folder / "predict.yaml", tickets=tickets, guidance=folder / "guidance.json",
        student=STUDENT, output=output,
    )  # fmt: skip


def test_photos_in_folders_with_or_without_labels_and_in_a_manifest_get_what_summarize_and_predict_give(
    folder, monkeypatch
):
    stage_a = folder / "stage_a.jsonl"
    made = call(
        "summarize", config=folder / "summarize.yaml", mission="bbu_line", input=folder / "labelled", output=stage_a
    )
    assert made.code == 0, made.err
    wanted = {row.group_id: list(row.per_image.values()) for row in read_rows(stage_a, StageA)}

    output = folder / "out" / "predictions.jsonl"
    answer = summaries.answer_batches
    monkeypatch.setattr("verdicts.prediction.student.decide", _killed)
    with pytest.raises(Killed):
        predict(folder, folder / "new", output)
    monkeypatch.undo()
    asked = []

    def counted(student, left, *more):
        asked.extend(left)
        return answer(student, left, *more)

    monkeypatch.setattr("verdicts.prediction.photos.answer_batches", counted)
    outcome = predict(folder, folder / "new", output)
    assert outcome.code == 0 and asked == [], "what the killed run saved is not asked again"
    found = read_rows(output, Prediction)
    assert {row.group_id: list(row.per_image.values()) for row in found} == wanted
    assert [(one.image.rpartition("/")[2], one.reason) for row in found for one in row.missing] == [
        ("2.jpg", "not_an_image")
    ]
    assert "1 files are in no group" in outcome.err
    assert [row.reason for row in read_rows(output.with_name("photos.refused.jsonl"), Refused)] == ["no_group"]
    assert not list(output.parent.glob(".*.part"))
    whole = folder / "whole" / "predictions.jsonl"
    assert predict(folder, folder / "new", whole).code == 0
    assert snapshot(whole.parent)["predictions.jsonl"] == output.read_bytes()


def _killed(*_: object) -> None:
    raise Killed


def test_a_manifest_is_told_from_summaries_and_its_labels_are_not_read(folder):
    write_rows(folder / "m.jsonl", [{"group_id": "a", "label": 7, "images": ["new/a/1.png"]}])
    assert is_of_photos(folder / "m.jsonl") and is_of_photos(folder / "new")
    write_rows(folder / "s.jsonl", [{"group_id": "a", "images": [], "per_image": {"image_1": "x"}}])
    assert not is_of_photos(folder / "s.jsonl")
    outcome = predict(folder, folder / "m.jsonl", folder / "out" / "predictions.jsonl")
    assert outcome.code == 0 and "labels not read: 1" in outcome.err


def test_a_folder_without_groups_and_a_manifest_row_of_another_form_end_in_one_sentence(folder):
    (folder / "empty").mkdir()
    write_text(folder / "m.jsonl", '{"group_id": "a", "images": ["x.png"], "photos": 1}\n')
    for given, said in (("empty", "no group of photos in it"), ("m.jsonl", "m.jsonl:1: photos: unknown field")):
        outcome = predict(folder, folder / given, folder / "out" / "predictions.jsonl")
        assert outcome.code == 2 and said in outcome.err and not (folder / "out").exists()
