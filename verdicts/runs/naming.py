"""What a run is made of: the variables that a user names, what the run remembers of them, and where the two disagree.

A run remembers what it was made with: ``config/made_with.json`` holds MODELS, CONFIG, PHOTOS and FUSION,
``config/tickets.json`` the source of its tickets. A variable that is not named is taken from there. One that names
something else, by path and by content, is refused: it would overwrite what another model, configuration or set of
tickets made. ``REMAKE=1`` allows it.
"""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from verdicts.base.digests import digest_of_path, digest_of_text, sha256_of
from verdicts.base.errors import UserError, mistake
from verdicts.base.jsonl import json_text, read_json, write_text_if_changed
from verdicts.base.made import notes_below
from verdicts.records.tickets import TicketsSource

DRAWN = "miniature/stage_a.jsonl"  # below the run folder: tickets drawn by code
SUMMARIES = "summaries/stage_a.jsonl"  # below the run folder: what summarize wrote
RUN_GOALS = {"distill", "converge", "review", "baseline", "suspects", "relearn", "plan"}
DRAWS = {"distill", "baseline", "suspects", "relearn"}  # goals that may draw synthetic tickets, for the miniature alone


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class NamedPath(_Part):
    """A file or folder as it was named, and its content."""

    path: str
    digest: str

    @classmethod
    def of(cls, path: str) -> "NamedPath":
        """A file or folder with the content that it has now."""
        return cls(path=path, digest=digest_of_path(Path(path)))

    @classmethod
    def of_photos(cls, path: str) -> "NamedPath":
        """A folder of photos, or a manifest together with the photos that it names, which lie beside it."""
        named, place = cls.of(path), Path(path)
        if not place.is_file():
            return named
        photos = [f"{name} {digest_of_path(place.parent / name)}" for name in _photos_of(place)]
        return cls(path=path, digest=digest_of_text("\n".join([named.digest, *photos])))

    def is_like(self, other: "NamedPath") -> bool:
        """Whether both mean the same: the same place, whatever stands there, or the same content."""
        return Path(self.path).absolute() == Path(other.path).absolute() or self.digest == other.digest


class MadeWith(_Part):
    """config/made_with.json. ``student_config``: the CONFIG of the student's tools, where it is not the run's."""

    models: str | None = None
    config: NamedPath | None = None
    student_config: NamedPath | None = None
    photos: NamedPath | None = None
    fusion: str | None = None


def _photos_of(manifest: Path) -> list[str]:
    """The photos that a manifest names; what is no row of one is summarize's to refuse."""
    names: list[Any] = []
    for line in manifest.read_bytes().splitlines():
        try:
            names += json.loads(line)["images"]
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
    return [name for name in names if isinstance(name, str) and name.isprintable()]


def remembered(run_dir: Path) -> tuple[MadeWith, TicketsSource | None]:
    """What a run remembers; nothing of a run that is new, or older than this memory."""
    made, tickets = run_dir / "config" / "made_with.json", run_dir / "config" / "tickets.json"
    return (read_json(made, MadeWith) if made.exists() else MadeWith()), (
        read_json(tickets, TicketsSource) if tickets.exists() else None
    )


def variables_of(run_dir: Path) -> str:
    """What names a run on make's command line, quoted for the shell: ``RUN=miniature MISSION=bbu_line``."""
    run = run_dir if len(run_dir.parts) > 2 else run_dir.resolve()  # runs/<RUN>/<MISSION>
    below = run.parts[-3] == "runs" and len(run.parts) == 3
    words = [*([] if below else [f"RUNS={run.parents[1]}"]), f"RUN={run.parent.name}", f"MISSION={run.name}"]
    return " ".join(map(shlex.quote, words))


def write_made_with(run_dir: Path, made: MadeWith) -> bool:
    """Write made_with.json where it says something new."""
    return write_text_if_changed(run_dir / "config" / "made_with.json", json_text(made))


class Choice:
    """Decides each variable of a run between its name now and what the run remembers. ``remake``: the new name wins."""

    def __init__(self, run_dir: Path, remake: bool):
        self.run_dir, self.remake = run_dir, remake

    def word(self, variable: str, named: str | None, was: str | None) -> str | None:
        """A name: the one given now, else the remembered one (None: neither). Raises UserError where they differ."""
        if named and was and named != was:
            self._refuse(variable, was, named)
        return named or was

    def file(
        self, variable: str, named: str | None, was: NamedPath | None, of: Callable[[str], NamedPath] = NamedPath.of
    ) -> NamedPath | None:
        """A file or folder, as ``word``. ``named`` "" says that there is none.

        Raises UserError for one that is not there, too.
        """
        if named is None:
            if was and not Path(was.path).exists():
                raise mistake(
                    f"{variable}={was.path}, which {self.run_dir} was made with, is gone",
                    f"bring it back, or name {variable}= with REMAKE=1",
                    path=was.path,
                )
            return of(was.path) if was else None
        if named and not Path(named).exists():
            raise mistake("no such file", "check the path", path=named)
        now = of(named) if named else None
        differs = (was is None) != (now is None) or (was and now and not now.is_like(was))
        # A run made without a CONFIG was made with the shipped one, so naming one now differs. Photos that it did
        # not need so far are no contradiction.
        if differs and (was or variable == "CONFIG"):
            self._refuse(variable, was.path if was else "", named)
        return now

    def photos_or_tickets(
        self, goals: set[str], photos: str | None, was: TicketsSource | None, dry_run: bool
    ) -> TicketsSource | None:
        """The remembered source of tickets, where it goes together with the goals.

        Photos are turned into tickets by summarize alone.
        """
        if "summarize" in goals and was is not None and was.source != str(self.run_dir / SUMMARIES):
            self._refuse("STAGE_A", was.source, f"the summaries of PHOTOS={photos or f'data/{self.run_dir.name}'}")
            if not dry_run:
                (self.run_dir / "config" / "tickets.json").unlink()
            return None
        if photos and goals & RUN_GOALS and not (self.run_dir / SUMMARIES).exists():
            raise UserError(
                f"PHOTOS={photos} is read by summarize: "
                f"run make summarize PHOTOS=… first, then make {' '.join(sorted(goals))}"
            )
        return was

    def _refuse(self, variable: str, was: str, named: str) -> None:
        made_something = (self.run_dir / "stage_a.jsonl").exists() or notes_below([self.run_dir])
        if made_something and not self.remake:  # a name that made nothing binds nobody
            said = f"{variable}={was}" if was else f"no {variable}"
            raise UserError(
                f"{self.run_dir} was made with {said}, not with {variable}={named}; "
                "name another RUN, or say REMAKE=1 to make this one again"
            )

    def tickets(self, named: str | None, was: TicketsSource | None, may_draw: bool) -> tuple[str, bool]:
        """The source of the run's tickets and whether it is drawn by code.

        Raises UserError where there is none, or another one than before.
        """
        if named:
            same = was if was and Path(was.source).absolute() == Path(named).absolute() else None
            if Path(named).is_dir():
                raise mistake("is a folder", "give a file", path=named)
            # The run's own copy stands in for a source that is gone, as long as it is the one that was taken.
            if not Path(named).is_file() and not (same and not Path(named).exists()):
                raise mistake("no such file", "check the path", path=named)
            if was and not same and sha256_of(Path(named)) != was.sha256:
                self._refuse("STAGE_A", was.source, named)
            return named, same is not None and same.synthetic
        # STAGE_A= (named, and empty) with REMAKE=1 lets go of the tickets of before; a run without a name keeps them.
        if was and (named is None or not self.remake):
            return was.source, was.synthetic
        mission = self.run_dir.name
        for place in (self.run_dir / SUMMARIES, Path("data", mission, "stage_a.jsonl")):
            if place.exists():
                return str(place), False
        if may_draw:
            return str(self.run_dir / DRAWN), True
        here = f"data/{mission}/stage_a.jsonl"
        todo = f"name them: STAGE_A=tickets.jsonl, or put them into {here}, or make summarize PHOTOS=folder"
        raise UserError(f"no tickets for MISSION={mission}; {todo}")


def section_differences(was: dict[str, Any], text: str) -> str:
    """What another section file says differently: ``engine.slots 16 -> 32, …``; empty where nothing."""
    import yaml

    from verdicts.config.load import flat

    old, new = flat(was), flat(yaml.safe_load(text))
    return ", ".join(
        f"{name} {old.get(name, 'absent')} -> {new.get(name, 'absent')}"
        for name in [*new, *(old.keys() - new.keys())]
        if old.get(name) != new.get(name)
    )
