"""What a model reads is rendered in one place, and a label is never in it."""

import hashlib
import inspect
import re
import shutil
from pathlib import Path

import pytest
import yaml

from miniature.world.prompts import Scene, prompts_of
from tests.support.builders import G0, MISSION, ticket
from verdicts.base.errors import UserError
from verdicts.config import prompts as places
from verdicts.config.load import load
from verdicts.config.prompts import PROMPTS_DIR, PromptsSection
from verdicts.config.sections import AskedOfPoint
from verdicts.facts.words import IRRELEVANT, OBJECTS, PARENTS
from verdicts.stage_b.prompts import Case, Prompts, load_prompts, render_guidance

PROMPTS = prompts_of(MISSION)


def test_rules_stand_in_the_order_of_their_numbers():
    assert render_guidance({"G10": "十", "G0": "零", "G2": "二"}) == "G0: 零\nG2: 二\nG10: 十"


def test_the_system_message_holds_mission_and_rules():
    text = PROMPTS.stage_b_system({"G0": G0, "G3": "出现标签无法识别则不通过"})
    assert f"任务：{MISSION}\n" in text
    assert f"G0: {G0}\nG3: 出现标签无法识别则不通过\n" in text


def test_the_user_message_holds_cleaned_summaries_one_photo_a_line():
    text = PROMPTS.stage_b_user({"image_1": "BBU设备/需复核备注:无法判断", "image_2": "电线/散乱\n×1"})
    assert text.endswith("image_1: BBU设备/备注:无法判断\nimage_2: 电线/散乱 ×1")


def test_braces_in_summaries_and_rules_stay_text():
    assert "标签/{0}{x}" in PROMPTS.stage_b_user({"image_1": "标签/{0}{x}"})
    assert "规则{mission}" in PROMPTS.stage_b_system({"G0": "规则{mission}"})


def test_stage_b_cannot_be_told_a_label_or_an_id():
    for method in (Prompts.stage_b_system, Prompts.stage_b_user):
        assert not {"label", "ticket", "group_id", "ticket_key"} & set(inspect.signature(method).parameters)


def test_a_reflection_case_shows_label_and_verdict_in_the_model_s_words():
    case = Case("fail", "pass", ticket("QC-7").per_image)
    text = PROMPTS.reflect_user([case, Case("pass", "fail", {"image_1": "x"})])
    assert "案例1 人工:不通过 模型:通过\nimage_1: 螺丝" in text
    assert "案例2 人工:通过 模型:不通过\nimage_1: x" in text
    assert "QC-7" not in text


def test_the_reflection_prompt_shows_its_json_form_with_single_braces():
    assert '{"operations":[{"op":"add"' in PROMPTS.reflect_system({"G0": G0}) + PROMPTS.reflect_user([])


def test_a_photo_is_asked_with_a_system_message_only_where_one_is_named(templates):
    assert [message["role"] for message in PROMPTS.photo_messages("summary")] == ["user"]
    (templates / "mine.txt").write_text("只写事实\n", encoding="utf-8")
    asked = loaded(summary={"system": "mine.txt"}).photo_messages("summary")
    assert asked[0] == {"role": "system", "content": "只写事实"}
    assert asked[1:] == PROMPTS.photo_messages("summary")


# SHA-256 of what the miniature models read when they were trained.
TRAINED_ON = {
    "stage_b_system": "2f727ae2c2da5f8324107c369b8e04c73f029b90d7fd44dffdf82a503403d1ee",
    "stage_b_user": "0fd1c70080d8d1c7f988a0cdb81cf6ea35d3adc7318aaf5d89401f11a23e139d",
    "reflect_system": "81919f37c65662bed60c35ebc0ce9501fdf627d1540cebc7a0bb531eb1880355",
    "reflect_user": "63508d93af959a6529a4cbd3d28f75a4bf7c775e7a167a379790082c235afda6",
    "summary": "65acec47193f8f01e63b407cbdc4497e77d72637198f2044a39aa070850d5f09",
    "dense": "3d631085000a2eccb657e5db5c61019357833ef14c552c8ea364400786579da0",
}


def test_the_miniature_reads_the_bytes_that_it_was_trained_on():
    photos = {
        "image_1": "螺丝、光纤插头/机柜处接地螺丝,符合要求×1，电线/捆扎整齐×1",
        "image_2": "BBU设备/需复核备注:无法判断",
    }
    rules = {"G0": "须见且符合要求：机柜处接地螺丝", "G2": "出现标签无法识别则不通过"}
    cases = [Case("fail", "pass", photos), Case("pass", "fail", {"image_1": "x"})]
    prompts = prompts_of("BBU接地线检查")
    read = {
        "stage_b_system": prompts.stage_b_system(rules),
        "stage_b_user": prompts.stage_b_user(photos),
        "reflect_system": prompts.reflect_system(rules),
        "reflect_user": prompts.reflect_user(cases),
        "summary": prompts.photo_messages("summary")[-1]["content"],
        "dense": prompts.photo_messages("dense")[-1]["content"],
    }
    assert {name: hashlib.sha256(text.encode()).hexdigest() for name, text in read.items()} == TRAINED_ON


def test_a_prompt_is_named_by_its_templates_and_not_by_what_fills_them(templates):
    name = PROMPTS.digest("stage_b")
    system, user = ((PROMPTS_DIR / f"stage_b.{role}.txt").read_text("utf-8").strip() for role in ("system", "user"))
    assert name == hashlib.sha256(f"{system}\0{user}".encode()).hexdigest()[:12] == prompts_of("x").digest("stage_b")
    (templates / "stage_b.user.txt").write_text("照片：\n{summaries}\n", encoding="utf-8")
    assert loaded().digest("stage_b") != name
    assert loaded().digest("reflect") == PROMPTS.digest("reflect")


# -- templates that were edited
@pytest.fixture
def templates(tmp_path, monkeypatch):
    """A copy of configs/prompts, and the package told to read it."""
    shutil.copytree(PROMPTS_DIR, tmp_path / "prompts")
    monkeypatch.setattr(places, "PROMPTS_DIR", tmp_path / "prompts")
    return tmp_path / "prompts"


LINE = Scene(MISSION)


def loaded(scene: Scene = LINE, **kinds: dict) -> Prompts:
    """The shipped prompts with some files replaced."""
    named = {kind: {"system": f"{kind}.system.txt", "user": f"{kind}.user.txt"} for kind in ("stage_b", "reflect")}
    named |= {kind: {"system": "", "user": f"{kind}.user.txt"} for kind in ("summary", "dense")}
    for kind in ("stage_b", "summary", "dense"):
        named[kind] |= {"domain_packs": {}, "mission_rules": {}}
    section = {kind: files | kinds.get(kind, {}) for kind, files in named.items()}
    return load_prompts(PromptsSection.model_validate(section), scene)


def test_the_templates_of_the_repository_are_whole():
    assert loaded() == PROMPTS


@pytest.mark.parametrize(
    ("name", "placeholder"),
    [
        ("stage_b.system.txt", "guidance"),
        ("stage_b.user.txt", "summaries"),
        ("reflect.system.txt", "guidance"),
        ("reflect.user.txt", "cases"),
    ],
)
def test_a_template_without_what_it_is_about_is_refused(templates, name, placeholder):
    path = templates / name
    path.write_text(path.read_text(encoding="utf-8").replace(f"{{{placeholder}}}", ""), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        loaded()
    assert str(caught.value) == f"{path}: has no {{{placeholder}}}; write {{{placeholder}}} where it is to stand"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{summaries}{guidance}", "{guidance} is no placeholder of this prompt; write {summaries} or {mission} or"),
        ("{summaries}{}", "{} is no placeholder"),
        ("{summaries:>40}", "{summaries} is no placeholder"),
        ("{summaries.x}", "{summaries.x} is no placeholder"),
        ("{summaries} {", "a brace stands alone (single '{' encountered in format string); write {{ and }} for"),
        ("{summaries} }", "a brace stands alone"),
        ("{{summaries}}", "has no {summaries}"),
    ],
)
def test_a_template_with_another_placeholder_or_a_lone_brace_is_refused(templates, text, why):
    (templates / "stage_b.user.txt").write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        loaded()
    assert str(caught.value).startswith(f"{templates / 'stage_b.user.txt'}: {why}")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "{summaries}",
            "{summaries} is no placeholder of this prompt; write {domain_pack} or {mission_rules}, and {{ and }} for",
        ),
        (
            '{"a": 1}',
            '{"a"} is no placeholder of this prompt; write {domain_pack} or {mission_rules}, and {{ and }} for',
        ),
        (" \n", "the prompt is empty; write what the model is to do"),
        ("看<image>", "holds <image>, itself or in a pack: the photo stands before the text anyway; take it out"),
    ],
)
def test_a_prompt_for_photos_is_checked_as_the_others_are(templates, text, why):
    (templates / "dense.user.txt").write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        loaded()
    assert str(caught.value).startswith(f"{templates / 'dense.user.txt'}: {why}")


def test_the_name_of_the_mission_may_be_left_out_and_braces_be_text(templates):
    (templates / "stage_b.system.txt").write_text('{{"a": 1}}\n{guidance}\n', encoding="utf-8")
    assert loaded().stage_b_system({"G0": "零"}) == '{"a": 1}\nG0: 零'


def test_a_template_that_is_gone_is_named(templates):
    (templates / "reflect.user.txt").unlink()
    with pytest.raises(UserError, match=r"reflect\.user\.txt: "):
        loaded()


# -- places that a prompt may have
RRU = Scene(
    "RRU安装检查",
    "rru_install",
    "rru",
    (AskedOfPoint(what="紧固件", objects=["紧固件"], good=["合格"], bad=["不合格"]),),
)
RRU_PHOTOS = {
    "image_1": "站点距离/126×1，紧固件/合格×2",
    "image_2": '{"统计": [{"类别": "站点距离", "站点距离": {"126": 1}}, '
    '{"类别": "紧固件", "安装状态": {"合格": 2, "不合格": 1}}]}',
    "image_3": "无关图片",
}


def asking(templates, text: str, scene: Scene = RRU) -> Prompts:
    (templates / "mine.txt").write_text(text, encoding="utf-8")
    return loaded(scene, stage_b={"user": "mine.txt"})


def test_a_prompt_may_count_photos_and_objects(templates):
    user = asking(templates, "{stats}\n{summaries}").stage_b_user(RRU_PHOTOS)
    assert user.startswith("照片 3 张；对象数：image_1 2、image_2 3、image_3 0\nimage_1: 站点距离")


def test_a_prompt_may_hold_a_line_for_each_install_point(templates):
    prompts = asking(templates, "安装点：\n{points}\n摘要：\n{summaries}")
    user = prompts.stage_b_user(RRU_PHOTOS)
    assert user.startswith(
        "安装点：\n站点126（image_1、image_2）：紧固件 合格4、不合格1\n无关图片：image_3\n摘要：\nimage_1: "
    )


@pytest.mark.parametrize("end", ["\\n", "\\u2028", "\\u0085"])
def test_what_stands_on_a_label_begins_no_line_of_its_own(templates, end):
    asked = (AskedOfPoint(what="标签", objects=["标签"]),)
    prompts = asking(templates, "{points}\n{summaries}", Scene("RRU线缆", "rru_cable", "rru", asked))
    label = f'{{"类别": "标签", "文本": {{"甲{end}站点9：合格": 1}}}}'
    summary = f'{{"统计": [{{"类别": "站点距离", "站点距离": {{"126": 1}}}}, {label}]}}'
    first, second = prompts.stage_b_user({"image_1": summary}).splitlines()
    assert first == "站点126（image_1）：标签 甲 站点9：合格" and second.startswith("image_1: {")


def test_a_line_for_points_that_a_mission_has_not_leaves_no_blank_line(templates):
    prompts = asking(templates, "任务：{mission}\n{points}\n{summaries}", Scene(MISSION))
    assert prompts.stage_b_user({"image_1": "电线/散乱×1"}) == f"任务：{MISSION}\nimage_1: 电线/散乱×1"


def test_braces_that_are_text_are_no_places(templates):
    prompts = asking(templates, "{{points}} {{{{stats}}}} {summaries}", Scene(MISSION))
    assert prompts.stage_b_user({"image_1": "{points}"}) == "{points} {{stats}} image_1: {points}"


def packed(templates, scene: Scene, text: str = "看图。\n{domain_pack}\n{mission_rules}\n一行。") -> str:
    for name, said in {"mine": text, "bbu": "机柜{a}", "rru": "射频", "wind": "挡风板先看需求"}.items():
        (templates / f"{name}.txt").write_text(f"{said}\n", encoding="utf-8")
    packs = {"domain_packs": {"bbu": "bbu.txt", "rru": "rru.txt"}, "mission_rules": {"bbu_wind": "wind.txt"}}
    return loaded(scene, summary={"user": "mine.txt", **packs}).photo_messages("summary")[0]["content"]


def test_a_prompt_may_hold_a_text_of_the_domain_and_one_of_the_mission(templates):
    assert (
        packed(templates, Scene("挡风板安装检查", "bbu_wind", "bbu"))
        == "<image>看图。\n机柜{a}\n挡风板先看需求\n一行。"
    )
    assert packed(templates, Scene("RRU线缆", "rru_cable", "rru")) == "<image>看图。\n射频\n一行。"


def test_a_pack_that_says_nothing_is_refused(templates):
    (templates / "mine.txt").write_text("{domain_pack}", encoding="utf-8")
    (templates / "empty.txt").write_text("\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"empty\.txt: the pack is empty; write it, or take its name out"):
        loaded(summary={"user": "mine.txt", "domain_packs": {"bbu": "empty.txt"}})


def test_a_domain_without_the_text_that_a_prompt_has_a_place_for_is_refused(templates):
    (templates / "mine.txt").write_text("{domain_pack}", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        loaded(RRU, dense={"user": "mine.txt", "domain_packs": {"bbu": "dense.user.txt"}})
    assert str(caught.value) == (
        f"{templates / 'mine.txt'}: has {{domain_pack}}, and prompts.dense.domain_packs names no file for rru; "
        "name one, or take the place out"
    )


# -- the production set
@pytest.mark.parametrize("mission", sorted(path.stem for path in Path("configs/missions").glob("*.yaml")))
def test_the_production_prompts_are_whole_for_every_mission(mission):
    config = load("qwen3", mission)
    prompts = load_prompts(config.prompts, config.mission)
    for kind in ("stage_b", "reflect", "summary", "dense"):
        assert prompts.digest(kind) != prompts_of(config.mission.name).digest(kind)  # its own, not the miniature's
    system, user = (message["content"] for message in prompts.photo_messages("summary"))
    domain = f"<DOMAIN={config.mission.domain.upper()}>"
    assert f"{domain}, <TASK=SUMMARY>" in user and config.import_.prefix
    assert ("本任务看挡风板" in system) == (mission == "bbu_wind")
    assert f"{domain}, <TASK=DETECTION>" in prompts.photo_messages("dense")[0]["content"]


def test_the_production_prompts_name_every_object_and_each_domain_its_own():
    known = {name for name in OBJECTS if name not in {IRRELEVANT, "地排接地端", *PARENTS}}
    asked = {}
    for domain in ("bbu", "rru"):
        for task in ("summary", "dense"):
            text = (PROMPTS_DIR / f"production/{task}.{domain}.txt").read_text(encoding="utf-8")
            asked[domain, task] = {name for name in known if re.search(f"(?<![^-：；、 ]){name}(?=[：、（])", text)}
    assert asked["bbu", "summary"] == asked["bbu", "dense"] and len(asked["bbu", "summary"]) == 10
    assert asked["rru", "summary"] == asked["rru", "dense"] and len(asked["rru", "summary"]) == 8
    assert asked["bbu", "summary"] | asked["rru", "summary"] == known


def test_no_production_prompt_holds_a_number_of_a_ticket():
    for path in PROMPTS_DIR.rglob("production/*.txt"):
        assert not re.search(r"QC-|\d{5,}", path.read_text(encoding="utf-8")), path


def test_the_page_on_prompts_gives_the_knobs_of_the_production_set():
    page = Path("docs/prompts.md").read_text(encoding="utf-8").partition("## The production set")[2]
    knobs = re.findall(r"`([a-z_]+)\.([a-z_]+): ([^`]+)`", page)
    config = load("qwen3", "bbu_line").model_dump(by_alias=True)
    told = {f"{section}.{knob}": yaml.safe_load(value) for section, knob, value in knobs if value != "false"}
    assert len(told) == 8
    assert told == {name: config[name.split(".")[0]][name.split(".")[1]] for name in told}
    assert [(one["temperature"], one["top_p"]) for one in config["rollout"]["grid"]] == [
        (0.3, 0.9),
        (0.5, 0.9),
        (0.7, 0.9),
    ]
