"""tools.gate through its command: every reason to refuse a student, and pairs that cannot be compared."""

import json
import re
from pathlib import Path

import pytest

from tests.support.judging import BASE, BOXES, GOOD, SUMMARY, Bench
from verdicts.base.jsonl import read_json, write_text
from verdicts.evaluation.gate import value_of
from verdicts.evaluation.gate_words import SENTENCES, gate_in_chinese, gate_sentence
from verdicts.evaluation.scores import METRICS, answers_path
from verdicts.models.fingerprint import checkpoint_hash
from verdicts.records.evaluation import Evaluation, MadeFrom, Named
from verdicts.stage_b.protocol import render
from verdicts.stats.rates import needed, stands, wilson
from verdicts.student.photo_scores import render_dense


@pytest.fixture
def bench(tmp_path) -> Bench:
    return Bench(tmp_path)


def test_a_student_that_releases_fewer_and_forgets_nothing_passes(bench):
    outcome = bench.gate()
    assert outcome.code == 0, outcome.err
    assert outcome.last_line == f"gate: after (120 tickets, 40 photos): passed; {bench.output}"
    found = bench.found()
    assert found.passed and found.reasons == []
    test = found.mcnemar["false_release"]
    assert (test.pairs, test.only_before, test.only_after, test.left_out) == (80, 40, 0, 0)
    assert test.p_value == 2 / 2**40
    assert found.mcnemar["false_block"].p_value == 1.0
    assert (found.chat["frr"].before, found.chat["frr"].after, found.chat["frr"].change) == (0.5, 0.0, -0.5)
    kept = found.retention["dense_f1"]
    assert (kept.change, kept.low, kept.high) == (0.0, 0.0, 0.0), "nothing lost is known for sure"


NONSENSE, OTHER_SUMMARY = "说不清", SUMMARY.replace("华为", "中兴")
REASONS = {
    "FRR did not fall: 50.00% before, 50.00% after": {"fail": BASE["fail"]},
    "FRR 10.00% is above its limit 5.00%": {"fail": ["pass"] * 8 + ["fail"] * 72},
    "FRR would be 7.50%, above its limit 5.00%, with the 5 malformed answers to failed tickets as releases": {
        "fail": ["pass"] + [NONSENSE] * 5 + ["fail"] * 74
    },
    "FRR may be above its limit 5.00%: 4 of 91 held-out fails released, at most 10.76% at 95 %; at this rate 4996 "
    "held-out fails are enough: 4905 missing": {"fail": ["pass"] * 4 + ["fail"] * 87},
    "FRR may be above its limit 5.00%: 0 of 41 held-out fails released, at most 8.57% at 95 %; at this rate 73 "
    "held-out fails are enough: 32 missing": {"fail": ["fail"] * 41},
    "FRR may be above its limit 5.00%: 1 of 80 held-out fails released, at most 6.75% at 95 %; at this rate 130 "
    "held-out fails are enough: 50 missing": {"fail": [NONSENSE] + ["fail"] * 79},
    "FRR may be above its limit 5.00%: 4 of 80 held-out fails released, at most 12.16% at 95 %; at this rate no "
    "number of fails shows it below": {"fail": ["pass"] * 4 + ["fail"] * 76},
    "FRR is unknown after: no failed ticket has a verdict": {"fail": [NONSENSE] * 80},
    "the false block rate is unknown: no passed ticket has a verdict": {"pass": [NONSENSE] * 40},
    "false block rate 7.50% is above its limit 5.00%": {"pass": ["fail"] * 3 + ["pass"] * 37},
    "format rate 99.17% is below its limit 99.50%": {"pass": [NONSENSE] + ["pass"] * 39},
    "summary exact match lost 2.50 points, its limit is 1: 100.00% before, 97.50% after": {
        "summary": [OTHER_SUMMARY] + [SUMMARY] * 39
    },
    "summary attribute F1 lost 2.56 points, its limit is 1: 100.00% before, 97.44% after": {
        "summary": [""] * 2 + [SUMMARY] * 38
    },
    "dense F1 at IoU 0.5 lost 1.27 points, its limit is 1: 100.00% before, 98.73% after": {
        "dense": ["["] + [BOXES] * 39
    },
}


@pytest.mark.parametrize("reason", REASONS)
def test_the_gate_refuses_with_the_reason_and_still_writes_all_it_found(bench, reason):
    fails = len(REASONS[reason].get("fail", GOOD["fail"]))
    bench.write("before", fail=["pass"] * (fails // 2) + ["fail"] * (fails - fails // 2))
    bench.write("after", **(GOOD | REASONS[reason]))
    outcome = bench.gate()
    assert outcome.code == 1
    assert f"gate: {reason}" in outcome.err.splitlines()
    assert "NOT passed" in outcome.last_line
    found = bench.found()
    assert not found.passed and reason in found.reasons
    assert "false release (FRR)" in outcome.out


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"max_frr": wilson(4, 80).high}, {"fail": ["pass"] * 4 + ["fail"] * 76}),
        ({"max_false_block": 0.075}, {"pass": ["fail"] * 3 + ["pass"] * 37}),
        ({"min_format": 0.975}, {"pass": [NONSENSE] * 3 + ["pass"] * 37}),
        ({"max_retention_loss": 0.025}, {"summary": [OTHER_SUMMARY] + [SUMMARY] * 39}),
    ],
)
def test_a_score_that_is_exactly_at_its_limit_passes(bench, limits, said):
    bench.configure(**limits)
    bench.write("after", **(GOOD | said))
    outcome = bench.gate()
    assert outcome.code == 0, outcome.err


def test_a_student_without_a_false_release_before_cannot_get_better(bench):
    bench.write("before", **GOOD)
    assert bench.gate().code == 1
    assert bench.found().reasons == ["FRR did not fall: 0.00% before, 0.00% after"]


def test_a_ticket_without_a_verdict_on_one_side_is_left_out_of_the_pairs(bench):
    bench.configure(min_format=0.9, max_frr=1.0)
    bench.write("after", **(GOOD | {"fail": [NONSENSE] + ["fail"] * 79}))
    assert bench.gate().code == 0
    test = bench.found().mcnemar["false_release"]
    assert (test.pairs, test.only_before, test.left_out) == (79, 39, 1)


def test_the_table_is_aligned_and_shows_each_score_with_its_interval_and_n(bench):
    lines = bench.gate().out.splitlines()
    assert lines[0].split() == ["before", "after", "change", "in", "points"]
    asked, others = METRICS[:7], METRICS[7:]
    assert [line.startswith(score.title) for line, score in zip(lines[2:], asked, strict=False)] == [True] * 7
    absent = f"nothing to score, since no photo asks for it: {', '.join(metric.title for metric in others)}"
    assert absent in lines and not lines[9].startswith(others[0].title)
    assert [line for line in lines if "another form" in line or "cut off" in line] == [], "what is 0 takes no line"
    assert lines[1].split() == ["student", "before", "after"], "the folders"
    for word in ("before", "after", "change"):
        assert len({line[lines[0].index(word) - 1] for line in (lines[0], *lines[2:9])}) == 1
    assert (
        "50.0% [39.3%, 60.7%] (40/80)" in lines[2] and "0.0% [0.0%, 4.6%] (0/80)" in lines[2] and "-50.0 [-" in lines[2]
    )
    assert "100.0% (80 of 80 given, 80 wanted)" in lines[8]
    assert (
        "exact McNemar, false releases: 40 before alone, 0 after alone, of 80 pairs (0 left out); p = 1.8e-12" in lines
    )


def test_what_an_answer_adds_sums_up_to_the_score_of_the_evaluation(bench):
    """The bootstrap and the evaluation count the same."""
    verdicts = {"fail": ["pass", NONSENSE] + ["fail"] * 78, "pass": ["fail", NONSENSE] + ["pass"] * 38}
    bench.write("after", **verdicts, summary=["", OTHER_SUMMARY] * 20, dense=["[]", BOXES] * 20)
    evaluation = read_json(bench.path("after"), Evaluation)
    for one in METRICS:
        added = [one.adds(row) for row in bench.answers("after") if row.task == one.task]
        if one in METRICS[7:]:
            assert not one.known(evaluation) and sum(weight for _, weight in added) == 0
            continue
        assert sum(hits for hits, _ in added) / sum(weight for _, weight in added) == pytest.approx(
            value_of(one.of(evaluation)), abs=1e-6
        )


def test_the_same_pair_gives_the_same_bytes(bench):
    bench.gate()
    first = bench.output.read_bytes()
    bench.gate()
    assert bench.output.read_bytes() == first


def refused(bench: Bench, **options: object) -> str:
    """The one line with which the gate refuses to compare, having written nothing."""
    outcome = bench.gate(**options)
    assert outcome.code == 2 and not bench.output.exists()
    assert len(outcome.err.strip().splitlines()) == 1
    return outcome.err


def test_other_tickets_are_not_compared(bench):
    rows = bench.answers("after")
    bench.write_answers("after", [rows[0].model_copy(update={"key": "other::fail"}), *rows[1:]])
    assert "chat question 'g0::fail' was asked before alone" in refused(bench)


def test_fewer_photos_are_not_compared(bench):
    bench.write_answers("before", bench.answers("before")[:-1])
    assert "dense question 'g39/1.jpg' was asked after alone" in refused(bench)


def test_other_wanted_answers_are_not_compared(bench):
    rows = bench.answers("after")
    bench.write_answers("after", [*rows[:-1], rows[-1].model_copy(update={"expected": "[]"})])
    assert "dense question 'g39/1.jpg' was asked before alone, or with another label or wanted answer" in refused(bench)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"mission": "BBU安装方式检查"}, "mission: 'BBU安装方式检查' after, 'BBU接地线检查' before"),
        ({"guidance_step": 3}, "guidance_step: 3 after, 2 before"),
        ({"questions": "others"}, "questions: the same names as before with other prompts, photos or answer lengths"),
    ],
)
def test_another_mission_guidance_or_prompt_is_not_compared(bench, fields, why):
    bench.write_answers("after", bench.answers("after"), **fields)
    assert f"{bench.path('after')}: {why}; evaluate both students" in refused(bench)


def test_scores_edited_by_hand_are_not_believed(bench):
    path = bench.path("after")
    path.write_text(
        path.read_text(encoding="utf-8").replace('"failed_without_verdict": 0', '"failed_without_verdict": 1'),
        encoding="utf-8",
    )
    assert "its scores are not those of after.answers.jsonl; make both again (evaluate)" in refused(bench)


def test_a_bad_line_of_answers_is_named(bench):
    path = answers_path(bench.path("before"))
    lines = path.read_text(encoding="utf-8").splitlines()
    row = json.loads(lines[2])
    row["verdct"] = row.pop("verdict")
    path.write_text("\n".join([*lines[:2], json.dumps(row, ensure_ascii=False), *lines[3:]]) + "\n", encoding="utf-8")
    assert f"{path}:3: verdct: unknown field; did you mean 'verdict'?" in refused(bench)


def test_a_missing_evaluation_is_named(bench):
    bench.path("before").unlink()
    assert f"{bench.path('before')}: no such file" in refused(bench)


@pytest.mark.parametrize(
    ("field", "value"),
    [("verdict", "fail"), ("right", True), ("format_ok", False), ("text", render("fail", "改过(G0)"))],
)
def test_an_answer_edited_by_hand_is_not_believed_even_where_the_scores_are_edited_with_it(bench, field, value):
    rows = bench.answers("before")
    bench.write_answers("before", [rows[0].model_copy(update={field: value}), *rows[1:]])
    assert (
        f"{answers_path(bench.path('before'))}:1: " in (said := refused(bench)) and "make both again (evaluate)" in said
    )


def test_an_answer_that_stands_twice_is_not_believed(bench):
    rows = bench.answers("after")
    bench.write_answers("after", [*rows, rows[0]])
    assert "'g0::fail' stands on line 1 already" in refused(bench)


MADE = MadeFrom(
    held_out="held_out",
    questions="abcdef0123456789",
    files={"tickets": "1"},
    guidance="rules-1",
    settings={"max_new_tokens": 96},
    base=None,
)


def made(bench: Bench, side: str, **changes: object) -> None:
    bench.write_answers(side, bench.answers(side), made_from=MADE.model_copy(update=changes))


def test_the_sentence_names_the_student_and_its_questions(bench):
    made(bench, "before")
    made(bench, "after")
    assert bench.gate().last_line == f"gate: after on held_out (120 tickets, 40 photos): passed; {bench.output}"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"guidance": "rules-2"}, "made_from.guidance: the rules are rules-2 after, rules-1 before"),
        ({"settings": {"max_new_tokens": 48}}, "made_from.settings.max_new_tokens: 48 after, 96 before"),
        (
            {"base": Named(folder="models/other", sha256="77")},
            "made_from.base: after was taught from models/other (77), and before is before (0)",
        ),
    ],
)
def test_a_pair_of_other_rules_settings_or_base_is_not_compared(bench, changes, why):
    made(bench, "before")
    made(bench, "after", **changes)
    assert f"{bench.path('after')}: {why}; " in refused(bench)


def test_a_base_that_is_the_one_taught_from_is_compared(bench):
    made(bench, "before")
    made(bench, "after", base=Named(folder="elsewhere/base", sha256="0"))
    assert bench.gate().code == 0


def test_an_evaluation_of_an_older_version_is_not_mixed_with_one_that_says_its_inputs(bench):
    made(bench, "after")
    assert "made_from: an older version made before, which does not say from what" in refused(bench)


def student(folder: Path, weights: str) -> Path:
    write_text(folder / "config.json", '{"model_type": "qwen3_vl"}')
    write_text(folder / "model.safetensors", weights)
    return folder


def test_the_student_that_is_to_ship_has_to_be_the_one_that_answered(bench):
    mine, other = student(bench.folder / "mine", "a"), student(bench.folder / "other", "b")
    bench.write_answers(
        "after", bench.answers("after"), student=Named(folder="checkpoints/mine", sha256=checkpoint_hash(mine))
    )
    said = refused(bench, student=other)
    assert (
        f"after.json: student: it is about checkpoints/mine ({checkpoint_hash(mine)}), and {other} is "
        f"{checkpoint_hash(other)}; " in said
    )
    assert "no such checkpoint folder" in refused(bench, student=bench.folder / "none")
    assert bench.gate(student=student(bench.folder / "moved", "a")).code == 0, "by content, wherever it lies"


def test_the_questions_have_to_be_those_that_are_named(bench):
    made(bench, "before")
    made(bench, "after")
    assert "before.json: made_from.questions: it is about questions abcdef0123456789, not 99999999; " in refused(
        bench, questions="99999999"
    )
    assert bench.gate(questions="abcdef01").code == 0
    assert refused_after_pass(bench, questions="")


def refused_after_pass(bench: Bench, **options: object) -> bool:
    bench.output.unlink()
    return bool(refused(bench, **options))


def test_what_the_intervals_leave_open_is_said_and_lets_pass(bench):
    bench.write("after", **(GOOD | {"dense": [BOXES] * 39 + [render_dense([((0, 0, 100, 100), "电线/捆扎整齐")])]}))
    bench.configure(max_retention_loss=0.015)
    outcome = bench.gate()
    assert outcome.code == 0
    assert (
        "gate: not decided: false block may be above its limit 5.00%: 0 of 40 held-out passes blocked, at most 8.76% "
        "at 95 %; 73 held-out passes would tell" in outcome.err
    )
    assert "gate: not decided: dense F1 at IoU 0.5 may have lost up to " in outcome.err
    assert len(bench.found().remarks) == 3, "and that an older version made them"


@pytest.mark.parametrize(
    ("k", "n", "limit", "how", "enough"),
    [
        (0, 91, 0.05, "within", 73), (4, 91, 0.05, "unsure", 4996), (0, 41, 0.05, "unsure", 73),
        (0, 72, 0.05, "unsure", 73), (0, 73, 0.05, "within", 73),
        (5, 100, 0.05, "unsure", None), (6, 100, 0.05, "above", None), (0, 0, 0.05, None, None),
        (0, 100, 0.0, "unsure", None), (3, 10, 1.0, "within", 0),
    ],
)  # fmt: skip
def test_a_rate_stands_above_within_or_unsure_of_a_limit(k, n, limit, how, enough):
    assert (stands(wilson(k, n), limit), needed(wilson(k, n), limit)) == (how, enough)


@pytest.mark.parametrize("limit", [0.01, 0.05, 0.1, 0.3])
def test_the_tickets_that_are_needed_are_the_fewest_that_are_enough(limit):
    enough = needed(wilson(0, 1), limit)
    assert stands(wilson(0, enough), limit) == "within" and stands(wilson(0, enough - 1), limit) == "unsure"


def test_every_sentence_of_the_gate_is_found_again_in_chinese():
    for english, chinese in SENTENCES.values():
        places = dict.fromkeys(re.findall(r"\{(\w+)\}", english), "7.50%")
        assert set(re.findall(r"\{(\w+)\}", chinese)) == set(places)
        assert gate_in_chinese(english.format(**places)) == chinese.format(**places)
    lost = gate_sentence("lost", metric="dense F1 at IoU 0.5", points="1.45", most="1", before="90.6%", after="89.2%")
    assert gate_in_chinese(lost) == "密集描述 F1下降 1.45 个百分点，上限 1：训练前 90.6%，训练后 89.2%"
    assert gate_in_chinese("the student said nothing") == ""
