"""Tickets a second of predict and evaluate, from summaries: the figures of docs/performance.md.

    python -m miniature.speed.predict_speed                               the miniature on a CPU, a minute
    python -m miniature.speed.predict_speed --full-size --output DIR      a Qwen3-VL-4B's shapes, on a GPU (2 minutes)

Tickets of about ``--own-tokens`` under a system message of ``--shared-tokens`` are asked as predict asks them
(verdicts.prediction.asking), in batches of each size of ``--batches``. Answers have ``--new-tokens`` each: random
weights never end one. The first batch of a size warms up and is not counted. Time is the wall's on a GPU and the
process's on a CPU, which others share. Prints a line of JSON a size; writes them to --output.
"""

import json
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from miniature.measure.student_memory import MINIATURE
from miniature.speed.stage_a_speed import GIB, student_of_random_weights
from verdicts.command.cli import run, say

MISSION = "bbu_line"


def main(
    output: Annotated[Path, typer.Option(help="Folder for figures and, at full size, small files.")] = Path(
        "runs/bench-predict"
    ),
    full_size: Annotated[bool, typer.Option(help="A Qwen3-VL-4B's shapes, random weights.")] = False,
    batches: Annotated[str, typer.Option(help="Tickets answered together, with commas.")] = "8,32",
    rounds: Annotated[int, typer.Option(min=2, help="Batches of each size; the first warms up.")] = 3,
    new_tokens: Annotated[int, typer.Option(min=2, help="Tokens of an answer.")] = 110,
    shared_tokens: Annotated[int, typer.Option(help="Tokens of the system message at full size, at least.")] = 880,
    own_tokens: Annotated[int, typer.Option(help="Tokens of a ticket at full size, at least.")] = 430,
) -> None:
    """Ask batches of each size, print and write what they took."""
    output.mkdir(parents=True, exist_ok=True)
    bench = Bench(output, full_size, new_tokens)
    bench.draw(rounds * max(map(int, batches.split(","))), *((shared_tokens, own_tokens) if full_size else (0, 0)))
    found = []
    for batch in map(int, batches.split(",")):
        found.append(bench.measure(batch, rounds))
        print(json.dumps(found[-1]), flush=True)
        (output / "predict_speed.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    say(f"predict_speed: {output / 'predict_speed.json'}")


class Bench:
    """A student and its questions."""

    def __init__(self, folder: Path, full_size: bool, new_tokens: int) -> None:
        import torch

        from verdicts.config.load import load
        from verdicts.student.model import Student

        self.gpu, self.new_tokens = torch.cuda.is_available(), new_tokens
        self.clock: Callable[[], float] = time.perf_counter if self.gpu else time.process_time
        # prompts of the miniature in both, as rollout is measured with (make bench MODELS=fake32b)
        self.config = load("miniature", MISSION)
        if full_size:
            self.student = student_of_random_weights(folder / "base", 2**20)
        else:
            self.student = Student(MINIATURE, 2**16, n_threads=1)
        self.student.model.generation_config.min_new_tokens = new_tokens

    def draw(self, count: int, shared: int, own: int) -> None:
        """Questions of ``count`` drawn tickets."""
        from tools.bench import long_prompts, take
        from verdicts.student.model import Dialogue

        system, users = long_prompts(self.config, take(self.config, None, count), self.tokens, shared, own)
        self.shared, self.own = self.tokens(system), sum(map(self.tokens, users)) / count
        asked = [({"role": "system", "content": system}, {"role": "user", "content": user}) for user in users]
        self.questions = [Dialogue(messages) for messages in asked]

    def tokens(self, text: str) -> int:
        """Tokens of a text."""
        return len(self.student.text.ids(text))

    def now(self) -> float:
        """The time when all that was asked of the GPU is done."""
        import torch

        if self.gpu:
            torch.cuda.synchronize()
        return self.clock()

    def measure(self, batch: int, rounds: int) -> dict[str, Any]:
        """Tickets a second of ``rounds`` batches, and the most memory that they took."""
        import torch
        import yaml

        from verdicts.config.tools import PredictConfig, section_text
        from verdicts.prediction.asking import ask

        if self.gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        limits = {"batch": batch, "max_new_tokens": self.new_tokens}
        config = self.config.model_copy(update={"evaluate": self.config.evaluate.model_copy(update=limits)})
        asked = PredictConfig.model_validate(yaml.safe_load(section_text(config, "predict")))
        ends: list[float] = []
        answers = list(
            ask(lambda: self.student, asked, self.questions[: rounds * batch], (), lambda _: ends.append(self.now()))
        )
        each = [batch / (after - before) for before, after in pairwise(ends)]
        return {
            "batch": batch, "tickets": len(answers), "tickets_per_s": batch * len(each) / (ends[-1] - ends[0]),
            "slowest": min(each), "fastest": max(each), "shared_tokens": self.shared, "own_tokens": round(self.own),
            "new_tokens": self.new_tokens, "device": torch.cuda.get_device_name() if self.gpu else "CPU",
            "peak_gib": torch.cuda.max_memory_allocated() / GIB if self.gpu else None,
        }  # fmt: skip


if __name__ == "__main__":
    run(main, engine="torch")
