"""The measurement of credit draws harmful rules that are harmful."""

from random import Random

from miniature.measure import credit
from miniature.measure.credit import EACH, harmful_rules
from miniature.world.dataset import draw_tickets, sample_world, verdict
from tests.support.fake_engine import FakeEngine


def test_a_harmful_rule_turns_clean_verdicts_and_is_none_of_the_worlds():
    world = sample_world(700, "bbu_line")
    rows = draw_tickets(world, 100, 700, 0.1)
    found = harmful_rules(world, Random(1), rows)
    assert len(found) == EACH and not set(found) & set(world.hidden)
    for rule in found:
        now = [verdict(row.ticket.facts, world.mission.g0, world.rules | {"X": rule}) for row in rows]
        assert sum(said != row.clean for said, row in zip(now, rows, strict=True)) >= 4


def test_worlds_begin_with_the_seed_that_is_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(credit, "open_teacher", lambda model: FakeEngine())
    monkeypatch.setattr(credit, "kept_rules", lambda *_: {})
    credit.main(worlds=2, first=703)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line[0] == "7"] == [
        f"{n} {how} {{}}" for n in (703, 704) for how in ("cited", "causal")
    ]
