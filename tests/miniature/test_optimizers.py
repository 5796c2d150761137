"""Other optimisers beside our loop: one budget for all, the same search for the same seed, what the table counts."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from miniature.measure.worlds import balanced_tickets
from miniature.optimizers.arm import Found, Task, propose, verdicts, wrong_groups
from miniature.optimizers.blind import BestOfN, RandomEdits
from miniature.optimizers.budget import Budget, BudgetSpent, Counted
from miniature.optimizers.compare import ARMS, PACKAGES, main, read_arm, search, whole
from miniature.optimizers.rule_list import features
from miniature.optimizers.scores import scores, table
from miniature.world.dataset import fail_rules, sample_world, stage_a_rows, waive_rules
from tests.support.builders import ticket
from tests.support.fake_engine import FakeEngine
from verdicts.base.errors import UserError
from verdicts.config.load import load
from verdicts.engines import Decode, open_engine
from verdicts.measure.rehearsal import Recall
from verdicts.records.tickets import StageA
from verdicts.stage_b.prompts import load_prompts

ROOT = Path(__file__).resolve().parents[2]
WORLD = sample_world(90, "bbu_line")
GRAMMAR = [rule.text() for rule in (*fail_rules(WORLD.mission), *waive_rules(WORLD.mission))]
HERE = [name for name, arm in ARMS.items() if find_spec(PACKAGES.get(type(arm), "json"))]


def drawn(count: int, seed: int, flip: float = 0.0) -> list[StageA]:
    return [StageA.model_validate(row) for row in stage_a_rows(WORLD, balanced_tickets(WORLD, count, seed, flip, 0.5))]


@pytest.fixture(scope="module")
def config():
    return load("miniature", "bbu_line", configs=ROOT / "configs")


@pytest.fixture(scope="module")
def task(config) -> Task:
    return Task(config, load_prompts(config.prompts, config.mission), drawn(40, 1, 0.1), GRAMMAR)


@pytest.fixture(scope="module")
def miniature(config):
    engine = Recall(open_engine(config.engine))
    yield engine
    engine.close()


def talker() -> FakeEngine:
    """Answers and proposals without end; half of the tickets fail, and each rule turns some."""
    proposals = (
        json.dumps({"operations": [{"op": "add", "text": text, "rationale": "", "evidence": [1]}]}, ensure_ascii=False)
        for text in GRAMMAR * 20
    )
    return FakeEngine(
        answers=["Verdict: 通过\nReason: 齐全(G0)", "Verdict: 不通过\nReason: 缺少(G1)"] * 2000,
        reflections=proposals,
        judges=lambda system, user: "pass" if (len(system) + len(user)) % 2 else "fail",
    )


def asked(engine: FakeEngine) -> tuple[int, int]:
    """Answers that an engine gave, and the tokens (characters) that their prompts are, counted from its own notes."""
    once = {(system, user) for system, user, _ in engine.rollouts}  # candidates fork from one prompt
    prompts = [*once, *engine.judged, *((system, user) for system, user, _ in engine.calls)]
    answers = len(engine.rollouts) + len(engine.judged) + len(engine.calls)
    return answers, sum(len(system) + len(user) for system, user in prompts)


# -- one budget
@pytest.mark.parametrize("budget", [Budget(150, 10**7), Budget(10**6, 100_000), Budget(10, 10**7)], ids=str)
@pytest.mark.parametrize("name", HERE)
def test_no_arm_asks_more_than_its_budget(name, budget, task):
    engine = talker()
    counted = Counted(engine, budget)
    search(ARMS[name], task, counted, 1)
    calls, tokens = asked(engine)
    assert calls == counted.calls <= budget.calls and tokens <= counted.tokens <= budget.tokens


@pytest.mark.parametrize("arm", [BestOfN(), RandomEdits()], ids=lambda arm: type(arm).__name__)
def test_an_arm_that_could_go_on_for_ever_uses_its_budget_up(arm, task):
    counted = Counted(talker(), Budget(300, 10**7))
    search(arm, task, counted, 1)
    assert counted.spent and counted.calls > 300 - 20


def test_a_question_counts_each_time_and_one_that_does_not_fit_is_not_asked():
    engine = FakeEngine(answers=["Verdict: 通过\nReason: 一"] * 9, reflections=["{}"] * 9)
    decode = Decode(0.0, 1.0, 40, 1)
    counted = Counted(engine, Budget(6, 1000))
    for _ in range(2):
        list(counted.rollout("s", ["ab"], [[decode, decode]]))
    assert (counted.calls, counted.tokens) == (4, 2 * (3 + 2 * len("Verdict: 通过\nReason: 一")))
    with pytest.raises(BudgetSpent):
        counted.judge("s", ["a", "b", "c"])
    assert (len(engine.rollouts), engine.judged, counted.calls, counted.spent) == (4, [], 4, True)
    counted.complete("s", ["a"], [decode])
    with pytest.raises(BudgetSpent):  # it may write more than is left
        counted.complete("s", ["a"], [Decode(0.0, 1.0, 1000, 1)])
    assert counted.calls == 5 == len(engine.rollouts) + len(engine.calls)


# -- the same search
@pytest.mark.parametrize("name", HERE)
def test_the_same_seed_finds_the_same_with_the_miniature(name, task, miniature):
    def once() -> tuple[list[str], int, int]:
        counted = Counted(miniature, Budget(1000, 14_000))
        return search(ARMS[name], task, counted, 1).rules, counted.calls, counted.tokens

    rules, calls, _ = first = once()
    assert calls and (name == "rule list" or set(rules) <= set(GRAMMAR)) and once() == first


def test_reflection_of_the_miniature_proposes_rules_to_every_arm(task, miniature):
    said = verdicts(task, miniature, [], task.tickets)
    wrong = [row for row, verdict in zip(task.tickets, said, strict=True) if verdict != row.label]
    rules = propose(task, miniature, [], wrong_groups(task, wrong, most=2), "any")
    assert rules and set(rules) <= set(GRAMMAR)
    assert propose(task, miniature, rules, [], "none") == rules


def test_groups_of_errors_hold_one_direction_each(task):
    rows = [ticket(f"g{number}", "fail" if number < 6 else "pass") for number in range(9)]
    groups = wrong_groups(task, rows, most=1)
    assert [(group.direction, len(group.tickets)) for group in groups] == [("false_release", 4), ("false_block", 3)]


# -- what is counted
def test_scores_tell_planted_rules_from_wrong_ones_and_own_figures_from_held_out_ones(task):
    planted = WORLD.hidden[0].text()
    wrong = next(rule.text() for rule in fail_rules(WORLD.mission) if rule not in WORLD.hidden)
    engine = FakeEngine(judges=lambda system, user: "fail")
    clean, own = drawn(10, 5), [row for row in task.tickets if row.label == "fail"]
    row = scores(task, engine, Found([planted, wrong], own), clean, WORLD, 0.1)
    assert (row["found"], row["hidden"], row["wrong"]) == (1, 4, 1)
    assert (row["frr"], row["false_block"]) == ({"k": 0, "n": 5}, {"k": 5, "n": 5})
    assert row["optimism"] == 0.5  # right in all of its own; half of held-out ones, flipped or not
    assert row["prompt_tokens"] == len(f"\nG1: {planted}\nG2: {wrong}")
    classifier = Found(["x=1"], own, decide=lambda engine, tickets: ["pass" for _ in tickets])
    row = scores(task, engine, classifier, clean, WORLD, 0.1)
    assert (row["found"], row["wrong"], row["prompt_tokens"], row["frr"]) == (None, None, None, {"k": 5, "n": 5})


def test_the_table_has_a_line_for_each_arm_with_its_spread():
    rows = [
        {
            "arm": "ours", "world": 1, "flip": 0.1, "seed": seed, "frr": {"k": k, "n": 10},
            "false_block": {"k": 0, "n": 10}, "label_match": {"k": 20 - k, "n": 20}, "found": 3, "hidden": 4,
            "wrong": None, "prompt_tokens": 20, "calls": 100, "tokens": 9000, "optimism": 0.02,
        }
        for seed, k in ((1, 0), (2, 2))
    ]  # fmt: skip
    head, _, _, _, line = table(rows).splitlines()
    assert head == "**10% flipped**, worlds: 1, searches of an arm: 2"
    assert [cell.strip() for cell in line.split("|")[3:10]] == [
        "0.0% to 20.0% (14.1)", "0.0% [0.0%, 16.1%] (0/20)", "95.0%", "6/8", "–", "20", "100",
    ]  # fmt: skip


def test_the_table_is_of_what_all_arms_have_searched():
    settings = {"tickets": 9}
    rows = [
        settings | {"arm": arm, "world": world, "flip": 0.1, "seed": 1}
        for arm, world in (("ours", 1), ("gepa", 1), ("planted rules", 1), ("ours", 2))
    ]
    fewer = [row | {"tickets": 8} for row in rows]
    assert whole([*rows, *fewer], settings, ["ours", "gepa"]) == rows[:3]
    assert whole([*rows, *fewer], settings, ["ours"]) == [rows[0], *rows[2:]]
    assert whole(rows, {"tickets": 8}, ["ours"]) == []


def test_features_of_a_ticket_are_what_its_summaries_say():
    found = features(ticket("g", "fail", ("BBU设备/华为,显示完整×1", "无关图片")))
    assert {"BBU设备", "BBU设备/华为", "BBU设备/显示完整", "fewer than 3 photos", "无关图片"} <= found
    assert "fewer than 2 photos" not in found


# -- the command
def test_what_stands_in_the_results_is_not_searched_again(tmp_path):
    output = tmp_path / "results.jsonl"
    few = {"worlds": 90, "flips": 0.1, "seeds": 1, "tickets": 20, "held-out": 10, "tokens": 6000, "output": output}
    told = [word for name, value in few.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "miniature.optimizers.compare", *told, "--arms"]
    first, more = (
        subprocess.run([*command, arms], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for arms in ("best of n", "best of n, random edits/sample=8")
    )
    rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert [row["arm"] for row in rows] == ["checklist alone", "planted rules", "best of n", "random edits/sample=8"]
    assert first.count("world 90, 10% flipped, seed 1, ") == 3 and more.count("\n| ") == 5
    assert more.splitlines()[0].startswith("world 90, 10% flipped, seed 1, random edits/sample=8: FRR ")


def test_searches_begin_with_the_seed_that_is_asked_for(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("verdicts.engines.open_engine", lambda _: FakeEngine())
    monkeypatch.setattr("miniature.optimizers.compare.searches", lambda *told: iter(asked.append(told[2]) or ()))
    main(worlds="11,12", flips="0.1", seeds=2, first=3, arms="ours", output=tmp_path / "results.jsonl")
    assert asked == [(11, 0.1, 3), (12, 0.1, 3), (11, 0.1, 4), (12, 0.1, 4)]


def test_an_arm_or_a_setting_that_is_not_there_is_said_before_a_model_is_loaded(monkeypatch):
    assert read_arm("gepa/minibatch=8").minibatch == 8 if "gepa" in HERE else True
    assert read_arm("group relative/all_wrong=1").all_wrong is True
    for name, said in [
        ("gapa", "unknown arm (gapa)"),
        ("playbook/size=1", "no such setting (size=1); it has batch, epochs, min_harmful"),
        ("playbook/batch=x", "no such setting (batch=x)"),
    ]:
        with pytest.raises(UserError, match="--arms: ") as caught:
            read_arm(name)
        assert said in str(caught.value)
    monkeypatch.setattr("miniature.optimizers.compare.find_spec", lambda name: None)
    with pytest.raises(UserError, match="rule list needs wittgenstein; make compare-optimizers installs it"):
        read_arm("rule list")
