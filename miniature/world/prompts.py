"""The prompts that the miniature models are taught: those of configs/base.yaml, whatever a run is told."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from verdicts.config.load import read_yaml
from verdicts.config.prompts import PromptsSection
from verdicts.facts.points import PointQuestion
from verdicts.stage_b.prompts import Prompts, load_prompts

BASE = Path(__file__).resolve().parents[2] / "configs" / "base.yaml"


class Scene(NamedTuple):
    """What a prompt says of a mission."""

    name: str
    slug: str = ""
    domain: str = "bbu"
    points: tuple[PointQuestion, ...] = ()


@lru_cache
def prompts_of(mission: str = "") -> Prompts:
    """The prompts for a mission, by its name in records; photo tasks need none."""
    return load_prompts(PromptsSection.model_validate(read_yaml(BASE)["prompts"]), Scene(mission))
