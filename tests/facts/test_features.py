"""What holds of a ticket, of either form of summary."""

from verdicts.facts.features import features, reason_features


def test_objects_with_what_is_said_of_them_remarks_and_few_photos():
    per_image = {"image_1": "BBU设备/华为,只显示部分×1，备注:部分光纤未套蛇形管", "image_2": "电线/捆扎整齐×2"}
    assert features(per_image, 3) == {
        "BBU设备", "BBU设备/华为", "BBU设备/只显示部分", "电线", "电线/捆扎整齐",
        "at least 2 photos", "fewer than 3 photos",
        "remark 部分光纤", "remark 分光纤未", "remark 光纤未套", "remark 纤未套蛇", "remark 未套蛇形",
        "remark 套蛇形管",
    }  # fmt: skip


def test_the_json_form_says_the_same():
    summary = '{"统计": [{"类别": "BBU设备", "品牌": {"华为": 1}}], "备注": ["看不清"]}'
    assert features({"image_1": summary}, 2) == {"BBU设备", "BBU设备/华为", "remark 看不清", "fewer than 2 photos"}


def test_an_irrelevant_photo_counts_as_one_and_is_a_feature():
    irrelevant = {"image_1": "无关图片", "image_2": "无关图片"}
    assert features(irrelevant, 4) == {"无关图片", "at least 2 photos", "fewer than 3 photos", "fewer than 4 photos"}


def test_remarks_share_what_they_say_in_other_words_clause_by_clause():
    some, other = (
        {one for one in features({"image_1": f"电线/备注:{remark}×1"}, 1) if one.startswith("remark ")}
        for remark in ("部分光纤未套蛇形管", "拍摄偏暗，管道部分未套蛇形管")
    )
    assert some & other == {"remark 未套蛇形", "remark 套蛇形管"}
    assert "remark 拍摄偏暗" in other and not any("暗管" in one for one in other)
    assert "remark nopeSNpart5G" in features({"image_1": "电线/备注:nope SN part 5G×1"}, 1)


def test_a_reason_is_its_clauses_without_rule_numbers_and_says_where_there_is_one_alone():
    assert reason_features("缺少标签(G0)；照片少于3张(G12)") == {"reason 缺少标签", "reason 照片少于3张"}
    assert reason_features("缺少标签（G0）。") == {"reason 缺少标签", "only reason 缺少标签"}
    assert reason_features(" ") == set()
