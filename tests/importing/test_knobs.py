"""Knobs of an import, and what it makes of files, folders, groups, domains and photos that are turned."""

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.support.builders import snapshot
from tests.support.importing import BOX, FRAME, HIGH, LINE, OUTLINE, SUMMARY, WIDE, Desk, talk
from verdicts.records.imports import RefusedImport


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def test_a_prefix_line_begins_dense_answers_and_summaries_and_never_those_of_irrelevant_photos(desk):
    desk.write(desk.row(1), desk.row(2, objects=[FRAME], summary="无关图片"))
    assert desk.run(prefix=True).code == 0
    assert desk.answers("dense")[0].startswith('<DOMAIN=BBU>, <TASK=DETECTION>\n{"object_1": ')
    assert desk.answers("summary") == [f"<DOMAIN=BBU>, <TASK=SUMMARY>\n{SUMMARY}"]
    assert desk.answers("irrelevant") == desk.answers("irrelevant.dense") == ["无关图片"]


# what is changed in a row of a bbu mission -> the domain of its answers
DOMAINS = {
    "the mission's": ({"objects": [{"desc": "标签/A", "bbox_2d": [1, 1, 50, 50]}], "summary": "标签/A×1"}, "BBU"),
    "what metadata say": ({"metadata": {"_fusion_source": "rru_dense"}}, "RRU"),
    "what a prefix line says": ({"summary": f"<DOMAIN=RRU>, <TASK=SUMMARY>\n{SUMMARY}"}, "RRU"),
    "what the objects are": (
        {"objects": [{"desc": "组1: 尾纤/有标签", "line": LINE["line"]}], "summary": "标签/接地线×1"},
        "RRU",
    ),
    "what the summary shows": (
        {"objects": [], "summary": '{"统计": [{"类别": "站点距离", "站点距离": {"7": 1}}]}'},
        "RRU",
    ),
    "a label's text says nothing": (
        {"objects": [{"desc": "标签/接地线", "bbox_2d": [1, 1, 50, 50]}], "summary": None},
        "BBU",
    ),
}


@pytest.mark.parametrize("case", DOMAINS)
def test_the_domain_is_the_rows_own_where_it_has_one(desk, case):
    change, domain = DOMAINS[case]
    desk.write(desk.row(1, **change))
    assert desk.run(prefix=True).code == 0
    answers = desk.answers("dense") + desk.answers("summary")
    assert answers and {answer.partition(">")[0] for answer in answers} == {f"<DOMAIN={domain}"}
    assert desk.report().domains == {domain.lower(): 1}


def test_a_configured_domain_holds_for_all_rows(desk):
    desk.write(desk.row(1, metadata={"domain": "bbu"}))
    assert desk.run(prefix=True, domain="rru").code == 0
    assert desk.answers("summary")[0].startswith("<DOMAIN=RRU>")


def test_each_row_is_asked_with_the_prompts_of_its_domain_and_the_missions_rules_stay_in_its_own(desk):
    for name, text in (("ask", "{domain_pack}\n{mission_rules}"), ("bbu", "柜"), ("rru", "塔"), ("rules", "看箭头")):
        (desk.folder / f"{name}.txt").write_text(text, encoding="utf-8")
    packs = {"domain_packs": {"bbu": "./bbu.txt", "rru": "./rru.txt"}, "mission_rules": {"bbu_wind": "./rules.txt"}}
    desk.write(desk.row(1), desk.row(2, metadata={"domain": "rru"}))
    assert desk.run(mission="bbu_wind", prompts={"dense": {"user": "./ask.txt"} | packs}).code == 0
    assert [row.messages[0].content for row in desk.rows("dense")] == ["<image>柜\n看箭头", "<image>塔"]
    prompts = desk.report().prompts
    assert prompts.keys() == {"bbu.dense", "bbu.summary", "rru.dense", "rru.summary"}
    assert prompts["bbu.dense"] != prompts["rru.dense"] and prompts["bbu.summary"] == prompts["rru.summary"]


@pytest.mark.parametrize(
    ("order", "kinds"), [("center_tlbr", "poly line bbox_2d"), ("reference_tlbr", "bbox_2d line poly")]
)
def test_objects_stand_in_the_configured_order(desk, order, kinds):
    # centres at y 45, 50, 60; upper left corner at y 20, leftmost point at y 30, first vertex at y 40
    line = LINE | {"line": [80, 30, 90, 50, 100, 70]}
    outline = OUTLINE | {"poly": [20, 40, 60, 40, 60, 50, 20, 50]}
    desk.write(desk.row(1, objects=[line, BOX | {"bbox_2d": [30, 20, 90, 100]}, outline]))
    assert desk.run(order=order).code == 0
    things = json.loads(desk.answers("dense")[0]).values()
    assert " ".join(next(kind for kind in ("bbox_2d", "poly", "line") if kind in thing) for thing in things) == kinds
    assert desk.report().reordered == 1 and desk.repaired() == []


def test_objects_of_one_height_stand_from_left_to_right_and_equal_ones_as_they_were(desk):
    left, right = BOX | {"desc": "左", "bbox_2d": [10, 10, 50, 50]}, BOX | {"desc": "右", "bbox_2d": [60, 10, 90, 50]}
    desk.write(desk.row(1, objects=[right, left | {"desc": "后"}, left]))
    assert desk.run().code == 0
    assert [thing["desc"] for thing in json.loads(desk.answers("dense")[0]).values()] == ["后", "左", "右"]


@pytest.mark.parametrize(
    ("photo", "group"),
    [
        ("QC-TEMP-20241118-0015956_4.jpeg", "QC-TEMP-20241118-0015956"),
        ("QC-20241118-0015956/4.jpeg", "QC-20241118-0015956"),
        ("QC-AB-20250101-00001/QC-CD-20250101-00002_1.jpg", "QC-CD-20250101-00002"),
        ("a/4.jpeg", ""),
    ],
)
def test_a_group_is_named_by_its_photo_or_else_by_its_folder(desk, photo, group):
    desk.write(desk.row(photo))
    assert desk.run().code == 0
    assert desk.rows("dense")[0].group_id == group
    assert desk.report().groups == 1


def test_the_groups_of_a_named_file_are_held_out_in_place_of_a_share(desk):
    photos = [f"QC-AB-20250101-{number:05d}_{{}}.jpg" for number in range(4)]
    desk.write(*(desk.row(photo.format(1)) for photo in photos), name="train.jsonl")
    desk.write(desk.row(photos[0].format(2)), name="val.jsonl")
    assert desk.run(held_out={"files": ["val.jsonl"], "share": 0.9}).code == 0
    assert {row.group_id for row in desk.rows("held_out/dense")} == {"QC-AB-20250101-00000"}
    assert (len(desk.rows("held_out/dense")), len(desk.rows("dense"))) == (2, 3)
    outcome = desk.run(held_out={"files": ["dev.jsonl"]})
    assert (outcome.code, outcome.err.strip()) == (
        2,
        "import.held_out.files: no such file is imported (dev.jsonl); name some of train.jsonl, val.jsonl",
    )


def test_the_groups_of_held_out_tickets_are_held_out_too(desk):
    desk.write(*(desk.row(number) for number in range(4)))
    tickets = desk.folder / "tickets.jsonl"
    tickets.write_text('{"group_id": "QC-AB-20250101-00002", "label": "通过"}\n{"group_id": "elsewhere"}\n')
    assert desk.run(held_out={"tickets": [str(tickets)], "share": 0.0}).code == 0
    assert [row.group_id for row in desk.rows("held_out/summary")] == ["QC-AB-20250101-00002"]
    tickets.write_text('{"group": "QC-AB-20250101-00002"}\n')
    outcome = desk.run(held_out={"tickets": [str(tickets)]})
    assert (outcome.code, outcome.err.strip()) == (
        2,
        f"{tickets}:1: group_id: names no group; write its group_id",
    )


def test_a_field_that_is_named_is_passed_by_and_counted(desk):
    desk.write(desk.row(1, id=7) | {"objects": [BOX | {"score": 1.0}, LINE | {"score": 0.5}]}, desk.row(2, sumary="x"))
    assert desk.run(ignore=["id", "score"]).code == 0
    assert desk.report().ignored_fields == {"id": 1, "score": 2}
    assert desk.refused() == [(2, "unknown_field", "sumary")]


def test_a_photo_that_is_stored_on_its_side_has_the_sizes_that_people_see(desk):
    exif = Image.Exif()
    exif[0x0112] = 6
    desk.photo("turned.jpg", size=(HIGH, WIDE), exif=exif)
    sizes = {"width": HIGH, "height": WIDE}
    desk.write(desk.row(1), desk.row(2) | {"images": ["turned.jpg"]}, desk.row(3) | {"images": ["turned.jpg"]} | sizes)
    assert desk.run().code == 0
    assert desk.refused() == [(3, "photo_size", "width")] and len(desk.rows("dense")) == 2


def test_a_photo_cut_short_is_found_before_anything_is_learnt_from_it(desk):
    name = desk.photo("cut.jpg")
    path = desk.folder / "in" / name
    path.write_bytes(path.read_bytes()[:-60])
    desk.write(desk.row(1), desk.row(2) | {"images": [name]})
    assert desk.run().code == 0
    assert desk.refused() == [(2, "photo_unfit", "images.0")]


def test_an_absolute_path_stays_absolute(desk):
    photo = desk.folder / "in" / desk.photo(1)
    desk.write(desk.row(1) | {"images": [str(photo)]})
    assert desk.run().code == 0
    assert desk.rows("dense")[0].images == [str(photo)]


def test_a_photos_rows_of_two_files_go_together_and_a_third_is_one_too_many(desk):
    desk.write(desk.row(1, summary=None), name="dense.jsonl")
    desk.write(talk(), desk.row(1, objects=None), name="more.jsonl")
    desk.write(desk.row(1, objects=None), desk.row(2, objects=None), name="summary.jsonl")
    assert desk.run().code == 0
    report = desk.report()
    assert (report.dense_only, report.summary_only, report.chat, report.refused) == (1, 2, 1, 1)
    assert [Path(file).name for file in report.files] == ["dense.jsonl", "more.jsonl", "summary.jsonl"]
    refused = desk.rows("refused", RefusedImport)[0]
    assert refused.detail == f"its summary row stands at {desk.folder}/in/more.jsonl:2"


NOT_GIVEN = "is not given; make import DATA=file-or-folder NAME=name"
BAD = {
    "no rows named": ({"data": ""}, f"DATA: {NOT_GIVEN}"),
    "no name": ({"name": ""}, f"NAME: {NOT_GIVEN}"),
    "an empty folder": ({"data": "empty"}, "empty: no .jsonl file in it; give the file, or the folder that holds it"),
    "no such file": ({"data": "none.jsonl"}, "none.jsonl: no such file; check the path"),
    "its own results": (
        {"data": "data/real"},
        "data/real: the rows would be written over what they are read from; give another NAME",
    ),
    "a blank file": (
        {"data": "in/blank.jsonl"},
        "in/blank.jsonl: the file holds no record; give a file with at least one JSON object a line",
    ),
    "no regular expression": (
        {"group": "("},
        "knobs.yaml: import.group: is no regular expression (missing ), unterminated subpattern at position 0); "
        "correct it",
    ),
    "an unknown order": (
        {"order": "tlbr"},
        "knobs.yaml: import.order: input should be 'center_tlbr' or 'reference_tlbr' (\"tlbr\"); correct the value",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_imported_is_one_sentence_and_nothing_is_overwritten(desk, case):
    given, expected = BAD[case]
    desk.write(desk.row(1))
    desk.run("in/rows.jsonl")
    (desk.folder / "empty").mkdir()
    (desk.folder / "in/blank.jsonl").write_text("\n")
    before = snapshot(desk.out)
    outcome = desk.run(**given)
    expected = expected if expected.startswith(("DATA", "NAME")) else f"{desk.folder}/{expected}"
    assert (outcome.code, outcome.err.strip()) == (2, expected)
    assert snapshot(desk.out) == before


def test_rows_that_no_import_wrote_are_not_overwritten(desk):
    desk.write(desk.row(1))
    desk.out.mkdir(parents=True)
    (desk.out / "dense.jsonl").write_text("mine\n")
    outcome = desk.run()
    assert (outcome.code, outcome.err.strip()) == (
        2,
        f"{desk.out}/dense.jsonl: was not written by an import; move it away, or give another NAME",
    )
    assert snapshot(desk.out) == {"dense.jsonl": b"mine\n"}


def test_the_same_rows_give_the_same_bytes(desk):
    desk.write(*(desk.row(number) for number in range(12)), talk())
    desk.run(held_out={"share": 0.3})
    before = snapshot(desk.out)
    desk.run(held_out={"share": 0.3})
    assert snapshot(desk.out) == before and len(before) == 10


def test_a_split_does_not_follow_where_the_rows_lie(desk, tmp_path):
    desk.write(*(desk.row(f"{number}.jpg") for number in range(12)))
    desk.run(held_out={"share": 0.3})
    asked = desk.answers("held_out/dense"), [Path(row.images[0]).name for row in desk.rows("held_out/dense")]
    (desk.folder / "in").rename(desk.folder / "moved")
    desk.run("moved", held_out={"share": 0.3})
    assert asked == (desk.answers("held_out/dense"), [Path(row.images[0]).name for row in desk.rows("held_out/dense")])
    assert 0 < len(asked[1]) < 12
