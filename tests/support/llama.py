"""The llama.cpp engine's configuration for tests, the bundled model, and tickets to ask it."""

from pathlib import Path

import numpy as np

from miniature.world.prompts import prompts_of
from verdicts.config.engine import LlamaCppConfig, Thinking
from verdicts.engines import Decode

MODEL = Path(__file__).resolve().parents[2] / "data" / "miniature" / "teacher.gguf"

# rules that decide nothing: the verdicts are open, so small differences show
PROMPTS = prompts_of("BBU接地线检查")
SYSTEM = PROMPTS.stage_b_system({"G0": "无"})
SCREWS = ["机柜处接地螺丝,符合要求", "地排处接地螺丝,符合要求", "地排处接地螺丝,不符合要求", "BBU安装螺丝,符合要求"]
WIRES = ["电线/捆扎整齐×1", "电线/散乱×2"]
LABELS = ["标签/5G-BBU-接地线×1", "标签/无法识别×1", "标签/NR900-GPS接地线×2"]
GRID = [(0.3, 0.9), (0.7, 0.95), (1.0, 1.0), (1.3, 1.0)]


def ticket(number: int) -> str:
    """A ticket's user message; different numbers below 240 give different ones."""
    rng = np.random.default_rng(number)
    photos = [
        f"{rng.choice(LABELS)}，{rng.choice(WIRES)}，螺丝、光纤插头/{rng.choice(SCREWS)}×{rng.integers(1, 9)}"
        for _ in range(rng.integers(1, 4))
    ]
    return PROMPTS.stage_b_user(
        {f"image_{i}": photo for i, photo in enumerate([*photos, f"无关图片，标签/BBU{number}×1"], start=1)}
    )


USERS = [ticket(i) for i in range(40)]
DECODES = [[Decode(t, p, 48, 1000 * i + k) for k, (t, p) in enumerate(GRID)] for i in range(len(USERS))]


def config(**changes) -> LlamaCppConfig:
    base = {
        "kind": "llama_cpp", "model": str(MODEL), "context_tokens": 4096, "batch_tokens": 128, "slots": 4, "chunk": 8,
        "kv": "shared", "kv_type": "f16", "contexts": 1, "n_threads": 1, "n_gpu_layers": 0, "grammar": True,
        "reasons": "per_verdict",
        "thinking": Thinking(enabled=False, max_new_tokens=8),
    }  # fmt: skip
    return LlamaCppConfig(**(base | changes))
