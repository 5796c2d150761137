"""What a result was made from, by content: a note beside it, and whether that still holds.

A tool that writes results keeps a note ``.made/<name>.json`` in their folder: its arguments, a digest of every file it
read, of the code it ran, and what it wrote. Times never enter: a copied, unpacked or checked-out run stands as it
stood, and an input that was replaced by another of any age is seen. Make asks ``stale`` before it starts; a tool that
Make starts for its times' sake alone finds its note unchanged and keeps what it has.

What a tool reads is not declared but seen: an audit hook (PEP 578) reports every file that Python opens. Weights are
read by native code and folders by listing them, so tools say these (``uses``). A digest is a SHA-256, cut to 32 hex
digits; that of a file of more than 256 KiB is remembered by path, size, inode, and both of its times (digests.py), so
that gigabytes are read once.
"""

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from verdicts.base.digests import ABSENT, digest_of_path, digest_of_text

FOLDER = ".made"
_PLACES = ("--output", "--output-dir", "--round-dir")  # the option that says where a tool's results go
_SYSTEM = tuple(
    {
        os.path.realpath(path) + os.sep
        for path in (sys.prefix, sys.base_prefix, "/proc", "/sys", "/dev", "/etc", "/usr", "/lib")
    }
)
_ASIDE = ".superseded"  # part of the names of folders into which a tool moves what is no longer a result
_PROJECT = Path(__file__).resolve().parents[2]
_CODE = tuple(f"{_PROJECT / folder}{os.sep}" for folder in ("tools", "verdicts", "miniature"))
_IMPORT = re.compile(
    r"^\s*(?:from|import) ((?:tools|verdicts|miniature)(?:\.\w+)*)(?: import (\([^)]*\)|.*))?", re.MULTILINE
)


class Note:
    """The note of one call of a tool. ``path``: where it lies; ``run``: the run folder around it, or its own folder."""

    def __init__(self, tool: str, arguments: Sequence[str]):
        self.tool, self.arguments = tool, list(arguments)
        where = next((Path(self._option(name)) for name in _PLACES if self._option(name)), Path("."))
        named = bool(self._option("--output"))
        self.folder = where.parent if named else where
        self.output = where if named else None
        name = where.name if named else self._option("--name") or Path(self._option("--config") or tool).stem
        self.path = self.folder / FOLDER / (name if name.endswith(".json") else f"{name}.json")
        self.run = run_folder(self.folder)

    def _option(self, name: str) -> str:
        after = next((at + 1 for at, word in enumerate(self.arguments) if word == name), 0)
        return self.arguments[after] if 0 < after < len(self.arguments) else ""

    def stands(self) -> bool:
        """Whether the results are there, made by this very call from files that are as they were."""
        noted = read_note(self.path)
        if (
            noted is None
            or noted["arguments"] != self._own_words()
            or not all(_at(name, self.run).exists() for name in noted["outputs"])
        ):
            return False
        return bool(noted["outputs"]) and not changes(noted, self.run)

    def touch(self) -> None:
        """Date the results now, so that Make sees them as made from what is there."""
        noted = read_note(self.path)
        for name in noted["outputs"] if noted else ():
            os.utime(_at(name, self.run))

    def write(self, seen: "SeenFiles") -> None:
        """Write the note, where the call wrote a result."""
        wrote = [path for path in list(seen.wrote) if os.path.exists(path)]  # a part file is gone again
        if not wrote:
            return
        from verdicts.base.jsonl import json_text, write_text_if_changed

        outputs = sorted({_name(path, self.run) for path in wrote})
        inputs = {_name(path, self.run): seen.digest(path) for path in sorted(seen.inputs())}
        inputs = {name: inputs[name] for name in sorted(inputs) if name not in outputs}
        made = {
            "tool": self.tool,
            "arguments": self._own_words(),
            "outputs": outputs,
            "inputs": inputs,
            "code": code_digest(self.tool),
        }
        write_text_if_changed(self.path, json_text(made))

    def _own_words(self) -> list[str]:
        """The arguments with the run folder's path taken out, so that a copied run knows its own."""
        run = str(self.run)
        return [word.replace(run, "{run}", 1) if word.startswith(run) else word for word in self.arguments]


class SeenFiles:
    """What this process reads and writes, noted while it does. One a process: an audit hook cannot be taken back."""

    def __init__(self) -> None:
        self.read: dict[str, None] = {}
        self.said: dict[str, str] = {}
        self.wrote: dict[str, None] = {}
        self.not_inputs: set[str] = set()

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        """The audit hook: remembers names alone, for it runs inside every open."""
        if event == "open":
            path, mode, _ = args
            if isinstance(mode, str) and isinstance(path, (str, os.PathLike)) and not set("wax+") & set(mode):
                self.read[os.path.abspath(path)] = None
        elif event == "os.rename":
            path = os.path.abspath(os.fsdecode(args[1]))
            if not os.path.basename(path).startswith(".") and _ASIDE not in path:
                self.wrote[path] = None

    def inputs(self) -> set[str]:
        """Files that were read and are no part of Python, the system, the tools themselves, or of what was written."""
        opened = list(self.read)  # a copy: other threads go on opening files
        read = {path for path in opened if _is_input(path)} | set(self.said)
        return {path for path in read - self.not_inputs - set(self.wrote) if not _inside(path, self.wrote)}

    def digest(self, path: str) -> str:
        """The digest of an input: as it was said, or as the file stands now."""
        return self.said.get(path) or digest_of_path(Path(path))


_seen: SeenFiles | None = None


def watch() -> SeenFiles:
    """Begin to note what this process reads and writes."""
    global _seen
    if _seen is None:
        _seen = SeenFiles()
        sys.addaudithook(_seen.hook)
    return _seen


def uses(path: Path) -> None:
    """Say that results depend on a file, a folder with all in it, or on there being none."""
    if _seen is not None:
        _seen.said[os.path.abspath(path)] = digest_of_path(path)


def does_not_use(path: Path) -> None:
    """Say that a file is read, yet what is made does not follow it."""
    if _seen is not None:
        _seen.not_inputs.add(os.path.abspath(path))


def makes(path: Path) -> None:
    """Say that a result stands as it would be written."""
    if _seen is not None:
        _seen.wrote[os.path.abspath(path)] = None


def read_note(path: Path) -> dict[str, Any] | None:
    """A note, or None where there is none or where it is not one (edited, cut): then nothing is known of the result."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        whole = isinstance(value["tool"], str) and isinstance(value["code"], str) and isinstance(value["inputs"], dict)
        words = [*value["arguments"], *value["outputs"], *value["inputs"].values()]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, AttributeError):
        return None
    return value if whole and all(isinstance(word, str) for word in words) else None


def notes_below(folders: Iterable[Path]) -> list[tuple[Path, dict[str, Any]]]:
    """All notes in ``folders`` and below: (folder whose results it speaks of, note), sorted by path."""
    paths = sorted(
        path
        for folder in folders
        if folder.is_dir()
        for path in folder.rglob(f"{FOLDER}/*.json")
        if _ASIDE not in str(path)
    )
    return [(path.parent.parent, noted) for path in paths if (noted := read_note(path))]


def changes(noted: dict[str, Any], run: Path) -> list[str]:
    """Names of the inputs that are no longer what the note says; with DEV=1 also ``the code of <tool>``."""
    changed = [name for name, digest in noted["inputs"].items() if digest_of_path(_at(name, run)) != digest]
    if os.environ.get("DEV", "").strip() and noted["code"] != code_digest(noted["tool"]):
        changed.append(f"the code of {noted['tool']}")
    return changed


def stale(folders: Iterable[Path]) -> dict[Path, list[str]]:
    """Results below ``folders`` that no longer hold -> what changed.

    They were made from other inputs than those there now, or one of the results of the same call is gone.
    """
    found: dict[Path, list[str]] = {}
    for folder, noted in notes_below(folders):
        outputs = outputs_of(folder, noted)
        if changed := changes(noted, run_folder(folder)) or [f"{path} (gone)" for path in outputs if not path.exists()]:
            found |= dict.fromkeys(outputs, changed)
    return found


def outputs_of(folder: Path, noted: dict[str, Any]) -> list[Path]:
    """The results that a note in ``folder`` speaks of."""
    run = run_folder(folder)
    return [_at(name, run) for name in noted["outputs"]]


def inputs_of(folder: Path, noted: dict[str, Any]) -> list[Path]:
    """The files that a note in ``folder`` says the results were made from."""
    run = run_folder(folder)
    return [_at(name, run) for name in noted["inputs"]]


def argument(noted: dict[str, Any], option: str) -> str:
    """The word behind an option of the call that a note speaks of; empty where it had none."""
    words: list[str] = noted["arguments"]
    return words[words.index(option) + 1] if option in words[:-1] else ""


def run_folder(folder: Path) -> Path:
    """The run folder that ``folder`` is or lies in (it has a config/); else ``folder`` itself."""
    return next((above for above in (folder, *list(folder.parents)[:3]) if (above / "config").is_dir()), folder)


def is_run(folder: Path) -> bool:
    """Whether a folder is a run's: its config/ holds section files, of all tools or of the student's alone."""
    return any(
        (folder / "config" / f"{tool}.yaml").is_file() for tool in ("rollout", "distill", "summarize", "evaluate")
    )


def code_digest(tool: str) -> str:
    """A digest of a tool's script (``rollout``) and of the project's modules that it can come to import."""
    paths = reached(_PROJECT / "tools" / f"{tool}.py")
    return digest_of_text("\n".join(f"{path.relative_to(_PROJECT)} {digest_of_path(path)}" for path in paths))


def reached(script: Path) -> list[Path]:
    """A script and the project's modules that its source, and theirs, import, sorted. Imports in functions count."""
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        if path in found or not path.is_file():
            continue
        found.add(path)
        for module, names in _IMPORT.findall(path.read_text(encoding="utf-8")):
            place = _PROJECT.joinpath(*module.split("."))
            inside = [place / name for name in re.findall(r"\w+", names)]
            waiting += [part for each in (place, *inside) for part in (each.with_suffix(".py"), each / "__init__.py")]
    return sorted(found)


def _is_input(path: str) -> bool:
    name = os.path.basename(path)
    if (
        name.startswith(".")
        or ".part" in name
        or name in ("run.log", "digests.sqlite")
        or path.endswith((".py", ".pyc", ".so", ".pth"))
    ):
        return False
    return not os.path.realpath(path).startswith((*_SYSTEM, *_CODE)) and os.path.isfile(path)


def _inside(path: str, folders: Iterable[str]) -> bool:
    return any(path.startswith(folder + os.sep) for folder in folders)


def _name(path: str, run: Path) -> str:
    """A path as a note writes it: below the run ``{run}/…``, below the working directory relative, else absolute."""
    inside, here = os.path.abspath(run) + os.sep, os.getcwd() + os.sep
    if path.startswith(inside):
        return "{run}/" + path[len(inside) :]
    return path[len(here) :] if path.startswith(here) else path


def _at(name: str, run: Path) -> Path:
    return run / name.removeprefix("{run}/") if name.startswith("{run}/") else Path(name)


__all__ = [
    "ABSENT",
    "Note",
    "argument",
    "changes",
    "code_digest",
    "does_not_use",
    "inputs_of",
    "is_run",
    "makes",
    "notes_below",
    "outputs_of",
    "read_note",
    "run_folder",
    "stale",
    "uses",
    "watch",
]
