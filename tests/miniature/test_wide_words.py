"""Composed wordings and focused reflections: many, none of them asked for in measurements, each rule in its turn."""

import json
from collections import Counter
from random import Random

import pytest

from miniature.measure.wordings import FOREIGN, UNTAUGHT
from miniature.teacher.focused_reflection import focused_case, reflection_sample
from miniature.teacher.laws import any_verdict_sample, draw_law, law_sample
from miniature.teacher.verdict_data import draw_g0, draw_rules, worded_widely
from miniature.teacher.wordings import COMPOSED, HELD_BACK, IDLE, PATTERNS, WORDS, compose, idle, sentences
from miniature.world.dataset import fail_rules, tune, waive_rules
from miniature.world.missions import MISSIONS
from miniature.world.rules import WORDINGS, WorldRule, apply_rules, parse_rule, verdict
from miniature.world.tickets import base_profile, plan_ticket, write_ticket
from miniature.world.vocabulary import BIT
from verdicts.stage_b.protocol import cited_rules, parse

TEXTS = {kind: {text for family in families for text in family} for kind, families in COMPOSED.items()}
ASKED = sorted({text for texts in UNTAUGHT.values() for text in texts} | set(FOREIGN.values()))


def test_a_pattern_gives_every_choice_once_but_those_held_back():
    assert sentences("[若|凡][缺|无]{}，打回") == ("若缺{}，打回", "若无{}，打回", "凡缺{}，打回", "凡无{}，打回")
    assert sentences("没有的[就|一律]打回") == ("没有的就打回",)


def test_each_kind_has_hundreds_of_sentences_about_one_thing_each():
    for kind, texts in TEXTS.items():
        assert len(COMPOSED[kind]) >= 12 and len(texts) > 10_000, kind
        assert all("{}" in text and not set("[]<>|") & set(text) for text in texts), kind
        assert all(text.count("{}") == 1 or "（含{}张）" in text for text in texts), kind


def test_no_sentence_means_two_things_or_nothing():
    kinds = sorted(TEXTS)
    idle_texts = {text for family in IDLE for text in family}
    for index, kind in enumerate(kinds):
        assert not TEXTS[kind] & idle_texts
        assert not any(TEXTS[kind] & TEXTS[other] for other in kinds[index + 1 :]), kind
        taught = {text for other, texts in WORDINGS.items() if other != kind for text in texts}
        assert not TEXTS[kind] & taught, kind


@pytest.mark.parametrize("kind", sorted(COMPOSED))
def test_no_composed_sentence_holds_a_clause_that_is_asked_of_the_model(kind):
    clauses = {clause for text in ASKED for clause in text.split("，")}
    assert len(clauses) > 30
    ends = {part for text in ASKED for part in text.split("{}") if len(part) > 4}
    held = Counter(part for text in TEXTS[kind] for part in clauses | ends if part in text)
    assert not held


@pytest.mark.parametrize("kind", sorted(COMPOSED))
def test_no_composed_sentence_is_one_character_from_one_that_is_asked_of_the_model(kind):
    near = [(text, asked) for text in TEXTS[kind] for asked in UNTAUGHT[kind] if one_apart(text, asked)]
    assert not near


def one_apart(one, other):
    """Whether two texts are the same but for one character, or one has one more."""
    if len(one) == len(other):
        return sum(a != b for a, b in zip(one, other, strict=True)) <= 1
    longer, shorter = sorted((one, other), key=len, reverse=True)
    return len(longer) == len(shorter) + 1 and any(
        longer[:index] + longer[index + 1 :] == shorter for index in range(len(longer))
    )


def test_what_is_held_back_would_be_composed_otherwise():
    patterns = "".join("".join(families) for families in PATTERNS.values()) + "".join(WORDS.values())
    assert all(set(part) <= set(patterns) for part in HELD_BACK)


def test_half_of_the_rules_are_in_the_words_that_reflection_proposes():
    rng, rule = Random(1), WorldRule("forbid", "电线散乱")
    seen = Counter(worded_widely(rng, rule) for _ in range(2000))
    composed = sum(n for text, n in seen.items() if parse_rule(text) != rule)
    assert 0.4 < seen[rule.text()] / 2000 < 0.65 and 0.3 < composed / 2000 < 0.45
    assert len(seen) > 400


def test_words_for_and_against_differ_in_small_words_only():
    assert "出现{}就不通过" in TEXTS["forbid"] and "出现{}也通过" in TEXTS["waive_negative"]
    assert "没有{}就不通过" in TEXTS["require"] and "没有{}也通过" in TEXTS["waive_missing"]
    rng = Random(2)
    assert "BBU设备" in compose(rng, "require", "BBU设备")
    assert "3张" in compose(rng, "photos", "3")
    assert any("BBU设备" in idle(rng, "BBU设备") for _ in range(40))


def test_the_quick_verdict_is_the_explained_one():
    rng, seen = Random(3), Counter()
    for _ in range(3000):
        mission = rng.choice(list(MISSIONS.values()))
        g0, rules = draw_g0(rng, mission)[0], dict(enumerate([*draw_rules(rng, mission), None]))
        facts = plan_ticket(rng, mission, base_profile(mission)).expected()
        assert verdict(facts, g0, rules) == apply_rules(facts, g0, rules).verdict
        seen[verdict(facts, g0, rules)] += 1
    assert min(seen["pass"], seen["fail"]) > 500


def test_each_rule_that_a_world_may_hide_is_asked_for():
    rng, said, cases = Random(4), Counter(), Counter()
    for _ in range(3500):
        _, value, scene = focused_case(rng)
        for operation in value["operations"]:
            if operation["op"] == "add":
                said[scene.mission.slug, parse_rule(operation["text"])] += 1
                cases[len(operation["evidence"])] += 1
    for mission in MISSIONS.values():
        for rule in fail_rules(mission) + waive_rules(mission):
            assert said[mission.slug, rule] >= 2, (mission.slug, rule)
        common = WorldRule("forbid", "标签无法识别")
        assert said[mission.slug, common] >= 8
    assert sum(n for size, n in cases.items() if size > 1) > 0.85 * sum(cases.values())


def test_every_operation_is_needed_in_focused_samples():
    rng, seen = Random(5), Counter()
    for _ in range(600):
        sample, value, scene = focused_case(rng)
        assert json.loads(sample.answer) == value
        seen.update([operation["op"] for operation in value["operations"]] or ["none"])
        for operation in value["operations"]:
            assert set(operation.get("keys", [operation.get("key")])) <= {None, *scene.rules}
    assert seen["add"] > 300 and all(seen[op] > 15 for op in ("delete", "update", "merge", "none"))


def test_guidance_of_reflection_is_in_wide_words_and_its_answer_in_the_proposing_ones():
    rng = Random(6)
    samples = [reflection_sample(rng) for _ in range(150)]
    lines = [
        line.split(": ", 1)[1]
        for sample in samples
        for line in sample.system.split("\n")
        if line.startswith("G") and line[1:2].isdigit() and not line.startswith("G0:")
    ]
    assert 0.2 < sum(parse_rule(line) is None for line in lines) / len(lines) < 0.5
    for sample in samples:
        for operation in json.loads(sample.answer)["operations"]:
            if operation["op"] == "add":
                assert parse_rule(operation["text"]).text() == operation["text"]


def test_a_law_is_judged_by_both_of_its_parts():
    rng, turned = Random(7), Counter()
    for _ in range(1500):
        mission = rng.choice(list(MISSIONS.values()))
        law = draw_law(rng, mission, mission.g0)
        profile = base_profile(mission)
        for rule in (law.one, law.other):
            tune(profile, rule, rng, wide=True)
        ticket = write_ticket(rng, mission, profile, plan_ticket(rng, mission, profile))
        facts, rules = ticket.facts, {"G1": law.one, "G2": law.other}
        got = law.judge(ticket, mission.g0, {}, "G7")
        before = apply_rules(facts, mission.g0, {})
        turned[law.kind, got.verdict != before.verdict] += 1
        if law.kind == "both" and got.verdict != before.verdict:
            assert apply_rules(facts, mission.g0, rules).causes == tuple(
                (cause, key) for cause, key in zip(got.causes[0][0].split("且"), ("G1", "G2"), strict=True)
            )
        if law.kind == "waiver" and got.verdict != before.verdict:
            assert facts.bits & BIT[law.other.what] and ("G7" in dict(map(reversed, got.waived)))
        if law.kind == "count":
            seen = sum(bool(bits & BIT[law.one.what]) for bits in ticket.seen)
            assert (got.verdict == "fail") == (before.verdict == "fail" or seen < 2)
    assert all(turned[kind, True] > 15 for kind in ("both", "waiver", "count"))


def test_laws_are_told_in_other_words_than_they_are_asked_in():
    rng, verdicts = Random(8), Counter()
    for _ in range(400):
        sample = law_sample(rng)
        verdicts[parse(sample.answer).verdict] += 1
        said = "\n".join(line for line in sample.system.split("\n") if line.startswith("G"))
        assert (
            "照片少于两张" not in said
            and "可豁免，但缺少" not in said
            and "同时缺少" not in said.replace("，同时又", "")
        )
        assert set(cited_rules(sample.answer)) <= {line.split(":")[0] for line in said.split("\n")}
    assert min(verdicts.values()) > 120
    texts = [law_sample(rng) for _ in range(60)] + [any_verdict_sample(rng) for _ in range(60)]
    assert all(clause not in text.system for text in texts for clause in ("没有它即否决", "，请判不通过", "也可以通过"))
