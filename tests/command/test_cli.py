"""How a tool ends: a user's mistake as one line and exit 2, anything else with its traceback. Where its words go."""

import sys

import pytest

from verdicts.base.errors import UserError, mistake
from verdicts.base.progress import progress
from verdicts.command import cli


def test_a_users_mistake_is_one_line_and_exit_2(monkeypatch, capsys):
    def main() -> None:
        raise mistake("is not so", "mend it", path="a.jsonl", line=3, field="label")

    monkeypatch.setattr(sys, "argv", ["tool"])
    with pytest.raises(SystemExit) as stop:
        cli.run(main)
    assert (stop.value.code, capsys.readouterr().err) == (2, "a.jsonl:3: label: is not so; mend it\n")


def test_what_is_not_the_users_fault_shows_its_traceback(monkeypatch):
    def main() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sys, "argv", ["tool"])
    with pytest.raises(ZeroDivisionError):
        cli.run(main)


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ({}, "w; t"),
        ({"path": "p"}, "p: w; t"),
        ({"path": "p", "line": 1}, "p:1: w; t"),
        ({"path": "p", "field": "f"}, "p: f: w; t"),
        ({"field": "f"}, "f: w; t"),
    ],
)
def test_a_mistake_says_where_what_and_what_to_do(place, line):
    error = mistake("w", "t", **place)
    assert isinstance(error, UserError) and str(error) == line


def test_the_log_keeps_sentences_with_their_time_and_stderr_without(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RUN_LOG", str(tmp_path / "run.log"))
    cli.say("一句话")
    cli.say("another")
    assert capsys.readouterr().err == "一句话\nanother\n"
    first, second = (tmp_path / "run.log").read_text(encoding="utf-8").splitlines()
    assert first.endswith(" 一句话") and second.endswith(" another") and first[:2] == "20"


@pytest.mark.parametrize("log", ["", "run.log", "missing/run.log"])
def test_a_log_without_a_folder_is_not_written(tmp_path, monkeypatch, capsys, log):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUN_LOG", log)
    cli.say("a sentence")
    assert capsys.readouterr().err == "a sentence\n" and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["option", "variable"])
def test_quiet_hides_summaries_and_keeps_errors_and_the_log(tmp_path, monkeypatch, capsys, how):
    def main() -> None:
        cli.say("all 3 rows are done")
        raise mistake("is not so", "mend it")

    monkeypatch.setenv("RUN_LOG", str(tmp_path / "run.log"))
    monkeypatch.setenv("QUIET", "1" if how == "variable" else "")
    monkeypatch.setattr(sys, "argv", ["tool", *(["--quiet"] if how == "option" else [])])
    with pytest.raises(SystemExit):
        cli.run(main)
    assert capsys.readouterr().err == "is not so; mend it\n"
    assert [line[20:] for line in (tmp_path / "run.log").read_text(encoding="utf-8").splitlines()] == [
        "all 3 rows are done",
        "is not so; mend it",
    ]


def test_progress_off_a_terminal_is_a_plain_line_with_rate_and_time_left_and_none_when_quiet(monkeypatch, capsys):
    clock = iter([0.0, 10.0, 25.0, 30.0, 50.0])
    monkeypatch.setattr("verdicts.base.progress.time.monotonic", lambda: next(clock))
    with progress("rollout 0001", 200, 100) as bar:
        for _ in range(3):
            bar.update(25)
        monkeypatch.setenv("QUIET", "1")
        bar.update(25)
    assert capsys.readouterr().err == "rollout 0001: 150/200 tickets, 2.0/s, 25 s left\n"


def test_progress_on_a_terminal_is_a_bar(monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress("fuse", 10, unit="rows") as bar:
        bar.update(4)
        assert (bar.n, bar.total, bar.unit) == (4, 10, " rows")
