"""The audit sample: decided on the review page, brought in, counted, heard by the corpus where a person says drop."""

import json

import pytest

from tests.support.builders import RunFolder, call, ticket
from tests.support.pages import Page
from verdicts.base.jsonl import read_rows, write_text
from verdicts.config.load import load
from verdicts.config.tools import section_text
from verdicts.records.corpus import AuditDecision, AuditRow, DroppedRow, SftRow
from verdicts.review.audit import read_audit_result

LABELS = {**dict.fromkeys("abcd", "pass"), **dict.fromkeys("efgh", "fail")}
KEYS = {name: f"{name}::{label}" for name, label in LABELS.items()}
WORDS = {
    "a": "right", "b": "right", "c": "verdict_wrong", "d": "unsure",
    "e": "right", "f": "reason_wrong", "g": "right", "h": "verdict_wrong",
}  # fmt: skip


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """Eight tickets with answers that agree with their labels: all of them are sampled, none is queued."""
    answers = {key: f"{LABELS[name]} {LABELS[name]}" for name, key in KEYS.items()}
    tickets = [ticket(name, label) for name, label in LABELS.items()]
    made = RunFolder(tmp_path / "one" / "bbu_line", tickets, audit_sample=8).play(answers).finish().complete()
    write_text(made.folder / "config" / "rollout.yaml", section_text(load("miniature", "bbu_line"), "rollout"))
    assert [row.ticket_key for row in read_rows(made.folder / "distill.audit.jsonl", AuditRow)] == list(KEYS.values())
    return made


def lines(words: dict[str, str], **more: object) -> str:
    rows = [{"ticket_key": KEYS[name], "audit": word, **more} for name, word in words.items()]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def bring_in(run: RunFolder, text: str, **options: object):
    path = run.folder / "given.jsonl"
    write_text(path, text)
    return call("review_apply", run_dir=run.folder, decisions=path, **options)


def corpus(run: RunFolder) -> list[bytes]:
    return [(run.folder / f"distill.{part}.jsonl").read_bytes() for part in ("train", "val", "dropped")]


def test_the_result_counts_wrong_verdicts_of_those_told_right_or_wrong(run):
    """Two of the seven told were wrong verdicts, one of three passes, and three of seven wrong in verdict or reason."""
    outcome = bring_in(run, lines(WORDS))
    assert outcome.code == 0, outcome.err
    found = read_audit_result(run.folder)
    assert (found.sampled, found.decided, found.stale, found.dropped) == (8, 8, 0, 0)
    assert found.told == {"right": 4, "reason_wrong": 1, "verdict_wrong": 2, "unsure": 1}
    assert (found.wrong.k, found.wrong.n, found.faulty.k, found.faulty.n) == (2, 7, 3, 7)
    assert [(side, rate.k, rate.n) for side, rate in found.by_verdict.items()] == [("pass", 1, 3), ("fail", 1, 4)]
    assert "8 given = 8 new + 0 changed + 0 unchanged; 0 others kept" in outcome.last_line
    assert "8 of 8 sampled answers decided (4 right, 1 reason_wrong, 2 verdict_wrong, 1 unsure)" in outcome.last_line
    assert "wrong verdicts 28.6% [8.2%, 64.1%] (2/7), of passes 33.3%" in outcome.last_line


def test_the_corpus_changes_only_where_a_person_says_drop(run):
    before = corpus(run)
    bring_in(run, lines(WORDS))
    assert run.distill().code == 0 and corpus(run) == before
    outcome = bring_in(run, lines({"c": "verdict_wrong"}, drop=True))
    assert "1 given = 0 new + 1 changed + 0 unchanged; 7 others kept" in outcome.last_line
    assert "1 to leave out of the corpus" in outcome.last_line
    last = run.distill().last_line
    dropped = read_rows(run.folder / "distill.dropped.jsonl", DroppedRow)
    assert [(row.ticket_key, row.dropped) for row in dropped] == [("c::pass", "audited")]
    kept = [
        row.group_id for part in ("train", "val") for row in read_rows(run.folder / f"distill.{part}.jsonl", SftRow)
    ]
    assert sorted(kept) == list("abdefgh") and "1 dropped (audited 1)" in last
    sampled = {row.ticket_key: row.used_in for row in read_rows(run.folder / "distill.audit.jsonl", AuditRow)}
    assert len(sampled) == 8 and sampled["c::pass"] == "dropped"


def test_a_decision_holds_for_the_answer_it_was_made_of_and_for_no_other(run):
    bring_in(run, lines({"a": "verdict_wrong"}, drop=True, verdict="pass", reason="another answer"))
    found = read_audit_result(run.folder)
    assert (found.decided, found.stale, found.dropped) == (0, 1, 0)
    assert "1 decisions on answers that have changed since" in str(found)
    before = corpus(run)
    assert run.distill().code == 0 and corpus(run) == before


def test_a_decision_made_by_hand_is_of_the_answer_that_stands(run):
    bring_in(run, lines({"a": "right"}))
    (kept,) = read_rows(run.folder / "audit_decisions.jsonl", AuditDecision)
    (row,) = [row for row in read_rows(run.folder / "distill.audit.jsonl", AuditRow) if row.ticket_key == "a::pass"]
    assert (kept.verdict, kept.reason) == (row.verdict, row.reason)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"ticket_key": "z::pass", "audit": "right"}\n',
            "given.jsonl:1: ticket_key: no ticket 'z::pass' in this run's",
        ),
        ("[" * 100_000, "given.jsonl"),
        (lines({"a": "right"}) * 2, "given.jsonl:2: ticket_key: 'a::pass' stands"),
        (lines({"a": "good"}), "given.jsonl:1: audit:"),
        (lines({"a": "right"}) + '{"ticket_key": "b::pass", "decision": "exclude"}\n', "given.jsonl:2:"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_written(run, text, said):
    outcome = bring_in(run, text)
    assert outcome.code == 2 and said in outcome.err, outcome.err
    assert not (run.folder / "audit_decisions.jsonl").exists()


def test_an_audit_is_brought_in_alone_and_only_where_there_is_a_sample(run):
    path = run.folder / "given.jsonl"
    assert "name it alone" in bring_in(run, lines({"a": "right"}), second=path).err
    write_text(run.folder / "distill.audit.jsonl", "")
    outcome = bring_in(run, lines({"a": "right"}))
    assert outcome.code == 2 and "holds none; make distill first" in outcome.err


def test_report_and_show_say_what_the_audit_came_to(run):
    bring_in(run, lines({name: WORDS[name] for name in "abc"}))
    path = run.folder / "report.html"
    assert call("report", run_dir=run.folder, output=path).code == 0
    text = Page(path).texts["audit"]
    assert "People have looked at 3 of 8. Right 2, wrong reason 0, wrong verdict 1" in text
    assert "Wrong verdicts 33.3%" in text and "1 of 3" in text and "Only a part of the sample is decided" in text
    said = "audit: 3 of 8 sampled answers decided (2 right, 1 verdict_wrong); wrong verdicts 33.3%"
    assert said in call("show", run_dir=run.folder).out


def test_the_page_decides_the_sample_and_what_it_saves_comes_back(run, open_page):
    path = run.folder / "review.html"
    assert call("review_page", run_dir=run.folder, output=path).code == 0
    opened = open_page(path)
    page = opened.page
    assert page.locator("#tabs button").all_inner_texts() == ["Review 0", "Audit sample 8"]
    page.keyboard.press("a")
    assert page.inner_text("#count") == "0 / 8" and page.locator(".row:visible").count() == 8
    first, second = page.locator(".row:visible .name").all_inner_texts()[:2]
    page.fill("#reviewer", "王工")
    page.locator("#main").focus()
    page.keyboard.press("x")
    assert "Decide first" in page.inner_text("#said")
    page.keyboard.press("3")
    page.keyboard.press("k")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("4")
    assert page.inner_text("#count") == "2 / 8"
    with page.expect_download() as download:
        page.click("#save")
    saved = run.folder / download.value.suggested_filename
    download.value.save_as(saved)
    assert saved.name == "audit_decisions.jsonl"
    rows = {row["ticket_key"]: row for row in map(json.loads, saved.read_text(encoding="utf-8").splitlines())}
    one, other = rows[KEYS[first]], rows[KEYS[second]]
    assert (one["audit"], one["drop"], one["reviewer"], one["verdict"]) == (
        "verdict_wrong",
        True,
        "王工",
        LABELS[first],
    )
    assert other["audit"] == "unsure" and "drop" not in other
    saved.rename(run.folder / "mine.jsonl")
    assert call("review_apply", run_dir=run.folder, decisions=run.folder / "mine.jsonl").code == 0
    assert read_audit_result(run.folder).decided == 2 and read_audit_result(run.folder).dropped == 1
    page.keyboard.press("z")
    assert page.inner_text("#count") == "1 / 8"
    page.keyboard.press("a")
    assert page.inner_text("#count") == "0 / 0" and "Nothing to review" in page.inner_text("#nothing")
    assert opened.complaints == [] and opened.requests == []
    assert call("review_page", run_dir=run.folder, output=path).code == 0  # what was brought in stands on a new page
    again = open_page(path).page
    again.click("#tab-audit")
    assert again.inner_text("#count") == "2 / 8" and again.locator(".tag.drop").count() == 1


def test_a_run_without_a_sample_has_no_tabs(run, open_page):
    write_text(run.folder / "distill.audit.jsonl", "")
    path = run.folder / "review.html"
    call("review_page", run_dir=run.folder, output=path)
    page = open_page(path).page
    assert not page.locator("#tabs").is_visible()
    page.keyboard.press("a")
    assert "Nothing to review" in page.inner_text("#nothing")
