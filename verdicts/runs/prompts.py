"""Which prompts a run was made with: by name from its records, by file from its section files."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from verdicts.base.jsonl import read_json, stream_rows
from verdicts.config.prompts import files_in
from verdicts.config.tools import read_told
from verdicts.records.evaluation import Evaluation
from verdicts.records.reflection import Reflection
from verdicts.records.rollout import Selection
from verdicts.records.run_folder import paths_of
from verdicts.records.summaries import SummariesAsked


class PromptInUse(NamedTuple):
    """A kind of prompt in a run.

    ``names``: as the records have it, more than one where rounds or questions differ, none where an older version
    wrote them. ``files``: as the configuration names them now.
    """

    kind: str
    names: list[str]
    files: list[str]

    def __str__(self) -> str:
        names, files = " and ".join(self.names) or "no name in its records", ", ".join(self.files)
        return f"{names} ({files})" if files else names


def prompts_in_use(run_dir: Path) -> list[PromptInUse]:
    """The prompts of a run's records, by kind. Of each round the first row of a kind speaks for it."""
    files: dict[str, list[str]] = {}
    for path in sorted((run_dir / "config").glob("*.yaml")):
        for kind, named in read_told(path).get("prompts", {}).items():
            files.setdefault(kind, [name for _, name in files_in(named)])
    found: dict[str, dict[str, None]] = {}
    for kind, name in _named(run_dir):
        names = found.setdefault(kind, {})
        if name:
            names[name] = None
    return [PromptInUse(kind, list(names), files.get(kind, [])) for kind, names in found.items()]


def _named(run_dir: Path) -> Iterator[tuple[str, str]]:
    for round_dir in sorted((run_dir / "rounds").glob("[0-9]*")):
        if (path := round_dir / "selections.jsonl").exists():
            for selection in stream_rows(path, Selection, allow_empty=True):
                yield "stage_b", selection.prompt
                break
        if (path := round_dir / "reflection.jsonl").exists():
            calls = (row for row in stream_rows(path, Reflection, allow_empty=True) if row.ticket_keys)
            yield from (("reflect", call.prompt) for call in calls)
    for path in paths_of(run_dir, "summaries/stage_a.asked.json"):
        yield "summary", read_json(path, SummariesAsked).prompt
    for side in ("before", "after"):
        for path in paths_of(run_dir, f"evaluation/*/{side}.json"):
            for task, names in read_json(path, Evaluation).prompts.items():
                yield from ((f"evaluate: {task}", name) for name in names)
