"""FRR and what waits for review: one definition, decisions counted, for show, distill, the report, review_apply."""

import json
import re

import pytest

from tests.support.builders import NO_GUARD, RunFolder, call, candidates, guidance, ticket
from tests.support.pages import Page
from verdicts.base.jsonl import write_text
from verdicts.config.load import read_yaml
from verdicts.config.sections import LearnSection
from verdicts.records.review import ReviewDecision
from verdicts.rounds.holdout import is_held_out
from verdicts.runs.standing import TEXTS, Standing, held_out_of, read_standing, release_limit, standing_of
from verdicts.stage_b.selection import select
from verdicts.stats.rates import wilson

SUMMARY = ("螺丝、光纤插头/机柜处接地螺丝,符合要求×1",)
# of 20 fails, 6 released: three queued, the other three supported by a candidate; one pass blocked and queued
ANSWERS = {f"good{number}::fail": "fail fail" for number in range(14)} | {
    f"split{number}::fail": "pass pass fail" for number in range(3)
}
QUEUED = {"x::fail": "pass pass", "y::fail": "pass pass", "z::fail": "pass pass", "w::pass": "fail fail"}


@pytest.fixture
def run(tmp_path) -> RunFolder:
    answers = ANSWERS | QUEUED
    run = RunFolder(
        tmp_path / "runs" / "first try" / "bbu_line", [ticket(*key.split("::"), SUMMARY) for key in answers]
    )
    run.play(answers, after=guidance(1, G1="规则")).play(answers).finish().complete()
    run.configure("gate", gate={"max_frr": 0.25})
    return run


def decide(run: RunFolder, **decisions: str) -> None:
    rows = [{"ticket_key": key.replace("__", "::"), "decision": decision} for key, decision in decisions.items()]
    write_text(run.folder / "review_decisions.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def said_by(run: RunFolder) -> dict[str, str]:
    """What each tool says of the run, the report as its text."""
    decisions = run.folder / "review_decisions.jsonl"
    page = run.folder / "report.html"
    told = {
        "distill": run.distill(decisions if decisions.exists() else None).err,
        "show": call("show", run_dir=run.folder).out,
    }
    told["report_line"] = call("report", run_dir=run.folder, output=page).err
    told["review_apply"] = call("review_apply", run_dir=run.folder).err
    return told | {"report": Page(page).text}


CASES = [
    ({}, 6, 20, 4, 4),
    ({"x__fail": "label_wrong"}, 5, 19, 3, 4),
    ({"x__fail": "label_wrong", "y__fail": "exclude"}, 4, 18, 2, 4),
    ({"x__fail": "label_wrong", "y__fail": "model_wrong", "z__fail": "unsure", "w__pass": "label_wrong"}, 5, 20, 0, 4),
    ({"good0__fail": "exclude"}, 6, 19, 4, 4),  # a ticket that was never queued
]


@pytest.mark.parametrize(("decisions", "k", "n", "waiting", "queued"), CASES)
def test_all_say_the_same_numbers_with_decisions_counted(run, decisions, k, n, waiting, queued):
    if decisions:
        decide(run, **decisions)
    told = said_by(run)
    counted = f", {len(decisions)} decisions counted" if decisions else ""
    of = f" of {queued} queued" if waiting != queued else ""
    sentence = f"FRR {wilson(k, n)}{counted}; {waiting}{of} tickets wait for review"
    for tool in ("distill", "show", "review_apply"):
        assert sentence in told[tool], tool
    assert f"{k} of {n} tickets labelled fail would be released" in told["report"]
    assert f" {waiting} tickets to review; " in told["report_line"]
    standing = read_standing(run.folder)
    assert (standing.rates.frr.k, standing.rates.frr.n, standing.waiting, standing.queued, standing.decisions) == (
        k,
        n,
        waiting,
        queued,
        len(decisions),
    )
    assert re.search(rf"Waiting for review\n  BBU接地线检查: {waiting}\b", told["show"])
    assert (f"; {queued - waiting} of {queued} decided" in told["show"]) == (waiting < queued)


@pytest.mark.parametrize(
    ("limit", "word", "tone"), [(0.1, "no", "stop"), (0.4, "not yet", "wait"), (0.6, "yes", "good")]
)
def test_distill_and_show_say_train_or_not_in_the_reports_sentence(run, limit, word, tone):
    run.configure("gate", gate={"max_frr": limit})
    told = said_by(run)
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    sentence = Page(run.folder / "report.html").texts["verdict"]
    assert f'class="verdict {tone}"' in page
    assert f"distill: train: {word}. {sentence}" in told["distill"]
    assert f"  train: {word}. {sentence}" in told["show"]
    assert ("; make sft " in told["distill"]) == (word == "yes")


def test_without_a_limit_nobody_says_train(run):
    (run.folder / "config" / "gate.yaml").unlink()
    assert release_limit(run.folder) is None
    assert "train: not yet. Guidance has converged: 6 of 20" in said_by(run)["distill"]


@pytest.mark.parametrize("text", ["gate: {max_frr: high}\n", "gate: {max_frr: [1]}\n", "gate: {max_frr: true}\n"])
def test_a_limit_that_is_no_number_is_named(run, text):
    write_text(run.folder / "config" / "gate.yaml", text)
    outcome = call("show", run_dir=run.folder)
    assert (
        outcome.code == 2
        and "config/gate.yaml: gate.max_frr: is no number (" in outcome.err
        and len(outcome.err.splitlines()) == 1
    )


@pytest.mark.parametrize("text", ["gate: 5\n", "gate: {}\n", "other: {}\n"])
def test_a_gate_that_says_nothing_of_a_limit_sets_none(run, text):
    write_text(run.folder / "config" / "gate.yaml", text)
    assert release_limit(run.folder) is None


# -- distill's last lines
def test_distill_ends_with_where_the_files_are_and_the_next_command(run):
    lines = run.distill().err.splitlines()
    assert lines[-1].startswith("distill: 21 tickets = ")
    assert (
        f"distill: files: {run.folder}/ (corpus: distill.train.jsonl, distill.val.jsonl; review list: need_review.json)"
        in lines
    )
    words = f"RUNS={run.folder.parents[1]} 'RUN=first try' MISSION=bbu_line"
    assert f"distill: next: make review-page {words} (4 tickets to decide); make report {words}" in lines


def test_the_usual_folder_of_runs_is_not_named(run, monkeypatch):
    monkeypatch.chdir(run.folder.parents[2])
    from tools.distill import ending
    from verdicts.runs.standing import training_advice

    folder = run.folder.relative_to(run.folder.parents[2])
    standing = read_standing(folder)
    lines = ending(folder, standing._replace(waiting=0), training_advice(None, 1, None, 0, None), "")
    assert lines[3] == "next: make report 'RUN=first try' MISSION=bbu_line"


@pytest.mark.parametrize(
    ("started", "shown"),
    [
        (None, r"this step took \d+\.\d s"),
        ("-5", r"the command took 1 min 5 s"),
        ("-7300", r"the command took 2 h 2 min"),
        ("+900", r"this step took \d"),
        ("soon", r"this step took \d"),
        ("nan", r"this step took \d"),
        ("inf", r"this step took \d"),
    ],
)
def test_distill_says_how_long_it_took(run, monkeypatch, started, shown):
    import time

    monkeypatch.delenv("RUN_STARTED", raising=False)
    if started is not None:
        monkeypatch.setenv("RUN_STARTED", str(time.time() - 60 + float(started)) if started[0] in "-+" else started)
    assert re.search(rf"^distill: {shown}", run.distill().err, re.MULTILINE)


def test_no_time_is_in_any_file(run, monkeypatch):
    before = {path: path.read_bytes() for path in run.folder.glob("distill*")}
    monkeypatch.setenv("RUN_STARTED", "1")
    run.distill()
    assert {path: path.read_bytes() for path in run.folder.glob("distill*")} == before


def test_every_verdict_has_a_text_in_both_languages():
    texts = read_yaml(TEXTS)
    assert all(
        len(texts[f"verdict.{name}"]) == 2
        for name in ("running", "max_epochs", "unknown", "no_limit", "over", "over_reviewed", "unsure", "within")
    )


# -- learn and hold-out tickets side by side
LEARN = LearnSection(holdout=0.2, seed=17)
HELD = [group for group in (f"g{number}" for number in range(2000)) if is_held_out(group, LEARN)]
LEARNT = [group for group in (f"g{number}" for number in range(2000)) if not is_held_out(group, LEARN)]


def answers_of(groups: list[str], label: str, wrong: int, right: int) -> dict[str, str]:
    """So many tickets of one label on one side, with their verdicts."""
    other = {"pass": "fail", "fail": "pass"}[label]
    return {
        f"{group}::{label}": other if place < wrong else label for place, group in enumerate(groups[: wrong + right])
    }


def standing(
    answers: dict[str, str], learn: LearnSection | None = LEARN, said: dict[str, ReviewDecision] | None = None
) -> Standing:
    of = [ticket(*key.split("::"), SUMMARY) for key in answers]
    return standing_of(
        [select(one, candidates(one, verdict), NO_GUARD) for one, verdict in zip(of, answers.values(), strict=True)],
        [],
        said or {},
        learn,
    )


def test_each_side_has_its_rates_and_the_whole_has_both():
    found = standing(
        answers_of(LEARNT, "fail", 4, 76)
        | answers_of(HELD, "fail", 2, 18)
        | answers_of(LEARNT[100:], "pass", 1, 9)
        | answers_of(HELD[50:], "pass", 0, 5)
    )
    counts = [
        (rates.frr.k, rates.frr.n, rates.false_block.k, rates.false_block.n)
        for rates in (found.rates, found.learn, found.holdout)
    ]
    assert counts == [(6, 100, 1, 15), (4, 80, 1, 10), (2, 20, 0, 5)]
    assert found.by_side == [
        f"FRR: learn {wilson(4, 80)}, hold-out {wilson(2, 20)}",
        f"false block: learn {wilson(1, 10)}, hold-out {wilson(0, 5)}",
        f"label match: learn {wilson(85, 90)}, hold-out {wilson(23, 25)}",
    ]
    assert found.gaps == []


@pytest.mark.parametrize("learn", [None, LEARN.model_copy(update={"holdout": 0.0})])
def test_a_run_that_holds_nothing_out_has_no_sides(learn):
    found = standing(answers_of(LEARNT, "fail", 2, 8) | answers_of(HELD, "fail", 8, 2), learn)
    assert (found.learn, found.holdout, found.by_side, found.gaps, found.rates.frr.n) == (None, None, [], [], 20)


# of method 10: 9/20 - 8/80 is 0.35 [0.14, 0.56]; 5/20 - 8/80 is 0.15 [-0.01, 0.37]; 6/20 - 8/80 is 0.20 [0.02, 0.42]
@pytest.mark.parametrize(
    ("learnt", "held", "gap"),
    [
        ((8, 72), (9, 11), True),
        ((8, 72), (6, 14), True),
        ((8, 72), (5, 15), False),
        ((8, 72), (2, 18), False),
        ((40, 40), (2, 18), False),
    ],
)
def test_an_error_that_is_more_frequent_on_hold_out_tickets_than_noise_explains_is_a_gap(learnt, held, gap):
    for label, rate, name in (("fail", "frr", "FRR"), ("pass", "false_block", "false block")):
        found = standing(answers_of(LEARNT, label, *learnt) | answers_of(HELD, label, *held))
        assert [one.rate for one in found.gaps] == ([rate] if gap else [])
        if gap:
            assert str(found.gaps[0]) == (
                f"GAP: {name} is {wilson(held[0], sum(held))} on tickets that guidance never saw, "
                f"{wilson(learnt[0], sum(learnt))} on those that it was learnt from: "
                "beyond noise; do not trust the rules yet"
            )


def test_a_side_without_tickets_of_a_label_has_no_gap_and_says_so():
    found = standing(answers_of(LEARNT, "fail", 0, 50) | answers_of(HELD, "pass", 3, 3))
    assert found.gaps == [] and found.by_side[0] == f"FRR: learn {wilson(0, 50)}, hold-out n/a (n=0)"


def test_the_sides_count_decisions_as_the_whole_does():
    answers = answers_of(LEARNT, "fail", 1, 29) | answers_of(HELD, "fail", 9, 11)
    said = {f"{group}::fail": ReviewDecision(ticket_key=f"{group}::fail", decision="label_wrong") for group in HELD[:7]}
    said[f"{HELD[7]}::fail"] = ReviewDecision(ticket_key=f"{HELD[7]}::fail", decision="exclude")
    found = standing(answers, said=said)
    assert (found.holdout.frr.k, found.holdout.frr.n, found.holdout.false_block.n) == (1, 12, 7) and found.gaps == []
    assert [one.rate for one in standing(answers).gaps] == ["frr"]


def test_distill_and_show_say_both_sides_and_a_gap_first(tmp_path):
    answers = answers_of(LEARNT, "fail", 1, 29) | answers_of(HELD, "fail", 6, 4)
    run = RunFolder(
        tmp_path / "runs" / "one" / "bbu_line", [ticket(*key.split("::"), SUMMARY) for key in answers]
    ).hold_out(0.2)
    run.play({key: f"{verdict} {verdict}" for key, verdict in answers.items()}).finish().complete()
    assert held_out_of(run.folder) == LEARN
    expected = [
        f"GAP: FRR is {wilson(6, 10)} on tickets that guidance never saw, {wilson(1, 30)} on those that it was "
        "learnt from: beyond noise; do not trust the rules yet",
        f"FRR {wilson(7, 40)}; 7 tickets wait for review",
        f"FRR: learn {wilson(1, 30)}, hold-out {wilson(6, 10)}",
        "false block: learn n/a (n=0), hold-out n/a (n=0)",
        f"label match: learn {wilson(29, 30)}, hold-out {wilson(4, 10)}",
    ]
    distill = run.distill().err.splitlines()
    assert distill[: len(expected)] == [f"distill: {line}" for line in expected]
    shown = call("show", run_dir=run.folder).out.splitlines()
    first = shown.index(f"  {expected[0]}")
    assert shown[first : first + len(expected)] == [f"  {line}" for line in expected]


def test_a_run_of_a_version_that_held_nothing_out_is_read_all_the_same(run):
    (run.folder / "config" / "collect.yaml").unlink()
    found = read_standing(run.folder)
    assert (held_out_of(run.folder), found.learn, found.holdout) == (None, None, None) and found.rates.frr.n == 20
    assert run.distill().code == 0 and call("show", run_dir=run.folder).code == 0
