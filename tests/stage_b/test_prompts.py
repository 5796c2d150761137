"""What a model reads is rendered in one place, and a label is never in it."""

import inspect
import shutil

import pytest

from tests.support.builders import G0, MISSION, ticket
from verdicts.base.errors import UserError
from verdicts.stage_b import prompts
from verdicts.stage_b.prompts import (
    Case,
    reflect_system,
    reflect_user,
    render_guidance,
    stage_b_system,
    stage_b_user,
)


def test_rules_stand_in_the_order_of_their_numbers():
    assert render_guidance({"G10": "十", "G0": "零", "G2": "二"}) == "G0: 零\nG2: 二\nG10: 十"


def test_the_system_message_holds_mission_and_rules():
    text = stage_b_system(MISSION, {"G0": G0, "G3": "出现标签无法识别则不通过"})
    assert f"任务：{MISSION}\n" in text
    assert f"G0: {G0}\nG3: 出现标签无法识别则不通过\n" in text


def test_the_user_message_holds_cleaned_summaries_one_photo_a_line():
    text = stage_b_user({"image_1": "BBU设备/需复核备注:无法判断", "image_2": "电线/散乱\n×1"})
    assert text.endswith("image_1: BBU设备/备注:无法判断\nimage_2: 电线/散乱 ×1")


def test_braces_in_summaries_and_rules_stay_text():
    assert "标签/{0}{x}" in stage_b_user({"image_1": "标签/{0}{x}"})
    assert "规则{mission}" in stage_b_system(MISSION, {"G0": "规则{mission}"})


def test_stage_b_cannot_be_told_a_label_or_an_id():
    for function in (stage_b_system, stage_b_user):
        assert not {"label", "ticket", "group_id", "ticket_key"} & set(inspect.signature(function).parameters)


def test_a_reflection_case_shows_label_and_verdict_in_the_model_s_words():
    case = Case("fail", "pass", ticket("QC-7").per_image)
    text = reflect_user([case, Case("pass", "fail", {"image_1": "x"})])
    assert "案例1 人工:不通过 模型:通过\nimage_1: 螺丝" in text
    assert "案例2 人工:通过 模型:不通过\nimage_1: x" in text
    assert "QC-7" not in text


def test_the_reflection_prompt_shows_its_json_form_with_single_braces():
    assert '{"operations":[{"op":"add"' in reflect_system(MISSION, {"G0": G0}) + reflect_user([])


def test_every_prompt_file_named_here_is_there():
    named = {prompts.STAGE_B_SYSTEM, prompts.STAGE_B_USER, prompts.REFLECT_SYSTEM, prompts.REFLECT_USER}
    assert named <= {path.name for path in prompts.PROMPTS_DIR.glob("*.txt")}


# -- templates that were edited
@pytest.fixture
def templates(tmp_path, monkeypatch):
    """A copy of configs/prompts, and the package told to read it."""
    shutil.copytree(prompts.PROMPTS_DIR, tmp_path / "prompts")
    monkeypatch.setattr(prompts, "PROMPTS_DIR", tmp_path / "prompts")
    return tmp_path / "prompts"


ALL = (*prompts.STAGE_B, *prompts.REFLECT)


def test_the_templates_of_the_repository_are_whole():
    prompts.check_prompts(ALL)


@pytest.mark.parametrize(
    ("name", "placeholder"),
    [
        (prompts.STAGE_B_SYSTEM, "guidance"),
        (prompts.STAGE_B_USER, "summaries"),
        (prompts.REFLECT_SYSTEM, "guidance"),
        (prompts.REFLECT_USER, "cases"),
    ],
)
def test_a_template_without_what_it_is_about_is_refused(templates, name, placeholder):
    path = templates / name
    path.write_text(path.read_text(encoding="utf-8").replace(f"{{{placeholder}}}", ""), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        prompts.check_prompts(ALL)
    assert str(caught.value) == f"{path}: has no {{{placeholder}}}; write {{{placeholder}}} where it is to stand"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{summaries}{guidance}", "{guidance} is no placeholder of this prompt; write {summaries}, and {{ and }} for"),
        ("{summaries}{}", "{} is no placeholder"),
        ("{summaries:>40}", "{summaries} is no placeholder"),
        ("{summaries.x}", "{summaries.x} is no placeholder"),
        ("{summaries} {", "a brace stands alone (single '{' encountered in format string); write {{ and }} for"),
        ("{summaries} }", "a brace stands alone"),
        ("{{summaries}}", "has no {summaries}"),
    ],
)
def test_a_template_with_another_placeholder_or_a_lone_brace_is_refused(templates, text, why):
    (templates / prompts.STAGE_B_USER).write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        prompts.check_prompts(prompts.STAGE_B)
    assert str(caught.value).startswith(f"{templates / prompts.STAGE_B_USER}: {why}")


def test_the_name_of_the_mission_may_be_left_out_and_braces_be_text(templates):
    (templates / prompts.STAGE_B_SYSTEM).write_text('{{"a": 1}}\n{guidance}\n', encoding="utf-8")
    assert stage_b_system(MISSION, {"G0": "零"}) == '{"a": 1}\nG0: 零'


def test_a_template_that_is_gone_is_named(templates):
    (templates / prompts.REFLECT_USER).unlink()
    with pytest.raises(UserError, match=r"reflect\.user\.txt: "):
        prompts.check_prompts(prompts.REFLECT)
