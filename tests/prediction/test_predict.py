"""tools.predict through its command, with the real miniature student; equal to what evaluate asks."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.builders import Outcome, call, drawn_rows, guidance, snapshot
from tools.evaluate import ask
from verdicts.base.jsonl import read_json, read_rows, write_json, write_rows, write_text
from verdicts.base.part_file import PartFile
from verdicts.config.load import load
from verdicts.config.tools import EvaluateConfig, PredictConfig, read_section, section_text
from verdicts.evaluation.questions import ticket_questions
from verdicts.intake.names import Door
from verdicts.intake.reader import read_tolerantly
from verdicts.models.fingerprint import checkpoint_hash
from verdicts.prediction.asking import ask as ask_all
from verdicts.prediction.source import NewTickets
from verdicts.prediction.student import VerdictStudent
from verdicts.records.evaluation import Named, OperatingPoint
from verdicts.records.guidance import write_guidance
from verdicts.records.predictions import Prediction, PredictionsAsked
from verdicts.stage_b.prompts import load_prompts
from verdicts.stage_b.threshold import guidance_digest
from verdicts.stats.rates import wilson
from verdicts.student import model
from verdicts.student.batches import longest_first

pytest.importorskip("torch", reason="the student needs torch: make setup-student")

STUDENT = Path("data/miniature/student")
RULES = guidance(1, G1="出现电线散乱则不通过")


class Killed(BaseException):
    """A kill in the middle."""


class Bench:
    """A folder with what predict reads."""

    def __init__(self, folder: Path):
        self.folder, self.output = folder, folder / "out" / "predictions.jsonl"
        self.rows = drawn_rows("bbu_line", 7)
        write_rows(folder / "tickets.jsonl", self.rows)
        config = load("miniature", "bbu_line")
        config = config.model_copy(update={"evaluate": config.evaluate.model_copy(update={"batch": 2})})
        for tool in ("predict", "evaluate"):
            write_text(folder / f"{tool}.yaml", section_text(config, tool))
        write_guidance(folder / "guidance.json", config.mission.name, RULES)

    def predict(self, **options: object) -> Outcome:
        folder = self.folder
        given = {"config": folder / "predict.yaml", "tickets": folder / "tickets.jsonl", "student": STUDENT,
                 "guidance": folder / "guidance.json", "output": self.output}  # fmt: skip
        return call("predict", **(given | options))

    def found(self) -> list[Prediction]:
        return read_rows(self.output, Prediction)


@pytest.fixture
def bench(tmp_path) -> Bench:
    return Bench(tmp_path)


def test_predict_says_what_evaluate_is_told_byte_for_byte_and_goes_on_after_a_kill(bench, monkeypatch):
    cfg = read_section(bench.folder / "evaluate.yaml", EvaluateConfig)
    tickets = read_tolerantly(bench.folder / "tickets.jsonl", Door.of(cfg.mission, cfg.tickets)).tickets
    prompts = load_prompts(cfg.prompts, cfg.mission)
    questions = ticket_questions(tickets, prompts, prompts.stage_b_system(RULES.experiences))
    asked_by = model.Student(STUDENT, cfg.student.max_photo_pixels, cfg.student.n_threads)
    wanted = ask(
        asked_by, cfg, questions, PartFile(bench.folder / "part", "x", list[tuple[str, bool, float | None]]), "student"
    )

    asked, answer = [], model.Student.answer_encoded

    def dying(self, rows, most, watch=None):
        if len(asked) == 2:
            raise Killed
        asked.append(len(rows))
        return answer(self, rows, most, watch)

    monkeypatch.setattr(model.Student, "answer_encoded", dying)
    with pytest.raises(Killed):
        bench.predict()
    assert not bench.output.exists()
    monkeypatch.setattr(model.Student, "answer_encoded", answer)
    outcome = bench.predict()
    assert outcome.code == 0, outcome.err
    assert "going on after 4 of 7 tickets" in outcome.err
    found = bench.found()
    assert [(row.group_id, row.answer, row.said, row.p_fail) for row in found] == [
        (row.group_id, row.text, row.verdict, row.p_fail) for row in wanted
    ]
    assert all(0 < row.p_fail < 1 and (row.p_fail >= 0.5) == (row.said == "fail") for row in found)
    said = [line for line in outcome.err.splitlines() if ", P(fail) " in line]
    assert len(said) == 5 and said[0].startswith(f"predict {found[0].group_id}: ") and said[0].endswith(found[0].reason)
    killed = snapshot(bench.output.parent)
    whole = bench.folder / "whole" / "predictions.jsonl"
    assert bench.predict(output=whole).code == 0
    assert snapshot(whole.parent) == killed


def point_for(bench: Bench, **fields: object) -> Path:
    """An operating point of the miniature student that fails from a P(fail) on that some ticket has."""
    asked = VerdictStudent(
        read_section(bench.folder / "predict.yaml", PredictConfig), bench.folder / "guidance.json", STUDENT
    )
    rate = wilson(0, 59)
    point = OperatingPoint(
        mission=asked.cfg.mission.name, engine="transformers", guidance=guidance_digest(asked.system),
        student=Named(folder=STUDENT.as_posix(), sha256=checkpoint_hash(STUDENT)), target=0.05, confidence=0.95,
        threshold=0.1, fails=59, released=0, bound=0.0495, release=rate, false_block=rate,
        checked={"frr": rate, "release": rate}, without=0, share=0.5, seed=17, groups=[], inputs={},
    )  # fmt: skip
    path = bench.folder / "point.json"
    write_json(path, point.model_copy(update=fields))
    return path


def test_a_named_operating_point_decides_by_its_threshold_and_the_record_says_so(bench):
    outcome = bench.predict(point=point_for(bench))
    assert outcome.code == 0, outcome.err
    found = bench.found()
    assert all((row.p_fail >= 0.1) == (row.verdict == "fail") and row.threshold == 0.1 for row in found)
    assert {row.decided_by for row in found} == {"model", "threshold"}
    asked = read_json(bench.output.with_name("predictions.asked.json"), PredictionsAsked)
    assert (asked.threshold, asked.target) == (0.1, 0.05)
    assert "fail from P(fail) 0.1, FRR at most 0.05" in outcome.err


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"student": Named(folder="other", sha256="f00d")}, "student: it was chosen for 'f00d'"),
        ({"engine": "llama_server"}, "engine: it was chosen for 'llama_server', and 'transformers' judges"),
        ({"mission": "挡风板安装检查"}, "mission: it was chosen for '挡风板安装检查', and 'BBU接地线检查' judges"),
        ({"guidance": "0" * 16}, "guidance: it was chosen for '0000000000000000'"),
    ],
)
def test_a_point_of_another_student_engine_mission_or_guidance_is_refused_in_one_sentence(bench, fields, said):
    outcome = bench.predict(point=point_for(bench, **fields))
    assert outcome.code == 2 and f"point.json: {said}" in outcome.err, outcome.err
    assert len(outcome.err.strip().splitlines()) == 1 and not bench.output.parent.exists()


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ("decision: threshold", "predict.threshold: is empty; name an operating point"),
        ("threshold: 0.3", "predict: threshold 0.3 decides nothing while decision is majority"),
    ],
)
def test_a_decision_without_its_threshold_and_a_threshold_without_its_decision_are_errors(bench, knobs, said):
    path = bench.folder / "predict.yaml"
    write_text(path, re.sub(rf"  {knobs.split(':')[0]}: \w+", f"  {knobs}", path.read_text(encoding="utf-8")))
    outcome = bench.predict()
    assert outcome.code == 2 and said in outcome.err, outcome.err


def test_the_probability_is_that_of_the_transformers_engine(bench):
    from verdicts.config.engine import TransformersConfig
    from verdicts.engines.transformers import TransformersEngine

    section = {"kind": "transformers", "model": str(STUDENT), "context_tokens": 4096, "chunk": 8}
    engine = TransformersEngine(TransformersConfig(**section))
    asked = VerdictStudent(
        read_section(bench.folder / "predict.yaml", PredictConfig), bench.folder / "guidance.json", STUDENT
    )
    rows = asked.judge(bench.rows[:3])
    users = [asked.prompts.stage_b_user(row.per_image) for row in rows]
    for row, sure in zip(rows, engine.judge(asked.system, users), strict=True):
        share = 2.718281828459045 ** sure["fail"]
        wanted = share / (share + 2.718281828459045 ** sure["pass"])
        assert row.p_fail == pytest.approx(wanted, abs=0.005)  # the engine keeps the checkpoint's bfloat16


def test_a_label_is_never_read_and_other_words_or_none_in_its_place_give_the_same_rows(bench):
    with_labels = NewTickets(bench.folder / "tickets.jsonl", _door(bench))
    odd = bench.folder / "odd.jsonl"
    write_rows(odd, [{k: v for k, v in row.items() if k != "label"} for row in bench.rows])
    without = NewTickets(odd, _door(bench))
    write_rows(odd, [row | {"label": ["nonsense"], "gt_fail_reason_texts": 3} for row in bench.rows])
    nonsense = NewTickets(odd, _door(bench))
    assert list(with_labels) == list(without) == list(nonsense)
    assert (with_labels.labels_unread, without.labels_unread, nonsense.labels_unread) == (7, 0, 7)
    assert "label" not in Prediction.model_fields


def _door(bench: Bench) -> Door:
    cfg = read_section(bench.folder / "predict.yaml", PredictConfig)
    return Door.of(cfg.mission, cfg.tickets)


def test_a_blank_summary_is_missing_with_its_reason_and_the_other_photos_go_on(bench):
    rows = [
        {"group_id": "half", "images": ["a.jpg", "b.jpg"], "per_image": {"image_1": " ", "image_2": "电线/散乱×1"}},
        {"group_id": "none", "images": ["c.jpg"], "per_image": {"image_1": ""}},
    ]
    write_rows(bench.folder / "tickets.jsonl", rows)
    half, none = NewTickets(bench.folder / "tickets.jsonl", _door(bench))
    assert (half.images, half.per_image) == (["b.jpg"], {"image_1": "电线/散乱×1"})
    assert [(one.image, one.reason) for one in half.missing] == [("a.jpg", "empty_summary")]
    assert (none.per_image, [one.image for one in none.missing]) == ({}, ["c.jpg"])
    assert half.mission == "BBU接地线检查"
    outcome = bench.predict()
    assert outcome.code == 0
    assert [row.why for row in bench.found()][1] == "no_photo_left"
    assert "predict none: no verdict (no_photo_left): 1 photos missing: empty_summary\n" in outcome.err
    assert "WARNING: 1 (1 no_photo_left) of 2 tickets have NO verdict" in outcome.err
    asked = read_json(bench.output.with_name("predictions.asked.json"), PredictionsAsked)
    assert (asked.rows, asked.without, asked.missing) == (2, {"no_photo_left": 1}, {"empty_summary": 2})


def test_rows_that_can_be_no_ticket_are_listed_up_to_the_configured_share(bench):
    good = [row | {"group_id": f"g{at}"} for at, row in enumerate(bench.rows * 4)]
    write_text(bench.folder / "tickets.jsonl", "".join(json.dumps(row) + "\n" for row in good) + "{broken\n")
    source = NewTickets(bench.folder / "tickets.jsonl", _door(bench))
    assert (source.rows, source.count, source.refused) == (29, 28, {"not_json": 1})
    assert len(list(source)) == 28


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file holds no record"),
        ('{"group_id": "a"}\n', "tickets.jsonl:1: per_image: missing; add it"),
        ('{"per_image": {"image_1": "电线×1"}}\n', "tickets.jsonl:1: group_id: missing; add it"),
        ('{"group_id": "a", "mission": "x", "per_image": {"image_1": "电线×1"}}\n', "is not this run's mission"),
        ("[1]\n", "tickets.jsonl:1: "),
    ],
)
def test_tickets_that_cannot_be_used_end_in_one_sentence_before_a_model_is_loaded(bench, monkeypatch, text, said):
    monkeypatch.setattr(model.Student, "__init__", None)
    write_text(bench.folder / "tickets.jsonl", text)
    outcome = bench.predict()
    assert outcome.code == 2 and said in outcome.err, outcome.err
    assert len(outcome.err.strip().splitlines()) == 1 and not bench.output.parent.exists()


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"student": Path("absent")}, "absent"),
        ({"guidance": Path("absent.json")}, "absent.json: no such file"),
        ({"tickets": Path("absent.jsonl")}, "absent.jsonl: no such file"),
        ({"config": Path("absent.yaml")}, "absent.yaml: no such file"),
    ],
)
def test_a_file_that_is_not_there_is_named_and_nothing_is_written(bench, option, said):
    outcome = bench.predict(**option)
    assert outcome.code == 2 and said in outcome.err, outcome.err
    assert not bench.output.parent.exists()


def test_windows_are_answered_one_after_another_and_saved_batches_are_not_asked_again(bench, monkeypatch):
    from verdicts.prediction import asking
    from verdicts.prediction.decide import Answered
    from verdicts.student.model import Dialogue

    cfg = read_section(bench.folder / "predict.yaml", PredictConfig)
    cfg = cfg.model_copy(update={"predict": cfg.predict.model_copy(update={"window": 3})})
    questions = [Dialogue([{"role": "user", "content": "x" * size}]) for size in (1, 3, 2, 5, 4)]
    echo = lambda student, rows, most: [Answered(row.messages[0]["content"], "stop", None) for row in rows]  # noqa: E731
    monkeypatch.setattr(asking, "answer_batch", echo)
    new = []
    said = ask_all(
        lambda: None, cfg, questions, [[Answered("A", "stop", None), Answered("B", "stop", None)]], new.append
    )
    # the first window holds lengths 1, 3, 2: its longest two were saved
    assert [one.text for one in said] == ["x", "A", "B", "xxxxx", "xxxx"]
    assert [[len(one.text) for one in batch] for batch in new] == [[1], [5, 4]]


def test_the_longest_rows_come_first_and_equals_stay_in_order():
    assert longest_first([(1, 0), (3, 1), (3, 2), (1, 0)], 2) == [[2, 1], [0, 3]]


def test_importing_the_package_loads_nothing_and_gives_the_student_when_asked():
    script = "import sys, verdicts; print(sorted({'torch', 'pydantic'} & set(sys.modules)))"
    script += "; from verdicts import Student; print(Student.__name__, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "VerdictStudent False"]
