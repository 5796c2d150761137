"""Prompt texts: the files in configs/prompts/ filled in.

Everything a model reads is rendered here and nowhere else, so that the rollout, the corpus and the training of
the miniature see the same bytes. A ticket's label and group_id never enter a Stage-B prompt: the functions do
not take them. Imports the standard library only.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from verdicts.stage_b.protocol import WORD, clean_summary

PROMPTS_DIR = Path(__file__).resolve().parents[2] / "configs" / "prompts"
STAGE_B_SYSTEM, STAGE_B_USER = "stage_b.system.txt", "stage_b.user.txt"
REFLECT_SYSTEM, REFLECT_USER = "reflect.system.txt", "reflect.user.txt"


class Case(NamedTuple):
    """A wrong ticket shown to reflection: label and verdict are ``pass`` or ``fail``."""

    label: str
    verdict: str
    per_image: Mapping[str, str]


def _fill(name: str, **values: str) -> str:
    return (PROMPTS_DIR / name).read_text(encoding="utf-8").strip().format(**values)


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
    return "<image>" + (PROMPTS_DIR / f"{task}.user.txt").read_text(encoding="utf-8").strip()


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
