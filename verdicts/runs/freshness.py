"""What Make has to know before it starts, by content.

Stale results, the mix and its sources, the folder of an evaluation.
"""

import os
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from verdicts.base.digests import digest_of_path
from verdicts.base.errors import UserError, mistake
from verdicts.base.made import argument, changes, inputs_of, notes_below, outputs_of, read_note, run_folder, stale
from verdicts.evaluation.question_files import files_digest, held_out_files
from verdicts.records.run_folder import ROUND_FILES
from verdicts.runs.naming import SUMMARIES, NamedPath, remembered

CORPUS = ("distill.train.jsonl", "distill.val.jsonl")
FUSED, CHECKPOINTS, MIXES = Path("data", "fused"), Path("checkpoints"), Path("configs", "fusion")
_PLAIN = re.compile(r"[\w@%+=:,./-]+")  # what make and the shell take for a name and nothing else


class Fresh:
    """The state of a run's results.

    ``fusion``: the mix that was named; without one the student is taught this run's corpus alone.
    ``photos``: what PHOTOS names now, None for what it named before.
    """

    def __init__(self, run_dir: Path, fusion: str | None, photos: NamedPath | None = None):
        self.run_dir, self.photos = run_dir, photos
        self.student = fusion or f"{run_dir.parent.name}-{run_dir.name}"
        self.mix = fusion or ""

    def changed(self) -> dict[Path, list[str]]:
        """Results of this run and of its student that were made from other inputs -> what changed."""
        # The mix lies outside the run, in a folder that other mixes share: its note is looked at by itself.
        results = self._without_a_note() | stale([self.run_dir, CHECKPOINTS / self.student]) | self._of_other_photos()
        for folder, noted in self._fused():
            if found := changes(noted, run_folder(folder)):
                results |= dict.fromkeys(outputs_of(folder, noted), found)
        return results

    def _without_a_note(self) -> dict[Path, list[str]]:
        """Files of rounds whose tool was killed after it wrote them and before it wrote its note.

        None of a run that is older than notes: it has none at all.
        """
        rounds = self.run_dir / "rounds"
        noted = {path for folder, note in notes_below([rounds]) for path in outputs_of(folder, note)}
        if rounds / "0000" / "guidance.json" not in noted:
            return {}  # the first file that a loop writes has no note: the run is older than notes
        there = {path for name in ROUND_FILES for path in rounds.glob(f"*/{name}")}
        return {path: ["no note of what it was made from"] for path in sorted(there - noted)}

    def _of_other_photos(self) -> dict[Path, list[str]]:
        """Summaries of other photos than those that PHOTOS names now.

        A manifest's photos lie beside it: at another place they are others.
        """
        if self.photos is None:
            return {}
        results: dict[Path, list[str]] = {}
        now = Path(self.photos.path).absolute()
        for folder, noted in notes_below([(self.run_dir / SUMMARIES).parent]):
            was = Path(argument(noted, "--input").replace("{run}", str(self.run_dir))).absolute()
            inputs = (path.absolute() for path in inputs_of(folder, noted))
            digests = dict(zip(inputs, noted["inputs"].values(), strict=True))
            # A folder of the same content is the same photos wherever it lies; a manifest (a file) is not.
            if was != now and (now.is_file() or digests.get(was) != self.photos.digest):
                results |= {path: [f"PHOTOS={self.photos.path}"] for path in outputs_of(folder, noted)}
        return results

    def stale(self, everything: bool = False) -> list[str]:
        """Results of this run and of its student that Make has to make again whatever their times say."""
        names = [str(path) for path in self.changed()]
        if everything:
            notes = notes_below([self.run_dir, CHECKPOINTS / self.student])
            names += [str(path) for folder, noted in notes for path in outputs_of(folder, noted)]
            names += [str(path) for path in self.run_dir.glob("rounds/*/*.json*")]
            names += [str(path) for path in FUSED.glob(f"{self.student}.*")]
        # The list goes through the environment and make's own parser: a name with a blank or a $ would be another one.
        return sorted(set(plain_names(names)))

    def align(self) -> None:
        """Date results later than what they were made from.

        Make goes by time, and a copy or a checkout has dated files anyhow.
        """
        noted = [*notes_below([self.run_dir, CHECKPOINTS / self.student]), *self._fused()]
        maker = {path: at for at, (folder, note) in enumerate(noted) for path in outputs_of(folder, note)}
        done: set[int] = set()

        def align_one(at: int) -> None:
            if at in done:
                return
            done.add(at)
            folder, note = noted[at]
            inputs, outputs = inputs_of(folder, note), outputs_of(folder, note)
            for path in inputs:  # inputs first: a result has to be later than they are in the end
                if path in maker:
                    align_one(maker[path])
            # What is out of date keeps its time: Make is told of it by name.
            if all(path.exists() for path in outputs) and not changes(note, run_folder(folder)):
                _date_later(inputs, outputs)

        for at in range(len(noted)):
            align_one(at)

    def _fused(self) -> list[tuple[Path, dict[str, Any]]]:
        noted = read_note(FUSED / ".made" / f"{self.student}.json")
        return [(FUSED, noted)] if noted else []

    def sources(self) -> list[str]:
        """Source files of the mix that make can rebuild or compare: this run's corpus, and others as they are."""
        own = [str(self.run_dir / name) for name in CORPUS] if (self.run_dir / "stage_a.jsonl").exists() else []
        if not self.mix:
            return own
        path = MIXES / f"{self.mix}.yaml"
        if not path.exists():
            return []

        from verdicts.config.load import read_yaml  # YAML costs start-up time, and most calls have no mix

        words = [
            word.replace("{corpus}", str(self.run_dir))
            for word in _words(read_yaml(path))
            if word.endswith((".jsonl", ".json"))
        ]
        return [word for word in words if word in own or (_PLAIN.fullmatch(word) and Path(word).exists())]

    def outdated_imports(self) -> list[str]:
        """A sentence for each import whose rows the student learns, where its data or prompts have changed since."""
        folders = {Path(source).parent for source in self.sources()} | {Path("data", self.run_dir.name)}
        said = []
        for folder, noted in notes_below(sorted(folder for folder in folders if (folder / "import.json").exists())):
            files = zip(inputs_of(folder, noted), noted["inputs"].values(), strict=True)
            changed = [
                str(path)
                for path, digest in files
                if path.suffix in (".jsonl", ".txt") and digest_of_path(path) != digest
            ]
            if changed and noted["tool"] == "import_data":
                said.append(
                    f"{folder} was imported before {', '.join(changed)} changed; make import again, or go on with it"
                )
        return said

    def refuse_another_runs_student(self) -> None:
        """Raise UserError where ``checkpoints/<name>`` was taught by another run from other inputs."""
        for folder, noted in notes_below([CHECKPOINTS / self.student]):
            config = argument(noted, "--config")
            other = Path(config).parent.parent
            if (
                config
                and other != self.run_dir
                and changes(noted, run_folder(folder))
                and not os.environ.get("REMAKE", "").strip()
            ):
                what = f"{folder} was taught by {other}, from other inputs than {self.run_dir}'s"
                raise UserError(f"{what}; name another FUSION, or say REMAKE=1 to teach it again")

    def refuse_old_summaries(self, source: Path) -> None:
        """Raise UserError where the run's tickets come from photos that were changed since they were summarised."""
        if source != self.run_dir / SUMMARIES:
            return
        if changed := (stale([source.parent]) | self._of_other_photos()).get(source):
            raise UserError(
                f"{source} was made from other photos or settings ({first_few(changed)}); run make summarize first"
            )


def plain_names(names: Iterable[str]) -> list[str]:
    """Those of the names that make takes for one name each."""
    return [name for name in names if _PLAIN.fullmatch(name)]


def _date_later(inputs: Sequence[Path], outputs: Sequence[Path]) -> None:
    """Give outputs that are older than an input the time of now, or of the newest input where that lies ahead."""
    newest = max((path.stat().st_mtime_ns for path in inputs if path.exists()), default=0)
    if any(path.stat().st_mtime_ns < newest for path in outputs):
        later = max(newest, time.time_ns())
        for path in outputs:
            os.utime(path, ns=(later, later))


def refuse_unknown_mix(fusion: str | None) -> None:
    """Raise UserError for a FUSION that no mix is named, before a run takes it down."""
    path = MIXES / f"{fusion}.yaml"
    if fusion and not path.exists():
        there = ", ".join(sorted(mix.stem for mix in MIXES.glob("*.yaml")))
        raise mistake("no such file", f"check the path, or name a FUSION that is there: {there}", path=path)


def questions_of(held_out: Path, mission: str) -> str:
    """The first 8 hex digits of the digest of a mission's held-out questions.

    Raises UserError where a file of them is missing.
    """
    try:
        return files_digest(held_out_files(held_out, mission))[:8]
    except UserError as error:
        raise UserError(f"{error} (HELD_OUT={held_out}; docs/evaluation.md says what it holds)") from None


def _words(value: object) -> list[str]:
    """All texts in a decoded YAML value."""
    if isinstance(value, dict):
        return [word for part in value.values() for word in _words(part)]
    if isinstance(value, list):
        return [word for part in value for word in _words(part)]
    return [value] if isinstance(value, str) else []


class OutOfDate(NamedTuple):
    """For those who only read a run: how many results were made from other inputs, the first of them and its inputs."""

    results: int
    first: Path
    inputs: str

    def __str__(self) -> str:
        return (
            f"{self.results} results were made from other inputs than those there now, {self.first} first "
            f"({self.inputs} changed since): make again what they are read for"
        )


def out_of_date(run_dir: Path) -> OutOfDate | None:
    """Which results of a run were made from other inputs than those there now; None where none was."""
    made = remembered(run_dir)[0]
    found = Fresh(run_dir, made.fusion, made.photos).changed()
    if not found:
        return None
    first, why = next(iter(found.items()))
    return OutOfDate(len(found), first, first_few([name.replace("{run}", str(run_dir)) for name in why]))


def first_few(names: Sequence[str], most: int = 3) -> str:
    """The first names, and how many more."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
