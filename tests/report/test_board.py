"""board: every run of every mission on one page, with rates against their limits."""

import shutil

from tests.support.builders import call
from tests.support.contrast import CONTRAST
from tests.support.pages import Page
from verdicts.base.jsonl import write_text
from verdicts.config.load import read_yaml
from verdicts.pages.renderer import PAGES


def board(runs):
    path = runs / "board.html"
    outcome = call("board", runs=runs, output=path)
    assert outcome.code == 0, outcome.err
    return path, outcome


def test_a_run_has_a_row_with_rates_review_gate_and_a_link(judged):
    runs = judged.folder.parents[1]
    judged.configure("gate", gate={"max_frr": 0.05})
    (judged.folder / "report.html").touch()
    path, _ = board(runs)
    page, html = Page(path), path.read_text(encoding="utf-8")
    (row,) = page.rows["runs-bbu_line"]
    assert (
        row[1] == "Tickets4"
        and row[2].startswith("False release, teacher50.0% 1/2")
        and row[3].startswith("False release, student0.0% 0/80")
    )
    assert (row[5], row[6]) == ("To review2", "Gatepasses")
    assert ("href", "one/bbu_line/report.html") in page.attributes
    assert 'class="num above"' in html and 'class="num within"' in html


def test_a_run_that_cannot_be_read_stands_with_its_error_beside_the_others(judged):
    runs = judged.folder.parents[1]
    shutil.copytree(judged.folder, runs / "two" / "bbu_line")
    write_text(runs / "two" / "bbu_line" / "need_review.json", "{\n")
    path, outcome = board(runs)
    first, second = Page(path).rows["runs-bbu_line"]
    assert "50.0%" in first[2] and "need_review.json" in second[1]
    assert "2 runs of 1 missions, 1 that cannot be read" in outcome.err


def test_a_folder_without_runs_is_named_and_nothing_is_written(tmp_path):
    outcome = call("board", runs=tmp_path, output=tmp_path / "board.html")
    assert outcome.code == 2 and "holds no run" in outcome.err and not (tmp_path / "board.html").exists()


def test_the_same_runs_give_the_same_bytes(judged):
    runs = judged.folder.parents[1]
    assert board(runs)[0].read_bytes() == board(runs)[0].read_bytes()


def test_every_text_of_the_board_has_both_languages():
    assert all(len(pair) == 2 and all(pair) for pair in read_yaml(PAGES / "board.yaml").values())


def test_the_board_fits_a_phone_and_is_quiet(judged, open_page):
    path, _ = board(judged.folder.parents[1])
    for width in (1280, 390):
        opened = open_page(path, width=width)
        assert opened.overflow() <= 0 and opened.complaints == opened.requests == []
    for scheme in ("light", "dark"):
        assert open_page(path, color_scheme=scheme).page.evaluate(CONTRAST)["ratio"] >= 4.5


def test_runs_stand_by_when_they_began_and_their_rates_are_drawn_against_the_limit(judged):
    runs = judged.folder.parents[1]
    judged.configure("gate", gate={"max_frr": 0.05})
    write_text(judged.folder / "run.log", "2026-03-02T10:00:00 tickets: 4\n")
    shutil.copytree(judged.folder, runs / "zero" / "bbu_line")
    write_text(runs / "zero" / "bbu_line" / "run.log", "2026-03-01T09:00:00 tickets: 4\n")
    path, _ = board(runs)
    assert [row[0] for row in Page(path).rows["runs-bbu_line"]] == [
        "zero 2026-03-01 09:00 no report yet (make report)",
        "one 2026-03-02 10:00 no report yet (make report)",
    ]
    html = path.read_text(encoding="utf-8")
    teacher = html[html.index('id="trend-bbu_line-teacher"') : html.index('id="trend-bbu_line-student"')]
    assert "zero: 50.0% [9.5%, 90.5%] 1/2 ≤ 5.0%" in teacher and teacher.count('class="limit"') == 2
    assert teacher.count('<g class="above">') == 2 and teacher.index("zero:") < teacher.index("one:")
    student = html[html.index('id="trend-bbu_line-student"') :]
    assert student.count('<g class="within">') == 2


def test_one_run_alone_has_no_trend(judged):
    assert "trend-bbu_line" not in board(judged.folder.parents[1])[0].read_text(encoding="utf-8")
