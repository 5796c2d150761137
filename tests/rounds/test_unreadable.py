"""Too much that cannot be read stops the loop: a sentence with counts, the first raw text and the knob; nothing is
distilled.
"""

import json
from pathlib import Path

import pytest

from tests.support.builders import RunFolder, call, guidance, reflection, snapshot, ticket
from verdicts.base.jsonl import read_json, read_rows, write_json, write_rows, write_text
from verdicts.config.sections import LoopSection
from verdicts.records.reflection import Reflection
from verdicts.records.rollout import Malformed
from verdicts.records.run import LoopStatus
from verdicts.rounds.unreadable import AnswerCount, printable, stop_after

TICKETS = [ticket(f"t{number}", "fail" if number % 2 else "pass") for number in range(4)]
LIMITS = LoopSection(max_epochs=4, max_unreadable=0.2, enough_answers=8)
KEYS = [of.ticket_key for of in TICKETS]


def calls(*whys: str | None, round: int = 1, epoch: int | None = None) -> tuple[Reflection, ...]:
    """A round's reflection records: the life cycle, then a call for each of ``whys`` (None: it was read)."""
    place = {"round": round, "epoch": epoch or round}
    said = [
        reflection(number=f"{n:02d}", unreadable=why, raw_response=f"说不清{n}", **place)
        for n, why in enumerate(whys, start=1)
    ]
    return (reflection(**place), *said)


class Loop:
    """A run folder and the question whether its loop goes on."""

    def __init__(self, folder: Path, window: int = 4, tickets: list = TICKETS):
        self.run = RunFolder(folder, tickets)
        self.run.configure(
            "loop", window={"tickets": window, "seed": 17}, loop={"max_epochs": 4, "max_unreadable": 0.2}
        )

    def play(
        self, words: str, *, keys: list[str] = KEYS, why: str = "no_verdict", text: str = "说不清", **fields
    ) -> "Loop":
        self.run.play(dict.fromkeys(keys, words), **fields)
        path = self.run.rounds / f"{self.run.done:04d}" / "failure_malformed.jsonl"
        rows = read_rows(path, Malformed, allow_empty=True)
        write_rows(path, [row.model_copy(update={"why": why, "response_text": text}) for row in rows])
        return self

    def ask(self):
        run = self.run
        return call(
            "next_round",
            config=run.folder / "config" / "loop.yaml",
            stage_a=run.stage_a,
            rounds=run.rounds,
            output=run.loop,
        )


@pytest.fixture
def loop(tmp_path) -> Loop:
    return Loop(tmp_path / "runs" / "one" / "bbu_line")


def test_an_epoch_whose_answers_cannot_be_read_stops_the_loop_with_counts_text_and_knob(loop):
    outcome = loop.play("bad pass bad").ask()
    assert (outcome.code, outcome.out, len(outcome.err.splitlines())) == (2, "", 1)
    path = loop.run.rounds / "0001" / "failure_malformed.jsonl"
    assert outcome.err.startswith(
        f"{path}: loop stopped after round 0001: 8 of 12 answers of its epoch cannot be read (8 no_verdict), "
        "more than loop.max_unreadable (0.2)"
    )
    assert "; the first one: '说不清'; nothing is distilled; set engine.grammar: true, change the prompt" in outcome.err
    assert not loop.run.loop.exists()


@pytest.mark.parametrize(
    ("why", "knob"),
    [
        ("over_length", "; raise engine.context_tokens\n"),
        ("cut_off", "; raise rollout.max_new_tokens\n"),
        (
            "third_state",
            "; set engine.grammar: true, change the prompt (prompts.stage_b), or take another model\n",
        ),
        ("refused", "; see what the server said\n"),
    ],
)
def test_the_sentence_names_the_knob_for_the_reason(loop, why, knob):
    outcome = loop.play("bad bad", why=why, text="").ask()
    assert (
        outcome.code == 2
        and outcome.err.endswith(knob)
        and f"(8 {why})" in outcome.err
        and "the first one" not in outcome.err
    )


@pytest.mark.parametrize(
    ("why", "knob"),
    [
        ("cut_off", "raise reflect.max_new_tokens"),
        ("over_length", "raise engine.context_tokens, or lower reflect.prompt_tokens"),
        ("not_json: expecting value", "set reflect.grammar: true, change the prompt"),
    ],
)
def test_reflections_that_cannot_be_read_stop_it_too(loop, why, knob):
    outcome = loop.play("pass pass", reflections=calls(None, why, why)).ask()
    word = why.partition(":")[0]
    assert (
        outcome.code == 2
        and f"loop stopped after round 0001: 2 of 3 reflections of its epoch cannot be read (2 {word})" in outcome.err
    )
    assert f"'说不清2'; nothing is distilled; {knob}" in outcome.err


def test_the_only_reflection_of_an_epoch_counts(loop):
    assert loop.play("pass pass", reflections=calls("not_json: a")).ask().code == 2


@pytest.mark.parametrize("words", ["pass pass pass pass pass", "pass pass pass pass bad"])
def test_up_to_the_share_the_loop_goes_on_and_may_converge(loop, words):
    outcome = loop.play(words, reflections=calls(None, None, None, None, "cut_off")).ask()
    assert outcome.code == 0 and read_json(loop.run.loop, LoopStatus).status == "converged"


def test_one_bad_answer_among_few_is_no_reason_to_stop(tmp_path):
    loop = Loop(tmp_path / "run", tickets=TICKETS[:1])
    assert loop.play("pass pass bad", keys=KEYS[:1], reflections=calls(None, "cut_off")).ask().code == 0


def test_in_the_middle_of_an_epoch_few_answers_say_nothing_and_many_do(tmp_path):
    few, many = Loop(tmp_path / "few", window=2), Loop(tmp_path / "many", window=2)
    assert few.play("bad bad bad", keys=KEYS[:2], epoch=1).ask().out == "0002\n"
    outcome = many.play("bad bad pass pass", keys=KEYS[:2], epoch=1).ask()
    assert outcome.code == 2 and "after round 0001: 4 of 8 answers" in outcome.err
    outcome = few.play("pass pass pass", keys=KEYS[2:], epoch=1).ask()
    assert outcome.code == 2 and "after round 0002: 6 of 12 answers of its epoch" in outcome.err


def test_each_epoch_is_judged_by_itself(loop):
    loop.play("pass pass pass pass", after=guidance(1, G1="规则"))
    assert loop.ask().out == "0002\n"
    outcome = loop.play("bad bad pass pass").ask()
    assert outcome.code == 2 and "after round 0002: 8 of 16 answers of its epoch" in outcome.err


def test_what_an_earlier_loop_left_behind_is_not_used_on(loop):
    for words in ("bad bad", "pass pass", "pass pass"):
        loop.play(words)
    write_json(loop.run.loop, LoopStatus(status="converged", rounds=3, epochs=3, rounds_per_epoch=1, oscillations=[]))
    assert loop.ask().code == 2
    assert not loop.run.loop.exists() and not (loop.run.rounds / "0002").exists()
    assert (loop.run.rounds.with_name("rounds.superseded") / "0003").exists()
    before = snapshot(loop.run.folder)
    assert loop.ask().code == 2 and snapshot(loop.run.folder) == before


def test_a_larger_share_lets_it_go_on(loop):
    loop.play("bad pass bad")
    loop.run.configure("loop", window={"tickets": 4, "seed": 17}, loop={"max_epochs": 4, "max_unreadable": 0.7})
    assert loop.ask().code == 0 and loop.run.loop.exists()


@pytest.mark.parametrize("share", ["1.5", "-0.1", "viel"])
def test_a_share_is_a_share(loop, share):
    write_text(
        loop.run.folder / "config" / "loop.yaml",
        f"window: {{tickets: 4, seed: 17}}\nloop: {{max_epochs: 4, max_unreadable: {share}}}\n",
    )
    outcome = loop.play("pass pass").ask()
    assert outcome.code == 2 and "loop.max_unreadable" in outcome.err


def test_show_check_and_report_say_it_from_the_rounds_alone(loop):
    loop.play("bad pass bad", reflections=calls("not_json: a", "cut_off", None))
    run = loop.run.folder
    said = loop.ask().err.strip()
    show = call("show", run_dir=run)
    assert show.code == 0 and "stopped, too much could not be read, 1 epochs, 1 rounds" in show.out and said in show.out
    assert "  8 of 12 answers (8 no_verdict)\n  2 of 3 reflections (1 cut_off, 1 not_json)" in show.out
    check = call("check", run_dir=run)
    assert (
        f"--   {said}" in check.out
        and "     reflections that could not be read: 2/3 (1 cut_off, 1 not_json)" in check.out
    )
    report = call("report", run_dir=run, output=run / "report.html")
    assert report.code == 0, report.err
    page = (run / "report.html").read_text(encoding="utf-8")
    assert (
        "too many answers could not be read" in page
        and "2 of 3 reflection answers could not be read." in page
        and "8 of 12 answers of its epoch" in page
    )


def test_a_run_in_which_all_was_read_says_so(loop):
    loop.play("pass pass", reflections=calls(None)).ask()
    loop.run.configure("rollout", fail_first={"enabled": False, "negatives": []})
    assert loop.run.collect().code == 0
    show = call("show", run_dir=loop.run.folder).out
    assert "  0 of 8 answers\n  0 of 1 reflections" in show and "converged" in show


def test_metrics_count_what_could_not_be_read(loop):
    loop.play("pass pass pass pass bad", reflections=calls(None, None, None, None, "cut_off")).ask()
    assert loop.run.collect().code == 0
    rows = [json.loads(line) for line in (loop.run.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    for row in rows:
        assert [
            row[name] for name in ("unreadable_answers", "cut_reasons", "reflections", "unreadable_reflections")
        ] == [4, 0, 5, 1]


def test_distill_refuses_a_loop_that_stopped(tmp_path):
    run = RunFolder(tmp_path, TICKETS).play(dict.fromkeys(KEYS, "pass pass")).finish().complete()
    run.finish("unreadable")
    outcome = run.distill()
    assert (
        outcome.code == 2
        and "loop.json: status: the loop stopped because too many answers could not be read" in outcome.err
    )


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("甲\n乙\r\t丙", "'甲\\n乙\\r\\t丙'"),
        ("\x1b[31m红\x1b[0m\x07", "'\\u001b[31m红\\u001b[0m\\u0007'"),
        ("甲\u202e乙\u2028丙\u200b\x9b1m", "'甲\\u202e乙\\u2028丙\\u200b\\u009b1m'"),
        ("\\n", "'\\\\n'"),
        ("长" * 200, "'" + "长" * 100 + "…'"),
        ("😀 a", "'😀 a'"),
    ],
)
def test_a_raw_text_is_shown_short_and_harmless_on_one_line(text, want):
    assert printable(text) == want


def test_counts_add_up():
    count = AnswerCount()
    assert not count.exceeds(LIMITS, True)
    assert stop_after(Path("/nonexistent"), 3, 1, LIMITS) is None
