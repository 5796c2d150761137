"""What each step took: seconds and tokens, from the lines that tools leave in run.log."""

import json
import sys

import pytest

from tests.support.builders import RunFolder, call, ticket
from verdicts.base.errors import mistake
from verdicts.base.progress import TokenCount, add_tokens, tokens_so_far
from verdicts.command import cli
from verdicts.engines import Completion
from verdicts.engines.openai.reply import read_body
from verdicts.runs.spent import StepSpent, read_spent, spent_cells, spent_of

LOG = """\
2026-01-31T12:00:00 tickets: 4 from x
2026-01-31T12:00:01 took sft: 100.0 s, 5000 tokens read, 0 written
2026-01-31T12:00:02 took rollout: 2.5 s, 1000 tokens read, 200 written
2026-01-31T12:00:03 took rollout: 1.5 s, 500 tokens read, 100 written
2026-01-31T12:00:04 took apply: 0.4 s, 0 tokens read, 0 written
2026-01-31T12:00:05 rollout took longer: 2.5 s, 1000 tokens read, 200 written
2026-01-31T12:00:06 took rollout: long, many tokens read, 2 written
"""


def test_calls_of_a_step_add_up_in_the_order_of_the_chain_and_other_lines_are_passed_by():
    assert spent_of(LOG.splitlines()) == [
        StepSpent("rollout", 2, 4.0, 1500, 300),
        StepSpent("apply", 1, 0.4, 0, 0),
        StepSpent("sft", 1, 100.0, 5000, 0),
    ]
    assert [one.rate for one in spent_of(LOG.splitlines())] == [450.0, None, 50.0]


def test_a_table_has_a_row_a_step_and_one_of_all():
    assert list(spent_cells(spent_of(LOG.splitlines()))) == [
        ("rollout", "2", "4.0 s", "1.5 k", "300", "450"),
        ("apply", "1", "0.4 s", "–", "–", "–"),
        ("sft", "1", "1 min 40 s", "5 k", "0", "50"),
        ("all", "4", "1 min 44 s", "6.5 k", "300", "–"),
    ]
    assert list(spent_cells([])) == []


def test_a_run_without_a_log_or_of_an_older_version_says_nothing_of_it(tmp_path):
    assert read_spent(tmp_path) == []
    (tmp_path / "run.log").write_text("2026-01-31T12:00:00 tickets: 4 from x\n")
    assert read_spent(tmp_path) == []


@pytest.mark.parametrize("fails", [False, True])
def test_a_tool_that_makes_results_leaves_its_seconds_and_tokens_in_the_log_also_where_it_fails(
    tmp_path, monkeypatch, fails
):
    def main() -> None:
        add_tokens(read=30, written=4)
        if fails:
            raise mistake("is not so", "mend it")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUN_LOG", str(tmp_path / "run.log"))
    monkeypatch.setattr("verdicts.base.progress._count", TokenCount(0, 0))
    monkeypatch.setattr(sys, "argv", ["tool"])
    with pytest.raises(SystemExit):
        cli.run(main, result="apply")
    (step,) = read_spent(tmp_path)
    assert (step.step, step.calls, step.read, step.written) == ("apply", 1, 30, 4)


def body(**more: object) -> bytes:
    return json.dumps({"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]} | more).encode()


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"prompt_tokens": 12, "completion_tokens": 3}, (12, 3)),
        ({"prompt_tokens": 12}, (12, 0)),
        ({"prompt_tokens": True, "completion_tokens": -3}, (0, 0)),
        ("many", (0, 0)),
        (None, (0, 0)),
    ],
)
def test_a_server_s_own_count_is_taken_and_an_odd_one_counts_as_none(usage, counted):
    before = tokens_so_far()
    assert isinstance(read_body(body(usage=usage)), Completion)
    now = tokens_so_far()
    assert (now.read - before.read, now.written - before.written) == counted


def test_show_prints_the_table(tmp_path):
    run = RunFolder(tmp_path, [ticket("a"), ticket("b", "fail")])
    run.play({"a::pass": "pass pass", "b::fail": "fail fail"}).finish()
    assert "What it took" not in call("show", run_dir=run.folder).out
    (run.folder / "run.log").write_text(LOG)
    said = call("show", run_dir=run.folder).out
    assert "What it took so far, by step (run.log)" in said
    assert "  rollout                       2         4.0 s         1.5 k           300           450" in said
