"""verdicts.evaluation.answers: the form of the wanted answer decides how an answer is scored."""

import pytest

from tests.support.forms import BOX, COUNTED, LINE, OUTLINE, SEEN, WAY
from tests.support.judging import SUMMARY
from verdicts.evaluation.questions import Question, unscorable
from verdicts.evaluation.scores import score
from verdicts.facts.dense import DenseObject, render_objects
from verdicts.records.evaluation import ScoredAnswer


def one(task: str, wanted: str, text: str) -> ScoredAnswer:
    return score(Question(task, "a", "a", (), expected=wanted), text, True)


def test_an_answer_in_another_form_is_wrong_and_counted_as_such():
    for task, wanted, text in (
        ("summary", COUNTED, SUMMARY),
        ("summary", SUMMARY, COUNTED),
        ("dense", SEEN, LINE + "[]"),
        ("dense", "[]", "{}"),
    ):
        found = one(task, wanted, text)
        assert not found.right and found.notes == {"other_form": 1}
        assert not any(part.hits for part in (*found.parts.values(), *filter(None, [found.overlap])))
    assert one("summary", COUNTED, "无关图片").notes == {}, "that a photo shows nothing is a mistake, not another form"
    assert one("summary", "无关图片", "无关图片×1").right


def test_what_is_seen_in_a_photo_of_nothing_is_wrong_in_the_form_it_is_said_in():
    listed = one("dense", "无关图片", '[{"bbox_2d": [0, 0, 9, 9], "label": "电线"}]')
    assert not listed.right and listed.overlap and listed.overlap.model_dump() == {"hits": 0, "given": 1, "wanted": 0}
    named = one("dense", "无关图片", SEEN)
    assert not named.right and {part: found.given for part, found in named.parts.items()} == {
        "boxes": 1, "polygons": 1, "lines": 1,
    }  # fmt: skip
    assert one("dense", "无关图片", "无关图片").right and one("dense", "无关图片", "{}").right


def test_an_answer_without_the_wanted_prefix_line_is_scored_and_counted():
    found = one("dense", SEEN, SEEN.removeprefix(LINE))
    assert found.right and found.format_ok and found.notes == {"other_prefix": 1}
    assert one("summary", LINE + COUNTED, COUNTED).right


def test_broken_entries_and_mended_outlines_are_counted_and_the_rest_is_found():
    bow = DenseObject(OUTLINE.desc, "poly", ((200, 0), (300, 100), (300, 0), (200, 100)))  # half of the outline
    text = LINE + render_objects([BOX, bow, WAY])
    found = one("dense", SEEN, text)
    assert found.parts["polygons"].hits == 1 and found.notes == {"mended_outlines": 1}
    found = one("dense", SEEN, text.replace("[300, 100]", "[3000, 100]"))
    assert found.notes == {"broken_entries": 1} and not found.right and found.format_ok
    assert found.parts["polygons"].model_dump() == {"hits": 0, "given": 0, "wanted": 1}


@pytest.mark.parametrize(
    ("task", "wanted", "why"),
    [
        ("dense", "[", "the answer is no JSON list of boxes with x1 < x2 and y1 < y2 in 0-1000, and no object of"),
        ("dense", SEEN.replace("[300, 100]", "[3000, 100]"), "the answer is no JSON list of boxes"),
        (
            "dense",
            '{"object_1": {"desc": "毛刺", "poly": [0, 0, 9, 0, 9, 9, 9, 0]}}',
            "an outline encloses nothing (毛刺)",
        ),
        ("summary", COUNTED[:-1], "the answer begins as a JSON summary and is no whole one"),
    ],
)
def test_a_wanted_answer_that_nothing_could_be_compared_with_is_named(task, wanted, why):
    assert (unscorable(task, wanted) or "").startswith(why)


@pytest.mark.parametrize(
    ("task", "wanted"),
    [("dense", SEEN), ("dense", "[]"), ("dense", "无关图片"), ("summary", LINE + COUNTED), ("summary", SUMMARY)],
)
def test_a_wanted_answer_of_either_form_can_be_compared(task, wanted):
    assert unscorable(task, wanted) is None
