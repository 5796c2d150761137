"""tools.serve through its command, with the real miniature student, asked by the openai client and our own engine."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from miniature.drawing.photos import main as draw_photos
from tests.support.builders import call, drawn_rows, guidance
from verdicts.base.errors import UserError
from verdicts.base.jsonl import write_text
from verdicts.config.engine import OpenAIConfig, Thinking
from verdicts.config.load import load
from verdicts.config.tools import section_text
from verdicts.engines import Decode
from verdicts.engines.openai.engine import OpenAIEngine
from verdicts.prediction.student import VerdictStudent
from verdicts.records.guidance import write_guidance
from verdicts.serving.chat import ChatQuestions, photo_url
from verdicts.serving.server import Address, free_port
from verdicts.student import model
from verdicts.student.answer_text import as_line

pytest.importorskip("torch", reason="the student needs torch: make setup-student")
pytest.importorskip("fastapi", reason="the server: make setup-serve")

from PIL import Image

openai = pytest.importorskip("openai", reason="the server and its client: make setup-serve")

STUDENT = Path("data/miniature/student")
ROWS = drawn_rows("bbu_line", 7)


class Served:
    """A run, a server on its student, and what the server has said by now."""

    def __init__(self, folder: Path):
        self.run, self.temporary = folder / "run" / "bbu_line", folder / "temporary"
        self.temporary.mkdir()
        config = load("miniature", "bbu_line")
        write_text(self.run / "config" / "predict.yaml", section_text(config, "predict"))
        write_guidance(self.run / "guidance.json", config.mission.name, guidance(1, G1="出现电线散乱则不通过"))
        words = [sys.executable, "-m", "tools.serve", "--run-dir", self.run, "--host", "127.0.0.1", "--port", "0"]
        self.process = subprocess.Popen(
            [*map(str, words), "--student", str(STUDENT)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"TMPDIR": str(self.temporary)},
        )  # fmt: skip
        self.said: list[str] = []
        answers = ""
        for line in self.process.stderr:
            self.said.append(line)
            if "answers at" in line:
                answers = line.split("answers at ")[1].split()[0]
                break
        assert answers, "".join(self.said)
        self.url = answers
        self.rest = threading.Thread(target=lambda: self.said.extend(self.process.stderr), daemon=True)
        self.rest.start()
        self.client = openai.OpenAI(base_url=self.url, api_key="-", max_retries=0)
        self.questions = ChatQuestions.of_run(self.run)

    def ask(self, messages: list[dict], **more: object) -> object:
        return self.client.chat.completions.create(
            model="student", messages=messages, max_tokens=self.questions.max_tokens_photo, **more
        )

    def engine(self, url: str, name: str) -> OpenAIEngine:
        thinking = Thinking(enabled=False, max_new_tokens=1)
        return OpenAIEngine(
            OpenAIConfig(
                kind="openai", model=name, base_url=url, api_key_env="", chunk=8, thinking=thinking, timeout_s=60.0,
                retries=0, concurrency=2,
            )
        )  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    server = Served(tmp_path_factory.mktemp("served"))
    yield server
    server.process.kill()
    server.process.wait()


@pytest.fixture(scope="module")
def student(served) -> VerdictStudent:
    return VerdictStudent.of_run(served.run, STUDENT)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    draw_photos(mission="bbu_line", seed=1, tickets=2, tickets_seed=5, output=folder)
    return sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".jpeg", ".png"))


def test_a_served_student_gives_the_same_two_lines_as_predict(served, student):
    wanted = [row.answer for row in student.judge(ROWS)]
    answers = [served.ask(served.questions.ticket(row)).choices[0] for row in ROWS]
    assert [answer.message.content for answer in answers] == wanted
    assert {answer.finish_reason for answer in answers} == {"stop"}
    hot = served.ask(served.questions.ticket(ROWS[0]), temperature=1.9).choices[0]
    assert hot.message.content == wanted[0], "greedy, whatever a client sends"
    assert [model.id for model in served.client.models.list()] == ["student"]


def test_the_example_of_the_docs_prints_two_lines(served, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", Path("docs/serve.md").read_text(encoding="utf-8"), re.DOTALL)
    assert "http://127.0.0.1:8000/v1" in example
    exec(example.replace("http://127.0.0.1:8000/v1", served.url).replace("runs/demo/bbu_line", str(served.run)), {})
    verdict, reason = capsys.readouterr().out.strip().split("\n")
    assert verdict in ("Verdict: 通过", "Verdict: 不通过") and reason.startswith("Reason: ")


def test_our_own_engine_reads_the_same_verdicts_from_it(served, student):
    engine = served.engine(served.url, "student")
    users = [dict(served.questions.ticket(row)[1])["content"] for row in ROWS]
    decodes = [Decode(temperature=0.0, top_p=1.0, max_new_tokens=96, seed=1)] * len(ROWS)
    found = engine.complete(student.system, users, decodes)
    wanted = student.judge(ROWS)
    assert [one.text for one in found] == [row.answer for row in wanted]
    judged = engine.judge(student.system, users)
    assert [max(sure, key=lambda verdict: sure[verdict] or -9) for sure in judged] == [row.said for row in wanted]
    engine.close()


def test_a_photo_is_answered_as_summarize_answers_it_inside_the_question_and_as_a_path_and_streamed(
    served, student, photos, tmp_path
):
    clear, lying = (
        tmp_path / "clear.png",
        tmp_path / "lying.jpg",
    )  # anything but an upright JPEG is sent as people see it
    Image.open(photos[0]).convert("RGBA").save(clear)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(photos[0]).transpose(Image.Transpose.ROTATE_90).save(lying, exif=exif, quality=95)
    assert photo_url(lying).startswith("data:image/png;base64,")
    photos = [*photos, clear, lying]
    wanted = list(student.judge_photos("T", [Image.open(path) for path in photos]).per_image.values())
    said = [served.ask(served.questions.photo(path)).choices[0].message.content for path in photos]
    assert [as_line(text).line for text in said] == wanted and len(set(wanted)) > 2

    by_path = served.questions.photo(photos[0])
    (part,) = [one for one in by_path[-1]["content"] if one["type"] == "image_url"]
    assert part["image_url"]["url"].startswith("data:image/jpeg;base64,")
    part["image_url"]["url"] = str(photos[0].resolve())
    assert served.ask(by_path).choices[0].message.content == said[0]

    pieces = [piece.choices[0].delta.content or "" for piece in served.ask(by_path, stream=True)]
    assert "".join(pieces) == said[0] and len([piece for piece in pieces if piece]) > 2


def test_another_models_name_and_a_port_where_nobody_answers_end_in_one_sentence(served):
    with pytest.raises(openai.BadRequestError) as refused:
        served.client.chat.completions.create(model="other", messages=[{"role": "user", "content": "x"}])
    assert refused.value.response.json() == {"detail": "Server is pinned to 'student'; requested 'other'."}
    decode = [Decode(temperature=0.0, top_p=1.0, max_new_tokens=4, seed=1)]
    with pytest.raises(UserError, match=r"Server is pinned to 'student'.*check engine.base_url, engine.model") as named:
        served.engine(served.url, "other").complete("s", ["u"], decode)
    nobody = free_port(Address("127.0.0.1", 0)).url
    with pytest.raises(UserError, match=r"no answer after 1 tries.*start the server again") as gone:
        served.engine(nobody, "student").complete("s", ["u"], decode)
    assert not any("\n" in str(error.value) for error in (named, gone))


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"student": "absent"}, "absent"),
        ({"run_dir": "absent"}, "absent/config/predict.yaml: no such file; run make predict for this run once"),
        ({"host": "192.0.2.1"}, "--host: 192.0.2.1 is no address of this machine; name another HOST"),
        ({"port": "taken"}, "--port: port {port} of 127.0.0.1 is in use; name another PORT"),
        ({"missing": "fastapi"}, "fastapi: not installed; run `make setup-serve`"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_sentence_before_a_model_is_loaded(served, monkeypatch, option, said):
    monkeypatch.setattr(model.Encoder, "__init__", None)
    if absent := option.pop("missing", None):
        monkeypatch.setattr("verdicts.serving.server.find_spec", lambda name: None if name == absent else True)
    port = served.url.split(":")[2].split("/")[0]
    given = {"run_dir": served.run, "host": "127.0.0.1", "port": 0, "student": STUDENT} | option
    outcome = call("serve", **{name: port if value == "taken" else value for name, value in given.items()})
    assert outcome.code == 2 and said.format(port=port) in outcome.err, outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


def test_a_stop_leaves_one_sentence_a_free_port_and_no_files(served):
    assert len(list(served.temporary.glob("served-*"))) == 1  # torch may have a folder of its own beside
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(20) == 128 + signal.SIGTERM
    served.rest.join(5)
    assert list(served.temporary.glob("served-*")) == []
    assert "stopped by SIGTERM" in served.said[-1] and "Traceback" not in "".join(served.said)
    port = int(served.url.split(":")[2].split("/")[0])
    assert free_port(Address("127.0.0.1", port)).port == port
