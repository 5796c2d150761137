"""Bring in what a run is made of: its tickets, and each tool's own section of the merged configuration.

    python -m tools.prepare --models miniature --mission bbu_line --tickets tickets.jsonl --run-dir runs/miniature/bbu_line

    configs/base.yaml, models/*.yaml, missions/*.yaml, CONFIG=… ──> config/<tool>.yaml
    tickets.jsonl                                               ──> stage_a.jsonl (and config/tickets.json: where from)

A file is rewritten only when its content changes, so that Make rebuilds only what depends on it. The run's own
stage_a.jsonl may be edited by hand: it is taken anew only when its source has changed. With --dry-run nothing is
written; each file that would be is printed with the reason.
"""

from pathlib import Path
from typing import Annotated

import typer

from tools.core.cli import run

STUDENT_TOOLS = ("summarize", "sft", "evaluate", "gate")  # they can do without tickets, and a knob of theirs touches no round


def main(
    models: Annotated[str, typer.Option(help="Model set: configs/models/<name>.yaml.")],
    mission: Annotated[str, typer.Option(help="Mission slug: configs/missions/<slug>.yaml.")],
    run_dir: Annotated[Path, typer.Option(help="runs/<RUN>/<MISSION>.")],
    tickets: Annotated[Path | None, typer.Option(help="Stage-A tickets to take; without it the student's sections alone are written.")] = None,
    overlay: Annotated[Path | None, typer.Option(help="One more YAML laid over the configuration.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be written, and why; write nothing.")] = False,
) -> None:
    """Write the section files and the run's tickets."""
    from tools.core.config import SECTIONS, load, read_yaml, section_text
    from tools.core.jsonl import write_text_if_changed

    config = load(models, mission, overlay)
    sections = {run_dir / "config" / f"{tool}.yaml": section_text(config, tool) for tool in (SECTIONS if tickets else STUDENT_TOOLS)}
    if dry_run:
        for path, text in sections.items():
            if why := "it is not there" if not path.exists() else differences(read_yaml(path), text):
                print(f"{path}: {why}")
        if tickets and new_source(tickets, run_dir) is not None:
            print(f"{run_dir / 'stage_a.jsonl'}: {tickets} is new to this run, or has changed since it was taken")
        return
    changed = take_tickets(tickets, config.mission.name, run_dir) if tickets else False
    for path, text in sections.items():
        changed |= write_text_if_changed(path, text)
    stamp = run_dir / "config" / ("prepared.mk" if tickets else "configured.mk")
    if changed or not stamp.exists():
        stamp.write_text("# Made by tools.prepare; its time says when config or tickets last changed.\n", encoding="utf-8")


def differences(was: dict, text: str) -> str:
    """What another section file says differently: ``engine.slots 16 -> 32, …``; empty where nothing."""
    import yaml

    from tools.core.config import flat

    old, new = flat(was), flat(yaml.safe_load(text))
    return ", ".join(f"{name} {old.get(name, 'absent')} -> {new.get(name, 'absent')}" for name in [*new, *(old.keys() - new.keys())] if old.get(name) != new.get(name))


def new_source(source: Path, run_dir: Path) -> str | None:
    """The source's hash where the run should take it ("" where it is no file, for reading to name); None where the run's copy stands."""
    import hashlib
    import json

    kept, note = run_dir / "stage_a.jsonl", run_dir / "config" / "tickets.json"
    taken = json.loads(note.read_text(encoding="utf-8")) if kept.exists() and note.exists() else {}
    if taken.get("source") == str(source) and not source.exists():
        return None  # gone since
    digest = hashlib.sha256(source.read_bytes()).hexdigest() if source.is_file() else ""
    return None if digest and taken.get("sha256") == digest else digest


def take_tickets(source: Path, mission: str, run_dir: Path) -> bool:
    """Copy checked tickets into the run where their content is new. Returns whether it wrote."""
    digest = new_source(source, run_dir)
    if digest is None:
        return False

    from tools.core.cli import say
    from tools.core.jsonl import write_json, write_text
    from tools.core.records import read_tickets

    rows = read_tickets(source, mission)
    write_text(run_dir / "stage_a.jsonl", source.read_text(encoding="utf-8-sig"))
    write_json(run_dir / "config" / "tickets.json", {"source": str(source), "sha256": digest})
    say(f"tickets: {len(rows)} from {source} (of {mission}: {sum(row.label == 'fail' for row in rows)} fail, {sum(row.label == 'pass' for row in rows)} pass)")
    return True


if __name__ == "__main__":
    run(main, writes="run_dir")
