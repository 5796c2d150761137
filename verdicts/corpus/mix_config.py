"""configs/fusion/<name>.yaml: which sources a training file is mixed from, and in what proportion (docs/fusion.md)."""

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from verdicts.base.errors import UserError, mistake
from verdicts.base.jsonl import validate
from verdicts.base.text_files import read_text
from verdicts.base.yaml_text import yaml_nodes
from verdicts.config.base import Count, Section, Share
from verdicts.config.load import read_yaml
from verdicts.corpus.rows import OTHER_MEDIA, TEMPLATES
from verdicts.photos.files import PHOTO_MARK
from verdicts.records.corpus import Task

PLACES = (
    "corpus",
    "old",
    "mission",
)  # a run's folder of a mission, the folder of the student's old tasks, the mission's slug
PLACEHOLDER = re.compile(r"\{(\w+)\}")


class LostBefore(Section):
    """Ratios of old tasks follow what a student lost of them, as ``gate`` says (a gate.json, tools/gate.py).

    A ratio grows by ``strength`` times the share that its task lost, to ``at_most`` times itself; then all such ratios
    shrink alike, so that together they are what they were told.
    """

    gate: Annotated[str, Field(pattern=r"\.json$")]
    strength: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    at_most: Annotated[float, Field(ge=1, allow_inf_nan=False)]


class Mix(Section):
    """``by``: what ratios compare.

    ``anchor``: the source that is taken whole. ``tokenizer``: what counts loss tokens, "" for characters.
    """

    by: Literal["rows", "loss_tokens"]
    anchor: str
    tokenizer: str
    retention: LostBefore | None = None


class Val(Section):
    """Where a source's validation rows come from: a share of its groups, or files of their own."""

    share: Share | None = None
    paths: Annotated[list[str], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Val":
        if (self.share is None) == (self.paths is None):
            raise ValueError("give either share or paths; share: 0 for no validation rows")
        return self


class ReleasedBefore(Section):
    """Failed tickets that a student passed: ``predictions`` of the source's tickets by it, and how often each is taken.

    ``predictions`` is a predictions.jsonl (tools/predict.py).
    """

    predictions: Annotated[str, Field(pattern=r"\.jsonl$")]
    times: Annotated[float, Field(ge=1, allow_inf_nan=False)]


class Source(Section):
    """One source: its files, its part of the mix, the weight of its rows' loss.

    Of an ``optional`` one what is not there, or empty, is left out. ``system_prompt`` and ``user_prompt`` stand in
    place of what its rows ask with.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    dataset: Task
    template: Literal["chatml", "chat_general", "dense", "summary"]
    paths: Annotated[list[str], Field(min_length=1)]
    val: Val
    ratio: float | None = None
    rows: Count | None = None
    weight: Annotated[float, Field(gt=0)]
    fail_oversample: float | None = None
    released: ReleasedBefore | None = None
    optional: bool = False
    system_prompt: str | None = None
    user_prompt: str | None = None

    @field_validator("template")
    @classmethod
    def _template_of_the_dataset(cls, template: str, info: ValidationInfo) -> str:
        dataset = info.data.get("dataset")
        if dataset and TEMPLATES[template][0] != dataset:
            right = " or ".join(name for name, (task, _) in TEMPLATES.items() if task == dataset)
            raise ValueError(f"{template!r} is no template for dataset {dataset}; write {right}")
        return template

    @field_validator("ratio")
    @classmethod
    def _ratio_above_zero(cls, ratio: float | None) -> float | None:
        if ratio is not None and not 0 < ratio < math.inf:
            raise ValueError(f"a ratio must be above 0 ({ratio:g}); to leave a source out, delete it")
        return ratio

    @field_validator("fail_oversample")
    @classmethod
    def _no_less_than_once(cls, factor: float | None) -> float | None:
        if factor is not None and not 1 <= factor < math.inf:
            raise ValueError(f"must be 1 or more ({factor:g}); 1 takes every ticket once")
        return factor

    @field_validator("system_prompt", "user_prompt")
    @classmethod
    def _a_prompt_of_photos(cls, prompt: str | None, info: ValidationInfo) -> str | None:
        if prompt is None:
            return None
        if info.data.get("dataset") == "chat":
            raise ValueError("a chat row has its own prompt, which its answer follows; take it out")
        if info.field_name == "user_prompt" and not prompt.strip():
            raise ValueError("is blank; write what the photo is asked, or take it out")
        if word := next((word for word in (PHOTO_MARK, *OTHER_MEDIA) if word in prompt), None):
            raise ValueError(f"{word} would be read as a photo or clip of its own; the photos come by themselves")
        return prompt

    @model_validator(mode="after")
    def _complete(self) -> "Source":
        if (self.ratio is None) == (self.rows is None):
            raise ValueError(f"source {self.name} needs either ratio or rows; keep one of them")
        if (self.fail_oversample is None) == (self.template == "chatml"):
            todo = "add it" if self.template == "chatml" else "remove it"
            raise ValueError(f"source {self.name}: fail_oversample belongs to template chatml and to no other; {todo}")
        if self.released and self.template != "chatml":
            raise ValueError(f"source {self.name}: released belongs to template chatml and to no other; remove it")
        return self


class Fusion(Section):
    """One mix. ``image_paths``: how photos are named in the output, relative to the working directory or absolute."""

    seed: int
    image_paths: Literal["relative", "absolute"]
    mix: Mix
    sources: Annotated[list[Source], Field(min_length=1)]

    @property
    def anchor(self) -> int:
        """The number of the source that is taken whole."""
        return [source.name for source in self.sources].index(self.mix.anchor)


def read_fusion(path: Path, places: Mapping[str, str] | None = None) -> Fusion:
    """Read a fusion config; raises UserError naming file, line and key, also for a source file that is not there.

    ``places``: what ``{corpus}``, ``{old}`` and ``{mission}`` stand for in the sources' paths. Optional sources of
    which no file is there are left out.
    """
    value = read_yaml(path)
    try:
        config = Fusion.model_validate(value)
    except ValidationError as error:
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")  # the one that validate names
        validate(value, Fusion, path, line_of(path, first["loc"]))
        raise
    if told := config.mix.retention:
        told = told.model_copy(update={"gate": written(told.gate, places or {})})
        check_files(path, ("mix", "retention", "gate"), [told.gate])
        config = config.model_copy(update={"mix": config.mix.model_copy(update={"retention": told})})
    names = [source.name for source in config.sources]
    if config.mix.anchor not in names:
        raise config_mistake(
            path, ("mix", "anchor"), f"no source is named {config.mix.anchor!r}", f"name one of {', '.join(names)}"
        )
    found = []
    for at, source in enumerate(config.sources):
        if source.name in names[:at]:
            raise config_mistake(
                path, ("sources", at, "name"), f"two sources are named {source.name}", "give each its own name"
            )
        source = in_place(source, places or {})
        if source.optional:
            there = [name for name in source.paths if os.path.isfile(name) and os.path.getsize(name)]
            source = source.model_copy(update={"paths": there})
        check_files(path, ("sources", at, "paths"), source.paths)
        if source.paths:
            check_files(path, ("sources", at, "val", "paths"), source.val.paths or [])
            check_files(path, ("sources", at, "released", "predictions"), predictions_of(source))
            found.append(source)
        elif source.name == config.mix.anchor:
            raise config_mistake(
                path,
                ("sources", at, "paths"),
                "none of the anchor's files is there",
                "make one first, or correct the paths",
            )
    return config.model_copy(update={"sources": found})


def written(name: str, places: Mapping[str, str]) -> str:
    """A path with the places that it names written out."""
    return PLACEHOLDER.sub(lambda word: places.get(word[1], word[0]), name)


def in_place(source: Source, places: Mapping[str, str]) -> Source:
    """A source with the places that its paths name written out."""
    validates, released = source.val.paths, source.released
    val = source.val.model_copy(update={"paths": validates and [written(name, places) for name in validates]})
    if released:
        released = released.model_copy(update={"predictions": written(released.predictions, places)})
    paths = [written(name, places) for name in source.paths]
    return source.model_copy(update={"paths": paths, "val": val, "released": released})


def predictions_of(source: Source) -> list[str]:
    """The file of a source's ``released``, in a list that is empty without one."""
    return [source.released.predictions] if source.released else []


def left_out(path: Path, config: Fusion, places: Mapping[str, str]) -> list[Source]:
    """The optional sources of a config that are not in the mix, with the paths where they were looked for."""
    there = {source.name for source in config.sources}
    return [
        in_place(source, places)
        for source in Fusion.model_validate(read_yaml(path)).sources
        if source.name not in there
    ]


def check_files(config: Path, loc: tuple[int | str, ...], paths: list[str]) -> None:
    """Raise UserError for the first path that is no file, at its line of the config."""
    for at, name in enumerate(paths):
        if os.path.isfile(name):  # False for a name too long to be one, where Path raises
            continue
        if place := PLACEHOLDER.search(name):
            todo = (
                "give --corpus RUNS/RUN/MISSION"
                if place[1] in PLACES
                else f"write one of {', '.join(f'{{{known}}}' for known in PLACES)}"
            )
            raise config_mistake(config, (*loc, at), f"nothing to put in place of {place[0]} ({name})", todo)
        what = "is a folder" if os.path.isdir(name) else "no such file"
        raise config_mistake(
            config,
            (*loc, at),
            f"{what} ({name})",
            "make it first, or correct the path (relative to the working directory)",
        )


def config_mistake(config: Path, loc: tuple[int | str, ...], what: str, todo: str) -> UserError:
    """An error at the line of the config where ``loc`` stands."""
    return mistake(what, todo, path=config, line=line_of(config, loc), field=".".join(map(str, loc)))


def line_of(path: Path, loc: tuple[int | str, ...]) -> int:
    """The line, from 1, of the key or item at ``loc`` in a YAML file, or of the nearest thing around it that exists."""
    node = yaml_nodes(read_text(path), path)
    line = 1
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == part), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = (node.value[part], node.value[part])
        else:
            found = None
        if not found:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line
