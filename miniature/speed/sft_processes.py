"""One process against several at the same training: loss curve and tokens a second, the figures of docs/sft.md.

    python -m miniature.speed.sft_processes                                  the miniature on a CPU, a minute
    python -m miniature.speed.sft_processes --full-size --output DIR         random weights of a 4B's shapes, two GPUs

Each way is a command of its own, started as a user starts sft: ``one`` without a launcher, ``several`` by ``accelerate
launch``. Both learn the same rows in the same steps: one process takes as many minibatches a step as all of the others
take together. Weights are drawn from one seed, and the processes hold the same ones from the first step on.

Needs torch, transformers, accelerate, peft and pillow. Time is the wall's; the first two steps of a way warm up and are
not counted. Tokens are those of rows, without padding. Prints a table; writes sft_processes.json to --output.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from miniature.measure.student_memory import MINIATURE, PHOTO_SIDE, random_weights, write_small_files
from miniature.speed.sft_speed import GIB, WARM_UP, loaded, write_drawn, write_noise
from verdicts.base.errors import mistake
from verdicts.command.cli import run, say

BATCH_ROWS, ACCUMULATE = 4, 2  # of each of several processes
RESULT = "result.json"  # of one way, in a folder of its name


def main(
    output: Annotated[Path, typer.Option(help="Folder for rows and results.")] = Path("runs/sft-processes"),
    full_size: Annotated[bool, typer.Option(help="A Qwen3-VL-4B's shapes, random weights.")] = False,
    processes: Annotated[int, typer.Option(min=2, help="Processes of the second way, a GPU each.")] = 2,
    steps: Annotated[int, typer.Option(min=WARM_UP + 1, help="Steps of each way.")] = 10,
    tokens: Annotated[int, typer.Option(help="Mean tokens of a row at full size.")] = 1500,
    way: Annotated[str, typer.Option(help="One way alone, as this command starts it: one | several.")] = "",
) -> None:
    """Run both ways, print the table, write the JSON."""
    if way:
        teach(way, output, full_size, processes, steps, tokens)
        return
    import torch

    if (there := torch.cuda.device_count()) and there < processes:
        raise mistake(f"{processes} are wanted, this machine has {there}", "name fewer", field="--processes")
    write_inputs(output, full_size, processes * ACCUMULATE * BATCH_ROWS * steps, tokens)
    asked = ["--output", output, "--processes", processes, "--steps", steps, "--tokens", tokens]
    asked += ["--full-size"] if full_size else []
    own = ["-m", "miniature.speed.sft_processes", *map(str, asked)]
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", str(processes)]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    found = {}
    for name, words in (("one", own), ("several", [*launch, *own])):
        result = output / name / RESULT
        result.unlink(missing_ok=True)
        if subprocess.run([sys.executable, *words, "--way", name], check=False).returncode or not result.exists():
            raise mistake(f"the way {name!r} came to nothing", "see what it said above", path=output)
        found[name] = json.loads(result.read_text(encoding="utf-8"))
        say(f"sft_processes: {name}: {found[name]['tokens_per_s']:.0f} tokens/s")
    (output / "sft_processes.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    print("\n".join(table(found)))


def write_inputs(folder: Path, full_size: bool, count: int, tokens: int) -> None:
    """Write the rows that both ways learn, and what the random student's folder holds beside its weights."""
    from verdicts.student.model import Encoder

    folder.mkdir(parents=True, exist_ok=True)
    base = folder / "base" if full_size else MINIATURE
    if full_size and not (base / "config.json").exists():
        write_small_files(base)
    (write_noise if full_size else write_drawn)(folder, Encoder(base, PHOTO_SIDE * PHOTO_SIDE), count, tokens)


def teach(way: str, folder: Path, full_size: bool, processes: int, steps: int, tokens: int) -> None:
    """One way, in each of its processes; the first one writes what it found."""
    import torch
    from accelerate import Accelerator

    from tools.sft import set_up_torch
    from verdicts.config.load import load
    from verdicts.sft.lora import adapt, adapted, lora_config, top_layers
    from verdicts.sft.rows import FusedFile
    from verdicts.sft.train import StudentLoss, Trainer
    from verdicts.student.model import Encoder

    gpu, base = torch.cuda.is_available(), folder / "base" if full_size else MINIATURE
    accelerator = Accelerator(cpu=not gpu, mixed_precision="bf16" if gpu else "no")  # settles each process's GPU
    wanted = processes if way == "several" else 1
    if accelerator.num_processes != wanted:
        raise mistake(f"{accelerator.num_processes} processes, not {wanted}", "leave --way to the command itself")
    if not gpu:
        torch.set_num_threads(1)  # a core each, or several would share what one has
    config = load("qwen3" if full_size else "miniature", "bbu_line")
    set_up_torch(gpu, config)
    rows = FusedFile(folder / "train.jsonl", Encoder(base, PHOTO_SIDE * PHOTO_SIDE), 10 * tokens)
    share = {"batch_rows": BATCH_ROWS, "accumulate": ACCUMULATE * processes // wanted, "save_steps": 10**6}
    a_step = BATCH_ROWS * ACCUMULATE * processes
    settings = config.sft.model_copy(update=share | {"epochs": steps * a_step / len(rows.facts)})
    layers = top_layers(base, settings)
    student = (random_weights(base) if full_size else loaded(base)).to(accelerator.device)
    learner = StudentLoss(adapt(student, lora_config(layers, settings), adapted(layers, settings.targets)))
    trainer = Trainer(learner, rows, settings, accelerator, folder / way / "state", {})
    losses, ends = timed_steps(trainer, steps)
    peak = torch.tensor([torch.cuda.max_memory_allocated() / GIB if gpu else 0.0], device=accelerator.device)
    peaks = accelerator.gather(peak).tolist()
    learnt = [sum(rows.facts[row].tokens for row in trainer.plan.rows(step)) for step in range(steps)]
    device = torch.cuda.get_device_name() if gpu else "CPU, a thread a process"
    if accelerator.is_main_process:
        (folder / way).mkdir(exist_ok=True)
        result = of_steps(learnt, ends, losses) | {"processes": wanted, "device": device, "peak_gib": peaks}
        (folder / way / RESULT).write_text(json.dumps(result), encoding="utf-8")
    accelerator.end_training()
    if wanted > 1:  # as tools/sft.py ends, which says why
        sys.stderr.flush()
        os._exit(0)


def timed_steps(trainer: Any, steps: int) -> tuple[list[float], list[float]]:
    """Do so many steps: their losses, and the clock (seconds) before the first and after each."""
    from verdicts.sft.train import prefetch

    process = trainer.accelerator.process_index
    batches = prefetch(trainer.minibatch, (rows for at in range(steps) for rows in trainer.plan.batches(at, process)))
    trainer.learner.train()
    losses, ends = [], [time.perf_counter()]
    for step in range(steps):
        losses.append(trainer._step(step, batches)["loss"])
        ends.append(time.perf_counter())
    return losses, ends


def of_steps(tokens: list[int], ends: list[float], losses: list[float]) -> dict[str, Any]:
    """Tokens a second over all steps behind the warm-up, of the slowest and of the fastest; losses and seconds."""
    seconds = [after - before for before, after in pairwise(ends)]
    rates = [count / took for count, took in zip(tokens[WARM_UP:], seconds[WARM_UP:], strict=True)]
    return {
        "tokens_per_s": sum(tokens[WARM_UP:]) / sum(seconds[WARM_UP:]),
        "slowest_step": min(rates),
        "fastest_step": max(rates),
        "tokens": sum(tokens),
        "losses": losses,
        "seconds": seconds,
    }


def table(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Markdown: a way a line. Losses are compared step by step, as a share of the one process's loss."""
    one = found["one"]
    lines = [
        f"{one['device']}; {len(one['losses'])} steps of {one['tokens'] / len(one['losses']):,.0f} tokens",
        "",
        "| processes | tokens/s (slowest to fastest step) | of one | peak of a GPU | loss, first to last step "
        "| apart from one's, at most |",
        "|---|---|---|---|---|---|",
    ]
    for way in found.values():
        apart = max(abs(a - b) / abs(b) for a, b in zip(way["losses"], one["losses"], strict=True))
        peak = max(way["peak_gib"])
        lines.append(
            f"| {way['processes']} | {way['tokens_per_s']:,.0f} ({way['slowest_step']:,.0f} to "
            f"{way['fastest_step']:,.0f}) | {way['tokens_per_s'] / one['tokens_per_s']:.2f} "
            f"| {f'{peak:.1f} GiB' if peak else ''} | {way['losses'][0]:.5g} to {way['losses'][-1]:.5g} "
            f"| {f'{apart:.1e}' if way is not one else ''} |"
        )
    return lines


if __name__ == "__main__":
    run(main)
