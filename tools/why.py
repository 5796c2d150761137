"""Say why a file would be made again, or that it is up to date and what an edit of it would cost.

    python -m tools.why --file runs/miniature/bbu_line/guidance.json

Asks make (make -n) and reads its answer; runs no step and writes nothing. The run is taken from the file's path, and
what it was made with from its memory; CONFIG and the like ask what naming another one would do.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verdicts.command.cli import run

if TYPE_CHECKING:
    from verdicts.runs.make_graph import DryRun, Graph

CAUSES_SHOWN = 5
NEEDS_SHOWN = 12


def main(
    file: Annotated[Path, typer.Option(help="A file of a run (or of data/fused), as its path is written.")],
    run_dir: Annotated[Path | None, typer.Option(help="The run to ask, where the file lies in none.")] = None,
    models: Annotated[str | None, typer.Option(help="Model set, if not the run's own.")] = None,
    tickets: Annotated[str | None, typer.Option(help="Stage-A tickets, if not the run's own.")] = None,
    overlay: Annotated[
        str | None, typer.Option(help="One more YAML laid over the configuration, if not the run's own.")
    ] = None,
    fusion: Annotated[
        str | None, typer.Option(help="Mix of the student's training data, if not the run's own.")
    ] = None,
    make: Annotated[str, typer.Option(help="The make to ask.")] = "make",
) -> None:
    """Say why a file would be made again."""
    from verdicts.base.errors import mistake
    from verdicts.base.plain import plain_lines
    from verdicts.runs.make_graph import Graph

    if file == Path():
        raise mistake("no file is given", "name one: make why FILE=runs/miniature/bbu_line/guidance.json")
    folder = folder_of_run(file)
    asked = folder or (run_dir if run_dir and is_run(run_dir) else None)
    changed, settled = configuration(asked, models, tickets, overlay, fusion) if asked else ({}, {})
    graph = Graph(
        make,
        [f"RUNS={asked.parent.parent}", f"RUN={asked.parent.name}", f"MISSION={asked.name}"] if asked else [],
        settled,
    )
    answer = graph.ask([str(file)], changed)
    if answer.error and not file.exists():
        raise mistake(
            "is not there, and no rule makes it", "check FILE (and RUNS, where runs lie elsewhere)", path=file
        )
    if answer.error:
        raise mistake(
            f"make would stop: {answer.error.rstrip('.').replace('  Stop', '')}", "bring that file back", path=file
        )
    if str(file) in changed:
        lines = [f"{file} would be written again by prepare: {changed[str(file)]}."]
    else:
        told = reasons(answer, file, changed, asked) if str(file) in answer.newer else []
        lines = told or [*standing(graph, file, folder, asked), *consequences(graph, file, changed)]
    print(plain_lines(lines))


def is_run(folder: Path) -> bool:
    """Whether a run was prepared there."""
    return any((folder / "config" / name).exists() for name in ("made_with.json", "tickets.json"))


def folder_of_run(file: Path) -> Path | None:
    """The run folder that a file lies in; None for a file outside of runs."""
    return next((folder for folder in file.parents if is_run(folder)), None)


def configuration(
    folder: Path, models: str | None, tickets: str | None, overlay: str | None, fusion: str | None
) -> tuple[dict[str, str], dict[str, str]]:
    """What prepare, which runs first, would write into the run (path -> why), and what it would settle for make."""
    from tools import prepare
    from verdicts.runs.naming import Choice, remembered

    choice = Choice(folder, remake=True)
    was, source = remembered(folder)
    made = prepare.settle(choice, was, source is None, models, overlay, None, fusion)
    taken = choice.tickets(tickets, source, may_draw=False) if source or tickets else None
    texts = prepare.sections(made, folder.name, folder, tickets=taken is not None)
    new = prepare.not_yet(texts, taken, folder, prepare.entry_of(made, folder.name, folder, taken))
    settled = prepare.environment(made, taken, folder, None, {"fuse"}, everything=False) | prepare.prompts_in(texts)
    return {str(path): why for path, why in new.items()}, settled


def reasons(answer: DryRun, file: Path, changed: dict[str, str], run: Path | None) -> list[str]:
    """Why a file would be made again: the chain to each root cause. Empty where times differ, but no content."""
    from verdicts.base.made import stale
    from verdicts.runs.make_graph import STALE, chains, steps_text

    other = stale([run, Path("data/fused"), Path("checkpoints")]) if run else {}
    found = [chain for chain in chains(answer, str(file)) if chain[-1] in changed or not by_time_alone(chain, run)]
    if not found:
        return []
    lines = [f"{file} would be made again."]
    for chain in found[:CAUSES_SHOWN]:
        cause, path = chain[-1], " <- ".join(chain)
        if cause.startswith(STALE):
            path = " <- ".join(chain[:-1])
            lines.append(
                f"Because {chain[-2]} was made from something else: "
                f"{', '.join(other.get(Path(chain[-2]), ['make -B']))} changed since."
            )
        elif cause in changed:
            lines.append(f"Because prepare would write {cause} again: {changed[cause]}.")
        elif not Path(cause).exists():
            lines.append(f"Because {cause} does not exist.")
        else:
            lines.append(f"Because {cause} ({when(cause)}) is newer than {chain[-2]} ({when(chain[-2])}).")
        if " <- " in path and len(chain) > 2:
            lines.append(f"  {path}")
    lines += [f"… and {len(found) - CAUSES_SHOWN} causes more."] if len(found) > CAUSES_SHOWN else []
    lines.append(
        f"It takes: {steps_text(answer.steps)}." + (" What stands in it now is overwritten." if file.exists() else "")
    )
    if any(tool == "next_round" for tool, _ in answer.steps):
        lines.append("next_round then asks for new rounds as long as rules change.")
    return lines


def by_time_alone(chain: list[str], run: Path | None) -> bool:
    """Whether the file that a cause would make again was made from it as it stands: then its tool keeps the file."""
    from verdicts.base.made import changes, notes_below, outputs_of, run_folder

    if len(chain) < 2 or not Path(chain[-1]).exists() or run is None:
        return False
    for folder, noted in notes_below([run, Path("data/fused"), Path("checkpoints")]):
        if Path(chain[-2]) in outputs_of(folder, noted):
            return not changes(noted, run_folder(folder))
    return False


def when(path: str) -> str:
    """When a file was last written, to the second; with the fraction where two files may share a second."""
    import datetime

    return datetime.datetime.fromtimestamp(Path(path).stat().st_mtime).isoformat(sep=" ", timespec="milliseconds")


def standing(graph: Graph, file: Path, folder: Path | None, run: Path | None) -> list[str]:
    """What to say of a file that would stay as it is. What it was made from stands in its note, else in make's rule."""
    from verdicts.base.made import code_digest, notes_below, outputs_of

    needs = graph.prerequisites(str(file))
    note = next(
        (
            noted
            for at, noted in notes_below([run, Path("data/fused"), Path("checkpoints")] if run else [])
            if file in outputs_of(at, noted)
        ),
        None,
    )
    if note:
        needs = [name.replace("{run}", str(run)) for name in note["inputs"]]
    if folder and file == folder / "stage_a.jsonl":
        return [
            f"{file} stays as it is: prepare takes it from its source, and again only where the source's content "
            "changes."
        ]
    if folder and file.parent == folder / "config":
        return [
            f"{file} stays as it is: prepare writes it, and again only where configs/ or CONFIG say something else."
        ]
    if not needs and folder is None:
        return [
            f"{file} is an input: make never writes it. Ask about a file of a run to see whether that run is behind it."
        ]
    if not needs:
        return [f"{file} is an input: no rule makes it, so make never writes it."]
    more = [f"  … and {len(needs) - NEEDS_SHOWN} more"] if len(needs) > NEEDS_SHOWN else []
    lines = [
        f"{file} is up to date.",
        "It would be made again if one of these changed:",
        *(f"  {name}" for name in needs[:NEEDS_SHOWN]),
        *more,
    ]
    if note and note["code"] != code_digest(note["tool"]):
        lines.append(f"The code of {note['tool']} has changed since; that alone makes nothing again (DEV=1 would).")
    return lines


def consequences(graph: Graph, file: Path, changed: dict[str, str]) -> list[str]:
    """What an edit of the file would cost: the steps that `make distill fuse` would take more than without it."""
    from verdicts.runs.make_graph import steps_text

    goals = ["distill", *(["fuse"] if Path("data/fused").is_dir() else [])]
    without = set(graph.ask(goals, changed).steps)
    more = [step for step in graph.ask(goals, [*changed, str(file)]).steps if step not in without]
    if more:
        return [f"An edit of it would run: {steps_text(more)} (make {' '.join(goals)})."]
    return ["Nothing is made from it."] if folder_of_run(file) else []


if __name__ == "__main__":
    run(main)
