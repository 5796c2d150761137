"""Kill every writing tool at random moments, start it again, and compare what it wrote with an undisturbed run.

    python -m tools.chaos_kills --kills 200 --seed 1 [--only fuse,sft]

In:  the bundled models; tickets, photos and a run of its own, drawn by the miniature into a temporary folder.
Out: a table on stdout: kills, other signals, the slowest stop, files that differ, rows lost or doubled, stray files.

A chain is up to four kills with a restart after each, then one run to the end. A tenth of the kills hits the first
process alone (make, or a tool's supervisor). After the kills each job gets a quarter as many SIGINT, SIGTERM and
SIGHUP, to make alone or to all as a terminal does. Exits with 1 where anything differs.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from verdicts.command.cli import run

MARK = "CHAOS_KILLS"
CHAIN = 4
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WORDS = ["MISSION=bbu_line", f"PY={sys.executable}", "READY=", "READY_STUDENT="]
OVERLAY = """window: {tickets: 12}
loop: {max_epochs: 2}
engine: {chunk: 4, slots: 4}
summarize: {batch: 4}
evaluate: {batch: 4, tickets: 12, photos: 6, max_new_tokens_dense: 64}
sft: {top_layers: 2, rank: 4, batch_rows: 2, accumulate: 1, save_steps: 2, log_steps: 1}
"""
MIX = """seed: 17
image_paths: absolute
mix: {{by: rows, anchor: chat, tokenizer: ""}}
sources:
  - name: chat
    dataset: chat
    template: chatml
    paths: [{run}/distill.train.jsonl]
    val: {{paths: [{run}/distill.val.jsonl]}}
    ratio: 1.0
    weight: 1.0
    fail_oversample: 1.0
  - name: dense
    dataset: dense
    template: dense
    paths: [{work}/photos/bbu_line.dense.jsonl]
    val: {{share: 0.2}}
    ratio: 0.3
    weight: 1.0
  - name: summary
    dataset: summary
    template: summary
    paths: [{work}/photos/bbu_line.summary.jsonl]
    val: {{share: 0.2}}
    ratio: 0.3
    weight: 1.0
"""


@dataclass(frozen=True)
class Job:
    """A command that writes, and the share of the kills it gets. ``fresh``: it begins without the finished run."""

    command: list[str]
    share: int
    fresh: bool = False


@dataclass
class Tally:
    """What came of a job."""

    sent: Counter = field(default_factory=Counter)
    slowest_stop_s: float = 0.0
    compared: int = 0
    different: set[str] = field(default_factory=set)
    rows: int = 0
    stray: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)


def main(
    kills: Annotated[int, typer.Option(min=1, help="How many SIGKILLs, over all jobs.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of the moments.")] = 1,
    only: Annotated[str, typer.Option(help="Jobs to take, with commas between; all without it.")] = "",
) -> None:
    """Print a table, a line a job."""
    import tempfile

    from verdicts.command.cli import say

    with tempfile.TemporaryDirectory(prefix="chaos-") as work:
        bench = Bench(Path(work).resolve(), random.Random(seed))
        jobs = {name: job for name, job in bench.jobs().items() if not only or name in only.split(",")}
        shares = sum(job.share for job in jobs.values())
        bench.prepare()
        print(
            f"{'job':18}{'SIGKILL':>8}{'INT':>5}{'TERM':>5}{'HUP':>5}{'slowest stop':>14}"
            f"{'compared':>10}{'differ':>8}{'rows lost or doubled':>22}{'stray':>7}",
            flush=True,
        )
        tallies = []
        for name, job in jobs.items():
            tally = bench.torment(job, max(1, round(kills * job.share / shares)))
            tallies.append(tally)
            print(line_of(name, [tally]), flush=True)
        print(line_of("all", tallies))
    wrong = [what for tally in tallies for what in (*sorted(tally.different), *sorted(tally.stray), *tally.failed)]
    say(
        f"chaos_kills: {sum(tally.sent.total() for tally in tallies)} signals over {len(tallies)} jobs, {len(wrong)} "
        "things wrong" + "".join(f"\n  {what}" for what in wrong[:20])
    )
    if wrong:
        raise typer.Exit(1)


def line_of(name: str, tallies: list[Tally]) -> str:
    """A line of the table."""
    sent = sum((tally.sent for tally in tallies), Counter())
    slowest = max(tally.slowest_stop_s for tally in tallies)
    counts = [
        sum(of(tally) for tally in tallies)
        for of in (lambda t: t.compared, lambda t: len(t.different), lambda t: t.rows, lambda t: len(t.stray))
    ]
    killed, *stopped = (sent[number] for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    signals = f"{killed:8}" + "".join(f"{count:5}" for count in stopped)
    return f"{name:18}{signals}{slowest:12.1f} s{counts[0]:10}{counts[1]:8}{counts[2]:22}{counts[3]:7}"


class Bench:
    """A folder with the inputs, a finished run to begin from (``base``), and the place where jobs work (``state``)."""

    def __init__(self, work: Path, moments: random.Random):
        self.work, self.moments = work, moments
        self.base, self.state = work / "base", work / "state"
        self.folder = self.state / "r/bbu_line"

    def jobs(self) -> dict[str, Job]:
        """Every job by its name."""
        run_, config = self.folder, self.folder / "config"

        def by_config(name: str, **options: object) -> list[str]:
            return tool(name, config=config / f"{name}.yaml", **options)

        named = on(tickets=self.work / "tickets.jsonl", overlay=self.work / "c.yaml")
        stage_a, selections = run_ / "stage_a.jsonl", run_ / "selections.jsonl"
        rounds = on(loop=run_ / "loop.json", rounds=run_ / "rounds", stage_a=stage_a)
        view = on(trajectories=run_ / "trajectories.jsonl", selections=selections)
        learnt = [
            *on(loop=run_ / "loop.json", stage_a=stage_a, selections=selections),
            *on(guidance=run_ / "guidance.json", need_review=run_ / "need_review.json"),
        ]
        photos = on(input=self.work / "photos/bbu_line", output=run_ / "summaries/stage_a.jsonl")
        asked = on(
            guidance=run_ / "guidance.json",
            tickets=self.work / "held.jsonl",
            summary=self.work / "held/bbu_line.summary.jsonl",
            dense=self.work / "held/bbu_line.dense.jsonl",
        )
        new = on(guidance=run_ / "guidance.json", output=run_ / "predictions/new/predictions.jsonl")
        train, val = (self.state / f"fused/mix.{side}.jsonl" for side in ("train", "val"))
        return {
            "make distill": Job([*self.make(), "distill"], 44, fresh=True),
            "prepare": Job(
                [*tool("prepare", models="miniature", mission="bbu_line", run_dir=run_), *named], 8, fresh=True
            ),
            "collect": Job([*by_config("collect", output_dir=run_), *rounds], 20),
            "aggregate_review": Job([*by_config("aggregate_review", output_dir=run_), *rounds, *view], 20),
            "distill": Job([*by_config("distill", output_dir=run_), *learnt], 20),
            "review_apply": Job(tool("review_apply", run_dir=run_, decisions=self.work / "decisions.jsonl"), 10),
            "review_page": Job(tool("review_page", run_dir=run_, output=run_ / "review.html"), 10),
            "report": Job(tool("report", run_dir=run_, output=run_ / "report.html"), 10),
            "fuse": Job(tool("fuse", config=self.work / "mix.yaml", output_dir=self.state / "fused"), 16),
            "summarize": Job([*by_config("summarize", mission="bbu_line"), *photos], 12),
            "evaluate": Job(
                [*by_config("evaluate", trained=train, output=run_ / "evaluation/before.json"), *asked], 12
            ),
            "predict": Job([*by_config("predict", tickets=self.work / "held.jsonl"), *new], 12),
            "predict photos": Job([*by_config("predict", tickets=self.work / "photos/bbu_line"), *new], 12),
            "sft": Job(by_config("sft", train=train, val=val, output_dir=self.state / "taught"), 14),
        }

    def make(self) -> list[str]:
        """The make command of the run."""
        return [
            "make",
            *WORDS,
            f"RUNS={self.state}",
            "RUN=r",
            f"STAGE_A={self.work / 'tickets.jsonl'}",
            f"CONFIG={self.work / 'c.yaml'}",
        ]

    def prepare(self) -> None:
        """Draw the inputs and make the run that most jobs begin from."""
        work = self.work
        (work / "c.yaml").write_text(OVERLAY, encoding="utf-8")
        (work / "mix.yaml").write_text(MIX.format(run=self.folder, work=work), encoding="utf-8")
        drawn = [
            drawing(
                "world.dataset",
                mission="bbu_line",
                seed=3,
                tickets=24,
                flip=0.05,
                output=work / "tickets.jsonl",
                truth=work / "truth.jsonl",
            ),
            drawing(
                "world.dataset",
                mission="bbu_line",
                seed=9,
                tickets=12,
                flip=0.0,
                output=work / "held.jsonl",
                truth=work / "held.truth.jsonl",
            ),
            drawing("drawing.photos", tickets=5, tickets_seed=11, output=work / "photos"),
            drawing("drawing.photos", tickets=4, tickets_seed=13, output=work / "held"),
        ]
        for command in [
            *drawn,
            [*self.make(), "distill"],
            tool("prepare", models="miniature", mission="bbu_line", run_dir=self.folder, overlay=work / "c.yaml"),
            self.jobs()["fuse"].command,
        ]:
            done = subprocess.run(command, env=self.environment(), capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        held = (work / "held.jsonl").read_text(encoding="utf-8").replace('"group_id": "', '"group_id": "held-')
        (work / "held.jsonl").write_text(held, encoding="utf-8")
        queued = (self.folder / "need_review_queue.jsonl").read_text(encoding="utf-8").splitlines()
        import json

        decided = [
            {"ticket_key": json.loads(row)["ticket_key"], "decision": "unsure", "note": ""} for row in queued[:3]
        ]
        (work / "decisions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in decided), encoding="utf-8")
        os.rename(self.state, self.base)

    def environment(self) -> dict[str, str]:
        """That of a command given by hand, with a mark by which all its processes are found."""
        return {
            name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "RUN_LOG"))
        } | {MARK: str(self.work)}

    def begin(self, job: Job) -> None:
        """The state before the job."""
        shutil.rmtree(self.state, ignore_errors=True)
        if job.fresh:
            self.state.mkdir()
        else:
            shutil.copytree(self.base, self.state)

    def torment(self, job: Job, kills: int) -> Tally:
        """Kill the job so often, in chains of up to CHAIN, and compare after each chain."""
        tally = Tally()
        self.begin(job)
        begun = time.monotonic()
        self.finish(job, tally)
        takes_s = time.monotonic() - begun
        wanted = contents(self.state)
        todo = [(signal.SIGKILL, self.moments.random() < 0.1) for _ in range(kills)]
        todo += [(STOPS[at % 3], self.moments.random() < 0.5) for at in range(max(3, kills // 4))]
        while todo:
            self.begin(job)
            for _ in range(min(CHAIN, len(todo))):
                if self.disturb(
                    job, *todo[-1], self.moments.uniform(0.05, takes_s * (0.3 if job.fresh else 0.9)), tally
                ):
                    todo.pop()
            self.finish(job, tally)
            compare(wanted, contents(self.state), tally)
        return tally

    def disturb(self, job: Job, number: signal.Signals, alone: bool, after_s: float, tally: Tally) -> bool:
        """Start the job and send a signal. Returns whether it was still at work."""
        process = subprocess.Popen(
            job.command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(),
            start_new_session=True,
            preexec_fn=switched_on,
        )
        try:
            _, errors = process.communicate(timeout=after_s)
            if process.returncode:
                tally.failed.append(f"{' '.join(job.command[:4])}: {errors.strip()[-300:]}")
            return False
        except subprocess.TimeoutExpired:
            (os.kill if alone else os.killpg)(process.pid, number)
        sent = time.monotonic()
        while self.alive():
            time.sleep(0.01)
            if time.monotonic() - sent > 60:
                tally.failed.append(f"{' '.join(job.command[:4])}: still at work a minute after {number.name}")
                break
        tally.slowest_stop_s = max(tally.slowest_stop_s, time.monotonic() - sent)
        tally.sent[number] += 1
        said = process.communicate()[1].strip()
        if "Traceback" in said and not said.endswith(
            "KeyboardInterrupt"
        ):  # Python's own, before it has come to our first line
            tally.failed.append(f"{' '.join(job.command[:4])}: a traceback after {number.name}: {said[-300:]}")
        return True

    def alive(self) -> bool:
        """Whether any process of a job still runs."""
        wanted = f"{MARK}={self.work}".encode()
        for entry in Path("/proc").iterdir():
            try:
                if (
                    entry.name.isdigit()
                    and wanted in (entry / "environ").read_bytes().split(b"\0")
                    and (entry / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
                ):
                    return True
            except OSError:
                continue
        return False

    def finish(self, job: Job, tally: Tally) -> None:
        """Run the job to its end."""
        done = subprocess.run(
            job.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=self.environment()
        )
        if done.returncode:
            tally.failed.append(f"{' '.join(job.command[:4])}: {done.stderr.strip()[-300:]}")


def switched_on() -> None:
    """In a new process: the signals that this one was started without (nohup, a script's ``&``) count again."""
    for number in STOPS:
        signal.signal(number, signal.SIG_DFL)


def tool(name: str, **options: object) -> list[str]:
    """The command of a tool; ``run_dir=path`` becomes ``--run-dir path``."""
    return [sys.executable, "-m", f"tools.{name}", *on(**options)]


def drawing(name: str, **options: object) -> list[str]:
    """The command that draws tickets or photos of the miniature."""
    return [sys.executable, "-m", f"miniature.{name}", *on(**options)]


def on(**options: object) -> list[str]:
    """Options as words of a command line."""
    return [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but the log, which alone holds times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "run.log"
    }


def compare(wanted: dict[str, bytes], found: dict[str, bytes], tally: Tally) -> None:
    """Count what differs from the undisturbed run."""
    tally.compared += 1
    tally.stray |= found.keys() - wanted.keys()
    for name in wanted:
        if found.get(name) != wanted[name]:
            tally.different.add(name)
            rows, others = (Counter(side.get(name, b"").splitlines()) for side in (wanted, found))
            tally.rows += ((rows - others) + (others - rows)).total()


if __name__ == "__main__":
    run(main)
