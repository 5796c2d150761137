"""What people of the miniature world write of tickets that they failed."""

from collections import Counter
from random import Random

import pytest

from miniature.measure.worlds import path_of
from miniature.world.dataset import draw_tickets, sample_world, stage_a_rows
from miniature.world.notes import NO_USE, notes_of, with_notes
from miniature.world.vocabulary import NEGATIVE, POSITIVE
from tests.support.builders import guidance, reflection
from verdicts.measure.rehearsal import Rehearsed
from verdicts.records.reflection import AppliedOperation, Operation, Trial
from verdicts.records.run import LoopStatus
from verdicts.records.tickets import StageA

WORLD = sample_world(1, "bbu_line")


@pytest.mark.parametrize(
    "cause", [*(f"缺少{name}" for name in POSITIVE), *(f"出现{name}" for name in NEGATIVE), "照片少于3张"]
)
def test_every_cause_of_a_fail_can_be_written_of_in_varied_words(cause):
    found = {note for seed in range(60) for note in notes_of(Random(seed), [cause])} - set(NO_USE)
    assert len(found) >= 5


def test_notes_stand_on_failed_tickets_alone_a_quarter_has_none_and_a_fifth_says_nothing():
    drawn = draw_tickets(WORLD, 2000, 1, 0.0)
    tickets = [StageA.model_validate(row) for row in stage_a_rows(WORLD, drawn)]
    noted = with_notes(WORLD, drawn, tickets, 1)
    assert noted == with_notes(WORLD, drawn, tickets, 1) != with_notes(WORLD, drawn, tickets, 2)
    assert not any(ticket.fail_reasons for ticket in noted if ticket.label == "pass")
    failed = [ticket.fail_reasons for ticket in noted if ticket.label == "fail"]
    kinds = Counter(
        "none" if not reasons else "no use" if set(reasons) <= set(NO_USE) else "cause" for reasons in failed
    )
    assert kinds["none"] / len(failed) == pytest.approx(0.25, abs=0.04)
    assert kinds["no use"] / len(failed) == pytest.approx(0.2, abs=0.04)


def test_most_notes_on_flipped_labels_are_of_no_use():
    drawn = [row for row in draw_tickets(WORLD, 2000, 1, 0.1) if row.label == "fail" and row.clean == "pass"]
    noted = with_notes(WORLD, drawn, [StageA.model_validate(row) for row in stage_a_rows(WORLD, drawn)], 1)
    texts = [text for ticket in noted for text in ticket.fail_reasons]
    assert len(drawn) > 50 and sum(text in NO_USE for text in texts) / len(texts) > 0.5


def test_the_path_to_hidden_rules_is_told_in_rounds_and_calls():
    first, second = WORLD.hidden[0].text(), WORLD.hidden[1].text()
    trial = Trial(errors=0, corrects=0, fixed=[], broke=[], precision=None, p_value=1.0)

    def call(round: int, number: str, *texts: str):
        applied = [
            AppliedOperation(op=Operation(op="add", text=text, evidence=["a"]), key="G1", trial=trial) for text in texts
        ]
        return reflection(round=round, number=number, applied=applied)

    rounds = [
        [reflection(1), call(1, "01", first, "别的规则"), call(1, "02")],
        [reflection(2), call(2, "01", second)],
        [reflection(3), call(3, "01"), call(3, "02")],
    ]
    status = LoopStatus(status="converged", rounds=3, epochs=1, rounds_per_epoch=3, oscillations=[])
    done = Rehearsed(guidance(G1=first, G2="别的规则", G3=second), status, rounds)
    path = path_of(done, {"rollout": 7}, WORLD)
    assert path == {
        "found": 2, "found_in": [1, 2], "wrong": 1, "rounds": 3, "calls_to_find": 3, "asked": {"rollout": 7},
    }  # fmt: skip
    nothing = path_of(Rehearsed(guidance(), status, rounds), {}, WORLD)
    assert (nothing["found_in"], nothing["calls_to_find"]) == ([], 0)
