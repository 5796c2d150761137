"""What each tool reads: one model for each tool, its fields the sections that it uses.

A knob outside them cannot make the tool's outputs stale.
"""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel

from verdicts.base.jsonl import validate
from verdicts.base.run_version import refuse_newer
from verdicts.config.base import Section
from verdicts.config.engine import EngineConfig, without_foreign_knobs
from verdicts.config.load import read_yaml
from verdicts.config.older import with_constants_of_before
from verdicts.config.prompts import LearningPrompts, PredictPrompts, StageBPrompts, SummaryPrompts, own_packs
from verdicts.config.sections import (
    BehaviourSection,
    CalibrateSection,
    Compat,
    Config,
    DecisionSection,
    DistillSection,
    EvaluateSection,
    ExportSection,
    FailFirst,
    FiltersSection,
    GateSection,
    LearnSection,
    LifeCycle,
    LintSection,
    LlamaServerSection,
    LoopSection,
    Mission,
    PredictSection,
    ReflectSection,
    ReviewSection,
    RolloutSection,
    SftSection,
    StudentSection,
    SummarizeSection,
    SuspectsSection,
    TicketsSection,
    WindowSection,
)

Part = TypeVar("Part", bound=BaseModel)


def section_text(config: Config, tool: str) -> str:
    """The section file of one tool, as YAML text."""
    names = list(SECTION_FILES[tool].model_fields)
    data = config.model_dump(mode="json", include=set(names))
    for name, knobs in _own_knobs(SECTION_FILES[tool]).items():
        data[name] = {knob: value for knob, value in data[name].items() if knob in knobs}
    if kinds := _kinds_of_prompts(SECTION_FILES[tool]):
        mission = config.mission
        data["prompts"] = {kind: own_packs(data["prompts"][kind], mission.domain, mission.slug) for kind in kinds}
    text: str = yaml.safe_dump({name: data[name] for name in names}, allow_unicode=True, sort_keys=False)
    return text


def _kinds_of_prompts(model: type[BaseModel] | None) -> list[str]:
    """The kinds of prompts that a tool asks with."""
    field = model.model_fields.get("prompts") if model else None
    return list(field.annotation.model_fields) if field and field.annotation else []


def _own_knobs(model: type[BaseModel] | None) -> dict[str, list[str]]:
    """The knobs that a tool's file holds of a section that it takes a part of."""
    fields = model.model_fields if model else {}
    return {name: list(DecisionSection.model_fields) for name in fields if fields[name].annotation is DecisionSection}


def is_older_form(path: Path, text: str) -> bool:
    """Whether an older version wrote a section file that says what ``text`` says, in another form.

    Such a file stays as it is: rewritten, it would make all results look as if they came from another configuration.
    """
    if not path.exists():
        return False
    held = read_yaml(path)
    told = read_told(path)
    return told != held and told == yaml.safe_load(text)


def read_section(path: Path, model: type[Part]) -> Part:
    """Read a tool's section file into the tool's own model (its fields name the sections it uses)."""
    return validate(read_told(path, model), model, path)


def read_told(path: Path, model: type[BaseModel] | None = None) -> dict[str, Any]:
    """What a section file says, one of an older version in today's form.

    ``model``: what the file has to hold, without one that of the tool which it is named after. Raises UserError where
    it is no mapping, and where a later version made the run.
    """
    refuse_newer(path.parent.parent)
    tool = model or SECTION_FILES.get(path.stem)
    sections = tool.model_fields if tool else ()
    return with_constants_of_before(without_foreign_knobs(read_yaml(path)), sections, _kinds_of_prompts(tool))


class PrepareConfig(Section):
    """Section file of prepare: which tickets it leaves out."""

    filters: FiltersSection


class GuidanceConfig(Section):
    """What the starting guidance is made of."""

    mission: Mission


class RolloutConfig(Section):
    """Section file of rollout."""

    mission: Mission
    engine: EngineConfig
    prompts: StageBPrompts
    rollout: RolloutSection
    fail_first: FailFirst
    window: WindowSection


class ReflectConfig(Section):
    """Section file of reflect. Of ``rollout`` it knows by what verdicts are chosen: it learns for that rule."""

    mission: Mission
    engine: EngineConfig
    prompts: LearningPrompts
    rollout: DecisionSection
    learn: LearnSection
    reflect: ReflectSection
    life_cycle: LifeCycle
    review: ReviewSection
    window: WindowSection


class LoopConfig(Section):
    """Section file of the loop."""

    window: WindowSection
    loop: LoopSection


class CollectConfig(Section):
    """Section file of collect."""

    learn: LearnSection


class AggregateReviewConfig(Section):
    """Section file of aggregate_review."""

    compat: Compat


class DistillConfig(Section):
    """Section file of distill."""

    mission: Mission
    prompts: StageBPrompts
    distill: DistillSection


class SummarizeConfig(Section):
    """Section file of summarize."""

    prompts: SummaryPrompts
    student: StudentSection
    summarize: SummarizeSection


class SftConfig(Section):
    """Section file of sft."""

    student: StudentSection
    sft: SftSection


class LintConfig(Section):
    """Section file of lint_corpus: the words of summaries and reasons, and how long a row may be."""

    fail_first: FailFirst
    student: StudentSection
    sft: SftSection
    lint: LintSection


class EvaluateConfig(Section):
    """Section file of evaluate."""

    mission: Mission
    prompts: StageBPrompts
    tickets: TicketsSection
    student: StudentSection
    evaluate: EvaluateSection


class PredictConfig(Section):
    """Section file of predict: what the student is asked with, as evaluate and summarize are told it."""

    mission: Mission
    prompts: PredictPrompts
    tickets: TicketsSection
    fail_first: FailFirst
    student: StudentSection
    summarize: SummarizeSection
    evaluate: EvaluateSection
    predict: PredictSection


class CalibrateConfig(Section):
    """Section file of calibrate."""

    calibrate: CalibrateSection


class SuspectsConfig(Section):
    """Section file of suspects."""

    mission: Mission
    fail_first: FailFirst
    suspects: SuspectsSection


class GateConfig(Section):
    """Section file of gate."""

    gate: GateSection


class BehaviourConfig(Section):
    """Section file of behaviour: which tickets, how they are asked about, the words of a waiver."""

    mission: Mission
    engine: EngineConfig
    prompts: StageBPrompts
    tickets: TicketsSection
    fail_first: FailFirst
    student: StudentSection
    lint: LintSection
    behaviour: BehaviourSection


class ExportConfig(Section):
    """Section file of export."""

    student: StudentSection
    export: ExportSection


class ServedConfig(EvaluateConfig):
    """Section file of evaluate where llama-server answers for the student."""

    llama_server: LlamaServerSection


class ExportGateConfig(Section):
    """Section file of export_gate."""

    gate: GateSection
    llama_server: LlamaServerSection


# tool -> the model of its section file
SECTION_FILES: dict[str, type[Section]] = {
    "prepare": PrepareConfig,
    "guidance": GuidanceConfig,
    "rollout": RolloutConfig,
    "reflect": ReflectConfig,
    "loop": LoopConfig,
    "collect": CollectConfig,
    "aggregate_review": AggregateReviewConfig,
    "suspects": SuspectsConfig,
    "distill": DistillConfig,
    "summarize": SummarizeConfig,
    "lint_corpus": LintConfig,
    "sft": SftConfig,
    "evaluate": EvaluateConfig,
    "gate": GateConfig,
    "behaviour": BehaviourConfig,
    "predict": PredictConfig,
    "calibrate": CalibrateConfig,
    "export": ExportConfig,
    "served": ServedConfig,
    "export_gate": ExportGateConfig,
}
