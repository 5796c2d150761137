"""Photos a second of Stage A: one ``generate`` a photo against summarize's batches: the figures of docs/summarize.md.

    python -m miniature.speed.stage_a_speed                               the miniature on a CPU, some minutes
    python -m miniature.speed.stage_a_speed --full-size --output DIR      a Qwen3-VL-4B's shapes, on a GPU (2 minutes)

In one process, over drawn photos of a phone's sizes:

    one by one       what transformers' own page shows: open, its processor, ``generate``, one photo after another
    batches of N     verdicts.student.summaries.answer_batches, as summarize runs it: photos read ahead in threads
    parts            of a batch: reading (one thread), vision tower, prompt, writing; each by itself
    two prompts      a summary and dense captions of each photo: read and seen for each, and once for both

Answers have ``--new-tokens`` each: random weights never end one. What these say means nothing; what they cost is what
real ones cost. The first photo or batch of a way warms up and is not counted. Time is the wall's on a GPU and the
process's on a CPU, which others share. Prints a table and a line of JSON; writes both to --output.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from miniature.measure.student_memory import MINIATURE, random_weights, write_small_files
from verdicts.command.cli import run, say

SIZES = ((4000, 3000), (3000, 4000), (4000, 2250), (1440, 1080))  # three of a phone, one as messengers send it
FILES = 32  # drawn; more photos are other names of these
OF_MINIATURE = 4  # its photos' sides are so many times smaller
GIB = 2**30


def main(
    output: Annotated[Path, typer.Option(help="Folder for photos, figures and, at full size, small files.")] = Path(
        "runs/bench-stage-a"
    ),
    full_size: Annotated[bool, typer.Option(help="A Qwen3-VL-4B's shapes, random weights.")] = False,
    batches: Annotated[str, typer.Option(help="Photos answered together, with commas.")] = "32,64,128",
    rounds: Annotated[int, typer.Option(min=2, help="Batches of each size; the first warms up.")] = 3,
    one_by_one: Annotated[int, typer.Option(min=2, help="Photos of the way one by one.")] = 5,
    new_tokens: Annotated[int, typer.Option(min=2, help="Tokens of an answer.")] = 96,
    prompt_tokens: Annotated[int, typer.Option(help="Tokens of the prompt's words at full size, about.")] = 700,
    seconds: Annotated[float, typer.Option(help="Later than this after the start no further way is begun.")] = 100,
) -> None:
    """Run each way, print the table, write the figures."""
    bench = Bench(output, full_size, new_tokens, prompt_tokens, seconds)
    say(f"stage_a_speed: {bench.device()}, {bench.words()} tokens of prompt; {time.monotonic() - bench.begun:.0f} s")
    first, *others = map(int, batches.split(","))
    bench.way("one by one", lambda: bench.alone(one_by_one))
    bench.way(f"batches of {first}", lambda: bench.together(first, rounds))
    bench.way("parts of 1", lambda: bench.parts(1))
    bench.way(f"parts of {first}", lambda: bench.parts(first))
    for batch in others:
        bench.way(f"batches of {batch}", lambda batch=batch: bench.together(batch, rounds))  # type: ignore[misc]
    bench.way("two prompts", lambda: bench.two_prompts(min(first, 16)))
    table = bench.table()
    print(table)
    print(json.dumps(bench.report(), ensure_ascii=False))
    (output / "stage_a_speed.md").write_text(table + "\n", encoding="utf-8")
    say(f"stage_a_speed: {output / 'stage_a_speed.json'}")


class Bench:
    """A student, photos, and what each way took of them."""

    def __init__(self, folder: Path, full_size: bool, new_tokens: int, prompt_tokens: int, limit_s: float) -> None:
        self.begun, self.limit_s = time.monotonic(), limit_s
        import torch

        from verdicts.config.load import load
        from verdicts.stage_b.prompts import load_prompts
        from verdicts.student.model import Student

        self.gpu, self.folder, self.new_tokens = torch.cuda.is_available(), folder, new_tokens
        self.clock: Callable[[], float] = time.perf_counter if self.gpu else time.process_time
        self.full_size, self.found = full_size, dict[str, dict[str, Any]]()
        folder.mkdir(parents=True, exist_ok=True)
        pixels = 2**20 if full_size else 2**16
        config = load("qwen3" if full_size else "miniature", "bbu_install")
        self.limits = config.summarize.model_copy(update={"max_new_tokens": new_tokens})
        if full_size:
            self.student = student_of_random_weights(folder / "base", pixels)
        else:
            self.student = Student(MINIATURE, pixels, n_threads=1)
        prompts = load_prompts(config.prompts, config.mission)
        most = prompt_tokens if full_size else 10**9
        self.asked, self.dense = (self.cut(prompts.photo_messages(task), most) for task in ("summary", "dense"))
        self.files = draw_photos(folder / "photos", 1 if full_size else OF_MINIATURE)
        self.said: dict[str, str] = {}  # what each photo was said to show, one by one

    def cut(self, messages: Sequence[Any], most: int) -> list[dict[str, str]]:
        """The messages, each cut at its end so that all have ``most`` ids together, about."""
        share = min(1.0, most / sum(len(self.student.text.ids(message["content"])) for message in messages))
        return [dict(one) | {"content": one["content"][: int(len(one["content"]) * share)]} for one in messages]

    def words(self) -> int:
        """Ids of the summary prompt's texts."""
        return sum(len(self.student.text.ids(message["content"])) for message in self.asked)

    def way(self, name: str, measure: Callable[[], dict[str, Any]]) -> None:
        """Measure a way, unless it is late; what it raises is a finding, and the others go on."""
        import torch

        if (late := time.monotonic() - self.begun) > self.limit_s:
            say(f"stage_a_speed: {name}: not begun, {late:.0f} s are gone")
            return
        if self.gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        self.length(self.new_tokens)
        try:
            self.found[name] = measure()
        except Exception as error:  # noqa: BLE001  there may be one try on a GPU: what else was found is kept
            self.found[name] = {"failed": f"{type(error).__name__}: {str(error)[:500]}"}
        if self.gpu:
            self.found[name]["peak_gib"] = torch.cuda.max_memory_allocated() / GIB
        say(f"stage_a_speed: {name}: {json.dumps(self.found[name])}; {time.monotonic() - self.begun:.0f} s")
        (self.folder / "stage_a_speed.json").write_text(json.dumps(self.report(), indent=1), encoding="utf-8")

    def length(self, tokens: int) -> None:
        """Have answers of at least so many tokens."""
        self.student.model.generation_config.min_new_tokens = tokens

    def now(self) -> float:
        """The time when all that was asked of the GPU is done."""
        import torch

        if self.gpu:
            torch.cuda.synchronize()
        return self.clock()

    def alone(self, count: int) -> dict[str, Any]:
        """One generate a photo, with nothing of ours but the ids of the conversation."""
        ends = [self.now()]
        for path in self.named(count):
            self.said[path] = plain_answer(self.student, self.asked, Path(path), self.new_tokens)
            ends.append(self.now())
        return rates([1] * (count - 1), ends[1:])

    def together(self, batch: int, rounds: int) -> dict[str, Any]:
        """Batches as summarize cuts and answers them."""
        from PIL import Image

        from verdicts.student.summaries import answer_batches, cut_batches

        photos = self.named(batch * rounds)
        sizes = {path: Image.open(path).size for path in photos}
        cut = cut_batches(sizes, self.student.photo_tokens, self.limits.model_copy(update={"batch": batch}))
        inside, answer = [0.0], self.student.answer_encoded

        def timed(*given: Any) -> Any:
            begun = self.now()
            answers = answer(*given)
            inside[-1] += self.now() - begun
            return answers

        self.student.answer_encoded = timed  # type: ignore[method-assign]
        try:
            ends, done = [], list[Any]()
            for answers in answer_batches(self.student, cut, self.asked, self.new_tokens):
                done += answers
                ends.append(self.now())
                inside.append(0.0)
        finally:
            del self.student.answer_encoded  # type: ignore[method-assign]
        texts = {one.image: one.detail or one.summary for one in done}
        same = [texts[path] == said for path, said in self.said.items() if path in texts]
        tokens = sorted({self.student.photo_tokens(*size) for size in sizes.values()})
        return rates([len(part) for part in cut[1:]], ends) | {
            "photo_tokens": tokens,
            "in_model": sum(inside[1:]) / (ends[-1] - ends[0]),
            "same_text": sum(same),
            "compared": len(same),
        }

    def parts(self, batch: int) -> dict[str, Any]:
        """Seconds a photo of each part, one after another; the second time, when memory has been taken."""
        from verdicts.student.model import Dialogue

        student, photos = self.student, self.named(batch)
        for tokens in (self.new_tokens, 1):
            self.length(tokens)
            student.answer([Dialogue(self.asked, [Path(path)]) for path in photos], tokens)
        begun = self.now()
        seen = [self.read(path) for path in photos]
        read = self.now()
        looked = [student.look(one) for one in seen]
        vision = self.now()
        rows = [student.encode(Dialogue(self.asked, [Path()]), generate=True, seen=one) for one in looked]
        at = []
        for tokens in (1, self.new_tokens):
            self.length(tokens)
            at.append(self.now())
            student.answer_encoded(rows, tokens)
        end = self.now()
        prompt, whole = at[1] - at[0], end - at[1]
        took = {"reading": read - begun, "vision": vision - read, "prompt": prompt, "writing": whole - prompt}
        return {"photos": batch, "seconds_a_photo": {name: value / batch for name, value in took.items()}}

    def two_prompts(self, batch: int) -> dict[str, Any]:
        """Seconds a photo for both answers: each with its own reading and vision, and with both shared."""
        from verdicts.student.model import Dialogue

        student, photos, texts = self.student, self.named(batch), list[list[Any]]()
        student.answer([Dialogue(self.asked, [Path(path)]) for path in photos], self.new_tokens)  # warms up
        at = [self.now()]
        for shared in (False, True):
            seen, said = [student.look(self.read(path)) for path in photos] if shared else [], []
            for asked in (self.asked, self.dense):
                mine = seen or [self.read(path) for path in photos]
                rows = [student.encode(Dialogue(asked, [Path()]), generate=True, seen=one) for one in mine]
                said += student.answer_encoded(rows, self.new_tokens)
            texts.append(said)
            at.append(self.now())
        apart, together = (end - begun for begun, end in pairwise(at))
        same = sum(one == other for one, other in zip(*texts, strict=True))
        return {
            "photos": batch, "apart_s": apart / batch, "shared_s": together / batch, "same_text": same,
            "compared": 2 * batch,
        }  # fmt: skip

    def read(self, path: str) -> Any:
        """A photo as a reader's thread makes it ready."""
        from verdicts.photos.files import open_photo

        with open(path, "rb") as file:
            return self.student.see([open_photo(file)])

    def named(self, count: int) -> list[str]:
        """So many photos, some of them other names of the same file."""
        out = []
        for at in range(count):
            path = self.files[at % FILES].with_name(f"{at:04d}.jpg")
            if not path.exists():
                os.link(self.files[at % FILES], path)
            out.append(str(path))
        return out

    def device(self) -> str:
        """What computes."""
        import torch

        return torch.cuda.get_device_name() if self.gpu else f"CPU, {torch.get_num_threads()} threads"

    def report(self) -> dict[str, Any]:
        """All of it, for the JSON file."""
        import torch
        import transformers

        from verdicts.models.threads import cores

        versions = {"torch": torch.__version__, "transformers": transformers.__version__}
        return {
            "device": self.device(), "cores": cores(), "versions": versions, "full_size": self.full_size,
            "prompt_tokens": self.words(), "new_tokens": self.new_tokens, "ways": self.found,
        }  # fmt: skip

    def table(self) -> str:
        """Markdown: a way a line, then the parts."""
        alone = self.found.get("one by one", {}).get("photos_per_s", float("nan"))
        lines = [
            f"{self.device()}; photos of {' or '.join(f'{w} × {h}' for w, h in SIZES)} pixels"
            f"{'' if self.full_size else f', {OF_MINIATURE} times smaller'}; {self.words()} tokens of prompt, "
            f"{self.new_tokens} of answer",
            "",
            "| way | photos/s (slowest to fastest batch) | of one by one | in the model | peak | same text |",
            "|---|---|---|---|---|---|",
        ]
        for name, found in self.found.items():
            if "photos_per_s" in found:
                inside, gib = found.get("in_model"), found.get("peak_gib")
                same = f"{found['same_text']} of {found['compared']}" if "same_text" in found else ""
                lines.append(
                    f"| {name} | {found['photos_per_s']:.3g} ({found['slowest']:.3g} to {found['fastest']:.3g}) "
                    f"| {found['photos_per_s'] / alone:.2f} | {f'{inside:.0%}' if inside else ''} "
                    f"| {f'{gib:.1f} GiB' if gib else ''} | {same} |"
                )
        lines += ["", "| ms a photo | reading, one thread | vision | prompt | writing |", "|---|---|---|---|---|"]
        for name, found in self.found.items():
            if took := found.get("seconds_a_photo"):
                lines.append(f"| {name} | {' | '.join(f'{1000 * value:.1f}' for value in took.values())} |")
        if "shared_s" in (both := self.found.get("two prompts", {})):
            lines += ["", f"two prompts a photo, {both['photos']} photos together: {both['apart_s']:.3g} s a photo, "
                          f"{both['shared_s']:.3g} s with one reading and one vision; the same text in "
                          f"{both['same_text']} of {both['compared']} answers"]  # fmt: skip
        failed = [f"{name}: {found['failed']}" for name, found in self.found.items() if "failed" in found]
        return "\n".join(lines + [f"\nfailed: {one}" for one in failed])


def rates(counts: Sequence[int], ends: Sequence[float]) -> dict[str, Any]:
    """Photos a second of batches of so many photos, of which the first began at ``ends[0]``."""
    each = [n / (after - before) for n, (before, after) in zip(counts, pairwise(ends), strict=True)]
    return {
        "photos": sum(counts), "photos_per_s": sum(counts) / (ends[-1] - ends[0]), "slowest": min(each),
        "fastest": max(each),
    }  # fmt: skip


def student_of_random_weights(folder: Path, pixels: int) -> Any:
    """A student of the 4B's shapes whose weights are nowhere but in memory."""
    from verdicts.student.model import Encoder, Student

    if not (folder / "config.json").exists():
        write_small_files(folder)
    student = Student.__new__(Student)
    Encoder.__init__(student, folder, pixels)
    student.take(random_weights(folder).eval())
    return student


def plain_answer(student: Any, asked: Sequence[Any], path: Path, new_tokens: int) -> str:
    """What transformers' own processor and generate say of one photo."""
    import torch

    from verdicts.photos.files import open_photo
    from verdicts.student.answer_text import as_line
    from verdicts.student.model import Dialogue, PhotoInputs

    with open(path, "rb") as file:
        seen = student.photos([open_photo(file)], return_tensors="pt")
    count = int(seen["image_grid_thw"].prod()) // student.photos.merge_size**2
    inputs = PhotoInputs(seen["pixel_values"], seen["image_grid_thw"], [count])
    row = student.encode(Dialogue(asked, [path]), generate=True, seen=inputs)
    batch = {name: value.to(student.model.device) for name, value in student.batch([row], left=True).items()}
    del batch["labels"]
    with torch.inference_mode():
        (ids,) = student.model.generate(**batch, max_new_tokens=new_tokens)
    text: str = student.tokenizer.decode(ids[len(row.ids) :], skip_special_tokens=True)
    return as_line(text).line


def draw_photos(folder: Path, smaller: int) -> list[Path]:
    """Write ``FILES`` JPEGs of noise, coarse and fine, of ``SIZES`` in turn; what is there already is kept."""
    from PIL import Image, ImageChops

    folder.mkdir(parents=True, exist_ok=True)
    side = 4096 // smaller
    grain = Image.effect_noise((side, side), 12)
    coarse = Image.effect_noise((side // 8, side // 8), 90).resize((side, side))
    shade = ImageChops.overlay(coarse, grain)
    whole = Image.merge("RGB", [ImageChops.offset(shade, at * side // 5, at * side // 7) for at in range(3)])

    def draw(at: int) -> Path:
        path = folder / f"{at:04d}.jpg"
        if not path.exists():
            width, height = (edge // smaller for edge in SIZES[at % len(SIZES)])
            moved = ImageChops.offset(whole, at * side // FILES, at * side // FILES // 2)
            moved.crop((0, 0, width, height)).save(path, quality=85)
        return path

    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(draw, range(FILES)))


if __name__ == "__main__":
    run(main, engine="torch")
