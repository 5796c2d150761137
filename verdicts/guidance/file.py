"""Reading and writing guidance.json."""

from pathlib import Path

from verdicts.base.errors import mistake
from verdicts.base.jsonl import read_json, write_json
from verdicts.records.guidance import GuidanceFile, MissionGuidance


def read_guidance(path: Path, mission: str) -> MissionGuidance:
    """The guidance of one mission; raises UserError where the file does not hold it."""
    missions = read_json(path, GuidanceFile).root
    if mission not in missions:
        raise mistake(f"holds no mission {mission!r} (found {', '.join(missions)})", "check MISSION", path=path)
    return missions[mission]


def write_guidance(path: Path, mission: str, guidance: MissionGuidance) -> None:
    """Write guidance.json of one mission."""
    write_json(path, {mission: guidance.model_dump(mode="json")})
