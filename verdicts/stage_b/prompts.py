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
from typing import NamedTuple, Protocol

from pydantic import BaseModel

from verdicts.base.errors import mistake
from verdicts.base.text_files import read_text
from verdicts.config.prompts import prompt_path
from verdicts.stage_b.protocol import WORD, clean_summary

PHOTO_TASKS = ("summary", "dense")
_PHOTO = "<image>"  # as verdicts/photos/files.py says


class Placeholders(NamedTuple):
    """The placeholders of a template: the one that it needs ("" for none), and those that it may have."""

    needed: str
    allowed: tuple[str, ...]


# A template without the mission's name still works; one without the rest asks about nothing.
_PLACES = {
    ("stage_b", "system"): Placeholders("guidance", ("guidance", "mission")),
    ("stage_b", "user"): Placeholders("summaries", ("summaries",)),
    ("reflect", "system"): Placeholders("guidance", ("guidance", "mission")),
    ("reflect", "user"): Placeholders("cases", ("cases",)),
    ("summary", "system"): Placeholders("", ()),
    ("summary", "user"): Placeholders("", ()),
    ("dense", "system"): Placeholders("", ()),
    ("dense", "user"): Placeholders("", ()),
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


class Template(NamedTuple):
    """Both messages of a prompt with their placeholders; ``system`` "" is no message."""

    system: str
    user: str


@dataclass(frozen=True)
class Prompts:
    """The templates of some kinds of prompt, for one mission, checked; ``load_prompts`` makes it."""

    mission: str
    templates: Mapping[str, Template]

    def digest(self, kind: str) -> str:
        """How records name the prompt of a kind: 12 hex digits of a SHA-256 over its two templates."""
        template = self.templates[kind]
        return name_of_messages(self.photo_messages(kind)) if kind in PHOTO_TASKS else _name(*template)

    def stage_b_system(self, experiences: Mapping[str, str]) -> str:
        """The system message of Stage B for one frozen guidance."""
        return self.templates["stage_b"].system.format(mission=self.mission, guidance=render_guidance(experiences))

    def stage_b_user(self, per_image: Mapping[str, str]) -> str:
        """The user message of Stage B for one ticket."""
        return self.templates["stage_b"].user.format(summaries=render_summaries(per_image))

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
    """Read and check the templates that a prompts section names.

    Raises UserError for a file that is not there, and for a template that lacks its placeholder, has an unknown one or
    a brace that is none.
    """
    kinds = section.model_dump()
    return Prompts(
        mission.name,
        {kind: Template(*(_read(kind, role, kinds[kind][role]) for role in Template._fields)) for kind in kinds},
    )


def _read(kind: str, role: str, name: str) -> str:
    """A template's text, checked; "" where no file is named."""
    if not name:
        return ""
    path = prompt_path(name)
    text = read_text(path).strip()
    _check(path, text, *_PLACES[kind, role])
    return text


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
