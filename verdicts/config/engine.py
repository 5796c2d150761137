"""The engine section: one model for each kind of engine, with the knobs that this kind obeys and no other.

``configs/base.yaml`` holds a value for every knob of every kind under ``engines``. A model set or an overlay writes an
``engine`` section, which names a kind or keeps the one of the layer below, and the knobs that differ from base.yaml.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from verdicts.base.errors import UserError, mistake
from verdicts.config.base import Count, Section, deep_merge


class Thinking(Section):
    """Teacher thinking before the answer; never kept in any record."""

    enabled: bool
    max_new_tokens: Count


class _GgufConfig(Section):
    """A GGUF file, on llama.cpp."""

    kind: str
    model: str
    context_tokens: Count
    batch_tokens: Count
    slots: Count
    chunk: Count
    kv: Literal["shared", "streams"]
    kv_type: Literal["f16", "q8_0"]
    contexts: Count
    n_threads: Annotated[int, Field(ge=0)]
    n_gpu_layers: int
    grammar: bool
    reasons: Literal["per_verdict", "all"]
    thinking: Thinking

    @model_validator(mode="after")
    def _reasons_per_verdict_need_the_header(self) -> "_GgufConfig":
        if self.reasons == "per_verdict" and (not self.grammar or self.thinking.enabled):
            raise ValueError("reasons: per_verdict needs grammar: true and thinking off; set reasons: all")
        return self


class LlamaCppConfig(_GgufConfig):
    """A GGUF file in this process."""

    kind: Literal["llama_cpp"]


class RayConfig(_GgufConfig):
    """A GGUF file in each of several Ray actors."""

    kind: Literal["ray"]
    address: str
    actors: Annotated[int, Field(ge=0)]
    gpus_per_actor: Annotated[float, Field(ge=0)]
    cpus_per_actor: Count
    restarts: Annotated[int, Field(ge=0)]
    start_timeout_s: Annotated[float, Field(gt=0)]
    idle_s: Annotated[float, Field(gt=0)]


class OpenAIConfig(Section):
    """A model behind an OpenAI-compatible endpoint."""

    kind: Literal["openai"]
    model: str
    base_url: str
    api_key_env: str
    chunk: Count
    thinking: Thinking
    timeout_s: Annotated[float, Field(gt=0)]
    retries: Annotated[int, Field(ge=0)]
    concurrency: Count


class TransformersConfig(Section):
    """A checkpoint folder through transformers."""

    kind: Literal["transformers"]
    model: str
    context_tokens: Count
    chunk: Count


EngineConfig = Annotated[LlamaCppConfig | OpenAIConfig | TransformersConfig | RayConfig, Field(discriminator="kind")]
ENGINE_KINDS: dict[str, type[Section]] = {
    get_args(model.model_fields["kind"].annotation)[0]: model for model in get_args(get_args(EngineConfig)[0])
}


def engine_section(layers: Mapping[Path, Mapping[str, Any]], defaults: Any) -> dict[str, Any] | None:
    """The engine section that layers of configuration (later ones win) come to; None where one of them is no mapping.

    ``defaults``: kind -> knobs, from base.yaml. What was said below a layer that names another kind was said of another
    engine and is dropped. Raises UserError for a knob that the kind of its layer does not obey.
    """
    kind: Any = None
    knobs: dict[str, Any] = {}
    for path, layer in layers.items():
        part = layer.get("engine", {})
        if not isinstance(part, dict):
            return None
        if part.get("kind", kind) != kind:
            kind, knobs = part["kind"], {}
        for knob in part:
            if (obeys := _kinds_with(knob)) and kind in ENGINE_KINDS.keys() - obeys:
                raise _not_obeyed(path, knob, kind, obeys)
        knobs = deep_merge(knobs, part)
    own = defaults.get(kind) if isinstance(defaults, dict) and isinstance(kind, str) else None
    return {"kind": kind} | deep_merge(own if isinstance(own, dict) else {}, knobs)


def _kinds_with(knob: str) -> set[str]:
    return {kind for kind, model in ENGINE_KINDS.items() if knob in model.model_fields}


def _not_obeyed(path: Path, knob: str, kind: str, obeys: set[str]) -> UserError:
    todo = f"remove it, or choose kind {' or '.join(sorted(obeys))}"
    return mistake(f"an engine of kind {kind} has no such knob", todo, path=path, field=f"engine.{knob}")


def without_foreign_knobs(sections: dict[str, Any]) -> dict[str, Any]:
    """Sections as a run's file holds them, without the knobs that only other kinds of engine obey.

    A run made before each kind had knobs of its own holds those of all kinds.
    """
    engine = sections.get("engine")
    kind = engine.get("kind") if isinstance(engine, dict) else None
    if not isinstance(engine, dict) or not isinstance(kind, str) or kind not in ENGINE_KINDS:
        return sections
    foreign = {knob for knob in engine if kind not in (obeys := _kinds_with(knob)) and obeys}
    return sections | {"engine": {knob: value for knob, value in engine.items() if knob not in foreign}}
