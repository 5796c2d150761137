"""Prompt texts: the files that the configuration names, filled in.

Everything a model reads is rendered here and nowhere else, so that the rollout, the corpus and the training of
the miniature see the same bytes. A ticket's label and group_id never enter a Stage-B prompt: the methods do not take
them. A tool calls ``load_prompts`` once, before any model: a template that cannot be filled is refused there.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple, Protocol

from pydantic import BaseModel

from verdicts.base.errors import mistake
from verdicts.base.text_files import read_text
from verdicts.config.prompts import prompt_path
from verdicts.facts.counts import render_stats
from verdicts.facts.points import PointQuestion, render_points
from verdicts.stage_b.protocol import WORD, clean_summary

_NOTHING = "\0"  # stands for an empty text while lines are looked at
PHOTO_TASKS = ("summary", "dense")
_PHOTO = "<image>"  # as verdicts/photos/files.py says


class Placeholders(NamedTuple):
    """The placeholders of a template: the one that it needs ("" for none), and those that it may have."""

    needed: str
    allowed: tuple[str, ...]


# Texts of the domain and of the mission, from files that the configuration names: they stand as they are.
PACKS = ("domain_pack", "mission_rules")
# A template without the mission's name still works; one without the rest asks about nothing.
_PLACES = {
    ("stage_b", "system"): Placeholders("guidance", ("guidance", "mission", *PACKS)),
    ("stage_b", "user"): Placeholders("summaries", ("summaries", "mission", "points", "stats", *PACKS)),
    ("reflect", "system"): Placeholders("guidance", ("guidance", "mission")),
    ("reflect", "user"): Placeholders("cases", ("cases",)),
    **{(task, role): Placeholders("", PACKS) for task in PHOTO_TASKS for role in ("system", "user")},
}


class Case(NamedTuple):
    """A wrong ticket shown to reflection: label and verdict are ``pass`` or ``fail``, ``reasons`` what people wrote."""

    label: str
    verdict: str
    per_image: Mapping[str, str]
    reasons: str = ""


class Scene(Protocol):
    """What a prompt may say beside the data: a mission (a section of the configuration is one)."""

    @property
    def name(self) -> str:
        """The mission's name in records."""

    @property
    def slug(self) -> str:
        """Its short name, "" for none."""

    @property
    def domain(self) -> str:
        """What its photos show: bbu or rru."""

    @property
    def points(self) -> Sequence[PointQuestion]:
        """What each install point is asked for."""


class Template(NamedTuple):
    """Both messages of a prompt with their placeholders; ``system`` "" is no message."""

    system: str
    user: str


@dataclass(frozen=True)
class Prompts:
    """The templates of some kinds of prompt, for one mission, checked; ``load_prompts`` makes it."""

    mission: str
    templates: Mapping[str, Template]
    points: Sequence[PointQuestion] = ()

    def digest(self, kind: str) -> str:
        """How records name the prompt of a kind: 12 hex digits of a SHA-256 over its two templates."""
        template = self.templates[kind]
        return name_of_messages(self.photo_messages(kind)) if kind in PHOTO_TASKS else _name(*template)

    def stage_b_system(self, experiences: Mapping[str, str]) -> str:
        """The system message of Stage B for one frozen guidance."""
        return self.templates["stage_b"].system.format(mission=self.mission, guidance=render_guidance(experiences))

    def stage_b_user(self, per_image: Mapping[str, str]) -> str:
        """The user message of Stage B for one ticket."""
        template = self.templates["stage_b"].user
        places, stats = places_in(template), ""
        if places & {"points", "stats"}:
            read = {name: clean_summary(text) for name, text in per_image.items()}
            lines = render_points(read, self.points).split("\n") if "points" in places else []
            template, stats = put(template, "points", "\n".join(map(clean_summary, lines))), render_stats(read)
        return template.format(summaries=render_summaries(per_image), mission=self.mission, stats=stats)

    def reflect_system(self, experiences: Mapping[str, str]) -> str:
        """The system message of a reflection on errors made under one guidance."""
        return self.templates["reflect"].system.format(mission=self.mission, guidance=render_guidance(experiences))

    def reflect_user(self, cases: Sequence[Case]) -> str:
        """The user message of a reflection: cases numbered from 1, in the order given.

        What people wrote of a case is a line of its own.
        """
        shown = (
            f"案例{number} 人工:{WORD[case.label]} 模型:{WORD[case.verdict]}\n"
            + (f"人工理由: {clean_summary(case.reasons)}\n" if case.reasons else "")
            + render_summaries(case.per_image)
            for number, case in enumerate(cases, start=1)
        )
        return self.templates["reflect"].user.format(cases="\n".join(shown))

    def photo_messages(self, task: str) -> list[dict[str, str]]:
        """What is asked of a photo (``summary`` or ``dense``): role and content of each message.

        The user's is the photo, then what to do.
        """
        template = self.templates[task]
        user = {"role": "user", "content": f"{_PHOTO}{template.user.format()}"}
        return [{"role": "system", "content": template.system.format()}, user] if template.system else [user]


def name_of_messages(messages: Sequence[Mapping[str, str]]) -> str:
    """How records name the prompt of a photo task, which no ticket fills: by what is asked, without the photos."""
    said = {message["role"]: message["content"].replace(_PHOTO, "") for message in messages}
    return _name(said.get("system", ""), said.get("user", ""))


def _name(system: str, user: str) -> str:
    return hashlib.sha256(f"{system}\0{user}".encode()).hexdigest()[:12]


def load_prompts(section: BaseModel, mission: Scene) -> Prompts:
    """Read and check the templates that a prompts section names, and put the mission's packs into them.

    Raises UserError for a file that is not there, for a template that lacks its placeholder, has an unknown one or a
    brace that is none, and for a place of a pack that no file is named for.
    """
    kinds = section.model_dump()
    templates = {
        kind: Template(*(_read(kind, role, named, mission) for role in Template._fields))
        for kind, named in kinds.items()
    }
    return Prompts(mission.name, templates, tuple(mission.points))


def _read(kind: str, role: str, named: Mapping[str, Any], mission: Scene) -> str:
    """A template's text, checked, with its packs in their places; "" where no file is named."""
    if not named[role]:
        return ""
    path = prompt_path(named[role])
    text = read_text(path).strip()
    _check(path, text, *_PLACES[kind, role])
    places = places_in(text)
    if "domain_pack" in places:
        file = named["domain_packs"].get(mission.domain)
        if not file:
            what = f"has {{domain_pack}}, and prompts.{kind}.domain_packs names no file for {mission.domain}"
            raise mistake(what, "name one, or take the place out", path=path)
        text = put(text, "domain_pack", _pack(prompt_path(file)))
    if "mission_rules" in places:
        file = named["mission_rules"].get(mission.slug)
        text = put(text, "mission_rules", _pack(prompt_path(file)) if file else "").strip()
    if kind in PHOTO_TASKS and _PHOTO in text:
        what = f"holds {_PHOTO}, itself or in a pack: the photo stands before the text anyway"
        raise mistake(what, "take it out", path=path)
    return text


def _pack(path: Path) -> str:
    text = read_text(path).strip()
    if not text:
        raise mistake("the pack is empty", "write it, or take its name out of the configuration", path=path)
    return text


def places_in(template: str) -> set[str]:
    """The placeholders of a template."""
    return {place for _, place, _, _ in Formatter().parse(template) if place is not None}


def put(template: str, place: str, text: str) -> str:
    """A template with a text in a place, its braces too. A line with nothing but a place that stays empty is gone."""
    parts = []
    for literal, name, _, _ in Formatter().parse(template):
        parts.append(_escaped(literal))
        if name is not None:
            parts.append((_escaped(text) or _NOTHING) if name == place else f"{{{name}}}")
    lines = "".join(parts).split("\n")
    return "\n".join(line.replace(_NOTHING, "") for line in lines if line.strip() != _NOTHING)


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _check(path: Path, text: str, needed: str, allowed: Sequence[str]) -> None:
    """Raise UserError where a template lacks its placeholder, has an unknown one, or a brace that is none."""
    known = " or ".join(f"{{{place}}}" for place in allowed)
    braces = "{{ and }} for braces that are text"
    try:
        parts = [part for part in Formatter().parse(text) if part[1] is not None]
    except ValueError as error:
        raise mistake(f"a brace stands alone ({str(error).lower()})", f"write {braces}", path=path) from None
    for _, place, form, conversion in parts:
        if form or conversion or place not in allowed:
            what = f"{{{place}}} is no placeholder of this prompt"
            raise mistake(what, f"write {known}, and {braces}" if known else f"write {braces}", path=path)
    if needed and needed not in [place for _, place, _, _ in parts]:
        raise mistake(f"has no {{{needed}}}", f"write {{{needed}}} where it is to stand", path=path)
    if not text:
        raise mistake("the prompt is empty", "write what the model is to do", path=path)


def rule_number(key: str) -> int:
    """``G12`` -> 12."""
    return int(key[1:])


def render_guidance(experiences: Mapping[str, str]) -> str:
    """One rule a line, ``G0: …`` first, in the order of the key numbers.

    Whatever a reader takes for a line end becomes a blank: a text is one line.
    """
    return "\n".join(
        f"{key}: {' '.join(experiences[key].splitlines())}" for key in sorted(experiences, key=rule_number)
    )


def render_summaries(per_image: Mapping[str, str]) -> str:
    """One photo a line, ``image_1: …`` first, cleaned of third-state markers."""
    return "\n".join(f"{name}: {clean_summary(text)}" for name, text in per_image.items())
