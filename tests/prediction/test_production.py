"""Production's contract: the packing rules by hand, bad input, and one call with the real miniature student."""

from pathlib import Path

import pytest

from tests.support.builders import MISSION, guidance
from verdicts.base.jsonl import write_text
from verdicts.config.load import load
from verdicts.config.tools import section_text
from verdicts.prediction.production import TO_JUDGE, packed, predict, sub_tasks
from verdicts.records.guidance import write_guidance
from verdicts.records.predictions import Prediction
from verdicts.stage_b.protocol import render

pytest.importorskip("torch", reason="the student needs torch: make setup-student")

from PIL import Image


def prediction(verdict, reason, images=("1", "2"), **fields) -> Prediction:
    known = {
        "group_id": "a", "mission": MISSION, "images": list(images),
        "per_image": {f"image_{at}": "x" for at in range(1, len(images) + 1)}, "answer": "", "said": verdict,
        "verdict": verdict, "reason": reason, "lines": reason and render(verdict, reason), "p_fail": None,
        "threshold": None, "decided_by": verdict and "model", "why": None, "detail": "", "missing": [],
    }  # fmt: skip
    return Prediction.model_validate(known | fields)


@pytest.mark.parametrize(
    ("reason", "tasks"),
    [
        ("Image1: 螺丝松动; 缺少标签; Image2: 合格; 总结: 不合格", [["螺丝松动", "缺少标签"], ["合格"]]),
        ("Image2：标签模糊；总结：不合格", [[], ["标签模糊"]]),
        ("image1: 甲; Image1: 乙", [["甲", "乙"], []]),
        ("缺少标签; 螺丝松动(G1)", [["缺少标签; 螺丝松动(G1)"]] * 2),
        ("Image9: 别的照片", [["Image9: 别的照片"]] * 2),
        ("Image1: ; 总结: 不合格", [["Image1: ; 总结: 不合格"]] * 2),
    ],
)
def test_a_reason_is_cut_at_photos_and_semicolons_and_without_them_said_of_each(reason, tasks):
    assert sub_tasks(reason, 2) == tasks


@pytest.mark.parametrize(("verdict", "status", "total"), [("pass", "Pass", True), ("fail", "Fail", False)])
def test_every_task_has_the_status_of_the_ticket(verdict, status, total):
    assert packed(prediction(verdict, "Image1: 甲; Image2: 乙"), 2) == {
        "identify_result": [[["甲", status, TO_JUDGE]], [["乙", status, TO_JUDGE]]],
        "if_total_pass": total,
        "annotated_images": None,
    }


def test_a_photo_that_was_not_used_keeps_its_place_and_shifts_no_other():
    lost = [{"image": "1", "reason": "broken", "detail": ""}]
    found = packed(prediction("pass", "Image1: 甲", images=["2"], missing=lost), 2)
    assert found["identify_result"] == [[["照片未使用（broken）", "Pass", TO_JUDGE]], [["甲", "Pass", TO_JUDGE]]]


def test_a_ticket_without_a_verdict_fails_and_says_why():
    found = packed(prediction(None, None, why="cut_off", detail="x"), 2)
    assert not found["if_total_pass"]
    assert found["identify_result"][0] == [["没有判定（cut_off）：x", "Fail", TO_JUDGE]]
    lost = [{"image": "1", "reason": "broken", "detail": ""}]
    nothing = packed(prediction(None, None, images=(), why="no_photo_left", detail="x", missing=lost), 1)
    assert not nothing["if_total_pass"] and len(nothing["identify_result"][0]) == 2


def test_no_photo_no_student_and_another_mission_are_value_errors():
    with pytest.raises(ValueError, match="输入图片列表为空"):
        predict(images=[])
    with pytest.raises(ValueError, match="no student"):
        predict(images=[Image.new("RGB", (64, 64))])


def test_one_call_gives_a_list_a_photo_of_strings_whatever_else_is_said(tmp_path):
    config = load("miniature", "bbu_line")
    write_text(tmp_path / "config/predict.yaml", section_text(config, "predict"))
    write_guidance(tmp_path / "guidance.json", config.mission.name, guidance(1, G1="出现电线散乱则不通过"))
    told = {"run": str(tmp_path), "student": str(Path("data/miniature/student")), "mission": "bbu_line"}
    photos = [Image.new("RGB", (64, 64), (60, 80, 40)), Image.new("RGB", (900, 2)), Image.new("L", (64, 64), 9)]
    said = predict(images=photos, device="cpu", task_configs=told, extra_info={"group_id": "T"}, anything=1)
    assert set(said) == {"identify_result", "if_total_pass", "annotated_images"} and len(said["identify_result"]) == 3
    assert all(isinstance(word, str) for own in said["identify_result"] for entry in own for word in entry)
    assert said["identify_result"][1][0][0] == "照片未使用（too_narrow）"
    with pytest.raises(ValueError, match="is not the student's"):
        predict(images=photos, task_configs=told, extra_info={"mission": "rru_cable"})
