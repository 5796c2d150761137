"""The Make graph without any model: which tools `make distill` asks for on a finished run after each kind of edit."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

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
    "QUESTIONS",
}
TAIL = ["next_round", "collect", "aggregate_review", "distill"]  # what always follows when a round has changed


# Stands for Python: notes each tool it is asked to run, and touches what the tool would write; a loop ends after three
# rounds. prepare runs for real.
STUB = r"""#!/bin/bash
echo "$*" >>"$ASKED"
tool=$2
[ "$tool" != tools.prepare ] || exec PYTHON "$@"
while [ $# -gt 0 ]; do case $1 in --output-dir | --round-dir | --output) out=$2 ;; esac; shift; done
case $tool in
tools.rollout) mkdir -p "$out" && touch "$out"/{trajectories,failure_malformed,selections}.jsonl ;;
tools.reflect) touch "$out"/{need_review_queue,reflection}.jsonl; [ "${out##*/}" != 0001 ] || touch "${out%/*}/0000/review_decisions.jsonl" ;;
tools.apply) mkdir -p "${out%/*}" && touch "$out" ;;
tools.next_round) done=$(ls "${out%/*}"/rounds/*/guidance.json | wc -l); if [ "$done" -lt 4 ]; then printf '%04d\n' "$done"; else touch "$out"; fi ;;
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


def rounds(first: int, after: str = "", last: int = 4) -> list[str]:
    """All that is done from round ``first`` on; ``after``: the step of that first round which stands as it is."""
    steps = [f"{tool} {number:04d}" for number in range(first, last + 1) for tool in ("rollout", "reflect", "apply")]
    return steps[steps.index(f"{after} {first:04d}") + 1 if after else 0 :]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


@pytest.mark.parametrize("target", ["distill", "converge", "review"])
def test_a_finished_run_has_nothing_to_do(project, target):
    assert project.after(target=target) == []


@pytest.mark.parametrize(
    ("edited", "rebuilt"),
    [
        ("stage_a.jsonl", rounds(1) + TAIL),
        ("rounds/0001/trajectories.jsonl", rounds(1, after="rollout") + TAIL),
        ("rounds/0001/selections.jsonl", rounds(1, after="rollout") + TAIL),
        ("rounds/0003/selections.jsonl", rounds(3, after="rollout") + TAIL),
        ("rounds/0002/reflection.jsonl", rounds(2, after="reflect") + TAIL),
        ("rounds/0000/guidance.json", rounds(1) + TAIL),
        ("rounds/0002/guidance.json", rounds(3) + TAIL),
        ("rounds/0004/guidance.json", TAIL),
        ("rounds/0002/need_review_queue.jsonl", TAIL[1:]),
        ("rounds/0002/failure_malformed.jsonl", TAIL[1:]),
        ("loop.json", TAIL[1:]),
        ("selections.jsonl", TAIL[2:]),
        ("guidance.json", ["distill"]),
        ("failure_malformed.jsonl", []),
        ("need_review.json", ["distill"]),
        ("review_decisions.jsonl", ["distill"]),
        ("config/guidance.yaml", ["apply 0000", *rounds(1), *TAIL]),
        ("config/rollout.yaml", rounds(1) + TAIL),
        ("rounds/0000/review_decisions.jsonl", rounds(2, after="rollout") + TAIL),  # round 1 wrote it
        ("config/reflect.yaml", rounds(1, after="rollout") + TAIL),
        ("config/loop.yaml", TAIL),
        ("config/collect.yaml", TAIL[1:]),
        ("config/aggregate_review.yaml", ["aggregate_review", "distill"]),
        ("config/distill.yaml", ["distill"]),
        ("configs/prompts/stage_b.user.txt", rounds(1) + TAIL),
        ("configs/prompts/stage_b.system.txt", rounds(1) + TAIL),
        ("configs/prompts/reflect.system.txt", rounds(1, after="rollout") + TAIL),
        *[
            (f"tools/{tool}.py", [])
            for tool in ("apply", "rollout", "reflect", "next_round", "collect", "aggregate_review", "distill", "show")
        ],
        ("configs/missions/bbu_wind.yaml", []),
        ("need_review_queue.jsonl", []),
        ("metrics.jsonl", []),
        *[(name, []) for name in CORPUS],
    ],
)
def test_an_edit_rebuilds_what_depends_on_it_and_nothing_else(project, edited, rebuilt):
    done = project.after(edited)
    assert Counter(done) == Counter(rebuilt)
    assert [step for step in done if " " in step] == [step for step in rebuilt if " " in step]  # rounds in their order


@pytest.mark.parametrize(
    ("gone", "rebuilt"),
    [
        ("rounds/0002/trajectories.jsonl", rounds(2) + TAIL),
        ("rounds/0002/selections.jsonl", rounds(2) + TAIL),
        ("rounds/0002/reflection.jsonl", rounds(2, after="rollout") + TAIL),
        ("rounds/0004/guidance.json", ["apply 0004", *TAIL]),
        ("loop.json", TAIL),
        ("selections.jsonl", TAIL[1:]),
        ("need_review.json", TAIL[2:]),
        ("distill.val.jsonl", ["distill"]),
    ],
)
def test_a_deleted_file_is_made_again_with_what_depends_on_it(project, gone, rebuilt):
    assert Counter(project.after(gone=gone)) == Counter(rebuilt)


def planned(project, target: str) -> list[str]:
    """The tools that `make -n` would ask for."""
    done = make(project.folder, "-n", target)
    assert done.returncode == 0, done.stderr
    return [tool for tool in re.findall(r"-m tools\.(\w+)", done.stdout) if tool != "prepare"]


def test_decisions_brought_in_rebuild_the_corpus_alone(project):
    decided = project.run / "review_decisions.jsonl"
    project.age()
    decided.write_text('{"ticket_key": "d::fail", "decision": "exclude", "note": ""}\n')
    assert planned(project, "distill") == ["distill"] and planned(project, "converge") == []
    assert project.made() == ["distill"]
    decided.unlink()


@pytest.mark.parametrize("target", ["review-page", "report", "show", "check"])
def test_reading_a_run_makes_nothing_even_where_its_inputs_have_changed(project, target):
    project.age()
    (project.run / "stage_a.jsonl").touch()
    assert project.made(target=target) == [target.replace("-", "_")]


def test_review_apply_is_told_the_file_and_needs_nothing_made(project):
    project.age()
    assert project.made("DECISIONS=given.csv", target="review-apply") == ["review_apply"]
    assert (project.folder / "asked").read_text().split()[-4:] == ["--run-dir", str(RUN), "--decisions", "given.csv"]


def test_a_new_run_plays_round_after_round_keeps_every_file_and_is_then_finished(project):
    new = ["RUN=new", "STAGE_A=tickets.jsonl", "CONFIG=small.yaml"]
    expected = ["apply 0000", "next_round"] + [
        step for number in (1, 2, 3) for step in [*rounds(number, last=number), "next_round"]
    ]
    assert project.made(*new) == expected + TAIL[1:]
    folder = project.folder / "runs" / "new" / "bbu_line"
    assert {path.name for number in (1, 2, 3) for path in (folder / "rounds" / f"{number:04d}").iterdir()} == set(ROUND)
    assert project.made(*new) == []
    (folder / "loop.json").unlink()  # as where the loop was killed in its second round
    for name in ("need_review_queue.jsonl", "reflection.jsonl", "guidance.json"):
        (folder / "rounds" / "0002" / name).unlink()
    shutil.rmtree(folder / "rounds" / "0003")
    resumed = rounds(2, after="rollout", last=2) + ["next_round", *rounds(3, last=3), "next_round"]
    assert project.made(*new) == resumed + TAIL[1:]


def test_rounds_beyond_the_end_of_the_loop_are_moved_away_and_not_made_again(project):
    project.age()
    (project.run / "rounds" / "0005").mkdir()
    for name in ROUND:
        shutil.copyfile(project.run / "rounds" / "0004" / name, project.run / "rounds" / "0005" / name)
    (project.run / "config" / "loop.yaml").touch()
    done = make(project.folder, "review")
    gone = not (project.run / "rounds" / "0005").exists()
    moved = (project.run / "rounds.superseded" / "0005" / "guidance.json").exists()
    shutil.rmtree(project.run / ("rounds.superseded" if gone else "rounds/0005"))
    assert done.returncode == 0, done.stderr
    assert gone and moved and (project.run / "rounds" / "0004").exists()
    assert [line.split(":")[0].split()[0] for line in done.stderr.splitlines()] == [
        "loop",
        "collect",
        "aggregate_review",
    ]


def test_a_target_that_needs_no_run_prepares_none(project):
    done = make(project.folder, "-n", "help", "MISSION=bbu_wind")
    assert done.returncode == 0 and not (project.run.parent / "bbu_wind").exists()


def test_help_names_every_target_and_every_variable(project):
    texts = [path.read_text(encoding="utf-8") for path in [ROOT / "Makefile", *sorted((ROOT / "make").glob("*.mk"))]]
    phony = {
        name for text in texts for line in re.findall(r"^\.PHONY:(.*)$", text, re.MULTILINE) for name in line.split()
    } - {"FORCE", "$(WANTED)"}
    variables = {name for text in texts for name in re.findall(r"^([A-Z][A-Z_]*) \?=", text, re.MULTILINE)} - {
        "GRAPH",
        "STALE",
        "MADE_ANEW",
        "FUSED_FROM",
        "MIX",
        "QUESTIONS",
    }
    told = {line.split()[0] for line in make(project.folder, "help").stdout.splitlines() if line.startswith("  ")}
    assert len(phony) >= 6 and len(variables) >= 6
    assert told == phony | variables


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["MISSION=nope"], "unknown MISSION 'nope'"),
        (["MISSION=nope", "STAGE_A=tickets.jsonl"], "unknown MISSION 'nope'; choose one of bbu_cable, "),
        (["STAGE_A=tikets.jsonl"], "tikets.jsonl: no such file; check the path"),
        (
            ["RUN=other", "STAGE_A=tickets.jsonl", "CONFIG=configs/none.yaml"],
            "configs/none.yaml: no such file; check the path",
        ),
    ],
)
def test_a_mistake_in_a_variable_is_one_clear_line_beside_makes_own_and_exit_2(project, words, message):
    done = make(project.folder, "distill", *words)
    said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert done.returncode == 2, done.stderr
    assert len(said) == 1 and message in said[0]
    assert (
        not (project.folder / "runs" / "other").exists()
        and not (project.folder / "runs" / "miniature" / "nope").exists()
    )


def test_a_changed_distill_knob_rebuilds_the_corpus_and_a_comment_nothing(project):
    project.age()
    base = project.folder / "configs" / "base.yaml"
    text = base.read_text(encoding="utf-8")
    base.write_text("# a comment\n" + text, encoding="utf-8")
    assert project.made("CONFIG=small.yaml") == []
    base.write_text(re.sub(r"^(  val_share: ).*$", r"\g<1>0.25", text, flags=re.MULTILINE), encoding="utf-8")
    assert project.made("CONFIG=small.yaml") == ["distill"]
