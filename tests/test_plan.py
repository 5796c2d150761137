"""tools.plan: what a run will take, from a few tickets, without a trace in the run folder."""

from dataclasses import replace
from pathlib import Path

import pytest
from builders import call, snapshot, ticket
from fake_engine import FakeEngine

from tools.core import engines
from tools.core.config import load
from tools.core.jsonl import write_rows
from tools.core.planning import Probe, amount, duration, epoch_cost, run_cost

ROOT = Path(__file__).resolve().parents[1]
REFLECT = load("miniature", "bbu_line", configs=ROOT / "configs").reflect  # 4 groups of 4, 8 operations, trials of 48 + 48
PROBE = Probe(
    tickets=20, wrong={"pass": 4, "fail": 0}, right={"pass": 8, "fail": 8}, open_s=3.0, start_s=1.0, rollout_s=10.0, rollout_read=2000, rollout_written=400,
    system_tokens=100, calls=1, calls_s=5.0, calls_read=300, calls_written=50, operations=2, judge_s=4.0, judge_read=2000, round_bytes=20_000, ticket_bytes=8_000,
)  # fmt: skip
RIGHT, WRONG = "Verdict: 通过\nReason: 符合要求(G0)", "Verdict: 不通过\nReason: 缺少螺丝(G0)"


def test_an_epoch_is_its_rounds_times_rollout_reflection_and_starting():
    cost = epoch_cost(PROBE, tickets=200, window=100, reflect=REFLECT)
    # a round: 100 tickets = 5 probes; 20 false releases: 4 calls (16 tickets at most), 8 proposals, 20 + 40 tickets judged 1 + 8 times
    rollout, calls, judging = 5 * 10.0, 4 * 5.0, 60 * 9 / 20 * 4.0
    assert cost.seconds == pytest.approx(2 * (rollout + calls + judging + 2 * 3.0 + 4 * 1.0))
    assert cost.reflect_s == pytest.approx(2 * (calls + judging + 3.0 + 1.0))
    assert cost.written == pytest.approx(2 * (5 * 400 + 4 * 50))
    assert cost.read == pytest.approx(2 * (5 * 2000 + 9 * 100 + 4 * 300 + 27 * 2000))
    assert cost.bytes == pytest.approx(2 * 5 * 20_000)


def test_without_errors_there_is_no_reflection_and_with_many_it_is_bounded():
    none = epoch_cost(replace(PROBE, wrong={"pass": 0, "fail": 0}, calls=0, calls_s=0.0, operations=0), 100, 100, REFLECT)
    assert none.seconds == pytest.approx(5 * 10.0 + 2 * 3.0 + 4 * 1.0)
    many = [epoch_cost(replace(PROBE, wrong={"pass": 20, "fail": 0}, right={"pass": 0, "fail": 0}), size, size, REFLECT).reflect_s for size in (1000, 2000)]
    assert many[0] == many[1]  # a round reflects on so much and no more


def test_more_epochs_cost_more_and_the_runs_own_files_come_once():
    one, two = (run_cost(PROBE, 200, 100, REFLECT, epochs) for epochs in (1, 2))
    epoch = epoch_cost(PROBE, 200, 100, REFLECT)
    assert two.bytes - one.bytes == pytest.approx(epoch.bytes) and one.bytes == pytest.approx(epoch.bytes + 10 * 8_000)
    assert two.seconds - one.seconds == pytest.approx(epoch.seconds)


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599.0, "59 min 59 s"), (7800, "2 h 10 min")])
def test_a_duration_is_read_at_a_glance(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(999, "999"), (12_345, "12.3 k"), (3_400_000, "3.4 M"), (1.2e9, "1.2 G")])
def test_an_amount_is_read_at_a_glance(value, text):
    assert amount(value) == text.strip()


@pytest.fixture
def tickets(tmp_path) -> Path:
    write_rows(tmp_path / "tickets.jsonl", [ticket(f"g{number:02d}", "pass" if number % 2 else "fail") for number in range(30)])
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
    assert len({user for _, user, _ in engine.rollouts}) == 1 and len(engine.rollouts) == 80 and len(engine.judged) == 20 and engine.closed
    assert "30 tickets, 1 rounds an epoch, 4 candidates a ticket" in outcome.out
    assert [word in outcome.out for word in ("1 epoch ", "2 epochs", "12 epochs", "tokens read", "tokens written", "of it reflection", "disk")] == [True] * 7
    assert outcome.last_line.startswith("plan: 20 of 30 tickets probed in ")
    assert snapshot(tickets.parent) == before


def test_a_probe_that_makes_no_error_asks_for_no_reflection(monkeypatch, tickets):
    write_rows(tickets, [ticket(f"g{number:02d}") for number in range(5)])
    engine = FakeEngine([RIGHT] * 20)
    outcome = probe(monkeypatch, tickets, engine)
    assert outcome.code == 0 and engine.calls == [] and "5 tickets in" in outcome.out and "0 of 5 answered wrongly" in outcome.out


def test_bad_tickets_are_named_before_a_model_is_opened(monkeypatch, tickets):
    tickets.write_text('{"group_id": "a"}\n', encoding="utf-8")
    outcome = probe(monkeypatch, tickets, None)
    assert outcome.code == 2 and outcome.last_line == f"{tickets}:1: mission: missing; add it"
