"""The openai engine on llama-server itself, 64 requests in flight, the server killed and started again in the middle.

Skipped where llama.cpp's programs are not compiled: `make llama-programs` takes minutes, once.
"""

import threading
from pathlib import Path

import pytest
import yaml

from tests.support.builders import drawn_rows, snapshot
from tests.support.exporting import PROGRAMS
from tests.support.playing import Bench
from verdicts.base.jsonl import write_text
from verdicts.base.part_file import PartFile
from verdicts.config.engine import OpenAIConfig
from verdicts.config.load import load
from verdicts.engines import Completion, Decode, open_engine
from verdicts.engines.openai import engine as openai
from verdicts.engines.openai.reply import FAILED
from verdicts.export.server import LlamaServer, Served
from verdicts.records.tickets import StageA
from verdicts.stage_b.prompts import load_prompts

pytestmark = pytest.mark.skipif(not (PROGRAMS / "key").is_file(), reason="needs `make llama-programs` (minutes, once)")
ROOT = Path(__file__).resolve().parents[2]
CONFIG = load("miniature", "bbu_line")
IN_FLIGHT = 64
# what makes an answer depend on nothing but its request: one at a time, each prompt read from its beginning
ALONE = ["--no-cache-prompt"]


def server(folder: Path, slots: int, words: list[str]) -> LlamaServer:
    served = Served(ROOT / CONFIG.engine.model, context=1024, slots=slots, threads=1, name="teacher")
    found = LlamaServer(served, folder / "log", programs=PROGRAMS)
    found._command += words
    return found


def kill(running: LlamaServer) -> None:
    running._process.kill()
    running._process.wait()


def settings(url: str, **changes: object) -> OpenAIConfig:
    base = {
        "kind": "openai", "model": "teacher", "base_url": f"{url}/v1", "api_key_env": "", "chunk": 64, "retries": 8,
        "timeout_s": 300.0, "thinking": CONFIG.engine.thinking, "concurrency": IN_FLIGHT,
    }  # fmt: skip
    return OpenAIConfig(**(base | changes))


def answers(running: LlamaServer, temperature: float, kill_at: int = 0) -> tuple[list[list[Completion]], int]:
    """Answers to 20 tickets of 4 candidates, and how many requests failed; killed when request ``kill_at`` is sent."""
    prompts = load_prompts(CONFIG.prompts, CONFIG.mission)
    users = [prompts.stage_b_user(row["per_image"]) for row in drawn_rows("bbu_line", 20)]
    decodes = [[Decode(temperature, 0.95, 96, 10 * i + k) for k in range(4)] for i in range(20)]
    engine = open_engine(settings(running.url))
    send, lock, sent, kinds = engine._send, threading.Lock(), [], []

    def watched(body):
        with lock:
            sent.append(body["seed"])
            is_the_one = len(sent) == kill_at  # all others are in flight
        if is_the_one:
            kill(running)
            running.__enter__()
        outcome = send(body)
        kinds.append(outcome.kind)
        return outcome

    engine._send = watched
    found = list(engine.rollout(prompts.stage_b_system({"G0": CONFIG.mission.g0}), users, decodes))
    engine.close()
    return found, kinds.count(FAILED)


@pytest.mark.parametrize("slots", [1, IN_FLIGHT])
def test_a_server_killed_with_64_requests_in_flight_and_started_again_loses_and_changes_no_text(tmp_path, slots):
    with server(tmp_path, slots, ALONE if slots == 1 else []) as running:
        whole, failed = answers(running, 0.7 if slots == 1 else 0.0)
        assert failed == 0
        broken, failed = answers(running, 0.7 if slots == 1 else 0.0, kill_at=72)
    assert failed > IN_FLIGHT // 2
    assert [[one.text for one in row] for row in broken] == [[one.text for one in row] for row in whole]
    assert {one.finish for row in broken for one in row} == {"stop"}
    assert len({one.text for row in broken for one in row}) > 5  # answers that a mix-up would show
    if slots == 1:  # to the last digit; with many slots log-probabilities move in the second decimal
        assert broken == whole


def test_a_rollout_whose_server_stays_away_ends_with_a_sentence_and_goes_on_with_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(openai, "FIRST_PAUSE_S", 0.01)
    tickets = [StageA.model_validate(row) for row in drawn_rows("bbu_line", 8)]
    with server(tmp_path, 1, ALONE) as running:
        bench = Bench(tmp_path, monkeypatch).write(tickets)
        told = yaml.safe_load((tmp_path / "rollout.yaml").read_text(encoding="utf-8"))
        told["engine"] = settings(running.url, chunk=2, retries=1).model_dump(mode="json")
        write_text(tmp_path / "rollout.yaml", yaml.safe_dump(told, allow_unicode=True))
        assert bench.rollout().code == 0
        whole = snapshot(tmp_path / "rounds" / "0001")

        chunks = PartFile.append
        monkeypatch.setattr(PartFile, "append", lambda part, value: (chunks(part, value), kill(running))[0])
        outcome = bench.rollout(into="rounds/0002")
        assert outcome.code == 2
        assert "/v1/chat/completions: engine.base_url: no answer after 2 tries" in outcome.err
        part = (tmp_path / "rounds" / "0002" / ".rollout.part.jsonl").read_text(encoding="utf-8")
        assert part.count("\n") == 1 + 1  # the digest of the inputs, and the chunk that was answered

        monkeypatch.setattr(PartFile, "append", chunks)
        running.__enter__()
        assert bench.rollout(into="rounds/0002").code == 0
        assert snapshot(tmp_path / "rounds" / "0002") == whole
