"""TRL's SFTTrainer on the rows of sft: the other side of miniature.speed.sft_speed.

Its defaults, but for: our learning rate, no cut at 1,024 tokens (which would cut photos), a log of each step, no
checkpoints, and no columns left out (all are used). Its loss is that of answers (prompt and completion), kept rows'
too. Needs beside sft's packages: trl, datasets, pyarrow, dill, multiprocess, xxhash, pandas, fsspec.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from verdicts.photos.files import PHOTO_MARK


def dataset_of(rows: Any) -> Any:
    """The rows of a FusedFile as TRL wants them: prompt, completion, photos.

    The fingerprint is given: datasets would make one by pickling, which fails with some pairs of pyarrow and dill
    (PicklingError: MonthDayNano), and nothing is cached here that it could name.
    """
    import datasets
    import pyarrow

    held: dict[str, list[Any]] = {"prompt": [], "completion": [], "images": []}
    for index in range(len(rows.facts)):
        row = rows.row(index)
        turns = [{"role": m.role, "content": m.content.replace(PHOTO_MARK, "")} for m in row.messages]
        held["prompt"].append(turns[:-1])
        held["completion"].append(turns[-1:])
        held["images"].append([{"bytes": None, "path": path} for path in row.images])
    turns_of = datasets.List({"role": datasets.Value("string"), "content": datasets.Value("string")})
    features = datasets.Features(
        {"prompt": turns_of, "completion": turns_of, "images": datasets.List(datasets.Image())}
    )
    table = pyarrow.table(held, schema=features.arrow_schema)
    return datasets.Dataset(
        datasets.table.InMemoryTable(table), info=datasets.DatasetInfo(features=features), fingerprint="rows"
    )


def train(model: Any, lora: Any, rows: Any, base: Path, steps: int, rate: float, clock: Callable[[], float]) -> Any:
    """The trained PeftModel, the loss of each step, the time at the start and at the end of each, and what was set."""
    import torch
    import transformers
    import trl

    from verdicts.student.processor import load_photo_processor

    ends: list[float] = []

    class Clock(transformers.TrainerCallback):
        """Notes when steps end."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """Start."""
            ends.append(clock())

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """Note the time."""
            ends.append(clock())

    gpu = torch.cuda.is_available()
    mine = {} if gpu else {"use_cpu": True, "bf16": False}
    options = trl.SFTConfig(
        output_dir=str(Path(rows.path).parent / "trl"), max_steps=steps, max_length=None, learning_rate=rate,
        logging_steps=1, save_strategy="no", report_to=[], disable_tqdm=True, remove_unused_columns=False, **mine,
    )  # fmt: skip
    trainer = trl.SFTTrainer(
        model, options, train_dataset=dataset_of(rows), processing_class=load_photo_processor(base),
        peft_config=lora, callbacks=[Clock()],
    )  # fmt: skip
    batch = options.per_device_train_batch_size * options.gradient_accumulation_steps
    trainer.train()
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    said = {
        "trl": trl.__version__, "rows_per_step": batch, "gradient_checkpointing": options.gradient_checkpointing,
    }  # fmt: skip
    return trainer.model, losses, ends, said
