"""tools.apply through its command."""

import json
import sys

import pytest

from tests.support.builders import G0, MISSION, call, guidance, reflection, snapshot
from verdicts.base.jsonl import write_rows, write_text
from verdicts.config.load import CONFIGS, load
from verdicts.config.tools import section_text
from verdicts.records.guidance import read_guidance, write_guidance
from verdicts.records.reflection import RuleTally

RULE = "出现标签无法识别则不通过"


@pytest.fixture
def apply(tmp_path):
    """Run tools.apply on guidance of G0 and G1 and these reflection records."""
    write_text(tmp_path / "guidance.yaml", section_text(load("miniature", "bbu_line", configs=CONFIGS), "guidance"))
    write_guidance(tmp_path / "before.json", MISSION, guidance(1, G1=RULE))

    def run(*records, mission: str = MISSION):
        write_rows(tmp_path / "reflection.jsonl", records)
        return call(
            "apply",
            config=tmp_path / "guidance.yaml",
            guidance=tmp_path / "before.json",
            reflection=tmp_path / "reflection.jsonl",
            output=tmp_path / "after.json",
        )

    return run


def applied(**operation: object) -> dict:
    whole = {"op": "add", "key": None, "keys": [], "text": None, "rationale": "", "evidence": []} | operation
    return {"op": whole, "key": None, "trial": None}


def test_a_run_starts_from_the_missions_checklist(tmp_path, apply, monkeypatch):
    monkeypatch.setattr(sys, "argv", [])
    from tools.apply import main

    main(config=tmp_path / "guidance.yaml", output=tmp_path / "0000" / "guidance.json", start=True)
    start = read_guidance(tmp_path / "0000" / "guidance.json", MISSION)
    assert (start.step, list(start.experiences), start.removed) == (0, ["G0"], {})
    assert start.experiences["G0"] == load("miniature", "bbu_line", configs=CONFIGS).mission.g0


def test_records_take_effect_as_they_stand(tmp_path, apply):
    life = reflection(tallies={"G1": RuleTally(hits=0, misses=4)}, cleaned_up=["G1"])
    edited = reflection(
        number="01",
        applied=[applied(text="人写的规则", evidence=["a::fail"]), applied(op="update", key="G2", text="人改的规则")],
    )
    outcome = apply(life, edited)
    assert outcome.code == 0, outcome.err
    after = read_guidance(tmp_path / "after.json", MISSION)
    assert after.experiences == {"G0": G0, "G2": "人改的规则"}
    assert (after.step, after.removed["G1"].metadata.miss_count, after.metadata["G2"].reflection_id) == (
        4,
        4,
        "r0001-01",
    )
    assert outcome.last_line == "guidance step 4: 2 rules in, 1 removed so far"


def test_a_rule_that_left_keeps_the_reason_and_the_trials_are_counted_on(tmp_path, apply):
    life = reflection(
        tallies={"G1": RuleTally(hits=0, misses=4, gives="fail")},
        cleaned_up=["G1"],
        left={"G1": "breaks_too_many: 0 right, 4 wrong"},
    )
    assert apply(life, reflection(number="01", trials=3), reflection(number="02", trials=5)).code == 0
    after = read_guidance(tmp_path / "after.json", MISSION)
    assert (after.removed["G1"].why, after.trials, after.step) == ("breaks_too_many: 0 right, 4 wrong", 5, 2)


def test_a_key_that_is_cleaned_up_twice_leaves_once(tmp_path, apply):
    assert apply(reflection(cleaned_up=["G1", "G1"])).last_line == "guidance step 2: 1 rules in, 1 removed so far"


def test_a_round_settles_once_after_all_its_records(tmp_path, apply):
    """What was refused for its harm may be tried again once the round accepted a new text, whichever of the two came
    first.
    """
    new = reflection(number="01", applied=[applied(text="新规则", evidence=["a::fail"])])
    harmful = reflection(
        number="02",
        rejected=[{"op": {"op": "add", "text": "有害的规则"}, "why": "fixes_too_few: 0", "remembered": True}],
    )
    for records in ((new, harmful), (harmful, new)):
        assert apply(*records).code == 0
        assert read_guidance(tmp_path / "after.json", MISSION).refused == {}
    assert apply(harmful).code == 0
    assert read_guidance(tmp_path / "after.json", MISSION).refused == {"有害的规则": "fixes_too_few: 0"}


def test_a_round_without_a_change_leaves_the_rules_and_the_step(tmp_path, apply):
    assert apply(reflection(tallies={"G1": RuleTally(hits=2, misses=0)})).code == 0
    before, after = read_guidance(tmp_path / "before.json", MISSION), read_guidance(tmp_path / "after.json", MISSION)
    assert (after.step, after.experiences) == (before.step, before.experiences)
    assert after.metadata["G1"].hit_count == 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"applied": [applied(op="update", key="G0", text="改")]},
            "applied: g0_is_read_only; correct the operation or remove it",
        ),
        ({"applied": [applied(op="delete", key="G0")]}, "applied: g0_is_read_only; "),
        ({"applied": [applied(op="delete", key="G9")]}, "applied: unknown_key: G9; "),
        ({"applied": [applied(op="delete")]}, "applied: unknown_key: None; "),
        (
            {"applied": [applied(op="delete", key="G1"), applied(op="update", key="G1", text="改")]},
            "applied: unknown_key: G1; ",
        ),
        ({"applied": [applied(op="merge", keys=["G1"], text="合")]}, "applied: merge_needs_two_keys; "),
        ({"applied": [applied()]}, "applied: not_one_line; "),
        ({"applied": [applied(text="两\n行")]}, "applied: not_one_line; "),
        ({"cleaned_up": ["G0"]}, "cleaned_up: unknown_key: G0; correct the key or remove it"),
        ({"cleaned_up": ["G7"]}, "cleaned_up: unknown_key: G7; "),
        ({"tallies": {"G7": RuleTally(hits=1, misses=0)}}, "tallies: unknown_key: G7; "),
        (
            {"rejected": [{"op": None, "why": "not_json", "remembered": True}]},
            "rejected: remembered, but op holds no text; ",
        ),
    ],
)
def test_a_record_that_does_not_fit_the_guidance_before_it_is_named_and_nothing_is_written(
    tmp_path, apply, fields, message
):
    write_text(tmp_path / "after.json", "what was there")
    outcome = apply(reflection(), reflection(number="01", **fields))
    assert outcome.code == 2 and len(outcome.err.splitlines()) == 1
    assert outcome.err.startswith(f"{tmp_path}/reflection.jsonl:2: {message}")
    assert (tmp_path / "after.json").read_text(encoding="utf-8") == "what was there"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "reflection.jsonl",
            lambda row: row | {"aplied": []},
            "reflection.jsonl:1: aplied: unknown field; did you mean 'applied'?",
        ),
        (
            "reflection.jsonl",
            lambda row: {name: value for name, value in row.items() if name != "applied"},
            "reflection.jsonl:1: applied: missing; add it",
        ),
        (
            "reflection.jsonl",
            lambda row: row | {"applied": [applied(op="replace")]},
            "reflection.jsonl:1: applied.0.op.op: input should be 'add', 'update', 'delete' or 'merge'",
        ),
        (
            "before.json",
            lambda whole: {"别的": whole[MISSION]},
            f"before.json: holds no mission {MISSION!r} (found 别的)",
        ),
        (
            "before.json",
            lambda whole: {MISSION: whole[MISSION] | {"experiences": {"G1": RULE}}},
            f"before.json: {MISSION}: experiences has no G0; restore the mission's checklist",
        ),
        (
            "before.json",
            lambda whole: {MISSION: whole[MISSION] | {"metadata": {}}},
            f"before.json: {MISSION}: experiences and metadata disagree on G1",
        ),
    ],
)
def test_a_file_edited_badly_is_named_and_nothing_is_written(tmp_path, apply, name, change, message):
    apply(reflection())
    (tmp_path / "after.json").unlink()
    write_text(
        tmp_path / name,
        json.dumps(change(json.loads((tmp_path / name).read_text(encoding="utf-8"))), ensure_ascii=False) + "\n",
    )
    before = snapshot(tmp_path)
    outcome = call(
        "apply",
        config=tmp_path / "guidance.yaml",
        guidance=tmp_path / "before.json",
        reflection=tmp_path / "reflection.jsonl",
        output=tmp_path / "after.json",
    )
    assert outcome.code == 2 and len(outcome.err.splitlines()) == 1
    assert outcome.err.startswith(f"{tmp_path}/{message}")
    assert snapshot(tmp_path) == before


def test_apply_without_a_guidance_to_change_says_what_it_needs(tmp_path, apply):
    outcome = call("apply", config=tmp_path / "guidance.yaml", output=tmp_path / "after.json")
    assert (outcome.code, outcome.err) == (
        2,
        "apply needs --guidance and --reflection, or --start; give one or the other\n",
    )
