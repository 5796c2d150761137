"""Measure the student in miniature worlds: taught as the demo does it, and with one thing changed at a time.

    make student-worlds        (python -m miniature.measure.students --output-dir runs/student_worlds)

For each world the demo's steps up to the corpus; then every variant of VARIANTS is fused, taught and evaluated on the
same held-out tickets and photos: <world>/variants/<variant>/evaluation.json, and a line printed. ``--step prepare``
ends before the teaching, ``--step teach`` goes on from there (on a GPU host, say, ``--jobs`` variants at a time). What
is there is kept.
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from verdicts.command.cli import run

MISSION = "bbu_line"
# Tickets, seed, share of wrong labels: as make/demo.mk, but more held-out tickets and photos for narrow intervals.
SETS = {"tickets": ("320", "11", "0.05"), "old": ("200", "12", "0"), "held_out": ("400", "13", "0")}
CORPUS, UNFILTERED = "distill.train.jsonl", "distill_chatml.jsonl"
RELEASING = f"releasing/{MISSION}/"  # a run whose teacher is the untaught student, which releases nearly all
HARD = {"top_layers": 6, "learning_rate": 2e-3, "epochs": 6.0}
# What differs from configs/fusion/demo.yaml and the sft section: sources left out, the corpus (below the world's
# folder), sft knobs.
VARIANTS: dict[str, dict[str, Any]] = {
    "demo": {},
    "top layer": {"sft": {"top_layers": 1}},
    "top 3 layers": {"sft": {"top_layers": 3}},
    "all 6 layers": {"sft": {"top_layers": 6}},
    "replay taught": {"sft": {"keep": []}},
    "chat only": {"leave": ("dense", "summary")},
    "hard": {"sft": HARD},
    "hard, chat only": {"sft": HARD, "leave": ("dense", "summary")},
    "unfiltered": {"corpus": f"{MISSION}/{UNFILTERED}"},
    "releasing teacher": {"corpus": RELEASING + CORPUS},
    "releasing teacher, unfiltered": {"corpus": RELEASING + UNFILTERED},
}


def main(
    world: Annotated[list[int], typer.Option(help="Seeds of the worlds; may be repeated.")] = [1, 2, 3],  # noqa: B006  typer copies it
    output_dir: Annotated[Path, typer.Option(help="Folder for everything.")] = Path("runs/student_worlds"),
    step: Annotated[str, typer.Option(help="prepare | teach | all")] = "all",
    jobs: Annotated[int, typer.Option(help="Variants taught at a time.")] = 1,
    batch: Annotated[int, typer.Option(help="Held-out questions answered together.")] = 32,
) -> None:
    """Prepare the worlds, teach every variant, print the table."""
    folders = [output_dir / str(seed) for seed in world]
    if step in ("prepare", "all"):
        for seed, folder in zip(world, folders, strict=True):
            prepare(seed, folder)
    if step in ("teach", "all"):
        with ThreadPoolExecutor(jobs) as pool:
            list(
                pool.map(
                    lambda asked: teach(*asked, batch),
                    [(name, folder) for name in ("before", *VARIANTS) for folder in folders],
                )
            )


def call(tool: str, *words: object) -> None:
    """Run a tool of the project; its errors end the measurement."""
    subprocess.run([sys.executable, "-m", tool, *map(str, words)], check=True)


def prepare(seed: int, folder: Path) -> None:
    """Draw, summarise, converge and distil; then distil again with the untaught student as teacher.

    The second time under the rules found before. What is there is kept.
    """
    from miniature.measure.worlds import guard_of
    from miniature.world.photo_worlds import drawable_world
    from verdicts.base.jsonl import read_json, write_text
    from verdicts.config.load import load
    from verdicts.records.guidance import GuidanceFile

    for name, (tickets, tickets_seed, flip) in SETS.items():
        if not (folder / "photos" / name / f"{MISSION}.truth.jsonl").exists():
            call("miniature.drawing.photos", "--mission", MISSION, "--seed", seed, "--tickets", tickets,
                 "--tickets-seed", tickets_seed, "--flip", flip,
                 "--output", folder / "photos" / name)  # fmt: skip
    call("tools.prepare", "--models", "miniature", "--mission", MISSION, "--run-dir", folder / MISSION)
    for name, output in (("tickets", folder / "tickets.jsonl"), ("held_out", folder / "held_out.jsonl")):
        if not output.exists():
            call("tools.summarize", "--config", folder / MISSION / "config/summarize.yaml", "--mission", MISSION,
                 "--input", folder / "photos" / name / MISSION,
                 "--output", output)  # fmt: skip
    guard = {"fail_first": guard_of(drawable_world(seed, MISSION), load("miniature", MISSION).fail_first).model_dump()}
    write_text(folder / "guard.yaml", yaml.safe_dump(guard, allow_unicode=True))
    distil(folder, folder.name, f"CONFIG={folder / 'guard.yaml'}")
    (guidance,) = read_json(folder / MISSION / "guidance.json", GuidanceFile).root.values()
    rules = [text for key, text in guidance.experiences.items() if key != "G0"]
    overlay = guard | {
        "engine": {"kind": "transformers", "model": "data/miniature/student"},
        "mission": {"rules": rules},
        "life_cycle": {"min_miss": 10**9},
    }
    write_text(folder / "releasing.yaml", yaml.safe_dump(overlay, allow_unicode=True))
    distil(folder, f"{folder.name}/releasing", f"CONFIG={folder / 'releasing.yaml'}")


def distil(folder: Path, run_name: str, *settings: str) -> None:
    """Converge and distil the world's tickets, through Make."""
    subprocess.run(
        [
            "make",
            "distill",
            f"MISSION={MISSION}",
            f"RUNS={folder.parent}",
            f"RUN={run_name}",
            f"STAGE_A={folder / 'tickets.jsonl'}",
            *settings,
        ],
        check=True,
    )


def teach(name: str, folder: Path, batch: int) -> None:
    """Fuse, teach and evaluate one variant (``before``: the student as it is).

    One that was evaluated is shown again.
    """
    from verdicts.base.jsonl import write_text
    from verdicts.config.load import read_yaml

    change, out = VARIANTS.get(name, {}), folder / "variants" / name.replace(", ", "_").replace(" ", "_")
    mix = read_yaml(Path("configs/fusion/demo.yaml"))
    mix["sources"] = [source for source in mix["sources"] if source["name"] not in change.get("leave", ())]
    for source in mix["sources"]:
        if source["name"] == "chat":
            corpus = folder / change.get("corpus", f"{MISSION}/{CORPUS}")
            source |= {
                "paths": [str(corpus)],
                "val": {"share": 0.1}
                if corpus.name == UNFILTERED
                else {"paths": [str(corpus.with_name("distill.val.jsonl"))]},
            }
        else:
            source["paths"] = [str(folder / "photos/old" / f"{MISSION}.{source['name']}.jsonl")]
    sections = {name: read_yaml(folder / MISSION / f"config/{name}.yaml") for name in ("sft", "evaluate")}
    sections["sft"]["sft"] |= change.get("sft", {})
    sections["evaluate"]["evaluate"] |= {"batch": batch, "tickets": 10_000, "photos": 10_000}
    for section, text in ({"mix": mix} | sections).items():
        write_text(out / f"{section}.yaml", yaml.safe_dump(text, allow_unicode=True))
    if not (out / "evaluation.json").exists():
        call("tools.fuse", "--config", out / "mix.yaml", "--output-dir", out)
        if name != "before":
            call(
                "tools.sft",
                "--config",
                out / "sft.yaml",
                "--train",
                out / "mix.train.jsonl",
                "--val",
                out / "mix.val.jsonl",
                "--output-dir",
                out,
            )
        photos = folder / "photos/held_out"
        call("tools.evaluate", "--config", out / "evaluate.yaml", "--tickets", folder / "held_out.jsonl", "--guidance",
             folder / MISSION / "guidance.json",
             "--trained", out / "mix.train.jsonl", "--summary", photos / f"{MISSION}.summary.jsonl", "--dense",
             photos / f"{MISSION}.dense.jsonl",
             "--output", out / "evaluation.json",
             *(["--student", out / "merged"] if name != "before" else []))  # fmt: skip
    print(result_line(name, folder, out), flush=True)


def result_line(name: str, folder: Path, out: Path) -> str:
    """One line of the table; the change of dense F1 against ``before`` stands with it where that was evaluated."""
    from verdicts.base.jsonl import read_json
    from verdicts.records.evaluation import Evaluation

    found = read_json(out / "evaluation.json", Evaluation)
    rates = ", ".join(
        f"{title} {rate.rate:.1%} ({rate.k}/{rate.n})"
        for title, rate in (
            ("FRR", found.chat.frr),
            ("false block", found.chat.false_block),
            ("format", found.chat.format),
        )
    )
    return (
        f"world {folder.name} {name:30} {rates}, {found.summary.photos} photos: summary exact "
        f"{found.summary.exact.rate:.1%}, "
        f"attribute F1 {found.summary.attribute_f1.f1:.2%}, dense F1 {found.dense.f1.f1:.2%}"
    )


if __name__ == "__main__":
    run(main)
