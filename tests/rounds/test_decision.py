"""decision: threshold in a rollout: a ticket fails from a P(fail) on, whatever its candidates vote; then the guard."""

from math import exp

import pytest

from miniature.world.dataset import draw_tickets, sample_world
from tests.support.builders import NO_GUARD, RunFolder, candidate, candidates, guidance, snapshot, ticket
from tests.support.fake_engine import FakeEngine
from tests.support.playing import FAIL, PASS, Bench, Killed, Speaker
from tests.support.verify import verify
from verdicts.base.errors import UserError
from verdicts.base.jsonl import read_json, read_rows
from verdicts.config.load import CONFIGS, load
from verdicts.config.sections import DecisionSection, FailFirst, LoopSection
from verdicts.config.tools import SECTION_FILES, RolloutConfig, read_section, section_text
from verdicts.engines import Completion
from verdicts.records.corpus import ChatRow, DroppedRow, SftRow
from verdicts.records.review import NeedReviewFile
from verdicts.records.rollout import Malformed, Selection, Trajectory
from verdicts.rounds.unreadable import ANSWERS, answers_of
from verdicts.stage_b.protocol import parse, render
from verdicts.stage_b.selection import OVERRIDE, TURNED, select, writer_of, written_row
from verdicts.stage_b.threshold import chance_of, judged_verdict, threshold_of

GUARD = FailFirst(enabled=True, negatives=[["机柜处接地螺丝", "不符合要求"]])
BAD_SCREW = "螺丝、光纤插头/机柜处接地螺丝,不符合要求×1"
UNSURE = Completion(PASS, {"pass": -0.4, "fail": -1.2}, "stop")  # P(fail) 0.31


# -- one ticket
@pytest.mark.parametrize(
    ("words", "odds", "threshold", "verdict", "source", "strength", "warnings"),
    [
        ("pass pass pass", 2.0, 0.5, "pass", "model", 1.0, []),  # P(fail) 0.119203
        ("pass pass pass", 2.0, 0.119203, "fail", "threshold", 0.0, [TURNED]),  # at it, it fails
        ("pass pass pass", 2.0, 0.119204, "pass", "model", 1.0, []),
        ("fail fail", 2.0, 0.9, "pass", "threshold", 0.0, [TURNED]),
        ("bad pass", 2.0, 0.1, "fail", "threshold", 0.0, [TURNED]),
        ("pass pass", 2.0, 0.0, "fail", "threshold", 0.0, [TURNED]),
        ("fail fail", 2.0, 1.1, "pass", "threshold", 0.0, [TURNED]),
    ],
)
def test_a_ticket_fails_from_the_threshold_on_and_what_no_candidate_says_is_written(
    words, odds, threshold, verdict, source, strength, warnings
):
    of = ticket("a", "fail")
    chosen = select(of, candidates(of, words, odds=odds, round=3, epoch=2, step=5), NO_GUARD, threshold)
    assert (chosen.verdict, writer_of(chosen), chosen.vote_strength, chosen.warnings) == (
        verdict, source, strength, warnings,
    )  # fmt: skip
    row, number = written_row(chosen), len(words.split())
    if source == "model":
        assert row is None and chosen.selected_candidate < number
        return
    assert (row.source, row.candidate_index, row.decode, row.format_ok) == ("threshold", number, None, True)
    assert (row.round, row.epoch, row.guidance_step, row.label_match) == (3, 2, 5, verdict == "fail")
    assert parse(row.response_text) == (verdict, chosen.reason, None)
    assert "依据(G0)" in row.reason and f"阈值{threshold:g}" in row.reason
    assert (row.verdict_logprob.pass_, row.verdict_logprob.fail) == (None, None)


def test_a_minority_that_has_the_thresholds_verdict_speaks_for_it():
    of = ticket("a")
    rows = [
        candidate(of, word, index=at, odds=odds)
        for at, (word, odds) in enumerate([("pass", 1), ("pass", 1), ("fail", -1)])
    ]
    chosen = select(of, rows, NO_GUARD, 0.2)
    assert (chosen.verdict, chosen.selected_candidate, chosen.reason) == ("fail", 2, rows[2].reason)
    assert (chosen.vote_strength, chosen.warnings, written_row(chosen)) == (0.333333, [TURNED], None)


def test_no_vote_is_a_tie_where_a_threshold_decides():
    of = ticket("a")
    rows = [candidate(of, "pass", odds=1.0), candidate(of, "fail", index=1, odds=-1.0)]
    assert select(of, rows, NO_GUARD).verdict == "fail"
    chosen = select(of, rows, NO_GUARD, 0.5)
    assert (chosen.verdict, chosen.vote_strength, chosen.warnings) == ("pass", 0.5, [TURNED])


def test_the_guard_overrides_a_pass_of_the_threshold_and_leaves_the_one_row():
    of = ticket("a", "fail", (BAD_SCREW,))
    chosen = select(of, candidates(of, "fail fail"), GUARD, 0.95)
    assert (chosen.verdict, chosen.warnings, writer_of(chosen)) == ("fail", [TURNED, OVERRIDE], "guard")
    assert written_row(chosen).source == "guard" and "出现明确负项" in chosen.reason


def test_candidates_that_think_by_themselves_decide_by_their_mean():
    of = ticket("a")
    rows = [candidate(of, "pass", odds=4.0), candidate(of, "fail", index=1, odds=0.1)]  # 0.018 and 0.525
    assert [select(of, rows, NO_GUARD, threshold).verdict for threshold in (0.27, 0.28)] == ["fail", "pass"]


def test_what_wrote_counts_neither_as_a_vote_nor_as_an_answer():
    of = ticket("a")
    rows = candidates(of, "pass pass")
    chosen = select(of, rows, NO_GUARD, 0.1)
    assert select(of, [*rows, written_row(chosen)], NO_GUARD, 0.1) == chosen


@pytest.mark.parametrize(
    ("good", "bad", "chance", "at_half"),
    [(-0.1, -2.4, 0.091123, "pass"), (-0.1, None, 0.0, "pass"), (None, -0.1, 1.0, "fail"), (None, None, None, None)],
)
def test_a_verdict_that_the_engine_did_not_name_is_impossible_and_none_named_is_no_verdict(good, bad, chance, at_half):
    logprob = {"pass": good, "fail": bad}
    assert (chance_of(logprob), judged_verdict(logprob, 0.5), judged_verdict(logprob, None)) == (
        chance, at_half, at_half,
    )  # fmt: skip


def test_a_loop_that_is_to_decide_by_a_threshold_needs_its_number():
    assert threshold_of(DecisionSection(decision="majority", threshold=None)) is None
    assert threshold_of(DecisionSection(decision="threshold", threshold=0.0)) == 0.0
    with pytest.raises(UserError, match=r"rollout\.threshold: is empty while .*; write a number; a loop changes"):
        threshold_of(DecisionSection(decision="threshold", threshold=None))


# -- the configuration
def test_another_threshold_makes_rounds_and_what_is_learnt_from_them_anew_and_nothing_else():
    config = load("miniature", "bbu_line", configs=CONFIGS)
    other = config.rollout.model_copy(update={"decision": "threshold", "threshold": 0.2})
    changed = config.model_copy(update={"rollout": other})
    assert {tool for tool in SECTION_FILES if section_text(config, tool) != section_text(changed, tool)} == {
        "rollout", "reflect",
    }  # fmt: skip


def test_no_other_knob_of_rollout_reaches_reflect():
    config = load("miniature", "bbu_line", configs=CONFIGS)
    changed = config.model_copy(update={"rollout": config.rollout.model_copy(update={"reuse_gb": 3.0})})
    assert section_text(config, "reflect") == section_text(changed, "reflect")


# -- the tool
@pytest.fixture
def bench(tmp_path, monkeypatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def chosen_in(bench: Bench) -> dict[str, Selection]:
    return {row.ticket_key: row for row in bench.rows("selections.jsonl", Selection)}


def test_verdicts_of_the_miniature_are_those_that_its_probabilities_give(bench):
    """0.5: the likelier verdict; 0: fail; 1: only what is certain, or what the guard finds, fails."""
    drawn = draw_tickets(sample_world(900_001, "bbu_line"), 24, 5, 0.0)
    tickets = [ticket(row.group_id, row.label, tuple(row.ticket.per_image.values())) for row in drawn]
    bench.write(tickets, chunk=8)
    turned = 0
    for threshold in (0.5, 0.0, 1.0):
        outcome = bench.decide(threshold=threshold).rollout(into="rounds/0001")
        assert outcome.code == 0, outcome.err
        rows, chosen = bench.rows("trajectories.jsonl", Trajectory), chosen_in(bench)
        assert chosen.keys() == {of.ticket_key for of in tickets}
        for key, selection in chosen.items():
            asked = [row for row in rows if row.ticket_key == key and row.source == "model"]
            logprob = asked[0].verdict_logprob
            assert {row.verdict_logprob for row in asked} == {logprob}  # read once, at the place where verdicts part
            by_chance = "fail" if 1 / (1 + exp(logprob.pass_ - logprob.fail)) >= threshold - 5e-7 else "pass"
            assert selection.verdict == by_chance or (by_chance == "pass" and OVERRIDE in selection.warnings), key
        written = [row for row in rows if row.source == "threshold"]
        assert all(row.label_match == (row.verdict == row.ticket_key.split("::")[1]) for row in written)
        assert sum(row.source != "model" for row in rows) == len(rows) - 4 * len(tickets)
        assert f"verdicts turned by the threshold {threshold:g}" in outcome.last_line
        turned += len(written)
        if threshold == 0:
            assert {selection.verdict for selection in chosen.values()} == {"fail"}
            assert any(row.label_match for row in written)
    assert turned > 4


@pytest.mark.parametrize("alive", [1, 3, 4])
def test_a_resumed_round_is_the_same_to_the_byte(bench, alive):
    bench.write([ticket("a"), ticket("b", "fail", ("电线/散乱×1",)), *(ticket(name, "fail") for name in "cde")])
    bench.decide(threshold=0.3)
    says = lambda system, user: FAIL if "散乱" in user else UNSURE  # noqa: E731
    bench.rollout(Speaker(says), into="whole")
    with pytest.raises(Killed):
        bench.rollout(Speaker(says, alive=alive))
    bench.rollout(Speaker(says))
    assert snapshot(bench.folder / "rounds" / "0001") == snapshot(bench.folder / "whole")
    assert [row.source for row in bench.rows("trajectories.jsonl", Trajectory)].count("threshold") == 4


def test_a_round_that_was_begun_at_another_threshold_is_begun_again(bench):
    bench.decide(threshold=0.3)
    with pytest.raises(Killed):
        bench.rollout(Speaker(lambda system, user: UNSURE, alive=3))
    engine = Speaker(lambda system, user: UNSURE)
    bench.decide(threshold=0.4).rollout(engine)
    assert len(engine.rollouts) == 4 * 5  # and none was taken over
    assert [row.verdict for row in chosen_in(bench).values() if OVERRIDE not in row.warnings] == ["pass"] * 4


def test_an_answer_without_a_probability_is_none_where_a_threshold_decides(bench):
    silent = Completion(PASS, {"pass": None, "fail": None}, "stop")
    bench.write([ticket("a"), ticket("b")], chunk=1).decide(threshold=0.5)
    outcome = bench.rollout(Speaker(lambda system, user: silent))
    assert outcome.code == 0 and "2 tickets = 0 selected + 2 without a valid candidate" in outcome.last_line
    lost = bench.rows("failure_malformed.jsonl", Malformed)
    assert [row.why for row in lost[:5]] == ["no_probability"] * 4 + ["no_valid_candidate"]
    assert lost[0].response_text == PASS
    count = answers_of(bench.folder / "rounds/0001")
    assert count.exceeds(LoopSection(max_epochs=1, max_unreadable=0.2, enough_answers=8), whole_epoch=True)
    assert ANSWERS.turn(count) == "let the server give logprobs, or set rollout.decision: majority"
    bench.decide("majority").rollout(Speaker(lambda system, user: silent))
    assert {row.verdict for row in chosen_in(bench).values()} == {"pass"}


def test_written_answers_are_none_that_the_model_could_fail_to_give(bench):
    bench.write([ticket("a", "fail")]).decide(threshold=0.3).rollout(FakeEngine([UNSURE, "胡说", UNSURE, UNSURE]))
    assert len(bench.rows("trajectories.jsonl", Trajectory)) == 5
    count = answers_of(bench.folder / "rounds/0001")
    assert (count.total, count.unread) == (4, 1)


@pytest.mark.parametrize("threshold", [0.2, None])
def test_a_threshold_that_decides_nothing_or_is_missing_is_named(bench, threshold):
    decision = "majority" if threshold else "threshold"
    outcome = bench.decide(decision, threshold).rollout(Speaker())
    assert outcome.code == 2 and not (bench.folder / "rounds").exists()
    word = "decides nothing while decision is majority" if threshold else "is empty while rollout.decision is threshold"
    assert word in outcome.err


def test_a_section_file_of_an_older_version_decides_by_majority(bench):
    path = bench.folder / "rollout.yaml"
    text = path.read_text(encoding="utf-8")
    older = "".join(
        line for line in text.splitlines(keepends=True) if line.strip().split(":")[0] not in ("decision", "threshold")
    )
    path.write_text(older, encoding="utf-8")
    assert older != text and read_section(path, RolloutConfig).rollout.decision == "majority"


# -- a whole run
TICKETS = [
    ticket("turned", "fail"),  # the threshold gives it its label
    ticket("blocked", "pass"),  # ... and takes this one's
    ticket("spoken", "fail"),  # ... and a minority says so
    ticket("sure", "pass"),
]
ANSWERS_OF = {
    "turned::fail": "pass pass bad", "blocked::pass": "pass pass pass", "spoken::fail": "pass pass fail",
    "sure::pass": "pass pass pass",
}  # fmt: skip
ODDS = {"turned::fail": 1.0, "blocked::pass": 1.0, "spoken::fail": 0.2, "sure::pass": 5.0}


@pytest.fixture
def run(tmp_path) -> RunFolder:
    run = RunFolder(tmp_path / "run", TICKETS, val_share=0)
    told = {"odds": ODDS, "threshold": 0.2}
    return run.play(ANSWERS_OF, after=guidance(1, G1="规则"), **told).play(ANSWERS_OF, **told).finish().complete()


def test_a_ticket_that_the_threshold_turned_to_its_label_is_not_in_review(run):
    (review,) = read_json(run.folder / "need_review.json", NeedReviewFile).missions.values()
    assert review.tickets == []  # of blocked the model's own answers support the label
    chosen = {row.group_id: row for row in read_rows(run.folder / "selections.jsonl", Selection)}
    assert {name: (row.verdict, writer_of(row)) for name, row in chosen.items()} == {
        "turned": ("fail", "threshold"), "blocked": ("fail", "threshold"), "spoken": ("fail", "model"),
        "sure": ("pass", "model"),
    }  # fmt: skip


def test_what_the_threshold_wrote_is_given_as_it_was_and_teaches_nothing(run):
    chats = {row.group_id: row.messages[2].content for row in read_rows(run.folder / "distill_chatml.jsonl", ChatRow)}
    reason = "不通过概率0.2689达到阈值0.2，原判通过，理由：第1条依据(G0)"
    assert chats["turned"] == render("fail", reason)
    taught = {row.group_id for row in read_rows(run.folder / "distill.train.jsonl", SftRow)}
    dropped = {row.group_id: row.dropped for row in read_rows(run.folder / "distill.dropped.jsonl", DroppedRow)}
    assert taught == {"spoken", "sure"} and dropped == {"turned": "by_threshold", "blocked": "by_threshold"}


def test_a_run_that_a_threshold_decided_passes_both_checks(run):
    outcome = run.check()
    assert outcome.code == 0, outcome.err
    done = verify(run.folder)
    assert done.returncode == 0, done.stdout
