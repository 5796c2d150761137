"""Tokens a second of sft's ways to do one and the same training, beside TRL's SFTTrainer: the figures of docs/sft.md.

    make bench-sft                                                  the miniature on a CPU, a few minutes
    python -m miniature.speed.sft_speed --full-size --output DIR  random weights of a Qwen3-VL-4B's shapes, on a GPU

Ways, in one process, one after another, each from the same adapter over the same rows (``--ways plain,warm,trl`` runs
some of them):

    plain   every layer runs for each pass, as before
    shared  the frozen layers run once a minibatch
    cold    the same rows computed each by itself and written to the cache
    warm    the cold way's steps again, read from the cache, as each later epoch and run does
    nokept  as shared with sft.keep: [], which is the work that TRL does
    trl     trl.SFTTrainer with its defaults (miniature/speed/sft_trl.py), where trl is installed

Tokens are those of rows, without padding. The first two steps of a way warm up and are not counted. Time is the wall's
on a GPU and the process's on a CPU, which others share; waiting is the wall's time until rows were there. Prints a
table; writes sft_speed.json to --output.
"""

import gc
import json
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from miniature.measure.student_memory import FACT, MINIATURE, PHOTO_SIDE, random_weights, write_small_files
from miniature.measure.trainer import draw_rows_of_tickets
from miniature.speed.sft_flops import PEAK, Shapes, operations, shapes_of
from verdicts.command.cli import run, say

WARM_UP = 2
WAYS = ("plain", "shared", "cold", "warm", "nokept", "trl")  # of --ways, in the order in which they run
VAL_ROWS = 16
TASKS = ("chat", "dense", "chat", "summary")  # half of the rows are photos', half of them long answers
GIB = 2**30


def main(
    output: Annotated[Path, typer.Option(help="Folder for sft_speed.json, rows and cache.")] = Path("runs/bench-sft"),
    full_size: Annotated[bool, typer.Option(help="A Qwen3-VL-4B's shapes, random weights.")] = False,
    steps: Annotated[int, typer.Option(min=WARM_UP + 1, help="Steps of each way.")] = 16,
    tokens: Annotated[int, typer.Option(help="Mean tokens of a row at full size.")] = 1500,
    top_layers: Annotated[int, typer.Option(help="Language layers that learn; 0: as configured.")] = 0,
    ways: Annotated[str, typer.Option(help="Which ways, with commas.")] = ",".join(WAYS),
) -> None:
    """Run each way, print the table, write the JSON."""
    from verdicts.base.errors import mistake

    asked = ways.split(",")
    if unknown := set(asked) - set(WAYS):
        raise mistake(f"{', '.join(sorted(unknown))} is no way", f"choose of {','.join(WAYS)}", field="--ways")
    bench = Bench(output, full_size, steps, tokens, top_layers)
    say(f"sft_speed: {len(bench.rows.facts)} rows, {bench.padding()}")
    if "plain" in asked:
        bench.way("plain", share=False)
    if "shared" in asked:
        bench.way("shared")
    if "cold" in asked or "warm" in asked:
        bench.cached("warm" in asked)
    if "nokept" in asked:
        bench.way("shared, no kept", keep=[])
    if "trl" in asked and (absent := [name for name in ("trl", "datasets") if find_spec(name) is None]):
        say(f"sft_speed: without TRL: {' and '.join(absent)} not installed")
    elif "trl" in asked:
        bench.trl()
    print(bench.table())
    say(f"sft_speed: {bench.write()}")


class Bench:
    """One base, one set of rows, and what each way took of them."""

    def __init__(self, folder: Path, full_size: bool, steps: int, tokens: int, top_layers: int) -> None:
        import torch
        from accelerate import Accelerator

        from tools.sft import set_up_torch
        from verdicts.config.load import load
        from verdicts.sft.lora import adapt, adapted, lora_config
        from verdicts.sft.lora import top_layers as numbers_of
        from verdicts.sft.rows import FusedFile
        from verdicts.student.model import Encoder

        self.gpu, self.folder, self.steps = torch.cuda.is_available(), folder, steps
        folder.mkdir(parents=True, exist_ok=True)
        self.base = folder / "base" if full_size else MINIATURE
        if full_size and not (self.base / "config.json").exists():
            write_small_files(self.base)
        config = load("qwen3" if full_size else "miniature", "bbu_line")
        batch = {"batch_rows": 4, "accumulate": 2, "top_layers": top_layers or config.sft.top_layers}
        self.config = config.sft.model_copy(update=batch)
        set_up_torch(self.gpu, config)
        rows = steps * batch["batch_rows"] * batch["accumulate"]
        encoder = Encoder(self.base, PHOTO_SIDE * PHOTO_SIDE)
        train, val = (write_noise if full_size else write_drawn)(folder, encoder, rows, tokens)
        self.rows, self.val = (FusedFile(path, encoder, 10 * tokens) for path in (train, val))
        self.config = self.config.model_copy(update={"epochs": rows / len(self.rows.facts), "save_steps": 10**6})
        self.accelerator = Accelerator(cpu=not self.gpu, mixed_precision="bf16" if self.gpu else "no")
        torch.manual_seed(self.config.seed)
        layers = numbers_of(self.base, self.config)
        self.lora = lora_config(layers, self.config)
        student = random_weights(self.base) if full_size else loaded(self.base)
        self.model = adapt(student.to(self.accelerator.device), self.lora, adapted(layers, self.config.targets))
        self.untaught = {name: value.detach().clone() for name, value in self.learner().learning().items()}
        self.shapes: Shapes = shapes_of(self.learner())
        self.photo = [photo_tokens(self.rows, index) for index in range(len(self.rows.facts))]
        self.found: dict[str, dict[str, Any]] = {}
        self.clock: Callable[[], float] = time.perf_counter if self.gpu else time.process_time

    def learner(self, share: bool = True) -> Any:
        """The adapted student as sft trains it."""
        from verdicts.sft.train import StudentLoss

        return StudentLoss(self.model, share)

    def trainer(self, share: bool = True, frozen: Any = None, **knobs: Any) -> Any:
        """A trainer with the untaught adapter."""
        import torch

        from verdicts.sft.train import Trainer

        learner = self.learner(share)
        with torch.no_grad():
            for name, value in learner.learning().items():
                value.copy_(self.untaught[name])
        settings = self.config.model_copy(update=knobs)
        return Trainer(learner, self.rows, settings, self.accelerator, self.folder / "state", {}, frozen)

    def way(self, name: str, share: bool = True, **knobs: Any) -> None:
        """An epoch of one way."""
        trainer = self.trainer(share, **knobs)
        self.epoch(name, trainer, lower=1 if share else 2)

    def cached(self, warm: bool) -> None:
        """An epoch that fills an empty cache, and with ``warm`` one that reads it."""
        import shutil

        from verdicts.sft.frozen_rows import FrozenRows, what_settles
        from verdicts.sft.row_cache import RowCache

        shutil.rmtree(self.folder / "cache", ignore_errors=True)
        cache = RowCache(self.folder / "cache", 10**12)
        learner = self.learner()
        settled = what_settles(self.base, learner, PHOTO_SIDE * PHOTO_SIDE)
        frozen = FrozenRows(learner, cache, settled, self.accelerator.autocast)
        self.epoch("cache, cold", self.trainer(frozen=frozen), lower=1)
        cache.wait()
        if not warm:
            return
        self.epoch("cache, warm", self.trainer(frozen=frozen), lower=0)
        self.found["cache, warm"]["said"] = cache.said()
        self.found["cache, warm"]["bytes_a_token"] = cache.bytes / sum(fact.tokens for fact in self.rows.facts)
        say(f"sft_speed: {cache.said()}")

    def epoch(self, name: str, trainer: Any, lower: int) -> None:
        """Do ``steps`` steps of a trainer, timed, and measure what was learnt."""
        from verdicts.sft.train import prefetch

        self.reset_peak()
        numbers = range(self.steps)
        batches = prefetch(trainer.minibatch, (batch for step in numbers for batch in trainer.plan.batches(step, 0)))
        trainer.learner.train()
        waits: list[float] = []
        done, ends, began = [], [self.clock()], 0.0
        for step in numbers:
            began = began if len(done) != WARM_UP else time.perf_counter()
            waits.append(0.0)
            done.append(trainer._step(step, timed(batches, waits))["loss"])
            ends.append(self.clock())
        wall = time.perf_counter() - began
        rows = [trainer.plan.rows(step) for step in numbers]
        kept = trainer.config.keep
        asked = [sum(self.operations(row, lower, self.rows.facts[row].task in kept) for row in step) for step in rows]
        self.note(name, ends, rows, asked, done)
        self.found[name]["waiting"] = sum(waits[WARM_UP:]) / wall
        self.found[name]["val"] = self.val_losses(trainer.learner)

    def trl(self) -> None:
        """TRL's trainer on a fresh adapter over the same base."""
        import torch

        from miniature.speed import sft_trl
        from verdicts.sft.train import StudentLoss

        torch.use_deterministic_algorithms(False)  # as it would run
        base = self.model.unload()
        self.reset_peak()
        rate = self.config.learning_rate
        try:
            model, losses, ends, said = sft_trl.train(
                base, self.lora, self.rows, self.base, self.steps, rate, self.clock
            )
        except Exception as error:  # noqa: BLE001  another's program: what it raises is a finding, said in the table
            self.found["trl"] = {"failed": f"{type(error).__name__}: {str(error)[:500]}"}
            return
        every = range(len(self.rows.facts))
        share = len(every) / self.steps  # it draws its own order: a step's share of all rows
        asked = sum(self.operations(row, 1, False) for row in every) / self.steps
        tokens = sum(fact.tokens for fact in self.rows.facts) / self.steps
        self.note("trl", ends, None, [asked] * self.steps, losses, tokens=tokens)
        self.found["trl"] |= said | {"rows_a_step": share, "val": self.val_losses(StudentLoss(model))}

    def note(
        self,
        name: str,
        ends: list[float],
        rows: list[list[int]] | None,
        asked: list[float],
        losses: list[float],
        tokens: float = 0,
    ) -> None:
        """Keep what a way took, its warm-up left out."""
        import torch

        seconds = [after - before for before, after in pairwise(ends)]
        of = [sum(self.rows.facts[row].tokens for row in step) for step in rows] if rows else [tokens] * len(seconds)
        rates = [n / s for n, s in zip(of[WARM_UP:], seconds[WARM_UP:], strict=True)]
        total = sum(seconds[WARM_UP:])
        self.found[name] = {
            "steps": len(seconds),
            "tokens_per_s": sum(of[WARM_UP:]) / total,
            "slowest_step": min(rates),
            "fastest_step": max(rates),
            "operations_per_s": sum(asked[WARM_UP:]) / total,
            "operations_a_token": sum(asked[WARM_UP:]) / sum(of[WARM_UP:]),
            "peak_gib": torch.cuda.max_memory_allocated() / GIB if self.gpu else None,
            "losses": losses,
            "seconds": seconds,
        }
        if peak := self.peak():
            self.found[name]["utilisation"] = self.found[name]["operations_per_s"] / peak
        say(f"sft_speed: {name}: {self.found[name]['tokens_per_s']:.0f} tokens/s")
        self.write()

    def operations(self, row: int, lower: int, base: bool) -> float:
        """What a row asks of a way: ``lower`` passes of the frozen layers at most, as many as the row has passes."""
        fact = self.rows.facts[row]
        passes = min(lower, 2 if base else 1)
        return operations(self.shapes, fact.tokens, fact.learnt, self.photo[row], lower=passes, base=base and lower > 0)

    def val_losses(self, learner: Any) -> dict[str, float]:
        """Loss of the answers of rows that no way learnt from."""
        from verdicts.sft.train import val_losses

        return val_losses(learner, self.val, self.accelerator, self.config.batch_rows, "after")

    def reset_peak(self) -> None:
        """Forget what came before in the device's memory."""
        import torch

        gc.collect()
        if self.gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def peak(self) -> float | None:
        """The card's peak operations a second, None where it is not known."""
        return next((value for card, value in PEAK.items() if card in self.device()), None)

    def device(self) -> str:
        """What computes."""
        import torch

        return torch.cuda.get_device_name() if self.gpu else f"CPU, {torch.get_num_threads()} threads"

    def padding(self) -> str:
        """How much padding minibatches have: as the file has its rows, and grouped by length within a step."""
        plan, size, lengths = self.trainer().plan, self.config.batch_rows, [fact.tokens for fact in self.rows.facts]

        def share(batches: list[list[int]]) -> float:
            real = sum(lengths[row] for batch in batches for row in batch)
            return 1 - real / sum(max(lengths[row] for row in batch) * len(batch) for batch in batches)

        steps = range(self.steps)
        drawn = [row for step in steps for row in plan.drawn(step)]
        ungrouped = share([drawn[at : at + size] for at in range(0, len(drawn), size)])
        grouped = share([batch for step in steps for batch in plan.batches(step, 0)])
        self.shares = {"as drawn": ungrouped, "grouped within a step": grouped, "each row alone": 0.0}
        return f"padding {ungrouped:.1%} of positions as rows are drawn, {grouped:.1%} grouped within a step"

    def write(self) -> Path:
        """Write sft_speed.json: all that was found so far."""
        path = self.folder / "sft_speed.json"
        path.write_text(json.dumps(self.report(), indent=1, ensure_ascii=False), encoding="utf-8")
        return path

    def report(self) -> dict[str, Any]:
        """All of it, for the JSON file."""
        import platform

        import peft
        import torch
        import transformers

        versions = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
        return {
            "device": self.device(),
            "versions": versions | {"python": platform.python_version()},
            "rows": self.rows.counts(),
            "tokens": sum(fact.tokens for fact in self.rows.facts),
            "padding": self.shares,
            "layers": [self.shapes.first, self.shapes.layers],
            "ways": self.found,
        }

    def table(self) -> str:
        """Markdown: a way a line."""
        plain = self.found.get("plain", {"losses": [], "tokens_per_s": float("nan")})
        lines = [
            f"{self.device()}; {self.steps} steps of {self.config.batch_rows * self.config.accumulate} rows, "
            f"{sum(f.tokens for f in self.rows.facts) / len(self.rows.facts):.0f} tokens a row; layers "
            f"{self.shapes.first} to {self.shapes.layers - 1} learn",
            "",
            "| way | tokens/s (slowest to fastest step) | of plain | peak | operations a token | utilisation | waiting "
            "| loss of steps, first to last; at most from plain's, from cold's | val loss after |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for name, found in self.found.items():
            if "failed" in found:
                lines.append(f"| {name} | failed: {found['failed']} | | | | | | | |")
                continue
            others = {"shared": ["plain"], "cache, cold": ["plain"], "cache, warm": ["plain", "cache, cold"]}
            apart = [
                f"{max(abs(a - b) for a, b in zip(found['losses'], self.found[other]['losses'], strict=True)):.1e}"
                for other in others.get(name, []) if other in self.found
            ]  # fmt: skip
            gib, used, waited = found["peak_gib"], found.get("utilisation"), found.get("waiting")
            losses = f"{found['losses'][0]:.4g} to {found['losses'][-1]:.4g}"
            val = ", ".join(f"{task} {loss:.4g}" for task, loss in found["val"].items())
            lines.append(
                f"| {name} | {found['tokens_per_s']:,.0f} ({found['slowest_step']:,.0f} to "
                f"{found['fastest_step']:,.0f}) | {found['tokens_per_s'] / plain['tokens_per_s']:.2f} "
                f"| {f'{gib:.1f} GiB' if gib else ''} | {found['operations_a_token'] / 1e9:.3g} G "
                f"| {f'{used:.1%}' if used else ''} | {f'{waited:.1%}' if waited is not None else ''} "
                f"| {'; '.join([losses, *apart])} | {val} |"
            )
        return "\n".join(lines)


def timed(batches: Iterator[Any], waits: list[float]) -> Iterator[Any]:
    """The same minibatches; the seconds until each is there are added to the last of ``waits``."""
    while True:
        begun = time.perf_counter()
        batch = next(batches)
        waits[-1] += time.perf_counter() - begun
        yield batch


def loaded(base: Path) -> Any:
    """The miniature student, as sft loads it."""
    import torch
    import transformers

    from verdicts.models.checkpoints import load_model
    from verdicts.student.model import as_checkpoint

    dtype = torch.bfloat16 if torch.cuda.is_available() else torch.float32
    return load_model(transformers.AutoModelForImageTextToText, as_checkpoint(base), dtype=dtype)


def photo_tokens(rows: Any, index: int) -> int:
    """Tokens of a row's photo, 0 without one."""
    from PIL import Image

    sizes = [Image.open(path).size for path in rows.row(index).images]
    return sum(rows.encoder.photo_tokens(*size) for size in sizes)


def write_drawn(folder: Path, encoder: Any, count: int, tokens: int) -> tuple[Path, Path]:
    """Write ``count`` rows of drawn tickets to learn from, and some to measure; they have the lengths they have."""
    del encoder, tokens
    draw_rows_of_tickets(folder, tickets=-(-(count + VAL_ROWS) // 4))
    lines = (folder / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    every = [lines[at * len(lines) // (count + VAL_ROWS)] for at in range(count + VAL_ROWS)]  # tasks one after another
    measured = {at * len(every) // VAL_ROWS for at in range(VAL_ROWS)}
    train = [line for at, line in enumerate(every) if at not in measured]
    for name, part in (("train", train), ("val", [every[at] for at in sorted(measured)])):
        (folder / f"{name}.jsonl").write_text("".join(part), encoding="utf-8")
    return folder / "train.jsonl", folder / "val.jsonl"


def write_noise(folder: Path, encoder: Any, count: int, tokens: int) -> tuple[Path, Path]:
    """Write rows of 0.6 to 1.4 times so many tokens, each with a text and a photo of its own."""
    from PIL import Image

    from verdicts.base.jsonl import write_rows
    from verdicts.corpus.rows import FusedRow
    from verdicts.records.corpus import Message

    of_fact = len(encoder.text.ids(FACT))

    def row(at: int) -> FusedRow:
        task = TASKS[at % len(TASKS)]
        wanted, images = int(tokens * (0.6 + 0.8 * (at * 37 % 101) / 100)), []
        user = f"{at}号工单："
        if task != "chat":
            side = PHOTO_SIDE * (6, 7, 8)[at % 3] // 8
            images = [str(folder / f"{at}.jpg")]
            Image.effect_noise((side, side), 60).convert("RGB").save(images[0], quality=85)
            user = f"<image>{at}号照片："
            wanted -= (side // 32) ** 2
        facts = max(4, wanted // of_fact)
        answers = {"chat": 2, "summary": min(facts // 2, 6), "dense": facts * 3 // 4}[task]
        said = {"user": user + FACT * (facts - answers), "assistant": f"{at}：" + FACT * answers}
        messages = [Message.model_validate({"role": role, "content": text}) for role, text in said.items()]
        return FusedRow(messages=messages, images=images, task=task, source="noise", weight=1.0, group_id=str(at))

    rows = [row(at) for at in range(count + VAL_ROWS)]
    train, val = folder / "train.jsonl", folder / "val.jsonl"
    write_rows(train, rows[VAL_ROWS:])
    write_rows(val, rows[:VAL_ROWS])
    return train, val


if __name__ == "__main__":
    run(main, engine="torch")
