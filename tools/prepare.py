"""Bring in what a run is made of: its tickets, and each tool's own section of the merged configuration.

    python -m tools.prepare --models miniature --mission bbu_line --tickets tickets.jsonl --run-dir runs/miniature/bbu_line

    configs/base.yaml, models/*.yaml, missions/*.yaml, CONFIG=… ──> config/<tool>.yaml
    tickets.jsonl                                               ──> stage_a.jsonl (and config/tickets.json: where from)

A file is rewritten only when its content changes, so that Make rebuilds only what depends on it. The run's own
stage_a.jsonl may be edited by hand: it is taken anew only when its source has changed.
"""

from pathlib import Path
from typing import Annotated

import typer

from tools.core.cli import run


def main(
    models: Annotated[str, typer.Option(help="Model set: configs/models/<name>.yaml.")],
    mission: Annotated[str, typer.Option(help="Mission slug: configs/missions/<slug>.yaml.")],
    run_dir: Annotated[Path, typer.Option(help="runs/<RUN>/<MISSION>.")],
    tickets: Annotated[Path | None, typer.Option(help="Stage-A tickets to take; without it the sections alone are written, as summarize needs them.")] = None,
    overlay: Annotated[Path | None, typer.Option(help="One more YAML laid over the configuration.")] = None,
) -> None:
    """Write the section files and the run's tickets."""
    from tools.core.config import SECTIONS, load, section_text
    from tools.core.jsonl import write_text_if_changed

    config = load(models, mission, overlay)
    changed = tickets is not None and take_tickets(tickets, config.mission.name, run_dir)
    for tool in SECTIONS:
        changed |= write_text_if_changed(run_dir / "config" / f"{tool}.yaml", section_text(config, tool))
    stamp = run_dir / "config" / "prepared.mk"
    if changed or not stamp.exists():
        stamp.write_text("# Made by tools.prepare; its time says when config or tickets last changed.\n", encoding="utf-8")


def take_tickets(source: Path, mission: str, run_dir: Path) -> bool:
    """Copy checked tickets into the run where their content is new. A source that has gone since leaves the run its copy. Returns whether it wrote."""
    import hashlib
    import json

    kept, note = run_dir / "stage_a.jsonl", run_dir / "config" / "tickets.json"
    taken = json.loads(note.read_text(encoding="utf-8")) if kept.exists() and note.exists() else {}
    if taken.get("source") == str(source) and not source.exists():
        return False
    digest = hashlib.sha256(source.read_bytes()).hexdigest() if source.is_file() else None
    if digest and taken.get("sha256") == digest:
        return False

    from tools.core.cli import say
    from tools.core.jsonl import write_json, write_text
    from tools.core.records import read_tickets

    rows = read_tickets(source, mission)
    write_text(kept, source.read_text(encoding="utf-8-sig"))
    write_json(note, {"source": str(source), "sha256": digest})
    say(f"tickets: {len(rows)} from {source} (of {mission}: {sum(row.label == 'fail' for row in rows)} fail, {sum(row.label == 'pass' for row in rows)} pass)")
    return True


if __name__ == "__main__":
    run(main)
