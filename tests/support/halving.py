"""Trainers of the committed miniature student on a few chats and photos, for tests of what a step computes."""

from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.teaching import SETTINGS, chat, seen
from verdicts.base.jsonl import write_rows
from verdicts.config.load import load

if TYPE_CHECKING:
    from verdicts.sft.row_cache import RowCache
    from verdicts.sft.train import Trainer

STUDENT = Path("data/miniature/student")
WORDS = ("通过", "不通过")


def rows_with_photos(folder: Path) -> Path:
    """Write rows.jsonl: five chats and three photos of different sizes."""
    from PIL import Image

    rows = [
        chat("照片摘要：\n" + "标签/齐全×1，" * n, f"Verdict: {WORDS[n % 2]}\nReason: 齐全(G{n})") for n in range(1, 6)
    ]
    for at, size in enumerate(((256, 192), (128, 160), (192, 192))):
        photo = folder / f"{at}.jpg"
        Image.effect_noise(size, 60).convert("RGB").save(photo)
        rows.append(seen(photo, f"标签/齐全×{at}，电线/捆扎整齐×1"))
    write_rows(folder / "rows.jsonl", rows)
    return folder / "rows.jsonl"


def trainer_on(
    rows: Path, folder: Path, *, share: bool = True, cache: "RowCache | None" = None, **changes: object
) -> "Trainer":
    """A trainer on these rows, with a state in ``folder``.

    ``share``: the frozen layers run once for both passes; ``cache``: and keep what they say of rows there.
    """
    import torch
    from accelerate import Accelerator
    from transformers import AutoModelForImageTextToText

    from verdicts.sft.frozen_rows import FrozenRows, what_settles
    from verdicts.sft.lora import adapt, adapted, lora_config, top_layers
    from verdicts.sft.rows import FusedFile
    from verdicts.sft.train import StudentLoss, Trainer
    from verdicts.student.model import Encoder

    told = SETTINGS | {"keep": ["summary"], "epochs": 2.0} | changes
    section = load("miniature", "bbu_line").sft.model_copy(update=told)
    layers = top_layers(STUDENT, section)
    torch.set_num_threads(1)
    torch.manual_seed(1)
    base = AutoModelForImageTextToText.from_pretrained(STUDENT, dtype=torch.float32)
    learner = StudentLoss(adapt(base, lora_config(layers, section), adapted(layers, section.targets)), share)
    one = Accelerator(cpu=True)
    frozen = cache and FrozenRows(learner, cache, what_settles(STUDENT, learner, 0), one.autocast)
    return Trainer(learner, FusedFile(rows, Encoder(STUDENT), 400), section, one, folder, {}, frozen)


def learnt(trainer: "Trainer") -> dict[str, bytes]:
    """The bytes of every parameter that learns."""
    return {name: value.detach().numpy().tobytes() for name, value in trainer.parameters.items()}
