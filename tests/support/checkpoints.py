"""The transformers engine's configuration for tests."""

from verdicts.config.engine import TransformersConfig


def config(model) -> TransformersConfig:
    return TransformersConfig(kind="transformers", model=str(model), context_tokens=400, chunk=2)
