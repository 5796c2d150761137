"""The loop in memory, and what is measured with it: permuted labels, halves, worlds with a share of fails."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from miniature.measure.worlds import balanced_tickets, guard_of
from miniature.world.dataset import draw_tickets, sample_world, stage_a_rows
from tests.support.builders import call, ticket
from tests.support.fake_engine import FakeEngine
from tools import placebo
from tools.folds import figures, halves_of
from verdicts.base.jsonl import write_rows, write_text
from verdicts.config.load import load
from verdicts.config.sections import Config
from verdicts.engines import Decode, open_engine
from verdicts.guidance.replay import start
from verdicts.measure.audit import read_audit
from verdicts.measure.jobs import alone, in_processes
from verdicts.measure.rehearsal import Recall, Rehearsed, judge, play, rates_of, rehearse, with_seed
from verdicts.records.guidance import read_guidance
from verdicts.records.reflection import Reflection
from verdicts.records.rollout import Selection
from verdicts.records.run_folder import round_folder, stream_file
from verdicts.records.tickets import StageA, read_tickets
from verdicts.rounds.windows import place_of, tickets_of

ROOT = Path(__file__).resolve().parents[2]
# so that sixty tickets show something
GENEROUS = "window: {tickets: 20}\nloop: {max_epochs: 2}\nreflect: {trial: {early: 0.1, spend: 1.0, foreign: 1.0}}\n"
WORDS = load("miniature", "bbu_line", configs=ROOT / "configs").reflect.words
DECODES = [Decode(0.3, 0.9, 64, seed) for seed in (1, 2)]


# -- answers from memory
def test_what_was_asked_before_is_answered_from_memory_and_counted_all_the_same():
    engine = FakeEngine([f"Verdict: 通过\nReason: 第{number}个(G0)" for number in range(8)])
    recall = Recall(engine)
    first = list(recall.rollout("s", ["a", "b"], [DECODES, DECODES]))
    again = list(recall.rollout("s", ["b", "a", "c"], [DECODES, DECODES, DECODES]))
    assert again[:2] == first[::-1] and len(engine.rollouts) == 6 and recall.asked["rollout"] == 5
    assert list(recall.rollout("another", ["a"], [DECODES])) != first[:1]  # another prompt is another question


def test_another_way_of_decoding_is_another_question():
    engine = FakeEngine([f"Verdict: 通过\nReason: 第{number}个(G0)" for number in range(3)])
    recall = Recall(engine)
    whole, part = (list(recall.rollout("s", ["a"], [grid])) for grid in (DECODES, DECODES[:1]))
    assert whole[0][0] != part[0][0] and len(engine.rollouts) == 3


def test_a_ticket_that_is_judged_twice_in_one_call_is_asked_once():
    engine = FakeEngine(judges=lambda system, user: "fail" if user == "b" else "pass")
    recall = Recall(engine)
    found = recall.judge("s", ["a", "b", "a"])
    assert found[0] == found[2] != found[1] and engine.judged == [("s", "a"), ("s", "b")]
    assert recall.judge("s", ["b"]) == [found[1]] and len(engine.judged) == 2
    recall.judge("other", ["b"])
    assert len(engine.judged) == 3 and recall.asked == {"rollout": 0, "judge": 5, "complete": 0}


def test_reflection_is_asked_anew_each_time():
    engine = FakeEngine(reflections=["甲", "乙"])
    recall = Recall(engine)
    assert [recall.complete("s", ["a"], DECODES[:1])[0].text for _ in range(2)] == ["甲", "乙"] and recall.asked[
        "complete"
    ] == 2


# -- the loop in memory is the loop
def small_world(count: int = 60) -> list[dict]:
    """Tickets of a world with hidden rules, one in twenty with the wrong label."""
    world = sample_world(1, "bbu_line")
    return stage_a_rows(world, draw_tickets(world, count, 1, 0.05))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Sixty tickets and a configuration in which they are enough to learn something."""
    folder = tmp_path_factory.mktemp("rehearsal")
    write_rows(folder / "tickets.jsonl", [StageA.model_validate(row) for row in small_world()])
    write_text(folder / "generous.yaml", GENEROUS)
    return folder


@pytest.fixture(scope="module")
def config(folder) -> Config:
    return load("miniature", "bbu_line", folder / "generous.yaml", configs=ROOT / "configs")


@pytest.fixture(scope="module")
def tickets(folder, config) -> list[StageA]:
    return read_tickets(folder / "tickets.jsonl", config.mission.name)


@pytest.fixture(scope="module")
def engine(config):
    """The miniature, with a memory for all tests of this file."""
    engine = Recall(open_engine(config.engine))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def rehearsed(config, engine, tickets) -> Rehearsed:
    return rehearse(config, engine, tickets)


@pytest.fixture(scope="module")
def made(folder) -> Path:
    """The same loop through Make."""
    outer = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "RUN_LOG")
    }
    named = {
        "RUNS": folder,
        "RUN": "made",
        "STAGE_A": folder / "tickets.jsonl",
        "CONFIG": folder / "generous.yaml",
        "PY": sys.executable,
        "READY": "",
    }
    done = subprocess.run(
        ["make", "converge", *(f"{name}={value}" for name, value in named.items())],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=outer,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "made" / "bbu_line"


def test_the_loop_in_memory_learns_what_the_loop_on_disk_does(made, config, rehearsed):
    loop = json.loads((made / "loop.json").read_text(encoding="utf-8"))
    assert loop == rehearsed.status.model_dump()
    for number, records in enumerate(rehearsed.reflections, start=1):
        assert records == [
            row for _, row in stream_file(round_folder(made / "rounds", number) / "reflection.jsonl", Reflection)
        ]
    assert (
        read_guidance(round_folder(made / "rounds", rehearsed.status.rounds) / "guidance.json", config.mission.name)
        == rehearsed.guidance
    )
    assert rehearsed.accepted >= 1 and rehearsed.rules == list(rehearsed.guidance.experiences.values())[1:]


def test_a_window_played_in_memory_is_answered_as_on_disk(made, config, engine, tickets):
    for number in (1, 4):
        before = read_guidance(round_folder(made / "rounds", number - 1) / "guidance.json", config.mission.name)
        place = place_of(number, len(tickets), config.window.tickets)
        played = play(config, engine, before, tickets_of(place, tickets, config.window.seed), place, number)
        assert [selection for _, selection in played if selection] == [
            row for _, row in stream_file(round_folder(made / "rounds", number) / "selections.jsonl", Selection)
        ]


def test_a_loop_that_was_played_before_asks_the_model_for_reflections_alone(
    config, engine, tickets, rehearsed, monkeypatch
):
    def asked(*questions: object) -> None:
        raise AssertionError(questions)

    for kind in ("rollout", "judge"):
        monkeypatch.setattr(engine.engine, kind, asked)
    assert rehearse(config, engine, tickets) == rehearsed


def test_rates_are_those_of_verdicts_against_labels(config, engine, tickets, rehearsed):
    played = judge(config, engine, rehearsed.guidance, tickets)
    rates = rates_of(played)
    fails = [selection for _, selection in played if selection.label == "fail"]
    assert (rates.frr.k, rates.frr.n) == (sum(selection.verdict == "pass" for selection in fails), len(fails))
    assert (
        rates.label_match.k > rates_of(judge(config, engine, start(config.mission), tickets)).label_match.k
    )  # learning helped


def test_another_seed_gives_other_windows_and_reflections_and_the_same_answers(config):
    other = with_seed(config, 3)
    assert (other.window.seed, other.reflect.seed) == (config.window.seed + 3, config.reflect.seed + 3)
    assert (other.rollout, other.learn, other.engine) == (config.rollout, config.learn, config.engine) and with_seed(
        config, 0
    ) == config


# -- pieces of a measurement
def sum_of(one: int, other: int) -> int:
    return one + other


@pytest.mark.parametrize("jobs", [1, 2])
def test_pieces_come_back_in_their_order_however_many_processes_work(jobs, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    assert list(in_processes(sum_of, [(1, 2), (3, 4), (5, 6)], jobs)) == [3, 7, 11]


def test_one_of_several_processes_takes_one_thread(config):
    assert alone(config, 2).engine.n_threads == 1 and alone(config, 1) == config


# -- permuted labels
def mixed() -> list[StageA]:
    """Forty groups of one to four photos, every fifth with a ticket of either label."""
    rows = [
        ticket(f"g{number}", "fail" if number % 3 else "pass", ("螺丝×1",) * (1 + number % 4)) for number in range(40)
    ]
    return rows + [
        ticket(f"g{number}", "pass" if number % 3 else "fail", ("螺丝×2",) * (1 + number % 4))
        for number in range(0, 40, 5)
    ]


@pytest.mark.parametrize("way", list(placebo.WAYS))
def test_permuting_keeps_the_number_of_labels_of_each_class_and_every_photo(way):
    class_of, rows = placebo.WAYS[way], mixed()
    dealt = placebo.permuted(rows, class_of, "1")
    assert Counter((class_of(row), row.label) for row in dealt) == Counter((class_of(row), row.label) for row in rows)
    assert [row.per_image for row in dealt] == [row.per_image for row in rows] and [row.label for row in dealt] != [
        row.label for row in rows
    ]
    assert dealt == placebo.permuted(rows, class_of, "1") != placebo.permuted(rows, class_of, "2")


def test_what_people_wrote_is_dealt_out_along_with_its_label():
    rows = [
        row.model_copy(update={"fail_reasons": [f"补拍{at}"] if row.label == "fail" else []})
        for at, row in enumerate(mixed())
    ]
    dealt = placebo.permuted(rows, placebo.WAYS["mission"], "1")
    assert [bool(row.fail_reasons) for row in dealt] == [row.label == "fail" for row in dealt]
    assert [row.fail_reasons for row in dealt] != [row.fail_reasons for row in rows]


def test_no_two_tickets_have_one_key_however_labels_fall():
    for seed in range(50):
        dealt = placebo.permuted(mixed(), placebo.WAYS["mission"], str(seed))
        assert len({row.ticket_key for row in dealt}) == len(dealt) == 48


def test_from_labels_that_say_nothing_nothing_is_learnt_that_lasts(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    outcome = call(
        "placebo",
        models="miniature",
        mission="bbu_line",
        tickets=folder / "tickets.jsonl",
        output=tmp_path / "placebo.json",
        runs=2,
        most=40,
    )
    assert outcome.code == 0, outcome.err
    found = json.loads((tmp_path / "placebo.json").read_text(encoding="utf-8"))
    assert found["tickets"] == 40 and [(row["within"], row["seed"]) for row in found["loops"]] == [
        ("mission", 0),
        ("mission", 1),
        ("photo_count", 0),
        ("photo_count", 1),
    ]
    assert all(row["survived"] == [] and row["status"] == "converged" for row in found["loops"])
    assert outcome.out.splitlines()[0].endswith(" loops; no wrong rule survived in 100.0% [34.2%, 100.0%] (2/2)")


def test_loops_on_permuted_labels_begin_with_the_seed_that_is_asked_for(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(placebo, "play_seeds", lambda config, rows, way, seeds, most: [
        {"within": way, "seed": seed, "accepted": 0, "survived": []} for seed in seeds
    ])  # fmt: skip
    told = {"models": "miniature", "mission": "bbu_line", "tickets": folder / "tickets.jsonl"}
    placebo.main(**told, output=tmp_path / "placebo.json", runs=3, first=5)
    found = json.loads((tmp_path / "placebo.json").read_text(encoding="utf-8"))
    assert [(row["within"], row["seed"]) for row in found["loops"]] == [
        (way, seed) for way in placebo.WAYS for seed in (5, 6, 7)
    ]


def test_a_rule_about_photos_that_survives_where_it_stays_true_is_no_wrong_one():
    rows = [{"accepted": 2, "survived": ["照片少于2张则不通过"]}, {"accepted": 1, "survived": ["出现避雷器则不通过"]}]
    assert placebo.line_of("photo_count", rows, WORDS).endswith("(1/2); survived: 出现避雷器则不通过")
    assert placebo.line_of("mission", rows, WORDS).startswith("within mission: 3 rules accepted in 2 loops; ")
    assert placebo.line_of("mission", rows, WORDS).endswith("(0/2); survived: 出现避雷器则不通过, 照片少于2张则不通过")


# -- halves
def test_halves_hold_every_ticket_once_and_share_no_group():
    rows = mixed()
    halves = halves_of(rows)
    assert sorted(row.ticket_key for half in halves for row in half) == sorted(row.ticket_key for row in rows)
    assert not {row.group_id for row in halves[0]} & {row.group_id for row in halves[1]}
    assert all(12 <= len(half) <= 36 for half in halves) and halves == halves_of(rows)
    first = {row.group_id for row in halves[0]}
    assert {
        row.group_id for row in halves_of(rows[::-1][:30])[0]
    } <= first  # wherever else it is, a group is in the same half


def test_rules_are_learnt_on_either_half_and_judged_on_both(folder, config, tickets, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    sizes = [len(half) for half in halves_of(tickets)]
    write_text(
        tmp_path / "audit.jsonl",
        "".join(json.dumps({"ticket_key": row.ticket_key, "category": row.label, "by": "x"}) + "\n" for row in tickets),
    )
    outcome = call(
        "folds", models="miniature", mission="bbu_line",
        tickets=folder / "tickets.jsonl", overlay=folder / "generous.yaml",
        audit=tmp_path / "audit.jsonl", output=tmp_path / "folds.json", seeds=1, first=2,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    found = json.loads((tmp_path / "folds.json").read_text(encoding="utf-8"))
    assert found["tickets"] == sizes and [(fold["learnt_on"], fold["seed"]) for fold in found["folds"]] == [
        (0, 2),
        (1, 2),
    ]
    for fold in found["folds"]:
        sides = {"learnt_from": sizes[fold["learnt_on"]], "other_half": sizes[1 - fold["learnt_on"]]}
        for side, size in sides.items():
            rates = fold[side]
            assert rates["frr"]["n"] + rates["false_block"]["n"] == rates["label_match"]["n"] == size
            assert rates["right"] == {
                name: [rates[rate]["n"] - rates[rate]["k"], rates[rate]["n"]]
                for name, rate in (("fail", "frr"), ("pass", "false_block"))
            }
        assert fold["calls"]["rollout"] == fold["rounds"] * sizes[fold["learnt_on"]] / -(
            -sizes[fold["learnt_on"]] // 20
        )
        assert found["rules"][str(fold["learnt_on"])] == dict.fromkeys(fold["rules"], 1)
    assert outcome.last_line.startswith("folds: 2 loops, ") and len(outcome.out.splitlines()) == 4


def test_one_half_and_seed_learnt_alone_comes_to_what_it_comes_to_among_others(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    told = {
        "models": "miniature", "mission": "bbu_line", "tickets": folder / "tickets.jsonl",
        "overlay": folder / "generous.yaml", "output": tmp_path / "folds.json",
    }  # fmt: skip
    found = []
    for more in ({"seeds": 2}, {"seeds": 1, "first": 1, "half": 1}):
        assert (outcome := call("folds", **told, **more)).code == 0, outcome.err
        found.append(json.loads((tmp_path / "folds.json").read_text(encoding="utf-8")))
    whole, one = found
    assert [(fold["learnt_on"], fold["seed"]) for fold in whole["folds"]] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert one["folds"] == whole["folds"][3:] and one["rules"].keys() == {"1"}


def test_without_an_audit_there_are_rates_alone():
    assert figures([], {})["right"] == {} and figures([], {})["label_match"]["n"] == 0


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("[]", "is no object with ticket_key and category"),
        ('{"ticket_key": "a"}', "is no object with ticket_key and category"),
        ("{", "not valid JSON"),
    ],
)
def test_an_audit_that_cannot_be_read_is_named_with_its_line(tmp_path, line, what):
    write_text(tmp_path / "audit.jsonl", '{"ticket_key": "a::fail", "category": "x"}\n' + line + "\n")
    with pytest.raises(Exception, match=f"audit.jsonl:2: {what}"):
        read_audit(tmp_path / "audit.jsonl")


# -- worlds with a share of fails
@pytest.mark.parametrize(("fails", "flip"), [(0.3, 0.0), (0.7, 0.05), (0.5, 0.1), (0.3, 0.2)])
def test_a_world_is_drawn_with_the_share_of_fails_that_is_asked_for(fails, flip):
    rows = balanced_tickets(sample_world(1, "bbu_line"), 2000, 1, flip, fails)
    assert len(rows) == len({row.group_id for row in rows}) == 2000
    assert sum(row.label == "fail" for row in rows) / 2000 == pytest.approx(fails, abs=0.03)
    for verdict in ("pass", "fail"):  # labels flip as often on either side, however rare a side is in the world
        of = [row for row in rows if row.clean == verdict]
        assert sum(row.label != row.clean for row in of) / len(of) == pytest.approx(flip, abs=0.04)


def test_a_world_as_it_comes_is_drawn_as_it_comes():
    world = sample_world(1, "bbu_line")
    assert balanced_tickets(world, 30, 1, 0.05, 0) == draw_tickets(world, 30, 1, 0.05)


def test_a_share_of_fails_that_a_world_cannot_give_is_named(monkeypatch):
    drawn = [row._replace(clean="pass") for row in draw_tickets(sample_world(1, "bbu_line"), 40, 1)]
    monkeypatch.setattr("miniature.world.dataset.draw_tickets", lambda *asked: drawn)
    with pytest.raises(RuntimeError, match=r"too few tickets with these verdicts: {'fail': 9, 'pass': 0} missing"):
        balanced_tickets(sample_world(1, "bbu_line"), 10, 1, 0.0, 0.9)


def test_a_world_is_measured_with_a_guard_that_lets_pass_what_its_hidden_rules_waive():
    shipped = load("miniature", "bbu_line").fail_first
    world, plain = sample_world(2, "bbu_line"), sample_world(1, "bbu_line")
    assert world.waived == ("电线散乱",) and plain.waived == ()
    own = shipped.model_copy(update={"negatives": [*shipped.negatives, ["电线散乱"]]})
    assert {"分布散乱", "不整齐"} == set(shipped.negatives[1].values)  # both are how the world writes what it waives
    assert guard_of(world, own).negatives == [own.negatives[0], ["电线散乱"]]
    assert guard_of(plain, shipped) == shipped
