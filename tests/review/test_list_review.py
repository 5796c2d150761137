"""list_review: the first tickets that wait for a person, on a terminal."""

import pytest

from tests.support.builders import RunFolder, call, ticket

QUEUED = 23  # three more than are shown


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """23 tickets whose two candidates both contradict the label, and one that nothing contradicts."""
    tickets = [ticket(f"t{number:02}") for number in range(QUEUED)] + [ticket("well")]
    run = RunFolder(tmp_path / "runs" / "mine" / "bbu_line", tickets)
    answers = {row.ticket_key: "fail fail" for row in tickets[:-1]} | {"well::pass": "pass pass"}
    return run.play(answers).finish().complete()


def test_the_first_twenty_are_shown_and_the_rest_counted(run):
    said = call("list_review", run_dir=run.folder).out.splitlines()
    rows = [line for line in said if "::pass" in line]
    assert said[0].endswith(": 23 tickets wait for review; the likeliest label errors first")
    assert len(rows) == 20 and said[-2] == "  … and 3 more"
    assert not any("well::pass" in line for line in rows)


def test_a_row_has_ticket_label_verdict_reason_and_the_first_summary(run):
    row = call("list_review", run_dir=run.folder).out.splitlines()[2]
    waiting = ticket("t00")
    key, label, verdict, rest = row.split(maxsplit=3)
    assert (key[:1], label, verdict) == ("t", "pass", "fail")
    assert rest.split(" | ")[1] == waiting.per_image["image_1"][:60]


def test_what_was_decided_waits_no_longer(run):
    decided = [f'{{"ticket_key": "t{number:02}::pass", "decision": "exclude", "note": ""}}\n' for number in range(22)]
    (run.folder / "review_decisions.jsonl").write_text("".join(decided), encoding="utf-8")
    said = call("list_review", run_dir=run.folder).out.splitlines()
    assert ": 1 tickets wait for review, 22 of 23 are decided; " in said[0]
    assert said[2].split()[0] == "t22::pass" and not any("more" in line for line in said)


def test_the_next_command_names_the_run(run):
    last = call("list_review", run_dir=run.folder).out.splitlines()[-1]
    runs = run.folder.parents[1]
    assert last == f"next: make review-page RUNS={runs} RUN=mine MISSION=bbu_line (decide them in a browser)"


def test_with_nothing_left_to_decide_the_corpus_comes_next(run):
    decided = [f'{{"ticket_key": "t{number:02}::pass", "decision": "exclude", "note": ""}}\n' for number in range(23)]
    (run.folder / "review_decisions.jsonl").write_text("".join(decided), encoding="utf-8")
    said = call("list_review", run_dir=run.folder).out.splitlines()
    assert ": 0 tickets wait for review, 23 of 23 are decided" in said[0] and said[-1].startswith("next: make distill ")
    assert len(said) == 2


def test_what_reviewers_dispute_is_counted_and_where_it_is_settled_is_said(run):
    for name, word in (("one", "exclude"), ("two", "unsure")):
        rows = [f'{{"ticket_key": "t0{n}::pass", "decision": "{word}", "reviewer": "{name}"}}\n' for n in range(2)]
        (run.folder / f"{name}.jsonl").write_text("".join(rows), encoding="utf-8")
    call("review_apply", run_dir=run.folder, decisions=run.folder / "one.jsonl", second=run.folder / "two.jsonl")
    said = call("list_review", run_dir=run.folder).out.splitlines()
    assert said[-2] == "2 tickets are disputed by their reviewers (make adjudicate)"


def test_a_run_without_a_list_is_one_sentence_and_exit_2(tmp_path):
    done = call("list_review", run_dir=tmp_path)
    assert done.code == 2 and "need_review.json" in done.err
