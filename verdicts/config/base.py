"""What the sections of the configuration are made of, and how layers of it are merged."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(gt=0)]


class Section(BaseModel):
    """A frozen part of the configuration; unknown and missing keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def deep_merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Lay ``over`` on ``base``: mappings merge, all else replaces."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = deep_merge(old, value) if isinstance(value, dict) and isinstance(old, dict) else value
    return merged
