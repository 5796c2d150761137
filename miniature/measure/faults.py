"""Teach the miniature student a team's forms, then again from rows with one fault: does the gate see it?

    python -m miniature.measure.faults --photos 24 --output-dir runs/faults

The bundled student knows neither ``object_N`` answers nor JSON summaries. So it first learns the photos that it will be
asked by heart (the base), and then the same photos under other names from rows with outlines or paths of half the size,
or with counts taken twice (miniature/formats/losses.py); ``sound`` goes on with the right answers. Each is judged on
what the base has learnt, and the gate's reasons are printed. Tickets are drawn; no verdicts are taught, so that
sentences about false releases stand beside. What is there is kept.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
import yaml

from miniature.formats.rows import Row
from verdicts.base.jsonl import write_text
from verdicts.command.cli import run, say
from verdicts.config.load import load
from verdicts.config.tools import section_text
from verdicts.guidance import replay
from verdicts.records.guidance import write_guidance

ROOT, MISSION, DRAWN = Path(__file__).resolve().parents[2], "bbu_line", 1000
# by heart: all layers, a high rate, many epochs
LEARN = {"top_layers": 6, "rank": 64, "alpha": 128, "learning_rate": 2e-3, "batch_rows": 4, "accumulate": 1, "keep": [],
         "allow_one_sided": True, "epochs": 40.0}  # fmt: skip
AGAIN = {"epochs": 10.0, "warmup_share": 0.1}
ASK = {"batch": 24, "max_new_tokens_dense": 450}
BUNDLED = Path("data/miniature/student")
FAULTS = ("sound", "polygons", "lines", "counts")


def main(
    photos: Annotated[int, typer.Option(help="How many photos are learnt by heart.")] = 24,
    output_dir: Annotated[Path, typer.Option(help="Folder for everything that is made.")] = Path("runs/faults"),
) -> None:
    """Teach the forms, then a fault of each kind, and let the gate compare."""
    folder = output_dir.resolve()
    sound = _imported(folder, "sound")
    chosen = _shortest(sound, '"poly"', photos // 2) + _shortest(sound, '"line"', photos - photos // 2)
    chosen = sorted(set(chosen))
    for task, rows in sound.items():
        _write(folder / f"asked/{MISSION}.{task}.jsonl", [rows[at] for at in chosen])
    shutil.copy(folder / f"set.sound/tickets/{MISSION}.held_out.jsonl", folder / f"asked/{MISSION}.stage_a.jsonl")
    learnt = _write(folder / "rows/base.jsonl", _fused(sound, chosen))
    again = {
        fault: _write(folder / f"rows/{fault}.jsonl", _fused(_imported(folder, fault), chosen, folder / "again"))
        for fault in FAULTS
    }
    base = _taught(folder, "base", learnt, BUNDLED, {})
    before = _asked(folder, "base", base, base, again["sound"])
    for fault, rows in again.items():
        student = _taught(folder, fault, rows, base, AGAIN)
        after = _asked(folder, fault, student, base, rows)
        gate = folder / f"judged/{fault}.gate.json"
        _tool("tools.gate", config=_section(folder, "gate", base, {}), before=before, after=after, student=student,
              output=gate)  # fmt: skip
        say(f"{fault}: {'; '.join(json.loads(gate.read_text(encoding='utf-8'))['reasons'])}")


def _tool(tool: str, /, **options: object) -> None:
    """Run a tool; the gate alone may end with 1."""
    given = [str(word) for option, value in options.items() for word in (f"--{option.replace('_', '-')}", value)]
    ended = subprocess.run([sys.executable, "-m", tool, *given], cwd=ROOT).returncode
    if ended > (tool == "tools.gate"):
        sys.exit(f"faults: {tool} ended with {ended}")


def _imported(folder: Path, fault: str) -> dict[str, list[Row]]:
    """The v2 rows of both domains, written with this fault and imported, by task; photos by absolute paths."""
    home, plant = folder / f"set.{fault}", "" if fault == "sound" else fault
    if not (home / "key.jsonl").exists():
        _tool("miniature.formats.team_set", count=DRAWN, broken=0, tickets=0, held_out=48, seed=3, plant=plant,
              output=home)  # fmt: skip
    overlay = _yaml(folder / "import.yaml", {"import": {"prefix": True, "held_out": {"share": 0.0}}})
    rows: dict[str, list[Row]] = {"dense": [], "summary": []}
    for domain, mission in (("bbu", MISSION), ("rru", "rru_install")):
        out = home / domain
        if not (out / "import.json").exists():
            _tool("tools.import_data", data=home / f"train/{domain}/v2.jsonl", name=domain, output_dir=out,
                  mission=mission, overlay=overlay)  # fmt: skip
        for task, into in rows.items():
            for line in (out / f"{task}.jsonl").read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                into.append(row | {"images": [str((out / image).resolve()) for image in row["images"]]})
    return rows


def _shortest(rows: dict[str, list[Row]], shape: str, count: int) -> list[int]:
    """The places of the shortest answers that hold this shape."""
    having = [at for at, row in enumerate(rows["dense"]) if shape in _answer(row)]
    return sorted(having, key=lambda at: len(_answer(rows["dense"][at])) + len(_answer(rows["summary"][at])))[:count]


def _answer(row: Row) -> str:
    text: str = row["messages"][-1]["content"]
    return text


def _fused(rows: dict[str, list[Row]], chosen: list[int], again: Path | None = None) -> list[Row]:
    """Rows to train on; with ``again`` their photos are copies there, in other groups."""
    out = []
    for task in rows:
        for at in chosen:
            row = rows[task][at]
            image, group = Path(row["images"][0]), row["group_id"]
            if again:
                again.mkdir(exist_ok=True)
                image, group = Path(shutil.copy(image, again / image.name)), f"again-{group}"
            out.append(row | {"images": [str(image)], "group_id": group, "task": task, "source": task, "weight": 1.0})
    return out


def _taught(folder: Path, name: str, rows: Path, base: Path, more: dict[str, object]) -> Path:
    """The checkpoint of a student that was taught these rows."""
    home = folder / "students" / name
    if not (home / "metrics.json").exists():
        config = _section(folder, "sft", base, {"sft": LEARN | more})
        _tool("tools.sft", config=config, train=rows, val=_write(folder / "rows/none.jsonl", []), output_dir=home)
    return home / "merged"


def _asked(folder: Path, name: str, student: Path, base: Path, trained: Path) -> Path:
    """The evaluation of a student on what the base has learnt."""
    output, guidance = folder / f"judged/{name}.json", folder / "guidance.json"
    mission = load("miniature", MISSION).mission
    write_guidance(guidance, mission.name, replay.start(mission))
    asked = {kind: folder / f"asked/{MISSION}.{kind}.jsonl" for kind in ("summary", "dense")}
    _tool("tools.evaluate", config=_section(folder, "evaluate", base, {"evaluate": ASK}), guidance=guidance,
          student=student, trained=trained, tickets=folder / f"asked/{MISSION}.stage_a.jsonl", output=output,
          **asked)  # fmt: skip
    return output


def _section(folder: Path, name: str, base: Path, more: dict[str, object]) -> Path:
    """A tool's section of the configuration, for this base."""
    overlay = _yaml(folder / "config/more.yaml", {"student": {"model": str(base)}} | more)
    return _text(folder / f"config/{name}.yaml", section_text(load("miniature", MISSION, overlay), name))


def _yaml(path: Path, value: object) -> Path:
    return _text(path, yaml.safe_dump(value, allow_unicode=True))


def _write(path: Path, rows: list[Row]) -> Path:
    return _text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
    return path


if __name__ == "__main__":
    run(main)
