"""Memory and time of training steps at full size, with random weights of a Qwen3-VL-4B's shapes.

    python -m miniature.measure.student_memory --folder /tmp/4b     (a GPU host; the folder takes 9 GB)

What a step costs depends on shapes alone: random weights cost what real ones do. What they learn says nothing.
Tokenizer and template are the miniature's. Prints a line of JSON a case: tokens and learnt tokens of a row, rows
computed together, seconds of each step, the device's peak memory in GiB, or that it did not fit.
"""

import gc
import json
import shutil
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from verdicts.command.cli import run

MINIATURE = Path("data/miniature/student")
TEXT = {
    "vocab_size": 151936, "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36,
    "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 262144,
    "rope_parameters": {
        "rope_type": "default", "rope_theta": 5e6, "mrope_section": [24, 20, 20], "mrope_interleaved": True,
    },
}  # fmt: skip
VISION = {
    "depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16,
    "deepstack_visual_indexes": [5, 11, 17], "out_hidden_size": 2560, "num_position_embeddings": 2304,
}  # fmt: skip
PIXELS = {"shortest_edge": 256 * 256, "longest_edge": 4096 * 4096}
PHOTO_SIDE, PHOTO_TOKENS = 1024, 1024
FACT = "BBU设备/华为,显示完整,机柜空间充足需要安装/按要求配备挡风板，"
STEPS = 3


def main(
    folder: Annotated[Path, typer.Option(help="Folder for weights and rows.")],
    cases: Annotated[
        str, typer.Option(help="Tokens of a row x rows computed together, with commas.")
    ] = "2000x4,6000x4,12000x1,12000x2,16000x2",
    top_layers: Annotated[int, typer.Option(min=1, help="Language layers that learn.")] = 8,
    miniature: Annotated[bool, typer.Option(help="Take the miniature's weights, to try the command.")] = False,
) -> None:
    """Write the weights where they are not there yet, then measure each case."""
    base = MINIATURE if miniature else folder / "base"
    if not (base / "config.json").exists():
        write_random_student(base)
    for case in cases.split(","):
        tokens, together = map(int, case.split("x"))
        print(json.dumps(measure(base, folder, tokens, together, top_layers)), flush=True)


def write_random_student(folder: Path) -> None:
    """Write a checkpoint of the 4B's shapes in bf16, with the miniature's tokenizer."""
    write_small_files(folder)
    random_weights(folder).save_pretrained(folder)


def write_small_files(folder: Path) -> None:
    """Write what a checkpoint of the 4B's shapes holds beside its weights, with the miniature's tokenizer."""
    folder.mkdir(parents=True)
    for path in MINIATURE.iterdir():
        if path.name != "model.safetensors":
            shutil.copy(path, folder / path.name)
    settings = json.loads((MINIATURE / "config.json").read_text(encoding="utf-8"))
    for name, shapes in (("text_config", TEXT), ("vision_config", VISION)):
        settings[name] |= shapes
    photos = json.loads((MINIATURE / "preprocessor_config.json").read_text(encoding="utf-8")) | {"size": PIXELS}
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "preprocessor_config.json").write_text(json.dumps(photos), encoding="utf-8")


def random_weights(folder: Path) -> Any:
    """A model of the folder's config.json with random weights in bf16, drawn from torch's seed where they will run."""
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        return transformers.AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)


def measure(base: Path, folder: Path, tokens: int, together: int, layers: int) -> dict[str, Any]:
    """Three steps on rows of about so many tokens, each a photo with a long dense answer."""
    import torch

    gc.collect()  # models hold themselves in circles: the last case's would still be counted
    gpu = torch.cuda.is_available()
    trainer = made_trainer(base, folder, tokens, together, layers)
    fact, seconds = trainer.rows.facts[0], []
    if gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    found = {"tokens": fact.tokens, "learnt": fact.learnt, "together": together, "layers": layers}
    try:
        for step in range(STEPS):
            started = time.monotonic()
            trainer._step(step, batches_of(trainer, step))
            if gpu:
                torch.cuda.synchronize()
            seconds.append(round(time.monotonic() - started, 2))
    except torch.OutOfMemoryError:
        return found | {"fits": False}
    peak = torch.cuda.max_memory_allocated() / 2**30 if gpu else 0.0
    return found | {"fits": True, "seconds": seconds, "peak_gib": round(peak, 1)}


def batches_of(trainer: Any, step: int) -> Any:
    """The minibatches of a step."""
    from verdicts.sft.train import Minibatch

    keep, device = trainer.config.keep, trainer.accelerator.device
    return (Minibatch(trainer.rows, picked, device, keep) for picked in trainer.plan.batches(step, 0))


def made_trainer(base: Path, folder: Path, tokens: int, together: int, layers: int) -> Any:
    """A trainer as sft makes it, with rows for ``STEPS`` steps of one minibatch."""
    import torch
    import transformers
    from accelerate import Accelerator

    from verdicts.config.load import load
    from verdicts.models.checkpoints import load_model
    from verdicts.sft.lora import adapt, adapted, lora_config, top_layers
    from verdicts.sft.rows import FusedFile
    from verdicts.sft.train import StudentLoss, Trainer
    from verdicts.student.model import Encoder, as_checkpoint

    gpu = torch.cuda.is_available()
    knobs = {"top_layers": layers, "batch_rows": together, "accumulate": 1, "epochs": 1.0}
    settings = load("miniature", "bbu_line").sft.model_copy(update=knobs)
    encoder = Encoder(base, PHOTO_SIDE * PHOTO_SIDE)
    rows = FusedFile(write_rows_of(encoder, folder, tokens, STEPS * together), encoder, 2 * tokens)
    student = load_model(
        transformers.AutoModelForImageTextToText, as_checkpoint(base), dtype=torch.bfloat16 if gpu else torch.float32
    )
    chosen = top_layers(base, settings)
    learner = StudentLoss(adapt(student, lora_config(chosen, settings), adapted(chosen, settings.targets)))
    accelerator = Accelerator(cpu=not gpu, mixed_precision="bf16" if gpu else "no")
    return Trainer(learner.to(accelerator.device), rows, settings, accelerator, folder / "state", {})


def write_rows_of(encoder: Any, folder: Path, tokens: int, count: int) -> Path:
    """Write dense rows of about so many tokens: a photo of noise, half of the rest prompt, half answer."""
    from PIL import Image

    from verdicts.base.jsonl import write_rows
    from verdicts.corpus.rows import FusedRow
    from verdicts.records.corpus import Message

    folder.mkdir(parents=True, exist_ok=True)
    photo = folder / "photo.png"
    Image.effect_noise((PHOTO_SIDE, PHOTO_SIDE), 60).convert("RGB").save(photo)
    text = FACT * max(1, (tokens - PHOTO_TOKENS) // (2 * len(encoder.text.ids(FACT))))
    said = {"system": text, "user": "<image>列出对象。", "assistant": text}
    row = FusedRow(
        messages=[Message.model_validate({"role": role, "content": content}) for role, content in said.items()],
        images=[str(photo)], task="dense", source="noise", weight=1.0, group_id="",
    )  # fmt: skip
    path = folder / f"rows-{tokens}.jsonl"
    write_rows(path, [row] * count)
    return path


if __name__ == "__main__":
    run(main, engine="torch")
