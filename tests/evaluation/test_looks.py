"""Looks at the same held-out questions are counted, cost a higher sureness where asked for, and are not lost."""

from pathlib import Path

import pytest

from tests.support.judging import GOOD, Bench, answers
from verdicts.base.errors import UserError
from verdicts.base.jsonl import read_rows
from verdicts.evaluation.gate_words import gate_in_chinese
from verdicts.evaluation.looks import ALL, count_look, level_of_look
from verdicts.records.evaluation import GateLook, MadeFrom, Named

QUESTIONS = "9" * 16
MADE = MadeFrom(held_out="held_out", questions=QUESTIONS, files={}, guidance="c" * 16, settings={}, base=None)


def test_the_levels_of_all_looks_there_may_ever_be_sum_to_five_percent():
    assert [level_of_look(number) for number in (1, 2, 3)] == pytest.approx([0.025, 0.05 / 6, 0.05 / 12])
    assert 0.0499 < sum(map(level_of_look, range(1, 1000))) < ALL


def test_another_student_or_threshold_is_a_look_and_the_same_again_is_none(tmp_path):
    ledger = tmp_path / "looks.jsonl"
    looked = [("a", None), ("b", None), ("a", None), ("a", 0.3), ("a", 0.3)]
    assert [len(count_look(ledger, QUESTIONS, *one).looks) for one in looked] == [1, 2, 1, 3, 3]
    assert count_look(ledger, "8" * 16, "a", None).looks[-1].number == 1
    assert len(read_rows(ledger, GateLook)) == 4


@pytest.mark.parametrize("edit", [lambda rows: rows[1:], lambda rows: [rows[0], rows[2]], lambda rows: rows[::-1]])
def test_a_ledger_that_was_edited_is_refused_with_its_line(tmp_path, edit):
    ledger = tmp_path / "looks.jsonl"
    for student in "abc":
        count_look(ledger, QUESTIONS, student, None)
    ledger.write_text("\n".join(edit(ledger.read_text().splitlines())) + "\n")
    with pytest.raises(UserError, match=r"looks.jsonl:\d: before: this line does not follow"):
        count_look(ledger, QUESTIONS, "d", None)


class Gates:
    """Two students of two runs, judged on the same questions: 0 of 80 fails released, which 95 % takes for 5 %."""

    def __init__(self, runs: Path):
        self.runs, self.ledger = runs, runs / "looks.jsonl"
        self.benches = {}
        for name in ("one", "two"):
            (folder := runs / name / "bbu_line" / "evaluation" / f"{name}-99999999").mkdir(parents=True)
            bench = self.benches[name] = Bench(folder)
            for side, said in (("before", GOOD | {"fail": ["pass"] * 80}), ("after", GOOD)):
                rows = answers(said["fail"], said["pass"], said["summary"], said["dense"])
                bench.write_answers(side, rows, made_from=MADE, student=Named(folder=side, sha256=f"{name} {side}"))

    def gate(self, name: str, **knobs):
        self.benches[name].configure(**knobs)
        return self.benches[name].gate(looks=self.ledger)


def test_the_gate_counts_its_looks_and_a_deleted_ledger_comes_back_from_gate_records(tmp_path):
    gates = Gates(tmp_path / "runs")
    assert "student 2" not in gates.gate("one").err
    assert "this is student 2 that is judged on these questions" in gates.gate("two").err
    found = gates.benches["two"].found()
    assert [look.number for look in found.looks] == [1, 2] and gate_in_chinese(found.remarks[0])
    before = gates.ledger.read_bytes()
    gates.ledger.unlink()
    (tmp_path / "runs/one/bbu_line/evaluation/one-99999999/gate.json").unlink()
    outcome = gates.gate("two")
    assert outcome.code == 0 and "lacked 2 looks that gate records know" in outcome.err
    assert gates.ledger.read_bytes() == before


def test_spending_makes_a_further_student_surer_and_free_looks_do_not(tmp_path):
    gates = Gates(tmp_path / "runs")
    assert gates.gate("one").code == 0 and gates.gate("two").code == 0
    outcome = gates.gate("two", looks="spend")
    assert outcome.code == 1
    assert "0 of 80 held-out fails released, at most 8.00% at 99.17 %" in outcome.err
    gates.benches["one"].configure(looks="spend")
    assert "gate.looks: is spend, and no ledger is named" in gates.benches["one"].gate().err
