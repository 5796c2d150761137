"""An operating point in a rollout: whose it has to be, and the configuration that decides by its threshold."""

from pathlib import Path

from verdicts.base.errors import mistake
from verdicts.config.engine import EngineConfig
from verdicts.config.tools import RolloutConfig
from verdicts.models.fingerprint import checkpoint_hash, sampled_hash
from verdicts.stage_b.threshold import PointHolder, guidance_digest, read_point


def rollout_holder(mission: str, engine: EngineConfig, system: str) -> PointHolder:
    """What a point of an engine's rollouts holds for. ``system``: the system message, with the rules in it.

    A model that runs in Ray answers as it does in this process. Raises UserError where the weights are not here to be
    known by their content, as those behind an endpoint are not.
    """
    weights = Path(engine.model)
    if engine.kind == "openai" or not weights.exists():
        what = f"an operating point holds for weights by their content, and those of {engine.model!r} are not here"
        raise mistake(what, "write its threshold as rollout.threshold, which promises nothing", field="engine.model")
    kind = "transformers" if engine.kind == "transformers" else "llama_cpp"
    sha256 = sampled_hash(weights) if weights.is_file() else checkpoint_hash(weights)
    return PointHolder(mission, kind, sha256, guidance_digest(system))


def at_point(cfg: RolloutConfig, point: Path, system: str) -> RolloutConfig:
    """The configuration with the threshold of a point, if the point is of this very model under these very rules.

    Raises UserError where it is not, or where the configuration has a threshold of its own.
    """
    if cfg.rollout.threshold is not None:
        what = f"rollout.threshold is {cfg.rollout.threshold:g}, and an operating point is named"
        raise mistake(what, "use one of them", path=point)
    found = read_point(point, rollout_holder(cfg.mission.name, cfg.engine, system))
    decided = cfg.rollout.model_copy(update={"decision": "threshold", "threshold": found.threshold})
    return cfg.model_copy(update={"rollout": decided})
