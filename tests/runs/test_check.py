"""check: every file of a run against its model, and the rules between files."""

import json

import pytest

from tests.support.builders import MISSION, RunFolder, guidance, snapshot, ticket
from verdicts.base.jsonl import write_rows

TICKETS = [ticket("a"), ticket("a", "fail"), ticket("b", "fail", ("标签/无法识别×1",)), ticket("c")]
ANSWERS = {"a::pass": "pass pass", "a::fail": "fail bad", "b::fail": "pass pass", "c::pass": "pass fail pass"}


@pytest.fixture
def run(tmp_path) -> RunFolder:
    run = RunFolder(tmp_path / "run", TICKETS)
    run.play(ANSWERS, after=guidance(1, G1="出现标签无法识别则不通过")).play(
        ANSWERS, after=guidance(2, G2="接地螺丝须拧紧")
    ).play(ANSWERS)
    return run.finish().complete()


def edit(run: RunFolder, name: str, old: str, new: str, count: int = 1) -> None:
    path = run.folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, count), encoding="utf-8")


def test_a_sound_run_passes_and_nothing_is_written(run):
    before = snapshot(run.folder)
    outcome = run.check()
    assert (outcome.code, outcome.last_line) == (0, "check: 36 files are in order")
    assert "ok   rounds/*/trajectories.jsonl: 27 records in 3 files" in outcome.out
    assert "ok   train and val share no group: 1/1" in outcome.out
    assert "--   review_decisions.jsonl: not there" in outcome.out
    assert "FAIL" not in outcome.out
    assert snapshot(run.folder) == before


def test_a_run_under_way_is_checked_as_far_as_it_is(tmp_path):
    run = RunFolder(tmp_path / "run", TICKETS).play(ANSWERS)
    outcome = run.check()
    assert outcome.code == 0
    assert "--   loop.json: not there" in outcome.out
    assert "one selection a ticket" not in outcome.out


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "stage_a.jsonl",
            '"label": "pass"',
            '"label": "Pass"',
            "stage_a.jsonl:1: label: input should be 'pass' or 'fail' (\"Pass\"); correct the value",
        ),
        (
            "stage_a.jsonl",
            '"label": "fail"',
            '"label": "pass"',
            "stage_a.jsonl:2: group_id: ticket_key 'a::pass' stands on line 1 already; keep one of the two",
        ),
        ("stage_a.jsonl", '"image_1"', '"image_3"', "stage_a.jsonl:1: per_image: keys must run image_1"),
        ("loop.json", '"rounds"', '"round"', "loop.json: round: unknown field; did you mean 'rounds'?"),
        (
            "rounds/0002/selections.jsonl",
            '"reason"',
            '"reasn"',
            "rounds/0002/selections.jsonl:1: reasn: unknown field; did you mean 'reason'?",
        ),
        (
            "rounds/0002/guidance.json",
            '"G2"',
            '"G3"',
            "0002/guidance.json: BBU接地线检查: experiences and metadata disagree on G2; "
            "give every learnable rule both or neither",
        ),
        (
            "metrics.jsonl",
            '"scope": "epoch"',
            '"scope": "week"',
            "metrics.jsonl:2: scope: input should be 'round' or 'epoch'",
        ),
        (
            "distill.train.jsonl",
            '"role": "system"',
            '"role": "tool"',
            "distill.train.jsonl:1: messages.0.role: input should be",
        ),
        (
            "distill_chatml.jsonl",
            '{"role": "system", ',
            '{"roll": "system", ',
            "distill_chatml.jsonl:1: messages.0.roll: unknown field; did you mean 'role'?",
        ),
        (
            "config/distill.yaml",
            "seed",
            "sead",
            "config/distill.yaml: distill.sead: unknown field; did you mean 'seed'?",
        ),
    ],
)
def test_a_bad_record_is_named_and_the_rules_wait(run, file, old, new, message):
    edit(run, file, old, new)
    outcome = run.check()
    assert outcome.code == 2
    assert message in outcome.err
    assert "--   the rules between files: not looked at" in outcome.out
    assert outcome.last_line.startswith("check: 1 problems in 36 files;")


@pytest.mark.parametrize(
    ("file", "old", "new", "rule", "message"),
    [
        (
            "selections.jsonl",
            "c::pass",
            "a::pass",
            "one selection a ticket",
            "selections.jsonl:4: ticket_key: 'a::pass' stands on line 1 already; keep one of the two",
        ),
        (
            "selections.jsonl",
            "c::pass",
            "z::pass",
            "records name known tickets",
            "selections.jsonl:4: ticket_key: 'z::pass' is not a ticket of stage_a.jsonl",
        ),
        (
            "selections.jsonl",
            '"group_id": "c"',
            '"group_id": "d"',
            "records name known tickets",
            "selections.jsonl:4: group_id: 'd', but ticket 'c::pass' has 'c'",
        ),
        (
            "rounds/0003/need_review_queue.jsonl",
            '"gt_label": "fail"',
            '"gt_label": "pass"',
            "records name known tickets",
            "queue.jsonl:1: gt_label: 'pass', but ticket 'b::fail' has 'fail'",
        ),
        (
            "trajectories.jsonl",
            "Verdict: 通过",
            "Verdict: 不通过",
            "two-line protocol",
            "trajectories.jsonl:1: response_text: does not read as verdict pass and its reason (another answer)",
        ),
        (
            "trajectories.jsonl",
            '第1条依据(G0)"',
            '第1条依据(G0)\\n"',
            "two-line protocol",
            "trajectories.jsonl:1: response_text: does not read as",
        ),
        (
            "trajectories.jsonl",
            '"label_match": true',
            '"label_match": false',
            "label_match",
            "trajectories.jsonl:1: label_match: False for verdict pass; correct it",
        ),
        (
            "selections.jsonl",
            '"guidance_step": 2',
            '"guidance_step": 1',
            "one guidance",
            "selections.jsonl:1: guidance_step: 1, but the run converged at step 2",
        ),
        (
            "need_review.json",
            '"count": 1',
            '"count": 2',
            "counts its tickets",
            "need_review.json: BBU接地线检查: count, tickets, by_gt_label and by_reason_code give 2, 1, 1, 1",
        ),
        (
            "distill_chatml.jsonl",
            "Reason: 第1条",
            "Reason: 第9条",
            "selected candidates",
            "distill_chatml.jsonl:1: messages.2: not the selected answer of its ticket",
        ),
        (
            "distill_chatml.jsonl",
            "照片摘要",
            "不通过的照片摘要",
            "same summaries",
            "distill_chatml.jsonl:2: messages: another ticket with the same summaries has another prompt",
        ),
        (
            "rounds/0002/guidance.json",
            '"step": 2',
            '"step": 0',
            "rounds follow each other",
            "0002/guidance.json: BBU接地线检查.step: 0 after 1 in the round before",
        ),
        (
            "rounds/0002/trajectories.jsonl",
            '"round": 2',
            '"round": 3',
            "rounds follow each other",
            "0002/trajectories.jsonl:1: round: 3 in the folder of round 2; correct it",
        ),
    ],
)
def test_a_broken_rule_between_files_is_named(run, file, old, new, rule, message):
    edit(run, file, old, new)
    outcome = run.check()
    assert outcome.code == 2
    assert message in outcome.err
    assert any(line.startswith("FAIL") and rule in line for line in outcome.out.splitlines())


def test_a_listed_ticket_that_is_supported_and_a_missing_one_are_named(run):
    review = json.loads((run.folder / "need_review.json").read_text(encoding="utf-8"))
    review["missions"][MISSION]["tickets"][0]["ticket_key"] = "c::pass"
    (run.folder / "need_review.json").write_text(json.dumps(review), encoding="utf-8")
    outcome = run.check()
    assert "tickets: 'c::pass' is listed, though a candidate supports its label" in outcome.err
    assert "tickets: 'b::fail' is missing, though no candidate supports its label" in outcome.err


def test_a_rule_key_used_again_is_named(run):
    run.play(ANSWERS, after=guidance(3, G1="换了一条")).finish("running").collect()
    outcome = run.check()
    assert (
        "0004/guidance.json: BBU接地线检查.experiences.G1: a removed key is used again; give the rule a new key"
        in outcome.err
    )


def test_a_missing_round_is_named(run):
    (run.rounds / "0002" / "guidance.json").unlink()
    assert (
        "0002/guidance.json: no such file, though later rounds or loop.json need it; run the loop again"
        in run.check().err
    )


def test_train_and_val_that_share_a_group_are_named(run):
    (run.folder / "distill.val.jsonl").write_bytes((run.folder / "distill.train.jsonl").read_bytes())
    assert "distill.val.jsonl:1: group_id: 'a' is in distill.train.jsonl too" in run.check().err


def test_rounds_beyond_the_loop_s_end_are_not_looked_at(run):
    (run.rounds / "0004").mkdir()
    (run.rounds / "0004" / "trajectories.jsonl").write_text("left over")
    assert run.check().code == 0


def test_an_empty_file_is_named_unless_empty_is_its_meaning(run):
    write_rows(run.folder / "distill.audit.jsonl", [])
    write_rows(run.folder / "summaries/stage_a.refused.jsonl", [])
    assert run.check().code == 0
    write_rows(run.folder / "metrics.jsonl", [])
    assert "metrics.jsonl: the file holds no record; delete it to have it made again" in run.check().err


def test_at_most_20_problems_are_shown_and_all_are_counted(run):
    edit(run, "trajectories.jsonl", '"verdict"', '"verdikt"', count=-1)
    outcome = run.check()
    assert outcome.last_line == "check: 27 problems in 36 files, of which 20 are shown; correct the lines named above"
    assert len(outcome.err.splitlines()) == 21


def test_a_run_folder_that_is_not_there_is_named(tmp_path):
    run = RunFolder(tmp_path / "run", TICKETS)
    run.folder = tmp_path / "rnu"
    assert run.check().err == f"{tmp_path}/rnu: no such run folder; check MISSION and RUN\n"
