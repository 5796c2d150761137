"""A run on drawn tickets says so where eyes land first; a corpus of one side is a loud warning."""

import json
import subprocess
import sys

import pytest

from tests.support.builders import RunFolder, call, ticket
from tests.support.pages import Page
from verdicts.base.jsonl import read_rows, write_rows, write_text
from verdicts.config.load import load
from verdicts.config.tools import section_text
from verdicts.records.corpus import SftRow
from verdicts.records.synthetic import BANNER, PREFIX, is_synthetic
from verdicts.records.tickets import StageA

ANSWERS = {
    "a::pass": "pass pass",
    "b::fail": "fail fail",
    "c::fail": "pass pass",
    "d::pass": "pass pass",
    "e::fail": "fail fail",
}


def a_run(folder, prefix: str = "", answers: dict[str, str] = ANSWERS, **distill: object) -> RunFolder:
    answers = {prefix + key: words for key, words in answers.items()}
    run = RunFolder(
        folder,
        [ticket(*key.split("::"), (f"电线/捆扎整齐×{number}",)) for number, key in enumerate(answers, start=1)],
        **({"val_share": 0} | distill),
    )
    run.play(answers).finish().complete()
    write_text(run.folder / "config" / "rollout.yaml", section_text(load("miniature", "bbu_line"), "rollout"))
    return run


def note(run: RunFolder, **fields: object) -> None:
    write_text(
        run.folder / "config" / "tickets.json", json.dumps({"source": "drawn.jsonl", "sha256": "0" * 64} | fields)
    )


def said_by(run: RunFolder) -> dict[str, str]:
    told = {
        name: call(name, run_dir=run.folder, output=run.folder / page).err
        for name, page in (("report", "report.html"), ("review_page", "review.html"))
    }
    return told | {
        "distill": run.distill().err,
        "show": call("show", run_dir=run.folder).out,
        "review_apply": call("review_apply", run_dir=run.folder).err,
        "check": run.check().err,
    }


@pytest.mark.parametrize("how", ["the note of prepare", "the groups' names"])
def test_every_page_and_summary_of_a_run_on_drawn_tickets_says_synthetic_first(tmp_path, how):
    run = a_run(tmp_path / "run", PREFIX if how == "the groups' names" else "")
    note(run, **({"synthetic": True} if how == "the note of prepare" else {}))
    told = said_by(run)
    assert told["show"].startswith(BANNER)
    assert told["distill"].splitlines()[-1].startswith("distill (SYNTHETIC TICKETS): 5 tickets = ")
    assert told["report"].startswith("report (SYNTHETIC TICKETS): ") and told["review_page"].startswith(
        "review_page (SYNTHETIC TICKETS): "
    )
    assert told["review_apply"].startswith("review_apply (SYNTHETIC TICKETS): FRR ")
    assert f"check: {BANNER}" in told["check"] and "files are in order, with 1 warnings" in told["check"]
    for name in ("report.html", "review.html"):
        html = (run.folder / name).read_text(encoding="utf-8")
        body = html.split("<body>")[1].lstrip()
        assert body.startswith('<p class="synthetic" id="synthetic"') or body.split("</a>", 1)[1].lstrip().startswith(
            '<p class="synthetic" id="synthetic"'
        )
        assert "合成数据" in body[:600] and "synthetic tickets" in body[:600].lower()
    assert "<title>合成数据 · SYNTHETIC · " in (run.folder / "report.html").read_text(encoding="utf-8")
    assert Page(run.folder / "report.html", "zh").texts["synthetic"].startswith("合成数据")


def test_a_run_on_other_tickets_says_nothing_of_the_kind(tmp_path):
    run = a_run(tmp_path / "run")
    note(run)
    assert not any("synthetic" in text.lower() for text in said_by(run).values())
    for name in ("report.html", "review.html"):
        assert 'id="synthetic"' not in (run.folder / name).read_text(encoding="utf-8")


def test_a_run_that_holds_a_few_drawn_tickets_is_synthetic_whatever_the_spacing(tmp_path):
    rows = [ticket("a"), ticket(f"{PREFIX}b", "fail")]
    write_rows(tmp_path / "stage_a.jsonl", rows)
    assert is_synthetic(tmp_path)
    (tmp_path / "stage_a.jsonl").write_text(
        "".join(json.dumps(row.model_dump(), separators=(",", ":")) + "\n" for row in rows), encoding="utf-8"
    )
    assert is_synthetic(tmp_path)
    write_rows(tmp_path / "stage_a.jsonl", rows[:1])
    assert not is_synthetic(tmp_path)


def test_a_page_in_a_browser_says_synthetic_first(tmp_path, open_page):
    run = a_run(tmp_path / "run")
    note(run, synthetic=True)
    said_by(run)
    opened = open_page(run.folder / "review.html")
    assert opened.page.locator("#synthetic").is_visible() and opened.page.title().startswith("合成数据 · SYNTHETIC · ")
    assert opened.complaints == [] and opened.requests == []


@pytest.mark.parametrize(
    "text",
    [
        '{"source": 5}',
        "[]",
        "{",
        '{"source": "a", "sha256": "b", "synthetic": "yes"}',
        '{"source": "a", "sha256": "b", "synthetc": true}',
        "",
    ],
)
@pytest.mark.parametrize("tool", ["show", "report", "review_page", "distill", "check"])
def test_a_broken_note_is_named_and_never_a_traceback(tmp_path, text, tool):
    run = a_run(tmp_path / "run")
    write_text(run.folder / "config" / "tickets.json", text)
    outcome = (
        run.distill()
        if tool == "distill"
        else run.check()
        if tool == "check"
        else call(tool, run_dir=run.folder, **({} if tool == "show" else {"output": run.folder / "page.html"}))
    )
    assert outcome.code == 2 and "config/tickets.json" in outcome.err and "Traceback" not in outcome.err


def test_the_worlds_tickets_can_bear_their_mark_in_every_group_and_are_else_the_same(tmp_path):
    given = ["--mission", "bbu_line", "--tickets", "20", "--truth", str(tmp_path / "truth.jsonl")]
    for name, more in (("plain.jsonl", []), ("marked.jsonl", ["--mark-synthetic"])):
        subprocess.run(
            [sys.executable, "-m", "miniature.world.dataset", *given, "--output", str(tmp_path / name), *more],
            check=True,
        )
    plain, marked = (read_rows(tmp_path / name, StageA) for name in ("plain.jsonl", "marked.jsonl"))
    assert [row.group_id for row in marked] == [PREFIX + row.group_id for row in plain]
    assert [(row.label, row.per_image) for row in marked] == [(row.label, row.per_image) for row in plain]


# -- one side
ONE_SIDED = [
    (
        {"a::pass": "pass pass", "b::pass": "pass pass", "c::fail": "pass pass"},
        {},
        "every row of distill.train.jsonl answers pass, none fail",
    ),
    ({"a::fail": "fail fail", "b::fail": "fail fail"}, {}, "every row of distill.train.jsonl answers fail, none pass"),
    (
        {"a::pass": "pass pass", "b::fail": "pass pass"},
        {"conflict_policy": "keep"},
        "every row of distill.train.jsonl answers pass, none fail",
    ),
    (
        {"a::pass": "pass pass", "b::pass": "fail fail"},
        {"conflict_policy": "mark"},
        "every row of distill.train.jsonl is labelled pass, none fail",
    ),
]


@pytest.mark.parametrize(("answers", "distill", "said"), ONE_SIDED)
def test_a_corpus_of_one_side_is_warned_of_in_summary_report_show_and_check(tmp_path, answers, distill, said):
    run = a_run(tmp_path / "run", answers=answers, **distill)
    told = said_by(run)
    for tool in ("distill", "show", "check"):
        assert f"ONE-SIDED CORPUS: {said}" in told[tool], tool
    outcome = run.check()
    assert outcome.code == 0 and f"WARN ONE-SIDED CORPUS: {said}" in outcome.out
    only = "通过" if "answers pass" in said or "labelled pass" in said else "不通过"
    assert f"全部为“{only}”" in Page(run.folder / "report.html", "zh").texts["one-sided"]
    html = (run.folder / "report.html").read_text(encoding="utf-8")
    assert html.index('id="one-sided"') < html.index('id="verdict"')


def test_a_corpus_of_both_sides_or_of_no_row_is_not_warned_of(tmp_path):
    for number, answers in enumerate([ANSWERS, {"a::fail": "pass pass"}]):
        run = a_run(tmp_path / f"run{number}", answers=answers)
        assert not any("ONE-SIDED" in text for text in said_by(run).values())
        assert 'id="one-sided"' not in (run.folder / "report.html").read_text(encoding="utf-8")
    assert read_rows(run.folder / "distill.train.jsonl", SftRow, allow_empty=True) == []


@pytest.mark.parametrize("tool", ["show", "report"])
def test_a_corpus_line_that_cannot_be_read_is_named(tmp_path, tool):
    run = a_run(tmp_path / "run")
    (run.folder / "distill.train.jsonl").write_bytes("机柜门".encode("gbk") + b"\n")
    outcome = call(tool, run_dir=run.folder, **({} if tool == "show" else {"output": run.folder / "page.html"}))
    assert outcome.code == 2 and "distill.train.jsonl:1: not UTF-8" in outcome.err
