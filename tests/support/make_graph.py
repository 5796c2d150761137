"""A finished run in a copy of the project whose tools are stubs: what would make run, and on what?"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.builders import RunFolder, guidance, reflection, ticket

ROOT = Path(__file__).resolve().parents[2]
RUN = Path("runs", "miniature", "bbu_line")
LONG_AGO = 1_500_000_000  # seconds since 1970: before every file of the run, which are ten seconds apart
TICKETS = [ticket("a"), ticket("b"), ticket("c", "fail"), ticket("d", "fail")]
ROUND = [
    "trajectories.jsonl",
    "failure_malformed.jsonl",
    "selections.jsonl",
    "need_review_queue.jsonl",
    "reflection.jsonl",
    "guidance.json",
]
VIEW = ["trajectories.jsonl", "failure_malformed.jsonl", "selections.jsonl", "guidance.json", "metrics.jsonl"]
REVIEW = ["need_review_queue.jsonl", "need_review.json"]
CORPUS = [
    "distill_chatml.jsonl",
    "distill.train.jsonl",
    "distill.val.jsonl",
    "distill.dropped.jsonl",
    "distill.audit.jsonl",
]
OURS = {
    "MAKEFLAGS",
    "MFLAGS",
    "MAKELEVEL",
    "MAKEOVERRIDES",
    "MAKE_ROOT",
    "RUN_LOG",
    "MISSION",
    "MODELS",
    "RUN",
    "RUNS",
    "STAGE_A",
    "CONFIG",
    "DEV",
    "GRAPH",
    "STALE",
    "RUN_STARTED",
    "HELD_OUT",
    "FUSION",
    "MIX",
    "FUSED_FROM",
    "PROMPTS_B",
    "PROMPTS_R",
    "PROMPTS_S",
    "QUESTIONS",
}
# Stands for Python: notes each tool it is asked to run, and touches what the tool would write; a loop ends after three
# rounds. prepare runs for real.
STUB = r"""#!/bin/bash
echo "$*" >>"$ASKED"
tool=$2
[ "$tool" != tools.prepare ] || exec PYTHON "$@"
while [ $# -gt 0 ]; do case $1 in --output-dir | --round-dir | --output) out=$2 ;; esac; shift; done
case $tool in
tools.rollout) mkdir -p "$out" && touch "$out"/{trajectories,failure_malformed,selections}.jsonl ;;
tools.reflect)
  touch "$out"/{need_review_queue,reflection}.jsonl
  [ "${out##*/}" != 0001 ] || touch "${out%/*}/0000/review_decisions.jsonl"
  ;;
tools.apply) mkdir -p "${out%/*}" && touch "$out" ;;
tools.next_round)
  done=$(ls "${out%/*}"/rounds/*/guidance.json | wc -l)
  if [ "$done" -lt 4 ]; then printf '%04d\n' "$done"; else touch "$out"; fi
  ;;
tools.collect) cd "$out" && touch A_VIEW ;;
tools.aggregate_review) cd "$out" && touch A_REVIEW ;;
tools.distill) cd "$out" && touch A_CORPUS ;;
tools.review_page) touch "$out" ;;
esac
"""
for name, words in {"PYTHON": [sys.executable], "A_VIEW": VIEW, "A_REVIEW": REVIEW, "A_CORPUS": CORPUS}.items():
    STUB = STUB.replace(name, " ".join(words))


def make(folder: Path, *words: str, python: str = sys.executable) -> subprocess.CompletedProcess:
    """Run make there with this Python and without a virtual environment of its own."""
    outer = {name: value for name, value in os.environ.items() if name not in OURS}
    return subprocess.run(
        ["make", *words, f"PY={python}", "READY="],
        cwd=folder,
        capture_output=True,
        text=True,
        env=outer | {"ASKED": str(folder / "asked")},
    )


class Project:
    """A copy of the project with one finished run of four rounds, two an epoch."""

    def __init__(self, folder: Path):
        self.folder, self.run = folder, folder / RUN
        for name in ("make", "configs", "tools", "verdicts", "miniature"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "Makefile", folder)
        (folder / "python").write_text(STUB, encoding="utf-8")
        (folder / "python").chmod(0o755)
        learnt = guidance(1, G1="出现标签无法识别则不通过")
        run = RunFolder(self.run, TICKETS)
        run.play({"a::pass": "pass", "c::fail": "pass"}, epoch=1, after=learnt, reflections=[reflection(after_step=1)])
        run.play({"b::pass": "pass", "d::fail": "fail"}, epoch=1)
        run.play({"c::fail": "fail", "b::pass": "pass"}, epoch=2).play({"a::pass": "pass", "d::fail": "pass"}, epoch=2)
        run.finish(rounds_per_epoch=2).complete()
        shutil.copy(self.run / "stage_a.jsonl", folder / "tickets.jsonl")
        (self.run / "rounds/0000/review_decisions.jsonl").touch()
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            os.utime(path, (LONG_AGO, LONG_AGO))
        (folder / "small.yaml").write_text("window: {tickets: 2}\n", encoding="utf-8")
        self.made("STAGE_A=tickets.jsonl", "CONFIG=small.yaml", target="converge")

    def age(self) -> None:
        """Date the run's files ten seconds apart in the order in which a run writes them."""
        order = [
            *sorted((self.run / "config").iterdir()),
            self.run / "stage_a.jsonl",
            self.run / "rounds/0000/guidance.json",
        ]
        order += [self.run / f"rounds/{number:04d}" / name for number in (1, 2, 3, 4) for name in ROUND]
        order.insert(
            order.index(self.run / "rounds/0001/need_review_queue.jsonl"),
            self.run / "rounds/0000/review_decisions.jsonl",
        )
        order += [self.run / name for name in ["loop.json", *VIEW, *REVIEW, *CORPUS]]
        for place, path in enumerate(order, start=1):
            os.utime(path, (LONG_AGO + 10 * place,) * 2)

    def made(self, *words: str, target: str = "distill") -> list[str]:
        """The tools that make asked for, in order, each with its round where it has one."""
        asked = self.folder / "asked"
        asked.write_text("", encoding="utf-8")
        done = make(self.folder, target, *words, python="./python")
        assert done.returncode == 0, done.stderr
        calls = [line for line in asked.read_text(encoding="utf-8").splitlines() if "tools.prepare" not in line]
        numbers = [re.search(r"--round (\d+)|--output \S*rounds/(\d+)/", line) for line in calls]
        tools = [line.split()[1].removeprefix("tools.") for line in calls]
        return [
            f"{tool} {number.group(1) or number.group(2)}" if number else tool
            for tool, number in zip(tools, numbers, strict=True)
        ]

    def after(
        self, edited: str | None = None, gone: str | None = None, target: str = "distill", words: Sequence[str] = ()
    ) -> list[str]:
        """What make asks for after a file was edited or deleted; then all is as before."""
        self.age()
        name = edited or gone or "config/guidance.yaml"
        path = (self.folder if name.startswith(("tools", "configs")) else self.run) / name
        was = path.read_bytes() if path.exists() else None
        try:
            path.unlink() if gone else path.touch() if edited else None
            return self.made(*words, target=target)
        finally:
            path.write_bytes(was) if was is not None else path.unlink()
            if was is not None:
                os.utime(path, (LONG_AGO, LONG_AGO))
