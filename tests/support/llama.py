"""The llama.cpp engine's configuration for tests, and the bundled model."""

from pathlib import Path

from verdicts.config.engine import LlamaCppConfig, Thinking

MODEL = Path(__file__).resolve().parents[2] / "data" / "miniature" / "teacher.gguf"


def config(**changes) -> LlamaCppConfig:
    base = {
        "kind": "llama_cpp", "model": str(MODEL), "context_tokens": 4096, "batch_tokens": 128, "slots": 4, "chunk": 8,
        "n_threads": 1, "n_gpu_layers": 0, "grammar": True, "reasons": "per_verdict",
        "thinking": Thinking(enabled=False, max_new_tokens=8),
    }  # fmt: skip
    return LlamaCppConfig(**(base | changes))
