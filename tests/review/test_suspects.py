"""Labels that look wrong before a model has judged anything: each signal, their mean, and the tool."""

import sys
from pathlib import Path

import pytest
import yaml

from miniature.world.dataset import draw_tickets, sample_world, stage_a_rows
from tests.support.builders import MISSION, call, ticket
from verdicts.base.jsonl import read_rows, write_rows, write_text
from verdicts.config.load import load
from verdicts.config.sections import FailFirst
from verdicts.config.tools import section_text
from verdicts.records.review import Suspect
from verdicts.records.tickets import StageA
from verdicts.review.suspects import (
    by_checklist,
    by_group,
    by_twins,
    label_match_at_best,
    shown_of,
    suspects_of,
    wanted_objects,
)

GUARD = FailFirst(
    enabled=True,
    negatives=[
        {"objects": ["机柜处接地螺丝"], "values": ["不符合要求"]},
        {"objects": ["电线"], "values": ["散乱"]},
    ],
)
SCREW, BAD, TIDY = (
    "螺丝、光纤插头/机柜处接地螺丝,符合要求×1",
    "螺丝、光纤插头/机柜处接地螺丝,不符合要求×1",
    "电线/捆扎整齐×1",
)


def shown(*tickets: StageA) -> list:
    return [shown_of(one, GUARD) for one in tickets]


@pytest.mark.parametrize(
    ("label", "summaries", "doubt"),
    [
        ("fail", (SCREW, TIDY), 1.0),  # everything is there, nothing is wrong
        ("fail", (SCREW,), 0.5),  # what is missing may be the reason
        ("fail", (BAD, TIDY), 0.0),
        ("pass", (SCREW, TIDY), 0.0),
        ("pass", (SCREW,), 0.5),
        ("pass", (BAD, TIDY), 1.0),
    ],
)
def test_a_label_is_doubted_by_the_missions_objects_and_explicit_negatives(label, summaries, doubt):
    (one,) = shown(ticket("a", label, summaries))
    assert by_checklist(one, wanted_objects(GUARD)) == doubt


def test_without_objects_to_look_for_the_checklist_says_nothing():
    assert by_checklist(shown(ticket("a"))[0], frozenset()) is None


def test_equal_summaries_in_any_order_count_before_equal_facts():
    rows = shown(
        ticket("a", "fail", (SCREW, TIDY)), ticket("b", "pass", (TIDY, SCREW)), ticket("c", "pass", (SCREW, TIDY)),
        ticket("d", "fail", (SCREW.replace("×1", "×3"), TIDY)), ticket("e", "fail", (BAD,)),
    )  # fmt: skip
    assert by_twins(rows) == pytest.approx([2 / 3, 1 / 3, 1 / 3, 0.5, None])
    assert (label_match_at_best(rows, "summaries"), label_match_at_best(rows, "facts")) == (4, 3)


def test_one_group_under_both_labels_is_compared_with_itself():
    rows = shown(ticket("a", "fail", (SCREW,)), ticket("a", "pass", (SCREW, TIDY)), ticket("b", "pass", (SCREW,)))
    assert by_group(rows) == pytest.approx([0.5, 0.5, None])


def test_text_on_labels_and_counts_make_no_two_tickets_differ():
    same = [ticket(name, "pass", (f"标签/{text}×{n},{TIDY}",)) for name, text, n in (("a", "A站", 1), ("b", "B站", 7))]
    one, other = (frozenset(row.facts) for row in shown(*same))
    assert one == other


def world(flip: float) -> tuple[list[StageA], set[str]]:
    """Drawn tickets, and the keys of those whose label was flipped."""
    drawn_world = sample_world(41, "bbu_line")
    drawn = draw_tickets(drawn_world, 200, 41, flip)
    rows = [StageA.model_validate(row) for row in stage_a_rows(drawn_world, drawn)]
    return rows, {row.ticket_key for row, one in zip(rows, drawn, strict=True) if one.label != one.clean}


def test_flipped_labels_stand_first_more_often_than_chance_and_the_same_tickets_give_the_same_list():
    pytest.importorskip("sklearn", reason="needs scikit-learn (make suspects installs it)")
    guard = load("miniature", "bbu_line").fail_first
    rows, wrong = world(0.1)
    found = suspects_of([shown_of(row, guard) for row in rows], guard, 5, 17)
    assert len(found) == 200 and len(wrong) == 20
    assert sum(row.ticket_key in wrong for row in found[:20]) >= 6  # chance: 2
    assert [row.score for row in found] == sorted((row.score for row in found), reverse=True)
    assert found == suspects_of([shown_of(row, guard) for row in reversed(rows)][::-1], guard, 5, 17)


def section(folder: Path) -> Path:
    config = load("miniature", "bbu_line")
    mission = config.mission.model_copy(update={"name": MISSION})
    path = folder / "suspects.yaml"
    write_text(path, section_text(config.model_copy(update={"mission": mission, "fail_first": GUARD}), "suspects"))
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["suspects"] == {"folds": 5, "seed": 17}
    return path


def test_the_tool_ranks_all_tickets_and_says_the_ceiling_without_a_second_label(tmp_path):
    rows = [ticket("a", "fail", (SCREW, TIDY)), ticket("b", "fail", (BAD, TIDY)), ticket("c", "fail", (SCREW,))]
    write_rows(tmp_path / "stage_a.jsonl", rows)
    output = tmp_path / "suspects.jsonl"
    outcome = call("suspects", config=section(tmp_path), stage_a=tmp_path / "stage_a.jsonl", output=output)
    assert outcome.code == 0, outcome.err
    found = read_rows(output, Suspect)
    assert [(row.ticket_key, row.score) for row in found] == [("a::fail", 0.75), ("c::fail", 0.5), ("b::fail", 0.25)]
    assert found[0].why == ["nothing wrong in sight, nothing missing"] and found[2].negative == BAD
    assert "label match at best, saying the same of equal summaries: 100.0% (3/3)" in outcome.out
    assert "a label is too rare here to fit a reader of facts" in outcome.out


def test_a_list_without_scikit_learn_is_refused_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction", None)
    rows = [ticket(f"g{at}", label) for at in range(5) for label in ("pass", "fail")]
    write_rows(tmp_path / "stage_a.jsonl", rows)
    output = tmp_path / "suspects.jsonl"
    outcome = call("suspects", config=section(tmp_path), stage_a=tmp_path / "stage_a.jsonl", output=output)
    assert outcome.code == 2 and "scikit-learn is not installed; run make suspects" in outcome.err
    assert not output.exists()
