"""The one test for an explicit negative, as the guard of a vote and the review page ask it."""

import pytest

from miniature.world.dataset import draw_tickets, sample_world
from miniature.world.vocabulary import BIT
from tests.support.builders import ticket
from verdicts.base.errors import UserError
from verdicts.config.load import load
from verdicts.config.sections import FailFirst
from verdicts.review.highlight import Marker
from verdicts.stage_b.negatives import negatives_in
from verdicts.stage_b.selection import explicit_negative

GUARD = FailFirst(enabled=True, negatives=[["地线", "松动"], ["散乱"]])
MISSIONS = ("bbu_cable", "bbu_install", "bbu_line", "bbu_wind", "rru_cable", "rru_install", "rru_position")


def guard_of(mission: str) -> FailFirst:
    """The guard of a shipped mission."""
    return load("miniature", mission).fail_first


def fired(summary: str, guard: FailFirst | str) -> list[str]:
    """The facts that fire, as a reader sees them."""
    return [fact.shown for fact in negatives_in(summary, guard_of(guard) if isinstance(guard, str) else guard)]


def v2(*entries: str) -> str:
    """A summary of the second generation."""
    return '{"统计": [' + ", ".join(f"{{{entry}}}" for entry in entries) + "]}"


@pytest.mark.parametrize(
    ("fact", "negative"),
    [("接地线/松动×1", True), ("松动的地线", True), ("地线/紧固×1", False), ("电线/散乱×2", True), ("", False)],
)
def test_a_fact_is_negative_if_it_holds_all_words_of_one_negative(fact, negative):
    assert bool(fired(fact, GUARD)) is negative
    assert not fired(fact, GUARD.model_copy(update={"negatives": []}))


@pytest.mark.parametrize(
    "summary",
    [
        "接地线/松动×1，螺丝/紧固×2",
        "地线/紧固×1，螺丝/松动×1",
        "标签/可见×1；电线/散乱×2",
        "电线/散乱,需复核×1",
        "电线/无散乱×1",
        "标签/散乱×1",
        v2('"类别": "电线", "捆扎": {"散乱": 1}', '"类别": "接地线", "状态": {"松动": 1}'),
        v2('"类别": "接地线", "状态": {"紧固": 1}', '"类别": "螺丝", "状态": {"松动": 1}'),
    ],
)
def test_the_page_marks_as_a_breach_what_the_guard_counts(summary):
    pieces = Marker("", GUARD).pieces(summary)
    marked = [piece.text for piece in pieces if piece.kind == "breach"]
    counted = explicit_negative(ticket("a", summaries=(summary,)), GUARD)
    assert bool(marked) == bool(counted)
    assert "".join(piece.text for piece in pieces) == summary
    assert counted is None or summary.startswith("{") or counted[1].startswith(marked[0])


# -- object by object
def test_no_negative_is_borrowed_from_another_object_of_a_summary_in_json():
    words = FailFirst(enabled=True, negatives=[["紧固件", "不合格"]])
    fine = v2('"类别": "紧固件", "安装状态": {"合格": 2}', '"类别": "RRU接地端", "安装状态": {"不合格": 1}')
    for guard in ("rru_install", words):
        assert fired(fine, guard) == []
        assert fired(v2('"类别": "紧固件", "安装状态": {"合格": 1, "不合格": 1}'), guard) == [
            "紧固件/安装状态=不合格×1"
        ]
        assert fired(v2('"类别": "紧固件", "安装状态": {"合格": 1, "不合格": 0}'), guard) == []
    assert fired(fine, "rru_position") == ["RRU接地端/安装状态=不合格×1"]


@pytest.mark.parametrize(
    ("item", "fires"),
    [
        ("螺丝、光纤插头/机柜处接地螺丝,不符合要求×1", True),
        ("螺丝/BBU端光纤插头,不符合要求、机柜处接地螺丝,符合要求×1", False),
        ("螺丝/BBU端光纤插头,符合要求、机柜处接地螺丝,不符合要求×1", True),
        ("螺丝/机柜处接地螺丝、BBU端光纤插头/不符合要求×1", True),  # said of both
        ("螺丝、光纤插头/不符合要求×1", False),  # of which of the five?
    ],
)
def test_no_negative_is_borrowed_from_another_object_of_an_item(item, fires):
    words = FailFirst(enabled=True, negatives=[["机柜处接地螺丝", "不符合要求"]])
    assert bool(fired(item, "bbu_line")) is bool(fired(item, words)) is fires


def test_the_name_of_an_object_is_meant_as_a_whole():
    bare = FailFirst(enabled=True, negatives=[["光纤", "松动"]])
    assert fired("螺丝、光纤插头/BBU端光纤插头,松动×1", bare) == [] and fired("光纤/松动×1", bare)
    plugs = FailFirst(enabled=True, negatives=[["光纤插头", "松动"]])  # a word that gathers both ends
    assert fired("螺丝、光纤插头/BBU端光纤插头,松动×1", plugs)
    assert fired("螺丝、光纤插头/BBU安装螺丝,松动×1", plugs) == []


@pytest.mark.parametrize(
    ("mission", "first", "second"),
    [
        (
            "bbu_line",
            "螺丝、光纤插头/地排处接地螺丝,不符合要求/未拧紧×1",
            '"类别": "地排处接地螺丝", "符合性": {"不符合": 1}',
        ),
        ("bbu_line", "电线/分布散乱×1", '"类别": "电线", "捆扎": {"散乱": 1}'),
        ("bbu_cable", "光纤/无保护措施,弯曲半径合理×1", '"类别": "光纤", "保护措施": {"无保护": 1}'),
        (
            "bbu_cable",
            "光纤/弯曲半径不合理（弯曲半径<4cm或者成环）×1",
            '"类别": "光纤", "弯曲": {"半径不合理<4cm或成环": 1}',
        ),
        ("bbu_cable", "螺丝/ODF端光纤插头,不符合要求×1", '"类别": "ODF端光纤插头", "符合性": {"不符合": 1}'),
        ("bbu_install", "螺丝/BBU安装螺丝,不符合要求×1", '"类别": "BBU安装螺丝", "符合性": {"不符合": 1}'),
        (
            "bbu_wind",
            "BBU设备/华为,显示完整,机柜空间充足需要安装/这个BBU设备未按要求配备挡风板×1",
            '"类别": "BBU设备", "可见性": {"完整": 1}, "挡风板符合性": {"未按要求配备": 1}',
        ),
        ("bbu_wind", "挡风板/华为,安装方向错误×1", '"类别": "挡风板", "安装方向": {"方向错误": 1}'),
        ("rru_install", "紧固件/紧固不合格×1", '"类别": "紧固件", "安装状态": {"不合格": 1}'),
        ("rru_position", "地排接地端螺丝/不合格×1", '"类别": "地排接地端螺丝", "安装状态": {"不合格": 1}'),
        ("rru_position", "组1:接地线/没有标签×1", '"类别": "接地线", "标签": {"无标签": 1}'),
        ("rru_cable", "尾纤/没有标签,有套管保护×1", '"类别": "尾纤", "标签": {"无标签": 1}, "套管": {"有套管": 1}'),
        ("rru_cable", "尾纤/有标签,无套管保护×1", '"类别": "尾纤", "套管": {"无套管": 1}'),
    ],
)
def test_each_mission_knows_its_negatives_in_the_words_of_both_generations(mission, first, second):
    assert fired(first, mission) == [first] and len(fired(v2(second), mission)) == 1
    others = {"bbu_line", "rru_install", "bbu_install"} - {mission}
    assert [fired(text, other) for other in others for text in (first, v2(second))] == [[]] * 2 * len(others)


@pytest.mark.parametrize("mission", MISSIONS)
def test_negatives_speak_of_the_objects_of_the_missions_own_checklist(mission):
    config = load("miniature", mission)
    for negative in config.fail_first.negatives:
        names = [name.removeprefix("RRU").removeprefix("地排").removesuffix("螺丝") for name in negative.objects]
        assert any(name in config.mission.g0 for name in [*names, *negative.objects])


@pytest.mark.parametrize("mission", MISSIONS)
def test_on_drawn_tickets_it_fires_exactly_where_the_checklist_forbids_what_they_show(mission):
    """All slips of the drawn summaries included; what a doubt exempts is counted in."""
    world, guard = sample_world(7, mission), guard_of(mission).model_copy(update={"doubts": []})
    forbidden = sum(BIT[name] for name in world.mission.g0.forbidden)
    rows = [row.ticket for row in draw_tickets(world, 150, 1)]
    shown = [bool(ticket.facts.bits & forbidden) for ticket in rows]
    assert [any(fired(text, guard) for text in ticket.summaries) for ticket in rows] == shown
    assert 4 < sum(shown) < 75


# -- what exempts
@pytest.mark.parametrize(
    "said",
    [
        "未发现松动",
        "未见明显松动",
        "无松动",
        "没有任何松动",
        "不存在松动",
        "未发现生锈、松动",
        "无生锈或松动",
        "是否松动",
        "有无松动",
        "能否看出松动",
        "是不是松动",
        "松动,只显示部分",
        "松动,需复核",
        "松动,无法判断",
        "松动,模糊",
        "符合要求,备注:松动",
        "需复核备注:松动",
        "需复核,备注:松动",
        "松动,备注:无法判断",
        "松动/需复核备注:无法确认是否拧紧",
    ],
)
def test_a_negative_that_is_denied_asked_for_doubted_or_a_remark_does_not_fire(said):
    assert fired(f"螺丝、光纤插头/机柜处接地螺丝,{said}×1", "bbu_line") == []
    assert fired(f"螺丝、光纤插头/机柜处接地螺丝,{said}×1，电线/散乱×1", "bbu_line") == ["电线/散乱×1"]


@pytest.mark.parametrize(
    ("mission", "item"),
    [
        ("bbu_cable", "光纤/无保护措施,弯曲半径合理×1"),
        ("rru_cable", "尾纤/没有标签,有套管保护×1"),
        ("rru_cable", "尾纤/没有标签、无套管保护×1"),
        ("rru_position", "RRU接地端/无标签、不合格×1"),
        (
            "bbu_line",
            "螺丝、光纤插头/机柜处接地螺丝,不符合要求/需复核备注:松动×1",
        ),  # the remark begins; nothing is in doubt
        ("bbu_line", "螺丝、光纤插头/机柜处接地螺丝,符合要求,未发现生锈/松动×1"),
    ],
)
def test_words_that_begin_with_a_no_are_negatives_and_deny_nothing(mission, item):
    assert fired(item, mission) == [item]


def test_a_question_that_ends_in_a_no_is_no_negative():
    assert fired("光纤/有无保护措施×1，尾纤/有没有标签×1", "bbu_cable") == []
    assert fired("尾纤/有没有标签×1", "rru_cable") == [] and fired("光纤/没有保护措施×1", "bbu_cable")


def test_the_name_of_an_attribute_says_nothing_alone():
    fine = v2('"类别": "紧固件", "损坏情况": {"无": 1}', '"类别": "挡风板", "损坏": {"无损坏": 1}')
    assert fired(fine, "rru_install") == fired(fine, "bbu_wind") == []
    assert fired(fine, FailFirst(enabled=True, negatives=[["紧固件", "损坏"], ["损坏情况"]])) == []
    unfitted = v2('"类别": "BBU设备", "挡风板符合性": {"未按要求配备": 1}')
    assert fired(unfitted, FailFirst(enabled=True, negatives=[["挡风板", "未按要求配备"]]))


def test_a_doubt_is_not_borrowed_from_another_object_either():
    unfitted = '"挡风板符合性": {"未按要求配备": 1}'
    assert fired(v2(f'"类别": "BBU设备", "可见性": {{"部分": 2}}, {unfitted}'), "bbu_wind") == []
    assert fired(v2(f'"类别": "BBU设备", "可见性": {{"部分": 1, "完整": 1}}, {unfitted}'), "bbu_wind")
    assert fired(v2('"类别": "标签", "可见性": {"部分": 1}', f'"类别": "BBU设备", {unfitted}'), "bbu_wind")


def test_text_on_a_label_and_remarks_never_fire():
    words = FailFirst(enabled=True, negatives=[["松动"], ["标签", "无法识别"]])
    assert fired("标签/松动×1，标签松动,不合格×1，BBU设备/备注:松动×1，备注:松动", words) == []
    json = v2('"类别": "标签", "文本": {"松动": 1}', '"类别": "BBU设备", "备注": {"松动": 1}')
    assert fired(json[:-1] + ', "备注": ["松动"]}', words) == []
    assert fired("标签/无法识别×1，标签无法识别×1", words) == ["标签/无法识别×1", "标签无法识别×1"]
    assert fired(v2('"类别": "标签", "可读性": {"不可读": 1}'), words) == ["标签/可读性=不可读×1"]


def test_a_guard_of_an_older_run_exempts_nothing():
    older = FailFirst(enabled=True, negatives=[["散乱"]])
    assert fired("电线/散乱,只显示部分×1", older) and fired("电线/无散乱×1", older)


def test_a_mission_of_ones_own_names_its_objects():
    door = FailFirst(enabled=True, negatives=[{"objects": ["机柜门", "侧门"], "values": ["未关闭"]}])
    assert fired("机柜门/未关闭×1，侧门未关闭×1，柜门/未关闭×1", door) == ["机柜门/未关闭×1", "侧门未关闭×1"]


@pytest.mark.parametrize(
    ("negatives", "said"),
    [
        ("[[]]", "negatives.0: list should have at least 1 item after validation, not 0 ([]); correct the value"),
        ("[机柜门]", 'negatives.0: input should be a valid list ("机柜门"); correct the value'),
        ("[{objects: [机柜门]}]", "negatives.0.values: missing; add it"),
        (
            "[{objects: [], values: [未关闭]}]",
            "negatives.0.objects: list should have at least 1 item after validation, not 0 ([]); correct the value",
        ),
        ("[{object: [机柜门], values: [未关闭]}]", "negatives.0.object: unknown field; did you mean 'objects'?"),
    ],
)
def test_a_negative_that_is_none_is_refused_where_it_stands(tmp_path, negatives, said):
    overlay = tmp_path / "o.yaml"
    overlay.write_text(f"fail_first: {{negatives: {negatives}}}\n", encoding="utf-8")
    with pytest.raises(UserError) as error:
        load("miniature", "bbu_line", overlay)
    assert str(error.value) == f"{overlay}: fail_first.{said}"
