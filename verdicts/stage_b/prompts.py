"""Prompt texts: the files in configs/prompts/ filled in.

Everything a model reads is rendered here and nowhere else, so that the rollout, the corpus and the training of
the miniature see the same bytes. A ticket's label and group_id never enter a Stage-B prompt: the functions do
not take them. A template may be edited; ``check_prompts`` says at the start of a tool what it lacks.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import NamedTuple

from verdicts.base.errors import mistake
from verdicts.base.text_files import read_text
from verdicts.stage_b.protocol import WORD, clean_summary

PROMPTS_DIR = Path(__file__).resolve().parents[2] / "configs" / "prompts"
STAGE_B_SYSTEM, STAGE_B_USER = "stage_b.system.txt", "stage_b.user.txt"
REFLECT_SYSTEM, REFLECT_USER = "reflect.system.txt", "reflect.user.txt"


STAGE_B, REFLECT = (STAGE_B_SYSTEM, STAGE_B_USER), (REFLECT_SYSTEM, REFLECT_USER)


class Placeholders(NamedTuple):
    """The placeholders of a template: the one that it needs, and those that it may have."""

    needed: str
    allowed: tuple[str, ...]


# A template without the mission's name still works; one without the rest asks about nothing.
_PLACES = {
    STAGE_B_SYSTEM: Placeholders("guidance", ("guidance", "mission")),
    STAGE_B_USER: Placeholders("summaries", ("summaries",)),
    REFLECT_SYSTEM: Placeholders("guidance", ("guidance", "mission")),
    REFLECT_USER: Placeholders("cases", ("cases",)),
}


class Case(NamedTuple):
    """A wrong ticket shown to reflection: label and verdict are ``pass`` or ``fail``."""

    label: str
    verdict: str
    per_image: Mapping[str, str]


def check_prompts(names: Iterable[str]) -> None:
    """Raise UserError for a template that cannot be filled: before a model is loaded, not at the first ticket."""
    for name in names:
        _template(name)


def _template(name: str) -> str:
    """The text of a template, read anew and checked."""
    path = PROMPTS_DIR / name
    text = read_text(path).strip()
    _check(path, text)
    return text


@lru_cache  # a template is filled once a ticket
def _check(path: Path, text: str) -> None:
    """Raise UserError where a template lacks its placeholder, has an unknown one, or a brace that is none."""
    needed, allowed = _PLACES[path.name]
    known = " or ".join(f"{{{place}}}" for place in allowed)
    try:
        parts = [part for part in Formatter().parse(text) if part[1] is not None]
    except ValueError as error:
        what = f"a brace stands alone ({str(error).lower()})"
        raise mistake(what, "write {{ and }} for braces that are text", path=path) from None
    for _, place, form, conversion in parts:
        if form or conversion or place not in allowed:
            what = f"{{{place}}} is no placeholder of this prompt"
            raise mistake(what, f"write {known}, and {{{{ and }}}} for braces that are text", path=path)
    if needed not in [place for _, place, _, _ in parts]:
        raise mistake(f"has no {{{needed}}}", f"write {{{needed}}} where it is to stand", path=path)


def _fill(name: str, **values: str) -> str:
    return _template(name).format(**values)


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


def stage_b_system(mission_name: str, experiences: Mapping[str, str]) -> str:
    """The system message of Stage B for one frozen guidance."""
    return _fill(STAGE_B_SYSTEM, mission=mission_name, guidance=render_guidance(experiences))


def stage_b_user(per_image: Mapping[str, str]) -> str:
    """The user message of Stage B for one ticket."""
    return _fill(STAGE_B_USER, summaries=render_summaries(per_image))


def photo_user(task: str) -> str:
    """The user message of a photo task (``summary`` or ``dense``): the photo, then what to do."""
    return "<image>" + read_text(PROMPTS_DIR / f"{task}.user.txt").strip()


def reflect_system(mission_name: str, experiences: Mapping[str, str]) -> str:
    """The system message of a reflection on errors made under one guidance."""
    return _fill(REFLECT_SYSTEM, mission=mission_name, guidance=render_guidance(experiences))


def reflect_user(cases: Sequence[Case]) -> str:
    """The user message of a reflection: cases numbered from 1, in the order given."""
    shown = (
        f"案例{number} 人工:{WORD[case.label]} 模型:{WORD[case.verdict]}\n{render_summaries(case.per_image)}"
        for number, case in enumerate(cases, start=1)
    )
    return _fill(REFLECT_USER, cases="\n".join(shown))
