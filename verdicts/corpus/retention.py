"""Ratios that follow what a student lost: of its old tasks, those that lost more get more of the mix.

A source's ratio becomes ``ratio x min(at_most, 1 + strength x loss)``. All adapted ratios are then scaled by one
number, so that together they are what they were told: the mix grows by nothing (docs/fusion.md, A second round).
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from verdicts.base.record import Record
from verdicts.corpus.mix_config import Fusion, Source
from verdicts.records.corpus import Task

# Why a source keeps its ratio: its task has no score before and after; its rows are told; it is the anchor, the scale.
KeptRatio = Literal["no score", "rows told", "anchor"]


class TaskLoss(Record):
    """What an old task lost by the score that lost most. ``loss``: of 1, the share of ``before`` that is gone."""

    metric: str
    before: float
    after: float | None
    loss: float = Field(ge=0, le=1)


class AdaptedSource(Record):
    """A source of an old task: its ratio as told and as mixed, and why it was kept where it was."""

    name: str
    lost: TaskLoss | None
    ratio: float | None
    adapted_ratio: float | None
    kept: KeptRatio | None = None


def adapt_ratios(config: Fusion, losses: Mapping[Task, TaskLoss]) -> tuple[Fusion, list[AdaptedSource]]:
    """The mix with its ratios after ``losses``, and what became of each source but those of verdicts, in their order.

    Of a config without ``mix.retention`` the same mix and nothing.
    """
    told = config.mix.retention
    if told is None:
        return config, []
    kept = [why_kept(source, config.mix.anchor, losses) for source in config.sources]
    grown = {
        at: (source.ratio or 0) * min(told.at_most, 1 + told.strength * losses[source.dataset].loss)
        for at, source in enumerate(config.sources)
        if source.template != "chatml" and kept[at] is None
    }
    scale = sum(config.sources[at].ratio or 0 for at in grown) / (sum(grown.values()) or 1)
    ratios = {at: ratio * scale for at, ratio in grown.items()}
    sources = [
        source.model_copy(update={"ratio": ratios.get(at, source.ratio)}) for at, source in enumerate(config.sources)
    ]
    account = [
        AdaptedSource(
            name=source.name,
            lost=losses.get(source.dataset),
            ratio=source.ratio,
            adapted_ratio=None if (now := sources[at].ratio) is None else round(now, 6),
            kept=kept[at],
        )
        for at, source in enumerate(config.sources)
        if source.template != "chatml"
    ]
    return config.model_copy(update={"sources": sources}), account


def why_kept(source: Source, anchor: str, losses: Mapping[Task, TaskLoss]) -> KeptRatio | None:
    """Why a source of an old task keeps its ratio, None for one that follows its loss."""
    if source.name == anchor:
        return "anchor"
    if source.dataset not in losses:
        return "no score"
    return "rows told" if source.ratio is None else None
