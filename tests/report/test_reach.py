"""What the tickets of a run can show is said: of how many a rule has to turn the verdict, and what more tickets do."""

import json
from pathlib import Path

import pytest

from tests.support.builders import RunFolder, call
from tests.support.pages import Page
from tests.support.report_runs import LIFE, LIMITS, report, weighed_run
from verdicts.base.jsonl import read_rows, write_rows, write_text
from verdicts.records.rollout import Selection
from verdicts.report.evidence import read_limits
from verdicts.report.learnt_text import reach_lines
from verdicts.report.reach import Reach, reach_of, reaches_of
from verdicts.stage_b.selection import OVERRIDE
from verdicts.stats.power import least_shown


@pytest.fixture
def weighed(tmp_path) -> RunFolder:
    """Of the learn tickets 20 fails pass and 4 passes fail."""
    folder = tmp_path / "runs" / "one" / "bbu_line"
    run = weighed_run(folder, released={"learn": 20, "holdout": 8}, blocked={"learn": 4, "holdout": 3}, near=[])
    run.complete()
    run.configure("reflect", reflect={"trial": LIMITS}, life_cycle=LIFE | {"proof": 0.05, "label_noise": 0.1})
    return run


def reaches(folder: Path) -> list[Reach]:
    return reaches_of(folder, read_limits(folder))


def test_learn_tickets_are_counted_by_the_verdict_that_a_rule_would_turn(weighed):
    fails, passes = reaches(weighed.folder)
    assert (fails.gives, fails.errors, fails.corrects, fails.precision) == ("fail", 20, 6, 0.9)
    assert (passes.gives, passes.errors, passes.corrects) == ("pass", 4, 20)
    assert (fails.by_noise, passes.by_noise) == (1, 2)  # one of nine that are labelled rightly
    assert fails.least == tuple(least_shown(times * 20, times * 6, 0.9, 0.05) for times in (1, 2, 4))
    assert fails.by_times[1] == (2, fails.least[1] / 52)


def test_what_the_guard_decided_no_rule_turns(weighed):
    view = weighed.folder / "selections.jsonl"
    rows = list(read_rows(view, Selection))
    write_rows(
        view, [row.model_copy(update={"warnings": [OVERRIDE]}) if row.verdict == "fail" else row for row in rows]
    )
    assert [reach.gives for reach in reaches(weighed.folder)] == ["fail"]


def test_labels_count_as_people_corrected_them(weighed):
    before = reaches(weighed.folder)[0]
    wrong = [
        row.ticket_key
        for row in read_rows(weighed.folder / "selections.jsonl", Selection)
        if row.verdict == "pass" and row.label == "fail"
    ]
    said = [{"ticket_key": key, "decision": "label_wrong"} for key in wrong]
    write_text(weighed.folder / "review_decisions.jsonl", "".join(json.dumps(row) + "\n" for row in said))
    after = reaches(weighed.folder)[0:1]
    assert before.errors == 20 and [reach.gives for reach in after] == ["pass"]


def test_show_and_report_say_it_in_shares_and_with_more_tickets():
    reach = reach_of("fail", 66, 38, 0.2, 0.0005)
    head, kind, wrong = reach_lines([reach])
    assert "right in 80%" in head and "80% are confirmed" in head
    assert kind == (
        "  rules that fail tickets, of the 104 learn tickets that pass now: from 61.5% of them on, "
        "with twice as many tickets from 41.3%, with four times as many from 25.5%"
    )
    assert wrong == "      66 of these 104 are false releases; wrong labels alone would make about 10"
    (_, kind, _) = reach_lines([reach_of("pass", 2, 9, 0.2, 0.0005)])
    assert kind.startswith("  rules that release tickets, of the 11 learn tickets that fail now: none, ")


def test_show_and_the_page_say_it_in_its_languages(weighed):
    assert (
        "  rules that fail tickets, of the 26 learn tickets that pass now: " in call("show", run_dir=weighed.folder).out
    )
    path = report(weighed)
    assert "of the 26 learn tickets that pass now" in Page(path).texts["reaches"]
    assert "20 of these 26 are false releases; wrong labels alone would make about 1" in Page(path).texts["reaches"]
    assert "26 个学习工单" in Page(path, "zh").texts["reaches"]


@pytest.mark.parametrize("life", [{"proof": 0.0}, {"proof": 0.05, "label_noise": 1.0}])
def test_a_run_that_was_told_no_such_level_says_nothing(weighed, life):
    weighed.configure("reflect", reflect={"trial": LIMITS}, life_cycle=LIFE | life)
    assert reaches(weighed.folder) == []
