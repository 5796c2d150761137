"""A guidance.json of another team as the starting rules of a mission."""

import json
from pathlib import Path

import pytest

from tests.support.builders import MISSION, call
from verdicts.base.errors import UserError
from verdicts.base.jsonl import read_json, write_text
from verdicts.config.load import load
from verdicts.guidance import replay
from verdicts.intake.names import Door
from verdicts.intake.their_guidance import read_their_guidance
from verdicts.records.guidance import GuidanceFile

CONFIG = load("miniature", "bbu_line")
DOOR, OWN = Door.of_config(CONFIG), CONFIG.mission.g0
RULE_META = {"updated_at": "2025-12-01T00:00:00", "hit_count": 3, "miss_count": 1, "confidence": 0.75}
THEIRS = {
    "step": 7,
    "updated_at": "2025-12-01T00:00:00",
    "experiences": {
        "G0": "须见地排处接地螺丝。",
        "G2": "若 标签\n缺失则判定不通过",
        "G1": "螺丝不清晰时看全局图",
        "G5": "螺丝不清晰时看全局图",
        "G6": " ",
        "S2": "全局图优先；",
        "S1": "逐图核对",
    },
    "metadata": {"G1": RULE_META, "G2": RULE_META | {"sources": ["a::fail"]}},
}


def written(tmp_path: Path, value: object) -> Path:
    path = tmp_path / "their.json"
    write_text(path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return path


def test_learnable_rules_are_started_from_and_structure_joins_the_checklist(tmp_path):
    found = read_their_guidance(written(tmp_path, {"别的任务": {}, f" {MISSION}": THEIRS}), DOOR, OWN)
    assert found.g0 == "须见地排处接地螺丝；逐图核对；全局图优先"
    assert found.rules == ["螺丝不清晰时看全局图", "若 标签 缺失则判定不通过"]
    assert found.said == [
        "G0: theirs takes the place of the mission's",
        "joined to G0, read-only: S1, S2",
        "left out: G5, which says what another one says",
        "left out: G6, blank",
        "left out: metadata.confidence (2), metadata.hit_count (2), metadata.miss_count (2), metadata.sources (1), "
        "metadata.updated_at (2), step (1), updated_at (1)",
    ]


def test_rules_without_a_checklist_leave_the_missions_own(tmp_path):
    only = {MISSION: {"experiences": {"G3": "甲"}}}
    found = read_their_guidance(written(tmp_path, only), DOOR, OWN)
    assert (found.g0, found.rules, found.said) == (None, ["甲"], ["G3 is G1 now"])
    joined = read_their_guidance(written(tmp_path, {MISSION: {"experiences": {"S1": "乙"}}}), DOOR, OWN)
    assert joined.g0 == f"{OWN}；乙" and joined.said[0] == "G0: the mission's own"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[]", "is no guidance; write it as {mission: {experiences: {G0: …, G1: …}}}"),
        ("{", "not valid JSON"),
        ({"RRU线缆": THEIRS}, f"has no rules of '{MISSION}', but of 'RRU线缆'; name the MISSION that it is of"),
        ({MISSION: {"experiences": {"X1": "甲"}}}, ": 'X1' is no key of a rule; write G0, G1, … or S1, …"),
        ({MISSION: {"experiences": {"G1": "甲", "G01": "乙"}}}, ": 'G01' is a key that stands twice"),
        ({MISSION: {"experiences": {"G1": 3}}}, "experiences.G1: input should be a valid string (3)"),
        ({MISSION: {"step": 1}}, "experiences: missing; add it"),
    ],
)
def test_a_file_that_is_no_guidance_is_one_sentence_and_nothing_is_written(tmp_path, value, message):
    output = tmp_path / "out" / "guidance.yaml"
    outcome = call(
        "import_guidance", guidance=written(tmp_path, value), models="miniature", mission="bbu_line", output=output
    )
    assert outcome.code == 2 and len(outcome.err.splitlines()) == 1
    assert outcome.err.startswith(f"{tmp_path}/their.json") and message in outcome.err
    assert not output.parent.exists()


def test_a_run_begins_with_the_rules_that_were_taken_and_every_change_is_said(tmp_path):
    output = tmp_path / "guidance.yaml"
    given = {"models": "miniature", "mission": "bbu_line", "output": output}
    outcome = call("import_guidance", guidance=written(tmp_path, {MISSION: THEIRS}), **given)
    assert outcome.code == 0 and len(outcome.err.splitlines()) == 6
    assert "import_guidance: 2 rules to start from" in outcome.last_line
    start = replay.start(load("miniature", "bbu_line", output).mission)
    assert start.experiences == {
        "G0": "须见地排处接地螺丝；逐图核对；全局图优先",
        "G1": "螺丝不清晰时看全局图",
        "G2": "若 标签 缺失则判定不通过",
    }
    text = output.read_text(encoding="utf-8")
    assert "# joined to G0, read-only: S1, S2\n" in text
    assert call("import_guidance", guidance=tmp_path / "their.json", **given).code == 0
    write_text(output, text + "# by hand\n")
    again = call("import_guidance", guidance=tmp_path / "their.json", **given)
    assert again.code == 2 and "is there already, and says something else; move it away first" in again.err
    assert output.read_text(encoding="utf-8").endswith("# by hand\n")


def test_a_guidance_of_a_run_of_ours_can_be_started_from_as_well(tmp_path):
    start = replay.start(CONFIG.mission.model_copy(update={"rules": ["甲"]}))
    path = written(tmp_path, GuidanceFile({MISSION: start}).model_dump_json())
    assert read_json(path, GuidanceFile)
    assert read_their_guidance(path, DOOR, OWN)[:2] == (None, ["甲"])
    with pytest.raises(UserError, match="no such file"):
        read_their_guidance(tmp_path / "none.json", DOOR, OWN)
