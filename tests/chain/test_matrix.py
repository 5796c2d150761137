"""What a command does when an input is another, older, missing or renamed, or at a path with a blank and an apostrophe.

Real ``make`` in a copy of the project, with the miniature teacher and student in a world of eight tickets and a dozen
photos. The right thing: another or an older input is used (made again) or refused by one sentence; a missing one is
refused by its path; a renamed one changes nothing but names; an odd path is a path. No gate speaks of what it did not
judge.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.support.builders import snapshot
from tests.support.small_runs import make, tickets
from verdicts.base.jsonl import write_rows
from verdicts.evaluation.question_files import files_digest, held_out_files
from verdicts.models.fingerprint import checkpoint_hash

pytest.importorskip("torch", reason="the student needs torch: make setup-student")

ROOT = Path(__file__).resolve().parents[2]
ODD = "it's here"
NOTHING = "Nothing to be done"
TINY = """\
window: {tickets: 8}
loop: {max_epochs: 2}
rollout: {max_new_tokens: 40}
reflect: {max_new_tokens: 60, groups: 1}
summarize: {max_new_tokens: 32}
sft: {epochs: 1.0, batch_rows: 4, accumulate: 2, max_tokens: 4096, allow_one_sided: true}
evaluate: {max_new_tokens: 20, max_new_tokens_dense: 12}
gate: {resamples: 100}
"""
MIX = """\
seed: 17
image_paths: relative
mix: {by: rows, anchor: chat, tokenizer: ""}
sources:
  - {name: chat, dataset: chat, template: chatml, paths: ["{corpus}/distill.train.jsonl"], val: {share: 0}, ratio: 1.0,
     weight: 1.0, fail_oversample: 1.0}
  - {name: summary, dataset: summary, template: summary, paths: ["OLD"], val: {share: 0}, rows: 2, weight: 1.0}
"""
OLD = "photos/old/bbu_line.summary.jsonl"  # the student's old tasks, a source of the mix
HELD = "HELD_OUT=photos/held_out"


class World:
    """A copy of the project; runs ``r`` (tickets, corpus, a student ``m``, judged) and ``s`` (photos, summaries)."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.run, self.summaries = folder / "runs/r/bbu_line", folder / "runs/s/bbu_line/summaries/stage_a.jsonl"
        self.fused, self.weights = (
            folder / "data/fused/m.train.jsonl",
            folder / "checkpoints/m/merged/model.safetensors",
        )

    def make(self, goal: str, *words: str) -> subprocess.CompletedProcess:
        """``make goal`` of the run that has what it needs."""
        return make(goal, f"RUN={'s' if goal == 'summarize' else 'r'}", *words, folder=self.folder)

    def made(self, goal: str, *words: str) -> str:
        """What it said, of a call that went well."""
        done = self.make(goal, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def refused(self, goal: str, *words: str) -> str:
        """The one sentence of a call that is refused, and that leaves all results as they are."""
        before = self.results()
        done = self.make(goal, *words)
        said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
        assert done.returncode == 2 and len(said) == 1 and "passed" not in done.stdout + done.stderr, (
            done.stdout + done.stderr
        )
        assert NOTHING not in done.stdout and self.results() == before
        return said[0]

    def results(self) -> dict[str, bytes]:
        """All that make has made, with its bytes, without logs and what says how it was made.

        What the lint says follows the held-out questions that are named, and nothing is made from it.
        """
        found = {
            f"{name}/{path}": data
            for name in ("runs", "checkpoints", "data/fused")
            for path, data in snapshot(self.folder / name).items()
        }
        return {
            name: data
            for name, data in found.items()
            if not name.endswith(("run.log", "made_with.json", "corpus_lint.json", ".lock")) and "/.made/" not in name
        }

    def gate(self, *words: str, held: str = "photos/held_out", student: str = "m") -> dict:
        """The record of a gate asked just now; checked to be of this student and these questions as they lie there."""
        done = self.make("gate", *words, f"HELD_OUT={held}")
        digest = files_digest(held_out_files(self.folder / held, "bbu_line"))
        record = json.loads((self.run / f"evaluation/{student}-{digest[:8]}/gate.json").read_text(encoding="utf-8"))
        assert f"gate: checkpoints/{student}/merged" in done.stderr and done.returncode == (
            0 if record["passed"] else 2
        ), done.stderr
        assert record["after"]["student"]["sha256"] == checkpoint_hash(self.folder / f"checkpoints/{student}/merged")
        assert record["before"]["student"]["sha256"] == checkpoint_hash(self.folder / "data/miniature/student")
        assert record["before"]["made_from"]["questions"] == record["after"]["made_from"]["questions"] == digest
        return record


def draw(folder: Path, name: str, count: int, seed: int) -> None:
    """Photos of a few tickets, below photos/<name>."""
    words = [
        "--mission",
        "bbu_line",
        "--seed",
        "1",
        "--tickets",
        str(count),
        "--tickets-seed",
        str(seed),
        "--output",
        f"photos/{name}",
    ]
    subprocess.run(
        [sys.executable, "-m", "miniature.drawing.photos", *words], cwd=folder, check=True, capture_output=True
    )


def replace(path: Path, by: Path | bytes) -> None:
    """Put other content in a file's place, and date it 1970."""
    path.write_bytes(by if isinstance(by, bytes) else by.read_bytes())
    os.utime(path, (1, 1))


def fewer(path: Path) -> bytes:
    """A file without its first line."""
    return b"".join(path.read_bytes().splitlines(keepends=True)[1:])


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    for name in ("make", "configs", "tools", "verdicts", "miniature"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copytree(ROOT / "data/miniature", folder / "data/miniature")
    for name, count, seed in (
        ("tickets", 2, 11),
        ("other", 1, 14),
        ("old", 2, 12),
        ("held_out", 1, 13),
        ("held_other", 1, 15),
    ):
        draw(folder, name, count, seed)
        for path in [
            path
            for path in (folder / "photos" / name / "bbu_line").rglob("*.jpg")
            if path.stem != "1" and name in ("tickets", "other")
        ]:
            path.unlink()
        for path in (folder / "photos" / name).glob("bbu_line.*.jsonl"):
            path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    write_rows(folder / "tickets.jsonl", tickets(8))
    write_rows(folder / "photos/held_out/bbu_line.stage_a.jsonl", tickets(2, first=100))
    write_rows(folder / "photos/held_other/bbu_line.stage_a.jsonl", tickets(2, first=200))
    (folder / "tiny.yaml").write_text(TINY, encoding="utf-8")
    (folder / "configs/fusion/m.yaml").write_text(MIX.replace("OLD", OLD), encoding="utf-8")
    world = World(folder)
    with ThreadPoolExecutor() as two:
        summaries = two.submit(world.made, "summarize", "PHOTOS=photos/tickets/bbu_line", "CONFIG=tiny.yaml")
        world.made("distill", "STAGE_A=tickets.jsonl", "CONFIG=tiny.yaml")
        summaries.result()
    world.gate("-j2", "FUSION=m")
    return folder


@pytest.fixture
def world(whole, tmp_path) -> World:
    """A copy of the world, all results dated anyhow."""
    folder = tmp_path / "p"
    shutil.copytree(whole, folder)
    dates = random.Random(1)
    for path in [
        *(folder / "runs").rglob("*"),
        *(folder / "checkpoints").rglob("*"),
        *(folder / "data/fused").rglob("*"),
    ]:
        os.utime(path, (dates.randint(0, 1_700_000_000),) * 2)
    return World(folder)


# -- summarize: PHOTOS
def photos_other(world: World) -> None:
    said = world.refused("summarize", "PHOTOS=photos/other/bbu_line")
    assert (
        "was made with PHOTOS=photos/tickets/bbu_line, not with PHOTOS=photos/other/bbu_line" in said
        and "REMAKE=1" in said
    )
    world.made("summarize", "PHOTOS=photos/other/bbu_line", "REMAKE=1")
    text = world.summaries.read_text(encoding="utf-8")
    assert "photos/other/bbu_line/" in text and "photos/tickets/" not in text and NOTHING in world.made("summarize")


def photos_older(world: World) -> None:
    before = world.summaries.read_bytes()
    one, two = (world.folder / "photos/tickets/bbu_line").rglob("*.jpg")
    was = two.read_bytes()
    replace(two, one)
    replace(one, was)
    assert "photos in = " in world.made("summarize") and world.summaries.read_bytes() != before


def photos_missing(world: World) -> None:
    shutil.rmtree(world.folder / "photos/tickets")
    for words in (
        [],
        ["PHOTOS=photos/tickets/bbu_line"],
        ["PHOTOS=photos/nowhere"],
        ["PHOTOS=photos/nowhere", "REMAKE=1"],
    ):
        assert (words[0].removeprefix("PHOTOS=") if words else "photos/tickets/bbu_line") in world.refused(
            "summarize", *words
        )


def photos_renamed(world: World) -> None:
    before = world.summaries.read_text(encoding="utf-8")
    shutil.copytree(world.folder / "photos/tickets", world.folder / "photos/copy")
    assert NOTHING in world.made("summarize", "PHOTOS=photos/copy/bbu_line")
    shutil.rmtree(world.folder / "photos/tickets")
    world.made("summarize", "PHOTOS=photos/copy/bbu_line")
    assert world.summaries.read_text(encoding="utf-8") == before.replace("photos/tickets", "photos/copy")


def photos_odd(world: World) -> None:
    (world.folder / "photos/other").rename(world.folder / f"photos/{ODD}")
    world.made("summarize", f"PHOTOS=photos/{ODD}/bbu_line", "REMAKE=1")
    assert f"photos/{ODD}/bbu_line/" in world.summaries.read_text(encoding="utf-8")
    assert NOTHING in world.made("summarize")


# -- fuse: the run's corpus and the sources of the mix
def sources_other(world: World) -> None:
    before = world.fused.read_bytes()
    mix = world.folder / "configs/fusion/m.yaml"
    mix.write_text(MIX.replace("OLD", "photos/held_other/bbu_line.summary.jsonl"), encoding="utf-8")
    assert "fuse m: " in world.made("fuse") and "held_other" in world.fused.read_text(encoding="utf-8")
    mix.write_text(MIX.replace("OLD", OLD), encoding="utf-8")
    assert "fuse m: " in world.made("fuse") and world.fused.read_bytes() == before


def sources_older(world: World) -> None:
    before = world.fused.read_text(encoding="utf-8")
    source = world.folder / OLD
    replace(source, source.read_bytes().replace("×1".encode(), "×7".encode()))
    assert "fuse m: " in world.made("fuse") and "×7" in world.fused.read_text(encoding="utf-8") != before
    corpus = world.run / "distill.train.jsonl"
    replace(corpus, fewer(corpus))
    assert (
        "fuse m: " in world.made("fuse") and len(world.fused.read_bytes().splitlines()) == len(before.splitlines()) - 1
    )


def sources_missing(world: World) -> None:
    before = world.results()
    for name in ("distill.train.jsonl", "distill.val.jsonl"):
        (world.run / name).unlink()
        world.made("fuse")
    assert world.results() == before
    (world.folder / OLD).unlink()
    assert OLD in world.refused("fuse")
    assert "configs/fusion/never.yaml" in world.refused("fuse", "FUSION=never")
    assert "runs/r/bbu_wind: no corpus in it" in world.refused("fuse", "MISSION=bbu_wind", "FUSION=")
    assert "runs/never/bbu_line: no corpus in it" in world.refused("fuse", "RUN=never")


def sources_renamed(world: World) -> None:
    before = world.fused.read_bytes()
    shutil.copy(world.folder / OLD, world.folder / "photos/old/copy.jsonl")
    (world.folder / "configs/fusion/m.yaml").write_text(MIX.replace("OLD", "photos/old/copy.jsonl"), encoding="utf-8")
    assert "fuse m: " in world.made("fuse") and world.fused.read_bytes() == before
    assert NOTHING in world.made("fuse")


def sources_odd(world: World) -> None:
    (world.folder / "photos/old").rename(world.folder / f"photos/{ODD}")
    odd = OLD.replace("old", ODD)
    (world.folder / "configs/fusion/m.yaml").write_text(MIX.replace("OLD", odd), encoding="utf-8")
    assert "fuse m: " in world.made("fuse") and f'"photos/{ODD}/bbu_line/' in world.fused.read_text(encoding="utf-8")
    assert NOTHING in world.made("fuse")
    replace(world.folder / odd, (world.folder / odd).read_bytes().replace("×1".encode(), "×7".encode()))
    assert "fuse m: " in world.made("fuse") and "×7" in world.fused.read_text(encoding="utf-8")
    (world.folder / odd).unlink()
    assert odd in world.refused("fuse")


# -- sft: the fused rows and the mix they come from
def rows_other(world: World) -> None:
    before = world.weights.read_bytes()
    shutil.copy(
        world.folder / "photos/held_other/bbu_line.summary.jsonl", world.folder / "photos/held_other/rows.jsonl"
    )
    (world.folder / "configs/fusion/other.yaml").write_text(
        MIX.replace("OLD", "photos/held_other/rows.jsonl"), encoding="utf-8"
    )
    assert "; checkpoints/other" in world.made("sft", "FUSION=other")
    assert (
        world.weights.read_bytes()
        == before
        != (world.folder / "checkpoints/other/merged/model.safetensors").read_bytes()
    )


def rows_older(world: World) -> None:
    before = world.weights.read_bytes()
    replace(world.fused, fewer(world.fused))
    assert "; checkpoints/m" in world.made("sft") and world.weights.read_bytes() != before


def rows_missing(world: World) -> None:
    before = world.results()
    world.fused.unlink()
    assert "sft: " not in world.made("sft").replace("sft: kept", "") and world.results() == before
    assert "configs/fusion/never.yaml" in world.refused("sft", "FUSION=never")
    world.fused.unlink()
    (world.folder / OLD).unlink()
    assert OLD in world.refused("sft")


def rows_renamed(world: World) -> None:
    shutil.copy(world.folder / "configs/fusion/m.yaml", world.folder / "configs/fusion/again.yaml")
    world.made("sft", "FUSION=again")
    assert (world.folder / "data/fused/again.train.jsonl").read_bytes() == world.fused.read_bytes()
    assert (world.folder / "checkpoints/again/merged/model.safetensors").read_bytes() == world.weights.read_bytes()


def rows_odd(world: World) -> None:
    before = world.weights.read_bytes()
    (world.folder / "photos/old").rename(world.folder / f"photos/{ODD}")
    (world.folder / "configs/fusion/m.yaml").write_text(MIX.replace("OLD", OLD.replace("old", ODD)), encoding="utf-8")
    assert "; checkpoints/m" in world.made("sft")
    assert world.weights.read_bytes() == before and NOTHING in world.made("sft")


# -- evaluate: HELD_OUT
def judged(world: World) -> set[str]:
    return {path.name for path in (world.run / "evaluation").iterdir()}


def questions_other(world: World) -> None:
    before = world.results()
    said = world.made("evaluate", "-j2", "HELD_OUT=photos/held_other")
    assert "evaluate data/miniature/student: " in said and "evaluate checkpoints/m/merged: " in said
    assert len(judged(world)) == 2 and {name: world.results()[name] for name in before} == before


def questions_older(world: World) -> None:
    path = world.folder / "photos/held_out/bbu_line.stage_a.jsonl"
    replace(path, path.read_bytes().replace(b'"t100"', b'"t300"'))
    said = world.made("evaluate", "-j2", HELD)
    assert (
        "evaluate data/miniature/student: 2 tickets" in said
        and "evaluate checkpoints/m/merged: 2 tickets" in said
        and len(judged(world)) == 2
    )


def questions_missing(world: World) -> None:
    assert "/nonexistent/bbu_line.stage_a.jsonl: no such file" in world.refused("evaluate", "HELD_OUT=/nonexistent")
    assert "data/held_out/bbu_line.stage_a.jsonl: no such file" in world.refused("evaluate")
    for name in ("dense", "summary", "stage_a"):
        (world.folder / f"photos/held_out/bbu_line.{name}.jsonl").unlink()
        assert f"photos/held_out/bbu_line.{name}.jsonl: no such file" in world.refused("evaluate", HELD)


def questions_renamed(world: World) -> None:
    before = world.results()
    (world.folder / "photos/held_out").rename(world.folder / "photos/kept_aside")
    world.made("evaluate", "HELD_OUT=photos/kept_aside")
    assert {name for name, data in before.items() if world.results()[name] != data} <= {
        name for name in before if name.endswith(("before.json", "after.json"))
    }
    assert NOTHING in world.made("evaluate", "HELD_OUT=photos/kept_aside")


def questions_odd(world: World) -> None:
    before = world.results()
    (world.folder / "photos/held_out").rename(world.folder / f"photos/{ODD}")
    (after,) = world.run.glob("evaluation/*/after.json")
    after.unlink()
    assert "evaluate checkpoints/m/merged: 2 tickets" in world.made("evaluate", f"HELD_OUT=photos/{ODD}")
    answers = [name for name in before if name.endswith("after.answers.jsonl")]
    assert len(judged(world)) == len(answers) == 1 and world.results()[answers[0]] == before[answers[0]]
    assert ODD in after.read_text(encoding="utf-8") and NOTHING in world.made("evaluate", f"HELD_OUT=photos/{ODD}")


# -- gate: the student, its base and the questions
def student_other(world: World) -> None:
    replace_weights(world)
    world.gate()


def replace_weights(world: World, when: int | None = None) -> None:
    """Another student in the place of the one that was judged: its base, say."""
    shutil.copyfile(world.folder / "data/miniature/student/model.safetensors", world.weights)
    if when is not None:
        os.utime(world.weights, (when, when))


def student_older(world: World) -> None:
    replace_weights(world, 1)
    world.gate()
    world.gate()  # asked again it says the same


def student_missing(world: World) -> None:
    assert "/nonexistent/bbu_line.stage_a.jsonl: no such file" in world.refused("gate", "HELD_OUT=/nonexistent")
    (world.folder / "data/miniature/student/model.safetensors").rename(world.folder / "kept.safetensors")
    assert "data/miniature/student" in world.refused("gate", HELD)
    (world.folder / "kept.safetensors").rename(world.folder / "data/miniature/student/model.safetensors")
    before = world.weights.read_bytes()
    shutil.rmtree(world.weights.parent)
    world.gate()
    assert world.weights.read_bytes() == before  # taught again


def student_renamed(world: World) -> None:
    before = world.gate()
    shutil.copytree(world.folder / "photos/held_out", world.folder / "photos/copy")
    after = world.gate(held="photos/copy")
    assert {**after, "before": 0, "after": 0} == {**before, "before": 0, "after": 0}


def student_odd(world: World) -> None:
    before = world.gate()
    shutil.copytree(world.folder / "photos/held_out", world.folder / f"photos/{ODD}")
    after = world.gate(held=f"photos/{ODD}")
    assert {**after, "before": 0, "after": 0} == {**before, "before": 0, "after": 0}


# -- review-page: PHOTOS and the queue
def page(world: World, *words: str) -> tuple[str, list[Path]]:
    """The page, and the photos that it shows."""
    world.made("review-page", *words)
    text = (world.run / "review.html").read_text(encoding="utf-8")
    return text, [world.run / unquote(part.split('"', 1)[0]) for part in text.split('"src":"')[1:]]


def named(world: World, place: str) -> None:
    """Put a photo of each queued ticket, by its name, below a folder."""
    queued = json.loads((world.run / "need_review.json").read_text(encoding="utf-8"))["missions"]
    photo = next((world.folder / "photos/old/bbu_line").rglob("*.jpg"))
    for name in [name for mission in queued.values() for ticket in mission["tickets"] for name in ticket["images"]]:
        path = world.folder / place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, path)


def page_other(world: World) -> None:
    named(world, "photos/one")
    named(world, "photos/two")
    for place in ("one", "two"):
        _, shown = page(world, f"PHOTOS=photos/{place}")
        assert shown and all(
            path.exists() and path.resolve().is_relative_to(world.folder / "photos" / place) for path in shown
        )


def page_older(world: World) -> None:
    page(world)
    path = world.run / "need_review.json"
    replace(path, re.sub(rb'"t(\d)', rb'"z\1', path.read_bytes()))
    text, _ = page(world)
    queued = text.rsplit('"tickets":[', 1)[1]  # behind the audit's sample
    assert '"key":"z' in queued and '"key":"t' not in queued


def page_missing(world: World) -> None:
    page(world)
    assert "photos/nowhere" in world.refused("review-page", "PHOTOS=photos/nowhere")
    remembered = world.run / "config/made_with.json"
    remembered.write_text(
        json.dumps(
            json.loads(remembered.read_text(encoding="utf-8")) | {"photos": {"path": "photos/lost", "digest": ""}}
        ),
        encoding="utf-8",
    )
    assert "without photos (PHOTOS=photos/lost is no folder here; name one)" in world.made("review-page")
    (world.run / "need_review.json").unlink()
    assert "runs/r/bbu_line/need_review.json" in world.refused("review-page")


def page_renamed(world: World) -> None:
    named(world, "photos/one")
    before, _ = page(world, "PHOTOS=photos/one")
    (world.folder / "photos/one").rename(world.folder / "photos/uno")
    after, shown = page(world, "PHOTOS=photos/uno")
    assert after == before.replace("photos/one", "photos/uno") and all(path.exists() for path in shown)


def page_odd(world: World) -> None:
    named(world, f"photos/{ODD}")
    text, shown = page(world, f"PHOTOS=photos/{ODD}")
    assert shown and all(path.exists() for path in shown) and "/it%27s%20here/" in text


INPUTS = ("other", "older", "missing", "renamed", "odd")
CELLS = {
    "summarize": "photos",
    "fuse": "sources",
    "sft": "rows",
    "evaluate": "questions",
    "gate": "student",
    "review-page": "page",
}


@pytest.mark.parametrize("given", INPUTS)
@pytest.mark.parametrize("goal", CELLS)
def test_a_command_does_the_right_thing_with_an_input(world, goal, given):
    cell: Callable[[World], None] = globals()[f"{CELLS[goal]}_{given}"]
    cell(world)
