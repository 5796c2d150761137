"""import_data: such teams' training rows become rows to learn from and questions, and every row is accounted for."""

import pytest

from tests.support.builders import snapshot
from tests.support.importing import FRAME, SUMMARY, Desk, talk
from verdicts.corpus.rows import GeneralChatRow

DENSE = (
    '{"object_1": {"desc": "BBU设备/华为,显示完整", "bbox_2d": [50, 100, 500, 600]}, '
    '"object_2": {"desc": "电线/捆扎整齐", "line_points": 3, "line": [[50, 200], [300, 400], [750, 900]]}, '
    '"object_3": {"desc": "挡风板/华为", "poly": [[250, 500], [500, 500], [500, 800], [250, 800]]}}'
)
KINDS = ("dense_and_summary", "dense_only", "summary_only", "irrelevant", "chat", "refused")


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def test_a_photos_objects_and_its_summary_become_a_row_each_in_thousandths(desk):
    desk.write(desk.row(1))
    assert desk.run().code == 0
    (dense,), (summary,) = desk.rows("dense"), desk.rows("summary")
    asked = "<image>列出照片中的对象，输出 JSON：bbox_2d 与 label。"
    assert [message.content for message in dense.messages] == [asked, DENSE]
    assert summary.messages[-1].content == SUMMARY
    assert dense.images == summary.images == ["../../in/QC-AB-20250101-00001_1.jpg"]
    assert dense.group_id == summary.group_id == "QC-AB-20250101-00001"


def test_every_kind_of_row_is_counted_and_the_counts_add_up(desk):
    desk.write(
        desk.row(1),
        desk.row(2, summary=None),
        desk.row(3, objects=None),
        desk.row(4, objects=[FRAME], summary="无关图片"),
        talk(),
        desk.row(5, objects=[], summary=None),
        "{broken",
    )
    outcome = desk.run()
    assert outcome.code == 0
    report = desk.report()
    assert (report.rows_in, *(getattr(report, kind) for kind in KINDS)) == (7, 1, 1, 1, 1, 1, 2)
    assert report.refused_by_reason == {"not_json": 1, "nothing_to_learn": 1}
    assert report.objects == {"bbox_2d": 2, "line": 2, "poly": 2}
    assert desk.refused() == [(6, "nothing_to_learn", ""), (7, "not_json", "")]
    assert desk.answers("irrelevant") == desk.answers("irrelevant.dense") == ["无关图片"]
    assert desk.rows("chat", GeneralChatRow)[0].model_dump()["messages"] == talk()["messages"]
    assert outcome.last_line == (
        "import real: 7 rows read = 1 with objects and summary + 1 with objects alone + 1 with a summary alone + "
        "1 irrelevant + 1 chat + 2 refused (not_json 1, nothing_to_learn 1); 0 repaired; 2 dense, 2 summary, "
        "1 irrelevant, 1 irrelevant.dense, 1 chat rows to learn from; 0 dense and 0 summary questions of 0 of 4 "
        f"groups; {desk.out}"
    )


def test_groups_are_held_out_whole_with_their_irrelevant_photos(desk):
    rows = [desk.row(f"QC-AB-20250101-{number // 2:05d}_{number}.jpg") for number in range(40)]
    for row in rows[::4]:
        row |= {"objects": [], "summary": "无关图片"}
    desk.write(*rows)
    assert desk.run(held_out={"share": 0.4}).code == 0
    learnt = {row.group_id for name in ("dense", "summary", "irrelevant") for row in desk.rows(name)}
    asked = {row.group_id for name in ("held_out/dense", "held_out/summary") for row in desk.rows(name)}
    assert len(learnt) + len(asked) == 20 and not learnt & asked and 3 <= len(asked) <= 13
    report = desk.report()
    assert (report.groups, report.groups_held_out) == (20, len(asked))
    assert sum(report.written[name] for name in ("summary.jsonl", "irrelevant.jsonl", "held_out/summary.jsonl")) == 40
    dense = ("dense.jsonl", "irrelevant.dense.jsonl", "held_out/dense.jsonl")
    assert sum(report.written[name] for name in dense) == 40
    assert desk.answers("held_out/summary").count("无关图片") == desk.answers("held_out/dense").count("无关图片") > 0


def test_a_file_of_which_no_row_can_be_used_is_one_sentence_and_nothing_is_overwritten(desk):
    desk.write(desk.row(1))
    desk.run()
    before = snapshot(desk.out)
    desk.write(desk.row(1) | {"objects": [{"desc": "电线"}]}, "{")
    outcome = desk.run("in/rows.jsonl")
    assert (outcome.code, outcome.err.strip().splitlines()) == (
        2,
        [
            f"{desk.folder}/in/rows.jsonl: none of its 2 rows can be used (line 1: no_geometry: objects.0: none of "
            "bbox_2d, poly, line); correct them: docs/import.md says what a row holds"
        ],
    )
    assert snapshot(desk.out) == before
