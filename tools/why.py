"""Say why a file would be made again, or that it is up to date and what an edit of it would cost.

    python -m tools.why --file runs/miniature/bbu_line/guidance.json

Asks make (make -n) and reads its answer; runs no step and writes nothing. The run is taken from the file's path. A run made
with other MODELS, CONFIG or STAGE_A wants them here too: make why FILE=… MODELS=qwen3 CONFIG=my.yaml
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tools.core.cli import run

if TYPE_CHECKING:
    from tools.core.graph import Answer, Graph

CAUSES_SHOWN = 5
NEEDS_SHOWN = 12


def main(
    file: Annotated[Path, typer.Option(help="A file of a run (or of data/fused), as its path is written.")],
    make: Annotated[str, typer.Option(help="The make to ask.")] = "make",
) -> None:
    """Say why a file would be made again."""
    from tools.core.errors import mistake
    from tools.core.graph import Graph

    if file == Path():
        raise mistake("no file is given", "name one: make why FILE=runs/miniature/bbu_line/guidance.json")
    folder = run_folder(file)
    graph = Graph(make, variables(folder))
    changed = configuration(graph, folder) if folder else {}
    answer = graph.ask([str(file)], changed)
    if answer.error and not file.exists():
        raise mistake("is not there, and no rule makes it", "check FILE (and RUNS, where runs lie elsewhere)", path=file)
    if answer.error:
        raise mistake(f"make would stop: {answer.error.rstrip('.').replace('  Stop', '')}", "bring that file back", path=file)
    if str(file) in changed:
        lines = [f"{file} would be written again by prepare: {changed[str(file)]}."]
    elif str(file) in answer.newer:
        lines = reasons(answer, file, changed)
    else:
        lines = [*standing(graph, file, folder), *consequences(graph, file, changed)]
    print("\n".join(lines))


def run_folder(file: Path) -> Path | None:
    """The run folder that a file lies in: the nearest folder above it with a config/prepared.mk; None for a file outside of runs."""
    return next((folder for folder in file.parents if (folder / "config" / "prepared.mk").exists()), None)


def variables(folder: Path | None) -> list[str]:
    """The variables that name a run; MODELS too, where the run bears the name of a model set (RUN defaults to it) and nothing else is said."""
    import os

    if folder is None:
        return []
    words = [f"RUNS={folder.parent.parent}", f"RUN={folder.parent.name}", f"MISSION={folder.name}"]
    said = "MODELS=" in os.environ.get("MAKEFLAGS", "") or "MODELS" in os.environ
    return words if said or not Path("configs/models", f"{folder.parent.name}.yaml").exists() else [*words, f"MODELS={folder.parent.name}"]


def configuration(graph: Graph, folder: Path) -> dict[str, str]:
    """What prepare, which runs before all else, would write into the run: path -> why."""
    import shlex
    import subprocess

    from tools.core.errors import UserError

    command = next(line for line in graph.recipe(str(folder / "config" / "prepared.mk")) if "-m tools.prepare" in line)
    done = subprocess.run([*shlex.split(command), "--dry-run"], capture_output=True, text=True)
    if done.returncode == 2:
        raise UserError(done.stderr.strip())
    done.check_returncode()
    return dict(line.split(": ", 1) for line in done.stdout.splitlines())


def reasons(answer: Answer, file: Path, changed: dict[str, str]) -> list[str]:
    """Why a file would be made again: for each root cause the chain that leads to it."""
    from tools.core.graph import chains, steps_text

    found = chains(answer, str(file))
    lines = [f"{file} would be made again."]
    for chain in found[:CAUSES_SHOWN]:
        cause, path = chain[-1], " <- ".join(chain)
        if cause in changed:
            lines.append(f"Because prepare would write {cause} again: {changed[cause]}.")
        elif not Path(cause).exists():
            lines.append(f"Because {cause} does not exist.")
        else:
            lines.append(f"Because {cause} ({when(cause)}) is newer than {chain[-2]} ({when(chain[-2])}).")
        if len(chain) > 2:
            lines.append(f"  {path}")
    lines += [f"… and {len(found) - CAUSES_SHOWN} causes more."] if len(found) > CAUSES_SHOWN else []
    lines.append(f"It takes: {steps_text(answer.steps)}." + (" What stands in it now is overwritten." if file.exists() else ""))
    if any(tool == "next_round" for tool, _ in answer.steps):
        lines.append("next_round then asks for new rounds as long as rules change.")
    if any(cause.endswith(".yaml") for cause in changed):
        lines.append("(The configuration differs from the run's. If the run was made with other MODELS= or CONFIG=, name them here and for every make.)")
    return lines


def when(path: str) -> str:
    """When a file was last written, to the second; with the fraction where two files may share a second."""
    import datetime

    return datetime.datetime.fromtimestamp(Path(path).stat().st_mtime).isoformat(sep=" ", timespec="milliseconds")


def standing(graph: Graph, file: Path, folder: Path | None) -> list[str]:
    """What is to be said of a file that would stay as it is."""
    needs, order = graph.prerequisites(str(file))
    if folder and file == folder / "stage_a.jsonl":
        return [f"{file} stays as it is: prepare takes it from its source, and again only where the source's content changes."]
    if folder and file.parent == folder / "config":
        return [f"{file} stays as it is: prepare writes it, and again only where configs/ or CONFIG say something else."]
    if not needs and folder is None:
        return [f"{file} is an input: make never writes it. Ask about a file of a run to see whether that run is behind it."]
    if not needs:
        return [f"{file} is an input: no rule makes it, so make never writes it."]
    more = [f"  … and {len(needs) - NEEDS_SHOWN} more"] if len(needs) > NEEDS_SHOWN else []
    lines = [f"{file} is up to date.", "It would be made again if one of these changed:", *(f"  {name}" for name in needs[:NEEDS_SHOWN]), *more]
    for script in (name for name in order if name.endswith(".py")):
        if Path(script).stat().st_mtime > file.stat().st_mtime:
            lines.append(f"{script} has changed since; that alone makes nothing again (DEV=1 would).")
    return lines


def consequences(graph: Graph, file: Path, changed: dict[str, str]) -> list[str]:
    """What an edit of the file would cost: the steps that `make distill fuse` would take more than without it."""
    from tools.core.graph import steps_text

    goals = ["distill", *(["fuse"] if Path("data/fused").is_dir() else [])]
    without = set(graph.ask(goals, changed).steps)
    more = [step for step in graph.ask(goals, [*changed, str(file)]).steps if step not in without]
    if more:
        return [f"An edit of it would run: {steps_text(more)} (make {' '.join(goals)})."]
    return ["Nothing is made from it."] if run_folder(file) else []


if __name__ == "__main__":
    run(main)
