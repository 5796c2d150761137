"""From make's answer to sentences: root causes of a rebuild, and the steps it takes."""

import pytest

from verdicts.runs.make_graph import DryRun, chains, steps_text


@pytest.mark.parametrize(
    ("newer", "causes"),
    [
        ({}, [["corpus"]]),
        ({"corpus": ["config"]}, [["corpus", "config"]]),
        ({"corpus": ["loop"], "loop": ["round"], "round": ["prompt"]}, [["corpus", "loop", "round", "prompt"]]),
        ({"corpus": ["config", "loop"], "loop": ["round"]}, [["corpus", "config"], ["corpus", "loop", "round"]]),
        ({"corpus": ["loop", "round"], "loop": ["round"], "round": ["prompt"]}, [["corpus", "round", "prompt"]]),
        ({"corpus": ["gone"], "gone": ["prompt"]}, [["corpus", "gone"]]),  # that it is not there is cause enough
    ],
)
def test_each_root_cause_comes_with_the_shortest_way_to_it(tmp_path, monkeypatch, newer, causes):
    monkeypatch.chdir(tmp_path)
    for name in ("corpus", "loop", "round", "config", "prompt"):
        (tmp_path / name).touch()
    assert chains(DryRun(newer, [], ""), "corpus") == causes


def test_a_file_that_is_not_there_is_its_own_cause(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert chains(DryRun({"corpus": ["config"]}, [], ""), "corpus") == [["corpus"]]


def played(*numbers: int) -> list[tuple[str, str]]:
    return [(tool, f"{number:04d}") for number in numbers for tool in ("rollout", "reflect", "apply")]


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([], ""),
        ([("collect", ""), ("distill", "")], "collect, distill"),
        (
            [*played(3, 4), ("collect", "")],
            "rollout 0003, reflect 0003, apply 0003, rollout 0004, reflect 0004, apply 0004, collect",
        ),
        (
            [*played(3)[1:], *played(4, 5, 6), ("next_round", ""), ("collect", "")],
            "reflect 0003, apply 0003, rollout, reflect and apply of 0004 to 0006, next_round, collect",
        ),
    ],
)
def test_steps_of_many_rounds_are_gathered(steps, text):
    assert steps_text(steps) == text
