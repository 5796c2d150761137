"""report: one page of a run whose numbers are the files', whatever the files hold."""

import json
import os
import re
import shutil
import string
from typing import get_args

import pytest

from tests.support.builders import MISSION, RunFolder, call, guidance, reflection, rule_meta, snapshot, ticket
from tests.support.forms import COUNTED, SEEN, photos
from tests.support.judging import Bench
from tests.support.pages import Page
from tests.support.report_runs import (
    FIXED,
    HOSTILE,
    LEARN,
    LEFT,
    LIFE,
    LIMITS,
    NEAR,
    OLD,
    RIDES,
    WORKS,
    as_an_older_version_left_it,
    learnt_run,
    report,
    tried,
    weighed_run,
)
from verdicts.base.jsonl import read_json, read_rows, write_json, write_text
from verdicts.behaviour.changes import BEHAVIOUR_KINDS
from verdicts.config.load import read_yaml
from verdicts.models.fingerprint import sampled_hash
from verdicts.pages.renderer import PAGES
from verdicts.pages.svg import percent, scale_of
from verdicts.records.evaluation import Named
from verdicts.records.reflection import AppliedOperation, Operation, RuleTally, Trial
from verdicts.records.review import NeedReviewFile, ReviewReason
from verdicts.records.rollout import Malformed
from verdicts.records.run import RoundMetrics
from verdicts.records.tickets import Entrance, Filtered, TicketsSource
from verdicts.report.data import why_malformed
from verdicts.rounds.holdout import side_of
from verdicts.stats.rates import Rate, wilson


def shown(rate: Rate) -> list[str]:
    return [percent(rate.rate), f"{rate.k}/{rate.n}", f"{percent(rate.low)}–{percent(rate.high)}"]


# -- numbers are the files'
def test_the_figures_are_those_of_the_last_whole_epoch_with_n_and_interval(run):
    text = Page(report(run)).texts["figures"]
    last = [row for row in read_rows(run.folder / "metrics.jsonl", RoundMetrics) if row.scope == "epoch"][-1]
    for name, title in (
        ("frr", "False release rate"),
        ("false_block", "False block rate"),
        ("label_match", "Label match"),
        ("format", "Format"),
    ):
        rate: Rate = getattr(last, name)
        assert title in text
        title = f"{percent(rate.rate)} [{percent(rate.low)}, {percent(rate.high)}] {rate.k}/{rate.n}"
        assert (
            f"{percent(rate.rate)}{title} {rate.k} of {rate.n} 95%: {percent(rate.low)} – {percent(rate.high)}" in text
        )
    assert (last.frr.k, last.frr.n) == (1, 2)
    assert "epoch 4, the last whole one" in text


def test_the_tables_of_rounds_and_of_epochs_hold_every_row_of_metrics(weighed):
    page = Page(report(weighed))
    metrics = read_rows(weighed.folder / "metrics.jsonl", RoundMetrics)
    rounds, epochs = ([row for row in metrics if row.scope == scope] for scope in ("round", "epoch"))
    changed = {1: "+G1 +G2 +G3", 3: "−G3"}
    assert (len(rounds), len(epochs)) == (4, 2)
    for shown_row, row in zip(page.rows["rounds"], rounds, strict=True):
        rates = [cell for name in ("frr", "false_block", "label_match", "format") for cell in shown(getattr(row, name))]
        assert shown_row == [
            str(row.round),
            str(row.epoch),
            str(row.rules),
            changed.get(row.round, ""),
            str(row.need_review),
            *rates,
        ]
    for shown_row, row in zip(page.rows["epochs"], epochs, strict=True):
        rates = [
            " ".join(shown(getattr(side, name)))
            for name in ("frr", "false_block", "label_match")
            for side in (row, row.learn, row.holdout)
        ]
        assert shown_row == [str(row.epoch), str(row.rules), *rates, " ".join(shown(row.format)), str(row.need_review)]


def test_every_figure_of_guidance_stands_for_all_learn_and_hold_out_tickets(weighed):
    path = report(weighed)
    figures, epochs = Page(path).texts["figures"], Page(path).rows["epochs"]
    wanted = {
        "False release rate": [
            ("all tickets", "16.7%", 10, 60),
            ("learn", "5.0%", 2, 40),
            ("hold-out", "40.0%", 8, 20),
        ],
        "False block rate": [("all tickets", "0.0%", 0, 20), ("learn", "0.0%", 0, 10), ("hold-out", "0.0%", 0, 10)],
        "Label match": [("all tickets", "87.5%", 70, 80), ("learn", "96.0%", 48, 50), ("hold-out", "73.3%", 22, 30)],
    }
    for title, sides in wanted.items():
        text = figures[figures.index(title) :]
        for name, rate, k, n in sides:
            found = wilson(k, n)
            ends = [percent(found.low), percent(found.high)]
            text = text[
                text.index(f"{name} {rate}{rate} [{', '.join(ends)}] {k}/{n} {k} of {n} 95%: {' – '.join(ends)}") :
            ]
    assert [cell.split()[1] for cell in epochs[1][2:8]] == ["20/120", "4/80", "16/40", "0/40", "0/20", "0/20"], (
        "an epoch of two rounds judges each ticket twice"
    )
    chinese = Page(path, "zh").texts["figures"]
    assert all(name in chinese for name in ("全部工单 16.7%", "学习 5.0%", "留出 40.0%"))


def test_sides_count_decisions_of_people_too(weighed):
    waiting = read_json(weighed.folder / "need_review.json", NeedReviewFile).missions[MISSION].tickets
    held = next(row.ticket_key for row in waiting if side_of(row.group_id, LEARN) == "holdout")
    decide(weighed, **{held: "exclude"})
    text = Page(report(weighed)).texts["figures"]
    assert "9 of 59" in text and "2 of 40" in text and "7 of 19" in text


def test_without_a_view_of_tickets_the_figures_are_the_last_epochs_by_side(weighed):
    (weighed.folder / "selections.jsonl").unlink()
    text = Page(report(weighed)).texts["figures"]
    assert "all tickets 16.7%" in text and "20 of 120" in text and "4 of 80" in text and "16 of 40" in text


def test_a_run_of_an_older_version_shows_what_it_has(weighed):
    as_an_older_version_left_it(weighed)
    path = report(weighed)
    page, html = Page(path), path.read_text(encoding="utf-8")
    assert "10 of 60" in page.texts["figures"] and not any(
        word in page.texts["figures"] for word in ("all tickets", "learn", "hold-out")
    )
    assert [cell.split()[1] for cell in page.rows["epochs"][1][2:5]] == ["20/120", "0/40", "140/160"]
    assert (
        "gap" not in page.texts
        and "near-misses" not in page.texts
        and '<strong class="base-rate">' not in html
        and 'class="evidence"' not in html
    )
    assert "right 0 wrong 0 confidence 0.50" in page.texts["rule-G1"] and "Lift:" not in page.texts["guidance"]


def test_a_run_that_held_nothing_out_has_no_sides(tmp_path):
    run = weighed_run(tmp_path / "run")
    run.configure("collect", learn={"holdout": 0, "seed": 17})
    page = Page(report(run.complete()))
    assert "hold-out" not in page.texts["figures"] and len(page.rows["epochs"][0]) == 7 and "gap" not in page.texts


# -- what a reader is told first
def gap(path, language: str = "en") -> str:
    return Page(path, language).texts["gap"]


def test_a_gap_is_the_first_thing_said_in_both_languages(weighed):
    corpus = weighed.folder / "distill.train.jsonl"
    write_text(
        corpus, "".join(line + "\n" for line in corpus.read_text(encoding="utf-8").splitlines() if '"fail"' in line)
    )
    path = report(weighed)
    html = path.read_text(encoding="utf-8")
    assert gap(path).startswith(
        "Gap: 8 of 20 tickets labelled fail that guidance never saw are released (40.0%; 95%: 21.9% – 61.3%), "
    )
    assert "of those that it was learnt from 2 of 40 (5.0%; 95%: 1.4% – 16.5%)." in gap(path)
    assert gap(path).endswith(
        "do not trust the rules yet."
    ) and "20 个人工不通过工单中 8 个被误放行（40.0%；95%：21.9% – 61.3%）" in gap(path, "zh")
    assert 'class="alarm stop" id="gap"' in html
    assert html.index('id="gap"') < html.index('id="one-sided"') < html.index('id="verdict"')


def test_no_run_is_ready_whose_rules_do_worse_on_tickets_they_never_saw(weighed):
    path = report(weighed)
    assert 'class="verdict wait"' in path.read_text(encoding="utf-8")
    assert (
        Page(path)
        .texts["verdict"]
        .startswith(
            "Not ready to train the student yet: 10 of 60 tickets labelled fail would be released (16.7%, limit 50.0%)"
        )
    )
    weighed.configure("gate", gate={"max_frr": 0.01})
    assert Page(report(weighed)).texts["verdict"].startswith("Do not train the student on this yet: 10 of 60")


@pytest.mark.parametrize(
    ("released", "blocked", "said"),
    [
        (
            {"learn": 2, "holdout": 1},
            {"learn": 0, "holdout": 6},
            ["Gap: 6 of 10 tickets labelled pass that guidance never saw are blocked"],
        ),
        (
            {"learn": 2, "holdout": 8},
            {"learn": 0, "holdout": 6},
            ["Gap: 8 of 20 tickets labelled fail", "Gap: 6 of 10 tickets labelled pass"],
        ),
        ({"learn": 2, "holdout": 2}, {"learn": 0, "holdout": 1}, []),
    ],
)
def test_a_gap_is_told_of_each_error_and_of_none_within_noise(tmp_path, released, blocked, said):
    run = weighed_run(tmp_path / "run", released, blocked).complete()
    run.configure("gate", gate={"max_frr": 0.5})
    path = report(run)
    assert Page(path).texts.get("gap", "").count("Gap: ") == len(said) and all(words in gap(path) for words in said)
    assert ('class="alarm wait" id="gap"' in path.read_text(encoding="utf-8")) == (len(said) == 1)
    assert Page(path).texts["verdict"].startswith("Not ready" if said else "Ready to train the student")


# -- what shows that a rule works
def test_a_rule_stands_with_its_hits_misses_and_lift_over_its_last_epoch(weighed):
    story = Page(report(weighed)).texts["rule-G1"]
    assert "Over rounds 3 to 4" in story
    assert "all learn tickets 20 2 90.9% 50.0% +40.9 [+23.9, +50.2]" in story, (
        "20 of 22, where 50 of 100 could be turned for the better"
    )
    assert "tickets it was not learnt from 15 1 93.8% 47.9% +45.9 [+25.4, +55.2]" in story, (
        "15 of 16, where 45 of 94 could be"
    )
    assert "20 right · 2 wrong · lift +40.9 [+23.9, +50.2]" in Page(report(weighed)).texts["guidance-now"]


def test_a_rule_in_force_that_does_no_better_than_chance_is_marked_in_both_languages(weighed):
    path = report(weighed)
    page = Page(path)
    assert "all learn tickets 12 10 54.5% 50.0% +4.5 [−13.1, +21.3]" in page.texts["rule-G2"]
    assert "tickets it was not learnt from 0 0 no verdict rests on it" in page.texts["rule-G2"]
    assert [key for key in ("G1", "G2", "G3") if "lives on the base rate" in page.texts[f"rule-{key}"]] == ["G2"], (
        "G3 does worse, but has left"
    )
    assert page.texts["guidance-now"].count("lives on the base rate") == 1
    assert "仅靠基础比例" in Page(path, "zh").texts["rule-G2"]


def test_a_rule_that_left_says_why_as_it_stands_with_its_last_epoch(weighed):
    story = Page(report(weighed)).texts["rule-G3"]
    assert f"Left in round 3, epoch 2 no better than chance{LEFT.removeprefix('no_lift')} r0003-life" in story
    assert "Over rounds 2 to 3" in story and "all learn tickets 4 12 25.0% 50.0% −25.0" in story


def test_a_rule_that_no_round_ran_under_is_not_judged_yet(weighed):
    new = guidance(5, G1=WORKS, G2=RIDES, G4="须见铭牌")
    new = new.model_copy(
        update={
            "removed": weighed.guidance.removed,
            "metadata": weighed.guidance.metadata | {"G4": rule_meta(created_round=5)},
        }
    )
    weighed.play(dict.fromkeys(weighed.tickets, "fail"), epoch=3, after=new)
    weighed.loop.unlink()
    page = Page(report(weighed))
    assert "Over rounds" not in page.texts["rule-G4"] and "lives on" not in page.texts["rule-G4"]
    assert "Over rounds 4 to 5" in page.texts["rule-G1"], "an epoch has two rounds, though no loop.json says so"


def test_a_trial_says_what_it_had_to_meet_its_harm_and_what_it_names(weighed, tmp_path):
    story = Page(report(weighed)).texts["rule-G1"]
    assert "Fixed 4 of 9 wrong" in story
    harm = "Harm: the other error rises by 3.5% beyond wrong labels"
    foreign = "Names “挡风板”, which the checklist does not"
    assert f"p = 0.0012 (at most 0.012 wanted) {harm} {foreign}" in story
    old = Page(report(learnt_run(tmp_path / "old").complete())).texts["rule-G1"]
    assert "p = 0.0012" in old and not any(word in old for word in ("wanted", "Harm", "Names"))


# -- what more tickets would decide
def test_proposals_that_more_tickets_would_decide_are_listed_the_nearest_first(weighed):
    assert Page(report(weighed)).texts["near-misses"].split(" 须见") == [
        "须见线夹 p = 0.11, at most 0.02 wanted: about 3 times as many tickets like these would settle it",
        "扎带。 p = 0.11, at most 0.001 wanted: about 5 times as many tickets like these would settle it",
    ]


def test_at_most_five_such_proposals_are_listed(tmp_path):
    near = [tried(f"须见{number}号件", 3, 0, 0.02 if number > 3 else 0.001, 0.105263) for number in range(1, 8)]
    text = Page(report(weighed_run(tmp_path / "run", near=near).complete())).texts["near-misses"]
    assert re.findall(r"须见(\d)号件", text) == ["4", "5", "6", "7", "1"]


def test_a_proposal_stays_text(tmp_path):
    page = Page(report(weighed_run(tmp_path / "run", near=[tried(" ".join(HOSTILE), 3, 0, 0.02, 0.105263)]).complete()))
    assert "img" not in page.names and page.names.count("script") == 1
    assert all(" ".join(text.split()) in page.texts["near-misses"] for text in HOSTILE)


def test_a_run_without_such_proposals_has_no_such_list(tmp_path):
    run = weighed_run(tmp_path / "run", near=NEAR[3:]).complete()
    assert (
        "near-misses" not in Page(report(run)).texts and "What more tickets would decide" not in Page(report(run)).text
    )


def test_limits_that_no_trial_can_have_are_named(weighed):
    weighed.configure("reflect", reflect={"trial": LIMITS | {"min_precision": 2}}, life_cycle=LIFE)
    outcome = call("report", run_dir=weighed.folder, output=weighed.folder / "report.html")
    assert (outcome.code, len(outcome.err.splitlines())) == (
        2,
        1,
    ) and "config/reflect.yaml: min_precision: " in outcome.err


def test_every_round_and_epoch_and_change_is_on_each_curve(run):
    text = Page(report(run)).texts["curves"]
    for row in read_rows(run.folder / "metrics.jsonl", RoundMetrics):
        title = f"{percent(row.frr.rate)} [{percent(row.frr.low)}, {percent(row.frr.high)}] {row.frr.k}/{row.frr.n}"
        assert (f"R{row.round} (E{row.epoch}): {title}" if row.scope == "round" else f"E{row.epoch}: {title}") in text
    assert text.count("R1: +G1") == text.count("R3: −G1") == 3


def test_a_rule_has_its_birth_evidence_trial_hits_rewording_and_death(run):
    page = Page(report(run))
    story = page.texts["rule-G1"]
    assert "left in round 3" in story and "right 1 wrong 5 confidence 0.25" in story
    assert "Came in round 1, epoch 1 标签要能读 r0001-01" in story and "Evidence: 1 tickets b::fail" in story
    assert f"Reworded in round 2, epoch 2 标签要能读 r0002-01 was: {OLD}" in story
    assert f"Fixed 4 of 9 wrong {' '.join(FIXED)} Broke 1 of 20 right e::pass By luck alone p = 0.0012" in story
    assert "Left in round 3, epoch 3 trusted too little r0003-life" in story
    assert "R2: 1/6" in story
    assert page.texts["guidance-now"].startswith("G0") and "G1" not in page.texts["guidance-now"]


def test_what_was_refused_is_counted_by_reason_and_text(run):
    text = Page(report(run)).texts["refused"]
    assert "2 mends too few wrong verdicts add 须见挡风板 × 2" in text
    assert "1 too long add 其他" in text


def test_the_review_list_counts_and_shows_its_tickets_with_negatives_marked(run):
    page = report(run)
    found = read_json(run.folder / "need_review.json", NeedReviewFile).missions[MISSION]
    text = Page(page).texts["review"]
    assert (found.count, found.by_gt_label) == (2, {"pass": 1, "fail": 1})
    assert "2 tickets have no candidate answer" in text
    assert "labelled fail, model says pass 1" in text and "labelled pass, model says fail 1" in text
    assert f"no candidate supports the label {found.by_reason_code['no_candidate_supports_gt']}" in text
    assert all(row.ticket_key in text for row in found.tickets)
    html = page.read_text(encoding="utf-8")
    assert (
        '<mark class="breach">螺丝、光纤插头/机柜处接地螺丝,不符合要求</mark>×1' in html
        and '<mark class="negative">散乱</mark>' in html
    )


def test_what_people_wrote_of_a_ticket_in_review_is_shown(tmp_path):
    tickets = [ticket("a", "fail", reasons=("地排端补拍", "两端标签一致")), ticket("b", "fail")]
    run = RunFolder(tmp_path, tickets).play({"a::fail": "pass", "b::fail": "pass"}).finish().complete()
    text = Page(report(run)).texts["review"]
    assert "Written when it was failed 地排端补拍 两端标签一致 The model's answers" in text
    assert text.count("Written when it was failed") == 1


def test_the_review_page_is_linked_only_where_it_is(run):
    assert ("href", "review.html") not in Page(report(run)).attributes
    (run.folder / "review.html").touch()
    assert ("href", "review.html") in Page(report(run)).attributes


def test_a_long_review_list_is_cut_and_says_so(tmp_path):
    tickets = [ticket(f"g{number}", "fail") for number in range(50)]
    run = RunFolder(tmp_path, tickets).play({row.ticket_key: "pass" for row in tickets}).finish().complete()
    page = Page(report(run))
    assert "The 20 where the model is surest against the label, of 50" in page.texts["review"]
    assert page.texts["review"].count("::fail") == 20


def test_malformed_answers_are_shares_of_all_candidates_and_lost_tickets_stand_apart(run):
    page = Page(report(run))
    assert "4 of 32 candidate answers" in page.texts["malformed"]
    assert page.rows["why"] == [["no verdict line", "4", "12.5%", "5.0%–28.1%"]]
    lost = [
        failure.model_copy(update={"why": "no_valid_candidate", "candidate_index": None})
        for failure in read_rows(run.folder / "failure_malformed.jsonl", Malformed)
    ]
    assert [(row.why, row.count, row.rate) for row in why_malformed(lost, 32)] == [("no_valid_candidate", 4, None)]


def test_the_student_is_compared_with_the_gates_verdict(judged):
    page = Page(report(judged))
    gate = json.loads((judged.folder / "evaluation" / "gate.json").read_text(encoding="utf-8"))
    rows = {row[0]: row for row in page.rows["compared"]}
    assert rows["False release rate"][1:4] == [
        "50.0% 40/80 39.3%–60.7%",
        "0.0% 0/80 0.0%–4.6%",
        "−50.0 " + interval(gate["chat"]["frr"]),
    ]
    assert rows["Summaries, attribute F1"][1].startswith("100.0%")
    assert "The gate lets it pass. 120 held-out tickets" in page.texts["student"]
    assert page.texts["verdict"].startswith(
        "The student may ship: it meets every condition of the gate and releases 0 of 80"
    )


def test_what_teacher_and_student_do_on_changed_tickets_stands_beside_each_other(judged):
    kinds = {"paraphrase": {"test": "invariance", "failed": wilson(3, 20).model_dump(), "left_out": {}}}
    told = {"asked": {"folder": "x", "sha256": ""}, "mission": MISSION, "guidance_step": 2, "guidance": "",
            "questions": "", "tickets": 20, "settings": {}}  # fmt: skip
    assert "behaviour" not in Page(report(judged)).rows
    for who, failed in (("teacher", 3), ("after", 1)):
        kinds["paraphrase"]["failed"] = wilson(failed, 20).model_dump()
        write_json(judged.folder / f"evaluation/behaviour-{who}/behaviour.json", told | {"kinds": kinds})
    page = Page(report(judged))
    row = ["another word for the same: same verdict", "15.0% 3/20 5.2%–36.0%", "5.0% 1/20 0.9%–23.6%"]
    assert page.rows["behaviour"] == [row]


def interval(change: dict) -> str:
    low, high = (f"{100 * change[end]:+.1f}".replace("-", "−") for end in ("low", "high"))
    return f"[{low}, {high}]"


def test_a_refused_student_may_not_ship_and_every_reason_is_there(run):
    (run.folder / "evaluation").mkdir()
    bench = Bench(run.folder / "evaluation")
    bench.configure(max_frr=0.0, min_format=1.0)
    bench.write("after")
    bench.gate()
    page = Page(report(run))
    reasons = json.loads((run.folder / "evaluation" / "gate.json").read_text(encoding="utf-8"))["reasons"]
    assert reasons and all(reason in page.texts["gate-reasons"] for reason in reasons)
    assert page.texts["verdict"].startswith("Do not ship the student: it releases 40 of 80")


def pair(run, name: str, student: str, **limits: float) -> Bench:
    """A pair of student and questions in its own folder, judged."""
    bench = Bench(run.folder / "evaluation" / name)
    bench.configure(**limits)
    bench.write_answers("after", bench.answers("after"), student=Named(folder=student, sha256=name))
    bench.gate()
    return bench


def test_every_pair_of_student_and_questions_is_listed_and_the_runs_own_is_shown(run):
    pair(run, "a-01", "checkpoints/other/merged")
    pair(run, "one-01", "checkpoints/one/merged", max_frr=0.0)
    pair(run, "z-01", "checkpoints/zz/merged")
    page = Page(report(run))
    assert [(row[0], row[1], row[2]) for row in page.rows["pairs"]] == [
        ("checkpoints/other/merged", "– a-01", "0.0% 0/80"),
        ("checkpoints/one/merged", "– one-01", "0.0% 0/80"),
        ("checkpoints/zz/merged", "– z-01", "0.0% 0/80"),
    ]
    assert [row[3] for row in page.rows["pairs"]] == [
        "The gate lets it pass.",
        "The gate refuses it. (shown below)",
        "The gate lets it pass.",
    ]
    assert page.texts["verdict"].startswith("Do not ship the student")
    shutil.rmtree(run.folder / "evaluation" / "one-01")
    assert Page(report(run)).rows["pairs"][-1][3] == "The gate lets it pass. (shown below)", "else the last by name"


def test_a_gate_that_spoke_on_another_evaluation_has_not_spoken_on_this(judged):
    bench = Bench(judged.folder / "evaluation")
    bench.write("after", fail=["pass"] * 80)
    page = Page(report(judged))
    assert "The gate has not spoken yet." in page.texts["student"]
    assert not page.texts["verdict"].startswith("The student may ship")


def test_scores_of_other_forms_are_shown_and_those_that_no_photo_asks_for_are_named(run):
    bench = Bench(run.folder / "evaluation" / "forms-01")
    bench.write_answers("before", photos([COUNTED] * 40, [SEEN] * 40))
    bench.write_answers("after", photos([COUNTED] * 40, ["{}"] * 10 + ["[]"] * 10 + [SEEN] * 20))
    bench.gate()
    page = Page(report(run))
    rows = {row[0]: row for row in page.rows["compared"]}
    assert rows["Dense lines F1"][1:3] == ["100.0% 40 · 40 · 40", "66.7% 20 · 20 · 40"]
    assert rows["JSON summaries, exact match"][1].startswith("100.0% 40/40") and "Dense captions F1" not in rows
    assert (
        "No held-out photo asks for: Summaries, exact match, Summaries, attribute F1, Dense captions F1"
        in (page.texts["student"])
    )
    counted = "after: malformed dense captions 10 of 40 (25.0%), dense captions in another form 10 of 40 (25.0%)"
    assert counted in page.texts["student"].replace(" ,", ",")


def test_what_the_gate_leaves_open_is_shown(judged):
    assert "0 of 40 held-out passes blocked, at most 8.76% at 95 %" in Page(report(judged)).texts["gate-remarks"]


def test_models_are_hashed_where_the_file_is_there_and_missed_where_it_is_not(run, tmp_path):
    assert [row[3] for row in Page(report(run)).rows["models"]] == ["not there to be hashed"]
    model = tmp_path / "teacher.gguf"
    model.write_bytes(b"GGUF")
    assert Page(report(run)).rows["models"] == [["rollout, reflect", "llama_cpp", str(model), sampled_hash(model)]]


def test_configuration_and_files_are_those_of_the_run(run):
    page = Page(report(run))
    assert "conflict_policy: drop" in page.texts["made-of"] and f"name: {MISSION}" in page.texts["made-of"]
    rows = {row[0]: row[1:3] for row in page.rows["files"]}
    assert rows["stage_a.jsonl"] == ["1", "4"] and rows["trajectories.jsonl"] == ["1", "32"]
    assert rows["rounds/*/guidance.json"] == ["5", "5"] and rows["rounds/*/trajectories.jsonl"] == ["4", "32"]


def decide(run: RunFolder, **decisions: str) -> None:
    rows = [{"ticket_key": key, "decision": decision} for key, decision in decisions.items()]
    write_text(
        run.folder / "review_decisions.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    )


def test_figures_are_against_labels_as_people_corrected_them(run):
    assert (run.folder / "selections.jsonl").exists()
    decide(run, **{"b::fail": "label_wrong", "c::pass": "exclude"})
    text = Page(report(run)).texts["figures"]
    for title, said in (("False release rate", "0 of 1"), ("False block rate", "0 of 2"), ("Label match", "3 of 3")):
        assert said in text[text.index(title) :][:200], title
    assert (
        "2 decisions" in text
        and "Against the labels as given: false release 50.0%, false block 50.0%, label match 50.0%" in text
    )


# -- what to do
def test_the_verdict_takes_corrected_labels_and_what_is_left_to_decide(tmp_path):
    tickets = [ticket(f"g{number}", "fail") for number in range(100)]
    run = (
        RunFolder(tmp_path, tickets)
        .play({row.ticket_key: "pass" if number < 30 else "fail" for number, row in enumerate(tickets)})
        .finish()
        .complete()
    )
    run.configure("gate", gate={"max_frr": 0.05})
    assert (
        Page(report(run)).texts["verdict"].startswith("Do not train the student on this yet: 30 of 100")
        and "first: 30 tickets" in Page(report(run)).texts["verdict"]
    )
    decide(run, **{f"g{number}::fail": "label_wrong" for number in range(20)})
    assert (
        "10 of 80" in Page(report(run)).texts["verdict"] and "first: 10 tickets" in Page(report(run)).texts["verdict"]
    )
    decide(run, **{f"g{number}::fail": "label_wrong" if number < 20 else "model_wrong" for number in range(30)})
    assert "10 of 80" in Page(report(run)).texts["verdict"] and "make relearn" in Page(report(run)).texts["verdict"]
    decide(run, **{f"g{number}::fail": "label_wrong" for number in range(30)})
    assert Page(report(run)).texts["verdict"].startswith("Within the limit, not yet for sure: 0 of 70")


@pytest.mark.parametrize(
    ("limit", "verdicts", "said"),
    [
        (0.05, "pass " * 30 + "fail " * 70, "Do not train the student on this yet: 30 of 100"),
        (0.05, "pass " * 4 + "fail " * 96, "Within the limit, not yet for sure: 4 of 100"),
        (0.05, "fail " * 100, "Ready to train the student: 0 of 100"),
        (None, "pass " * 4 + "fail " * 96, "Guidance has converged: 4 of 100"),
    ],
)
def test_the_verdict_follows_rate_interval_and_limit(tmp_path, limit, verdicts, said):
    tickets = [ticket(f"g{number}", "fail") for number in range(100)]
    run = (
        RunFolder(tmp_path, tickets)
        .play({row.ticket_key: word for row, word in zip(tickets, verdicts.split(), strict=True)})
        .finish()
        .complete()
    )
    if limit is not None:
        run.configure("gate", gate={"max_frr": limit})
    assert Page(report(run)).texts["verdict"].startswith(said)


def test_a_run_without_convergence_says_so(run):
    run.finish("max_epochs")
    page = Page(report(run))
    assert page.texts["verdict"].startswith("Nothing was distilled") and "did not settle" in page.texts["top"]


# -- what is not there
def test_a_run_under_way_is_shown_as_far_as_it_is(tmp_path):
    run = learnt_run(tmp_path)
    run.loop.unlink()
    shutil.rmtree(run.folder / "config")
    page = Page(report(run))
    assert page.texts["verdict"].startswith("Decide nothing yet") and "4 rounds so far" in page.texts["top"]
    for place, text in (
        ("figures", "No figures yet"),
        ("curves", "No figures yet"),
        ("review", "No review list yet"),
        ("malformed", "No list of failures yet"),
        ("student", "has not been evaluated"),
        ("made-of", "No config folder"),
    ):
        assert text in page.texts[place]
    assert "left in round 3" in page.texts["rule-G1"]


def test_a_run_in_which_nothing_was_learnt_malformed_or_queued_says_so(tmp_path):
    run = RunFolder(tmp_path, [ticket("a")]).play({"a::pass": "pass"}).finish().complete()
    page = Page(report(run))
    assert (
        "No rule was learnt" in page.text
        and "Nothing was refused" in page.text
        and "No ticket waits for review." in page.text
    )
    assert "All 1 candidate answers" in page.text and page.texts["verdict"].startswith(
        "Guidance has converged, but no ticket labelled fail"
    )


def test_a_folder_in_which_no_run_has_started_is_named_in_one_line(tmp_path):
    outcome = call("report", run_dir=tmp_path, output=tmp_path / "report.html")
    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
    assert outcome.err.startswith(f"{tmp_path}/rounds/0000/guidance.json: no such file: this run has not started; ")
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    "name",
    [
        "metrics.jsonl",
        "need_review.json",
        "evaluation/gate.json",
        "config/gate.yaml",
        "rounds/0002/reflection.jsonl",
        "config/tickets.json",
    ],
)
def test_a_bad_file_is_named_and_the_page_there_is_kept(run, name):
    page = report(run)
    before = page.read_bytes()
    write_text(run.folder / name, "{\n")
    outcome = call("report", run_dir=run.folder, output=page)
    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
    assert outcome.err.startswith(str(run.folder / name))
    assert page.read_bytes() == before


# -- the same bytes, and only data as text
def test_the_same_files_give_the_same_bytes_wherever_and_whenever(judged, tmp_path):
    first = report(judged).read_bytes()
    other = tmp_path / "elsewhere" / "one" / "bbu_line"
    shutil.copytree(judged.folder, other)
    (other / "report.html").unlink()
    for path in other.rglob("*"):
        os.utime(path, (1, 1))
    call("report", run_dir=other, output=other / "report.html")
    assert (other / "report.html").read_bytes() == first


def test_reporting_writes_the_page_alone(run):
    before = snapshot(run.folder)
    report(run)
    assert {name: data for name, data in snapshot(run.folder).items() if name != "report.html"} == before


def test_text_from_data_stays_text(hostile):
    path = report(hostile)
    page, clean = Page(path), path.read_text(encoding="utf-8")
    assert page.names.count("script") == page.names.count("style") == 1
    assert "img" not in page.names and "window.hacked=1>" not in clean
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    for text in HOSTILE:
        assert page.text.count(" ".join(text.split())) >= 20, text
    assert "49" not in page.texts["rule-G1"]


# -- the texts of the interface
def test_every_text_has_both_languages_with_the_same_places():
    texts = read_yaml(PAGES / "report.yaml")
    assert len(texts) > 150
    for key, pair in texts.items():
        english, chinese = pair
        assert english and chinese, key
        assert sorted(set(places(english))) == sorted(set(places(chinese))), key


def places(text: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]


def test_no_text_is_left_over_and_every_word_of_the_records_is_explained():
    texts = read_yaml(PAGES / "report.yaml")
    used = (PAGES / "report.html").read_text(encoding="utf-8") + (PAGES.parent / "report" / "page.py").read_text(
        encoding="utf-8"
    )
    groups = (
        "status.",
        "refusal.",
        "review.",
        "why.",
        "mcnemar.",
        "verdict.",
        "gap.",
        "side.",
        "evidence.all",
        "evidence.fresh",
        "left.",
        "word.",
        "entrance.",
        "headline.",
        "figures.limit.",
        "confusion.",
        "label.",
        "sure.",
        "errors.",
        "door.",
        "audit.",
        "step.",
        "spent.",
        "behaviour.",
        "shared.false_",
        "reach.",
    )
    figures = ("frr", "false_block", "label_match", "format", "summary_", "attribute_", "dense_")
    assert [key for key in texts if f'"{key}"' not in used and not key.startswith(groups + figures)] == []
    assert [why for why in get_args(Malformed.model_fields["why"].annotation) if f"why.{why}" not in texts] == []
    assert [code for code in get_args(ReviewReason) if f"review.{code}" not in texts] == []
    assert [kind for kind in BEHAVIOUR_KINDS if f"behaviour.{kind}" not in texts] == []


def test_both_languages_show_the_same_numbers(run):
    path = report(run)
    english, chinese = (
        sorted(re.findall(r"\d+(?:\.\d+)?", Page(path, language).texts["figures"])) for language in ("en", "zh")
    )
    assert english == chinese and len(english) > 20


def test_a_run_of_many_rounds_rules_and_tickets_stays_small(tmp_path):
    tickets = [
        ticket(
            f"QC-TEMP-20240101-{number:07}",
            "fail",
            ("标签/无法识别×1，螺丝、光纤插头/机柜处接地螺丝,符合要求×4" * 4,) * 8,
        )
        for number in range(400)
    ]
    run = RunFolder(tmp_path, tickets)
    keys = [row.ticket_key for row in tickets[:48]]
    big = Trial(errors=48, corrects=48, fixed=keys, broke=keys, precision=0.5, p_value=0.001)
    rules = {}
    for number in range(1, 25):
        rules[f"G{number}"] = f"出现第{number}种情形则不通过"
        add = AppliedOperation(
            op=Operation(op="add", text=rules[f"G{number}"], rationale="因此", evidence=keys[:8]),
            key=f"G{number}",
            trial=big,
        )
        run.play(
            {keys[0]: "pass"},
            epoch=1,
            after=guidance(number, **rules),
            reflections=(reflection(number, 1, "01", applied=[add]),),
        )
    seen = {key: RuleTally(hits=3, misses=1) for key in rules}
    for number in range(25, 205):
        run.play({keys[0]: "pass"}, epoch=number // 17, reflections=(reflection(number, number // 17, tallies=seen),))
    run.play({row.ticket_key: "pass" for row in tickets}, epoch=13).finish("max_epochs", rounds_per_epoch=17)
    assert run.collect().code == run.aggregate_review().code == 0
    assert len(report(run).read_bytes()) < 3_000_000


def test_scales_hold_every_interval():
    rate = Rate(k=3, n=100, rate=0.03, low=0.01, high=0.085)
    assert scale_of([rate], from_top=False) == (0.0, 0.1)
    assert scale_of([rate.model_copy(update={"low": 0.85})], from_top=True) == (0.8, 1.0)
    assert scale_of([], from_top=False) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("share", "said"),
    [(None, "–"), (0, "0.0%"), (0.0004, "<0.1%"), (0.0371, "3.7%"), (0.9996, ">99.9%"), (1, "100.0%")],
)
def test_a_share_never_reads_as_all_or_nothing_unless_it_is(share, said):
    assert percent(share) == said


def test_what_became_of_given_tickets_at_the_door_stands_beside_their_source(run):
    source = TicketsSource(source="given.jsonl", sha256="0" * 64)
    write_json(run.folder / "config" / "tickets.json", source)
    assert "REFUSED" not in Page(report(run)).texts["made-of"]
    done = Entrance(
        settings="", rows=40, labels={"pass": 36}, replaced=1, repaired={"label": 4, "count": 1}, refused={"label": 3},
        aside={"<b>": 2},
    )  # fmt: skip
    write_json(run.folder / "config" / "tickets.json", source.model_copy(update={"entrance": done}))
    text = Page(report(run)).texts["made-of"]
    for sentence in (
        "REFUSED 3 of 40 rows that can be no ticket: label 3 (tickets.refused.jsonl)",
        "1 of 40 rows are replaced by later ones of the same ticket",
        "5 repairs: label 4, counts beyond the limit 1 (tickets.repaired.jsonl)",
        "1 fields kept aside: <b> 2 (tickets.aside.jsonl)",
    ):
        assert sentence in text
    assert "拒收 40 行中的 3 行" in Page(report(run), "zh").texts["made-of"]


def test_what_filters_left_out_stands_beside_the_source_of_the_tickets(run):
    left = Filtered(digest="0", read=9, kept=6, dropped={"exclude": 2, "suspicious": 1}, marked=1, notes=["<b> is odd"])
    source = TicketsSource(source="given.jsonl", sha256="0" * 64, filtered=left)
    write_json(run.folder / "config" / "tickets.json", source)
    text = Page(report(run)).texts["made-of"]
    assert "Filters left out 3 of 9 tickets: listed to be left out 2, label in doubt 1 (tickets.dropped.jsonl)" in text
    assert "1 tickets show what one of the other label shows; both stay (tickets.marked.jsonl)" in text
    assert "<b> is odd" in text
    assert "筛选规则排除 9 个工单中的 3 个" in Page(report(run), "zh").texts["made-of"]


def test_how_far_reviewers_agree_stands_beside_the_list_they_reviewed(run):
    people = {
        "reviewers": ["one", "two"], "shared": 40, "alike": 33, "measure": "Cohen's kappa",
        "value": 0.651, "low": 0.42, "high": 0.853, "disputed": [],
    }  # fmt: skip
    write_text(run.folder / "review_agreement.json", json.dumps(people))
    text = Page(report(run)).texts["review"]
    assert "(one, two): they decided 33 of 40 tickets alike." in text
    assert "κ = 0.65, 95% interval 0.42 – 0.85. 0 tickets are in dispute." in text
    write_text(run.folder / "review_agreement.json", json.dumps(people | {"value": None, "low": None, "high": None}))
    assert "How much of that is chance cannot be said." in Page(report(run)).texts["review"]


def test_time_and_tokens_stand_by_step_in_words(run):
    took = "2026-03-01T10:00:00 took {}\n"
    said = ["rollout: 20.0 s, 3000 tokens read, 1000 written", "rollout: 20.0 s, 3000 tokens read, 1000 written"]
    said.append("distill: 1.5 s, 0 tokens read, 0 written")
    write_text(run.folder / "run.log", "".join(map(took.format, said)))
    assert Page(report(run)).rows["spent"] == [
        ["the teacher answers", "2", "40 s", "6 k", "2 k", "200"],
        ["the corpus", "1", "1.5 s", "–", "–", "–"],
        ["all", "3", "42 s", "6 k", "2 k", "–"],
    ]
