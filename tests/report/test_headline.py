"""The first figure of the report: whose it is, how it stands to its limit, and verdicts against labels as counts."""

import pytest

from tests.support.builders import RunFolder, ticket
from tests.support.judging import Bench
from tests.support.pages import Page
from tests.support.report_runs import report
from verdicts.report.headline import state_of
from verdicts.stats.rates import wilson


def opened(run: RunFolder) -> tuple[Page, str]:
    path = report(run)
    return Page(path), path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("verdicts", "state", "said"),
    [
        ("pass " * 30 + "fail " * 70, "above", "30.0% Above the limit of 5.0%"),
        ("pass " * 4 + "fail " * 96, "unsure", "4.0% Not yet sure: up to 9.8%, the limit is 5.0%"),
        ("fail " * 100, "within", "0.0% Within the limit of 5.0%, for sure"),
    ],
)
def test_the_teachers_rate_comes_first_in_the_colour_of_its_state(tmp_path, verdicts, state, said):
    tickets = [ticket(f"g{number}", "fail") for number in range(100)]
    by_key = {row.ticket_key: word for row, word in zip(tickets, verdicts.split(), strict=True)}
    run = RunFolder(tmp_path, tickets).play(by_key).finish().complete()
    run.configure("gate", gate={"max_frr": 0.05})
    page, html = opened(run)
    assert f"of the teacher; no student is judged yet {said}" in page.texts["headline"]
    assert f'class="hero {state}"' in html and f'class="gauge {state}"' in html and f'class="all {state}"' in html
    assert html.index('id="headline"') < html.index("<nav")


def test_the_students_rate_after_training_comes_before_the_teachers(judged):
    judged.configure("gate", gate={"max_frr": 0.05, "max_false_block": 0.05, "min_format": 0.995})
    page, html = opened(judged)
    assert "of the student, after training 0.0% Within the limit of 5.0%, for sure" in page.texts["headline"]
    assert "0 of 80 held-out fails" in page.texts["headline"]
    assert 'class="hero within"' in html and html.index('id="student"') < html.index('id="figures"')


def test_a_student_before_training_alone_takes_no_ones_place(judged):
    for name in ("gate.json", "after.json"):
        (judged.folder / "evaluation" / name).unlink()
    assert "of the teacher" in opened(judged)[0].texts["headline"]


def test_verdicts_stand_against_labels_as_counts(judged):
    rows = opened(judged)[0].rows
    assert rows["confusion-before"] == [["labelled fail", "40", "40", "80"], ["labelled pass", "40", "0", "40"]]
    assert rows["confusion-after"] == [["labelled fail", "0", "80", "80"], ["labelled pass", "40", "0", "40"]]
    assert rows["confusion-teacher"] == [["labelled fail", "1", "1", "2"], ["labelled pass", "1", "1", "2"]]


def test_answers_without_a_verdict_have_a_column_of_their_own(run):
    (run.folder / "evaluation").mkdir()
    bench = Bench(run.folder / "evaluation")
    bench.write("after", fail=["fail"] * 77 + ["nonsense"] * 3, **{"pass": ["pass"] * 38 + ["nonsense"] * 2})
    bench.gate()
    assert opened(run)[0].rows["confusion-after"] == [
        ["labelled fail", "0", "77", "3", "80"],
        ["labelled pass", "38", "0", "2", "40"],
    ]


def test_a_rate_is_coloured_as_the_gate_judges_it():
    assert [state_of("frr", wilson(k, 100), 0.05) for k in (0, 4, 6)] == ["within", "unsure", "above"]
    assert [state_of("false_block", wilson(k, 100), 0.05) for k in (5, 6)] == ["within", "above"]
    assert [state_of("format", wilson(k, 100), 0.995) for k in (100, 99)] == ["within", "above"]
    assert state_of("label_match", wilson(1, 100), 0.5) == state_of("frr", wilson(1, 100), None) == "plain"
    assert state_of("frr", wilson(0, 0), 0.05) == "plain"


def test_answers_without_a_verdict_count_as_releases_in_the_first_figures_state(run):
    """Wilson's upper end of 3 of 80 is 10.5 %, so 0 of 77 alone would have been within 5 % for sure (4.8 %)."""
    (run.folder / "evaluation").mkdir()
    bench = Bench(run.folder / "evaluation")
    bench.write("after", fail=["fail"] * 77 + ["nonsense"] * 3, **{"pass": ["pass"] * 40})
    run.configure("gate", gate={"max_frr": 0.05, "max_false_block": 0.05, "min_format": 0.995})
    page, html = opened(run)
    text = page.texts["headline"]
    assert '<td class="num unsure">0.0%<small>0/77' in html
    assert "0.0% Not yet sure: up to 10.5%, the limit is 5.0%" in text
    assert "With the 3 malformed answers to fails counted as releases, as the gate does: 3.8%, up to 10.5%" in text


def test_a_table_with_tickets_without_a_verdict_fits_a_phone(run, open_page):
    (run.folder / "evaluation").mkdir()
    bench = Bench(run.folder / "evaluation")
    bench.write("after", fail=["fail"] * 77 + ["nonsense"] * 3, **{"pass": ["pass"] * 38 + ["nonsense"] * 2})
    for locale in ("en-US", "zh-CN"):
        assert open_page(report(run), width=390, locale=locale).overflow() <= 0
