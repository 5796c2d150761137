"""An import as files: rows in, one at a time, and what is written of them.

    <data>.jsonl, or *.jsonl in <data>/ ──> <output>/dense.jsonl summary.jsonl irrelevant.jsonl irrelevant.dense.jsonl
                                                     chat.jsonl                    to learn from, as fuse reads them
                                            <output>/held_out/dense.jsonl summary.jsonl   questions, as evaluate reads
                                            <output>/refused.jsonl repaired.jsonl import.json

Rows are read once. What is kept of them waits in a file without a name until all groups are known: then it is said
which are held out. In memory there are 16 bytes of digest and a place for each photo, and the groups' names.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TextIO

from verdicts.base.errors import UserError, mistake
from verdicts.base.json_text import Flaw, decode
from verdicts.base.jsonl import decode_json, dump, json_text, stream_lines, whole_files
from verdicts.base.text_files import line_text
from verdicts.config.sections import HeldOutRows, ImportSection, SummarizeSection
from verdicts.corpus.distill import Validation
from verdicts.corpus.rows import GeneralChatRow, ImageRow, stream
from verdicts.facts.dense import render_objects
from verdicts.facts.words import IRRELEVANT
from verdicts.importing.account import ImportAccount
from verdicts.importing.findings import Mended, Unusable
from verdicts.importing.rows import Example, Reader
from verdicts.photos.files import NotAPhoto, open_photo
from verdicts.photos.intake import Unfit, look
from verdicts.records.corpus import Message
from verdicts.records.imports import ImportReport, RefusedImport, RepairedImport
from verdicts.stage_b.prompts import name_of_messages

TRAINING = ("dense.jsonl", "summary.jsonl", "irrelevant.jsonl", "irrelevant.dense.jsonl", "chat.jsonl")
HELD_OUT = ("held_out/dense.jsonl", "held_out/summary.jsonl")
ASIDE = ("refused.jsonl", "repaired.jsonl", "import.json")
_PREFIX = "<DOMAIN={domain}>, <TASK={task}>\n"  # as such teams write it
_LOOKED = 65_536  # photos whose size is remembered: one may have a row for each task
Asked = Callable[
    [str], Mapping[str, Sequence[Message]]
]  # domain -> task (dense, summary) -> messages before its answer


def data_files(data: Path, output_dir: Path) -> list[Path]:
    """The files to import: one, or all ``*.jsonl`` of a folder, by name.

    Raises UserError where there is none, and where ``output_dir`` is the folder or holds what no import wrote.
    """
    if data.is_dir():
        if data.resolve() == output_dir.resolve():
            raise mistake("the rows would be written over what they are read from", "give another NAME", path=data)
        files = sorted(path for path in data.glob("*.jsonl") if not path.name.startswith(".") and path.is_file())
        if not files:
            raise mistake("no .jsonl file in it", "give the file, or the folder that holds it", path=data)
    else:
        files = [data]
    if not (output_dir / "import.json").exists():
        for name in (*TRAINING, *HELD_OUT):
            if (output_dir / name).exists():
                raise mistake(
                    "was not written by an import", "move it away, or give another NAME", path=output_dir / name
                )
    return files


def looker(limits: SummarizeSection) -> Callable[[str], tuple[int, int]]:
    """What looks at a photo: decodes it whole, and returns its width and height as people see it. It raises Unfit."""
    import warnings

    from PIL import Image

    Image.MAX_IMAGE_PIXELS = int(limits.max_photo_megapixels * 1e6)
    warnings.filterwarnings("ignore", module="PIL")

    @lru_cache(_LOOKED)
    def size_or_unfit(photo: str) -> tuple[int, int] | Unfit:
        try:
            look(photo, limits)
            with open(photo, "rb") as file:
                return open_photo(file).size
        except Unfit as unfit:
            return unfit
        except NotAPhoto as error:
            return Unfit(error.reason, str(error))
        except OSError as error:
            return Unfit("unreadable", error.strerror or str(error))

    def sized(photo: str) -> tuple[int, int]:
        found = size_or_unfit(photo)
        if isinstance(found, Unfit):
            raise found
        return found

    return sized


class Importer:
    """Reads files of rows, then writes what came of them."""

    def __init__(self, reader: Reader, settings: ImportSection, asked: Asked):
        self._reader, self._settings, self._asked = reader, settings, asked
        self._seen: dict[bytes, str] = {}
        self._held_by_name = groups_of_tickets(settings.held_out.tickets)
        self._validation = Validation(settings.held_out.share, settings.held_out.seed)
        self.account = ImportAccount()

    def run(self, files: Sequence[Path], output_dir: Path, name: str, tick: Callable[[int], Any]) -> ImportReport:
        """Import the files; ``tick`` is told the bytes read.

        Raises UserError, and writes nothing, for a file of which no row can be used.
        """
        check_held_out_files(self._settings.held_out, files)
        output_dir.parent.mkdir(parents=True, exist_ok=True)
        places = [output_dir / part for part in (*TRAINING, *HELD_OUT, *ASIDE)]
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8", dir=output_dir.parent) as kept,
            whole_files(*places) as written,
        ):
            outs = dict(zip((*TRAINING, *HELD_OUT, *ASIDE), written, strict=True))
            for path in files:
                self._read(path, kept, outs["refused.jsonl"], outs["repaired.jsonl"], tick)
            self.account.ignored.update(self._reader.ignored)
            self._write(kept, outs, output_dir)
            for domain in self.account.domains:
                for task, messages in self._asked(domain).items():
                    asked = name_of_messages([message.model_dump() for message in messages])
                    self.account.prompts[f"{domain}.{task}"] = asked
            report = self.account.report(name)
            outs["import.json"].write(json_text(report))
        return report

    def _read(self, path: Path, kept: TextIO, refused: TextIO, repaired: TextIO, tick: Callable[[int], Any]) -> None:
        """Read one file: what is kept, refused and repaired goes to its place."""
        before, first = self.account.reasons.total(), ""
        for line, _, raw in stream(path):
            tick(len(raw))
            self.account.files[str(path)] += 1
            mended = Mended()
            try:
                found = self._reader.read(_value(raw, path, line), str(path.parent), mended)
                self._once(found, f"{path}:{line}")
            except Unusable as why:
                self.account.refuse(why)
                first = first or f"line {line}: {why.reason}: {': '.join(filter(None, (why.field, why.detail)))}"
                row = RefusedImport(file=str(path), line=line, reason=why.reason, field=why.field, detail=why.detail)
                refused.write(dump(row) + "\n")
                continue
            self.account.take(found if isinstance(found, Example) else None, mended)
            if mended:
                repaired.write(dump(RepairedImport(file=str(path), line=line, repairs=mended)) + "\n")
            self._keep(found, path.name in self._settings.held_out.files, kept)
        rows = self.account.files[str(path)]
        if not rows:
            raise mistake("the file holds no record", "give a file with at least one JSON object a line", path=path)
        if rows == self.account.reasons.total() - before:
            what = f"none of its {rows} rows can be used ({first})"
            raise mistake(what, "correct them: docs/import.md says what a row holds", path=path)

    def _once(self, found: Example | GeneralChatRow, place: str) -> None:
        """Raise Unusable where a photo has a row of the same task already."""
        if isinstance(found, GeneralChatRow):
            return
        tasks = [
            task for task in ("dense", "summary") if found.irrelevant or (found.objects, found.summary)[task != "dense"]
        ]
        keys = [hashlib.sha256(f"{task}\n{os.path.abspath(found.photo)}".encode()).digest()[:16] for task in tasks]
        for task, key in zip(tasks, keys, strict=True):
            if key in self._seen:
                raise Unusable("duplicate", "images.0", f"its {task} row stands at {self._seen[key]}")
        self._seen |= dict.fromkeys(keys, place)

    def _keep(self, found: Example | GeneralChatRow, held_out: bool, kept: TextIO) -> None:
        if isinstance(found, GeneralChatRow):
            self.account.measure("chat", found.messages[-1].content)
            kept.write(dump({"chat": found.model_dump(mode="json", include={"messages"})}) + "\n")
            return
        group = found.group or found.named
        self.account.groups.add(group)
        self._validation.see(_salted(group))
        if held_out:
            self._held_by_name.add(group)
        waiting = {name: getattr(found, name) for name in ("photo", "named", "group", "domain", "irrelevant")}
        kept.write(dump(waiting | self._answers(found)) + "\n")

    def _answers(self, found: Example) -> dict[str, str]:
        """The answers that an example teaches, by task."""
        if found.irrelevant:
            return {"dense": IRRELEVANT, "summary": IRRELEVANT}
        dense, summary = render_objects(found.objects) if found.objects else "", found.summary
        if self._settings.prefix:
            line = prefix_lines(found.domain)
            dense, summary = dense and line["dense"] + dense, summary and line["summary"] + summary
        answers = {task: answer for task, answer in (("dense", dense), ("summary", summary)) if answer}
        for task, answer in answers.items():
            self.account.measure(task, answer)
        return answers

    def _write(self, kept: TextIO, outs: Mapping[str, TextIO], output_dir: Path) -> None:
        """Write what was kept, each group on its side."""
        self.account.written.update(dict.fromkeys((*TRAINING, *HELD_OUT), 0))
        kept.seek(0)
        for line in kept:
            row = json.loads(line)
            if "chat" in row:
                self._put(outs, "chat.jsonl", row["chat"])
                continue
            group = row["group"] or row["named"]
            held_out = self._is_held_out(group)
            if held_out:
                self.account.groups_held_out.add(group)
            for task in ("dense", "summary"):
                if task not in row:
                    continue
                place, image = file_of(task, row["irrelevant"], held_out), row["named"]
                if not os.path.isabs(image):
                    image = os.path.relpath(row["photo"], (output_dir / place).parent)
                messages = [*self._asked(row["domain"])[task], Message(role="assistant", content=row[task])]
                self._put(outs, place, ImageRow(images=[image], messages=messages, group_id=row["group"]))

    def _put(self, outs: Mapping[str, TextIO], place: str, row: Any) -> None:
        outs[place].write(dump(row) + "\n")
        self.account.written[place] += 1

    def _is_held_out(self, group: str) -> bool:
        if group in self._held_by_name:
            return True
        return not self._settings.held_out.files and _salted(group) in self._validation


def prefix_lines(domain: str) -> dict[str, str]:
    """The first line of an answer, by task."""
    tasks = {"dense": "DETECTION", "summary": "SUMMARY"}
    return {task: _PREFIX.format(domain=domain.upper(), task=word) for task, word in tasks.items()}


def file_of(task: str, irrelevant: bool, held_out: bool) -> str:
    """The file of a photo's row."""
    if held_out:
        return f"held_out/{task}.jsonl"
    if irrelevant:
        return "irrelevant.jsonl" if task == "summary" else "irrelevant.dense.jsonl"
    return f"{task}.jsonl"


def check_held_out_files(settings: HeldOutRows, files: Sequence[Path]) -> None:
    """Raise UserError for a name of a file to hold out that is not among those imported."""
    names = {path.name for path in files}
    if unknown := next((name for name in settings.files if name not in names), None):
        raise mistake(
            f"no such file is imported ({unknown})",
            f"name some of {', '.join(sorted(names))}",
            field="import.held_out.files",
        )


def groups_of_tickets(paths: Iterable[str]) -> set[str]:
    """The groups that tickets name, whatever else a line holds of them.

    Raises UserError for a line without a ``group_id``.
    """
    groups = set()
    for path in map(Path, paths):
        for line in stream_lines(path):
            value = decode_json(line.text, path, line.line)
            group = value.get("group_id") if isinstance(value, dict) else None
            if not isinstance(group, str) or not group:
                raise mistake("names no group", "write its group_id", path=path, line=line.line, field="group_id")
            groups.add(group)
    return groups


def _salted(group: str) -> str:
    """A name of its own for the hash, or fuse's validation share would fall on the very groups that are held out."""
    return f"import:{group}"


def _value(raw: bytes, path: Path, line: int) -> Any:
    """What a line holds; raises Unusable, and UserError for a file that is no UTF-8 text from its first line on."""
    try:
        text = line_text(raw, path, line)
    except UserError as error:
        if line == 1:
            raise
        raise Unusable("not_json", "", str(error).removeprefix(f"{path}:{line}: ")) from None
    try:
        return decode(text) if line > 1 else decode_json(text, path, line)
    except Flaw as flaw:
        raise Unusable("not_json", "", str(flaw)) from None
    except UserError as error:  # of a first line it is said what the file holds instead
        raise Unusable("not_json", "", str(error).removeprefix(f"{path}:{line}: ")) from None
