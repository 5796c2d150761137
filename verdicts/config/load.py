"""Configuration: YAML files merged into frozen models. Every knob has its one value in configs/.

``configs/base.yaml`` holds all; ``configs/models/<set>.yaml`` and ``configs/missions/<slug>.yaml`` hold only what
differs; ``CONFIG=<file>`` lays one more file over them. A later file wins, mappings merge, lists replace; of the
engines in base.yaml the one of the kind in use counts (engine.py). There are no defaults in code: a missing knob is as
much an error as an unknown one. Each tool reads its own section file (``runs/<RUN>/<MISSION>/config/<tool>.yaml``),
rewritten only when its content changes.
"""

from pathlib import Path
from typing import Any

from verdicts.base.errors import mistake
from verdicts.base.jsonl import validate
from verdicts.base.yaml_text import read_value
from verdicts.config.base import deep_merge
from verdicts.config.engine import engine_section
from verdicts.config.prompts import check_prompt_files, placed
from verdicts.config.sections import Config, Mission

CONFIGS = Path("configs")


def load(models: str, mission: str, overlay: Path | None = None, configs: Path = CONFIGS) -> Config:
    """Merge base, model set, mission and overlay into one checked configuration."""
    paths = [
        configs / "base.yaml",
        _named(configs / "models", models, "MODELS"),
        _named(configs / "missions", mission, "MISSION"),
    ]
    layers = {path: read_yaml(path) for path in [*paths, *([overlay] if overlay else [])]}
    knobs_of_kinds = layers[paths[0]].pop("engines", None)
    merged: dict[str, Any] = {"mission": {"slug": mission}}
    for path, part in layers.items():
        if "prompts" in part:
            part["prompts"] = placed(part["prompts"], path, overlay=path == overlay)
        merged = deep_merge(merged, part)
    if engine := engine_section(layers, knobs_of_kinds):
        merged["engine"] = engine

    def said_in(loc: tuple[int | str, ...]) -> Path:
        return next((path for path in reversed(layers) if _holds(layers[path], loc)), paths[0])

    config = validate(merged, Config, said_in)
    check_prompt_files(merged["prompts"], said_in)
    return config


def mission_of(slug: str, configs: Path = CONFIGS) -> Mission:
    """What a mission's file says of it."""
    path = _named(configs / "missions", slug, "MISSION")
    section = read_yaml(path).get("mission")
    return validate({"slug": slug} | section if isinstance(section, dict) else section, Mission, path)


def mission_name(slug: str, configs: Path = CONFIGS) -> str:
    """The name that records give a mission (``bbu_line`` -> ``BBU接地线检查``)."""
    return mission_of(slug, configs).name


def _holds(part: Any, loc: tuple[int | str, ...]) -> bool:
    """Whether a layer of configuration says something at ``loc``."""
    for name in loc:
        if not isinstance(part, dict) or name not in part:
            return isinstance(name, int)  # lists are replaced whole: the layer that holds the list holds its items
        part = part[name]
    return True


def _named(folder: Path, name: str, variable: str) -> Path:
    path = folder / f"{name}.yaml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
        raise mistake(f"unknown {variable} {name!r}", f"choose one of {known}, or add {path}")
    return path


def flat(part: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one: ``{"engine": {"slots": 16}}`` -> ``{"engine.slots": 16}``. Lists stay whole."""
    values: dict[str, Any] = {}
    for key, value in part.items():
        values.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return values


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that is one mapping; raises UserError with path and line."""
    value = read_value(path)
    if not isinstance(value, dict):
        raise mistake("holds no mapping", "write `section:` lines as in configs/base.yaml", path=path)
    return value
