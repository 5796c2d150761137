"""The forms of real students through the gate: boxes, outlines, lines, attributes and JSON summaries, each alone."""

import json
import re

import pytest

from tests.support.forms import BOX, COUNTED, LINE, OUTLINE, SEEN, WAY, photos
from tests.support.judging import GOOD, SUMMARY, Bench, answers
from verdicts.base.jsonl import read_json
from verdicts.evaluation.gate import retention_reasons
from verdicts.evaluation.scores import METRICS
from verdicts.facts.dense import DenseObject, render_objects
from verdicts.records.evaluation import Difference, Evaluation, F1Record
from verdicts.stats.rates import wilson


def moved(thing: DenseObject, by: float) -> DenseObject:
    return thing._replace(points=tuple((x, y + by) for x, y in thing.points))


@pytest.fixture
def bench(tmp_path) -> Bench:
    bench = Bench(tmp_path)
    before = photos([COUNTED] * 40, [SEEN] * 40)
    released = answers(["pass"] * 40 + ["fail"] * 40, GOOD["pass"], [], [])
    bench.write_answers("before", released + [row for row in before if row.task != "chat"])
    bench.write_answers("after", before)
    return bench


def test_a_student_that_keeps_all_its_forms_passes_and_kinds_that_no_photo_has_are_named(bench):
    outcome = bench.gate()
    assert outcome.code == 0, outcome.err
    assert (
        "nothing to score, since no photo asks for it: summary exact match, summary attribute F1, dense F1 at IoU 0.5"
        in outcome.out.splitlines()
    )
    kept = {name: found.change for name, found in bench.found().retention.items() if found.change is not None}
    assert kept == dict.fromkeys(
        ["json_exact", "json_f1", "boxes_f1", "polygons_f1", "lines_f1", "object_attributes_f1"], 0.0
    )


# Two of 40 photos lose their part: 2 of 40 wanted are missed, and 2 of 40 given are wrong: F1 falls by 5 points. With
# each goes its one attribute: 2 of 120, 1.67 points.
PLANTED = {
    "dense boxes F1": {"dense": [moved(BOX, 50), OUTLINE, WAY]},
    "dense polygons F1": {"dense": [BOX, moved(OUTLINE, 50), WAY]},
    "dense lines F1": {"dense": [BOX, OUTLINE, moved(WAY, 30)]},
}


@pytest.mark.parametrize("title", PLANTED)
def test_a_loss_of_one_shape_alone_is_seen_and_named_with_the_attributes_that_went_with_it(bench, title):
    worse = LINE + render_objects(PLANTED[title]["dense"])
    bench.write_answers("after", photos([COUNTED] * 40, [worse] * 2 + [SEEN] * 38))
    outcome = bench.gate()
    assert outcome.code == 1
    assert bench.found().reasons == [
        f"{title} lost 5.00 points, its limit is 1: 100.00% before, 95.00% after",
        "dense attribute F1 lost 1.67 points, its limit is 1: 100.00% before, 98.33% after",
    ]


def test_a_student_that_finds_more_and_says_as_much_wrongly_as_before_is_not_refused_for_it(bench):
    """Before, 20 of 40 photos without a word wrong; after, all objects, and the new ones described wrongly."""
    wrong = [thing._replace(desc=thing.desc.rpartition("=")[0] + "=别的") for thing in (BOX, OUTLINE, WAY)]
    chat = [row for row in bench.answers("before") if row.task == "chat"]
    half = photos([COUNTED] * 40, [SEEN] * 20 + [LINE + "{}"] * 20)
    bench.write_answers("before", chat + [row for row in half if row.task != "chat"])
    bench.write_answers("after", photos([COUNTED] * 40, [SEEN] * 20 + [LINE + render_objects(wrong)] * 20))
    assert bench.gate().code == 0
    found = bench.found().retention
    assert (found["boxes_f1"].before, found["boxes_f1"].after) == (0.666667, 1.0)
    assert (found["object_attributes_f1"].before, found["object_attributes_f1"].after) == (0.5, 0.5)


def test_a_loss_of_attributes_alone_is_seen_and_named_alone(bench):
    other = OUTLINE._replace(desc="类别=BBU设备,品牌=中兴")
    bench.write_answers("after", photos([COUNTED] * 40, [LINE + render_objects([BOX, other, WAY])] * 3 + [SEEN] * 37))
    assert bench.gate().code == 1
    assert bench.found().reasons == [
        "dense attribute F1 lost 2.50 points, its limit is 1: 100.00% before, 97.50% after"  # 3 of 120
    ]


def test_a_loss_of_counts_in_json_summaries_is_seen_and_named_alone(bench):
    wrong = COUNTED.replace('"不可读": 2', '"不可读": 3')
    bench.write_answers("after", photos([wrong] * 4 + [COUNTED] * 36, [SEEN] * 40))
    assert bench.gate().code == 1
    assert bench.found().reasons == [
        "JSON summary exact match lost 10.00 points, its limit is 1: 100.00% before, 90.00% after",
        "JSON summary F1 lost 3.33 points, its limit is 1: 100.00% before, 96.67% after",  # a third of 4 of 40
    ]


def test_remarks_are_shown_and_decide_nothing(bench):
    bench.write_answers("after", photos([COUNTED.replace("模糊", "遮挡")] * 40, [SEEN] * 40))
    outcome = bench.gate()
    assert outcome.code == 0, outcome.err
    assert any(line.startswith("JSON remarks F1") and "-100.0" in line for line in outcome.out.splitlines())


def test_where_no_object_is_found_any_more_no_attribute_is_either(bench):
    bench.write_answers("after", photos([COUNTED] * 40, ["{}"] * 40))
    assert bench.gate().code == 1
    lost = "dense attribute F1 lost 100.00 points, its limit is 1: 100.00% before, 0.00% after"
    assert lost in bench.found().reasons


def test_a_metric_that_is_known_before_and_not_after_stops_the_student():
    unknown = Difference(before=1.0, after=None, change=None, low=None, high=None)
    assert retention_reasons({"json_f1": unknown}, 0.01) == [
        "JSON summary F1 is unknown after, 100.00% before: nothing that was found has any"
    ]


def test_a_shape_that_no_photo_has_does_not_stop_a_student(bench):
    seen = render_objects([BOX, OUTLINE])
    for side, rows in (("before", bench.answers("before")), ("after", bench.answers("after"))):
        dense = [row for row in photos([], [seen] * 40, seen=seen) if row.task == "dense"]
        bench.write_answers(side, [row for row in rows if row.task != "dense"] + dense)
    outcome = bench.gate()
    assert outcome.code == 0, outcome.err
    assert any(
        line.startswith("nothing to score") and line.endswith("dense lines F1") for line in outcome.out.splitlines()
    )
    lines = bench.found().retention["lines_f1"]
    assert (lines.before, lines.after, lines.change) == (None, None, None)


def test_photos_that_ask_for_nothing_at_all_tell_nothing_and_stop_the_student(bench):
    for side in ("before", "after"):
        rows = [row for row in bench.answers(side) if row.task != "dense"]
        nothing = [row for row in photos([], ["无关图片"] * 40, seen="无关图片") if row.task == "dense"]
        bench.write_answers(side, rows + nothing)
    assert bench.gate().code == 1
    assert bench.found().reasons == ["what the student keeps of dense is unknown: no photo has anything to score"]


def test_notes_and_answers_cut_off_stand_in_the_evaluation_and_in_the_table(bench):
    rows = photos([COUNTED] * 38 + [SUMMARY, COUNTED[:-5]], [SEEN] * 40)
    cut = [row.model_copy(update={"whole": False}) if row.text == COUNTED[:-5] else row for row in rows]
    bench.write_answers("after", cut)
    found = read_json(bench.path("after"), Evaluation).summary
    assert (found.notes, found.json_malformed, found.cut_off) == ({"other_form": 1}, 2, 1)
    outcome = bench.gate()
    cells = [re.split("  +", line) for line in outcome.out.splitlines()]
    assert ["summaries in another form", "0 of 40", "1 of 40 (2.5%)"] in cells
    assert ["malformed JSON summaries", "0 of 40", "2 of 40 (5.0%)"] in cells
    assert ["summaries cut off", "0 of 40", "1 of 40 (2.5%)"] in cells
    assert not any("dense answers in another form" in line for line in cells)
    assert "1 of 40 summary answers after were cut off" in outcome.err


def test_an_evaluation_of_an_older_version_is_read_without_what_it_does_not_say(bench):
    bench.write("before")
    bench.write("after", **GOOD)
    new = {metric.field for metric in METRICS[7:]} | {"cut_off", "notes", "json_malformed"}
    for side in ("before", "after"):
        said = json.loads(bench.path(side).read_text(encoding="utf-8"))
        for task in ("chat", "summary", "dense"):
            said[task] = {field: value for field, value in said[task].items() if field not in new}
        bench.path(side).write_text(json.dumps(said, ensure_ascii=False), encoding="utf-8")
        rows = [json.loads(line) for line in bench.path(side).with_suffix(".answers.jsonl").read_text().splitlines()]
        for row in rows:
            for field in ("form", "parts", "notes"):
                del row[field]
        bench.path(side).with_suffix(".answers.jsonl").write_text(
            "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
        )
    outcome = bench.gate()
    assert outcome.code == 0, outcome.err
    before = bench.found().before
    assert before.summary.json_exact == wilson(0, 0) and before.chat.cut_off is None
    assert before.dense.lines_f1 == F1Record(hits=0, given=0, wanted=0, f1=None)
