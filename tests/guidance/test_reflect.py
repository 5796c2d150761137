"""tools.reflect through its command, with a fake engine."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.builders import (
    MISSION,
    NO_GUARD,
    Outcome,
    call,
    candidates,
    guidance,
    reflection,
    snapshot,
    ticket,
)
from tests.support.fake_engine import FakeEngine
from tests.support.learning import rounds_alone
from verdicts import engines
from verdicts.base.jsonl import read_rows, write_rows, write_text
from verdicts.config import prompts
from verdicts.config.load import CONFIGS, load
from verdicts.config.tools import section_text
from verdicts.guidance.past import Past, read_past
from verdicts.guidance.replay import replay
from verdicts.records.guidance import read_guidance, write_guidance
from verdicts.records.reflection import AppliedOperation, Operation, Reflection, Trial
from verdicts.records.review import NeedReviewEntry, ReviewDecision
from verdicts.rounds.holdout import is_held_out
from verdicts.stage_b.selection import select

RULE = "出现标签无法识别则不通过"
WRONG = [ticket(f"wrong{number}", "fail", ("标签/无法识别×1",)) for number in range(6)]
RIGHT = [ticket(f"right{number}", "pass") for number in range(12)]


def answer(*operations: dict, unexplainable: Sequence[int] = ()) -> str:
    return json.dumps(
        {
            "operations": [{"rationale": "", "evidence": [1]} | operation for operation in operations],
            "unexplainable": unexplainable,
        },
        ensure_ascii=False,
    )


def obeys(system: str, user: str) -> str:
    return "fail" if RULE in system and "无法识别" in user else "pass"


class Bench:
    """A folder with all that reflect reads: a round in which every ticket passed under G0."""

    def __init__(
        self, folder: Path, monkeypatch, words: str = "pass pass", policy: str = "unsupported", holdout: float = 0.0
    ):
        self.folder, self.round, self.monkeypatch = folder, folder / "rounds" / "0001", monkeypatch
        config = load("miniature", "bbu_line", configs=CONFIGS)
        self.config = config.model_copy(
            update={
                "learn": config.learn.model_copy(update={"holdout": holdout}),
                "reflect": rounds_alone(config.reflect, groups=1),
                "review": config.review.model_copy(update={"policy": policy}),
            }
        )
        tickets = WRONG + RIGHT
        rows = [candidates(of, words) for of in tickets]
        write_text(folder / "reflect.yaml", section_text(self.config, "reflect"))
        write_text(folder / "guidance.yaml", section_text(self.config, "guidance"))
        write_rows(folder / "stage_a.jsonl", tickets)
        write_guidance(folder / "rounds" / "0000" / "guidance.json", MISSION, guidance())
        write_rows(self.round / "trajectories.jsonl", [row for found in rows for row in found])
        write_rows(
            self.round / "selections.jsonl",
            [chosen for of, found in zip(tickets, rows, strict=True) if (chosen := select(of, found, NO_GUARD))],
        )

    def reflect(self, engine: FakeEngine, round: int = 1, decisions: Path | None = None) -> Outcome:
        self.monkeypatch.setattr(engines, "open_engine", lambda config: engine)
        return call(
            "reflect", config=self.folder / "reflect.yaml", stage_a=self.folder / "stage_a.jsonl",
            guidance=self.folder / "rounds" / "0000" / "guidance.json",
            round=round, round_dir=self.round, decisions=decisions,
        )  # fmt: skip

    def apply(self) -> Outcome:
        return call(
            "apply", config=self.folder / "guidance.yaml", guidance=self.folder / "rounds" / "0000" / "guidance.json",
            reflection=self.round / "reflection.jsonl", output=self.round / "guidance.json",
        )  # fmt: skip

    def records(self) -> list[Reflection]:
        return read_rows(self.round / "reflection.jsonl", Reflection)

    def queued(self) -> list[NeedReviewEntry]:
        return read_rows(self.round / "need_review_queue.jsonl", NeedReviewEntry, allow_empty=True)


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def test_a_round_of_learning_ends_in_records_a_review_queue_and_through_apply_in_guidance(bench):
    engine = FakeEngine(reflections=[answer({"op": "add", "text": RULE}, unexplainable=[2])], judges=obeys)
    outcome = bench.reflect(engine)
    assert outcome.code == 0, outcome.err
    life, record = bench.records()
    assert (life.reflection_id, record.reflection_id, len(record.applied[0].trial.fixed)) == (
        "r0001-life",
        "r0001-01",
        6,
    )
    assert outcome.last_line == (
        "reflect 0001: 1 calls, 1 operations = 1 applied + 0 refused; 0 rules dropped; 6 tickets to review; "
        "guidance step 0 -> 1"
    )
    assert engine.closed and not (bench.round / "guidance.json").exists()
    assert bench.apply().code == 0
    assert read_guidance(bench.round / "guidance.json", MISSION).experiences["G1"] == RULE


def test_tickets_that_no_candidate_supports_are_queued_whether_or_not_reflection_found_a_rule(bench):
    for reply in (answer({"op": "add", "text": RULE}), answer(), "胡说"):
        assert bench.reflect(FakeEngine(reflections=[reply], judges=obeys)).code == 0
        assert {entry.ticket_key for entry in bench.queued()} == {of.ticket_key for of in WRONG}
        assert {entry.reason_code for entry in bench.queued()} == {"no_candidate_supports_gt"}
        assert {entry.ticket_key for entry in bench.queued() if entry.reflection_id == "r0001-01"} == set(
            bench.records()[1].ticket_keys
        )


def test_a_ticket_with_one_candidate_for_its_label_is_not_queued_yet_still_shown_to_reflection(tmp_path, monkeypatch):
    bench = Bench(tmp_path, monkeypatch, words="pass pass fail")
    bench.reflect(FakeEngine(reflections=[answer()]))
    assert bench.queued() == [] and len(bench.records()[1].ticket_keys) == 4


def test_label_suspect_queues_only_what_reflection_could_not_explain(tmp_path, monkeypatch):
    bench = Bench(tmp_path, monkeypatch, policy="label_suspect")
    bench.reflect(FakeEngine(reflections=[answer(unexplainable=[1, 3])]))
    shown = bench.records()[1].ticket_keys
    assert {entry.ticket_key for entry in bench.queued()} == {shown[0], shown[2]}
    assert {entry.reason_code for entry in bench.queued()} == {"label_suspect"}


def test_a_round_of_hard_failures_asks_nothing_and_queues_nothing(tmp_path, monkeypatch):
    bench = Bench(tmp_path, monkeypatch, words="bad bad")
    outcome = bench.reflect(engine := FakeEngine())
    assert outcome.code == 0, outcome.err
    assert (engine.calls, bench.queued(), len(bench.records())) == ([], [], 1)
    assert bench.apply().code == 0


def test_the_count_sentence_counts_what_could_not_be_read_as_refused(bench):
    outcome = bench.reflect(
        FakeEngine(
            reflections=[answer({"op": "add", "text": RULE}, {"op": "add", "text": "需复核"}, {"op": "nonsense"})],
            judges=obeys,
        )
    )
    assert "1 calls, 3 operations = 1 applied + 2 refused;" in outcome.last_line


def decide(bench: Bench, **decisions: str) -> Path:
    path = bench.folder / "review_decisions.jsonl"
    write_rows(
        path,
        [ReviewDecision(ticket_key=key.replace("__", "::"), decision=decision) for key, decision in decisions.items()],
    )
    return path


def test_learning_sees_corrected_labels_and_no_excluded_ticket(bench):
    said = {
        "wrong0__fail": "label_wrong",
        "wrong1__fail": "exclude",
        "wrong2__fail": "unsure",
        "wrong3__fail": "model_wrong",
    }
    bench.reflect(
        FakeEngine(reflections=[answer({"op": "add", "text": RULE})], judges=obeys), decisions=decide(bench, **said)
    )
    record = bench.records()[1]
    assert set(record.ticket_keys) == {f"wrong{number}::fail" for number in (2, 3, 4, 5)}
    trial = (record.applied[0] if record.applied else record.rejected[0]).trial
    assert (trial.errors, trial.corrects) == (
        4,
        len(RIGHT) + 1,
    )  # the corrected one is right now, and the rule breaks it
    assert trial.broke == ["wrong0::fail"] and not any("wrong1" in key for key in trial.fixed)
    assert {entry.ticket_key for entry in bench.queued()} == {
        of.ticket_key for of in WRONG
    }  # the queue is about the labels as given


@pytest.mark.parametrize("show", [True, False])
def test_people_s_reasons_reach_the_reflection_call_alone_and_the_last_line_counts_them(bench, show):
    told = [
        of.model_copy(update={"fail_reasons": ["补拍暗号"] if number % 2 else []}) for number, of in enumerate(WRONG)
    ]
    write_rows(bench.folder / "stage_a.jsonl", told + RIGHT)
    config = bench.config.model_copy(
        update={"reflect": bench.config.reflect.model_copy(update={"show_reasons": show, "group_size": 6})}
    )
    write_text(bench.folder / "reflect.yaml", section_text(config, "reflect"))
    engine = FakeEngine(reflections=[answer({"op": "add", "text": RULE})], judges=obeys)
    outcome = bench.reflect(engine)
    assert outcome.code == 0, outcome.err
    ((_, user, _),) = engine.calls
    assert user.count("人工理由: 补拍暗号\n") == (3 if show else 0)
    assert ("; 3 of 6 failed cases shown with people's reasons" in outcome.last_line) == show
    assert engine.judged and not any("暗号" in text for asked in engine.judged for text in asked)
    assert "暗号" not in (bench.round / "reflection.jsonl").read_text(encoding="utf-8")


def test_a_right_answer_to_a_wrong_label_is_shown_as_an_error_with_the_corrected_label(bench):
    bench.reflect(
        engine := FakeEngine(reflections=[answer()]),
        decisions=decide(bench, **{f"wrong{n}__fail": "exclude" for n in range(6)}, right3__pass="label_wrong"),
    )
    assert bench.records()[1].ticket_keys == ["right3::pass"]
    assert "案例1 人工:不通过 模型:通过" in str(engine.calls)


@pytest.mark.parametrize("key", ["nobody__fail", "wrong0__pass"])
def test_a_decision_on_an_unknown_ticket_stops_learning_before_the_model_is_asked(bench, key):
    outcome = bench.reflect(engine := FakeEngine(), decisions=decide(bench, **{key: "exclude"}))
    assert outcome.code == 2 and "review_decisions.jsonl:1: ticket_key: no ticket" in outcome.err and engine.calls == []


def test_a_ticket_that_is_held_out_is_never_learnt_from_and_queued_all_the_same(tmp_path, monkeypatch):
    bench = Bench(tmp_path, monkeypatch, holdout=0.5)
    held = {of.ticket_key for of in WRONG + RIGHT if is_held_out(of.group_id, bench.config.learn)}
    assert 0 < len(held & {of.ticket_key for of in WRONG}) < len(WRONG)
    assert bench.reflect(FakeEngine(reflections=[answer({"op": "add", "text": RULE})], judges=obeys)).code == 0
    life, record = bench.records()
    trial = (record.applied or record.rejected)[0].trial
    assert not held & {*record.ticket_keys, *trial.fixed, *trial.broke, *trial.tickets}
    assert trial.errors + trial.corrects == sum(life.verdicts.values()) == len(WRONG + RIGHT) - len(held)
    assert {entry.ticket_key for entry in bench.queued()} == {of.ticket_key for of in WRONG}


# -- what a round reads of the rounds before it
def small_windows(bench: Bench) -> None:
    """Six rounds of one epoch, of a wrong ticket and two right ones each; a round alone shows nothing."""
    bench.config = bench.config.model_copy(update={"window": bench.config.window.model_copy(update={"tickets": 3})})
    write_text(bench.folder / "reflect.yaml", section_text(bench.config, "reflect"))
    for number in range(1, 7):
        of = [WRONG[number - 1], *RIGHT[2 * number - 2 : 2 * number]]
        rows = [candidates(one, "pass pass", round=number) for one in of]
        folder = bench.folder / "rounds" / f"{number:04d}"
        write_rows(folder / "trajectories.jsonl", [row for found in rows for row in found])
        write_rows(
            folder / "selections.jsonl", [select(one, found, NO_GUARD) for one, found in zip(of, rows, strict=True)]
        )
        write_rows(folder / "reflection.jsonl", [reflection(number, 1)])


def tried_in(bench: Bench, number: int, **options: object) -> Trial:
    """The trial of the right rule in a round."""
    bench.round = bench.folder / "rounds" / f"{number:04d}"
    outcome = bench.reflect(
        FakeEngine(reflections=[answer({"op": "add", "text": RULE})], judges=obeys), round=number, **options
    )
    assert outcome.code == 0, outcome.err
    record = bench.records()[1]
    assert record.ticket_keys == [WRONG[number - 1].ticket_key]
    return (record.applied or record.rejected)[0].trial


@pytest.mark.parametrize(
    ("number", "rounds", "errors"), [(1, 4, 1), (2, 4, 2), (4, 4, 4), (5, 4, 4), (6, 4, 4), (6, 6, 6), (6, 1, 1)]
)
def test_proposals_are_tried_on_as_many_windows_as_configured(bench, number, rounds, errors):
    small_windows(bench)
    trial = bench.config.reflect.trial.model_copy(update={"rounds": rounds})
    bench.config = bench.config.model_copy(update={"reflect": bench.config.reflect.model_copy(update={"trial": trial})})
    write_text(bench.folder / "reflect.yaml", section_text(bench.config, "reflect"))
    done = tried_in(bench, number)
    assert (done.errors, done.corrects) == (errors, 2 * errors)


def test_windows_before_are_read_with_labels_as_people_corrected_them_and_without_tickets_that_are_gone(bench):
    small_windows(bench)
    write_rows(bench.folder / "stage_a.jsonl", [of for of in WRONG + RIGHT if of.group_id != "right3"])  # of round 2
    said = decide(bench, wrong0__fail="label_wrong", right0__pass="exclude")  # both of round 1
    done = tried_in(bench, 4, decisions=said)
    assert (done.errors, done.corrects) == (3, 2 + 1 + 2 + 2)


def test_a_rule_is_judged_by_the_round_that_accepted_it_and_the_epoch_since(bench):
    small_windows(bench)
    operation = Operation(op="add", text=RULE, evidence=["wrong0::fail"])
    first = reflection(
        1, 1, "01", ticket_keys=["wrong0::fail"], applied=[AppliedOperation(op=operation, key="G1", trial=None)]
    )
    write_rows(bench.folder / "rounds" / "0001" / "reflection.jsonl", [reflection(1, 1), first])
    rules = replay(guidance(), [first])
    tickets = {of.ticket_key: of for of in WRONG + RIGHT}
    past = read_past(bench.folder / "rounds", 6, rules, 4, 2, tickets, {})
    assert sorted(past.lives) == [1, 4, 5] and past.windows == 3 and past.born["G1"].tickets == {"wrong0::fail"}
    assert [selection.round for selection in past.selections] == [5] * 3 + [4] * 3 + [3] * 3  # the latest first
    assert read_past(bench.folder / "rounds", 1, guidance(), 4, 2, tickets, {}) == Past([], 0, {}, {})


def edit(path: Path, line: int, **fields: object) -> None:
    """Change fields of one line of a JSONL file, by hand as it were."""
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[line - 1] = json.dumps(json.loads(lines[line - 1]) | fields, ensure_ascii=False)
    write_text(path, "\n".join(lines) + "\n")


def test_a_selection_edited_by_hand_takes_effect(bench):
    edit(bench.round / "selections.jsonl", 1, verdict="fail", label_match=True, reason="人看过：标签无法识别(G0)")
    bench.reflect(engine := FakeEngine(reflections=[answer()]))
    assert len(engine.calls) == 1
    assert "wrong0::fail" not in bench.records()[1].ticket_keys
    assert next(entry for entry in bench.queued() if entry.ticket_key == "wrong0::fail").pred_verdict == "fail"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"ticket_key": "nobody::fail"},
            "ticket_key: 'nobody::fail' is no ticket of stage_a; remove the line, or run rollout again",
        ),
        ({"ticket_key": "wrong0::fail"}, "ticket_key: 'wrong0::fail' stands on line 2 already; keep one of the two"),
        ({"label": "pass"}, "label: 'pass', but its ticket's label is 'fail'; "),
        ({"verdict": "fail"}, "label_match: False, but verdict is 'fail' and label 'fail'; correct it"),
        ({"label_match": True}, "label_match: True, but verdict is 'pass' and label 'fail'; correct it"),
        ({"verdict": "Fail"}, "verdict: input should be 'pass' or 'fail' (\"Fail\"); correct the value"),
        ({"verdickt": "fail"}, "verdickt: unknown field; did you mean 'verdict'?"),
        ({"vote_strength": 2}, "vote_strength: input should be less than or equal to 1 (2)"),
    ],
)
def test_a_selection_edited_badly_is_named_with_its_line_and_nothing_is_overwritten(bench, fields, message):
    bench.reflect(FakeEngine(reflections=[answer()]))
    path = bench.round / "selections.jsonl"
    write_text(path, "\n" + path.read_text(encoding="utf-8"))  # a blank line above moves every line down
    edit(path, 3, **fields)
    before = snapshot(bench.folder)
    outcome = bench.reflect(engine := FakeEngine())
    assert outcome.code == 2 and len(outcome.err.splitlines()) == 1
    assert outcome.err.startswith(f"{path}:3: {message}")
    assert snapshot(bench.folder) == before and engine.calls == []


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("stage_a.jsonl", None, "stage_a.jsonl: no such file; check the path"),
        ("rounds/0001/trajectories.jsonl", None, "rounds/0001/trajectories.jsonl: no such file; check the path"),
        ("rounds/0001/selections.jsonl", None, "rounds/0001/selections.jsonl: no such file; check the path"),
        ("rounds/0001/trajectories.jsonl", "", "rounds/0001/trajectories.jsonl: the file holds no record; "),
        (
            "rounds/0001/selections.jsonl",
            '{"ticket_key": "a',
            "rounds/0001/selections.jsonl:1: not valid JSON at column",
        ),
        ("rounds/0000/guidance.json", None, "rounds/0000/guidance.json: no such file; check the path"),
        ("rounds/0000/guidance.json", "{}", f"rounds/0000/guidance.json: holds no mission {MISSION!r}"),
        ("reflect.yaml", "mission: {}", "reflect.yaml: mission.slug: missing; add it"),
    ],
)
def test_a_mistake_is_one_line_and_overwrites_nothing(bench, name, text, message):
    bench.reflect(FakeEngine(reflections=[answer()]))
    (bench.folder / name).unlink() if text is None else write_text(bench.folder / name, text)
    before = snapshot(bench.folder)
    outcome = bench.reflect(engine := FakeEngine())
    assert outcome.code == 2 and len(outcome.err.splitlines()) == 1
    assert outcome.err.startswith(f"{bench.folder}/{message}")
    assert snapshot(bench.folder) == before and engine.calls == []


def test_tickets_of_a_foreign_mission_are_refused(bench):
    write_rows(bench.folder / "stage_a.jsonl", [ticket("a", mission="挡风板安装检查")])
    outcome = bench.reflect(FakeEngine())
    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
    assert "stage_a.jsonl:1: mission: '挡风板安装检查' is not this run's mission" in outcome.err


def test_a_prompt_that_was_spoilt_is_refused_before_a_model_is_loaded(bench, tmp_path, monkeypatch):
    broken = tmp_path / "prompts"
    shutil.copytree(prompts.PROMPTS_DIR, broken)
    (broken / "reflect.user.txt").write_text("错例如下\n", encoding="utf-8")
    monkeypatch.setattr(prompts, "PROMPTS_DIR", broken)
    engine = FakeEngine(reflections=[answer()], judges=obeys)
    outcome = bench.reflect(engine)
    assert outcome.code == 2 and not engine.calls and not engine.closed
    assert f"{broken / 'reflect.user.txt'}: has no {{cases}}; write {{cases}} where it is to stand" in outcome.err
