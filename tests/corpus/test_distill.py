"""distill: what the student learns from."""

from collections import Counter

import pytest

from miniature.world.prompts import prompts_of
from tests.support.builders import MISSION, OTHER, RunFolder, guidance, snapshot, ticket, validation_groups
from verdicts.base.jsonl import read_json, read_rows, write_json, write_rows
from verdicts.base.split import hash_share
from verdicts.config.sections import DistillSection, FailFirst
from verdicts.corpus.distill import AuditSample, decide_row, supersede_corpus
from verdicts.records.corpus import AuditRow, ChatRow, DroppedRow, SftRow
from verdicts.records.review import NeedReviewFile, ReviewDecision
from verdicts.records.rollout import Selection
from verdicts.records.tickets import StageA
from verdicts.stage_b.protocol import parse

CORPUS = (
    "distill_chatml.jsonl",
    "distill.train.jsonl",
    "distill.val.jsonl",
    "distill.dropped.jsonl",
    "distill.audit.jsonl",
)
CONFLICT = "no_candidate_supports_gt"
RULE = "出现标签无法识别则不通过"
# the teacher's answers of the converged epoch: released is unsupported, split has one candidate for the label, mute
# none at all
ANSWERS = {
    "right::pass": "pass pass",
    "right::fail": "fail fail",
    "blocked::pass": "fail fail pass",
    "released::fail": "pass pass",
    "mute::pass": "bad bad",
    **{f"more{number}::fail": "fail fail" for number in range(8)},
}


def tickets() -> list[StageA]:
    split = [key.split("::") for key in ANSWERS]
    return [ticket(group, label, (f"电线/捆扎整齐×{number}",)) for number, (group, label) in enumerate(split, start=1)]


def make_run(
    folder, rows: list[StageA] | None = None, answers: dict[str, str] = ANSWERS, **distill: object
) -> RunFolder:
    """A converged run up to its review list."""
    run = RunFolder(folder, rows or tickets(), **distill)
    run.play(answers, after=guidance(1, G1=RULE)).play(answers).finish().collect()
    run.aggregate_review()
    return run


def decide(run: RunFolder, **decisions: str):
    path = run.folder / "review_decisions.jsonl"
    write_rows(
        path,
        [ReviewDecision(ticket_key=key.replace("__", "::"), decision=decision) for key, decision in decisions.items()],
    )
    return path


def written(run: RunFolder, name: str, model):
    return read_rows(run.folder / f"distill{name}.jsonl", model, allow_empty=True)


def kept(run: RunFolder) -> dict[str, SftRow]:
    """Rows of train and val by group and verdict word of their answer."""
    rows = [*written(run, ".train", SftRow), *written(run, ".val", SftRow)]
    return {f"{row.group_id}/{parse(row.messages[2].content).verdict}": row for row in rows}


def dropped(run: RunFolder) -> dict[str, str]:
    return {row.ticket_key: row.dropped for row in written(run, ".dropped", DroppedRow)}


def test_an_answer_to_another_prompt_is_refused(tmp_path):
    run = make_run(tmp_path / "run")
    path = run.folder / "selections.jsonl"
    rows = read_rows(path, Selection)
    current = prompts_of(MISSION).digest("stage_b")
    write_rows(path, [rows[0].model_copy(update={"prompt": current}), *rows[1:]])
    assert run.distill().code == 0
    write_rows(path, [rows[0].model_copy(update={"prompt": "0123456789ab"}), *rows[1:]])
    said = f"selections.jsonl:1: prompt: answered to prompt 0123456789ab, the configuration's is {current}; make the"
    assert run.distill().code == 2 and said in run.distill().err


def test_the_corpus_holds_every_selected_answer_under_the_converged_guidance(tmp_path):
    run = make_run(tmp_path / "run")
    assert run.distill().code == 0
    rows = written(run, "_chatml", ChatRow)
    selections = read_rows(run.folder / "selections.jsonl", Selection)
    assert [(row.group_id, row.label) for row in rows] == [(row.group_id, row.label) for row in selections]
    system = prompts_of(MISSION).stage_b_system(guidance(1, G1=RULE).experiences)
    for row, selection, of in zip(rows, selections, [row for row in tickets() if row.group_id != "mute"], strict=True):
        assert [message.role for message in row.messages] == ["system", "user", "assistant"]
        assert row.messages[0].content == system
        assert row.messages[1].content == prompts_of(MISSION).stage_b_user(of.per_image)
        assert parse(row.messages[2].content)[:2] == (selection.verdict, selection.reason)


def test_rows_in_are_rows_kept_and_rows_dropped_and_the_last_line_says_so(tmp_path):
    run = make_run(tmp_path / "run")
    outcome = run.distill()
    train, val = len(written(run, ".train", SftRow)), len(written(run, ".val", SftRow))
    assert train + val + 2 == len(written(run, "_chatml", ChatRow)) == 12
    assert dropped(run) == {"blocked::pass": "conflict", "released::fail": "needs_review"}
    assert (
        outcome.last_line
        == f"distill: 13 tickets = {train} train + {val} val + 2 dropped (conflict 1, needs_review 1) + 1 without an "
        "answer"
    )


def test_labels_are_never_in_messages_flip_them_all_and_not_a_byte_changes(tmp_path):
    rows = tickets()
    flipped = [StageA.model_validate(row.model_dump() | {"label": OTHER[row.label]}) for row in rows]
    answers = {flip.ticket_key: ANSWERS[row.ticket_key] for row, flip in zip(rows, flipped, strict=True)}
    messages = []
    for name, run in (
        ("as_is", make_run(tmp_path / "as_is")),
        ("flipped", make_run(tmp_path / "flipped", flipped, answers)),
    ):
        assert run.distill().code == 0, name
        messages.append([row.messages for row in written(run, "_chatml", ChatRow)])
    assert messages[0] == messages[1]


@pytest.mark.parametrize(
    ("policy", "row"),
    [("drop", None), ("downweight", (0.25, "conflict")), ("mark", (1.0, "conflict")), ("keep", (1.0, ""))],
)
def test_a_verdict_against_the_label_is_treated_as_the_policy_says(tmp_path, policy, row):
    run = make_run(tmp_path / "run", conflict_policy=policy)
    run.distill()
    for answer in (
        "blocked/fail",
        "released/pass",
    ):  # one candidate for the label; none, so it is in review for conflict alone
        found = kept(run).get(answer)
        assert (found and (found.weight, found.flags)) == row
    assert dropped(run) == ({"blocked::pass": "conflict", "released::fail": "needs_review"} if policy == "drop" else {})


@pytest.mark.parametrize(
    ("decision", "why"),
    [("exclude", "excluded"), ("unsure", "unsure"), ("model_wrong", "model_wrong"), ("label_wrong", None)],
)
def test_a_person_s_word_on_a_queued_ticket_is_kept(tmp_path, decision, why):
    run = make_run(tmp_path / "run")
    assert run.distill(decide(run, released__fail=decision)).code == 0
    assert dropped(run).get("released::fail") == why
    if decision == "label_wrong":
        row = kept(run)["released/pass"]
        assert (row.label, row.flags, row.weight) == ("pass", "label_corrected", 1.0)


def test_the_corpus_as_given_does_not_change_with_what_people_say(tmp_path):
    run = make_run(tmp_path / "run")
    run.distill()
    before = (run.folder / "distill_chatml.jsonl").read_bytes()
    outcome = run.distill(decide(run, released__fail="label_wrong", blocked__pass="exclude"))
    assert (run.folder / "distill_chatml.jsonl").read_bytes() == before
    assert outcome.last_line.endswith("; 1 labels corrected by people")


def test_a_corrected_label_that_the_model_did_not_share_is_a_conflict(tmp_path):
    run = make_run(tmp_path / "run", conflict_policy="mark")
    run.distill(decide(run, right__pass="label_wrong"))
    row = kept(run)["right/pass"]
    assert (row.label, row.flags) == ("fail", "label_corrected,conflict")


@pytest.mark.parametrize(
    ("label", "verdict", "decision", "review", "expected"),
    [
        ("pass", "pass", None, None, ("pass", None, 1.0, ())),
        ("pass", "pass", None, CONFLICT, ("pass", "needs_review", 1.0, ())),  # listed by hand
        ("fail", "pass", None, CONFLICT, ("fail", None, 0.25, ("conflict",))),
        ("fail", "pass", None, "label_suspect", ("fail", "needs_review", 1.0, ())),
        ("fail", "pass", "label_wrong", CONFLICT, ("pass", None, 1.0, ("label_corrected",))),
        ("fail", "pass", "model_wrong", CONFLICT, ("fail", "model_wrong", 1.0, ())),
        ("fail", "pass", "unsure", "label_suspect", ("fail", "unsure", 1.0, ())),
        ("fail", "pass", None, None, ("fail", None, 0.25, ("conflict",))),
        ("pass", "pass", "exclude", None, ("pass", "excluded", 1.0, ())),
        ("pass", "fail", "unsure", None, ("pass", "unsure", 1.0, ())),
    ],
)
def test_people_come_first_then_review_then_policy(label, verdict, decision, review, expected):
    settings = DistillSection(
        enabled=True, val_share=0.1, seed=1, conflict_policy="downweight", conflict_weight=0.25, audit_sample=0,
        min_agreement=0.0,
    )  # fmt: skip
    said = ReviewDecision(ticket_key="a", decision=decision) if decision else None
    found = decide_row(label, verdict, said, review, settings, 0.5)
    assert (found.label, found.dropped, found.weight, found.flags) == expected


@pytest.mark.parametrize(
    ("verdict", "policy", "decision", "agreement", "reason"),
    [
        ("pass", "drop", None, 0.5, "low_agreement"),
        ("pass", "drop", None, 0.7, None),  # the knob's own value is enough
        ("fail", "drop", None, 0.5, "conflict"),
        ("fail", "drop", "label_wrong", 0.5, None),  # a person has looked at it
        ("fail", "mark", None, 0.5, "low_agreement"),
        ("fail", "mark", None, 0.75, None),
    ],
)
def test_votes_that_agree_too_little_drop_what_nobody_decided(verdict, policy, decision, agreement, reason):
    settings = DistillSection(
        enabled=True, val_share=0.1, seed=1, conflict_policy=policy, conflict_weight=0.25, audit_sample=0,
        min_agreement=0.7,
    )  # fmt: skip
    said = ReviewDecision(ticket_key="a", decision=decision) if decision else None
    assert decide_row("pass", verdict, said, None, settings, agreement).dropped == reason


def test_a_tie_is_dropped_for_low_agreement_and_the_guard_does_not_vote(tmp_path):
    guard = FailFirst(enabled=True, negatives=[["不符合要求"]])
    rows = [ticket("tie", "fail"), ticket("sure"), ticket("guarded", "fail", ("螺丝,不符合要求×1",))]
    run = RunFolder(tmp_path / "run", rows, min_agreement=0.65)
    answers = {"tie::fail": "pass fail", "sure::pass": "pass pass fail", "guarded::fail": "pass pass pass fail fail"}
    run.play(answers, guard=guard).finish().complete()
    assert dropped(run) == {"tie::fail": "low_agreement"}


def test_a_group_s_tickets_are_on_one_side(tmp_path):
    run = make_run(tmp_path / "run")
    run.distill()
    train = {row.group_id for row in written(run, ".train", SftRow)}
    val = {row.group_id for row in written(run, ".val", SftRow)}
    assert train and val and not train & val


def test_more_groups_move_no_group_to_the_other_side():
    few, many = [f"g{number}" for number in range(50)], [f"g{number}" for number in range(500)]
    assert validation_groups(few, 0.2, 7) == validation_groups(many, 0.2, 7) & set(few)
    assert 70 <= len(validation_groups(many, 0.2, 7)) <= 130


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("share", [0.001, 0.1, 0.9, 0.999])
def test_both_sides_hold_something_whenever_there_are_two_groups(seed, share):
    assert len(validation_groups(["a", "b"], share, seed)) == 1


def test_one_group_trains_and_a_share_of_0_or_1_means_it():
    assert validation_groups(["a", "a"], 0.99, 1) == set()
    assert validation_groups(["a", "b"], 0.0, 1) == set()
    assert validation_groups(["a", "b"], 1.0, 1) == {"a", "b"}
    assert validation_groups([], 0.1, 1) == set()


def test_a_hashed_share_is_spread_over_the_unit_interval():
    tenths = Counter(int(hash_share(3, str(number)) * 10) for number in range(2000))
    assert set(tenths) == set(range(10)) and min(tenths.values()) > 150


def test_the_audit_sample_puts_the_false_release_first(tmp_path):
    run = make_run(tmp_path / "run", audit_sample=100)
    run.distill()
    rows = written(run, ".audit", AuditRow)
    assert [row.ticket_key for row in rows[:3]] == ["released::fail", "right::pass", "blocked::pass"]
    assert (rows[0].used_in, rows[0].dropped) == ("dropped", "needs_review")
    val = {row.group_id for row in written(run, ".val", SftRow)}
    assert all(row.used_in == ("val" if row.group_id in val else "train") for row in rows if row.dropped is None)
    assert len(rows) == 12 and rows[0].per_image


def test_the_audit_sample_is_seeded_and_as_large_as_asked(tmp_path):
    chosen = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run = make_run(tmp_path / name, seed=seed, audit_sample=4)
        run.distill()
        chosen.append({row.ticket_key for row in written(run, ".audit", AuditRow)})
    assert chosen[0] == chosen[1] != chosen[2]
    assert len(chosen[0]) == 4
    assert AuditSample(4, 1).rows(set()) == []


def test_a_mission_of_low_risk_has_an_empty_audit_file(tmp_path):
    run = make_run(tmp_path / "run", high_risk=False)
    run.distill()
    assert (run.folder / "distill.audit.jsonl").read_bytes() == b""


def test_a_run_again_overwrites_whole_and_gives_the_same_bytes(tmp_path):
    run = make_run(tmp_path / "run")
    run.distill()
    first = snapshot(run.folder)
    for name in CORPUS:
        (run.folder / name).write_text("left over\n" * 1000)
    run.distill()
    assert snapshot(run.folder) == first


def test_distillation_changes_no_other_file_and_off_writes_nothing(tmp_path):
    run = make_run(tmp_path / "run")
    before = snapshot(run.folder)
    run.distill()
    assert {name: text for name, text in snapshot(run.folder).items() if name not in CORPUS} == before
    off = make_run(tmp_path / "off", enabled=False)
    before = snapshot(off.folder)
    outcome = off.distill()
    assert (outcome.code, outcome.last_line) == (0, "distill: off (distill.enabled: false); nothing written")
    assert snapshot(off.folder) == before


def test_off_moves_an_earlier_corpus_out_of_the_way_and_loses_none(tmp_path):
    run = make_run(tmp_path / "run")
    moved = []
    for number in (1, 2):
        run.configure("distill", **run.sections(enabled=True))
        run.distill(decide(run, **({} if number == 1 else {"released__fail": "label_wrong"})))
        moved.append({name: text for name, text in snapshot(run.folder).items() if name in CORPUS})
        run.configure("distill", **run.sections(enabled=False))
        rest = {name: text for name, text in snapshot(run.folder).items() if name not in CORPUS}
        outcome = run.distill()
        where = f"distill.superseded/000{number}"
        assert (outcome.code, outcome.last_line) == (
            0,
            "distill: off (distill.enabled: false); nothing written; the earlier corpus is moved to "
            f"{run.folder}/{where}",
        )
        assert snapshot(run.folder) == rest | {f"{where}/{name}": text for name, text in moved[-1].items()}
    assert moved[0] != moved[1]
    assert run.check().code == 0


def test_a_move_that_was_cut_short_goes_on_in_the_same_folder(tmp_path):
    run = make_run(tmp_path / "run")
    run.distill()
    whole = {name: text for name, text in snapshot(run.folder).items() if name in CORPUS}
    half = run.folder / "distill.superseded" / "0001"
    half.mkdir(parents=True)
    (run.folder / CORPUS[0]).rename(half / CORPUS[0])
    assert supersede_corpus(run.folder) == half and snapshot(half) == whole
    assert supersede_corpus(run.folder) is None


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ("running", "loop.json: status: the loop is still running; let it end first"),
        (
            "max_epochs",
            "loop.json: status: the loop ended after 2 epochs without one in which no round changed guidance; raise "
            "loop.max_epochs",
        ),
    ],
)
def test_a_run_that_has_not_converged_is_refused(tmp_path, status, message):
    run = make_run(tmp_path / "run").finish(status)
    before = snapshot(run.folder)
    outcome = run.distill()
    assert outcome.code == 2
    assert message in outcome.err and outcome.err.count("\n") == 1
    assert snapshot(run.folder) == before


def test_where_nothing_is_left_to_train_on_the_last_line_says_so(tmp_path):
    run = make_run(tmp_path / "run", [ticket("a", "fail")], {"a::fail": "pass"})
    outcome = run.distill()
    assert outcome.code == 0
    assert "nothing is left to train on: decide the review list or loosen distill.conflict_policy" in outcome.last_line
    assert (run.folder / "distill.train.jsonl").read_bytes() == b""


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "selections.jsonl",
            '"guidance_step": 1',
            '"guidance_step": 0',
            "selections.jsonl:1: guidance_step: answered under step 0, guidance.json is at step 1; make the run's "
            "view again",
        ),
        (
            "selections.jsonl",
            "right::pass",
            "wrong::pass",
            "selections.jsonl:1: ticket_key: 'wrong::pass' is not a ticket of this stage_a.jsonl; correct or delete "
            "the line",
        ),
        (
            "selections.jsonl",
            "right::fail",
            "right::pass",
            "selections.jsonl:2: ticket_key: 'right::pass' stands on line 1 already; keep one of the two",
        ),
        (
            "selections.jsonl",
            "第1条依据(G0)",
            "证据不足",
            "selections.jsonl:1: reason: breaks the two-line protocol (third_state); write one line without a third "
            "state",
        ),
        (
            "selections.jsonl",
            "第1条依据(G0)",
            "甲\\n乙",
            "selections.jsonl:1: reason: breaks the two-line protocol (extra_lines)",
        ),
        ("stage_a.jsonl", '"image_1"', '"image_2"', "stage_a.jsonl:1: per_image: keys must run image_1"),
        (
            "stage_a.jsonl",
            '"label": "pass"',
            '"label": "Pass"',
            "stage_a.jsonl:1: label: input should be 'pass' or 'fail' (\"Pass\")",
        ),
        ("guidance.json", '"step"', '"stepp"', "stepp: unknown field; did you mean 'step'?"),
        ("need_review.json", '"count"', '"cuont"', "cuont: unknown field; did you mean 'count'?"),
        ("config/distill.yaml", "val_share", "val_part", "distill.val_part: unknown field; did you mean 'val_share'?"),
        (
            "review_decisions.jsonl",
            "released::fail",
            "released::pass",
            "review_decisions.jsonl:1: ticket_key: no ticket 'released::pass' in this run",
        ),
    ],
)
def test_a_bad_file_is_named_and_nothing_is_overwritten(tmp_path, file, old, new, message):
    run = make_run(tmp_path / "run")
    decisions = decide(run, released__fail="exclude")
    run.distill(decisions)
    path = run.folder / file
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    before = snapshot(run.folder)
    outcome = run.distill(decisions)
    assert outcome.code == 2
    assert message in outcome.err and outcome.err.count("\n") == 1
    assert snapshot(run.folder) == before


def test_a_ticket_taken_off_the_review_list_by_hand_is_no_longer_held_back(tmp_path):
    run = make_run(tmp_path / "run", conflict_policy="mark")
    review = read_json(run.folder / "need_review.json", NeedReviewFile).model_dump()
    review["missions"][MISSION] |= {"tickets": [], "count": 0}
    write_json(run.folder / "need_review.json", review)
    run.distill()
    assert kept(run)["released/pass"].flags == "conflict"
