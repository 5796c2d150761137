"""Train the miniature teacher from scratch on one GPU, generating its data on the fly.

    python -m miniature.teacher.train --minutes 9 --output-dir out

Reads configs/prompts/ (by way of verdicts.stage_b.prompts). Writes teacher.safetensors (fp16), tokenizer.json and
metrics.json into the output folder; the model is written whole every minute or so and at the end, so a run that is
cut off still leaves one. Then: python -m miniature.teacher.export_gguf.
"""

import argparse
import json
import math
import multiprocessing as mp
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import numpy as np


@dataclass(frozen=True)
class TeacherRecipe:
    """Every number of the training."""

    vocab_size: int = 2048
    tokenizer_samples: int = 20000
    layers: int = 6
    hidden: int = 256
    inner: int = 768
    verdict_tokens: int = 65536  # padded tokens of a verdict micro-batch
    reflect_tokens: int = 49152
    reflect_weight: float = 0.7  # of the reflection loss, the verdict loss weighing 1
    verdict_word_weight: int = 8
    prompt_share: float = 0.12  # of prompt tokens that are predicted at all
    prompt_weight: float = 0.4
    late_prompt_weight: float = 0.04  # once the language is learnt
    early_share: float = 0.125  # of the time, for the language
    max_tokens: int = 2048
    learning_rate: float = 2e-3
    final_share: float = 0.03  # of the learning rate at the end
    warmup_share: float = 0.02
    weight_decay: float = 0.05
    pool: int = 1536  # samples of a data process sorted by length together
    first_pool: int = 256
    seed: int = 7


def _work(recipe: TeacherRecipe, tokenizer_path: str, number: int, reflect: bool, out) -> None:
    """A data process: endless batches of one kind, cut from pools sorted by length."""
    os.nice(10)
    os.environ["RAYON_NUM_THREADS"] = "1"
    from miniature.teacher.focused_reflection import reflection_sample
    from miniature.teacher.laws import any_verdict_sample
    from miniature.teacher.tokenizer import ChatTokenizer

    rng, noise, tokens = (
        Random(f"{recipe.seed}:{number}"),
        np.random.default_rng([recipe.seed, number]),
        ChatTokenizer.load(Path(tokenizer_path)),
    )
    make, limit = (reflection_sample, recipe.reflect_tokens) if reflect else (any_verdict_sample, recipe.verdict_tokens)
    size = recipe.first_pool
    while True:
        pool = []
        while len(pool) < (size // 4 if reflect else size):
            chat, before = tokens.chat(make(rng))
            if len(chat) <= recipe.max_tokens:
                weights = np.array([0] * before + [1] * (len(chat) - before), np.uint8)
                if not reflect:
                    weights[before + len(tokens.header)] = recipe.verdict_word_weight
                pool.append((np.array(chat, np.uint16), weights))
        size = recipe.pool
        for batch in _cut(pool, limit, noise):
            out.put(_collate(batch, recipe, noise))


def _cut(pool: list, limit: int, noise: np.random.Generator) -> list[list]:
    """Batches of samples of about one length, each of at most ``limit`` padded tokens, in random order."""
    batches: list[list] = [[]]
    for sample in sorted(pool, key=lambda sample: len(sample[0])):
        if batches[-1] and (len(batches[-1]) + 1) * _padded(len(sample[0])) > limit:
            batches.append([])
        batches[-1].append(sample)
    return [batches[index] for index in noise.permutation(len(batches))]


def _collate(
    batch: list, recipe: TeacherRecipe, noise: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(ids [B, T], flat positions to predict from, their targets, their weights)."""
    width = _padded(max(len(ids) for ids, _ in batch))
    table, weight = np.zeros((len(batch), width), np.int16), np.zeros((len(batch), width), np.float32)
    for row, (ids, weights) in enumerate(batch):
        table[row, : len(ids)] = ids
        chosen = (weights == 0) & (noise.random(len(ids), np.float32) < recipe.prompt_share)
        weight[row, : len(ids)] = np.where(chosen, recipe.prompt_weight, weights)
    weight[:, 0] = 0
    rows, columns = np.nonzero(weight)
    return table, (rows * width + columns - 1).astype(np.int32), table[rows, columns], weight[rows, columns]


def _padded(length: int) -> int:
    return -(-length // 32) * 32


def _loss(net, batch, recipe: TeacherRecipe, early: bool):
    """Weighted mean cross-entropy, and the share of verdict words (or of answer tokens) that come out right."""
    import torch
    from torch.nn import functional as F

    device = net.cos.device
    ids, positions, targets, weights = (torch.from_numpy(part).to(device, non_blocking=True) for part in batch)
    ids, targets = ids.long(), targets.long()
    with torch.autocast(device.type, torch.bfloat16):
        hidden = net(ids)
        logits = net.logits(hidden.flatten(0, 1).index_select(0, positions))
    each = F.cross_entropy(logits, targets, reduction="none")
    words = weights >= (recipe.verdict_word_weight if float(batch[3].max()) == recipe.verdict_word_weight else 1)
    if not early:
        weights = torch.where(weights < 1, recipe.late_prompt_weight, weights)
    right = (logits.argmax(-1) == targets)[words].float().mean()
    return (each * weights).sum() / weights.sum(), right.detach()


def _save(net, recipe: TeacherRecipe, folder: Path, metrics: dict) -> None:
    import torch
    from safetensors.torch import save_file

    tensors = {name: value.detach().to(torch.float16).contiguous().cpu() for name, value in net.state_dict().items()}
    save_file(tensors, folder / ".teacher.tmp")
    os.replace(folder / ".teacher.tmp", folder / "teacher.safetensors")
    (folder / "metrics.json").write_text(
        json.dumps({"recipe": asdict(recipe), "shape": asdict(net.shape), **metrics}, indent=1)
    )


def train_teacher(
    recipe: TeacherRecipe,
    minutes: float,
    folder: Path,
    workers: int,
    compiled: bool,
    began: float,
    start_from: Path | None = None,
) -> None:
    """Train until ``minutes`` after ``began`` (a time.time()), then write what there is."""
    from miniature.teacher.tokenizer import ChatTokenizer, train_tokenizer

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tokenizer.json"
    if start_from:
        path.write_bytes((start_from / "tokenizer.json").read_bytes())
    else:
        train_tokenizer(recipe.vocab_size, recipe.tokenizer_samples, recipe.seed).save(str(path))
    print(f"tokenizer ready after {time.time() - began:.0f} s", flush=True)
    # Each kind has processes and a queue of its own: a full queue of one never holds up the other.
    sources = [mp.get_context("fork").Queue(maxsize=96) for _ in range(2)]
    for index in range(max(2, workers)):
        reflect = index % 2 == 1
        mp.get_context("fork").Process(
            target=_work, args=(recipe, str(path), index, reflect, sources[reflect]), daemon=True
        ).start()
    import torch

    from miniature.teacher.network import Qwen3, Shape

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(recipe.seed)
    shape = Shape(ChatTokenizer.load(path).vocab_size, recipe.hidden, recipe.inner, recipe.layers)
    net = Qwen3(shape)
    if start_from:
        from safetensors.torch import load_file

        net.load_state_dict(
            {name: value.float() for name, value in load_file(start_from / "teacher.safetensors").items()}
        )
    net.to(device)
    print(f"{sum(p.numel() for p in net.parameters()) / 1e6:.2f} M parameters on {device}", flush=True)
    matrices = [p for n, p in net.named_parameters() if p.dim() == 2 and "embed" not in n]
    others = [p for n, p in net.named_parameters() if not (p.dim() == 2 and "embed" not in n)]
    optimiser = torch.optim.AdamW([{"params": matrices, "weight_decay": recipe.weight_decay},
                                  {"params": others, "weight_decay": 0.0}],
                                  lr=recipe.learning_rate, betas=(0.9, 0.98), fused=device == "cuda")  # fmt: skip
    if compiled:  # one layer is compiled and its code used for all
        for layer in net.model.layers:
            layer.compile(dynamic=True)
    _steps(net, optimiser, sources, recipe, began, began + minutes * 60, folder)


def _steps(net, optimiser, sources: list, recipe: TeacherRecipe, began: float, deadline: float, folder: Path) -> None:
    import torch

    start, step, tokens, saved, samples = time.time(), 0, 0, time.time(), [0, 0]
    window: list = []
    metrics: dict = {}
    while (now := time.time()) < deadline:
        done = (now - start) / (deadline - start)
        share = min(1.0, (done + 1e-4) / recipe.warmup_share)
        share *= recipe.final_share + (1 - recipe.final_share) * 0.5 * (1 + math.cos(math.pi * done))
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * share
        parts = []
        for reflect in (0, 1):
            batch = sources[reflect].get()
            tokens, samples[reflect] = tokens + batch[0].size, samples[reflect] + len(batch[0])
            loss, right = _loss(net, batch, recipe, done < recipe.early_share)
            (loss * (recipe.reflect_weight if reflect else 1.0)).backward()
            parts += [loss.detach(), right]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        step += 1
        window.append(torch.stack(parts))
        if step % 250 == 0 or step == 10:
            mean = torch.stack(window).mean(0).tolist()
            window.clear()
            print(f"{time.time() - start:5.0f} s step {step} verdict {mean[0]:.4f} word {mean[1]:.4f} reflect "
                f"{mean[2]:.4f} token {mean[3]:.4f} "
                  f"{tokens / (time.time() - start) / 1e6:.2f} Mtok/s samples {samples} ready "
                  f"{[q.qsize() for q in sources]}", flush=True)  # fmt: skip
            metrics = {"step": step, "seconds": round(time.time() - began), "tokens": tokens, "samples": samples,
                       "word_accuracy": mean[1],
                       "reflect_token_accuracy": mean[3], "device": str(net.cos.device)}  # fmt: skip
            if time.time() - saved > 60:
                _save(net, recipe, folder, metrics)
                saved = time.time()
    _save(net, recipe, folder, metrics)
    print(
        f"train_teacher: {step} steps, {sum(samples)} samples, {tokens / 1e6:.0f} M tokens in "
        f"{time.time() - start:.0f} s",
        flush=True,
    )


def main() -> None:
    """Read the command line and train. (argparse: a GPU machine need not have the project's other packages.)"""
    began = time.time()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output-dir", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=9.0, help="wall-clock budget, set-up included")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="data processes")
    parser.add_argument("--no-compile", action="store_true", help="run the network without torch.compile")
    parser.add_argument(
        "--start-from",
        type=Path,
        help="folder of an earlier run whose weights and tokenizer to go on with (give it another seed)",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="another value for a field of Recipe"
    )
    args = parser.parse_args()
    given = {
        name: type(getattr(TeacherRecipe, name))(value) for name, _, value in (item.partition("=") for item in args.set)
    }
    train_teacher(
        TeacherRecipe(**given), args.minutes, args.output_dir, args.workers, not args.no_compile, began, args.start_from
    )


if __name__ == "__main__":
    main()
