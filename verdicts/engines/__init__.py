"""Engines: one small interface to whatever model answers, four implementations (docs/design.md §5).

``llama_cpp`` runs a GGUF file in this process (the default), ``ray`` in actors on several GPUs or machines, ``openai``
asks any OpenAI-compatible endpoint, ``transformers`` runs a checkpoint folder. Text that came from data is tokenised as
plain text in all of them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from verdicts.base.errors import UserError, mistake

if TYPE_CHECKING:
    from verdicts.config.engine import EngineConfig, LlamaCppConfig, OpenAIConfig, RayConfig, TransformersConfig

STOP, LENGTH, OVER_LENGTH, REFUSED = "stop", "length", "over_length", "refused"
NO_VERDICT: dict[str, float | None] = {"pass": None, "fail": None}


@dataclass(frozen=True)
class Decode:
    """One candidate's sampling settings. ``temperature`` 0 is greedy; ``seed`` makes the candidate reproducible."""

    temperature: float
    top_p: float
    max_new_tokens: int
    seed: int


@dataclass(frozen=True)
class Completion:
    """One answer.

    ``text`` is raw, without the end-of-turn token and without thinking. ``verdict_logprob`` holds the model's own
    log-probabilities (temperature 1, full vocabulary, natural log) of the two verdicts where they part; None where
    that place was never reached. ``finish``: ``stop``, ``length`` (``max_new_tokens`` were written), ``over_length``
    (the prompt does not fit; ``text`` is empty) or ``refused`` (this prompt got no answer that can be read; ``text`` is
    empty and ``detail`` holds the server's words, safe to print).
    """

    text: str
    verdict_logprob: dict[str, float | None]
    finish: str
    detail: str = ""


class Engine(Protocol):
    """What every engine does. All methods raise UserError for what the user can mend."""

    fingerprint: dict[str, str]

    def rollout(
        self, system: str, users: Sequence[str], decodes: Sequence[Sequence[Decode]]
    ) -> Iterator[list[Completion]]:
        """Answer ``users[i]`` once for each of ``decodes[i]``; yields the answers of ticket after ticket, in order.

        Work is done in chunks of ``config.chunk`` tickets and nothing carries over from one to the next: a caller that
        saved whole chunks and comes back with the tickets that are left gets the bytes it would have got.
        """

    def judge(self, system: str, users: Sequence[str]) -> list[dict[str, float | None]]:
        """Log-probabilities of ``pass`` and ``fail`` for each of ``users``, no reason; None where it does not fit."""

    def complete(
        self, system: str, users: Sequence[str], decodes: Sequence[Decode], json_schema: dict[str, Any] | None = None
    ) -> list[Completion]:
        """One answer for each of ``users``, which share one system message (reflection).

        With ``json_schema`` it is held to JSON of that schema where the engine can; else it is free text.
        """

    def count_tokens(self, text: str) -> int:
        """Number of tokens of ``text`` as data (an estimate from above where the engine has no tokenizer)."""

    def close(self) -> None:
        """Free what the engine holds."""


def open_engine(config: "EngineConfig") -> Engine:
    """Open the engine that ``config.kind`` names. Files and settings are checked before anything is loaded."""
    return ENGINES[config.kind](config)


def _llama_cpp(config: "LlamaCppConfig") -> Engine:
    from verdicts.engines.llama.engine import LlamaCppEngine

    return LlamaCppEngine(config)


def _openai(config: "OpenAIConfig") -> Engine:
    from verdicts.engines.openai.engine import OpenAIEngine

    return OpenAIEngine(config)


def _transformers(config: "TransformersConfig") -> Engine:
    from verdicts.engines.transformers import TransformersEngine

    return TransformersEngine(config)


def _ray(config: "RayConfig") -> Engine:
    from verdicts.engines.ray import RayEngine

    return RayEngine(config)


# kind -> how to open it. A new engine is its module, a line here, and its knobs (config/engine.py, configs/base.yaml).
ENGINES: dict[str, Callable[[Any], Engine]] = {
    "llama_cpp": _llama_cpp,
    "openai": _openai,
    "transformers": _transformers,
    "ray": _ray,
}


def chunks(count: int, size: int) -> Iterator[range]:
    """Index ranges of ``size`` over ``count`` items; the last one may be shorter."""
    return (range(start, min(start + size, count)) for start in range(0, count, size))


def check_calls(users: Sequence[str], decodes: Sequence[object]) -> None:
    """A programming error, not a user's: every ticket needs its decode settings."""
    if len(users) != len(decodes):
        raise ValueError(f"{len(users)} users but {len(decodes)} decode settings")


__all__ = ["Completion", "Decode", "Engine", "UserError", "mistake", "open_engine"]
