"""What stands in for models of full size, and what is asked of them: random weights, long prompts, predict."""

import json
from pathlib import Path

import numpy as np
import pytest

from miniature.measure.fake_weights import PACKED, SHAPE, random_blocks, write_random_teacher
from tests.support.llama import DECODES, SYSTEM, USERS, config
from tools.bench import long_prompts, take
from verdicts.config.load import load

SMALL = SHAPE | {
    "hidden_size": 256, "num_hidden_layers": 1, "intermediate_size": 512, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 64, "vocab_size": 2048,
}  # fmt: skip


@pytest.mark.parametrize("kind", PACKED)
def test_random_weights_of_each_type_are_written_alike_and_answer_in_numbers(kind, tmp_path):
    from verdicts.engines.llama.engine import LlamaCppEngine

    sizes = [write_random_teacher(tmp_path / name, SMALL, kind) for name in ("a.gguf", "b.gguf")]
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes() and sizes[0] == sizes[1]
    engine = LlamaCppEngine(config(model=str(tmp_path / "a.gguf")))
    try:
        for (answer, *_), seen in zip(
            engine.rollout(SYSTEM, USERS[:2], DECODES[:2]), engine.judge(SYSTEM, USERS[:2]), strict=True
        ):
            assert answer.text and np.isfinite(list(seen.values())).all()
    finally:
        engine.close()


def test_bf16_weights_are_the_upper_halves_of_normal_numbers():
    blocks = random_blocks(PACKED["bf16"])
    values = (blocks.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    assert values.shape == (2**16 + 1, 32)
    assert abs(values.mean()) < 1e-4 and values.std() == pytest.approx(0.0075, rel=0.02)


def test_long_prompts_have_the_tokens_that_are_asked_for_and_no_two_are_alike():
    cfg = load("miniature", "bbu_line")
    tickets = take(cfg, None, 12)
    system, users = long_prompts(cfg, tickets, len, 900, 700)
    assert len(system) >= 900 and min(map(len, users)) >= 700
    assert len(set(users)) == len(users) == 12
    short, asked = long_prompts(cfg, tickets, len, 0, 0)
    assert len(short) < 900 and sum(map(len, asked)) < sum(map(len, users))


def test_predict_is_measured_in_batches_of_each_size_with_the_first_left_out(tmp_path):
    pytest.importorskip("torch", reason="the student needs torch: make setup-student")
    from miniature.speed.predict_speed import main

    main(
        output=tmp_path, full_size=False, batches="2,3", rounds=3, new_tokens=2, shared_tokens=0, own_tokens=0
    )  # fmt: skip
    found = json.loads(Path(tmp_path, "predict_speed.json").read_text(encoding="utf-8"))
    assert [(one["batch"], one["tickets"]) for one in found] == [(2, 6), (3, 9)]
    assert all(0 < one["slowest"] <= one["tickets_per_s"] <= one["fastest"] for one in found)
