"""The miniature world: right verdicts, rules as text, tickets that look real, targets that keep the protocol."""

import json
import re
from collections import Counter
from pathlib import Path
from random import Random

import pytest
import yaml

from miniature.teacher.reflection_data import reflection_case
from miniature.teacher.verdict_data import verdict_sample
from miniature.world.dataset import draw_tickets, g0_text, main, sample_world, stage_a_rows
from miniature.world.missions import MISSIONS
from miniature.world.rules import (
    ALL_RULES,
    G0,
    WORDINGS,
    Facts,
    WorldRule,
    apply_rules,
    parse_rule,
    reason_text,
    verdict,
)
from miniature.world.tickets import base_profile, make_ticket, plan_ticket, write_ticket
from miniature.world.vocabulary import BIT, DIRECTION, FITTED, NOT_NEEDED
from verdicts.stage_b.prompts import rule_number
from verdicts.stage_b.protocol import HEADER, REASON_HEADER, cited_rules, parse, third_state_word

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
LINE = MISSIONS["bbu_line"].g0
ALL_SEEN = BIT["机柜处接地螺丝"] | BIT["地排处接地螺丝"] | BIT["电线捆扎整齐"]
NO_BAR = BIT["机柜处接地螺丝"] | BIT["电线捆扎整齐"]


def facts(*names: str, photos: int = 3, raw: int = 0) -> Facts:
    return Facts.of(sum(BIT[name] for name in names) | raw, photos)


@pytest.mark.parametrize(
    ("bits", "photos", "rules", "wanted", "why"),
    [
        (ALL_SEEN, 3, {}, "pass", "机柜处接地螺丝、地排处接地螺丝、电线捆扎整齐符合要求(G0)"),
        (NO_BAR, 3, {}, "fail", "缺少地排处接地螺丝(G0)"),
        (ALL_SEEN | BIT["电线散乱"], 3, {}, "fail", "出现电线散乱(G0)"),
        (ALL_SEEN, 3, {"G2": ("require", "BBU设备")}, "fail", "缺少BBU设备(G2)"),
        (ALL_SEEN | BIT["BBU设备"], 3, {"G2": ("require", "BBU设备")}, "pass",
            "机柜处接地螺丝、地排处接地螺丝、电线捆扎整齐符合要求(G0)"),
        (ALL_SEEN | BIT["标签无法识别"], 3, {}, "pass", "机柜处接地螺丝、地排处接地螺丝、电线捆扎整齐符合要求(G0)"),
        (ALL_SEEN | BIT["标签无法识别"], 3, {"G7": ("forbid", "标签无法识别")}, "fail", "出现标签无法识别(G7)"),
        (ALL_SEEN, 1, {"G1": ("photos", "2")}, "fail", "照片少于2张(G1)"),
        (ALL_SEEN, 2, {"G1": ("photos", "2")}, "pass", "机柜处接地螺丝、地排处接地螺丝、电线捆扎整齐符合要求(G0)"),
        (NO_BAR, 3, {"G3": ("waive_missing", "地排处接地螺丝")}, "pass",
            "机柜处接地螺丝、电线捆扎整齐符合要求(G0)；缺少地排处接地螺丝可豁免(G3)"),
        (ALL_SEEN | BIT["电线散乱"], 3, {"G3": ("waive_negative", "电线散乱")}, "pass",
         "机柜处接地螺丝、地排处接地螺丝、电线捆扎整齐符合要求(G0)；出现电线散乱可豁免(G3)"),
        (NO_BAR, 3, {"G3": ("waive_missing", "地排处接地螺丝"), "G5": ("require", "地排处接地螺丝")}, "fail",
            "缺少地排处接地螺丝(G5)"),
        (0, 1, {"G4": ("photos", "2")}, "fail", "缺少机柜处接地螺丝(G0)；缺少地排处接地螺丝(G0)；照片少于2张(G4)"),
        (ALL_SEEN, 3, {"G9": None}, "pass", "机柜处接地螺丝、地排处接地螺丝、电线捆扎整齐符合要求(G0)"),
    ],
)  # fmt: skip
def test_verdict_and_reason_follow_from_facts_checklist_and_rules(bits, photos, rules, wanted, why):
    meant = {key: rule and WorldRule(*rule) for key, rule in rules.items()}
    seen = Facts.of(bits, photos)
    judgement = apply_rules(seen, LINE, meant)
    assert (judgement.verdict, reason_text(seen, LINE, judgement)) == (wanted, why)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (FITTED | DIRECTION, "pass"),
        (NOT_NEEDED, "pass"),
        (FITTED, "fail"),
        (FITTED | NOT_NEEDED, "fail"),
        (FITTED | NOT_NEEDED | DIRECTION, "pass"),
        (BIT["未按要求配备挡风板"], "fail"),
        (BIT["未按要求配备挡风板"] | NOT_NEEDED, "fail"),
        (FITTED | BIT["挡风板安装方向错误"], "fail"),
        (DIRECTION, "fail"),
        (0, "fail"),
    ],
)
def test_a_wind_shield_is_asked_for_only_where_one_is_needed(said, wanted):
    assert verdict(Facts.of(said, 2), MISSIONS["bbu_wind"].g0, {}) == wanted


def test_every_rule_is_read_back_from_each_of_its_wordings():
    texts = [(rule.text(w), rule) for rule in ALL_RULES for w in range(len(WORDINGS[rule.kind]))]
    assert len({text for text, _ in texts}) == len(texts)
    assert [parse_rule(text) for text, _ in texts] == [rule for _, rule in texts]
    assert parse_rule(f" {texts[0][0]}。 ") == texts[0][1]
    assert parse_rule("照片应清晰可辨") is None


def test_the_world_has_some_fifty_rules_or_more():
    assert len(ALL_RULES) >= 50


@pytest.mark.parametrize("slug", MISSIONS)
def test_the_shipped_checklist_is_the_worlds(slug):
    shipped = yaml.safe_load((CONFIGS / "missions" / f"{slug}.yaml").read_text(encoding="utf-8"))["mission"]
    assert (shipped["name"], shipped["g0"]) == (MISSIONS[slug].name, g0_text(slug))


def test_a_checklist_says_the_same_items_in_every_style():
    g0 = G0(("BBU设备", "BBU安装螺丝"), ("电线散乱",))
    for style in range(5):
        assert all(name in g0.text(style) for name in (*g0.required, *g0.forbidden))


@pytest.mark.parametrize("slug", MISSIONS)
def test_hidden_rules_differ_decide_and_leave_both_labels(slug):
    world = sample_world(1, slug)
    rows = draw_tickets(world, 400, 5, flip=0.05)
    assert len(set(world.hidden)) == 4
    assert {rule.kind.startswith("waive") for rule in world.hidden} == {True, False}
    assert 0.28 <= sum(row.clean == "pass" for row in rows) / 400 <= 0.72
    assert sum(row.label != row.clean for row in rows) == 20
    for rule in world.hidden:
        alone = sum(
            verdict(r.ticket.facts, world.mission.g0, {"G1": rule}) != verdict(r.ticket.facts, world.mission.g0, {})
            for r in rows
        )
        assert alone >= 0.03 * len(rows)


def test_the_same_seed_gives_the_same_world_and_tickets():
    first, again, other = (
        stage_a_rows(w, draw_tickets(w, 50, 3))
        for w in (sample_world(2, "bbu_line"), sample_world(2, "bbu_line"), sample_world(3, "bbu_line"))
    )
    assert first == again != other


def test_the_command_writes_valid_tickets_and_their_truth_apart(tmp_path):
    output, truth = tmp_path / "stage_a.jsonl", tmp_path / "truth.jsonl"
    main(mission="bbu_line", seed=1, tickets=60, flip=0.05, output=output, truth=truth)
    rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    head, *rest = [json.loads(line) for line in truth.read_text(encoding="utf-8").splitlines()]
    assert [f"{row['group_id']}::{row['label']}" for row in rows] == [row["ticket_key"] for row in rest]
    assert all(list(row) == ["group_id", "mission", "label", "images", "per_image"] for row in rows)
    assert all(list(row["per_image"]) == [f"image_{i}" for i in range(1, len(row["images"]) + 1)] for row in rows)
    assert len({row["group_id"] for row in rows}) == 60 and all(
        re.fullmatch(r"QC-(TEMP-)?\d{8}-\d{7}", row["group_id"]) for row in rows
    )
    assert sum(row["flipped"] for row in rest) == 3
    assert all(parse_rule(text) for text in head["hidden_rules"]) and len(head["hidden_rules"]) == 4


def test_segments_keep_the_format_of_real_summaries():
    rng, segments = Random(4), []
    for mission in MISSIONS.values():
        for _ in range(80):
            for summary in make_ticket(rng, mission, base_profile(mission, real=True)).summaries:
                assert summary and "\n" not in summary
                segments += re.split("[，；]", summary)
    shaped = sum(bool(re.fullmatch(r"[^×]+ ?✅?×{1,2}\d+", segment)) for segment in segments)
    assert shaped / len(segments) > 0.95
    heads = Counter(segment.split("/")[0].split("×")[0] for segment in segments)
    assert {
        "螺丝、光纤插头",
        "BBU设备",
        "光纤",
        "标签",
        "挡风板",
        "电线",
        "无关图片",
        "RRU设备",
        "紧固件",
        "尾纤",
        "接地线",
    } <= set(heads)
    text = "，".join(segments)
    for slip in (
        "需复核备注:",
        "需复核,备注:",
        "标签无法识别",
        "标签/无法识别",
        "螺丝/",
        "只显示部分",
        "按要求配备了挡风板",
        "站点距离/",
        "组1:",
    ):
        assert slip in text


def test_only_words_that_claim_compliance_count_as_seen():
    rng, mission, name = Random(6), MISSIONS["bbu_line"], "机柜处接地螺丝"
    for _ in range(400):
        ticket = make_ticket(rng, mission, base_profile(mission))
        claims = any(
            name in part and "不" not in part.split(name)[-1] and "符合要求" in part
            for s in ticket.summaries
            for part in re.split("[，；]", s)
        )
        assert bool(ticket.facts.bits & BIT[name]) == claims, ticket.summaries


def test_facts_expected_of_a_plan_are_nearly_always_those_written():
    rng, same = Random(8), 0
    for _ in range(400):
        mission = MISSIONS[rng.choice(list(MISSIONS))]
        profile = base_profile(mission)
        plan = plan_ticket(rng, mission, profile)
        same += verdict(plan.expected(), mission.g0, {}) == verdict(
            write_ticket(rng, mission, profile, plan).facts, mission.g0, {}
        )
    assert same >= 360


def test_verdict_targets_keep_the_protocol_and_cite_rules_that_stand():
    rng, seen = Random(1), Counter()
    for _ in range(300):
        sample = verdict_sample(rng)
        answer = parse(sample.answer)
        assert answer.why is None and third_state_word(sample.answer + sample.system + sample.user) is None
        keys = re.findall(r"^(G\d+): ", sample.system, re.MULTILINE)
        assert keys == sorted(keys, key=rule_number) and set(cited_rules(answer.reason)) <= set(keys)
        seen[answer.verdict] += 1
    assert min(seen.values()) > 90


def test_reflection_targets_are_strict_json_that_neither_repeats_nor_breaks_rules():
    rng, seen = Random(2), Counter()
    for _ in range(250):
        sample, value, scene = reflection_case(rng)
        assert json.loads(sample.answer) == value and set(value) == {"operations", "unexplainable"}
        assert third_state_word(sample.answer) is None
        cases = len(re.findall(r"^案例\d+ 人工:", sample.user, re.MULTILINE))
        assert all(1 <= number <= cases for op in value["operations"] for number in op["evidence"]) and all(
            1 <= n <= cases for n in value["unexplainable"]
        )
        for op in value["operations"]:
            seen[op["op"]] += 1
            assert op["op"] != "add" or parse_rule(op["text"]) not in scene.rules.values()
            assert not {op.get("key"), *op.get("keys", ())} & {"G0"} and {op.get("key"), *op.get("keys", ())} - {
                None
            } <= set(scene.guidance)
        seen["none"] += not value["operations"]
    assert set(seen) == {"add", "delete", "update", "merge", "none"}


def test_a_case_is_never_both_evidence_and_unexplainable():
    rng = Random(3)
    for _ in range(100):
        _, value, _ = reflection_case(rng)
        explained = {number for op in value["operations"] if op["op"] != "merge" for number in op["evidence"]}
        assert all(op["evidence"] for op in value["operations"]) and not explained & set(value["unexplainable"])


def test_the_shipped_tokenizer_writes_the_header_in_pieces_as_in_one():
    path = Path(__file__).resolve().parents[2] / "data" / "miniature" / "teacher.gguf"
    if not path.exists():
        pytest.skip("data/miniature/teacher.gguf is not there")
    from verdicts.engines.llama.runtime import Model

    model = Model(path, 0)
    try:
        for word in ("通过", "不通过"):
            whole = model.plain_ids(f"{HEADER}{word}\n{REASON_HEADER}缺少BBU设备(G3)")
            pieces = [model.plain_ids(piece) for piece in (HEADER, word, f"\n{REASON_HEADER}", "缺少BBU设备(G3)")]
            assert whole == [i for piece in pieces for i in piece] and len(pieces[1]) == 1
        assert len(model.plain_ids("<|im_end|>")) > 1 and len(model.template_ids("<|im_end|>")) == 1
    finally:
        model.close()
