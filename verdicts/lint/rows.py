"""The rows of a corpus, of a run's own or of a mix, and the runs that its tickets come from."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from verdicts.base.jsonl import decode_json, read_json
from verdicts.base.text_files import line_text
from verdicts.config.tools import PredictConfig, read_section
from verdicts.corpus.mix import Manifest
from verdicts.corpus.rows import ChatSourceRow, FusedRow, check_photos, parse_line, stream
from verdicts.intake.photo_files import PhotoFiles
from verdicts.records.corpus import Message, Task
from verdicts.records.guidance import read_guidance
from verdicts.records.ticket_index import LABELS, Tickets
from verdicts.records.tickets import StageA, ticket_key
from verdicts.runs.naming import remembered
from verdicts.stage_b.prompts import load_prompts
from verdicts.stage_b.protocol import Parsed, parse


@dataclass(frozen=True)
class LintRow:
    """A row as the checks see it. ``group``: "" where it is of none, as in general chat and in most photo rows."""

    line: int
    task: Task
    source: str
    group: str
    messages: Sequence[Message]
    images: Sequence[str]

    @cached_property
    def digest(self) -> bytes:
        """16 bytes that name what is learnt from it."""
        said = "\0".join([self.task, self.group, *self.images, *(m.role + "\1" + m.content for m in self.messages)])
        return hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def text_of(self, role: str) -> str:
        """All that a role says."""
        return "\n".join(message.content for message in self.messages if message.role == role)

    @property
    def is_verdict(self) -> bool:
        """Whether it is of Stage B: general chat is of no ticket."""
        return self.task == "chat" and bool(self.group)

    @cached_property
    def answer(self) -> Parsed:
        """Its last answer, read."""
        return parse(self.messages[-1].content)


def is_fused(path: Path) -> bool:
    """Whether a file holds rows of a mix, by its first row; a run's own corpus names no task."""
    for line, _, raw in stream(path):
        row = decode_json(line_text(raw, path, line), path, line)
        return isinstance(row, dict) and "task" in row
    return False


def read_lint_rows(path: Path, digest: "hashlib._Hash | None" = None) -> Iterator[LintRow]:
    """The rows of a corpus, one in memory at a time. Raises UserError at the first bad line, as sft does."""
    fused = is_fused(path)
    for line, _, raw in stream(path, digest):
        if fused:
            row = parse_line(raw, FusedRow, path, line)
            check_photos(row.images, Path(), path, line)
            yield LintRow(line, row.task, row.source, row.group_id, row.messages, row.images)
        else:
            own = parse_line(raw, ChatSourceRow, path, line)
            yield LintRow(line, "chat", "", own.group_id, own.messages, ())


class ServedRun:
    """A run whose tickets stand in a corpus, and what its student is asked of them when it serves (predict)."""

    def __init__(self, folder: Path):
        self.folder = folder
        cfg = read_section(folder / "config" / "predict.yaml", PredictConfig)
        self._prompts = load_prompts(cfg.prompts, cfg.mission)
        rules = read_guidance(folder / "guidance.json", cfg.mission.name)
        self.system = self._prompts.stage_b_system(rules.experiences)
        self._tickets = Tickets(folder / "stage_a.jsonl")
        made = remembered(folder)[0]
        photos = Path(made.photos.path) if made.photos else None
        self._photos = PhotoFiles(photos.parent if photos and photos.is_file() else photos)

    def tickets_of(self, group: str) -> list[StageA]:
        """The run's tickets of a group: one, or one of each label."""
        numbers = (self._tickets.number(ticket_key(group, label)) for label in LABELS)
        return [self._tickets.at(number) for number in numbers if number is not None]

    def user_text(self, ticket: StageA) -> str:
        """What is asked of a ticket."""
        return self._prompts.stage_b_user(ticket.per_image)

    def photos_of(self, ticket: StageA) -> list[Path]:
        """Its photos that are there."""
        return [path for name in ticket.images if (path := self._photos.find(ticket, name))]


class Runs:
    """The runs that a corpus was made of, by the names of its sources. ``unknown``: a sentence for each without one."""

    def __init__(self, corpus: Path):
        self.unknown: list[str] = []
        self._opened: dict[Path, ServedRun | None] = {}
        self._of: dict[str, list[ServedRun]] = {}
        for source, folders in _folders(corpus, self.unknown).items():
            self._of[source] = [run for folder in folders if (run := self._open(folder))]

    def of(self, source: str) -> list[ServedRun]:
        """The runs of a source's rows."""
        return self._of.get(source, [])

    def photos_of(self, source: str, tickets: list[StageA]) -> list[Path]:
        """The photos of a source's tickets that are there."""
        return [path for run in self.of(source) for ticket in tickets for path in run.photos_of(ticket)]

    def _open(self, folder: Path) -> ServedRun | None:
        if folder not in self._opened:
            lacks = [
                name
                for name in ("stage_a.jsonl", "guidance.json", "config/predict.yaml")
                if not (folder / name).is_file()
            ]
            if lacks:
                self.unknown.append(f"prompts of {folder}'s rows: it has no {' and no '.join(lacks)}")
            self._opened[folder] = None if lacks else ServedRun(folder)
        return self._opened[folder]


def _folders(corpus: Path, unknown: list[str]) -> dict[str, list[Path]]:
    """The folders of the corpora that each source of chats was read from; of a run's own corpus its folder."""
    if not is_fused(corpus):
        return {"": [corpus.parent]}
    manifest = corpus.with_name(f"{corpus.name.removesuffix('.jsonl').rpartition('.')[0]}.manifest.json")
    if not manifest.is_file():
        unknown.append(f"prompts: {manifest} is not there to say which runs the rows come from")
        return {}
    sources = read_json(manifest, Manifest).config.sources
    return {
        one.name: list(dict.fromkeys(Path(name).parent for name in one.paths))
        for one in sources
        if one.template == "chatml"
    }
