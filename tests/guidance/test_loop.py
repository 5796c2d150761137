"""Where the loop stands."""

import json

import pytest

from tests.support.builders import MISSION, call, guidance, ticket
from verdicts.base.jsonl import write_rows, write_text
from verdicts.config.sections import LoopSection, WindowSection
from verdicts.config.tools import LoopConfig
from verdicts.guidance.loop import guidance_states, status_of, supersede_rounds
from verdicts.guidance.operations import of_record
from verdicts.guidance.rules import credit, remove, tried
from verdicts.records.guidance import MissionGuidance, write_guidance
from verdicts.records.reflection import Operation, RuleTally

TICKETS = 30
CONFIG = LoopConfig(
    window=WindowSection(tickets=10, seed=17), loop=LoopSection(max_epochs=4, max_unreadable=0.2, enough_answers=8)
)  # three rounds an epoch


def added(guidance: MissionGuidance, text: str, round_number: int) -> MissionGuidance:
    operation = of_record(Operation(op="add", text=text, evidence=["a::fail"]))
    return operation.apply(guidance, "r", round_number)[0]


def states(changes: str) -> list[MissionGuidance]:
    """The start and the state after each round: ``+`` adds a rule, ``-`` drops the last one, ``.`` only counts hits and
    trials.
    """
    history = [guidance(G1="开头的规则")]
    for number, what in enumerate(changes, start=1):
        now = history[-1]
        if what == "+":
            now = added(now, f"第{number}轮的规则", number)
        elif what == "-":
            now = remove(
                now, {list(now.metadata)[-1]: "does_harm: 4 right, 9 wrong, 6.0% more of the other error"}, number
            )
        else:
            now = tried(credit(now, {"G1": RuleTally(hits=number, misses=0)}), number)
        history.append(now)
    return history


@pytest.mark.parametrize(
    ("changes", "status", "rounds", "epochs"),
    [
        ("", "running", 0, 0),
        (".", "running", 1, 0),
        ("..", "running", 2, 0),
        ("...", "converged", 3, 1),
        ("+..", "running", 3, 1),
        ("..+", "running", 3, 1),
        ("..+..", "running", 5, 1),
        ("..+...", "converged", 6, 2),
        ("+.....", "converged", 6, 2),
        ("+....", "running", 5, 1),  # four rounds without a change, but no whole epoch of them
        ("+...+....", "converged", 9, 3),
        ("+...+...", "running", 8, 2),
        ("+..+..+...", "running", 10, 3),
        ("+..+..+..+..", "max_epochs", 12, 4),
        ("+..+..+.....", "converged", 12, 4),  # the last epoch allowed may still converge
        ("......", "converged", 3, 1),  # later rounds are no part of the run
        ("+..+..+..+.......", "max_epochs", 12, 4),
    ],
)
def test_the_loop_converges_after_one_whole_epoch_without_a_change_or_gives_up_after_max_epochs(
    changes, status, rounds, epochs
):
    found = status_of(states(changes), TICKETS, CONFIG)
    assert (found.status, found.rounds, found.epochs, found.rounds_per_epoch) == (status, rounds, epochs, 3)


def test_counting_hits_or_trials_is_no_change():
    history = states("...")
    assert history[0] != history[3]
    assert status_of(history, TICKETS, CONFIG).status == "converged"


def test_a_text_edited_by_hand_is_a_change_even_where_the_step_stays():
    history = states("...")
    history[2] = history[2].model_copy(update={"experiences": {**history[2].experiences, "G1": "改过的规则"}})
    history[3] = history[2]
    assert status_of(history, TICKETS, CONFIG).status == "running"


def test_a_return_to_earlier_rules_is_reported_as_an_oscillation():
    assert status_of(states("+-."), TICKETS, CONFIG).oscillations == ["round 2 returns to the rules after round 0"]
    assert status_of(states("+.-"), TICKETS, CONFIG).oscillations == ["round 3 returns to the rules after round 0"]
    assert status_of(states("++."), TICKETS, CONFIG).oscillations == []
    assert status_of(states("..."), TICKETS, CONFIG).oscillations == []


def test_the_same_rules_under_other_keys_are_the_same_rules():
    there, back = states("+"), states("+-")[2]
    back = added(back, "第1轮的规则", 3)
    assert "G3" in back.experiences
    assert (
        status_of([*there, states("+-")[2], back], TICKETS, CONFIG).oscillations[-1]
        == "round 3 returns to the rules after round 1"
    )


def write_rounds(rounds, history: list[MissionGuidance], first: int = 0) -> None:
    for number, state in enumerate(history, start=first):
        write_guidance(rounds / f"{number:04d}" / "guidance.json", MISSION, state)


def test_states_are_read_as_far_as_rounds_follow_each_other(tmp_path):
    history = states("+.")
    write_rounds(tmp_path, history)
    write_rounds(tmp_path, history, first=4)
    (tmp_path / "0003").mkdir()  # a round that was begun and not finished
    assert guidance_states(tmp_path, MISSION) == history


def test_rounds_beyond_the_end_are_moved_away_and_the_others_stay(tmp_path):
    rounds = tmp_path / "rounds"
    write_rounds(rounds, states("....."))
    (rounds / "notes").mkdir()
    assert supersede_rounds(rounds, 3) == 2
    assert sorted(path.name for path in rounds.iterdir()) == ["0000", "0001", "0002", "0003", "notes"]
    assert sorted(path.name for path in (tmp_path / "rounds.superseded").iterdir()) == ["0004", "0005"]
    assert supersede_rounds(rounds, 3) == 0
    write_rounds(rounds, states("+")[1:], first=4)
    assert supersede_rounds(rounds, 3) == 1
    assert (
        json.loads((tmp_path / "rounds.superseded" / "0004" / "guidance.json").read_text(encoding="utf-8"))[MISSION][
            "step"
        ]
        == 1
    )
    assert (tmp_path / "rounds.superseded" / "0005" / "guidance.json").exists()


@pytest.fixture
def asked(tmp_path):
    """Ask tools.next_round about rounds that went so."""

    def ask(changes: str):
        config = "window: {tickets: 10, seed: 17}\nloop: {max_epochs: 4, max_unreadable: 0.2}\n"
        write_text(tmp_path / "loop.yaml", config)
        write_rows(tmp_path / "stage_a.jsonl", [ticket(f"t{number}") for number in range(TICKETS)])
        write_rounds(tmp_path / "rounds", states(changes))
        return call(
            "next_round",
            config=tmp_path / "loop.yaml",
            stage_a=tmp_path / "stage_a.jsonl",
            rounds=tmp_path / "rounds",
            output=tmp_path / "loop.json",
        )

    return ask


def test_next_round_prints_the_number_of_the_round_that_comes_next_and_writes_nothing(asked, tmp_path):
    outcome = asked("+.")
    assert (outcome.code, outcome.out, outcome.err) == (0, "0003\n", "")
    assert not (tmp_path / "loop.json").exists()


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ("+.....", "converged", ["converged after 2 epochs, 6 rounds"]),
        ("+-.+-.+-.+-.", "max_epochs", ["no corpus", "raise loop.max_epochs (4)", "4 oscillations"]),
    ],
)
def test_next_round_ends_the_loop_with_a_sentence(asked, tmp_path, changes, status, words):
    outcome = asked(changes)
    assert (outcome.code, outcome.out) == (0, "")
    assert all(word in outcome.last_line for word in words)
    assert json.loads((tmp_path / "loop.json").read_text(encoding="utf-8"))["status"] == status


def test_next_round_says_how_many_rounds_it_moved_away(asked, tmp_path):
    assert "2 later rounds moved to" in asked(".....").last_line
    assert not (tmp_path / "rounds" / "0004").exists()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (
            "rounds/0000/guidance.json",
            None,
            "rounds/0000/guidance.json: no such file; make the starting guidance first",
        ),
        ("rounds/0001/guidance.json", "{}", "rounds/0001/guidance.json: "),
        ("rounds/0001/guidance.json", "", "rounds/0001/guidance.json: the file is empty"),
        (
            "rounds/0001/guidance.json",
            '{"别的任务": {"step": 0, "experiences": {"G0": "a"}, "metadata": {}, "last_applied_rule_keys": []}}',
            f"holds no mission {MISSION!r}",
        ),
        (
            "loop.yaml",
            "window: {tickets: 10, seed: 17}\nloop: {max_epoch: 4}\n",
            "loop.yaml: loop.max_epoch: unknown field; did you mean 'max_epochs'?",
        ),
        ("stage_a.jsonl", None, "stage_a.jsonl: no such file"),
    ],
)
def test_next_round_names_what_is_wrong_in_one_line_and_writes_nothing(asked, tmp_path, name, text, words):
    asked("..")
    (tmp_path / name).unlink() if text is None else write_text(tmp_path / name, text)
    outcome = call(
        "next_round",
        config=tmp_path / "loop.yaml",
        stage_a=tmp_path / "stage_a.jsonl",
        rounds=tmp_path / "rounds",
        output=tmp_path / "loop.json",
    )
    assert outcome.code == 2 and words in outcome.err and len(outcome.err.splitlines()) == 1
    assert not (tmp_path / "loop.json").exists()
