"""Our training loop against transformers.Trainer, on the same work: the figures of docs/sft.md.

    python -m miniature.measure.trainer --output-dir runs/trainer --pairs 4 --steps 12

Both teach the committed miniature student the same fused rows (drawn photos and their tickets) with the same LoRA, the
same minibatches, rates and loss, kept rows included. Trainer gets what it lacks: a sampler that follows StepPlan, a
loss of its own, our rates as its scheduler. Each run is a process of its own; ours and Trainer's alternate, so that a
busy machine slows both. Then each is killed between two states and goes on. Prints one line for each finding.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from verdicts.command.cli import run, say

STUDENT = Path("data/miniature/student")
DRAWN_MISSION = "bbu_line"
KNOBS = {"top_layers": 2, "learning_rate": 2e-3, "batch_rows": 2, "save_steps": 2, "max_tokens": 4096}
KILLED = 70  # exit status of a run that ends itself where a kill would


def main(
    output_dir: Annotated[Path, typer.Option(help="Folder for rows and runs.")] = Path("runs/trainer"),
    pairs: Annotated[int, typer.Option(help="Pairs of runs that are timed.")] = 4,
    steps: Annotated[int, typer.Option(help="Steps of a run.")] = 12,
    side: Annotated[str, typer.Option(help="One run alone: ours | trainer.")] = "",
    name: Annotated[str, typer.Option(help="Its folder below --output-dir.")] = "",
    die_after: Annotated[int, typer.Option(help="Steps after which it ends as if killed; 0 never.")] = 0,
    other_rows: Annotated[bool, typer.Option(help="Leave out the first row of the file.")] = False,
) -> None:
    """Time both in alternating pairs, then kill each and go on."""
    if side:
        teach = {"ours": teach_ours, "trainer": teach_by_trainer}[side]
        teach(*set_up(output_dir, steps, other_rows), output_dir / name, die_after)
        return
    if not (output_dir / "train.jsonl").exists():
        draw_rows_of_tickets(output_dir)

    def child(side: str, name: str, *more: str) -> dict[str, Any]:
        words = ["--output-dir", output_dir, "--steps", steps, "--side", side, "--name", name, *more]
        done = subprocess.run([sys.executable, "-m", "miniature.measure.trainer", *map(str, words)], check=False)
        if done.returncode:
            return {}
        path = output_dir / name / "result.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    timed = [{side: child(side, f"{side}-{pair}") for side in ("ours", "trainer")} for pair in range(pairs)]
    for line in compared(timed):
        print(line, flush=True)
    for side in ("ours", "trainer"):
        whole = timed[0][side]["learnt"]
        child(side, f"{side}-killed", "--die-after", "3")  # between the states of steps 2 and 4
        for case in ("other", "cut"):
            shutil.copytree(output_dir / f"{side}-killed", output_dir / f"{side}-{case}")
        after = child(side, f"{side}-killed")
        same = after.get("learnt") == whole
        print(f"{side}: killed after step 3, went on from {after.get('begun')}, same bytes: {same}", flush=True)
        other = child(side, f"{side}-other", "--other-rows")
        print(f"{side}: a state of other rows: went on from {other.get('begun')}", flush=True)
        damage_state(output_dir / f"{side}-cut")
        after = child(side, f"{side}-cut")
        went_on = f"went on from {after['begun']}, same bytes: {after['learnt'] == whole}" if after else "refused"
        print(f"{side}: a state that was cut short: {went_on}", flush=True)


def damage_state(folder: Path) -> None:
    """What a kill while it is written leaves of a state: half of our one file, the first files of Trainer's folder."""
    for path in folder.glob("state/state.pt"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"):
        for path in folder.glob(f"checkpoint-*/{name}"):
            path.unlink()


def compared(timed: list[dict[str, dict[str, Any]]]) -> list[str]:
    """What the pairs show: losses, CPU seconds a step (medians; the first step warms up), peak memory."""
    ours, theirs = timed[0]["ours"]["losses"], timed[0]["trainer"]["losses"]
    apart = max(abs(a - b) / a for a, b in zip(ours, theirs, strict=True))
    seconds = {side: [median(pair[side]["seconds"][1:]) for pair in timed] for side in ("ours", "trainer")}
    ratios = sorted(b / a for a, b in zip(seconds["ours"], seconds["trainer"], strict=True))
    memory = {side: median(pair[side]["peak_mb"] for pair in timed) for side in seconds}
    return [
        f"losses: {ours[0]:.4f} -> {ours[-1]:.4f} and {theirs[0]:.4f} -> {theirs[-1]:.4f}, at most {apart:.1e} apart",
        f"same learnt bytes: {timed[0]['ours']['learnt'] == timed[0]['trainer']['learnt']}",
        f"CPU seconds a step: ours {median(seconds['ours']):.3f}, trainer {median(seconds['trainer']):.3f}; "
        f"ratio median {median(ratios):.3f}, {ratios[0]:.3f} to {ratios[-1]:.3f} over {len(ratios)} pairs",
        f"peak memory: ours {memory['ours']:.0f} MB, trainer {memory['trainer']:.0f} MB",
    ]


def draw_rows_of_tickets(folder: Path, tickets: int = 24) -> None:
    """Write train.jsonl: the photos of drawn tickets with summary and boxes, and the tickets' verdicts as chats."""
    from miniature.drawing import photos
    from miniature.world.dataset import g0_text
    from miniature.world.photo_worlds import draw_photo_tickets, drawable_world
    from miniature.world.prompts import prompts_of
    from verdicts.base.jsonl import read_rows, write_rows
    from verdicts.corpus.rows import FusedRow, ImageRow
    from verdicts.records.corpus import Message
    from verdicts.stage_b.protocol import render

    photos.main(mission=DRAWN_MISSION, seed=5, tickets=tickets, output=folder)
    world = drawable_world(5, DRAWN_MISSION)
    shared: dict[str, Any] = {"source": "drawn", "weight": 1.0}
    rows = []
    for row in draw_photo_tickets(world, tickets, 5):
        prompts = prompts_of(world.mission.name)
        system = prompts.stage_b_system({"G0": g0_text(DRAWN_MISSION)})
        user = prompts.stage_b_user(row.ticket.per_image)
        said = {"system": system, "user": user, "assistant": render(row.clean, "见摘要")}
        messages = [Message(role=role, content=text) for role, text in said.items()]
        rows.append(FusedRow(messages=messages, images=[], task="chat", group_id=row.group_id, **shared))
    for task in ("summary", "dense"):
        for asked in read_rows(folder / f"{DRAWN_MISSION}.{task}.jsonl", ImageRow)[: 2 * tickets]:
            images = [str(folder / image) for image in asked.images]
            rows.append(FusedRow(messages=asked.messages, images=images, task=task, group_id=asked.group_id, **shared))
    write_rows(folder / "train.jsonl", rows)


def set_up(folder: Path, steps: int, other_rows: bool) -> tuple[Any, Any, Any]:
    """The rows, the adapted student, and the settings that make so many steps of the rows."""
    import torch
    import transformers

    from verdicts.config.load import load
    from verdicts.config.sections import SftSection
    from verdicts.models.checkpoints import load_model
    from verdicts.sft.lora import adapt, adapted, lora_config, top_layers
    from verdicts.sft.rows import FusedFile
    from verdicts.student.model import Encoder, as_checkpoint

    path = folder / "train.jsonl"
    if other_rows:
        path = folder / "other.jsonl"
        path.write_text((folder / "train.jsonl").read_text(encoding="utf-8").partition("\n")[2], encoding="utf-8")
    torch.set_num_threads(1)
    rows = FusedFile(path, Encoder(STUDENT), KNOBS["max_tokens"])
    plain = load("miniature", DRAWN_MISSION, None).sft.model_dump() | KNOBS
    epochs = steps * plain["batch_rows"] * plain["accumulate"] / len(rows.facts)
    settings = SftSection.model_validate(plain | {"epochs": epochs})
    torch.manual_seed(settings.seed)
    student = load_model(transformers.AutoModelForImageTextToText, as_checkpoint(STUDENT), dtype=torch.float32)
    layers = top_layers(STUDENT, settings)
    return rows, adapt(student, lora_config(layers, settings), adapted(layers, settings.targets)), settings


def teach_ours(rows: Any, model: Any, settings: Any, folder: Path, die_after: int) -> None:
    """One run of verdicts.sft.train.Trainer."""
    from accelerate import Accelerator

    from verdicts.sft.train import StudentLoss, Trainer

    learner = StudentLoss(model)
    trainer = Trainer(learner, rows, settings, Accelerator(cpu=True), folder / "state", {"train": rows.sha256})
    trainer.resume()
    begun, seconds, step_of = len(trainer.history), [], trainer._step

    def timed(step: int, batches: Any) -> dict[str, Any]:
        if die_after and step == die_after:
            os._exit(KILLED)
        start = time.process_time()
        done = step_of(step, batches)
        seconds.append(time.process_time() - start)
        return done

    trainer._step = timed  # type: ignore[method-assign]  # to time it
    (folder / "state").mkdir(parents=True, exist_ok=True)
    trainer.train()
    report(folder, learner.learning(), [step["loss"] for step in trainer.history], seconds, begun)


def teach_by_trainer(rows: Any, model: Any, settings: Any, folder: Path, die_after: int) -> None:
    """One run of transformers.Trainer that does the same work."""
    import torch
    import transformers
    from transformers.trainer_utils import get_last_checkpoint

    from verdicts.sft.steps import StepPlan, learning_rate
    from verdicts.sft.train import Minibatch, StudentLoss

    plan = StepPlan([fact.task for fact in rows.facts], [fact.tokens for fact in rows.facts], settings, 1)
    order = [row for step in range(plan.steps) for batch in plan.batches(step, 0) for row in batch]
    learner = StudentLoss(model)
    parameters = learner.learning()

    def collate(picked: list[int]) -> dict[str, Any]:
        batch = Minibatch(rows, picked, torch.device("cpu"), settings.keep)
        return batch.tensors | {"weights": batch.weights, "kept": batch.kept}

    def rate(step: int) -> float:
        return learning_rate(min(step, plan.steps - 1), plan.steps, settings)

    # a peak of 1: the schedule's factor is then the rate itself, to the bit
    optimizer = torch.optim.AdamW(parameters.values(), lr=1.0, weight_decay=settings.weight_decay)
    options = transformers.TrainingArguments(
        output_dir=str(folder), max_steps=plan.steps, per_device_train_batch_size=settings.batch_rows,
        gradient_accumulation_steps=settings.accumulate, max_grad_norm=settings.max_grad_norm, seed=settings.seed,
        save_steps=settings.save_steps, save_total_limit=1, logging_steps=1, logging_nan_inf_filter=False,
        remove_unused_columns=False, use_cpu=True, report_to=[], disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    clock = clock_of(die_after)
    trainer = trainer_class(learner, order)(
        model,
        options,
        data_collator=collate,
        train_dataset=order,
        optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, rate)),
        callbacks=[clock],
    )
    trainer.model_accepts_loss_kwargs = True  # the loss is a mean over the step's tokens already
    folder.mkdir(parents=True, exist_ok=True)
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(folder)))
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    report(folder, parameters, losses, clock.seconds, clock.begun)


def trainer_class(learner: Any, order: list[int]) -> Any:
    """A Trainer with our loss, which takes the rows in the order of the plan."""
    import torch
    import transformers

    class PlannedTrainer(transformers.Trainer):
        """Takes rows as StepPlan says, and scores them as StudentLoss does."""

        def _get_train_sampler(self, *_: Any) -> Any:
            return torch.utils.data.SequentialSampler(order)

        def compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **more: Any) -> Any:
            """The mean over the learnt tokens of a step, weighted by row."""
            weights, kept = inputs.pop("weights"), inputs.pop("kept")
            return (learner(inputs, kept) * weights).sum() / more["num_items_in_batch"]

    return PlannedTrainer


def clock_of(die_after: int) -> Any:
    """A callback that times steps (``seconds``), knows where training ``begun``, and ends the process like a kill."""
    import transformers

    class Clock(transformers.TrainerCallback):
        """CPU seconds of each step; states written between steps are not counted."""

        def __init__(self) -> None:
            self.seconds: list[float] = []
            self.begun = 0
            self.last = 0.0

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """Start the clock."""
            self.begun, self.last = state.global_step, time.process_time()

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """End the process where it was asked for."""
            if die_after and state.global_step == die_after:
                os._exit(KILLED)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """Note the time of a step."""
            self.seconds.append(time.process_time() - self.last)
            self.last = time.process_time()

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """Start the clock again: a state is not a step."""
            self.last = time.process_time()

    return Clock()


def report(folder: Path, learnt: dict[str, Any], losses: list[float], seconds: list[float], begun: int) -> None:
    """Write result.json: what a run learnt (a digest), its losses, the time of each step, peak memory (VmHWM)."""
    digest = hashlib.sha256(b"".join(value.detach().numpy().tobytes() for _, value in sorted(learnt.items())))
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    found = {"learnt": digest.hexdigest(), "losses": losses, "seconds": seconds, "begun": begun}
    (folder / "result.json").write_text(json.dumps(found | {"peak_mb": int(peak.split()[1]) / 1024}), encoding="utf-8")
    say(f"{folder.name}: {len(losses)} losses, last {losses[-1]:.4f}")


if __name__ == "__main__":
    run(main)
