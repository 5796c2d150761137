"""tools.plan: what a run will take, from a few tickets, without a trace in the run folder."""

from dataclasses import astuple, replace
from pathlib import Path

import pytest

from tests.support.builders import call, snapshot, ticket
from tests.support.fake_engine import FakeEngine
from verdicts import engines
from verdicts.base.jsonl import write_rows
from verdicts.config.load import load
from verdicts.config.sections import Config, TrialSection
from verdicts.runs.cost import Cost, Probe, amount, duration, learning_of, round_cost, run_cost

ROOT = Path(__file__).resolve().parents[2]
WHOLE = load(
    "miniature", "bbu_line", configs=ROOT / "configs"
)  # 4 groups of 4, 8 operations, trials of 96 + 96 from 4 windows, a fifth held out
PROBE = Probe(
    tickets=20, wrong={"pass": 4, "fail": 0}, right={"pass": 8, "fail": 8}, open_s=3.0, start_s=1.0,
    rollout_s=10.0, rollout_read=2000, rollout_written=400, system_tokens=100,
    calls=1, calls_s=5.0, calls_read=300, calls_written=50, operations=2,
    judge_s=4.0, judge_read=2000, round_bytes=20_000, ticket_bytes=8_000,
)  # fmt: skip
RIGHT, WRONG = "Verdict: 通过\nReason: 符合要求(G0)", "Verdict: 不通过\nReason: 缺少螺丝(G0)"


def config(window: int, holdout: float = 0.2, **reflect: object) -> Config:
    """The miniature's configuration with another window, share held out, or limits of reflection."""
    sections = {
        "window": WHOLE.window.model_copy(update={"tickets": window}),
        "learn": WHOLE.learn.model_copy(update={"holdout": holdout}),
    }
    return WHOLE.model_copy(update=sections | {"reflect": WHOLE.reflect.model_copy(update=reflect)})


def trial(**limits: int) -> TrialSection:
    return WHOLE.reflect.trial.model_copy(update=limits)


def test_a_round_is_rollout_reflection_and_starting():
    cost = round_cost(PROBE, 5, 2, config(100))
    # 100 tickets are 5 probes, of which 4 are learnt from: 16 false releases, all shown in 4 calls, 8 proposals.
    # Each is tried on two windows: 32 errors less the 16 shown are 16 of the 96 wanted, less than a quarter, so all 32,
    # and 64 right passes. These 96 are judged 1 + 8 times, and 48 tickets labelled fail once: 912.
    rollout, calls, judging = 5 * 10.0, 4 * 5.0, 912 / 20 * 4.0
    assert cost.seconds == pytest.approx(rollout + calls + judging + 2 * 3.0 + 4 * 1.0)
    assert cost.reflect_s == pytest.approx(calls + judging + 3.0 + 1.0)
    assert cost.written == pytest.approx(5 * 400 + 4 * 50)
    assert cost.read == pytest.approx(5 * 2000 + 10 * 100 + 4 * 300 + 912 / 20 * 2000)
    assert cost.bytes == pytest.approx(5 * 20_000)


@pytest.mark.parametrize(
    ("changed", "calls", "judged", "prompts"),
    [
        ({}, 4, 9 * (32 + 64) + 48, 9),
        (
            {"holdout": 0.0},
            4,
            9 * (24 + 80) + 60,
            9,
        ),  # 20 errors a round, 16 shown; of 40, 24 are unseen, a quarter of 96; 80 right ones
        (
            {"holdout": 0.75},
            2,
            5 * (10 + 20) + 15,
            5,
        ),  # 5 errors, shown in 2 calls, 4 proposals; 5 unseen are too few, so all 10
        ({"groups": 1}, 1, 3 * (28 + 64) + 48, 3),  # 4 shown, 2 proposals
        ({"groups": 1, "draws": 2}, 2, 5 * (28 + 64) + 48, 5),  # 4 shown twice, 4 proposals
        ({"group_size": 2}, 4, 9 * (24 + 64) + 48, 9),  # 8 shown
        ({"max_operations": 3}, 4, 4 * (32 + 64) + 48, 4),
        ({"max_operations": 1}, 4, 2 * (32 + 64) + 48, 2),
        ({"trial": trial(errors=10)}, 4, 9 * (10 + 64) + 48, 9),
        ({"trial": trial(errors=64)}, 4, 9 * (16 + 64) + 48, 9),  # the 16 unseen are a quarter of it …
        ({"trial": trial(errors=65)}, 4, 9 * (32 + 64) + 48, 9),  # … and less than a quarter
        ({"trial": trial(corrects=50)}, 4, 9 * (32 + 50) + 48, 9),
    ],
)
def test_what_a_round_of_learning_asks_follows_the_configuration(changed, calls, judged, prompts):
    assert learning_of(PROBE, 5, 2, config(100, **changed)) == pytest.approx((calls, judged, prompts))


@pytest.mark.parametrize(("windows", "judged"), [(1, 16 + 32), (2, 32 + 64), (3, 32 + 96), (4, 48 + 96), (7, 96 + 96)])
def test_more_windows_have_more_tickets_to_try_on(windows, judged):
    # 16 errors a window, those of the last one shown: the 0 and 16 unseen of one and two windows are too few, so all
    # errors are tried on
    assert learning_of(PROBE, 5, windows, config(100)).judged == pytest.approx(9 * judged + 48)


def test_proposals_are_shared_out_by_the_calls_of_each_direction():
    both = replace(PROBE, wrong={"pass": 4, "fail": 2}, right={"pass": 8, "fail": 6}, calls=2)
    # 16 and 8 errors, all shown in 4 calls and 2, so 4 and 2 of 6 proposals; 32 and 16 errors of two windows, 64 and 48
    # right ones; 40 labelled fail
    assert learning_of(both, 5, 2, config(100)) == pytest.approx((6, 5 * (32 + 64) + 3 * (16 + 48) + 40, 8))


def test_where_the_probe_proposed_nothing_no_trial_is_expected():
    assert learning_of(replace(PROBE, operations=0), 5, 2, config(100)) == pytest.approx((4, 48, 0))


def test_without_errors_there_is_no_reflection_and_with_many_it_is_bounded():
    none = round_cost(
        replace(PROBE, wrong={"pass": 0, "fail": 0}, calls=0, calls_s=0.0, operations=0), 5, 1, config(100)
    )
    assert none.seconds == pytest.approx(
        5 * 10.0 + 32 / 20 * 4.0 + 2 * 3.0 + 4 * 1.0
    )  # 32 fails may rest on rules that the run began with
    released = replace(PROBE, wrong={"pass": 20, "fail": 0}, right={"pass": 0, "fail": 0})
    calls = [learning_of(released, size / 20, 1, config(size)) for size in (1000, 2000)]
    assert [(one.calls, one.prompts) for one in calls] == [(4, 9)] * 2  # a round reflects on so much and no more …
    assert [one.judged for one in calls] == pytest.approx([9 * 96 + 800, 9 * 96 + 1600])  # … and credits what there is


def sums(*costs: Cost) -> tuple[float, ...]:
    return tuple(map(sum, zip(*map(astuple, costs), strict=True)))


def test_the_first_rounds_of_a_run_have_fewer_windows_to_try_on_and_its_own_files_come_once():
    own = Cost(0, 0, 3 * 1.0, 0, 10 * 8_000)
    first, then = (round_cost(PROBE, 5, windows, config(100)) for windows in (1, 2))
    assert astuple(run_cost(PROBE, 200, config(100), 1)) == pytest.approx(sums(own, first, then))
    assert astuple(run_cost(PROBE, 200, config(100), 3)) == pytest.approx(
        sums(own, first, then.times(5))
    )  # an epoch has two windows


def test_no_more_windows_are_tried_on_than_configured():
    small = [round_cost(PROBE, 5, windows, config(100)) for windows in (1, 2, 3, 4)]
    whole = run_cost(PROBE, 600, config(100), 1)
    assert whole.seconds == pytest.approx(sum(cost.seconds for cost in small) + 2 * small[3].seconds + 3 * 1.0)


def test_a_level_that_early_proposals_are_tried_at_costs_nothing():
    assert run_cost(PROBE, 200, config(100, trial=trial(early=0.5)), 1) == run_cost(PROBE, 200, config(100), 1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599.0, "59 min 59 s"), (7800, "2 h 10 min")],
)
def test_a_duration_is_read_at_a_glance(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(999, "999"), (12_345, "12.3 k"), (3_400_000, "3.4 M"), (1.2e9, "1.2 G")])
def test_an_amount_is_read_at_a_glance(value, text):
    assert amount(value) == text.strip()


@pytest.fixture
def tickets(tmp_path) -> Path:
    write_rows(
        tmp_path / "tickets.jsonl", [ticket(f"g{number:02d}", "pass" if number % 2 else "fail") for number in range(30)]
    )
    return tmp_path / "tickets.jsonl"


def probe(monkeypatch, tickets: Path, engine: FakeEngine):
    monkeypatch.setattr(engines, "open_engine", lambda config: engine)
    monkeypatch.chdir(ROOT)
    return call("plan", models="miniature", mission="bbu_line", tickets=tickets)


def test_twenty_tickets_are_probed_and_nothing_is_written(monkeypatch, tickets):
    engine = FakeEngine([RIGHT, RIGHT, WRONG, RIGHT] * 20, ['{"operations":[]}'] * 8)
    before = snapshot(tickets.parent)
    outcome = probe(monkeypatch, tickets, engine)
    assert outcome.code == 0, outcome.err
    assert (
        len({user for _, user, _ in engine.rollouts}) == 1
        and len(engine.rollouts) == 80
        and len(engine.judged) == 20
        and engine.closed
    )
    assert "30 tickets, 1 rounds an epoch, 4 candidates a ticket" in outcome.out
    assert [
        word in outcome.out
        for word in ("1 epoch ", "2 epochs", "12 epochs", "tokens read", "tokens written", "of it reflection", "disk")
    ] == [True] * 7
    assert outcome.err.startswith("plan: 54 MiB of GPU memory = 6 MiB of weights + 48 MiB for 8,192 KV cells in f16")
    assert outcome.last_line.startswith("plan: 20 of 30 tickets probed in ")
    assert snapshot(tickets.parent) == before


def test_a_probe_that_makes_no_error_asks_for_no_reflection(monkeypatch, tickets):
    write_rows(tickets, [ticket(f"g{number:02d}") for number in range(5)])
    engine = FakeEngine([RIGHT] * 20)
    outcome = probe(monkeypatch, tickets, engine)
    assert (
        outcome.code == 0
        and engine.calls == []
        and "5 tickets in" in outcome.out
        and "0 of 5 answered wrongly" in outcome.out
    )


def test_bad_tickets_are_named_before_a_model_is_opened(monkeypatch, tickets):
    tickets.write_text('{"group_id": "a"}\n', encoding="utf-8")
    outcome = probe(monkeypatch, tickets, None)
    assert outcome.code == 2 and outcome.last_line == f"{tickets}:1: mission: missing; add it"
