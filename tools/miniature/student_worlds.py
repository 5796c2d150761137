"""Measure the student in miniature worlds: taught as the demo does it, and with one thing changed at a time.

    make student-worlds        (python -m tools.miniature.student_worlds --seeds 3 --output-dir runs/student_worlds)

For each seed the demo's steps up to the corpus, in a world of its own; then every variant of VARIANTS is fused, taught and
evaluated on the same held-out tickets and photos. Prints a row a variant and seed and writes results.json. ``--step
prepare`` ends before the teaching, ``--step teach`` goes on from there (on a GPU host, say, ``--jobs`` of them at a time).
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer

from tools.core.cli import run

MISSION = "bbu_line"
SETS = {"tickets": ("320", "11", "0.05"), "old": ("200", "12", "0"), "held_out": ("160", "13", "0")}  # tickets, seed, share of wrong labels; as make/demo.mk
# What differs from configs/fusion/demo.yaml and the sft section: sources left out, the corpus file, sft knobs.
VARIANTS: dict[str, dict[str, Any]] = {
    "demo": {},
    "chat only": {"leave": ("dense", "summary")},
    "unfiltered corpus": {"corpus": "distill_chatml.jsonl"},
    "top layer": {"sft": {"top_layers": 1}},
    "top 3 layers": {"sft": {"top_layers": 3}},
    "all 6 layers": {"sft": {"top_layers": 6}},
}


def main(
    seeds: Annotated[int, typer.Option(help="Worlds, seeds 1, 2, …")] = 3,
    output_dir: Annotated[Path, typer.Option(help="Folder for everything.")] = Path("runs/student_worlds"),
    step: Annotated[str, typer.Option(help="prepare | teach | all")] = "all",
    jobs: Annotated[int, typer.Option(help="Variants taught at a time.")] = 1,
) -> None:
    """Prepare the worlds, teach every variant, print the table."""
    from tools.core.jsonl import write_json

    worlds = {seed: output_dir / str(seed) for seed in range(1, seeds + 1)}
    if step in ("prepare", "all"):
        for seed, folder in worlds.items():
            prepare(seed, folder)
    if step in ("teach", "all"):
        with ThreadPoolExecutor(jobs) as pool:
            rows = list(pool.map(lambda asked: teach(*asked), [(name, folder) for name in ("before", *VARIANTS) for folder in worlds.values()]))
        write_json(output_dir / "results.json", {"mission": MISSION, "rows": rows})


def call(tool: str, *words: object) -> None:
    """Run a tool of the project; its errors end the measurement."""
    subprocess.run([sys.executable, "-m", f"tools.{tool}", *map(str, words)], check=True)


def prepare(seed: int, folder: Path) -> None:
    """Draw, summarise, converge, distil: what is there already is kept."""
    for name, (tickets, tickets_seed, flip) in SETS.items():
        if not (folder / "photos" / name / f"{MISSION}.truth.jsonl").exists():
            call("miniature.photos", "--mission", MISSION, "--seed", seed, "--tickets", tickets, "--tickets-seed", tickets_seed, "--flip", flip,
                 "--output", folder / "photos" / name)  # fmt: skip
    call("prepare", "--models", "miniature", "--mission", MISSION, "--run-dir", folder / MISSION)
    for name, output in (("tickets", folder / "tickets.jsonl"), ("held_out", folder / "held_out.jsonl")):
        if not output.exists():
            call("summarize", "--config", folder / MISSION / "config/summarize.yaml", "--mission", MISSION, "--input", folder / "photos" / name / MISSION,
                 "--output", output)  # fmt: skip
    subprocess.run(["make", "distill", f"MISSION={MISSION}", f"RUNS={folder.parent}", f"RUN={folder.name}", f"STAGE_A={folder / 'tickets.jsonl'}"], check=True)


def teach(name: str, folder: Path) -> dict[str, Any]:
    """Fuse, teach and evaluate one variant (``before``: the student as it is)."""
    import yaml

    from tools.core.config import read_yaml
    from tools.core.jsonl import write_text

    change, out = VARIANTS.get(name, {}), folder / "variants" / name.replace(" ", "_")
    mix = read_yaml(Path("configs/fusion/demo.yaml"))
    mix["sources"] = [source for source in mix["sources"] if source["name"] not in change.get("leave", ())]
    for source in mix["sources"]:
        chat = source["name"] == "chat"
        source["paths"] = [str(folder / MISSION / change.get("corpus", "distill.train.jsonl") if chat else folder / "photos/old" / f"{MISSION}.{source['name']}.jsonl")]
        if chat:
            source["val"] = {"share": 0.1} if "corpus" in change else {"paths": [str(folder / MISSION / "distill.val.jsonl")]}
    write_text(out / "mix.yaml", yaml.safe_dump(mix, allow_unicode=True))
    section = read_yaml(folder / MISSION / "config/sft.yaml")
    write_text(out / "sft.yaml", yaml.safe_dump(section | {"sft": section["sft"] | change.get("sft", {})}))
    call("fuse", "--config", out / "mix.yaml", "--output-dir", out)
    if name != "before":
        call("sft", "--config", out / "sft.yaml", "--train", out / "mix.train.jsonl", "--val", out / "mix.val.jsonl", "--output-dir", out)
    return evaluate(folder, name, out)


def evaluate(folder: Path, name: str, out: Path) -> dict[str, Any]:
    """Ask the student of a variant the world's held-out questions; prints and returns the row of the table."""
    from tools.core.evaluation import Evaluation
    from tools.core.jsonl import read_json

    output, photos = out / "evaluation.json", folder / "photos/held_out"
    call("evaluate", "--config", folder / MISSION / "config/evaluate.yaml", "--tickets", folder / "held_out.jsonl", "--guidance", folder / MISSION / "guidance.json",
         "--trained", out / "mix.train.jsonl", "--summary", photos / f"{MISSION}.summary.jsonl", "--dense", photos / f"{MISSION}.dense.jsonl", "--output", output,
         *(["--student", out / "merged"] if name != "before" else []))  # fmt: skip
    found = read_json(output, Evaluation)
    row = {"variant": name, "seed": int(folder.name)} | {key: getattr(found.chat, key).model_dump() for key in ("frr", "false_block", "format")}
    row |= {"summary_exact": found.summary.exact.rate, "attribute_f1": found.summary.attribute_f1.f1, "dense_f1": found.dense.f1.f1}
    print(sentence(row), flush=True)
    return row


def sentence(row: dict[str, Any]) -> str:
    """One line of the table."""
    rates = ", ".join(f"{title} {row[key]['rate']:.1%} ({row[key]['k']}/{row[key]['n']})" for key, title in (("frr", "FRR"), ("false_block", "false block"), ("format", "format")))
    return f"{row['variant']:18} seed {row['seed']}: {rates}, summary {row['summary_exact']:.1%}, attribute F1 {row['attribute_f1']:.2%}, dense F1 {row['dense_f1']:.2%}"


if __name__ == "__main__":
    run(main)
