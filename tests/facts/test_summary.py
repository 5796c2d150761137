"""What a summary says, object by object, in both forms."""

from random import Random

import pytest

from verdicts.facts.fact import MAX_COUNT
from verdicts.facts.summary import read_summary


def said(text: str) -> list[tuple[str, str]]:
    """(category, values) of each fact."""
    return [(fact.category, " ".join(value for _, value in fact.attributes)) for fact in read_summary(text).facts]


@pytest.mark.parametrize(
    ("item", "facts"),
    [
        ("螺丝、光纤插头/BBU端光纤插头,符合要求×2", [("BBU端光纤插头", "符合要求")]),
        ("螺丝/BBU端光纤插头、符合要求×1", [("BBU端光纤插头", "符合要求")]),
        ("螺丝/光纤插头·ODF端光纤插头,符合要求×1", [("ODF端光纤插头", "符合要求")]),
        ("螺丝、光纤插头×1", [("螺丝、光纤插头", "")]),
        ("BBU端光纤插头符合要求×1", [("BBU端光纤插头", "符合要求")]),
        ("电线捆扎整齐×1", [("电线", "捆扎整齐")]),
        ("螺丝/ODF端光纤插头、光纤/无保护,弯曲半径合理×1", [("ODF端光纤插头、光纤", "无保护 弯曲半径合理")]),
        (
            "光纤/有保护措施,弯曲半径不合理(弯曲半径4cm或者成环)/铠装×1",
            [("光纤", "有保护措施 弯曲半径不合理(弯曲半径4cm或者成环) 铠装")],
        ),
        ("螺丝/未发现松动、不符合要求×1", [("螺丝", "未发现松动、不符合要求")]),
        ("螺丝、光纤插头/机柜处接地螺丝,不符合要求,螺丝未拧紧×1", [("机柜处接地螺丝", "不符合要求 螺丝未拧紧")]),
        ("螺丝/ODF端光纤插头、螺丝、光纤插头/生锈×1", [("ODF端光纤插头", "生锈")]),
        ("尾纤/标签清晰×1", [("尾纤", "标签清晰")]),
        ("机柜处接地螺丝,\n不符合要求", [("机柜处接地螺丝", "不符合要求")]),  # a line that broke off goes on
        ("机柜门/未关闭×1", [("机柜门", "未关闭")]),
        ("松动的地线", [("松动的地线", "")]),
        ("组1:尾纤/有标签,有套管保护×1", [("尾纤", "有标签 有套管保护")]),
        ("组1: 标签/5G,RRU/1×1", [("标签", "5G,RRU/1")]),
    ],
)
def test_an_item_is_a_fact_with_its_object_and_what_is_said_of_it(item, facts):
    assert said(item) == facts


def test_an_object_behind_the_attributes_of_another_begins_a_fact_of_its_own():
    assert said("螺丝/BBU端光纤插头,符合要求、机柜处接地螺丝,不符合要求×1") == [
        ("BBU端光纤插头", "符合要求"),
        ("机柜处接地螺丝", "不符合要求"),
    ]


def test_names_of_objects_that_a_mission_knows_are_cut_off_as_well():
    facts = read_summary("机柜门关闭、侧门未关闭×1", ("机柜门", "侧门")).facts
    assert [(fact.category, fact.attributes) for fact in facts] == [
        ("机柜门", (("", "关闭"),)),
        ("侧门", (("", "未关闭"),)),
    ]


@pytest.mark.parametrize(
    ("item", "name", "value"),
    [
        ("标签/无法识别×3", "", "无法识别"),
        ("标签无法识别×3", "", "无法识别"),
        ("标签/5G-BBU-接地线×3", "文本", "5G-BBU-接地线"),
        ("标签5G-BBU,不合格×3", "文本", "5G-BBU,不合格"),
    ],
)
def test_a_label_has_a_state_or_a_text(item, name, value):
    (fact,) = read_summary(item).facts
    assert (fact.category, fact.attributes, fact.count) == ("标签", ((name, value),), 3)


@pytest.mark.parametrize(
    ("item", "remark"),
    [
        ("BBU设备/需复核备注:无法判断品牌,模糊×2", "无法判断品牌,模糊"),
        ("BBU设备/华为,需复核,备注:无法判断×2", "无法判断"),
        ("BBU设备/华为,备注:部分遮挡×2", "部分遮挡"),
        ("BBU设备(需复核备注:缺少安装螺丝)×2", "缺少安装螺丝"),
        ("BBU设备/需复核备注：看不清，无法判断×2", "看不清，无法判断"),
    ],
)
def test_a_remark_ends_its_item_and_is_no_attribute(item, remark):
    read = read_summary(f"{item}，挡风板/安装方向正确×1")
    assert [fact.category for fact in read.facts] == ["BBU设备", "挡风板"]
    assert (read.facts[0].remark, read.facts[0].count, read.remarks) == (remark, 2, [remark])
    assert "备注" not in str(read.facts[0].attributes) and read.facts[1].remark == ""


def test_a_remark_that_no_count_ends_ends_before_the_next_object():
    assert said("BBU设备/备注:不清楚，光纤/无保护措施") == [("BBU设备", ""), ("光纤", "无保护措施")]
    assert said("BBU设备/备注:不清楚，机柜门/未关闭") == [("BBU设备", ""), ("机柜门", "未关闭")]


@pytest.mark.parametrize(("written", "count"), [("17953", 17953), ("9" * 5000, MAX_COUNT), ("0", 0)])
def test_counts_that_run_away_are_read(written, count):
    assert [fact.count for fact in read_summary(f"光纤/有保护措施×{written}，电线×2").facts] == [count, 2]


def test_items_end_at_any_of_their_marks_and_say_where_they_stand():
    text = "<DOMAIN=BBU>, <TASK=SUMMARY>\n光纤×1； 电线/散乱×2;组2:接地线/有标签×1\n标签×1"
    facts = read_summary(text).facts
    assert [fact.text for fact in facts] == ["光纤×1", "电线/散乱×2", "组2:接地线/有标签×1", "标签×1"]
    assert all(text[fact.start :].startswith(fact.text) for fact in facts)
    assert [fact.group for fact in facts] == ["", "", "2", ""]


def test_an_item_ends_at_its_count_where_another_object_begins_without_the_mark():
    text = "标签/5G×3、电线/散乱×1光纤×1,组2:标签/A×1、b×1；标签/3×1500平方×1"
    assert [(fact.text, fact.count) for fact in read_summary(text).facts] == [
        ("标签/5G×3", 3),
        ("电线/散乱×1", 1),
        ("光纤×1", 1),
        ("组2:标签/A×1、b×1", 1),
        ("标签/3×1500平方×1", 1),
    ]


@pytest.mark.parametrize("text", ["无关图片", "无关图片×1", "<DOMAIN=BBU>, <TASK=SUMMARY> 无关图片"])
def test_an_irrelevant_photo_is_told(text):
    assert read_summary(text).form == "irrelevant"
    assert read_summary(f"{text}，光纤×1").form == "text"


RRU = (
    '{"统计": [{"类别": "站点距离", "站点距离": {"126": 1}}, {"类别": "紧固件", "安装状态": {"合格": 2, "不合格": 1}}, '
    '{"类别": "RRU设备"}, {"类别": "尾纤", "标签": {"无标签": 0, "有标签": 1}}], '
    '"备注": ["看不清"], "分组统计": {"1": 2}}'
)


@pytest.mark.parametrize("written", [RRU, f"<DOMAIN=RRU>, <TASK=SUMMARY>\n{RRU}"])
def test_a_summary_in_json_is_a_fact_for_each_value_that_is_there(written):
    read = read_summary(written)
    assert [(fact.category, fact.attributes, fact.count) for fact in read.facts] == [
        ("站点距离", (("站点距离", "126"),), 1),
        ("紧固件", (("安装状态", "合格"),), 2),
        ("紧固件", (("安装状态", "不合格"),), 1),
        ("RRU设备", (), 1),
        ("尾纤", (("标签", "有标签"),), 1),
    ]
    assert (read.form, read.remarks, read.groups) == ("json", ["看不清"], (("1", 2),))
    assert all(written[fact.start :].startswith(fact.text) for fact in read.facts)


def test_what_all_objects_of_an_entry_have_is_told_with_each_of_its_facts():
    entry = (
        '"类别": "BBU设备", "可见性": {"部分": 2}, "品牌": {"华为": 1, "中兴": 1}, "挡风板符合性": {"未按要求配备": 1}'
    )
    facts = read_summary(f'{{"统计": [{{{entry}}}]}}').facts
    assert [fact.attributes[0][1] for fact in facts] == ["部分", "华为", "中兴", "未按要求配备"]
    assert {fact.shared for fact in facts} == {(("可见性", "部分"),)}


def test_a_readable_and_an_unreadable_label_of_one_entry_are_two_labels():
    facts = read_summary('{"统计": [{"类别": "标签", "文本": {"A1": 1}, "可读性": {"不可读": 1}}]}').facts
    assert [(fact.attributes, fact.shared) for fact in facts] == [
        ((("文本", "A1"),), ()),
        ((("可读性", "不可读"),), ()),
    ]
    alone = read_summary('{"统计": [{"类别": "标签", "文本": {"A1": 2}, "可读性": {"清晰": 2}}]}').facts
    assert {fact.shared for fact in alone} == {(("文本", "A1"), ("可读性", "清晰"))}, "one label may be said to be both"


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ('[{"类别": "紧固件", "安装状态": "不合格"}]', [("紧固件", "不合格")]),
        ('{"统计": {"类别": "紧固件", "安装状态": {"不合格": 1}}, "备注": []}', [("紧固件", "不合格")]),
        ('{"统计": [{"类别": {"紧固件": 2}, "安装状态": {"不合格": 1}}]}', [("紧固件", "不合格")]),
        (
            '{"统计": [{"类别": {"紧固件": 1, "尾纤": 1}, "安装状态": {"不合格": 1}}]}',
            [("", "不合格"), ("紧固件", ""), ("尾纤", "")],
        ),
        ('{"统计": [{"类别": "紧固件", "安装状态": {"合格": 1, "合格": "2"}}]}', [("紧固件", "合格")] * 2),
        ('{"统计": [{"类别": "光纤"}, {"类别": "紧固件", "安装状态": {"不', [("光纤", ""), ("", "")]),  # cut off
        ('{"统计": [], "备注": "a"}', [("", "")]),
        ('{"BBU设备": 2}', [("", "")]),
        ('{"a": ' + "[" * 100_000, [("", "")]),
        ("", []),
    ],
)
def test_odd_json_gives_what_can_be_read_and_the_rest_as_it_stands(text, facts):
    assert said(text) == facts
    assert all(text[fact.start :].startswith(fact.text) for fact in read_summary(text).facts)


def test_no_text_is_too_odd_to_be_read():
    rng, pieces = (
        Random(17),
        [*"，,、/:：×;\n {}[]\"'()（）·9", "备注:", "需复核", "标签", "光纤", "组1:", RRU, '"统计": ['],
    )
    for _ in range(3000):
        text = "".join(rng.choices(pieces, k=rng.randrange(1, 25)))
        read = read_summary(text)
        assert all(text[fact.start :].startswith(fact.text) for fact in read.facts)
