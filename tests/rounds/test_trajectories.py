"""From completions to trajectories."""

from types import SimpleNamespace

import pytest

from tests.support.builders import ticket
from verdicts.config.load import CONFIGS, load
from verdicts.engines import NO_VERDICT, Completion, Decode
from verdicts.records.rollout import Trajectory
from verdicts.records.tickets import StageA
from verdicts.rounds.trajectories import candidate_seed, decodes_for, failures_of, forgiven_in_answers, trajectories_of
from verdicts.rounds.windows import Place
from verdicts.stage_b.protocol import render

SECTION = load("miniature", "bbu_line", configs=CONFIGS).rollout
PASS = render("pass", "机柜处接地螺丝符合要求(G0)")
DECODE = Decode(0.3, 0.9, 96, 7)


def said(text: str, finish: str = "stop", logprob: dict = NO_VERDICT) -> Completion:
    return Completion(text=text, verdict_logprob=logprob, finish=finish)


def rows_of(of: StageA, *completions: Completion) -> list[Trajectory]:
    return trajectories_of(of, [DECODE] * len(completions), completions, Place(2, 0, 3), 4, 5)


def why(of: StageA, *completions: Completion) -> list[tuple[int | None, str]]:
    failures = failures_of(rows_of(of, *completions), [completion.finish for completion in completions])
    return [(failure.candidate_index, failure.why) for failure in failures]


def test_every_grid_entry_is_sampled_and_each_candidate_has_a_seed_of_its_own():
    decodes = decodes_for(ticket("a"), SECTION.model_copy(update={"samples": 2}))
    assert [decode.temperature for decode in decodes] == [entry.temperature for entry in SECTION.grid for _ in range(2)]
    assert len({decode.seed for decode in decodes}) == len(decodes) == 2 * len(SECTION.grid)
    assert all(0 <= decode.seed < 2**31 for decode in decodes)


def test_a_label_changes_no_seed():
    assert (
        decodes_for(ticket("a", "pass"), SECTION)
        == decodes_for(ticket("a", "fail"), SECTION)
        != decodes_for(ticket("b", "pass"), SECTION)
    )
    assert candidate_seed(17, "a", 0) != candidate_seed(18, "a", 0)


def test_an_answer_becomes_a_row_with_its_place_settings_and_rounded_log_probabilities():
    (row,) = rows_of(ticket("a", "fail"), said(PASS, logprob={"pass": -0.12345678, "fail": None}))
    assert (row.ticket_key, row.round, row.epoch, row.guidance_step, row.candidate_index) == ("a::fail", 4, 2, 5, 0)
    assert (row.decode.temperature, row.decode.top_p, row.decode.max_new_tokens, row.decode.seed) == (0.3, 0.9, 96, 7)
    assert (row.verdict, row.reason, row.format_ok, row.label_match) == (
        "pass",
        "机柜处接地螺丝符合要求(G0)",
        True,
        False,
    )
    assert (row.verdict_logprob.pass_, row.verdict_logprob.fail) == (-0.123457, None)


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\r\n", "\r\n\r\n"])
def test_the_kept_text_of_a_valid_answer_is_exactly_two_lines(end):
    (row,) = rows_of(ticket("a"), said(PASS + end))
    assert row.format_ok and row.response_text == PASS


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        (said("说不清"), "no_verdict"),
        (said(""), "empty"),
        (said("Verdict: 通过\nReason: 需复核"), "third_state"),
        (said(PASS + "\n多一行"), "extra_lines"),
        (said("Verdict: 通过"), "no_reason"),
        (said("Verdict: 通过", finish="length"), "no_reason"),
        (said("Verdict：通过但需复核\nReason：齐全", finish="length"), "third_state"),
        (said("", finish="over_length"), "over_length"),
        (said("data_inspection_failed", finish="refused"), "refused"),
    ],
)
def test_what_is_no_answer_is_a_hard_failure_with_its_reason_and_has_no_verdict(completion, reason):
    of = ticket("a")
    assert why(of, said(PASS), completion) == [(1, reason)]
    bad = rows_of(of, said(PASS), completion)[1]
    assert (bad.verdict, bad.reason, bad.format_ok, bad.label_match) == (None, None, False, False)


def test_a_form_that_is_forgiven_is_stored_in_normal_form_with_what_was_said_beside_it():
    of = ticket("a", "fail")
    rows = rows_of(
        of,
        said("**Verdict**：不通過。\r\nReason:缺少螺丝(G0)\n"),
        said(render("fail", "缺少螺丝(G0)")),
        said("Verdict：需复核\nReason：看不清"),
    )
    assert [row.response_text for row in rows] == [render("fail", "缺少螺丝(G0)")] * 2 + [
        "Verdict：需复核\nReason：看不清"
    ]
    assert [row.raw_text for row in rows] == ["**Verdict**：不通過。\r\nReason:缺少螺丝(G0)", None, None]
    assert [(row.verdict, row.reason, row.format_ok, row.label_match) for row in rows[:2]] == [
        ("fail", "缺少螺丝(G0)", True, True)
    ] * 2
    assert (
        forgiven_in_answers(rows)
        == "; 1 answers in another form (1 bold, 1 full_stop, 1 full_width, 1 header, 1 line_ends, 1 traditional)"
    )
    assert why(of, said("Verdict：通过\nReason：齐全\n又一行")) == [(0, "extra_lines"), (None, "no_valid_candidate")]


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("缺少螺丝(G0)。标签看不", "缺少螺丝(G0)。"),
        ("缺少螺丝，标签看不", "缺少螺丝"),
        ("缺少螺丝和标", "缺少螺丝和标"),
    ],
)
def test_a_verdict_stands_when_only_its_reason_is_cut(reason, kept):
    of = ticket("a", "fail")
    (row,) = rows_of(of, said(render("fail", reason), finish="length"))
    assert (row.verdict, row.reason, row.response_text, row.cut, row.format_ok, row.label_match) == (
        "fail",
        kept,
        render("fail", kept),
        True,
        True,
        True,
    )
    assert row.raw_text == (render("fail", reason) if kept != reason else None)
    assert why(of, said(render("fail", reason), finish="length")) == []


def test_cut_reasons_are_refused_where_the_configuration_says_so():
    of = ticket("a")
    completions = [said(PASS, finish="length"), said(PASS)]
    rows = trajectories_of(of, [DECODE] * 2, completions, Place(2, 0, 3), 4, 5, "refuse")
    assert [(row.format_ok, row.cut, row.response_text) for row in rows] == [(False, False, PASS), (True, False, PASS)]
    assert [failure.why for failure in failures_of(rows, ["length", "stop"])] == ["cut_off"]


def test_the_words_of_a_server_that_refused_are_the_text_of_the_failure():
    completion = SimpleNamespace(
        text="", verdict_logprob=NO_VERDICT, finish="refused", detail="HTTP 400: data_inspection_failed"
    )
    rows = rows_of(ticket("a"), completion)
    assert next((failure.why, failure.response_text) for failure in failures_of(rows, ["refused"])) == (
        "refused",
        "HTTP 400: data_inspection_failed",
    )


def test_a_ticket_without_a_valid_candidate_gets_one_more_record():
    assert why(ticket("a"), said("?"), said("")) == [(0, "no_verdict"), (1, "empty"), (None, "no_valid_candidate")]
    assert why(ticket("a"), said(PASS), said(PASS)) == []
