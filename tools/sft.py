"""Teach the student: LoRA on its top language layers, from a fused file, merged into a full checkpoint.

    python -m tools.sft --config RUN/config/sft.yaml --train data/fused/demo.train.jsonl \\
        --val data/fused/demo.val.jsonl         --output-dir checkpoints/demo [--lint RUN/corpus_lint.json]
    accelerate launch --multi_gpu -m tools.sft …                                 the same on several GPUs of one host

    sft.yaml, <name>.{train,val}.jsonl, photos ──> adapter/        the LoRA alone (peft)
    student.model (never written to)               merged/         base + adapter, a checkpoint like the base
                                                   metrics.json    loss and rate by step, validation loss at both ends

Everything is checked before weights are loaded. A killed run goes on from its last state (output-dir/state/) and ends
in the bytes of an undisturbed one; results of an earlier run stay until the new ones are whole. What make lint-corpus
found wrong with these rows is said, or with sft.lint: refuse stops it. docs/sft.md says more.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from verdicts.base.errors import UserError, mistake
from verdicts.command import cli

# knobs that a state to go on from need not share
CHANGES_NO_WEIGHT = {
    "save_steps",
    "log_steps",
    "max_tokens",
    "long_rows",
    "max_left_out",
    "allow_one_sided",
    "lint",
    "cache_gb",
    "cache_folder",
}

if TYPE_CHECKING:
    from accelerate import Accelerator
    from peft import PeftModel

    from verdicts.config.tools import SftConfig
    from verdicts.sft.frozen_rows import FrozenRows
    from verdicts.sft.rows import FusedFile
    from verdicts.sft.train import StudentLoss, Trainer


def main(
    config: Annotated[Path, typer.Option(help="Section file config/sft.yaml.")],
    train: Annotated[Path, typer.Option(help="Fused rows to learn from.")],
    val: Annotated[Path, typer.Option(help="Fused rows that only measure.")],
    output_dir: Annotated[Path, typer.Option(help="checkpoints/<name>.")],
    lint: Annotated[Path | None, typer.Option(help="corpus_lint.json of these rows.")] = None,
) -> None:
    """Teach the student: LoRA on its top language layers, from a fused file, merged into a full checkpoint."""
    first = (
        os.environ.get("RANK", "0") == "0"
    )  # of the processes of a launch, which all find the same mistakes: it speaks
    if not first:
        os.environ["QUIET"] = "1"
    try:
        _teach(config, train, val, output_dir, lint)
    except UserError:
        if first:
            raise
        sys.exit(2)


def _teach(config: Path, train: Path, val: Path, output_dir: Path, lint: Path | None) -> None:
    from verdicts.config.tools import SftConfig, read_section
    from verdicts.sft.lora import top_layers
    from verdicts.sft.merge import check_folders
    from verdicts.sft.rows import FusedFile
    from verdicts.student.model import Encoder, check_content, check_folder

    cfg = read_section(config, SftConfig)
    base = Path(cfg.student.model)
    check_folder(base, weights=True)
    check_content(base, weights=True)
    layers = top_layers(base, cfg.sft)
    check_folders(base, output_dir)
    encoder = Encoder(base, cfg.student.max_photo_pixels)
    leave_out = cfg.sft.long_rows == "leave_out"
    rows = FusedFile(train, encoder, cfg.sft.max_tokens, leave_out=leave_out)
    if not cfg.sft.allow_one_sided:
        rows.check_both_sides()
    heed_lint(cfg, lint, rows)
    held_out = FusedFile(val, encoder, cfg.sft.max_tokens, leave_out=leave_out, allow_empty=True)
    for file in (rows, held_out):
        if file.too_long()["share"] > cfg.sft.max_left_out:
            cli.say(
                f"sft: WARNING: {left_out(file)}; raise sft.max_tokens, or the longest answers teach nothing", "wait"
            )
    metrics = learn(cfg, layers, rows, held_out, output_dir)
    if metrics is not None:
        losses = ", ".join(
            f"{task} {loss['before']:.4g} -> {loss['after']:.4g}" for task, loss in metrics["val"].items()
        )
        without = "".join(f"{part}; " for part in map(left_out, (rows, held_out)) if part)
        measured = f"val loss {losses}" if losses else f"without validation ({val} has no rows)"
        cli.say(
            f"sft: {metrics['steps']} steps of {metrics['rows_per_step']} rows on language layers "
            f"{layers[0]}-{layers[-1]}; {measured}; {without}{output_dir}"
        )


def heed_lint(cfg: "SftConfig", path: Path | None, rows: "FusedFile") -> None:
    """Say the errors that a lint found in these rows. Raises UserError for them with ``sft.lint: refuse``.

    No weight depends on what a lint says, so that a new lint teaches no student anew.
    """
    if path is None or cfg.sft.lint == "off":
        return
    from verdicts.base.jsonl import read_json
    from verdicts.base.made import does_not_use
    from verdicts.records.corpus import CorpusLint

    does_not_use(path)
    found = read_json(path, CorpusLint)
    if found.sha256 != rows.sha256:
        raise mistake(f"is about other rows than {rows.path}", "run make lint-corpus again", path=path, field="sha256")
    if not found.errors:
        return
    if cfg.sft.lint == "refuse":
        raise mistake(found.said(), "mend the rows, or set sft.lint: warn", path=path, field="errors")
    cli.say(f"sft: WARNING: the rows have {found.said()}; see {path}", "wait")


def left_out(file: "FusedFile") -> str:
    """``12 of 400 rows of demo.train.jsonl left out as longer than sft.max_tokens (3.0 %): 12 dense``; "" for none."""
    if not file.left_out:
        return ""
    found, rows = file.too_long(), len(file.facts) + len(file.left_out)
    tasks = ", ".join(f"{count} {task}" for task, count in found["rows"].items())
    return (
        f"{len(file.left_out)} of {rows} rows of {file.path.name} left out as longer than sft.max_tokens "
        f"({found['share']:.1%}): {tasks}, up to {found['longest']} tokens"
    )


# What several processes learnt with is never let go. Right after the last exchange torch's thread for it, which still
# lets go of that exchange's tensors, and the one that waits for it to end would wait for each other for ever
# (~ProcessGroupGloo joins while it holds the interpreter); at Python's own end the thread still runs and C++ aborts. So
# they end without either: see the last lines.
_KEPT_TO_THE_END: list[object] = []


def learn(
    cfg: "SftConfig", layers: list[int], rows: "FusedFile", held_out: "FusedFile", output_dir: Path
) -> dict[str, Any] | None:
    """Train, merge, publish. Returns what metrics.json holds, on the main process only."""
    import torch
    import transformers
    from accelerate import Accelerator

    from verdicts.base.whole_file import writing
    from verdicts.models.checkpoints import load_model
    from verdicts.models.fingerprint import checkpoint_hash
    from verdicts.sft.lora import adapt, adapted, lora_config
    from verdicts.sft.merge import base_hashes
    from verdicts.sft.train import STATE, StudentLoss, Trainer, val_losses
    from verdicts.student.model import as_checkpoint

    gpu = torch.cuda.is_available()
    accelerator = Accelerator(cpu=not gpu, mixed_precision="bf16" if gpu else "no")
    set_up_torch(gpu, cfg)
    base = Path(cfg.student.model)
    student = load_model(
        transformers.AutoModelForImageTextToText, as_checkpoint(base), dtype=torch.bfloat16 if gpu else torch.float32
    )
    names = adapted(layers, cfg.sft.targets)
    learner = StudentLoss(adapt(student, lora_config(layers, cfg.sft), names)).to(accelerator.device)
    state = output_dir / "state"
    run = identity(cfg, rows, held_out, accelerator.num_processes)
    frozen = frozen_rows(cfg, learner, accelerator)
    trainer = Trainer(learner, rows, cfg.sft, accelerator, state, run, frozen)
    there = (state / STATE).is_file()
    resumed = trainer.resume()
    if accelerator.is_main_process and (resumed or there):
        say_where_it_begins(trainer, state, resumed)
    if trainer.before is None:
        trainer.before = val_losses(learner, held_out, accelerator, cfg.sft.batch_rows, "before", frozen)
    trainer.train()
    after = val_losses(learner, held_out, accelerator, cfg.sft.batch_rows, "after", frozen)
    if frozen is not None:
        frozen.cache.wait()
        cli.say(f"sft: frozen layers of rows: {frozen.cache.said()}")
    accelerator.end_training()
    _KEPT_TO_THE_END.append((learner, trainer, accelerator))
    if not accelerator.is_main_process:
        return None
    metrics = {
        "base": cfg.student.model,
        "base_sha256": checkpoint_hash(base),
        "layers": layers,
        "adapted_modules": len(names),
        **what_was_learnt(trainer, rows, held_out, after, accelerator.num_processes),
    }
    if base_hashes(base) != run["base"]:
        raise mistake("its files changed while the student was taught", "start again", path=base, field="student.model")
    with writing(output_dir):
        write_results(learner.model, base, names, metrics, output_dir)
    return metrics


def frozen_rows(cfg: "SftConfig", learner: "StudentLoss", accelerator: "Accelerator") -> "FrozenRows | None":
    """What reads and keeps the frozen layers' states of rows; None without ``sft.cache_gb``, or where it cannot be."""
    from verdicts.sft.frozen_rows import FrozenRows, what_settles
    from verdicts.sft.row_cache import RowCache

    if (why_not := learner.halves.why_not) and accelerator.is_main_process:
        cached = " and sft.cache_gb is not used" if cfg.sft.cache_gb else ""
        cli.say(f"sft: every layer runs twice where rows are kept{cached}: {why_not}")
    if why_not or not cfg.sft.cache_gb:
        return None
    share = accelerator.process_index, accelerator.num_processes
    cache = RowCache(Path(cfg.sft.cache_folder), int(cfg.sft.cache_gb * 10**9), share)
    settled = what_settles(Path(cfg.student.model), learner, cfg.student.max_photo_pixels)
    return FrozenRows(learner, cache, settled, accelerator.autocast)


def identity(cfg: "SftConfig", rows: "FusedFile", held_out: "FusedFile", processes: int) -> dict[str, Any]:
    """What settles a run's bytes: a state of the same can be gone on from."""
    from verdicts.sft.merge import base_hashes

    run: dict[str, Any] = {
        "sft": {name: value for name, value in cfg.sft.model_dump().items() if name not in CHANGES_NO_WEIGHT},
        "pixels": cfg.student.max_photo_pixels,
        "base": base_hashes(Path(cfg.student.model)),
        "train": rows.sha256,
        "val": held_out.sha256,
        "processes": processes,
    }
    if cfg.sft.cache_gb:  # then rows are computed alone, which rounds otherwise
        run["rows_alone"] = True
    if rows.left_out or held_out.left_out:
        run["left_out"] = [rows.too_long(), held_out.too_long()]
    return run


def set_up_torch(gpu: bool, cfg: "SftConfig") -> None:
    """Threads, seed, and on a GPU kernels that compute the same each time."""
    import torch

    if cfg.student.n_threads:
        torch.set_num_threads(cfg.student.n_threads)
    if gpu:  # a CPU's are deterministic as they come
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Else each new tensor is first filled with NaN, to show a reader of memory that nothing wrote: a pass more.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # not in its stubs
    torch.manual_seed(cfg.sft.seed)


def say_where_it_begins(trainer: "Trainer", state: Path, resumed: bool) -> None:
    """Say that a killed run goes on, or that its state cannot serve."""
    if resumed:
        cli.say(f"sft: going on after step {len(trainer.history)} of {trainer.plan.steps} ({state})")
    else:
        cli.say(f"sft: the state in {state} is of other rows, another base or other settings: training from the start")


def what_was_learnt(
    trainer: "Trainer", rows: "FusedFile", held_out: "FusedFile", after: dict[str, float], processes: int
) -> dict[str, Any]:
    """The part of metrics.json that the trainer knows: rows, steps, losses by task."""
    val = held_out.counts()
    return {
        "learning_parameters": sum(p.numel() for p in trainer.parameters.values()),
        "train": rows.counts(),
        "too_long": {"train": rows.too_long(), "val": held_out.too_long()},
        "rows_per_step": trainer.plan.rows_per_step,
        "processes": processes,
        "steps": trainer.plan.steps,
        "val": {task: val[task] | {"before": trainer.before[task], "after": loss} for task, loss in after.items()},
        "log": trainer.log(),
    }


def write_results(model: "PeftModel", base: Path, names: list[str], metrics: dict[str, Any], output_dir: Path) -> None:
    """Write adapter, merged checkpoint and metrics below state/, then move them out and remove state/."""
    import shutil

    from verdicts.base.jsonl import write_json
    from verdicts.sft.merge import METRICS_FILE, publish, write_merged

    state = output_dir / "state"
    made = state / "made"
    shutil.rmtree(made, ignore_errors=True)
    model.save_pretrained(made / "adapter")
    (made / "adapter" / "README.md").unlink(missing_ok=True)  # peft's form to fill in
    modules = dict(model.get_base_model().named_modules())
    write_merged(
        base,
        {f"{name}.weight": modules[name].get_delta_weight("default").detach().float().cpu() for name in names},
        made / "merged",
    )
    write_json(made / METRICS_FILE, metrics)
    publish(made, output_dir)
    shutil.rmtree(state)


if __name__ == "__main__":
    try:
        cli.run(main, result="sft", engine="torch", writes="output_dir")
    except SystemExit as end:
        if os.environ.get("WORLD_SIZE", "1") != "1":
            os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))
        raise
