"""The measurement of credit draws harmful rules that are harmful."""

from random import Random

from miniature.measure.credit import EACH, harmful_rules
from miniature.world.dataset import draw_tickets, sample_world, verdict


def test_a_harmful_rule_turns_clean_verdicts_and_is_none_of_the_worlds():
    world = sample_world(700, "bbu_line")
    rows = draw_tickets(world, 100, 700, 0.1)
    found = harmful_rules(world, Random(1), rows)
    assert len(found) == EACH and not set(found) & set(world.hidden)
    for rule in found:
        now = [verdict(row.ticket.facts, world.mission.g0, world.rules | {"X": rule}) for row in rows]
        assert sum(said != row.clean for said, row in zip(now, rows, strict=True)) >= 4
