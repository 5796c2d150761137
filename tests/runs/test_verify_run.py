"""verify_run: what a finished run promises, looked at without the project's code."""

import ast
import json
import sys

import pytest

from tests.support.builders import RunFolder, guidance, snapshot, ticket
from tests.support.verify import VERIFIER, verify
from verdicts.base.jsonl import write_rows

TICKETS = [ticket("a"), ticket("a", "fail"), ticket("b", "fail", ("标签/无法识别×1",)), ticket("c")]
ANSWERS = {"a::pass": "pass pass", "a::fail": "fail bad", "b::fail": "pass pass", "c::pass": "pass fail pass"}
BAD_PASS = "Verdict: 通过，但需复核"


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """A converged run of three rounds. b::fail waits for review; a::fail has one malformed candidate a round."""
    run = RunFolder(tmp_path / "run", TICKETS)
    run.play(ANSWERS, after=guidance(1, G1="出现标签无法识别则不通过"))
    run.play(ANSWERS, after=guidance(2, G2="接地螺丝须拧紧")).play(ANSWERS)
    return run.finish().complete()


def edit(run: RunFolder, name: str, old: str, new: str) -> None:
    path = run.folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_it_imports_nothing_but_pythons_own_modules():
    names = set()
    for node in ast.walk(ast.parse(VERIFIER.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
    assert names and names <= sys.stdlib_module_names


def test_a_good_run_passes_every_check_and_nothing_is_written(run):
    before = snapshot(run.folder)
    done = verify(run.folder)
    assert (done.returncode, done.stderr) == (0, "verify_run: the run is as docs/design.md says\n"), done.stdout
    assert len(done.stdout.splitlines()) == 22 and "FAIL" not in done.stdout
    assert "ok   label_match says what it says: 28 looked at, 0 wrong" in done.stdout
    assert snapshot(run.folder) == before


def test_a_run_without_a_corpus_is_checked_without_it(tmp_path):
    run = RunFolder(tmp_path / "run", TICKETS).play(ANSWERS).finish("max_epochs")
    run.collect(), run.aggregate_review()
    done = verify(run.folder)
    assert done.returncode == 0, done.stdout
    assert "--   no distill_chatml.jsonl: 5 checks of the corpus are left out" in done.stdout


@pytest.mark.parametrize(
    ("file", "old", "new", "check", "message"),
    [
        ("stage_a.jsonl", '"group_id": "c"', '"group_id": "a"', "no ticket stands twice", "stage_a.jsonl:1: a::pass"),
        ("stage_a.jsonl", '"image_1"', '"image_2"', "every photo has its summary", "stage_a.jsonl:1: per_image holds"),
        ("selections.jsonl", "c::pass", "z::pass", "records name known tickets", "selections.jsonl:4: z::pass is no"),
        ("selections.jsonl", '"group_id": "c"', '"group_id": "d"', "records name known tickets", "another group_id"),
        ("need_review_queue.jsonl", '"gt_label": "fail"', '"gt_label": "pass"', "records name known", "gt_label"),
        ("trajectories.jsonl", "Verdict: 通过", "Verdict: 不通过", "two-line protocol", "trajectories.jsonl:1: reads"),
        ("trajectories.jsonl", "Verdict: 通过", BAD_PASS, "two-line protocol", "trajectories.jsonl:1: not two lines"),
        (
            "trajectories.jsonl",
            '"label_match": true',
            '"label_match": false',
            "label_match says",
            "trajectories.jsonl:1",
        ),
        ("selections.jsonl", '"label_match": false', '"label_match": true', "label_match says", "selections.jsonl:3"),
        ("failure_malformed.jsonl", '"candidate_index": 1', '"candidate_index": 0', "hard failure", "trajectories"),
        ("rounds/0002/selections.jsonl", '"round": 2', '"round": 1', "rows bear the number", "rounds/0002/selections"),
        ("trajectories.jsonl", '"round": 3', '"round": 2', "are those of its rounds", "trajectories.jsonl:19: not"),
        ("selections.jsonl", '"vote_strength": 1', '"vote_strength": 0', "the last ones", "a::pass differs"),
        ("selections.jsonl", '"reason": "', '"reason": "是', "what was selected is", "no candidate of a::pass says so"),
        ("metrics.jsonl", '"frr": {"k": 1', '"frr": {"k": 0', "rates are those", "metrics.jsonl:1: frr is 0/2, the"),
        ("metrics.jsonl", '"rate": 0.5', '"rate": 0.4', "rates are those", "metrics.jsonl:1: frr says (0.4, "),
        ("rounds/0003/guidance.json", '"G2"', '"G1"', "rule keys are never used again", "0003/guidance.json: G1 is"),
        ("rounds/0002/guidance.json", '"G0": "', '"G0": "新', "G0 never changes", "0002/guidance.json: G0 has changed"),
        ("rounds/0002/guidance.json", '"step": 2', '"step": 1', "steps follow changes", "guidance.json: step 1 -> 1"),
        ("guidance.json", '"step": 2', '"step": 9', "a converged epoch", "guidance.json: not what the last round left"),
        ("loop.json", '"rounds_per_epoch": 1', '"rounds_per_epoch": 3', "a converged epoch", "changed a rule"),
        ("need_review.json", '"b::fail"', '"a::fail"', "tickets no candidate supports", "a::fail is listed, though"),
        ("need_review.json", '"count": 1', '"count": 2', "need_review.json counts", "counts [1, 2]"),
        ("need_review_queue.jsonl", "no_candidate_supports_gt", "no_verdict", "the queue holds no hard", "no_verdict"),
        ("distill_chatml.jsonl", '"mission"', '"note": "", "mission"', "corpus rows are chats", "chatml.jsonl:1: keys"),
        (
            "distill_chatml.jsonl",
            '"role": "system"',
            '"role": "tool"',
            "corpus rows are chats",
            "chatml.jsonl:1: roles",
        ),
        ("distill_chatml.jsonl", '"Verdict: 通过', '"Verdict: 不通过', "corpus answers are", "distill_chatml.jsonl:1:"),
        (
            "distill_chatml.jsonl",
            '"role": "user", "content": "',
            '"role": "user", "content": "a: ',
            "same prompt",
            "2 p",
        ),
        ("distill.train.jsonl", '"flags": ""', '"flags": []', "train, val and dropped", "distill.train.jsonl:1: keys"),
        ("distill.dropped.jsonl", '"b::fail"', '"b::pass"', "train, val and dropped", "b::fail stands 0 times, 1 in"),
    ],
)
def test_each_break_fails_the_check_that_names_it(run, file, old, new, check, message):
    edit(run, file, old, new)
    done = verify(run.folder)
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert done.returncode == 1, done.stdout + done.stderr
    assert any(check in line and message in line for line in failed), done.stdout


def test_a_group_on_both_sides_is_named(run):
    train, val = (run.folder / f"distill.{side}.jsonl" for side in ("train", "val"))
    val.write_bytes(train.read_bytes())
    assert "FAIL train and val share no group" in verify(run.folder).stdout


def test_answers_of_an_epoch_to_several_prompts_are_named(run):
    path = run.folder / "selections.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for row, prompt in zip(rows, ("0123456789ab", "0123456789ab"), strict=False):
        row["prompt"] = prompt
    write_rows(path, rows)
    assert "answers to several prompts" not in verify(run.folder).stdout  # a row of an older version names none
    rows[0]["prompt"] = "fedcba987654"
    write_rows(path, rows)
    assert "answers to several prompts (0123456789ab, fedcba987654)" in verify(run.folder).stdout


def test_an_empty_file_proves_nothing(run):
    write_rows(run.folder / "metrics.jsonl", [])
    done = verify(run.folder)
    assert done.returncode == 1
    assert "FAIL rates are those of the selections: 0 looked at, 0 wrong" in done.stdout


def test_tickets_as_given_are_held_against_the_runs_copy(run, tmp_path):
    given = tmp_path / "given.jsonl"
    write_rows(given, TICKETS[:3])
    done = verify(run.folder, "--stage-a", given)
    assert done.returncode == 1 and "c::pass is no ticket" in done.stdout


def test_rows_that_the_door_put_right_or_left_out_are_the_runs_own(run, tmp_path):
    given, rows = tmp_path / "given.jsonl", [row.model_dump() for row in TICKETS]
    rows[0] |= {"label": "PASS", "note": "x"}
    given.write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[1]]) + "no ticket\n", encoding="utf-8")
    assert verify(run.folder, "--stage-a", given).returncode != 0
    of_row = {"file": str(given), "line": 1, "ticket_key": TICKETS[0].ticket_key}
    again = {"file": str(given), "line": len(rows) + 1, "ticket_key": TICKETS[1].ticket_key}
    shared = {"field": "", "before": "", "after": ""}
    write_rows(
        run.folder / "tickets.repaired.jsonl",
        [of_row | shared | {"kind": "label"}, again | shared | {"kind": "same_ticket"}],
    )
    refused = {"file": str(given), "line": len(rows) + 2, "reason": "not_json", "detail": "", "row": "no ticket"}
    write_rows(run.folder / "tickets.refused.jsonl", [refused])
    done = verify(run.folder, "--stage-a", given)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_people_said_is_set_beside_the_verdicts(run, tmp_path):
    audit = tmp_path / "audit.jsonl"
    rows = [{"ticket_key": "b::fail", "category": "label error"}, {"ticket_key": "a::pass", "category": "clear"}]
    audit.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    shown = verify(run.folder, "--audit", audit).stdout
    assert "     label error: verdict = label 0/1, in review 1\n" in shown
    assert "     clear: verdict = label 1/1, in review 0\n" in shown


def test_suspects_alone_may_be_listed_where_the_policy_says_so(tmp_path):
    run = RunFolder(tmp_path / "run", TICKETS)
    run.play(ANSWERS, policy="label_suspect").finish().complete()
    assert "FAIL need_review.json = tickets no candidate supports" in verify(run.folder).stdout
    run.configure("reflect", review={"policy": "label_suspect"})
    assert verify(run.folder).returncode == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file or directory"), ('{"scope": \n', "metrics.jsonl:1: not JSON"), ("[]\n", "not a JSON object")],
)
def test_a_file_that_cannot_be_read_is_named(run, content, message):
    path = run.folder / "metrics.jsonl"
    path.unlink() if content is None else path.write_text(content, encoding="utf-8")
    done = verify(run.folder)
    assert done.returncode == 2 and message in done.stderr and str(path) in done.stderr


def test_a_record_without_a_field_fails_and_is_no_traceback(run):
    edit(run, "need_review.json", '"by_gt_label"', '"by_label"')
    done = verify(run.folder)
    assert done.returncode == 1 and "a record lacks a field" in done.stdout and "Traceback" not in done.stderr
