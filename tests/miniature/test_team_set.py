"""miniature.formats: a synthetic set in the formats of such teams, whose rows are right but for those of its key."""

import json
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from miniature.drawing.photos import paint_photo, paint_things
from miniature.drawing.scenes import DRAWABLE, photo_ticket
from miniature.formats.losses import PLANTED
from miniature.formats.rows import BROKEN, TWICE, chat_row, irrelevant_row, line_of, photo_row
from miniature.formats.rru import paint_rru
from miniature.formats.shapes import Shape, evenly, line, poly, shapes_of
from miniature.formats.team_set import main
from miniature.formats.tickets import BROKEN_TICKETS, EARLIER
from miniature.formats.words import summary_v1, summary_v2, v2_of
from miniature.world.tickets import MISSIONS, base_profile
from tests.support.whole_chain import rows
from verdicts.base.errors import UserError

pytest.importorskip("PIL", reason="photos need Pillow: make setup-student")

FILES = [f"train/{domain}/{generation}.jsonl" for generation in ("v1", "v2") for domain in ("bbu", "rru")]


@pytest.fixture(scope="module")
def team(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("team")
    main(count=80, broken=1, tickets=30, held_out=20, plant="", seed=1, output=folder)
    return folder


def sound(folder: Path, file: str) -> list[dict]:
    """The rows of a file that the key does not name."""
    bad = {row["line"] for row in rows(folder / "key.jsonl") if row["file"] == file}
    lines = (folder / file).read_text(encoding="utf-8").splitlines()
    return [json.loads(text) for number, text in enumerate(lines, start=1) if number not in bad]


def clockwise(flat: list[int]) -> bool:
    """On a page whose y grows downwards."""
    points = list(zip(flat[::2], flat[1::2], strict=True))
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(points, points[1:] + points[:1], strict=True)) > 0


def test_all_photos_are_counted_and_each_kind_of_damage_stands_in_the_key_once(team):
    written = [row for file in FILES for row in (team / file).read_text(encoding="utf-8").splitlines()]
    assert len(written) + len(rows(team / "train/bbu/irrelevant.jsonl")) == 80 + 1, "one stands twice"
    key = rows(team / "key.jsonl")
    training = Counter(row["kind"] for row in key if row["file"].startswith("train/"))
    tickets = Counter(row["kind"] for row in key if row["file"].startswith("tickets/"))
    assert training == dict.fromkeys(BROKEN, 1) and tickets == dict.fromkeys((*BROKEN_TICKETS, *EARLIER), 1)
    assert len(list((team / "images").iterdir())) == 80 - 1, "one photo is missing on purpose"
    assert len(rows(team / "train/bbu/chat.jsonl")) == 8 + 2


@pytest.mark.parametrize("file", FILES)
def test_sound_rows_have_one_photo_of_the_stated_size_and_shapes_that_lie_in_it(team, file):
    from PIL import Image

    assert sound(team, file)
    for row in sound(team, file):
        with Image.open(team / "train" / "bbu" / row["images"][0]) as image:
            assert image.size == (row["width"], row["height"])
        for one in row["objects"]:
            (kind,) = {"bbox_2d", "poly", "line"} & set(one)
            flat, limits = one[kind], (row["width"], row["height"])
            assert all(0 <= value <= limits[place % 2] for place, value in enumerate(flat))
            assert kind != "bbox_2d" or (flat[0] < flat[2] and flat[1] < flat[3])
            assert kind != "poly" or (
                clockwise(flat) and (flat[1], flat[0]) == min(zip(flat[1::2], flat[::2], strict=True))
            )
            assert kind != "line" or flat[:2] <= flat[-2:]


def test_every_shape_occurs_and_outlines_of_radio_units_are_no_boxes(team):
    kinds = Counter(kind for file in FILES for row in sound(team, file) for one in row["objects"] for kind in one)
    assert min(kinds[kind] for kind in ("bbox_2d", "poly", "line", "poly_points", "line_points")) > 0
    units = [
        one["poly"] for row in sound(team, "train/rru/v1.jsonl") for one in row["objects"] if one["desc"] == "RRU设备"
    ]
    assert units and all(len({flat[0], flat[2], flat[4], flat[6]}) == 4 for flat in units)


def test_irrelevant_photos_have_a_box_of_the_whole_frame_and_one_word(team):
    (first, *_) = sound(team, "train/bbu/irrelevant.jsonl")
    assert first["summary"] == "无关图片" and first["objects"] == [{"desc": "无关图片", "bbox_2d": [0, 0, 256, 192]}]


def test_the_same_arguments_write_the_same_bytes_and_another_seed_others(team, tmp_path):
    for name, seed in (("same", 1), ("other", 2)):
        main(count=80, broken=1, tickets=30, held_out=20, plant="", seed=seed, output=tmp_path / name)

    def everything(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    assert everything(tmp_path / "same") == everything(team)
    other = everything(tmp_path / "other")
    assert all(other[file] != (team / file).read_bytes() for file in (*FILES, "key.jsonl", "tickets/bbu_line.jsonl"))


def test_tickets_have_resubmissions_reasons_of_fails_and_both_generations(team):
    tickets = sound(team, "tickets/bbu_line.jsonl")
    labels = Counter(row["group_id"] for row in tickets)
    assert len(tickets) == 31 and list(labels.values()).count(2) == 1
    reasons = [row for row in tickets if "gt_fail_reason_texts" in row]
    assert reasons and {row["label"] for row in reasons} == {"fail"}
    assert all(row["gt_fail_reason_text"] == " | ".join(row["gt_fail_reason_texts"]) for row in reasons)
    texts = [text for row in tickets for text in row["per_image"].values()]
    assert any('"统计"' in text for text in texts) and any("×" in text for text in texts)


def test_too_few_photos_for_the_broken_rows_are_refused(tmp_path):
    with pytest.raises(UserError, match=f"--count: too few \\(30\\); give at least {len(BROKEN) + 10}"):
        main(count=30, broken=1, tickets=1, held_out=1, plant="", seed=1, output=tmp_path)


def test_every_kind_of_damage_changes_its_row_or_its_photo(team):
    """What was left as it was could be found by nobody."""
    ticket = sound(team, "tickets/bbu_line.jsonl")[0]
    shapes = [poly("标签/无法识别", [(0, 0), (9, 0), (9, 9), (0, 9)]), line("尾纤/有标签,有套管保护", [(0, 0), (9, 9)])]
    site = photo_row("1.jpg", [*shapes, Shape("站点距离/7", "bbox_2d", (1, 2, 30, 40))], "v2", (256, 192), Random(1))
    whole = {"site": site, "v2": site, "irrelevant": irrelevant_row("2.jpg", (256, 192)), "chat": chat_row(Random(1))}
    same = {kind for kind, one in BROKEN.items() if line_of(one.change(whole[one.home])) == line_of(whole[one.home])}
    assert same == {kind for kind, one in BROKEN.items() if one.photo != "sound"} | {TWICE}
    assert [kind for kind, slip in BROKEN_TICKETS.items() if line_of(slip.change(ticket)) == line_of(ticket)] == []


@pytest.mark.parametrize(
    ("v1", "v2"),
    [
        ("BBU设备/华为,显示完整,无需安装", "类别=BBU设备,品牌=华为,可见性=完整,挡风板需求=免装"),
        ("螺丝、光纤插头/BBU安装螺丝,不符合要求", "类别=BBU安装螺丝,符合性=不符合"),
        ("光纤/有保护措施,弯曲半径合理/蛇形管", "类别=光纤,保护措施=有保护,弯曲半径=半径合理,保护细节=蛇形管"),
        ("BBU设备/需复核备注:无法判断品牌", "类别=BBU设备,备注=无法判断品牌"),
        ("标签/无法识别", "类别=标签,可读性=不可读"),
        ("标签/5G-BBU-接地线", "类别=标签,文本=5G-BBU-接地线"),
        ("站点距离/57", "类别=站点距离,站点距离=57"),
        ("组1: 尾纤/有标签,有套管保护", "类别=尾纤,标签=有标签,套管保护=有套管,组=1"),
        ("RRU设备", "类别=RRU设备"),
    ],
)  # fmt: skip
def test_v1_words_have_their_v2_words(v1, v2):
    assert v2_of(v1) == v2


def test_whatever_can_be_drawn_has_v2_words():
    rng, seen = Random(3), 0
    for mission in MISSIONS.values():
        for _ in range(300 if mission.is_bbu else 0):
            for photo in photo_ticket(rng, mission, base_profile(mission)).photos:
                for thing in photo.things:
                    assert v2_of(thing.segment).startswith("类别=")
                    seen |= thing.bits
    assert seen.bit_count() >= len(DRAWABLE) - 1
    assert all(v2_of(shape.v1).startswith("类别=") for seed in range(40) for shape in paint_rru(str(seed))[1])


def test_summaries_of_both_generations_count_the_same_photo():
    words = ["站点距离/57", "组1: 尾纤/有标签,有套管保护", "组1: 标签/5G-RRU1-光纤", "RRU设备", "RRU设备"]
    assert summary_v1(words) == "RRU设备×2，站点距离/57×1，组1: 尾纤/有标签,有套管保护×1，组1: 标签/5G-RRU1-光纤×1"
    assert json.loads(summary_v2(words)) == {
        "统计": [
            {"类别": "站点距离", "站点距离": {"57": 1}},
            {"类别": "RRU设备"},
            {"类别": "尾纤", "标签": {"有标签": 1}, "套管保护": {"有套管": 1}},
            {"类别": "标签", "文本": {"5G-RRU1-光纤": 1}},
        ],
        "分组统计": {"1": 2},
    }
    assert json.loads(summary_v2(["BBU设备/需复核备注:无法判断品牌"])) == {
        "统计": [{"类别": "BBU设备"}],
        "备注": ["无法判断品牌"],
    }


def test_an_outline_starts_at_its_top_and_a_path_at_its_left_end():
    assert poly("x", [(0, 5), (9, 1), (9, 8), (0, 9)]).pixels == (9, 1, 9, 8, 0, 9, 0, 5)
    assert line("x", [(10, 0), (0, 0)], 3).pixels == (0, 0, 5, 0, 10, 0)
    assert evenly([(0, 0), (2, 0), (2, 2)], 5) == [(0, 0), (1, 0), (2, 0), (2, 1), (2, 2)]
    assert Shape("x", "line", (1, 2)).scaled(2).pixels == (2, 4)


def test_shapes_follow_the_drawing_that_the_student_knows():
    rng = Random(4)
    photo = photo_ticket(rng, MISSIONS["bbu_cable"], base_profile(MISSIONS["bbu_cable"])).photos[0]
    (pixels, drawn), (same, boxes) = paint_things(photo, "a"), paint_photo(photo, "a")
    assert (pixels == same).all() and [one.thing.segment for one in drawn] == [seen.label for seen in boxes]
    shapes = shapes_of(drawn, Random(1))
    assert [shape.v1 for shape in shapes] == [seen.label for seen in boxes]
    for shape, seen in zip(shapes, boxes, strict=True):
        xs, ys = shape.pixels[::2], shape.pixels[1::2]
        left, top, right, bottom = (
            side * value / 1000 for side, value in zip((256, 192) * 2, seen.bbox_2d, strict=True)
        )
        assert min(xs) >= left - 1 and max(xs) <= right + 1 and min(ys) >= top - 1 and max(ys) <= bottom + 1


@pytest.mark.parametrize(("plant", "changed"), [("polygons", {"poly"}), ("lines", {"line"}), ("counts", {"summary"})])
def test_a_planted_fault_changes_one_kind_of_answer_and_nothing_else(team, tmp_path, plant, changed):
    main(count=80, broken=1, tickets=30, held_out=20, plant=plant, seed=1, output=tmp_path)
    differences = set()
    for file in FILES:
        for before, after in zip(sound(team, file), sound(tmp_path, file), strict=True):
            pairs = [*zip(before["objects"], after["objects"], strict=True), (before, after)]
            differences |= {name for one, other in pairs for name in one if one[name] != other[name]}
    assert differences - {"objects"} == changed


def test_a_fault_halves_pixels_and_doubles_counts():
    row = {"objects": [{"desc": "x", "poly": [9, 4, 20, 4, 20, 30]}, {"desc": "y", "line": [2, 3, 40, 50]}],
           "summary": '{"统计": [{"类别": "标签", "可读性": {"不可读": 2}}], "分组统计": {"1": 2}}'}  # fmt: skip
    assert PLANTED["polygons"](row)["objects"][0]["poly"] == [4, 2, 10, 2, 10, 15]
    assert PLANTED["lines"](row)["objects"][1]["line"] == [1, 1, 20, 25]
    twice = '{"统计": [{"类别": "标签", "可读性": {"不可读": 4}}], "分组统计": {"1": 4}}'
    assert PLANTED["counts"](row) == row | {"summary": twice}
    assert PLANTED["counts"]({"summary": "标签×2"}) == {"summary": "标签×2"}


def test_a_fault_that_is_none_is_refused(tmp_path):
    with pytest.raises(UserError, match="--plant: no such fault \\(boxes\\); name polygons, lines or counts"):
        main(count=80, broken=1, tickets=1, held_out=1, plant="boxes", seed=1, output=tmp_path)


def test_a_chat_row_holds_messages_alone():
    row = chat_row(Random(1))
    assert set(row) == {"messages"} and row["messages"][-1]["role"] == "assistant"
