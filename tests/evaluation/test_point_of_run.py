"""The teacher's operating point: chosen on what its run held out, told to a rollout of all tickets, else refused."""

import pytest
import yaml

from tests.support.builders import Outcome, RunFolder, call, guidance, ticket
from tests.support.playing import PASS, Bench, Speaker
from verdicts.base.jsonl import read_json, read_rows, write_json, write_rows, write_text
from verdicts.config.load import CONFIGS, load
from verdicts.config.tools import RolloutConfig, read_section, section_text
from verdicts.engines import Completion
from verdicts.models.fingerprint import sampled_hash
from verdicts.records.evaluation import OperatingPoint
from verdicts.records.guidance import read_guidance, write_guidance
from verdicts.records.review import ReviewDecision
from verdicts.records.rollout import Selection
from verdicts.rounds.holdout import is_held_out
from verdicts.stage_b.prompts import load_prompts
from verdicts.stage_b.threshold import guidance_digest

SECTION = {"target": 0.3, "confidence": 0.95, "share": 0.5, "seed": 17}
TICKETS = [ticket(f"g{at}", label) for label in ("fail", "pass") for at in range(160)]
SAYS = {of.ticket_key: "pass pass" for of in TICKETS}
ODDS = {of.ticket_key: 1.0 if of.label == "fail" else 4.0 for of in TICKETS}  # P(fail) 0.268941 and 0.017986
RULES = {"G1": "出现缺失则不通过"}


class TeacherRun:
    """A converged run with its section files, and a bench whose guidance and engine are the run's."""

    def __init__(self, folder, bench: Bench):
        self.bench, self.config = bench, load("miniature", "bbu_line", configs=CONFIGS)
        prompt = load_prompts(self.config.prompts, self.config.mission).digest("stage_b")
        self.run = RunFolder(folder, TICKETS).hold_out(0.4)
        self.run.guidance = guidance(1, **RULES)
        write_text(folder / "config" / "rollout.yaml", section_text(self.config, "rollout"))
        write_text(folder / "config" / "calibrate.yaml", yaml.safe_dump({"calibrate": SECTION}))
        self.run.play(SAYS, odds=ODDS).finish()
        assert self.run.collect().code == 0
        chosen = read_rows(folder / "selections.jsonl", Selection)
        write_rows(folder / "selections.jsonl", [row.model_copy(update={"prompt": prompt}) for row in chosen])
        self.point = folder / "point.json"

    def calibrate(self, **options: object) -> Outcome:
        told = {"config": self.run.folder / "config" / "calibrate.yaml", "output": self.point}
        return call("calibrate", **told, **{"run_dir": self.run.folder, **options})


@pytest.fixture
def teacher(tmp_path, monkeypatch) -> TeacherRun:
    return TeacherRun(tmp_path / "run", Bench(tmp_path, monkeypatch))


def test_a_teacher_is_calibrated_by_the_groups_that_its_guidance_never_saw(teacher):
    outcome = teacher.calibrate()
    assert outcome.code == 0, outcome.err
    point, learn = read_json(teacher.point, OperatingPoint), {"holdout": 0.4, "seed": 17}
    held_out = [of for of in TICKETS if is_held_out(of.group_id, teacher.config.learn.model_copy(update=learn))]
    assert 30 < len(held_out) < len(TICKETS)
    assert point.release.n + point.checked["release"].n == len(held_out)
    assert point.release.n > 30 < point.checked["release"].n  # though both shares are drawn with the same seed
    assert 0.25 < point.threshold <= 0.268941 and point.released == 0 and point.false_block.k == 0
    system = load_prompts(teacher.config.prompts, teacher.config.mission).stage_b_system(
        read_guidance(teacher.run.folder / "guidance.json", teacher.config.mission.name).experiences
    )
    assert (point.engine, point.guidance) == ("llama_cpp", guidance_digest(system))
    assert point.student.sha256 == sampled_hash(CONFIGS.parent / teacher.config.engine.model)
    assert sorted(point.inputs) == ["guidance.json", "selections.jsonl", "trajectories.jsonl"]
    assert teacher.run.check().code == 0


def test_labels_that_people_corrected_count_as_corrected(teacher):
    path = teacher.run.folder / "review_decisions.jsonl"
    fails = [of.ticket_key for of in TICKETS if of.label == "fail"]
    write_rows(path, [ReviewDecision(ticket_key=key, decision="label_wrong") for key in fails])
    outcome = teacher.calibrate()
    assert outcome.code == 1 and "0 fails cannot show FRR" in outcome.err and not teacher.point.exists()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda run: run.finish("max_epochs"), "loop.json: status: the loop has not converged"),
        (lambda run: run.hold_out(0.0), "selections.jsonl: no ticket is of a group that was held out"),
        (
            lambda run: write_guidance(run.folder / "guidance.json", run.mission["name"], guidance(2)),
            "was not answered under this guidance and prompt",
        ),
    ],
)  # fmt: skip
def test_a_run_that_shows_nothing_is_refused(teacher, damage, words):
    damage(teacher.run)
    outcome = teacher.calibrate()
    assert outcome.code == 2 and words in outcome.err and not teacher.point.exists()


def test_one_model_is_calibrated_at_a_time(teacher):
    assert "name either --evaluation or --run-dir" in teacher.calibrate(evaluation=teacher.point).err


def test_a_model_behind_an_endpoint_has_no_point(teacher):
    section = teacher.run.folder / "config" / "rollout.yaml"
    told = yaml.safe_load(section.read_text(encoding="utf-8"))
    told["engine"]["model"] = "nowhere.gguf"
    write_text(section, yaml.safe_dump(told, allow_unicode=True))
    assert "holds for weights by their content, and those of 'nowhere.gguf' are not here" in teacher.calibrate().err


# -- told to rollout
def on_new_tickets(teacher: TeacherRun, engine: Speaker | None = None, **options: object) -> Outcome:
    """All tickets at once under the run's guidance, by a model that gives a fail 0.3."""
    unsure = Completion(PASS, {"pass": -0.4, "fail": -1.247298}, "stop")
    bench = teacher.bench.write([ticket("new", "fail"), ticket("newer")], **RULES)
    return bench.rollout(
        engine or Speaker(lambda system, user: unsure), **{"whole": True, "point": teacher.point, **options}
    )


def test_a_rollout_of_all_tickets_decides_by_the_point_that_its_own_answers_chose(teacher):
    assert teacher.calibrate().code == 0
    threshold = read_json(teacher.point, OperatingPoint).threshold
    outcome = on_new_tickets(teacher)
    assert outcome.code == 0, outcome.err
    assert f"; 2 verdicts turned by the threshold {threshold:g}" in outcome.last_line
    assert [row.verdict for row in teacher.bench.rows("selections.jsonl", Selection)] == ["fail", "fail"]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("mission", "挡风板安装检查", "mission: it was chosen for '挡风板安装检查', and 'BBU接地线检查' judges"),
        ("engine", "transformers", "engine: it was chosen for 'transformers', and 'llama_cpp' judges"),
        ("student", {"folder": "s", "sha256": "a"}, "student: it was chosen for 'a'"),
        ("guidance", "c" * 16, "guidance: it was chosen for 'cccccccccccccccc'"),
    ],
)
def test_a_point_of_another_mission_engine_model_or_guidance_is_refused(teacher, field, value, words):
    assert teacher.calibrate().code == 0
    told = read_json(teacher.point, OperatingPoint).model_dump() | {field: value}
    write_json(teacher.point, OperatingPoint.model_validate(told))
    engine = Speaker()
    outcome = on_new_tickets(teacher, engine)
    assert outcome.code == 2 and words in outcome.err and engine.rollouts == []


def test_a_round_of_a_loop_takes_no_point_and_a_threshold_is_not_said_twice(teacher):
    assert teacher.calibrate().code == 0
    loop = teacher.bench.write([ticket("new")], **RULES).rollout(Speaker(), point=teacher.point)
    assert (
        loop.code == 2 and "an operating point holds for one guidance, and the rounds of a loop change it" in loop.err
    )
    teacher.bench.decide(threshold=0.3)
    section = read_section(teacher.bench.folder / "rollout.yaml", RolloutConfig)
    assert section.rollout.threshold == 0.3
    twice = teacher.bench.rollout(Speaker(), whole=True, point=teacher.point)
    assert twice.code == 2 and "rollout.threshold is 0.3, and an operating point is named; use one of them" in twice.err
