"""A long piece of work done in N shares, on as many machines, and put together to the bytes of one that did it all.

The work's units (chunks of tickets, batches of photos) are cut from the whole of it, whoever does them. Share i of N
(``Shard``) does the units i, i + N, i + 2N, … and writes them to a file of its own beside the result,
``<result>.shard-<i>-of-<N>.jsonl``: a line that says of which inputs they are, then a unit a line. ``MergedShards``
takes them in the order of the work, and refuses what is missing, stands twice, or was made of other inputs.
docs/clusters.md.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import TypeAdapter, ValidationError

from verdicts.base.errors import UserError, mistake
from verdicts.base.made import does_not_use
from verdicts.base.part_file import PartFile

MERGE = "merge"
_Item = TypeVar("_Item")
_OWN = re.compile(r"(\d{1,9})/(\d{1,9})")
_NAMED = re.compile(r"(slurm|kubernetes|skypilot|auto)(?:/(\d{1,9}))?")
_FORMS = "write i/N such as 2/7, slurm, kubernetes/N, skypilot, auto, or merge"
# What tells a process its place, and how many there are, where a scheduler says so; counted from 0 but for an array's.
_ARRAY = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT")
_RANKS = {
    "slurm": ("SLURM_PROCID", "SLURM_NTASKS"),
    "kubernetes": ("JOB_COMPLETION_INDEX", ""),
    "skypilot": ("SKYPILOT_NODE_RANK", "SKYPILOT_NUM_NODES"),
}


class Shard(NamedTuple):
    """Share ``number`` (from 1) of ``shares``."""

    number: int
    shares: int

    def __str__(self) -> str:
        return f"{self.number}/{self.shares}"

    def units(self, total: int) -> range:
        """The numbers of its units, of so many in all, from 0."""
        return range(self.number - 1, total, self.shares)

    def of_units(self, items: Sequence[_Item], size: int) -> list[_Item]:
        """Those of ``items`` that lie in its units of ``size`` items."""
        units = self.units(-(-len(items) // size))
        return [item for unit in units for item in items[unit * size : (unit + 1) * size]]

    def path(self, result: Path) -> Path:
        """The file of this share of a result."""
        return result.with_name(f"{result.stem}.shard-{self.number}-of-{self.shares}.jsonl")


def shard_named(text: str, variables: Mapping[str, str] = os.environ) -> Shard | None:
    """The share that ``--shard`` asks for; None for none of it, and for ``merge`` (see ``is_merge``).

    A scheduler's variables count where the text names it, never by themselves: an inherited one must not halve the work
    unseen. Raises UserError for what is no share.
    """
    if not text or is_merge(text):
        return None
    if own := _OWN.fullmatch(text):
        return _checked(int(own[1]), int(own[2]), text)
    named = _NAMED.fullmatch(text)
    if not named:
        raise _wrong(text, "is no share", _FORMS)
    kind, count = named[1], int(named[2] or 0)
    if kind == "auto":
        kind = _only_kind(text, variables)
    if kind == "slurm" and _ARRAY[0] in variables:
        return _of_array(count, text, variables)
    rank, size = _RANKS[kind]
    if size and count:
        raise _wrong(text, f"names a count, and {size} has one", f"write {kind}")
    if not size and not count:
        raise _wrong(text, f"{rank} has no count beside it", f"name it: {kind}/N, the job's completions")
    return _checked(_number(rank, text, variables) + 1, count or _number(size, text, variables), text)


def is_merge(text: str) -> bool:
    """Whether ``--shard`` asks to put the shares together."""
    return text == MERGE


def _only_kind(text: str, variables: Mapping[str, str]) -> str:
    kinds = [kind for kind, (rank, _) in _RANKS.items() if rank in variables]
    kinds = sorted({*kinds, *(["slurm"] if _ARRAY[0] in variables else [])})
    if len(kinds) != 1:
        found = f"variables of {' and of '.join(kinds)}" if kinds else "no scheduler's variable"
        raise _wrong(text, f"{found} are set" if kinds else f"{found} is set", _FORMS)
    return kinds[0]


def _of_array(count: int, text: str, variables: Mapping[str, str]) -> Shard:
    """A task of a Slurm array. Its ids are the shares, so that one alone can be submitted again under its number."""
    if int(variables.get("SLURM_NTASKS", "1") or 1) > 1:
        raise _wrong(text, "an array's task has several tasks of srun", "write i/N, counted over both")
    number, tasks = (_number(name, text, variables) for name in _ARRAY)
    ends = [variables.get(f"SLURM_ARRAY_TASK_{end}", "") for end in ("MIN", "MAX")]
    if not count and ends != ["1", str(tasks)]:
        what = f"the array's ids are {' to '.join(ends)}, {tasks} of them, and not 1 to {tasks}"
        raise _wrong(text, what, "submit --array=1-N, or name the count (slurm/N) where some run again")
    return _checked(number, count or tasks, text)


def _number(name: str, text: str, variables: Mapping[str, str]) -> int:
    value = variables.get(name, "")
    if not (value.isascii() and value.isdigit()):
        raise _wrong(text, f"{name} is {repr(value) if value else 'not set'}", _FORMS)
    return int(value)


def _checked(number: int, count: int, text: str) -> Shard:
    if not 1 <= number <= count:
        raise _wrong(text, f"{number} is no share of {count}", "they are counted from 1 to N")
    return Shard(number, count)


def _wrong(text: str, what: str, todo: str) -> UserError:
    return mistake(f"{what} ({text})", todo, field="--shard")


class ShardFile(PartFile):
    """The share of a result while it is made: as any part file; ``finish`` gives it its own name.

    ``inputs`` names all that the result depends on, ``made_with`` what rounding depends on besides.
    """

    def __init__(self, result: Path, shard: Shard, inputs: str, made_with: str, kind: Any):
        self.whole = shard.path(result)
        super().__init__(self.whole.with_name(f".{self.whole.stem}.part"), _head(shard, inputs, made_with), kind)

    def finish(self) -> None:
        """Put the share in its place, whole."""
        os.replace(self.path, self.whole)


def standing(result: Path, shard: Shard, inputs: str) -> Path | None:
    """The file of a share that is there, whole, made of the same inputs; None where it has to be made."""
    path = shard.path(result)
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            head = json.loads(file.readline())
        return path if head["shard"] == str(shard) and head["inputs"] == inputs else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _head(shard: Shard, inputs: str, made_with: str) -> str:
    return json.dumps({"shard": str(shard), "inputs": inputs, "made_with": made_with})


class MergedShards:
    """All shares of a result. ``made_with``: what they say, "" where no unit was done.

    Raises UserError where shares are missing, of another division, or made of other inputs than ``inputs``.
    """

    def __init__(self, result: Path, inputs: str, kind: Any):
        self.kind, self.files = TypeAdapter(kind), _files(result)
        self.made_with = ""
        for shard, path in self.files.items():
            does_not_use(path)  # what they were made of is what counts
            self._check(shard, path, inputs)

    def _check(self, shard: Shard, path: Path, inputs: str) -> None:
        with open(path, encoding="utf-8", errors="replace") as file:
            first = file.readline()
        try:
            head = json.loads(first)
            own, of, made_with = head["shard"], head["inputs"], head["made_with"]
        except (ValueError, TypeError, KeyError, RecursionError):
            todo = f"delete it and run SHARD={shard}"
            raise mistake("its first line is not a share's", todo, path=path, line=1) from None
        if own != str(shard):
            what = f"it is share {own}, under another's name"
            raise mistake(what, f"delete it and run SHARD={shard}", path=path, line=1)
        if of != inputs:
            what = "was made of other inputs (tickets, model, prompts, settings or version) than are there now"
            raise mistake(what, f"run SHARD={shard} again", path=path, line=1)
        if made_with and self.made_with and made_with != self.made_with:
            what = f"was made with {made_with}, another with {self.made_with}: answers round otherwise"
            raise mistake(what, "make all shares with the same", path=path, line=1)
        self.made_with = self.made_with or made_with

    def check(self, total: int, fits: Callable[[int, Any], bool]) -> None:
        """Read all units, of ``total``, one in memory at a time.

        ``fits``: whether a unit, told its number, can be what was answered. Raises UserError for one that cannot.
        """
        for shard, path in self.files.items():
            wanted, line = shard.units(total), 1
            with open(path, "rb") as file:
                file.readline()
                for line, text in enumerate(file, start=2):
                    if line - 2 >= len(wanted) or not self._is_whole(text, wanted[line - 2], fits):
                        raise mistake("is damaged, or no unit of this share", f"delete it and run SHARD={shard}",
                                      path=path, line=line)  # fmt: skip
            if line - 1 != len(wanted):
                what = f"ends after {line - 1} of {len(wanted)} units"
                raise mistake(what, f"delete it and run SHARD={shard}", path=path)

    def _is_whole(self, text: bytes, unit: int, fits: Callable[[int, Any], bool]) -> bool:
        try:
            return text.endswith(b"\n") and fits(unit, self.kind.validate_json(text))
        except ValidationError:
            return False

    def units(self, total: int) -> Iterator[Any]:
        """The units in the order of the work; call ``check`` first."""
        with ExitStack() as stack:
            files = [stack.enter_context(open(path, "rb")) for _, path in sorted(self.files.items())]
            for file in files:
                file.readline()
            for unit in range(total):
                yield self.kind.validate_json(files[unit % len(files)].readline())

    def remove(self) -> None:
        """Forget the shares, once the whole result is written."""
        for path in self.files.values():
            path.unlink(missing_ok=True)


def _files(result: Path) -> dict[Shard, Path]:
    """The files of all shares beside a result, by share."""
    name = re.compile(rf"{re.escape(result.stem)}\.shard-(\d{{1,9}})-of-(\d{{1,9}})\.jsonl")
    found = {}
    for path in result.parent.iterdir() if result.parent.is_dir() else ():
        if match := name.fullmatch(path.name):
            found[Shard(int(match[1]), int(match[2]))] = path
    counts = sorted({shard.shares for shard in found})
    if len(counts) != 1:
        if not counts:
            raise mistake("no share of it is there", "make them first: SHARD=1/N to N/N", path=result, field="--shard")
        there = " and of ".join(map(str, counts))
        raise mistake(f"shares of {there} lie beside it", "delete those of one", path=result, field="--shard")
    (count,) = counts
    missing = [str(number) for number in range(1, count + 1) if Shard(number, count) not in found]
    if missing or len(found) != count:
        some = ", ".join(missing[:10]) + (", …" if len(missing) > 10 else "")
        raise mistake(f"missing of its {count} shares: {some}", f"run SHARD={(missing or ['i'])[0]}/{count}",
                      path=result, field="--shard")  # fmt: skip
    return dict(sorted(found.items()))
