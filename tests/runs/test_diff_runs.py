"""tools.diff_runs through its command, on two small runs."""

import pytest

from tests.support.builders import RunFolder, call, guidance, snapshot, ticket
from tests.support.make_graph import ROOT, make
from verdicts.base.jsonl import read_rows, write_rows
from verdicts.records.rollout import Selection

TICKETS = [ticket("a"), ticket("b"), ticket("c", "fail"), ticket("d", "fail"), ticket("e", "fail")]


def view(run: RunFolder) -> RunFolder:
    """The run's view and its review list; these rounds end with a change, so there is no corpus."""
    run.finish("max_epochs")
    assert run.collect().code == run.aggregate_review().code == 0
    return run


@pytest.fixture
def runs(tmp_path) -> tuple[RunFolder, RunFolder]:
    """One releases c and d falsely; two learnt a rule, mends both, breaks a, and does not know e."""
    one = RunFolder(tmp_path / "runs/one/bbu_line", TICKETS)
    one.play(
        {"a::pass": "pass", "b::pass": "fail", "c::fail": "pass", "d::fail": "pass", "e::fail": "fail"},
        after=guidance(1, G1="模糊则不通过"),
    )
    two = RunFolder(tmp_path / "runs/two/bbu_line", TICKETS[:4], val_share=0.5)
    two.play(
        {"a::pass": "fail", "b::pass": "fail", "c::fail": "fail", "d::fail": "fail"},
        after=guidance(2, G1="照片少于3张则不通过", G2="模糊则不通过"),
    )
    return view(one), view(two)


def test_two_runs_are_compared_by_rules_tickets_rates_review_and_configuration(runs):
    one, two = runs
    out = call("diff_runs", a=one.folder, b=two.folder).out
    assert "~ G1" not in out and "模糊则不通过" not in out  # the same rule under another number
    assert "+ G1: 照片少于3张则不通过\n      0 hits, 0 misses, confidence 0.50" in out
    assert "Verdicts: 4 tickets in both, 3 differ" in out
    assert "fixed (wrong in A, right in B): 2 (2 fail, 0 pass)" in out
    assert "broke (right in A, wrong in B): 1 (0 fail, 1 pass)" in out
    assert "McNemar, exact, two-sided: p = 1" in out
    assert "in A alone: 1 (1 fail, 0 pass)" in out
    assert "+ c::fail: pass -> fail; 第1条依据(G0) -> 第1条依据(G0)" in out and "- a::pass: pass -> fail;" in out
    assert "FRR          66.7% [20.8%, 93.9%] (2/3)" in out and "->  0.0% [0.0%, 65.8%] (0/2)" in out
    assert "Review: 3 tickets in A, 2 in B, 1 in both" in out
    assert "no longer: 2 (2 fail, 0 pass): c::fail, d::fail" in out and "new: 1 (0 fail, 1 pass): a::pass" in out
    assert "distill.val_share: 0.3 -> 0.5" in out
    assert "Prompts: what differs: nothing" in out


def name_prompt(run: RunFolder, prompt: str) -> None:
    """Write a prompt's name into the selections of its rounds."""
    for path in run.rounds.glob("*/selections.jsonl"):
        rows = [row.model_copy(update={"prompt": prompt}) for row in read_rows(path, Selection)]
        write_rows(path, rows)


def test_prompts_are_named_where_the_two_runs_asked_with_others(runs):
    one, two = runs
    name_prompt(one, "0123456789ab")
    name_prompt(two, "fedcba987654")
    files = "stage_b.system.txt, stage_b.user.txt"
    out = call("diff_runs", a=one.folder, b=two.folder).out
    assert f"Prompts: what differs\n  stage_b: 0123456789ab ({files}) -> fedcba987654 ({files})\n" in out
    name_prompt(two, "0123456789ab")
    assert "Prompts: what differs: nothing" in call("diff_runs", a=one.folder, b=two.folder).out


def test_a_run_says_which_prompts_it_was_made_with(runs):
    name_prompt(runs[0], "0123456789ab")
    said = call("show", run_dir=runs[0].folder).out
    assert "\nPrompts\n  stage_b: 0123456789ab (stage_b.system.txt, stage_b.user.txt)\n" in said


def test_the_counts_are_turned_round_where_the_runs_are(runs):
    one, two = runs
    out = call("diff_runs", a=two.folder, b=one.folder).out
    assert (
        "fixed (wrong in A, right in B): 1" in out
        and "broke (right in A, wrong in B): 2" in out
        and "- G1: 照片少于3张则不通过" in out
    )


def test_a_run_does_not_differ_from_itself_and_is_only_read(runs):
    before = snapshot(runs[0].folder)
    out = call("diff_runs", a=runs[0].folder, b=runs[0].folder).out
    assert (
        "Rules: what differs: nothing" in out
        and "0 differ" in out
        and "Configuration: what differs: nothing" in out
        and "McNemar" not in out
    )
    assert snapshot(runs[0].folder) == before


def test_a_rule_reworded_under_its_key_is_shown_with_its_old_words(tmp_path):
    folders = []
    for name, text in (("one", "模糊则不通过"), ("two", "照片模糊则不通过")):
        run = RunFolder(tmp_path / name, TICKETS[:2]).play(
            {"a::pass": "pass", "b::pass": "pass"}, after=guidance(1, G1=text)
        )
        folders.append(view(run).folder)
    assert "  ~ G1: 照片模糊则不通过\n      was: 模糊则不通过" in call("diff_runs", a=folders[0], b=folders[1]).out


def test_runs_of_two_missions_and_a_missing_run_are_refused(runs, tmp_path):
    other = RunFolder(tmp_path / "other", [ticket("x", mission="挡风板安装检查")])
    (other.folder / "guidance.json").write_text(
        (runs[0].folder / "guidance.json").read_text(encoding="utf-8").replace("BBU接地线检查", "挡风板安装检查"),
        encoding="utf-8",
    )
    (other.folder / "selections.jsonl").write_text("", encoding="utf-8")
    outcome = call("diff_runs", a=runs[0].folder, b=other.folder)
    assert outcome.code == 2 and "compare runs of one mission" in outcome.last_line
    outcome = call("diff_runs", a=runs[0].folder, b=tmp_path / "none")
    assert outcome.code == 2 and outcome.last_line == f"{tmp_path / 'none'}: no such run folder; check A, B and MISSION"


def test_make_diff_takes_names_below_runs_and_folders(runs, tmp_path):
    done = make(ROOT, "diff", f"RUNS={tmp_path / 'runs'}", "A=one", f"B={runs[1].folder}")
    assert done.returncode == 0 and "Verdicts: 4 tickets in both, 3 differ" in done.stdout
