"""The operating point: chosen on some groups so that FRR keeps its target, told to predict, refused to strangers."""

import random
from pathlib import Path

import pytest
import yaml

from tests.support.builders import MISSION, Outcome, call
from tests.support.judging import GOOD, answers
from tests.support.judging import Bench as GateBench
from verdicts.base.jsonl import read_json, write_json, write_rows, write_text
from verdicts.config.sections import CalibrateSection
from verdicts.evaluation.operating_point import (
    LabelledChance,
    TooFew,
    choose,
    false_block_at,
    frr_at,
    point_of,
    release_at,
)
from verdicts.evaluation.questions import Question
from verdicts.evaluation.scores import answers_path, score, tally
from verdicts.records.evaluation import Evaluation, MadeFrom, Named, OperatingPoint
from verdicts.stage_b.protocol import render

SHOWN = "FRR of at most 0.05 at 95% confidence"
SECTION = {"target": 0.05, "confidence": 0.95, "share": 0.5, "seed": 17}
MADE = MadeFrom(held_out="held_out", questions="9" * 16, files={}, guidance="c" * 16, settings={}, base=None)
JUDGE = {"mission": MISSION, "engine": "transformers", "student": Named(folder="s", sha256="a"), "guidance": "c" * 16}


def test_the_threshold_is_the_largest_that_is_shown_and_a_chance_at_it_fails():
    sure = choose([0.9] * 59, 0.05, 0.95)
    assert (sure.released, sure.fails, sure.bound) == (0, 59, 0.049508)
    assert sure.threshold <= 0.9 < sure.threshold + 0.02
    one = choose([0.9] * 92 + [0.3], 0.05, 0.95)  # one release in 93 is allowed
    assert one.released == 1 and one.threshold > 0.3
    assert choose([0.9] * 91 + [0.3], 0.05, 0.95).threshold <= 0.3


@pytest.mark.parametrize(
    ("chances", "words"),
    [
        ([0.9] * 58, f"58 fails cannot show {SHOWN}, even without a release: 59 are needed, 1 are missing"),
        ([], f"0 fails cannot show {SHOWN}, even without a release: 59 are needed, 59 are missing"),
        (
            [0.0] + [0.9] * 58,
            f"no threshold shows {SHOWN}: even P(fail) 2e-06 releases 1 of 59 fails; with so many released 93 fails "
            "are needed, 34 are missing",
        ),
    ],
)
def test_too_few_fails_are_counted_and_so_are_those_that_are_missing(chances, words):
    found = choose(chances, 0.05, 0.95)
    assert isinstance(found, TooFew) and found.sentence(0.05, 0.95) == words


def population(size: int) -> list[LabelledChance]:
    """Groups of up to two tickets, a fail and a pass, whose P(fail) overlap."""
    draw, rows = random.Random(5), []
    for at in range(size):
        rows.append(LabelledChance(f"g{at}", "fail", round(draw.betavariate(3, 1), 6)))
        rows += [LabelledChance(f"g{at}", "pass", round(draw.betavariate(1, 3), 6))] * (at % 2)
    return rows


def test_of_200_resamples_of_groups_at_least_95_percent_keep_the_target():
    """True FRR is that of the population that the groups are drawn from."""
    rows, kept, draw = population(4000), 0, random.Random(17)
    section = CalibrateSection(**(SECTION | {"share": 1.0, "target": 0.1}))
    by_group: dict[str, list[LabelledChance]] = {}
    for row in rows:
        by_group.setdefault(row.group_id, []).append(row)
    names = list(by_group)
    for _ in range(200):
        drawn = [row._replace(group_id=f"{at}") for at in range(150) for row in by_group[draw.choice(names)]]
        point = point_of(drawn, section, JUDGE, {})
        assert isinstance(point, OperatingPoint) and point.fails == 150
        kept += frr_at(point.threshold, rows).rate <= 0.1
    assert kept >= 190


def test_a_group_that_chose_the_point_does_not_check_it():
    rows = population(400)
    point = point_of(rows, CalibrateSection(**(SECTION | {"target": 0.2})), JUDGE, {})
    assert isinstance(point, OperatingPoint)
    assert point.fails + point.checked["frr"].n == 400 and len(point.groups) == point.fails
    assert point.released + point.checked["frr"].k == frr_at(point.threshold, rows).k > 0
    assert point.release.n + point.checked["release"].n == release_at(point.threshold, rows).n == 600
    assert point.false_block.n < false_block_at(point.threshold, rows).n == 200


class Bench:
    """A folder with an evaluation whose answers say P(fail); ``calibrate`` chooses a point."""

    def __init__(self, folder: Path):
        self.folder, self.after, self.output = folder, folder / "after.json", folder / "point.json"
        self.configure()

    def configure(self, **knobs: float) -> None:
        write_text(self.folder / "calibrate.yaml", yaml.safe_dump({"calibrate": SECTION | knobs}))

    def write(self, fails: int, chance: float | None = 0.99, made_from: MadeFrom | None = MADE) -> None:
        """As many fails, and half as many passes; every tenth fail was answered with nonsense."""
        rows = []
        for label, count, sure in (("fail", fails, chance), ("pass", fails // 2, 0.01)):
            for at in range(count):
                text = "说不清" if label == "fail" and at % 10 == 9 else render(label, "依据(G0)")
                question = Question("chat", f"g{at}::{label}", f"g{at}", (), label=label)
                rows.append(score(question, text, True, None if chance is None else sure))
        tickets, chat, summary, dense = tally(rows)
        write_rows(answers_path(self.after), rows)
        write_json(
            self.after,
            Evaluation(
                student=JUDGE["student"], mission=MISSION, guidance_step=2, questions="asked", tickets=tickets,
                chat=chat, summary=summary, dense=dense, made_from=made_from,
            ),
        )  # fmt: skip

    def calibrate(self) -> Outcome:
        return call("calibrate", config=self.folder / "calibrate.yaml", evaluation=self.after, output=self.output)


@pytest.fixture
def bench(tmp_path) -> Bench:
    return Bench(tmp_path)


def test_the_tool_says_the_threshold_with_the_release_rate_beside_it(bench):
    bench.write(200)
    outcome = bench.calibrate()
    assert outcome.code == 0, outcome.err
    point = read_json(bench.output, OperatingPoint)
    assert point.threshold <= 0.99 and point.without == 20 and point.bound <= point.target == 0.05
    assert sorted(point.inputs) == ["after.answers.jsonl", "after.json"]
    assert f"fail from P(fail) {point.threshold:g}: 0 of {point.fails} calibration fails released" in outcome.err
    assert f"releases {point.release} of all" in outcome.err
    assert "20 tickets without a verdict left out" in outcome.err
    first = bench.output.read_bytes()
    assert bench.calibrate().code == 0 and bench.output.read_bytes() == first


def test_with_too_few_fails_nothing_is_written_and_the_tool_exits_with_1(bench):
    bench.write(20)
    outcome = bench.calibrate()
    assert outcome.code == 1 and not bench.output.exists()
    assert "59 are needed" in outcome.err and "are missing" in outcome.err


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"chance": None}, "after.answers.jsonl: p_fail: no answer to a ticket has P(fail)"),
        ({"made_from": None}, "after.json: made_from: an older version made it"),
    ],
)
def test_answers_that_do_not_say_enough_are_refused(bench, written, words):
    bench.write(80, **written)
    outcome = bench.calibrate()
    assert outcome.code == 2 and words in outcome.err and not bench.output.exists()


def gate_bench(folder: Path, chances: dict[str, float]) -> GateBench:
    """An after that says pass to each of 240 fails and 120 passes; P(fail) by label."""
    bench = GateBench(folder)
    told = {"student": JUDGE["student"], "made_from": MADE}
    said = GOOD | {"fail": ["pass"] * 240, "pass": ["pass"] * 120}
    for side in ("before", "after"):
        rows = answers(said["fail"], said["pass"], said["summary"], said["dense"])
        sure = [row.model_copy(update={"p_fail": chances.get(row.label or "")}) for row in rows]
        bench.write_answers(side, sure, **(told if side == "after" else {"made_from": MADE}))
    return bench


def test_the_gate_judges_at_a_point_on_the_groups_that_did_not_choose_it(tmp_path):
    bench = gate_bench(tmp_path, {"fail": 0.4, "pass": 0.1})
    assert bench.gate().code == 1 and "FRR 100.00% is above its limit" in bench.gate().err
    section = bench.folder / "calibrate.yaml"
    write_text(section, yaml.safe_dump({"calibrate": SECTION}))
    point = bench.folder / "point.json"
    assert call("calibrate", config=section, evaluation=bench.path("after"), output=point).code == 0
    outcome = bench.gate(point=point)
    assert outcome.code == 0, outcome.err
    found, chosen = bench.found(), read_json(point, OperatingPoint)
    assert found.at_point is not None and found.at_point.threshold == chosen.threshold <= 0.4
    assert found.at_point.left_out + found.at_point.after.label_match.n == 360 and found.at_point.after.frr.k == 0
    assert found.at_point.left_out > len(chosen.groups) == chosen.fails  # some groups have a pass too
    assert found.after.chat.frr.k == 240  # what the student itself says stands beside it
    assert f"gate: an operating point decides: fail from P(fail) {chosen.threshold:g}; FRR there 0.0%" in outcome.err
    other = point.with_name("other.json")
    write_json(other, chosen.model_copy(update={"mission": "挡风板安装检查"}))
    assert "mission: it was chosen for '挡风板安装检查'" in bench.gate(point=other).err
    bench.configure(decision="threshold")
    assert "gate.decision: is threshold; name an operating point" in bench.gate().err
