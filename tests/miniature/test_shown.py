"""Which hidden rules the tickets of a world can show: counted by the world's law, without a model."""

import pytest

from miniature.measure.shown import HiddenRule, hidden_rules, main
from miniature.measure.worlds import balanced_tickets
from miniature.world.dataset import sample_world, verdict
from verdicts.config.load import load
from verdicts.rounds.holdout import to_learn_from

WORLD = sample_world(6, "bbu_line")


def of(tickets: int, flip: float, fails: float = 0.3) -> list[HiddenRule]:
    labelled = balanced_tickets(WORLD, tickets, 6, flip, fails)
    return hidden_rules(WORLD, labelled, flip, load("miniature", "bbu_line"))


def test_a_hidden_rule_turns_the_learn_tickets_that_are_judged_otherwise_without_it():
    labelled = balanced_tickets(WORLD, 200, 6, 0.2, 0.5)
    learnt_from = to_learn_from(labelled, load("miniature", "bbu_line").learn)
    assert len(learnt_from) < 200
    found = hidden_rules(WORLD, labelled, 0.2, load("miniature", "bbu_line"))
    assert [rule.text for rule in found] == [rule.text() for rule in WORLD.hidden]
    for rule, key in zip(found, WORLD.rules, strict=True):
        others = {name: kept for name, kept in WORLD.rules.items() if name != key}
        assert rule.turned == sum(
            verdict(row.ticket.facts, WORLD.mission.g0, others) != row.clean for row in learnt_from
        )


def test_more_tickets_and_fewer_wrong_labels_show_more_rules():
    shown = [sum(rule.is_shown for rule in of(*kind)) for kind in ((400, 0.2), (1200, 0.2), (1200, 0.05))]
    assert shown[0] < shown[1] < shown[2] == 4


@pytest.mark.parametrize(("turned", "least", "shown"), [(5, 11, False), (11, 11, True), (5, None, False)])
def test_a_rule_is_shown_by_as_many_tickets_as_it_takes(turned, least, shown):
    assert HiddenRule("须见标签", turned, least).is_shown is shown


def test_rules_that_the_tickets_cannot_show_are_named(capsys):
    main(seeds=1, first=6, flips="0.2", fails="0.3")
    line = capsys.readouterr().out
    assert line.startswith("| 20% | 30% | ") and "world 6 出现设备只显示部分则不通过 turns " in line
