"""Synthetic tickets, and how a reader is told: in the first words of every page, summary and text of a run on them.

Tickets are synthetic where ``config/tickets.json`` says so (prepare writes it of tickets that the miniature's world
drew), and where a ticket's group bears the world's prefix: that mark goes with the tickets, into every record and any
other run.
"""

import re
from pathlib import Path

from verdicts.base.jsonl import read_json
from verdicts.records.tickets import TicketsSource

PREFIX = "SYNTHETIC-"
BANNER = (
    "SYNTHETIC TICKETS: drawn by the miniature's world, not from the field. "
    "No figure here says anything about real work."
)
BANNER_ZH = "合成数据：工单由微型世界生成，并非现场数据；此处任何数字都不代表真实业务。"
_GROUP = re.compile(rb'"group_id"\s*:\s*"' + PREFIX.encode())


def tickets_source(run_dir: Path) -> TicketsSource | None:
    """Where the run's tickets came from, as prepare noted it; None without a note.

    Raises UserError for a note that is none.
    """
    path = run_dir / "config" / "tickets.json"
    return read_json(path, TicketsSource) if path.exists() else None


def is_synthetic(run_dir: Path) -> bool:
    """Whether the run's tickets, or some of them, were drawn and not photographed."""
    source = tickets_source(run_dir)
    if source and source.synthetic:
        return True
    tickets = run_dir / "stage_a.jsonl"
    if not tickets.is_file():
        return False
    with tickets.open("rb") as file:
        return any(_GROUP.search(line) for line in file)


def named(tool: str, run_dir: Path) -> str:
    """How a tool's summary line begins: ``distill``, or ``distill (SYNTHETIC TICKETS)``."""
    return f"{tool} (SYNTHETIC TICKETS)" if is_synthetic(run_dir) else tool
