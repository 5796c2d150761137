"""The prompts section: the file that each prompt is made of, and where it lies.

A value is a name below configs/prompts/ (``production/stage_b.system.txt``), or a path of the user's own. What begins
with ``./``, ``../`` or ``/`` is such a path, relative to the YAML file that names it; in an overlay the plain name of a
file beside it is one too. Section files hold own paths in the first form, from the working directory on.
"""

import difflib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from verdicts.base.errors import mistake
from verdicts.config.base import Section

PROMPTS_DIR = Path(__file__).resolve().parents[2] / "configs" / "prompts"
TextFile = Annotated[str, Field(min_length=1)]
_OWN = ("./", "../", "/")


Packs = dict[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], TextFile]


class TextPrompt(Section):
    """A conversation about text."""

    system: TextFile
    user: TextFile


class StageBPrompt(TextPrompt):
    """What asks for a verdict. ``domain_packs`` and ``mission_rules``: as of photos."""

    domain_packs: Packs
    mission_rules: Packs


class PhotoPrompt(Section):
    """A question about a photo; ``system`` "" asks it without a system message.

    ``domain_packs``: domain -> the file that {domain_pack} stands for; ``mission_rules``: mission slug -> the file of
    {mission_rules}, nothing for a mission without one.
    """

    system: str
    user: TextFile
    domain_packs: Packs
    mission_rules: Packs


class StageBPrompts(Section):
    """What tools that ask for verdicts need."""

    stage_b: StageBPrompt


class LearningPrompts(StageBPrompts):
    """What learning needs."""

    reflect: TextPrompt


class SummaryPrompts(Section):
    """What summarize needs."""

    summary: PhotoPrompt


class PredictPrompts(StageBPrompts):
    """What predict needs: photos are summarised, then judged."""

    summary: PhotoPrompt


class PromptsSection(LearningPrompts):
    """Every prompt that the toolchain renders."""

    summary: PhotoPrompt
    dense: PhotoPrompt


def prompt_path(name: str) -> Path:
    """Where a file that a section names lies."""
    return Path(name) if name.startswith(_OWN) else PROMPTS_DIR / name


def placed(value: Any, file: Path, overlay: bool) -> Any:
    """A layer's prompts section with the paths that it calls its own written from the working directory on.

    Raises UserError for a plain name that means two files.
    """
    if isinstance(value, dict):
        return {key: placed(part, file, overlay) for key, part in value.items()}
    if not isinstance(value, str) or not value:
        return value
    beside = file.parent / value
    if value.startswith(_OWN):
        return _from_here(beside)
    if not overlay or not beside.is_file():
        return value
    shipped = PROMPTS_DIR / value
    if shipped.exists() and not shipped.samefile(beside):
        what = f"{value!r} is {beside} and configs/prompts/{value}"
        raise mistake(what, f"write ./{value} for the first, or give it another name", path=file, field="prompts")
    return _from_here(beside)


def _from_here(path: Path) -> str:
    plain = os.path.normpath(path)
    return plain if plain.startswith(_OWN) else f"./{plain}"


def files_in(files: Mapping[str, Any], loc: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """The files that a prompts section, or a kind in one, names: (place in the section, name)."""
    for key, value in files.items():
        if isinstance(value, Mapping):
            yield from files_in(value, (*loc, key))
        elif value:
            yield (*loc, key), value


def own_packs(files: dict[str, Any], domain: str, slug: str) -> dict[str, Any]:
    """A kind as a mission's tool is told it: the packs of other domains and missions are none of its business."""
    own = {"domain_packs": domain, "mission_rules": slug}
    return files | {
        name: {key: file for key, file in files[name].items() if key == own[name]} for name in own if name in files
    }


def check_prompt_files(prompts: Mapping[str, Any], named_in: Callable[[tuple[str, ...]], Path]) -> None:
    """Raise UserError for a prompt whose file is not there. ``named_in``: the YAML file that says so."""
    for loc, name in files_in(prompts, ("prompts",)):
        if not prompt_path(name).is_file():
            there = sorted(file.relative_to(PROMPTS_DIR).as_posix() for file in PROMPTS_DIR.rglob("*.txt"))
            near = difflib.get_close_matches(name, there, n=3, cutoff=0.4) or there[:3]
            where = name if name.startswith(_OWN) else f"{name}, neither below configs/prompts/ nor beside an overlay"
            todo = f"write it, or name another, such as {', '.join(near)}"
            raise mistake(f"no such file ({where})", todo, path=named_in(loc), field=".".join(loc))
