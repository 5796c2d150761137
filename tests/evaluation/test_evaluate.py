"""tools.evaluate through its command: with a student that says what it is told, and once with a real one."""

import json
import shutil
from math import log
from pathlib import Path

import pytest

from miniature.world.prompts import prompts_of
from tests.support.builders import MISSION, Outcome, call, guidance, snapshot, ticket
from verdicts.base.errors import UserError
from verdicts.base.jsonl import read_json, read_rows, write_rows, write_text
from verdicts.config.load import load
from verdicts.config.tools import section_text
from verdicts.evaluation.question_files import files_digest
from verdicts.evaluation.questions import Question, sample_groups
from verdicts.evaluation.scores import answers_path, score
from verdicts.models.fingerprint import checkpoint_hash
from verdicts.records.corpus import SftRow
from verdicts.records.evaluation import Evaluation, Named, ScoredAnswer
from verdicts.records.guidance import write_guidance
from verdicts.stage_b.protocol import render
from verdicts.student import model as runner
from verdicts.student.photo_scores import render_dense

PASS, FAIL = render("pass", "符合要求(G0)"), render("fail", "电线散乱(G0)")
SUMMARY = "BBU设备/华为,显示完整×1，电线/捆扎整齐×1"
BOXES = render_dense([((0, 0, 100, 100), "电线/捆扎整齐")])
FLAT = '{"object_1": {"desc": "毛刺", "poly": [0, 0, 9, 0, 9, 9, 9, 0]}}'
TIDY, LOOSE = ("电线/捆扎整齐×1",), ("电线/散乱×1",)
TICKETS = [
    ticket("a", "pass", TIDY),
    ticket("b", "fail", LOOSE),
    ticket("c", "fail", TIDY),
    ticket("c", "pass", LOOSE),
    ticket("d", "pass", (*TIDY, *TIDY)),
]
PHOTOS = ["a/1.jpg", "b/1.jpg", "d/1.jpg"]


class Killed(BaseException):
    """A kill in the middle of an evaluation."""


class Speaker:
    """A student without weights: ``says`` turns a prompt into an answer.

    Dies after ``alive`` batches. Remembers what it was shown.
    """

    def __init__(self, says=None, alive: int = 1000):
        self.says, self.alive, self.batches = says or sensible, alive, []

    def __call__(self, folder, max_photo_pixels=0, n_threads=0):
        return self

    def encode_all(self, batches):
        for batch in batches:
            assert all(row.messages[-1]["role"] == "user" for row in batch)
            yield batch

    def answer_encoded(self, rows, max_new_tokens):
        if not self.alive:
            raise Killed
        self.alive -= 1
        self.batches.append((max_new_tokens, rows))
        answers = [self.says(row) for row in rows]
        return [answer if isinstance(answer, tuple) else (answer, True) for answer in answers]

    def answer_verdicts(self, rows, max_new_tokens):
        """A fail of P(fail) 0.9, a pass of 0.2."""
        answers = self.answer_encoded(rows, max_new_tokens)
        return [
            (text, whole, (log(0.1), log(0.9)) if text == FAIL else (log(0.8), log(0.2))) for text, whole in answers
        ]


def sensible(row) -> str:
    """Right but for ticket c, whose labels are beyond the rules."""
    user = row.messages[-1]["content"]
    if row.images:
        return SUMMARY if "摘要" in user else BOXES
    return FAIL if "散乱" in user else PASS


class Bench:
    """A folder with all that evaluate reads."""

    def __init__(self, folder: Path, monkeypatch):
        self.folder, self.monkeypatch, self.output = folder, monkeypatch, folder / "run" / "before.json"
        write_rows(self.folder / "tickets.jsonl", TICKETS)
        write_guidance(self.folder / "guidance.json", MISSION, guidance(1, G1="出现电线散乱则不通过"))
        for name in (*PHOTOS, "trained/1.jpg"):
            write_text(self.folder / name, name)
        self.photos("summary", SUMMARY)
        self.photos("dense", BOXES)
        self.train("trained-group")
        write_text(self.folder / "student" / "config.json", '{"model_type": "qwen3_vl"}')
        write_text(self.folder / "student" / "model.safetensors", "weights")
        self.configure()

    def configure(self, **knobs: int) -> None:
        config = load("miniature", "bbu_line")
        section = config.evaluate.model_copy(update={"batch": 2} | knobs)
        mission = config.mission.model_copy(update={"name": MISSION})
        write_text(
            self.folder / "evaluate.yaml",
            section_text(config.model_copy(update={"evaluate": section, "mission": mission}), "evaluate"),
        )

    def photos(self, task: str, wanted: str, names=PHOTOS) -> None:
        asked = {"summary": "<image>用一行写出照片中的事实，摘要", "dense": "<image>列出照片中的对象"}[task]
        rows = [
            {
                "images": [name],
                "messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": wanted}],
            }
            for name in names
        ]
        write_rows(self.folder / f"{task}.jsonl", rows)

    def train(self, group: str, image: str | None = None) -> None:
        """A fused file that holds one row."""
        messages = [
            {"role": "user", "content": "<image>" if image else "照片摘要"},
            {"role": "assistant", "content": "x"},
        ]
        row = {
            "messages": messages,
            "images": [image] if image else [],
            "task": "dense" if image else "chat",
            "source": "s",
            "weight": 1.0,
            "group_id": group,
        }
        write_rows(self.folder / "trained.jsonl", [row])

    def evaluate(self, speaker=None, **options: object) -> Outcome:
        """Call the tool with a Speaker in the student's place (None leaves the real one)."""
        if speaker is not None:
            self.monkeypatch.setattr(runner, "Student", speaker)
        folder = self.folder
        given = {"config": folder / "evaluate.yaml", "student": folder / "student", "tickets": folder / "tickets.jsonl",
                 "guidance": folder / "guidance.json",
                 "trained": folder / "trained.jsonl", "summary": folder / "summary.jsonl",
                 "dense": folder / "dense.jsonl", "output": self.output}  # fmt: skip
        return call("evaluate", **(given | options))

    def found(self) -> Evaluation:
        return read_json(self.output, Evaluation)

    def answers(self) -> list[ScoredAnswer]:
        return read_rows(answers_path(self.output), ScoredAnswer)


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def refused(bench: Bench, **options: object) -> str:
    """The one line with which evaluate refuses, having asked nothing and written nothing."""
    student = Speaker()
    outcome = bench.evaluate(student, **options)
    assert outcome.code == 2, outcome.err
    assert student.batches == [] and not bench.output.parent.exists()
    assert len(outcome.err.strip().splitlines()) == 1
    return outcome.err


def test_every_question_is_scored_and_counted(bench):
    outcome = bench.evaluate(Speaker())
    assert outcome.code == 0, outcome.err
    found = bench.found()
    chat = found.chat
    assert (found.tickets, found.mission, found.guidance_step) == (5, MISSION, 1)
    assert (chat.frr.k, chat.frr.n, chat.false_block.k, chat.false_block.n, chat.label_match.k) == (1, 2, 1, 3, 3)
    assert (chat.format.k, chat.format.n, chat.failed_without_verdict) == (5, 5, 0)
    assert (found.summary.photos, found.summary.exact.rate, found.summary.attribute_f1.f1) == (3, 1.0, 1.0)
    assert (found.dense.photos, found.dense.f1.hits, found.dense.malformed) == (3, 3, 0)
    assert [row.key for row in bench.answers()][:4] == ["a::pass", "b::fail", "c::fail", "c::pass"]
    assert "5 tickets: FRR 50.0% [9.5%, 90.5%] (1/2)" in outcome.last_line
    assert set(snapshot(bench.output.parent)) == {"before.json", "before.answers.jsonl"}


def test_held_out_tickets_come_in_as_teams_write_them_and_what_was_done_is_listed_beside_the_scores(bench):
    bench.evaluate(Speaker())
    as_strict = bench.answers()
    rows = [one.model_dump() | {"label": one.label.upper(), "note": "x"} for one in TICKETS]
    write_rows(bench.folder / "tickets.jsonl", rows)
    outcome = bench.evaluate(Speaker())
    assert outcome.code == 0 and "tickets: 5 repairs (label 5)" in outcome.err and "(note 5)" in outcome.err
    assert bench.answers() == as_strict
    assert set(snapshot(bench.output.parent)) == {
        "before.json", "before.answers.jsonl", "tickets.repaired.jsonl", "tickets.aside.jsonl",
    }  # fmt: skip
    write_rows(bench.folder / "tickets.jsonl", TICKETS)
    bench.evaluate(Speaker())
    assert set(snapshot(bench.output.parent)) == {"before.json", "before.answers.jsonl"}


def test_tickets_are_asked_as_the_rollout_asks_them_and_their_labels_stay_behind(bench):
    student = Speaker()
    bench.evaluate(student)
    asked = [row for most, rows in student.batches for row in rows if not row.images]
    rules, prompts = guidance(1, G1="出现电线散乱则不通过").experiences, prompts_of(MISSION)
    assert {row.messages[0]["content"] for row in asked} == {prompts.stage_b_system(rules)}
    assert {row.prompt for row in bench.answers() if row.task == "chat"} == {prompts.digest("stage_b")}
    assert read_json(bench.output, Evaluation).prompts["chat"] == [prompts.digest("stage_b")]
    assert sorted(row.messages[1]["content"] for row in asked) == sorted(
        prompts.stage_b_user(one.per_image) for one in TICKETS
    )


def test_a_batch_holds_one_task_longest_first_and_may_be_as_long_as_its_task_says(bench):
    bench.configure(max_new_tokens=7, max_new_tokens_dense=9)
    student = Speaker()
    bench.evaluate(student)
    assert [(most, len(rows), bool(rows[0].images)) for most, rows in student.batches] == [
        (7, 2, False), (7, 2, False), (7, 1, False), (9, 2, True), (9, 2, True), (9, 1, True), (9, 1, True),
    ]  # fmt: skip
    lengths = [len(row.messages[1]["content"]) for _, rows in student.batches[:3] for row in rows]
    assert lengths == sorted(lengths, reverse=True) and len(set(lengths)) > 1


def test_photos_asked_twice_stand_in_two_batches_of_the_same_photos_and_all_questions_are_asked_once(bench):
    bench.photos("dense", BOXES, PHOTOS[:2])
    student = Speaker()
    bench.evaluate(student)
    shown = [[row.images[0].parent.name for row in rows] for _, rows in student.batches if rows[0].images]
    assert shown == [["a", "b"], ["a", "b"], ["d"]]
    asked = [["摘要" in row.messages[-1]["content"] for row in rows] for _, rows in student.batches if rows[0].images]
    assert asked == [[False, False], [True, True], [True]]
    assert [(row.task, row.right) for row in bench.answers() if row.task != "chat"] == [
        *[("summary", True)] * 3, *[("dense", True)] * 2,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("says", "verdict", "format_ok"),
    [
        (PASS, "pass", True),
        (FAIL, "fail", True),
        ("通过", None, False),
        (f"{PASS}\n多一行", None, False),
        ((PASS, False), None, False),
    ],
)
def test_a_malformed_or_cut_off_answer_counts_against_format_and_is_no_verdict(bench, says, verdict, format_ok):
    bench.evaluate(Speaker(lambda row: says))
    chat = bench.found().chat
    row = next(row for row in bench.answers() if row.key == "b::fail")
    assert (row.verdict, row.format_ok) == (verdict, format_ok)
    assert chat.frr.n == (2 if format_ok else 0)
    assert chat.failed_without_verdict == (0 if format_ok else 2)
    assert chat.format.rate == float(format_ok)


@pytest.mark.parametrize(
    ("task", "wanted", "text", "scores"),
    [
        ("summary", SUMMARY, SUMMARY, (True, True, 5, 5, 5)),
        ("summary", SUMMARY, "电线/捆扎整齐×1，BBU设备/华为,显示完整×1", (True, True, 5, 5, 5)),
        ("summary", SUMMARY, "电线/捆扎整齐×1", (True, False, 2, 2, 5)),
        ("summary", SUMMARY, f"{SUMMARY}，bbox", (False, False, 5, 6, 5)),
        ("dense", BOXES, BOXES, (True, True, 1, 1, 1)),
        ("dense", BOXES, "[]", (True, False, 0, 0, 1)),
        ("dense", BOXES, BOXES[:-1], (False, False, 0, 0, 1)),
        ("dense", "[]", "[]", (True, True, 0, 0, 0)),
    ],
)
def test_photos_are_scored_by_what_was_wanted(task, wanted, text, scores):
    row = score(Question(task, "p", "g", (), expected=wanted), text, True)
    assert (row.format_ok, row.right, row.overlap.hits, row.overlap.given, row.overlap.wanted) == scores


@pytest.mark.parametrize("alive", range(7))
def test_killed_after_any_batch_it_goes_on_and_ends_in_the_same_bytes(bench, alive):
    bench.evaluate(Speaker())
    whole = snapshot(bench.output.parent)
    killed, second = bench.folder / "killed" / "before.json", Speaker()
    with pytest.raises(Killed):
        bench.evaluate(Speaker(alive=alive), output=killed)
    assert not killed.exists()
    assert bench.evaluate(second, output=killed).code == 0
    assert len(second.batches) == 7 - alive
    assert snapshot(killed.parent) == whole


def test_answers_of_another_student_are_not_gone_on_with(bench):
    with pytest.raises(Killed):
        bench.evaluate(Speaker(alive=3))
    write_text(bench.folder / "student" / "model.safetensors", "other weights")
    second = Speaker()
    assert bench.evaluate(second).code == 0
    assert len(second.batches) == 7


def test_another_student_gets_the_same_questions_and_another_prompt_makes_others(bench):
    bench.evaluate(Speaker())
    before = bench.found()
    write_text(bench.folder / "student" / "model.safetensors", "other weights")
    bench.evaluate(Speaker())
    assert bench.found().student != before.student and bench.found().questions == before.questions
    write_text(bench.folder / PHOTOS[0], "another photo")
    bench.evaluate(Speaker())
    assert bench.found().questions != before.questions


def test_only_tickets_of_the_groups_of_another_file_are_taken(bench):
    messages = [{"role": role, "content": "x"} for role in ("system", "user", "assistant")]
    write_rows(
        bench.folder / "val.jsonl",
        [SftRow(group_id=group, mission=MISSION, label="pass", messages=messages) for group in ("c", "elsewhere")],
    )
    assert bench.evaluate(Speaker(), only_groups_of=bench.folder / "val.jsonl").code == 0
    assert [row.key for row in bench.answers() if row.task == "chat"] == ["c::fail", "c::pass"]


def test_a_file_without_any_of_the_groups_is_refused(bench):
    messages = [{"role": role, "content": "x"} for role in ("system", "user", "assistant")]
    write_rows(
        bench.folder / "val.jsonl", [SftRow(group_id="elsewhere", mission=MISSION, label="pass", messages=messages)]
    )
    assert "none of its tickets is of a group in" in refused(bench, only_groups_of=bench.folder / "val.jsonl")


def test_a_sample_takes_whole_groups_by_their_seeded_hash_in_file_order():
    tickets = [ticket(f"g{at // 2}", label) for at, label in enumerate(["pass", "fail"] * 20)]
    chosen = sample_groups(tickets, 15, 1, "evaluate.tickets")
    assert len(chosen) == 14
    assert all([one.group_id for one in chosen].count(group) == 2 for group in {one.group_id for one in chosen})
    assert [tickets.index(one) for one in chosen] == sorted(tickets.index(one) for one in chosen)
    assert set(map(id, chosen)) < set(map(id, sample_groups(tickets, 20, 1, "evaluate.tickets"))), (
        "a larger sample holds the smaller one"
    )
    assert sample_groups(tickets, 14, 2, "evaluate.tickets") != chosen
    assert sample_groups(tickets, 40, 1, "evaluate.tickets") == tickets


def test_a_sample_that_holds_no_group_is_refused():
    with pytest.raises(UserError, match=r"evaluate\.tickets: 1 is fewer than a group holds"):
        sample_groups([ticket("a"), ticket("a", "fail")], 1, 1, "evaluate.tickets")


def test_a_ticket_whose_group_was_trained_on_is_named(bench):
    bench.train("c")
    assert "tickets.jsonl: group_id: 'c::fail' is of group 'c', which the student trained on" in refused(bench)


def test_a_ticket_that_only_groups_of_leaves_out_may_have_been_trained_on(bench):
    bench.train("a")
    messages = [{"role": role, "content": "x"} for role in ("system", "user", "assistant")]
    write_rows(bench.folder / "val.jsonl", [SftRow(group_id="c", mission=MISSION, label="pass", messages=messages)])
    assert bench.evaluate(Speaker(), only_groups_of=bench.folder / "val.jsonl").code == 0


def test_a_photo_that_was_trained_on_is_named_whatever_its_path_looks_like(bench):
    bench.train("", str(bench.folder / "b" / ".." / PHOTOS[1]))
    assert f"summary.jsonl:2: images: '{PHOTOS[1]}' has photo" in refused(bench)


def test_a_photo_whose_group_was_trained_on_is_named(bench):
    path = bench.folder / "dense.jsonl"
    rows = [
        json.loads(line) | {"group_id": f"p{at}"}
        for at, line in enumerate(path.read_text(encoding="utf-8").splitlines())
    ]
    write_rows(path, rows)
    bench.train("p2")
    assert "dense.jsonl:3: group_id: 'd/1.jpg' is of group 'p2', which the student trained on" in refused(bench)


@pytest.mark.parametrize(
    ("name", "row", "error"),
    [
        ("summary", {"images": ["none.jpg"]}, "images.0: no such file (none.jpg)"),
        ("summary", {"images": []}, "images: list should have at least 1 item"),
        ("summary", {"images": [PHOTOS[0]]}, "images: 'a/1.jpg' stands on line 1 already"),
        ("summary", {"messages": [{"role": "user", "content": "<image>"}]}, "messages: no assistant message"),
        ("summary", {"mesages": []}, "mesages: unknown field; did you mean 'messages'?"),
        (
            "dense",
            {"messages": [{"role": "user", "content": "<image>"}, {"role": "assistant", "content": SUMMARY}]},
            "messages: the answer is no JSON list",
        ),
        (
            "dense",
            {"messages": [{"role": "user", "content": "<image>"}, {"role": "assistant", "content": FLAT}]},
            "messages: an outline encloses nothing (毛刺); correct it",
        ),
        (
            "summary",
            {"messages": [{"role": "user", "content": "<image>"}, {"role": "assistant", "content": '{"统计": ['}]},
            "messages: the answer begins as a JSON summary and is no whole one",
        ),
        ("tickets", {"label": "maybe"}, "label: "),
        ("tickets", {"mission": "BBU安装方式检查"}, "mission: 'BBU安装方式检查' is not this run's mission"),
        ("trained", {"task": "chats"}, "task: "),
    ],
)
def test_a_bad_line_is_named(bench, name, row, error):
    path = bench.folder / f"{name}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    at = min(1, len(lines) - 1)
    lines[at] = json.dumps(json.loads(lines[at]) | row, ensure_ascii=False)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert f"{path}:{at + 1}: {error}" in refused(bench)


def test_answers_cut_off_are_counted_and_a_share_beyond_the_limit_is_said_aloud(bench):
    def half(row):
        return (sensible(row), not row.images or "摘要" in row.messages[-1]["content"])

    outcome = bench.evaluate(Speaker(half))
    assert outcome.code == 0, outcome.err
    said = "evaluate: WARNING: 3 of 3 dense answers (100.0%) were cut off at 512 tokens: raise "
    assert said + "evaluate.max_new_tokens_dense" in outcome.err.splitlines()
    assert "; cut off: 3 dense answers; " in outcome.last_line
    found = bench.found()
    assert (found.chat.cut_off, found.summary.cut_off, found.dense.cut_off) == (0, 0, 3)
    bench.configure(max_cut_off=1.0)
    again = bench.evaluate(Speaker(half))
    assert again.code == 0 and "WARNING" not in again.err


def test_photos_are_asked_and_scored_in_the_forms_of_such_teams(bench):
    seen = '<DOMAIN=BBU>, <TASK=DETECTION>\n{"object_1": {"desc": "类别=电线,捆扎=整齐", "line": [[0, 5], [500, 5]]}}'
    counted = '<DOMAIN=BBU>, <TASK=SUMMARY>\n{"统计": [{"类别": "电线", "捆扎": {"整齐": 1}}]}'
    bench.photos("dense", seen)
    bench.photos("summary", counted)
    turned = '{"统计": [{"捆扎": {"整齐": 1}, "类别": "电线"}]}'
    outcome = bench.evaluate(Speaker(lambda row: {SUMMARY: turned, BOXES: seen}.get(said := sensible(row), said)))
    assert outcome.code == 0, outcome.err
    assert "3 summaries: JSON exact 100.0% [43.9%, 100.0%] (3/3), JSON F1 100.0%; " in outcome.last_line
    assert "3 dense: lines 100.0%, attributes 100.0%, 0 malformed; " in outcome.last_line
    assert bench.found().summary.notes == {"other_prefix": 3}


@pytest.mark.parametrize(
    "name", ["tickets.jsonl", "guidance.json", "trained.jsonl", "summary.jsonl", "dense.jsonl", "evaluate.yaml"]
)
def test_a_file_that_is_not_there_is_named(bench, name):
    (bench.folder / name).unlink()
    assert f"{bench.folder / name}: no such file" in refused(bench)


def test_a_student_without_weights_is_refused_before_anything_is_asked(bench):
    (bench.folder / "student" / "model.safetensors").unlink()
    assert "its weights are missing (model.safetensors)" in refused(bench)


def test_an_old_evaluation_survives_a_refusal(bench):
    bench.evaluate(Speaker())
    old = snapshot(bench.output.parent)
    write_text(bench.folder / "dense.jsonl", "{}\n")
    assert bench.evaluate(Speaker()).code == 2
    assert snapshot(bench.output.parent) == old


def test_a_real_student_answers_tickets_and_photos(bench, tmp_path_factory):
    for package in ("torch", "transformers", "gguf"):
        pytest.importorskip(package, reason="the student needs torch: make setup-student")
    from PIL import Image

    from tests.support.student_builders import random_student

    student = random_student(tmp_path_factory.mktemp("student"))
    for at, name in enumerate(PHOTOS):
        Image.new("RGB", (256, 192), (60 * at, 90, 120)).save(bench.folder / name)
    write_rows(
        bench.folder / "tickets.jsonl",
        [ticket(f"t{at}", "fail" if at % 2 else "pass", LOOSE if at % 2 else TIDY) for at in range(12)],
    )
    bench.configure(batch=6, max_new_tokens_dense=8)
    outcome = bench.evaluate(student=student)
    assert outcome.code == 0, outcome.err
    found = bench.found()
    assert (found.tickets, found.summary.photos, found.dense.photos) == (12, 3, 3)
    assert found.chat.format.rate == 1.0, [row.text for row in bench.answers()]
    assert found.dense.malformed == 3, "a random vision tower sees nothing"
    assert found.student.folder.endswith("student")


def test_an_evaluation_says_what_it_was_made_from(bench):
    bench.evaluate(Speaker())
    made = bench.found().made_from
    assert (made.held_out, made.base) == (bench.folder.as_posix(), None)
    assert sorted(made.files) == ["dense", "summary", "tickets", "trained"] and len(set(made.files.values())) == 4
    assert made.settings == {
        "tickets": 400,
        "photos": 200,
        "seed": 17,
        "max_new_tokens": 96,
        "max_new_tokens_dense": 512,
        "max_photo_pixels": 1048576,
    }
    assert made.questions == files_digest([bench.folder / f"{name}.jsonl" for name in ("tickets", "summary", "dense")])
    write_guidance(bench.folder / "guidance.json", MISSION, guidance(1, G1="另一条规则"))
    bench.evaluate(Speaker())
    again = bench.found().made_from
    assert again.guidance != made.guidance and again.questions == made.questions, "other rules at the same step"


def test_a_taught_student_names_the_base_that_it_was_taught_from(bench):
    merged = bench.folder / "checkpoints" / "mix" / "merged"
    shutil.copytree(bench.folder / "student", merged)
    write_text(merged.parent / "metrics.json", json.dumps({"base": "models/base", "base_sha256": "0123"}))
    bench.evaluate(Speaker(), student=merged)
    assert bench.found().made_from.base == Named(folder="models/base", sha256="0123")


@pytest.mark.parametrize("metrics", ["", "[]", "{}", '{"base": "x"}', '{"base": 1, "base_sha256": 2}', "[" * 9000])
def test_a_base_that_nothing_says_is_unknown(bench, metrics):
    merged = bench.folder / "checkpoints" / "mix" / "merged"
    shutil.copytree(bench.folder / "student", merged)
    write_text(merged.parent / "metrics.json", metrics)
    assert bench.evaluate(Speaker(), student=merged).code == 0
    assert bench.found().made_from.base is None


@pytest.mark.parametrize(
    "name",
    [
        "tokenizer.json",
        "generation_config.json",
        "merges.txt",
        "chat_template.jinja",
        "tokenizer.model",
        "extra.safetensors",
    ],
)
def test_every_file_that_changes_an_answer_changes_the_students_digest(tmp_path, name):
    write_text(tmp_path / "config.json", "{}")
    before = checkpoint_hash(tmp_path)
    write_text(tmp_path / name, "x")
    assert checkpoint_hash(tmp_path) != before


def test_asked_again_with_the_same_inputs_it_keeps_what_it_has_whatever_their_times(bench):
    bench.evaluate(Speaker())
    first = snapshot(bench.output.parent)
    for path in [path for path in bench.folder.rglob("*") if path.is_file() and "run" not in path.parts]:
        path.touch()
    student = Speaker()
    outcome = bench.evaluate(student)
    assert outcome.code == 0 and "kept, nothing it was made from has changed" in outcome.last_line
    assert student.batches == [] and snapshot(bench.output.parent) == first


@pytest.mark.parametrize("changed", ["weights", "photo", "rules", "tickets", "length", "answers", "scores", "trained"])
def test_asked_again_with_another_input_it_asks_again(bench, changed):
    bench.evaluate(Speaker())
    if changed == "length":
        bench.configure(max_new_tokens=48)
    elif changed == "rules":
        write_guidance(bench.folder / "guidance.json", MISSION, guidance(1, G1="另一条规则"))
    elif changed == "tickets":
        write_rows(bench.folder / "tickets.jsonl", TICKETS[:-1])
    elif changed == "trained":
        bench.train("another-group")
    elif changed in ("answers", "scores"):
        path = answers_path(bench.output) if changed == "answers" else bench.output
        text = path.read_text(encoding="utf-8")
        write_text(
            path,
            text.replace('"right":true', '"right":false').replace('"right": true', '"right": false')
            if changed == "answers"
            else text.replace('"tickets": 5', '"tickets": 6'),
        )
        assert path.read_text(encoding="utf-8") != text
    else:
        write_text(bench.folder / {"weights": "student/model.safetensors", "photo": PHOTOS[0]}[changed], "another")
    student = Speaker()
    assert bench.evaluate(student).code == 0
    assert student.batches


def test_questions_that_moved_are_the_same_questions_under_their_new_name(bench):
    bench.evaluate(Speaker())
    moved = bench.folder.parent / "it's moved"
    shutil.copytree(bench.folder, moved)
    student = Speaker()
    names = {name: moved / f"{name}.jsonl" for name in ("tickets", "summary", "dense")}
    assert bench.evaluate(student, **names).code == 0
    assert student.batches == [] and bench.found().made_from.held_out == moved.as_posix()
