"""The version of the forms that a run's files have: written when it begins, and a later one is refused."""

import json

import pytest

from tests.support.builders import call, ticket
from verdicts.base.errors import UserError
from verdicts.base.jsonl import read_json, write_rows
from verdicts.base.run_version import SCHEMA_VERSION, RunVersion, begins, refuse_newer, write_version
from verdicts.config.tools import LoopConfig, read_section


@pytest.fixture
def later(tmp_path):
    """A run folder of a later version, which writes more into its file."""
    path = tmp_path / "run" / "config" / "run.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"schema_version": SCHEMA_VERSION + 1, "more": []}), encoding="utf-8")
    return tmp_path / "run"


def sentence(run_dir) -> str:
    return (
        f"{run_dir / 'config' / 'run.json'}: the run was made by a later version "
        f"(its files are of version {SCHEMA_VERSION + 1}, known is {SCHEMA_VERSION}); read it with that version"
    )


def test_a_run_that_begins_says_its_version(tmp_path):
    assert begins(tmp_path / "run")
    write_version(tmp_path / "run")
    assert not begins(tmp_path / "run")
    assert read_json(tmp_path / "run/config/run.json", RunVersion).schema_version == SCHEMA_VERSION == 1
    refuse_newer(tmp_path / "run")


def test_a_run_of_before_says_none_and_is_read(tmp_path):
    (tmp_path / "config").mkdir()
    assert not begins(tmp_path)
    refuse_newer(tmp_path)


def test_a_run_of_a_later_version_is_refused_in_one_sentence(later):
    with pytest.raises(UserError) as caught:
        refuse_newer(later)
    assert str(caught.value) == sentence(later)


def test_no_section_of_a_later_version_is_read(later):
    (later / "config" / "loop.yaml").write_text("loop: {later: 1}\n", encoding="utf-8")
    with pytest.raises(UserError, match="the run was made by a later version"):
        read_section(later / "config" / "loop.yaml", LoopConfig)


@pytest.mark.parametrize("tool", ["check", "show", "report", "diff_runs", "review_apply", "prepare"])
def test_every_tool_that_reads_a_run_refuses_a_later_one(later, tool, tmp_path):
    write_rows(tmp_path / "tickets.jsonl", [ticket("a"), ticket("b", "fail")])
    more = {
        "diff_runs": {"a": later, "b": later},
        "report": {"run_dir": later, "output": tmp_path / "report.html"},
        "prepare": {
            "run_dir": later,
            "mission": "bbu_line",
            "models": "miniature",
            "tickets": tmp_path / "tickets.jsonl",
        },
    }
    outcome = call(tool, **more.get(tool, {"run_dir": later}))
    assert (outcome.code, outcome.err.strip()) == (2, sentence(later))


@pytest.mark.parametrize("text", ['{"schema_version": "2"}', "{}", "[]", '{"schema_version": true}'])
def test_what_is_no_version_is_left_to_check(later, text):
    (later / "config" / "run.json").write_text(text, encoding="utf-8")
    refuse_newer(later)
    with pytest.raises(UserError):
        read_json(later / "config" / "run.json", RunVersion)
