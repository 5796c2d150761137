"""Words of given tickets that stand for a label, and names that stand for a mission."""

import difflib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from verdicts.base.errors import UserError
from verdicts.config.base import deep_merge
from verdicts.config.load import CONFIGS, read_yaml
from verdicts.config.sections import Config, Mission, TicketsSection


def plain_word(text: str) -> str:
    """A word or a name without what programs add and people do not see: width, case, blanks, a full stop at the end."""
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text)).rstrip("。.!").casefold()


@dataclass(frozen=True)
class Door:
    """What given tickets are held against: the run's mission by slug and name, and the knobs."""

    slug: str
    mission: str
    knobs: TicketsSection
    configs: Path = field(default=CONFIGS, compare=False)

    @classmethod
    def of(cls, mission: Mission, knobs: TicketsSection) -> "Door":
        """The door of a run of this mission."""
        return cls(mission.slug, mission.name, knobs)

    @classmethod
    def of_config(cls, config: Config) -> "Door":
        """The door that a whole configuration describes."""
        return cls.of(config.mission, config.tickets)

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """Word -> label."""
        return {plain_word(word): label for label, words in self.knobs.labels.items() for word in words}

    @cached_property
    def names(self) -> frozenset[str]:
        """The names that mean the run's mission, as plain words."""
        return frozenset(plain_word(name) for name in (self.mission, *self.knobs.aliases))

    @cached_property
    def others(self) -> Mapping[str, str]:
        """Names of all missions of the configuration -> slug, aliases among them; a file that cannot be read has none.

        For messages alone.
        """
        found: dict[str, str] = {}
        for path in sorted((self.configs / "missions").glob("*.yaml")):
            try:
                told = deep_merge({"mission": {"name": ""}, "tickets": {"aliases": []}}, read_yaml(path))
                names = [told["mission"]["name"], *told["tickets"]["aliases"]]
            except (UserError, TypeError, KeyError):
                continue
            found |= {name: path.stem for name in names if isinstance(name, str) and name}
        return found | {self.mission: self.slug}

    def foreign(self, name: str) -> tuple[str, str]:
        """What is wrong with a mission's name that is not the run's, and what to do."""
        what = f"{name!r} is not this run's mission {self.mission!r}"
        known = {plain_word(other): (other, slug) for other, slug in self.others.items()}
        if plain_word(name) in known:
            return what, f"run it under its own MISSION={known[plain_word(name)][1]}"
        near = difflib.get_close_matches(plain_word(name), known, n=1, cutoff=0.5)
        if not near:
            return what, "run it under its own MISSION"
        meant, slug = known[near[0]]
        return (
            f"{what}, and no mission has that name",
            f"the nearest is {meant!r} (MISSION={slug}): correct it, or name it in that mission's tickets.aliases",
        )
