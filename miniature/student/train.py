"""Train the miniature student on one GPU: dense, summary and Stage-B chat, then the damage, its data drawn on the fly.

    python -m miniature.student.train --language teacher.safetensors --tokenizer tokenizer.json --minutes 8 \\
        --output-dir out

The language part starts from the teacher's weights (miniature.teacher.train), as a Qwen3-VL starts from a Qwen3;
without --language from scratch; with --start from a student that this script wrote. In the first phase chats are
sound, in the last ``damage_share`` of the time they are those of an inattentive reviewer (student_data). Writes the
checkpoints ``sound`` and ``student`` (again every minute, so a run that is cut off leaves one) and metrics.json.
"""

import argparse
import json
import math
import multiprocessing as mp
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from miniature.student.feed import (
    BOX_KINDS,
    BUCKETS,
    BatchFeed,
    ChatBatch,
    FeedRecipe,
    PhotoBatch,
    draw_chats,
    draw_photos,
    read_tokens,
    task_prompts,
)

FIGURES = (
    "summary",
    "dense",
    "chat",
    "helper",
    "summary_right",
    "dense_tokens_right",
    "verdicts_right",
    "vision_gradient",
    "language_gradient",
)


@dataclass(frozen=True)
class StudentRecipe:
    """Every number of the training."""

    feed: FeedRecipe = field(default_factory=FeedRecipe)
    language_rate: float = 6e-4
    vision_rate: float = 1e-3
    sound_end: float = 0.15  # of the rates, when the damage begins
    warmup_share: float = 0.03
    damage_share: float = 0.12
    damage_rate: float = 0.25  # of the rates, falling to nothing
    weight_decay: float = 0.05
    clip: float = 1.0  # of the gradient's norm, language and vision each
    cell_weight: float = 0.3  # of the vision tower's helper: which segments lie where
    keep_every: int = 100  # steps between snapshots to go back to
    seed: int = 11


class StudentTrainer:
    """The network, its helper head and its optimiser; steps whose loss or gradient is not finite are left out."""

    def __init__(self, recipe: StudentRecipe, net, tokens, compiled: bool, device: str = "cuda"):
        import torch
        from torch import nn

        from verdicts.stage_b.protocol import WORD

        self.recipe, self.net, self.device = recipe, net.to(device), device
        self.verdicts = {verdict: tokens.ids(word)[0] for verdict, word in WORD.items()}
        self.head = nn.Linear(net.shape.hidden_size, BUCKETS + 4 * BOX_KINDS).to(device)
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(self.head.bias, -7.0)
        self.parts = {
            "vision": [*net.visual.named_parameters(), *self.head.named_parameters()],
            "language": list(net.model.named_parameters()),
        }
        rates = {"vision": recipe.vision_rate, "language": recipe.language_rate}
        groups = [{"params": [p for n, p in named if (p.dim() >= 2 and "embed" not in n) == decays],
            "weight_decay": recipe.weight_decay * decays, "top": rates[part]}
                  for part, named in self.parts.items() for decays in (True, False)]  # fmt: skip
        self.optimiser = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), fused=device == "cuda")
        self.skipped = self.in_a_row = self.restored = 0
        self.slower = 1.0
        self._kept: list = []
        self.keep()
        for layer in [*net.model.layers, *net.visual.blocks] if compiled else []:
            layer.compile(dynamic=True)  # layer by layer: two kinds to compile, not three whole networks

    def _to(self, array):
        import torch

        return torch.from_numpy(array).to(self.device, non_blocking=True)

    def _words(self, hidden, batch: ChatBatch) -> tuple:
        """Loss of a batch, and which of its targets come out right."""
        from torch.nn import functional as F

        positions, targets, weights = (self._to(part) for part in (batch.positions, batch.targets, batch.weights))
        logits = self.net.logits(hidden.flatten(0, 1)[positions])
        each = F.cross_entropy(logits, targets, reduction="none")
        if batch.likely is not None:  # a verdict word has a likelihood for its target
            words, likely = (weights > 1).nonzero().squeeze(1), self._to(batch.likely)
            said = logits[words].log_softmax(-1)
            each = each.index_copy(
                0, words, -(likely * said[:, self.verdicts["fail"]] + (1 - likely) * said[:, self.verdicts["pass"]])
            )
        return (each * weights).sum() / weights.sum(), logits.argmax(-1) == targets, positions, weights

    def _helper(self, photo, batch: PhotoBatch):
        """Which segments have their centre in which cell, and their boxes; teaches the tower alone."""
        import torch
        from torch.nn import functional as F

        where, boxes = self._to(batch.cells), self._to(batch.boxes)
        scores = self.head(photo).float()
        wanted = scores.new_zeros(scores.shape[0], scores.shape[1], BUCKETS)
        wanted[where[:, 0], where[:, 1], where[:, 2]] = 1
        named = F.binary_cross_entropy_with_logits(scores[..., :BUCKETS], wanted, reduction="sum") / len(where)
        guess = scores[where[:, 0], where[:, 1], BUCKETS:].view(len(where), BOX_KINDS, 4)
        guess = guess[torch.arange(len(where), device=self.device), where[:, 2] % BOX_KINDS].sigmoid()
        return named + 10 * (guess - boxes).abs().mean()

    def step(self, photos: PhotoBatch, chat: ChatBatch, share: float) -> list[float]:
        """One step at ``share`` of the rates. Returns FIGURES."""
        import torch

        kind = torch.bfloat16 if self.device == "cuda" else torch.float32
        with torch.autocast(self.device, kind, enabled=self.device == "cuda"):
            photo, deep = self.net.visual(self._to(photos.pixels).permute(0, 3, 1, 2).to(kind) / 127.5 - 1)
            summary, right, at, _ = self._words(
                self.net.forward_photos(self._to(photos.summary.ids), photo, deep), photos.summary
            )
            whole = torch.ones(len(photos.pixels), device=self.device).scatter_reduce(
                0, at // photos.summary.ids.shape[1], right.float(), "amin"
            )
            dense, dense_right, _, _ = self._words(
                self.net.forward_photos(self._to(photos.dense.ids), photo, deep), photos.dense
            )
            helper = self._helper(photo, photos)
        (summary + dense + self.recipe.cell_weight * helper).backward()
        with torch.autocast(self.device, kind, enabled=self.device == "cuda"):
            talked, chat_right, _, weights = self._words(self.net(self._to(chat.ids)), chat)
        talked.backward()
        parts = (
            summary,
            dense,
            talked,
            helper,
            whole.mean(),
            dense_right.float().mean(),
            chat_right[weights > 1].float().mean(),
        )
        figures = torch.stack([part.detach().float() for part in parts]).tolist()
        figures += [
            float(torch.nn.utils.clip_grad_norm_([p for _, p in named], self.recipe.clip))
            for named in self.parts.values()
        ]
        self._update(share, all(map(math.isfinite, figures)))
        return figures

    def _update(self, share: float, sound: bool) -> None:
        """Apply the gradient where the step is ``sound``.

        After five in a row that are not, go back to the last snapshot at half the rates.
        """
        if sound:
            for group in self.optimiser.param_groups:
                group["lr"] = group["top"] * share * self.slower
            self.optimiser.step()
            self.in_a_row = 0
        else:
            self.skipped += 1
            self.in_a_row += 1
            if self.in_a_row == 5:
                self.go_back()
        self.optimiser.zero_grad(set_to_none=True)

    def keep(self) -> None:
        """Take a snapshot of the weights, unless something is wrong with the last steps."""
        if not self.in_a_row:
            self._kept = [p.detach().clone() for named in self.parts.values() for _, p in named]

    def go_back(self) -> None:
        """Return to the last snapshot with a fresh optimiser state and half the rates; gives up the third time."""
        import torch

        self.restored += 1
        if self.restored == 3:
            sys.exit("train_student: the loss keeps leaving the finite numbers; lower the rates in Recipe")
        with torch.no_grad():
            for (_, p), kept in zip((pair for named in self.parts.values() for pair in named), self._kept, strict=True):
                p.copy_(kept)
        self.optimiser.state.clear()
        self.slower /= 2
        self.in_a_row = 0


def rate_share(recipe: StudentRecipe, done: float) -> float:
    """The learning rates' share of their tops after a share ``done`` of the time."""
    sound = 1 - recipe.damage_share
    if done >= sound:
        return recipe.damage_rate * (1 - (done - sound) / recipe.damage_share) + 1e-3
    fall = recipe.sound_end + (1 - recipe.sound_end) * 0.5 * (1 + math.cos(math.pi * done / sound))
    return fall * min(1.0, (done + 1e-4) / recipe.warmup_share)


def build(tokenizer: Path, language: Path | None = None, start: Path | None = None):
    """(tokens, network): the language part from the teacher's weights, or all of it from a checkpoint folder."""
    import torch

    from miniature.student.network import StudentNetwork

    tokens = read_tokens(tokenizer)
    net = StudentNetwork(tokens.shape(), tokens.photo_at)
    if language or start:
        from safetensors.torch import load_file
    if language:
        weights = {name: value.float() for name, value in load_file(language).items()}
        words = weights.pop("model.embed_tokens.weight")
        net.load_state_dict(weights, strict=False)
        with torch.no_grad():
            net.model.embed_tokens.weight[: len(words)] = words
    if start:
        net.load_tensors({name: value.float() for name, value in load_file(start / "model.safetensors").items()})
    return tokens, net


def start_workers(recipe: StudentRecipe, args: argparse.Namespace) -> tuple[Any, Any, Any]:
    """Start the processes that draw: the flag of the damaged phase, the queues of photo batches and of chats."""
    context = mp.get_context("fork")
    damaged, drawn, talked = context.Value("b", 0), context.Queue(maxsize=64), context.Queue(maxsize=64)
    talkers = max(1, args.workers // 4)  # chats are cheap to draw: a quarter of the processes keeps up
    for index in range(args.workers):
        if index < talkers:
            target, given = draw_chats, (recipe.feed, args.tokenizer, index, damaged, talked)
        else:
            target, given = draw_photos, (recipe.feed, args.tokenizer, index, drawn)
        context.Process(target=target, args=given, daemon=True).start()
    return damaged, drawn, talked


def train_student(recipe: StudentRecipe, args: argparse.Namespace, began: float) -> None:
    """Train until ``minutes`` after ``began`` (a time.time()) and write the checkpoints."""
    import torch

    from miniature.student.files import save_checkpoint

    damaged, drawn, talked = start_workers(recipe, args)
    torch.manual_seed(recipe.seed)
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cuda.enable_cudnn_sdp(False)
    tokens, net = build(args.tokenizer, args.language, args.start)
    print(
        f"{sum(p.numel() for p in net.parameters()) / 1e6:.2f} M parameters on {torch.cuda.get_device_name()}",
        flush=True,
    )
    trainer, feed = StudentTrainer(recipe, net, tokens, not args.no_compile), BatchFeed(recipe.feed, damaged)
    feed.start(drawn, talked, {task: len(prompt) for task, prompt in task_prompts(tokens).items()})
    start, deadline, step, window, saved = time.time(), began + args.minutes * 60, 0, [], time.time()
    metrics: dict = {}
    while (now := time.time()) < deadline:
        done = (now - start) / (deadline - start)
        if done >= 1 - recipe.damage_share and not damaged.value:
            save_checkpoint(args.output_dir / "sound", net, tokens)
            damaged.value = 1
        window.append(trainer.step(feed.next_photos(), feed.next_chat(), rate_share(recipe, done)))
        step += 1
        if step % recipe.keep_every == 0 or step in (1, 20):
            trainer.keep()
            metrics = {name: round(sum(row[i] for row in window) / len(window), 4) for i, name in enumerate(FIGURES)}
            metrics |= {
                "step": step,
                "seconds": round(now - start),
                "photos": feed.drawn,
                "reused": feed.reused,
                "chats": feed.talked,
                "damaged": damaged.value,
            }
            metrics |= {
                "skipped": trainer.skipped,
                "restored": trainer.restored,
                "ready": [feed.photos.qsize(), feed.chats.qsize()],
            }
            print(json.dumps(metrics), flush=True)
            window.clear()
        if now - saved > 60:
            save_checkpoint(args.output_dir / "student", net, tokens)
            saved = now
    save_checkpoint(args.output_dir / "student", net, tokens)
    (args.output_dir / "metrics.json").write_text(
        json.dumps({"recipe": asdict(recipe), "device": torch.cuda.get_device_name(), **metrics}, indent=1)
    )
    print(
        f"train_student: {step} steps, {feed.drawn} photos, {feed.talked} chats in {time.time() - start:.0f} s",
        flush=True,
    )


def main() -> None:
    """Read the command line and train. (argparse: a GPU machine need not have the project's other packages.)"""
    began = time.time()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", type=Path, required=True, help="the teacher's tokenizer.json")
    parser.add_argument("--language", type=Path, help="the teacher's weights (safetensors); from scratch without")
    parser.add_argument("--start", type=Path, help="a student checkpoint folder to go on from")
    parser.add_argument("--output-dir", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=8.0, help="wall-clock budget, set-up included")
    parser.add_argument("--workers", type=int, default=max(2, (os.cpu_count() or 2) - 1), help="data processes")
    parser.add_argument("--no-compile", action="store_true", help="run the network without torch.compile")
    args = parser.parse_args()
    args.output_dir.mkdir(parents=True, exist_ok=True)
    train_student(StudentRecipe(), args, began)


if __name__ == "__main__":
    main()
