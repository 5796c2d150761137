"""A guidance.json of another team, or of another run, as the starting rules of a mission.

Theirs maps a mission's name to its rules: G0 (the checklist), G1, G2, … (learnable) and S1, S2, … (structure,
read-only). Ours is a mission's ``g0`` and ``rules``. S rules are read-only like the checklist and hold with it, so they
join it: shown with it in every prompt, touched by no reflection. What the rules have earned there (hits, misses, clock
times) is not taken: here they earn it anew.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict

from verdicts.base.errors import mistake
from verdicts.base.jsonl import decode_json, validate
from verdicts.base.text_files import read_text
from verdicts.intake.names import Door, plain_word

_KEY = re.compile(r"([GS])(\d{1,9})")
_FORM = "write it as {mission: {experiences: {G0: …, G1: …}}}"


class TheirGuidance(BaseModel):
    """The rules of one mission in such a file. Fields beyond these are counted and left out."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    experiences: dict[str, str]
    metadata: dict[str, dict[str, Any]] = {}


class StartingRules(NamedTuple):
    """What is taken: the checklist (None: the mission keeps its own), the rules, and a line for each thing done."""

    g0: str | None
    rules: list[str]
    said: list[str]

    def overlay(self, head: list[str]) -> str:
        """A configuration file that starts a mission from these rules. ``head``: its first lines, without ``#``."""
        mission = ({"g0": self.g0} if self.g0 else {}) | {"rules": self.rules}
        body: str = yaml.safe_dump({"mission": mission}, allow_unicode=True, sort_keys=False, width=1_000_000)
        return "".join(f"# {line}\n" for line in (*head, *self.said)) + body


def read_their_guidance(path: Path, door: Door, own_g0: str) -> StartingRules:
    """The starting rules in a file. ``own_g0``: the mission's checklist, which S rules join where the file has no G0.

    Raises UserError for a file that is no such guidance, that has no rules of the mission, and for an unknown key.
    """
    value = decode_json(read_text(path), path)
    if not isinstance(value, dict):
        raise mistake("is no guidance", _FORM, path=path)
    name = next((name for name in value if plain_word(name) in door.names), None)
    if name is None:
        there = ", ".join(map(repr, value)) or "none"
        raise mistake(f"has no rules of {door.mission!r}, but of {there}", "name the MISSION that it is of", path=path)
    found = validate(value[name], TheirGuidance, path)
    texts: dict[str, dict[int, str]] = {"G": {}, "S": {}}
    for key, text in found.experiences.items():
        known = _KEY.fullmatch(key)
        if known is None or int(known[2]) in texts[known[1]]:
            what = f"{key!r} is no key of a rule" if known is None else f"{key!r} is a key that stands twice"
            raise mistake(what, "write G0, G1, … or S1, …", path=path, field=f"{name}.experiences")
        texts[known[1]][int(known[2])] = " ".join(text.split())
    return _starting(texts["G"], texts["S"], own_g0, _left_out(found))


def _starting(learnt: dict[int, str], fixed: dict[int, str], own_g0: str, left_out: Counter[str]) -> StartingRules:
    said, rules = [], []
    checklist = learnt.pop(0, "") or own_g0
    whole = [checklist.rstrip("。；;"), *(fixed[number].rstrip("。；;") for number in sorted(fixed) if fixed[number])]
    g0 = "；".join(whole) if len(whole) > 1 else checklist
    if g0 != own_g0:
        said.append("G0: theirs takes the place of the mission's" if checklist != own_g0 else "G0: the mission's own")
    if len(whole) > 1:
        said.append(f"joined to G0, read-only: {', '.join(f'S{number}' for number in sorted(fixed) if fixed[number])}")
    for number in sorted(learnt):
        if not learnt[number] or learnt[number] in rules:
            said.append(f"left out: G{number}, {'which says what another one says' if learnt[number] else 'blank'}")
            continue
        rules.append(learnt[number])
        if len(rules) != number:
            said.append(f"G{number} is G{len(rules)} now")
    said += [f"left out: S{number}, blank" for number in sorted(fixed) if not fixed[number]]
    if left_out:
        said.append("left out: " + ", ".join(f"{field} ({count})" for field, count in sorted(left_out.items())))
    return StartingRules(g0 if g0 != own_g0 else None, rules, said)


def _left_out(found: TheirGuidance) -> Counter[str]:
    """Fields that say how a rule fared elsewhere, and when."""
    fields = Counter(list(found.model_extra or {}))
    for of_rule in found.metadata.values():
        fields.update([f"metadata.{field}" for field in of_rule])
    return fields
