"""Harder worlds: what is right in each, which labels are wrong, and wordings that no training text holds."""

import json
from collections import Counter
from functools import cache
from random import Random

import pytest

from miniature.measure import wordings as wordings_of
from miniature.measure import worlds
from miniature.measure.wordings import FOREIGN, UNTAUGHT, law_sorts, of_world, wordings
from miniature.measure.worlds import balanced_tickets, begun_with, main, tickets_before
from miniature.teacher.focused_reflection import reflection_sample
from miniature.teacher.verdict_data import verdict_sample
from miniature.world.dataset import draw_tickets, fail_rules, sample_world
from miniature.world.harder import KINDS, both, count, drift, fires, harder, photos_of, unless
from miniature.world.rules import WORDINGS, parse_rule
from miniature.world.vocabulary import BIT
from tests.support.fake_engine import FakeEngine
from verdicts.base.errors import UserError
from verdicts.config.load import load

WORLD = sample_world(1, "bbu_line")  # two rules that fail tickets, two that waive something missing


@cache
def of_kind(kind):
    return harder(kind, WORLD, 1)


def drawn(hard, n=600, seed=1):
    return hard.judge(hard.world, n, seed, 0.0)


def test_two_rules_fail_a_ticket_only_where_both_speak_against_it():
    hard = both(WORLD)
    one, other = hard.parts
    seen = Counter()
    for row in drawn(hard):
        speak = fires(one, row.ticket) + fires(other, row.ticket)
        assert row.clean == ("fail" if speak == 2 else hard.world.verdict(row.ticket.facts))
        seen[speak, row.clean] += 1
    assert seen[1, "pass"] and seen[2, "fail"] and not seen[2, "pass"]


def test_an_exception_to_an_exception_holds_where_the_thing_is_missing():
    hard = unless(WORLD)
    shown = hard.law.split("但缺少")[1].removesuffix("时不可豁免")
    for row in drawn(hard):
        world = WORLD if row.ticket.facts.bits & BIT[shown] else hard.world
        assert row.clean == world.verdict(row.ticket.facts)


def test_a_count_asks_for_two_photos_that_show_the_thing_each():
    hard = count(WORLD)
    wanted, seen = hard.parts[0].what, Counter()
    for row in drawn(hard):
        assert photos_of(wanted, row.ticket) == sum(bool(bits & BIT[wanted]) for bits in row.ticket.seen)
        photos = min(2, photos_of(wanted, row.ticket))
        assert (photos == 0) == fires(hard.parts[0], row.ticket)
        assert row.clean == ("fail" if photos < 2 else hard.world.verdict(row.ticket.facts))
        seen[photos] += 1
    assert min(seen.values()) > 20 and len(seen) == 3


@pytest.mark.parametrize(("kind", "wrong"), [("lax", "fail"), ("harsh", "pass")])
def test_two_of_five_labels_of_one_side_are_wrong_and_none_of_the_other(kind, wrong):
    hard = of_kind(kind)
    rows = balanced_tickets(hard.world, 1000, 1, 0.0, 0.5, hard.learn)
    flipped = Counter(row.clean for row in rows if row.label != row.clean)
    assert set(flipped) == {wrong} and flipped[wrong] / 500 == pytest.approx(0.4, abs=0.07)
    assert all(row.label == row.clean for row in drawn(hard))  # judged by what is right


def test_a_quarter_of_the_tickets_is_of_another_mission_and_none_that_is_judged():
    hard = of_kind("missions")
    rows = hard.learn(hard.world, 1000, 1, 0.05)
    assert sum(row.group_id.startswith("F-") for row in rows) / 1000 == pytest.approx(0.25, abs=0.05)
    assert len({row.group_id for row in rows}) == 1000
    assert drawn(hard) == draw_tickets(WORLD, 600, 1, 0.0)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_rule_gives_way_to_another_that_turns_enough_tickets(seed):
    world = sample_world(seed, "bbu_line")
    hard = drift(world, seed)
    gone = hard.parts[0]
    (new,) = set(hard.world.hidden) - set(world.hidden)
    assert hard.before == world and gone in world.hidden and gone not in hard.world.hidden
    assert new in fail_rules(world.mission) and hard == drift(world, seed)
    left = hard.world._replace(hidden=tuple(rule for rule in hard.world.hidden if rule != new))
    rows = drawn(hard)
    assert sum(row.clean != left.verdict(row.ticket.facts) for row in rows) >= 0.04 * len(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_gives_half_fails_and_the_same_tickets_again(kind):
    hard = of_kind(kind)
    rows = balanced_tickets(hard.world, 100, 1, 0.05, 0.5, hard.learn)
    assert Counter(row.clean for row in rows) == {"fail": 50, "pass": 50}
    assert rows == balanced_tickets(hard.world, 100, 1, 0.05, 0.5, hard.learn)


def test_no_training_text_holds_a_wording_that_counts_as_untaught():
    rng = Random(1)
    taught = "\n".join(verdict_sample(rng).system + reflection_sample(rng).system for _ in range(60))
    assert all(kind in taught for kind in ("缺失则不通过", "可豁免", "照片少于"))
    for kind in WORDINGS:
        for wording in (*UNTAUGHT[kind], FOREIGN[kind]):
            assert parse_rule(wording.format("3" if kind == "photos" else "BBU设备")) is None
            before, after = wording.split("{}")
            assert not (len(before) > 4 and before in taught) and not (len(after) > 4 and after in taught)


def test_a_wording_is_asked_of_tickets_that_the_rule_turns_and_of_such_that_it_leaves_alone():
    bare = WORLD._replace(hidden=())
    asked = list(wordings(WORLD, 1, 5))
    assert len(asked) == sum(len(WORDINGS[rule.kind]) + len(UNTAUGHT[rule.kind]) + 1 for rule in WORLD.hidden)
    for _, _, sorts in asked:
        assert all(right != bare.verdict(row.ticket.facts) for row, right in sorts["turned"])
        assert all(right == bare.verdict(row.ticket.facts) for row, right in sorts["left alone"])
        assert [len(rows) for rows in sorts.values()] == [5, 5]


def test_a_law_is_asked_where_its_parts_would_say_something_else():
    for make, name in ((both, "left alone, its parts would turn it"), (count, "turned, its parts would not turn it")):
        hard = make(WORLD._replace(hidden=make(WORLD).parts))
        assert len(law_sorts(hard, WORLD, 1, 8)[name]) == 8


def test_a_teacher_that_always_fails_is_right_where_fail_is_right():
    counts = of_world(FakeEngine(judges=lambda system, user: "fail"), "bbu_line", 1, 4)
    assert counts["require, untaught", "turned", "right"] == counts["require, untaught", "turned", "n"] == 20
    assert counts["waive_missing, taught", "turned", "right"] == 0 < counts["waive_missing, taught", "turned", "n"]


def test_a_world_that_changed_is_learnt_from_what_was_learnt_before_it_did():
    hard = harder("drift", WORLD, 1)
    rows = tickets_before(hard, 40, 1, 0.0, 0.5)
    again = balanced_tickets(WORLD, 40, 501, 0.0, 0.5)
    assert [(row.group_id, row.label) for row in rows] == [(row.group_id, row.clean) for row in again]
    config = begun_with(load("miniature", "bbu_line"), [hard.parts[0].text()])
    assert config.mission.rules == [hard.parts[0].text()]


def test_a_harder_world_is_measured_and_says_its_law(tmp_path, capsys):
    output = tmp_path / "results.json"
    main(seeds=1, flips="0.05", fails="0.5", tickets=12, held_out=8, planted=False, kind="both", output=output)
    (row,) = json.loads(output.read_text(encoding="utf-8"))["worlds"]
    assert row["kind"] == "both" and row["law"] in capsys.readouterr().out and len(row["hidden"]) == 2


def test_worlds_begin_with_the_seed_that_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(worlds, "measure", lambda seed, *_: {"seed": seed, "flip": 0.05, "fails": 0.5})
    for name in ("row_text", "table_row"):
        monkeypatch.setattr(worlds, name, str)
    output = tmp_path / "results.json"
    main(seeds=2, first=7, fails="0.5", output=output)
    assert [row["seed"] for row in json.loads(output.read_text(encoding="utf-8"))["worlds"]] == [7, 8]


def test_wordings_are_asked_of_the_worlds_that_are_asked_for(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("verdicts.engines.open_engine", lambda _: FakeEngine())
    monkeypatch.setattr(wordings_of, "of_world", lambda engine, mission, seed, tickets: asked.append(seed) or Counter())
    wordings_of.main(seeds=2, first=4, output=tmp_path / "wordings.json")
    assert asked == [4, 5]
    assert json.loads((tmp_path / "wordings.json").read_text("utf-8")) == {"first": 4, "seeds": 2, "counts": {}}


def test_a_kind_of_world_that_there_is_not_is_named():
    with pytest.raises(UserError, match=r"--kind: unknown kind of world \(odd\); choose one of plain, both"):
        main(kind="odd")
