"""What sets wrong verdicts apart and no rule was learnt for is said: in show and in the report."""

from dataclasses import replace

from tests.support.report_runs import weighed_run
from verdicts.records.reflection import Reflection
from verdicts.report.evidence import SharedByErrors, shared_by_errors
from verdicts.report.learnt_text import shared_lines
from verdicts.runs.view import read_learnt


def learnt_with(folder, *calls: tuple[str, bool]):
    """A run whose last round ends with such calls: what their cases share, and whether a rule was accepted."""
    learnt = read_learnt(weighed_run(folder, near=[]).folder)
    *_, life = (record for records in learnt.reflections for record in records if not record.is_call)
    applied = next(record.applied for records in learnt.reflections for record in records if record.applied)
    records = [
        Reflection.model_validate(
            life.model_dump()
            | {
                "reflection_id": f"r0009-{at:02d}",
                "directions": {"false_release": 4},
                "shared": shared,
                "applied": applied if accepted else [],
                "tallies": {},
            }
        )
        for at, (shared, accepted) in enumerate(calls, start=1)
    ]
    return replace(learnt, reflections=[*learnt.reflections, [life, *records]])


def test_what_errors_share_is_counted_as_it_stands_after_the_last_accepted_rule(tmp_path):
    calls = [
        ("", False),
        ("标签", False),
        ("接地排", True),
        ("without 电线", False),
        ("接地排", False),
        ("接地排", False),
    ]
    found = shared_by_errors(learnt_with(tmp_path / "run", *calls))
    assert found == [
        SharedByErrors("without 电线", "false_release", 1),
        SharedByErrors("接地排", "false_release", 2),
    ]
    head, *lines = shared_lines(found)
    assert lines == [
        "  without 电线: false releases, shown to reflection in 1 call",
        "  接地排: false releases, shown to reflection in 2 calls",
    ]
    assert "no rule was learnt" in head


def test_where_nothing_sets_errors_apart_nothing_is_said(tmp_path):
    assert shared_by_errors(learnt_with(tmp_path / "run", ("", False))) == []
    assert shared_by_errors(learnt_with(tmp_path / "other", ("标签", True))) == []
