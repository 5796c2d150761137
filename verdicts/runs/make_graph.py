"""What Make would do and why, asked of Make itself: ``make -n --trace`` and ``make -n -p``, read. No second graph."""

import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

STALE = "stale "  # begins the cause of a file that was made from other inputs, whatever its times
# What GNU make prints under --trace from 4.3 on. The words follow the locale, so make is asked under LC_ALL=C.
_UPDATE = re.compile(r"^\S+:\d+: update target '(?P<target>[^']+)' due to: (?P<newer>.+)$", re.MULTILINE)
_ABSENT = re.compile(r"^\S+:\d+: target '(?P<target>[^']+)' does not exist$", re.MULTILINE)
_TOOL = re.compile(r"-m tools\.(?P<tool>[\w.]+)(?:[^\n]* (?:--round |--output \S*rounds/)(?P<round>\d+))?")


@dataclass(frozen=True)
class DryRun:
    """``newer``: each file that would be made -> the prerequisites that are newer (or would be made first).

    ``steps``: the tools that would run, in order, as (tool, round or ""). ``error``: why make would stop, empty where
    it would not.
    """

    newer: dict[str, list[str]]
    steps: list[tuple[str, str]]
    error: str


class Graph:
    """The Makefile of the working directory under some variables (``RUN=demo``). Asking runs no recipe.

    ``environment``: what prepare would put into it (tools/prepare.py), STALE among it.
    """

    def __init__(self, make: str, variables: Iterable[str], environment: Mapping[str, str]):
        self.command, self.environment = [make, "-n", "GRAPH=1", *variables], dict(environment)

    def ask(self, goals: Sequence[str], as_new: Iterable[str] = ()) -> DryRun:
        """What making ``goals`` would take, with the files of ``as_new`` taken for edited this moment."""
        # GRAPH=1 shows the plain rules: without it a goal would call prepare, which calls make again.
        done = self._run("--trace", *(word for name in as_new for word in ("-W", name)), *goals)
        # The Makefile makes a stale file depend on FORCE, which says nothing to a person: its cause is the staleness.
        newer = {
            found["target"]: [name if name != "FORCE" else STALE + found["target"] for name in found["newer"].split()]
            for found in _UPDATE.finditer(done.stdout)
        }
        newer |= {found["target"]: [] for found in _ABSENT.finditer(done.stdout)}
        steps = [(found["tool"], found["round"] or "") for found in _TOOL.finditer(done.stdout)]
        error = next((line.partition("***")[2].strip() for line in done.stderr.splitlines() if "***" in line), "")
        return DryRun(newer, steps, error if done.returncode else "")

    def prerequisites(self, target: str) -> list[str]:
        """What the rule of ``target`` names."""
        line = next(
            (line for line in self._run("-p", target).stdout.splitlines() if line.startswith(f"{target}: ")), ""
        )
        return [name for name in line.removeprefix(f"{target}:").partition("|")[0].split() if name != "FORCE"]

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *words],
            capture_output=True,
            text=True,
            env={**os.environ, **self.environment, "LC_ALL": "C"},
        )


def chains(answer: DryRun, file: str) -> list[list[str]]:
    """From ``file`` to each root cause, the shortest way: ``[file, …, cause]``.

    A cause is a file that nothing would make first, or a file (``file`` too) that is not there: it ends its chain.
    """
    ways, queue, found = {file: [file]}, [file], []  # breadth first: the first way to a file is a shortest one
    while queue:
        target = queue.pop(0)
        if target not in answer.newer or not Path(target).exists():
            found.append(ways[target])
            continue
        for name in answer.newer[target]:
            if name not in ways:
                ways[name] = [*ways[target], name]
                queue.append(name)
    return found


def steps_text(steps: Sequence[tuple[str, str]]) -> str:
    """Steps in order, rounds gathered.

    ``rollout 0003, reflect 0003, rollout, reflect and apply of 0004 to 0009, next_round, collect``.
    """
    rounds = sorted({number for _, number in steps if number})
    if len(rounds) <= 2:
        return ", ".join(f"{tool} {number}".strip() for tool, number in steps)
    first = [f"{tool} {number}" for tool, number in steps if number == rounds[0]]
    rest = [tool for tool, number in steps if not number]
    return ", ".join([*first, f"rollout, reflect and apply of {rounds[1]} to {rounds[-1]}", *rest])
