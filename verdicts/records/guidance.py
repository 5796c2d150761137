"""The rules of a mission and what is known of them: guidance.json."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, RootModel, model_validator

from verdicts.base.errors import mistake
from verdicts.base.jsonl import read_json, write_json
from verdicts.base.record import Record, one_line


def _one_rule(text: str) -> str:
    """As ``one_line``, but for the two separators of Unicode, which renderers of prompts replace: a run of before may
    hold them.
    """
    return one_line(text.replace("\u2028", " ").replace("\u2029", " ")) and text


RuleText = Annotated[str, AfterValidator(_one_rule)]


class RuleMeta(Record):
    """What is known of one learnable rule. ``confidence = (hit_count + 1) / (hit_count + miss_count + 2)``."""

    hit_count: int
    miss_count: int
    confidence: float
    reflection_id: str
    sources: list[str]
    rationale: str
    created_round: int


class RemovedRule(Record):
    """A snapshot of a rule that left guidance.

    Its key is not used again; its text is not accepted until something new was learnt.
    """

    text: str
    round: int
    why: str
    metadata: RuleMeta


class MissionGuidance(Record):
    """The rules of one mission after ``step`` changes.

    ``trials``: proposals tried since one was last accepted (trial.py spends its error by them).
    """

    step: int
    experiences: dict[Annotated[str, Field(pattern=r"^G[0-9]{1,9}$")], RuleText]
    metadata: dict[str, RuleMeta]
    last_applied_rule_keys: list[str]
    removed: dict[str, RemovedRule] = {}
    refused: dict[str, str] = {}
    trials: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _learnable_rules_are_known(self) -> "MissionGuidance":
        if "G0" not in self.experiences:
            raise ValueError("experiences has no G0; restore the mission's checklist")
        if unknown := sorted(set(self.metadata) ^ (set(self.experiences) - {"G0"})):
            raise ValueError(
                f"experiences and metadata disagree on {unknown[0]}; give every learnable rule both or neither"
            )
        if again := sorted(set(self.removed) & set(self.experiences)):
            raise ValueError(f"rule key {again[0]} was removed before; a new rule takes a new key")
        return self


class GuidanceFile(RootModel[dict[str, MissionGuidance]]):
    """guidance.json: mission name -> guidance."""


def read_guidance(path: Path, mission: str) -> MissionGuidance:
    """The guidance of one mission; raises UserError where the file does not hold it."""
    missions = read_json(path, GuidanceFile).root
    if mission not in missions:
        raise mistake(f"holds no mission {mission!r} (found {', '.join(missions)})", "check MISSION", path=path)
    return missions[mission]


def write_guidance(path: Path, mission: str, guidance: MissionGuidance) -> None:
    """Write guidance.json of one mission."""
    write_json(path, {mission: guidance.model_dump(mode="json")})
