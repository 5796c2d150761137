"""Measure what a run of any size costs each tool: draw a finished run of N tickets, then run each tool on it.

    python -m tools.chaos_size --tickets 10000 --tickets 100000 --folder /tmp/big

    (no model) ──> FOLDER/N/tickets.jsonl and rounds/NNNN/*, as rollout, reflect and apply would have left them
                   prepare, collect, …, show, board, fuse, a process each ──> processor seconds and peak memory

Of several epochs the first round learns a rule. With four candidates a ticket and two epochs a ticket takes about 14 kB
of disk. Each folder is deleted before and, without --keep, after. docs/performance.md has the figures.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from math import ceil, gcd
from pathlib import Path
from typing import Annotated, NamedTuple, TextIO

import typer

from verdicts.command.cli import run

MODELS, SLUG = "miniature", "bbu_line"
SEGMENTS = (
    "BBU设备/华为,只显示部分,机柜空间充足需要安装/这个BBU设备按要求配备了挡风板×1",
    "螺丝、光纤插头/机柜处接地螺丝,符合要求×1",
    "螺丝、光纤插头/BBU安装螺丝,符合要求×4",
    "螺丝、光纤插头/地排处接地螺丝,不符合要求/未拧紧×1",
    "标签/5G-BBU-接地线×1",
    "标签/无法识别×3",
    "光纤/有保护措施,弯曲半径合理/蛇形管×4",
    "电线/捆扎整齐×2",
    "挡风板/华为,显示完整,安装方向正确×2",
)
REASONS = [f"第{number}条依据：机柜处接地螺丝与接地线标签按清单逐项核对(G{number % 2})" for number in range(40)]
WORDS = {"pass": "通过", "fail": "不通过"}
OTHER = {"pass": "fail", "fail": "pass"}


class Drawn(NamedTuple):
    """A ticket as the rounds see it: its identity, and a number that decides what its candidates say."""

    group: str
    label: str
    chance: int

    @property
    def key(self) -> str:
        """The ticket's key, as records have it."""
        return f"{self.group}::{self.label}"


class Shape(NamedTuple):
    """What a run is drawn with: tickets, tickets of a round, candidates of a ticket, epochs."""

    tickets: int
    window: int
    candidates: int
    epochs: int


class Cost(NamedTuple):
    """What one tool took: seconds of processor time (a clock would tell how busy the machine is), peak memory in MB."""

    tool: str
    seconds: float
    peak_mb: float


def main(
    tickets: Annotated[list[int], typer.Option(min=10, help="How many tickets; give it again for each size.")],
    folder: Annotated[Path, typer.Option(help="Where to draw the runs.")],
    window: Annotated[int, typer.Option(min=1, help="Tickets of a round.")] = 10_000,
    candidates: Annotated[int, typer.Option(min=1, help="Candidates of a ticket.")] = 4,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of the run.")] = 2,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the runs where they are.")] = False,
) -> None:
    """Draw runs and print what each tool took."""
    costs = {}
    for count in tickets:
        place = folder / str(count)
        shutil.rmtree(place, ignore_errors=True)
        costs[count] = measure(place, Shape(count, window, candidates, epochs))
        if not keep:
            shutil.rmtree(place)
        print(table({count: costs[count]}), file=sys.stderr, flush=True)
    print(table(costs))


def table(costs: dict[int, list[Cost]]) -> str:
    """The figures as Markdown: a row a tool, a column a size."""
    lines = ["| tool | " + " | ".join(f"{count:,} tickets" for count in costs) + " |", "|---|" + "---|" * len(costs)]
    for at, cost in enumerate(next(iter(costs.values()))):
        lines.append(
            f"| {cost.tool} | "
            + " | ".join(f"{of[at].seconds:.1f} s, {of[at].peak_mb:.0f} MB" for of in costs.values())
            + " |"
        )
    return "\n".join(lines)


def measure(folder: Path, shape: Shape) -> list[Cost]:
    """Draw a run below ``folder`` and run every tool on it."""
    run_dir, source = folder / "run" / SLUG, folder / "tickets.jsonl"
    draw_tickets(source, shape.tickets)
    costs = [cost("prepare", "--models", MODELS, "--mission", SLUG, "--tickets", source, "--run-dir", run_dir)]
    draw_rounds(run_dir, shape)
    stage_a, loop, rounds = run_dir / "stage_a.jsonl", run_dir / "loop.json", run_dir / "rounds"
    view = ("--selections", run_dir / "selections.jsonl")

    def step(tool: str, *options: object) -> Cost:
        section = run_dir / "config" / f"{tool}.yaml"
        shared = ("--config", section, "--loop", loop, "--stage-a", stage_a, "--output-dir", run_dir)
        return cost(tool, *shared, *options)

    costs.append(filtered(folder, source))
    costs.append(step("collect", "--rounds", rounds))
    votes = ("--trajectories", run_dir / "trajectories.jsonl", *view)
    costs.append(step("aggregate_review", "--rounds", rounds, *votes))
    made = ("--guidance", run_dir / "guidance.json", "--need-review", run_dir / "need_review.json")
    costs.append(step("distill", *view, *made))
    costs.append(cost("check", "--run-dir", run_dir))
    costs.append(cost("report", "--run-dir", run_dir, "--output", run_dir / "report.html"))
    costs.append(cost("show", "--run-dir", run_dir))
    costs.append(cost("board", "--runs", folder, "--output", folder / "board.html"))
    costs.append(cost("fuse", "--config", fusion_config(folder, run_dir), "--output-dir", folder / "fused"))
    costs.append(predicted(run_dir, source, folder / "predictions" / "predictions.jsonl"))
    return costs


def filtered(folder: Path, source: Path) -> Cost:
    """What taking the tickets in costs where filters that look at whole tickets and groups are on."""
    overlay = folder / "filters.yaml"
    overlay.write_text(
        "filters: {min_useful_photos: {pass: 4}, suspicious: {drop: true}, duplicates: {by: summaries}}\n"
    )
    taken = cost("prepare", "--models", MODELS, "--mission", SLUG, "--tickets", source, "--overlay", overlay,
                 "--run-dir", folder / "filters" / "run" / SLUG)  # fmt: skip
    return taken._replace(tool="prepare, with filters")


def predicted(run_dir: Path, source: Path, output: Path) -> Cost:
    """What predict takes beside its model: all answers lie in its part file, as after a kill behind the last one."""
    from verdicts.base.part_file import PartFile
    from verdicts.prediction.asking import batch_sizes
    from verdicts.prediction.source import NewTickets
    from verdicts.prediction.student import VerdictStudent

    student = VerdictStudent.of_run(run_dir)
    tickets = NewTickets(source, student.door)
    part, number = PartFile(output.with_name(f".{output.name}.part"), student.digest(tickets)), 0
    part.path.parent.mkdir(parents=True)
    with open(part.path, "w", encoding="utf-8") as file:
        file.write(part.digest + "\n")
        for size in batch_sizes(student.cfg, tickets.count):
            texts = [
                f"Verdict: {WORDS['pass']}\nReason: {REASONS[at % len(REASONS)]}" for at in range(number, number + size)
            ]
            file.write(json.dumps([[text, "stop", [-0.02, -4.0]] for text in texts], ensure_ascii=False) + "\n")
            number += size
    section = run_dir / "config" / "predict.yaml"
    guidance = run_dir / "guidance.json"
    return cost("predict", "--config", section, "--tickets", source, "--guidance", guidance, "--output", output)


def cost(tool: str, *options: object) -> Cost:
    """Run a tool as a process of its own; raises SystemExit where it fails."""
    child = subprocess.Popen([sys.executable, "-m", f"tools.{tool}", *map(str, options)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{tool} ended with {child.returncode}")
    spent = Cost(tool, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
    print(f"{tool}: {spent.seconds:.1f} s, {spent.peak_mb:.0f} MB", file=sys.stderr, flush=True)
    return spent


def drawn(number: int) -> Drawn:
    """A ticket by its number; every fiftieth has the group of the one before and the other label."""
    twin = number % 50 == 49
    of = number - twin
    label = "fail" if zlib.crc32(f"label/{of}".encode()) % 10 < 3 else "pass"
    return Drawn(f"SIZE-{of:09d}", OTHER[label] if twin else label, zlib.crc32(f"chance/{number}".encode()) % 1000)


def draw_tickets(path: Path, count: int) -> None:
    """Write Stage-A tickets of three to seven photos."""
    from verdicts.config.load import load

    mission = load(MODELS, SLUG, None).mission.name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        for number in range(count):
            ticket, photos = drawn(number), 3 + zlib.crc32(f"photos/{number}".encode()) % 5
            row = {
                "group_id": ticket.group,
                "mission": mission,
                "label": ticket.label,
                "images": [f"{ticket.group}_{photo}.jpeg" for photo in range(1, photos + 1)],
                "per_image": {f"image_{photo}": summary(number, photo) for photo in range(1, photos + 1)},
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def summary(number: int, photo: int) -> str:
    """What one photo shows."""
    seed = zlib.crc32(f"photo/{number}/{photo}".encode())
    return "，".join(SEGMENTS[(seed >> 4 * at) % len(SEGMENTS)] for at in range(2 + seed % 4))


def draw_rounds(run_dir: Path, shape: Shape) -> None:
    """Write what the rounds of a converged run leave, and loop.json."""
    from verdicts.base.jsonl import write_json
    from verdicts.config.load import load
    from verdicts.records.guidance import MissionGuidance, RuleMeta, write_guidance
    from verdicts.records.run import LoopStatus
    from verdicts.records.run_folder import round_folder

    mission, rounds, count = load(MODELS, SLUG, None).mission, run_dir / "rounds", shape.tickets
    per_epoch = ceil(count / shape.window)
    total = shape.epochs * per_epoch
    start = MissionGuidance(step=0, experiences={"G0": mission.g0}, metadata={}, last_applied_rule_keys=[])
    meta = RuleMeta(
        hit_count=3, miss_count=1, confidence=4 / 6, reflection_id="r0001-01", sources=[], rationale="", created_round=1
    )
    learnt = MissionGuidance(
        step=1,
        experiences={"G0": mission.g0, "G1": "出现标签无法识别则不通过"},
        metadata={"G1": meta},
        last_applied_rule_keys=["G1"],
    )
    after = learnt if shape.epochs > 1 else start
    write_guidance(round_folder(rounds, 0) / "guidance.json", mission.name, start)
    for number in range(1, total + 1):
        folder, (epoch, at) = round_folder(rounds, number), divmod(number - 1, per_epoch)
        place = {
            "mission": mission.name,
            "round": number,
            "epoch": epoch + 1,
            "guidance_step": 0 if number == 1 else after.step,
        }
        draw_round(
            folder,
            place,
            after.step,
            shape.candidates,
            permuted(count, epoch, count * at // per_epoch, count * (at + 1) // per_epoch),
        )
        write_guidance(folder / "guidance.json", mission.name, after)
    write_json(
        run_dir / "loop.json",
        LoopStatus(status="converged", rounds=total, epochs=shape.epochs, rounds_per_epoch=per_epoch, oscillations=[]),
    )


def permuted(count: int, epoch: int, first: int, last: int) -> Iterator[int]:
    """A window of an epoch's order of the tickets, which needs no memory."""
    stride = next(step for step in range(int(count * 0.618) + epoch, 2 * count + 2) if gcd(step, count) == 1)
    return ((at * stride + epoch) % count for at in range(first, last))


def draw_round(folder: Path, place: dict, after: int, candidates: int, numbers: Iterator[int]) -> None:
    """Write one round's records."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("trajectories", "selections", "failure_malformed", "need_review_queue")
    with contextlib.ExitStack() as stack:
        files = {name: stack.enter_context(open(folder / f"{name}.jsonl", "w", encoding="utf-8")) for name in names}
        for number in numbers:
            ticket = drawn(number)
            said = verdicts_of(ticket, candidates)
            draw_answers(ticket, said, place, files["trajectories"], files["failure_malformed"])
            draw_vote(ticket, said, place, files["selections"], files["need_review_queue"])
    shared = {
        "round": place["round"],
        "epoch": place["epoch"],
        "ticket_keys": [],
        "directions": {},
        "prompt_digest": "",
        "raw_response": "",
        "operations": [],
    }
    steps = {"before_step": place["guidance_step"], "after_step": after}
    record = {
        "reflection_id": f"r{place['round']:04d}-life",
        **shared,
        "unexplainable": [],
        "applied": [],
        "rejected": [],
        "cleaned_up": [],
        **steps,
    }
    (folder / "reflection.jsonl").write_text(json.dumps(record, ensure_ascii=False) + "\n", encoding="utf-8")


def verdicts_of(ticket: Drawn, candidates: int) -> list[str | None]:
    """What its candidates say. Of 1,000 tickets 50 are unsupported, 5 have no valid candidate, 100 a wrong one."""
    right, wrong = ticket.label, OTHER[ticket.label]
    if ticket.chance < 50:
        return [wrong] * candidates
    if ticket.chance < 55:
        return [None] * candidates
    return [wrong if ticket.chance < 155 else None if ticket.chance < 185 else right, *[right] * (candidates - 1)]


def draw_answers(ticket: Drawn, said: list[str | None], place: dict, trajectories: TextIO, failures: TextIO) -> None:
    """Write one ticket's candidates."""
    known = {"ticket_key": ticket.key, "group_id": ticket.group, **place}
    for index, verdict in enumerate(said):
        reason = REASONS[(ticket.chance + index) % len(REASONS)]
        text = f"Verdict: {WORDS[verdict]}\nReason: {reason}" if verdict else "说不清"
        logprob = (
            {"pass": None, "fail": None}
            if verdict is None
            else {verdict: -0.02, OTHER[verdict]: -3.0 - ticket.chance / 100}
        )
        decode = {
            "temperature": 0.3 + 0.2 * index,
            "top_p": 0.9,
            "max_new_tokens": 96,
            "seed": zlib.crc32(ticket.key.encode()) + index,
        }
        answer = {
            "verdict": verdict,
            "reason": reason if verdict else None,
            "format_ok": verdict is not None,
            "label_match": verdict == ticket.label,
        }
        asked = {**known, "candidate_index": index, "decode": decode, "response_text": text}
        write_row(trajectories, {**asked, **answer, "verdict_logprob": logprob})
        if verdict is None:
            row = {**known, "candidate_index": index, "why": "no_verdict", "response_text": text}
            write_row(failures, row)


def draw_vote(ticket: Drawn, said: list[str | None], place: dict, selections: TextIO, queue: TextIO) -> None:
    """Write what follows from one ticket's candidates: its selection, and its entry in the review queue."""
    known = {"ticket_key": ticket.key, "group_id": ticket.group, **place}
    valid = [verdict for verdict in said if verdict]
    if not valid:
        return
    chosen = "fail" if 2 * valid.count("fail") >= len(valid) else "pass"
    index = said.index(chosen)
    reason = REASONS[(ticket.chance + index) % len(REASONS)]
    votes = {"pass": said.count("pass"), "fail": said.count("fail"), "malformed": said.count(None)}
    strength = round(valid.count(chosen) / len(valid), 6)
    verdict = {
        "label": ticket.label,
        "verdict": chosen,
        "reason": reason,
        "vote_strength": strength,
        "label_match": chosen == ticket.label,
    }
    write_row(selections, {**known, **verdict, "candidates": votes, "selected_candidate": index, "warnings": []})
    if ticket.label not in valid:
        why = {
            "gt_label": ticket.label,
            "pred_verdict": chosen,
            "pred_reason": reason,
            "reason_code": "no_candidate_supports_gt",
        }
        entry = {name: value for name, value in known.items() if name != "guidance_step"}
        write_row(queue, {**entry, **why, "reflection_id": None, "note": ""})


def write_row(file: TextIO, row: dict) -> None:
    """Append a row as one line of JSON."""
    file.write(json.dumps(row, ensure_ascii=False) + "\n")


def fusion_config(folder: Path, run_dir: Path) -> Path:
    """A mix of the run's corpus alone."""
    import yaml

    source = {
        "name": "chat",
        "dataset": "chat",
        "template": "chatml",
        "ratio": 1.0,
        "weight": 1.0,
        "fail_oversample": 1.0,
    }
    source |= {"paths": [str(run_dir / "distill.train.jsonl")], "val": {"paths": [str(run_dir / "distill.val.jsonl")]}}
    path = folder / "size.yaml"
    mix = {"by": "loss_tokens", "anchor": "chat", "tokenizer": ""}
    path.write_text(
        yaml.safe_dump({"seed": 17, "image_paths": "relative", "mix": mix, "sources": [source]}), encoding="utf-8"
    )
    return path


if __name__ == "__main__":
    run(main)
