"""What the student released wrongly on held-out tickets: each one, with what was seen, and where errors lie."""

from pathlib import Path

import pytest

from tests.support.builders import RunFolder, ticket
from tests.support.judging import Bench
from tests.support.pages import Page
from tests.support.report_runs import report
from verdicts.base.jsonl import write_rows, write_text
from verdicts.config.load import load
from verdicts.config.tools import section_text
from verdicts.evaluation.question_files import files_digest
from verdicts.evaluation.questions import Question
from verdicts.evaluation.scores import score
from verdicts.records.evaluation import MadeFrom
from verdicts.records.tickets import StageA
from verdicts.report import released
from verdicts.stage_b.protocol import render

SEEN = ("电线/散乱×2", "BBU设备/华为,显示完整×1")
TICKETS = [
    ticket("a", "fail", SEEN, reasons=("电线散乱",)),
    ticket("b", "fail", SEEN[:1]),
    ticket("c", "pass", SEEN[1:]),
    ticket("d", "fail", SEEN),
    ticket("<b>e &", "fail", SEEN[:1]),
]
# verdict and reason; right: d
ANSWERS = ["pass 电线(G0)", "pass 电线(G0)；豁免(G2)", "fail 设备(G2)", "fail 电线(G0)", "pass <i>(G0)"]


@pytest.fixture
def wrong(run, tmp_path) -> RunFolder:
    """A student after training that releases a, b and e, and blocks c; photos of a lie beside the tickets."""
    folder = tmp_path / "held out"
    for name in TICKETS[0].images:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return answered(run, folder, TICKETS, ANSWERS)


def answered(run: RunFolder, folder: Path, tickets: list[StageA], answers: list[str]) -> RunFolder:
    """The run with a student after training that gave these answers to the held-out tickets of a folder."""
    file = folder / "bbu_line.stage_a.jsonl"
    write_rows(file, tickets)
    rows = []
    for row, said in zip(tickets, answers, strict=True):
        verdict, _, reason = said.partition(" ")
        rows.append(
            score(Question("chat", row.ticket_key, row.group_id, (), label=row.label), render(verdict, reason), True)
        )
    (run.folder / "evaluation").mkdir()
    made = MadeFrom(
        held_out=folder.as_posix(),
        questions="q",
        files={"tickets": files_digest([file])},
        guidance="g",
        settings={},
        base=None,
    )
    Bench(run.folder / "evaluation").write_answers("after", rows, made_from=made)
    write_text(run.folder / "config" / "evaluate.yaml", section_text(load("miniature", "bbu_line"), "evaluate"))
    return run


def test_every_false_release_stands_with_what_was_seen_and_photos_are_links(wrong):
    path = report(wrong)
    page, html = Page(path), path.read_text(encoding="utf-8")
    assert "Held-out tickets that the student wrongly releases: 3" in page.texts["student"]
    text = page.texts["released"]
    assert [text.count(row.ticket_key) for row in TICKETS] == [1, 1, 0, 0, 1]
    assert "Why the student passes it 电线(G0) Written when it was failed 电线散乱What it was told" in text
    assert "电线/散乱×2 photo BBU设备/华为,显示完整×1 photo Link to this ticket" in text
    assert "电线/散乱×2 b_1.jpeg" in text, "its photo does not lie there"
    assert ("href", "../../../held%20out/a_1.jpeg") in page.attributes and "img" not in page.names
    assert "<i>" not in html and "<b>e" not in html
    assert html.count('href="#ticket-') == 3


def test_errors_are_grouped_by_rule_object_and_number_of_photos(wrong):
    rows = Page(report(wrong)).rows
    assert rows["errors-rule"] == [["G0", "3/4", "0/0"], ["G2", "1/1", "1/1"]]
    assert rows["errors-object"] == [["电线", "3/4", "0/0"], ["BBU设备", "1/2", "1/1"]]
    assert rows["errors-photos"] == [["1", "2/2", "1/1"], ["2", "1/2", "0/0"]]


def test_tickets_that_have_changed_since_are_not_shown_and_the_page_says_so(wrong, tmp_path):
    file = tmp_path / "held out" / "bbu_line.stage_a.jsonl"
    write_rows(file, TICKETS[:2])
    page = Page(report(wrong))
    assert f"{file} is not there, or has changed since the student was asked" in page.texts["student"]
    assert "a::fail" in page.texts["released"] and "电线/散乱" not in page.texts["released"]
    assert "errors-rule" in page.rows and "errors-object" not in page.rows


def test_a_page_without_room_names_tickets_and_counts_those_shown_bare(wrong, monkeypatch):
    monkeypatch.setattr(released, "MOST_SEEN", 1_400)  # e takes about 1,300, a and b the same each
    page = Page(report(wrong))
    assert "2 of them are shown without summaries" in page.texts["student"]
    assert all(key in page.texts["released"] for key in ("a::fail", "b::fail"))
    monkeypatch.setattr(released, "MOST_NAMED", 170)  # one line
    page = Page(report(wrong))
    assert "wrongly releases: 3" in page.texts["student"] and "b::fail" not in page.texts["released"]
    assert "and 1 more, for which this page has no room" in page.texts["released"]


def test_a_student_without_false_releases_says_so(judged):
    assert "No held-out ticket labelled fail is released after training." in Page(report(judged)).texts["released"]


def test_a_link_to_a_ticket_opens_it(wrong, open_page):
    opened = open_page(report(wrong))
    link = opened.page.locator("#released details").first.locator("a", has_text="Link").get_attribute("href")
    assert not opened.page.locator("#released details[open]").count()
    opened.page.goto(opened.page.url + link)
    assert opened.page.locator("#released details[open]").count() == 1
    assert opened.page.locator("#released details[open] .id").inner_text() == "<b>e &::fail"
    assert opened.complaints == []


def test_ten_thousand_held_out_tickets_of_which_half_are_released_stay_a_page(run, tmp_path, open_page):
    folder = tmp_path / "held out"
    fact = (
        "BBU设备/华为,只显示部分,无需安装×1，光纤/有保护措施,弯曲半径合理×{0}，标签/5G-AAU{0}-光纤×1，电线/捆扎整齐×2"
    )
    labels = ["fail", "pass"] * 5_000
    tickets = [
        ticket(f"QC-TEMP-20240101-{number:07}", label, [fact.format(number + place) for place in range(5)])
        for number, label in enumerate(labels)
    ]
    for row in tickets[:200]:
        for name in row.images:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"x")
    path = report(answered(run, folder, tickets, ["pass 电线捆扎整齐，光纤有保护措施(G0)"] * len(tickets)))
    size = path.stat().st_size
    opened = open_page(path)
    drawn = "new Promise(done => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))"
    opened_ms = opened.page.evaluate(drawn)
    assert "wrongly releases: 5000" in opened.page.inner_text("#student")
    assert opened.page.locator("#released > li").count() == 5_000
    assert size < 5_000_000 and opened.complaints == opened.requests == []
    print(f"10,000 held-out tickets, 5,000 released: {size / 1e6:.2f} MB, drawn after {opened_ms:.0f} ms")  # pytest -s
