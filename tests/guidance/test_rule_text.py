"""What the text of a rule says: details of tickets, objects that the checklist does not name, the number of photos."""

import pytest

from tests.support.builders import ticket
from verdicts.config.load import CONFIGS, load
from verdicts.guidance.rule_text import counts_photos, details_of, foreign_object

BASE = load("miniature", "bbu_line", configs=CONFIGS)
WORDS, LINE = BASE.reflect.words, BASE.mission.g0


def test_the_details_of_tickets_are_their_ids_and_the_labels_that_name_one_site_or_port():
    shown = ticket(
        "QC-7",
        summaries=(
            "BBU设备/华为×1，标签/5G-BBU-接地线×2，标签/无法识别×1",
            "标签锦原机房；标签:RRU×1，标签/GPS×1，标签/合格证×1，标签/A7×1",
        ),
    )
    assert details_of([shown], BASE.reflect.details) == {"QC-7", "5G-BBU-接地线", "锦原机房"}


def test_codes_and_site_names_that_people_wrote_are_details_and_their_measures_and_plain_words_are_not():
    reasons = (
        "补拍5G-BBU标签",
        "补拍城东站设备端接地",
        "A-07端子，NR900光纤",
        "弯曲小于4cm",
        "两台BBU拍全，图1不清",
        "接机房地排",
    )
    shown = ticket("QC-7", "fail", reasons=reasons)
    assert details_of([shown], BASE.reflect.details) == {"QC-7", "5G-BBU", "城东站", "A-07", "NR900"}


# -- objects that the checklist does not name
@pytest.mark.parametrize(
    ("text", "foreign"),
    [
        ("出现避雷器则不通过", "避雷器"),
        ("缺少地线标签则不通过", "地线标签"),
        ("机柜处接地螺丝、挡风板须见，缺失则不通过", "挡风板"),  # the first of them that is nowhere in the checklist
        ("出现电线散乱且避雷器缺失则不通过", "避雷器"),
        ("缺少RRU则不通过", None),  # no Chinese words: nothing is said of them
        # things of the checklist, in its words or in parts of them
        ("接地螺丝缺失则不通过", None),
        ("未见地排处接地螺丝的不通过", None),
        ("出现电线散乱可豁免", None),
        ("电线捆扎不齐则不通过", None),
        (LINE, None),
        # rules about photos name no object
        ("照片少于3张则不通过", None),
        ("照片数量不足两张则不通过", None),
        ("至少3张照片，否则不通过", None),
        ("只有一张图片时判定为不通过", None),
        ("照片少于2张或无法识别的，视为不通过", None),
        ("照片两张以上且电线散乱则不通过", None),
        ("仅提供一张照片则不通过", None),
        ("画面模糊则不通过", None),
        ("每张照片均须清晰", None),
        ("", None),
        # words that only say what is required, and names that hold such a character
        ("缺少机柜处接地螺丝不作为不通过依据", None),
        ("缺少时钟则不通过", "时钟"),
        ("缺少感应器则不通过", "感应器"),
        ("缺少中继器则不通过", "中继器"),
    ],
)
def test_a_rule_names_a_foreign_object_if_it_shares_no_two_characters_with_the_checklist(text, foreign):
    assert foreign_object(text, LINE, WORDS) == foreign


def test_what_is_foreign_to_one_mission_is_at_home_in_another():
    wind = load("miniature", "bbu_wind", configs=CONFIGS).mission.g0
    assert (
        foreign_object("出现挡风板则不通过", LINE, WORDS) == "挡风板"
        and foreign_object("出现挡风板则不通过", wind, WORDS) is None
    )


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("照片少于3张则不通过", True),
        ("至少须有2张照片", True),
        ("图片数量不足则不通过", True),
        ("出现无关图片则不通过", False),
        ("须见设备显示完整，缺失则不通过", False),
        ("出现无法识别则不通过", False),
    ],
)
def test_only_a_rule_about_the_number_of_photos_is_tested_among_all_tickets_at_once(text, counts):
    assert counts_photos(text, WORDS) is counts
