"""Colour where a terminal is and wanted, nowhere else; a line a round for those who watch a loop on one."""

import io
import os
import pty
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from verdicts.command import cli
from verdicts.command.colour import painted, painted_lines
from verdicts.guidance.diff import RuleChange

ROOT = Path(__file__).resolve().parents[2]
RED, YELLOW, GREEN, END = "\x1b[31m", "\x1b[33m", "\x1b[32m", "\x1b[0m"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def coloured(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def open_terminal(monkeypatch) -> Terminal:
    """In a test's body: pytest sets stderr anew between a fixture and its test."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    return sys.stderr


@pytest.mark.parametrize(("state", "code"), [("good", GREEN), ("wait", YELLOW), ("stop", RED)])
def test_a_sentence_has_the_colour_of_its_state_on_a_terminal(state, code):
    assert painted("said", state, Terminal()) == f"{code}said{END}"


def test_a_sentence_without_a_state_has_no_colour():
    assert painted("said", "", Terminal()) == "said"


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "")])
def test_who_wants_no_colour_gets_none(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    assert painted("said", "stop", Terminal()) == "said"


def test_a_file_gets_no_colour():
    assert painted("said", "stop", io.StringIO()) == "said"


def test_lines_of_a_text_are_coloured_by_how_they_begin():
    text = "Now\n  train: no. why\nthe train: no."
    assert painted_lines(text, {"train: no.": "stop"}, Terminal()) == f"Now\n{RED}  train: no. why{END}\nthe train: no."


def test_an_error_is_red_a_warning_yellow_and_the_log_plain(tmp_path, monkeypatch):
    monkeypatch.setenv("RUN_LOG", str(tmp_path / "run.log"))
    terminal = open_terminal(monkeypatch)
    cli.complain("wrong")
    cli.complain("odd", "wait")
    cli.say("done", "good")
    assert terminal.getvalue() == f"{RED}wrong{END}\n{YELLOW}odd{END}\n{GREEN}done{END}\n"
    assert [line[20:] for line in (tmp_path / "run.log").read_text().splitlines()] == ["wrong", "odd", "done"]


def test_what_data_says_in_escapes_stays_spelt_out_within_the_colour(monkeypatch):
    terminal = open_terminal(monkeypatch)
    cli.complain("\x1b[32mwell")
    assert terminal.getvalue() == f"{RED}\\x1b[32mwell{END}\n"


@pytest.mark.parametrize(("loop", "shown"), [("", "a step\na round\n"), ("1", "a round\n")])
def test_a_step_of_a_loop_goes_to_the_log_alone_where_a_terminal_shows_rounds(tmp_path, monkeypatch, loop, shown):
    monkeypatch.setenv("RUN_LOG", str(tmp_path / "run.log"))
    monkeypatch.setenv("ROUND_LINES", loop)
    terminal = open_terminal(monkeypatch)
    cli.say("a step", step=True)
    cli.say("a round")
    assert terminal.getvalue() == shown
    assert [line[20:] for line in (tmp_path / "run.log").read_text().splitlines()] == ["a step", "a round"]


def test_a_step_of_a_loop_is_shown_off_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("ROUND_LINES", "1")
    cli.say("a step", step=True)
    assert capsys.readouterr().err == "a step\n"


def test_a_round_in_a_line_counts_errors_rules_and_review():
    from tools.reflect import round_line

    rows = [
        SimpleNamespace(label=label, verdict=verdict)
        for label, verdict in (("fail", "pass"), ("fail", "fail"), ("pass", "pass"))
    ]
    change = RuleChange("+", "G2", "new", None, "", None, None, None)
    assert round_line(3, 2, rows, [change], 1) == (
        "round 3 (epoch 2): 3 tickets, FRR 1/2 (50.0%), false block 0/1 (0.0%), 1 rules changed (+G2), 1 to review"
    )


@pytest.mark.parametrize(("told", "colour"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_mistake_on_a_real_terminal_is_red(told, colour):
    ours, theirs = pty.openpty()
    environment = {**os.environ, **told}
    subprocess.run([sys.executable, "-m", "tools.fuse", "--output-dir", "x"], cwd=ROOT, env=environment, stderr=theirs)
    os.close(theirs)
    said = os.read(ours, 4096).decode().strip()
    os.close(ours)
    sentence = (
        "--config, --corpus: neither is given; give a fusion config, or the run folder whose corpus is to be learnt"
    )
    assert said == (f"{RED}{sentence}{END}" if colour else sentence)
