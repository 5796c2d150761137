"""A rule that left because its first epoch showed too little of it is among what more tickets would decide."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.report_runs import GONE, SOLID, tally, weighed_run
from verdicts.report.evidence import NearMiss, near_misses_of, read_limits
from verdicts.runs.view import read_learnt

WHY = "not_confirmed: 0 right, 0 wrong on tickets that it was not learnt from (p 1), 3 and 0 on all (p 0.11)"


def near_misses(folder: Path, misses: int, why: str = WHY) -> list[NearMiss]:
    """Those of the weighed run, whose G3 turned 3 fails and so many passes and left in round 3."""
    run = weighed_run(folder, near=[])
    learnt = read_learnt(run.folder)
    for number, seen in ((2, tally(2, 0, 3, 5)), (3, tally(1, misses, 4, 5 - misses))):
        life, *calls = learnt.reflections[number - 1]
        learnt.reflections[number - 1] = [life.model_copy(update={"tallies": {"G3": seen}}), *calls]
    last = learnt.states[-1]
    gone = {"G3": last.removed["G3"].model_copy(update={"why": why})}
    states = [*learnt.states[:-1], last.model_copy(update={"removed": gone})]
    return near_misses_of(replace(learnt, states=states), read_limits(run.folder))


def test_a_rule_that_was_not_confirmed_says_how_many_more_tickets_would_have_done(tmp_path):
    # 3 of ten wrong, 0 of ten right: p = C(10, 3) / C(20, 3). Its trial's level, 0.0123, is wanted at -2.249 - 0.842
    # standard deviations: p = 0.00100, and three times as many tickets show 0.000968
    (miss,) = near_misses(tmp_path / "run", misses=0)
    assert (miss.text, miss.level, miss.times) == (GONE, SOLID.level, 3)
    assert miss.p_value == pytest.approx(0.105263, abs=1e-6)


@pytest.mark.parametrize(("misses", "why"), [(2, WHY), (0, "no_lift: 3 right, 0 wrong, 50% by chance")])
def test_a_rule_that_was_wrong_too_often_or_left_for_another_reason_is_no_near_miss(tmp_path, misses, why):
    assert near_misses(tmp_path / "run", misses, why) == []
