"""Draw the rooms of the package on their floors, from what its modules import.

    python -m tools.rooms --output docs/rooms.svg

Out: one SVG. An arrow goes from a room to a room that it imports; an arrow that two others imply is left out.
"""

import ast
from pathlib import Path
from typing import Annotated

import typer

from verdicts.command import cli

ROOT = Path(__file__).resolve().parents[1]
# From the ground up. Rooms on one floor do not import each other; each floor imports those before it.
FLOORS = [
    ["base"],
    ["command", "stats", "models", "facts", "tables"],
    ["config", "records"],
    ["photos", "stage_b", "pages"],
    ["engines", "review", "intake"],
    ["student", "rounds"],
    ["corpus", "guidance"],
    ["sft", "evaluation", "measure", "importing", "prediction", "capacity"],
    ["export", "behaviour"],
    ["runs", "serving"],
    ["report", "tracking", "lint"],
    ["cards"],
]
WIDTH, STOREY = 760, 78  # of the picture and of a floor, in pixels
BREADTH, HEIGHT = 112, 30  # of a room
STYLE = """
text {font: 14px system-ui, sans-serif; text-anchor: middle; fill: #1d2733}
.sheet {fill: #fbfaf7} .floor {fill: #f0ede6} .room {fill: #fff; stroke: #34536b; stroke-width: 1.4}
.arrow {fill: none; stroke: #34536b; stroke-opacity: .45; stroke-width: 1.3; marker-end: url(#head)}
#head path {fill: #34536b; fill-opacity: .6} .number {font-size: 12px; fill: #7b7467}
"""
HEAD = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0L8 4L0 8z"/></marker></defs>'
)


def imports(path: Path) -> set[str]:
    """The modules that a module imports anywhere, functions included."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    named = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return named | {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}


def arrows() -> dict[str, set[str]]:
    """Room -> the rooms that its modules import, itself left out."""
    found: dict[str, set[str]] = {room: set() for floor in FLOORS for room in floor}
    for room, others in found.items():
        for path in (ROOT / "verdicts" / room).rglob("*.py"):
            parts = [module.split(".") for module in imports(path)]
            others |= {words[1] for words in parts if words[0] == "verdicts" and len(words) > 1} - {room}
    return found


def plainest(found: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same without the arrows that a longer way implies (the transitive reduction; the rooms hold no circle)."""
    below: dict[str, set[str]] = {}
    for room in (room for floor in FLOORS for room in floor):
        below[room] = found[room].union(*(below[other] for other in found[room]))
    return {room: {other for other in to if not any(other in below[via] for via in to)} for room, to in found.items()}


def drawing(found: dict[str, set[str]]) -> str:
    """The picture: a stripe a floor with its number, a box a room, the ground below."""
    places, floors, rooms = {}, [], []
    for number, floor in enumerate(FLOORS):
        top = (len(FLOORS) - 1 - number) * STOREY + 12
        floors.append(f'<rect class="floor" x="12" y="{top}" width="{WIDTH - 24}" height="{HEIGHT + 14}" rx="6"/>')
        floors.append(f'<text class="number" x="32" y="{top + 27}">{number}</text>')
        for place, room in enumerate(floor):
            places[room] = round(52 + (WIDTH - 76) * (place + 0.5) / len(floor)), top + 7
    for room, (x, y) in places.items():
        box = f'<rect class="room" x="{x - BREADTH // 2}" y="{y}" width="{BREADTH}" height="{HEIGHT}" rx="5"/>'
        rooms.append(f'{box}<text x="{x}" y="{y + 20}">{room}</text>')
    lines = [arrow(places[room], places[other]) for room in places for other in sorted(found[room])]
    size = f'width="{WIDTH}" height="{len(FLOORS) * STOREY - 10}"'
    parts = [f'<rect class="sheet" {size}/>', *floors, *lines, *rooms]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n'
        f"<title>The rooms of verdicts/ and what each imports</title>\n"
        f"<style>{STYLE}</style>\n{HEAD}\n" + "\n".join(parts) + "\n</svg>\n"
    )


def arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    """A curve from the foot of one box to the top of another."""
    (x, y), (x_to, y_to) = (start[0], start[1] + HEIGHT), (end[0], end[1] - 3)
    bend = min(60, (y_to - y) // 2)
    return f'<path class="arrow" d="M{x} {y}C{x} {y + bend} {x_to} {y_to - bend} {x_to} {y_to}"/>'


def main(output: Annotated[Path, typer.Option(help="The picture to write (SVG).")]) -> None:
    """Draw the rooms of the package on their floors."""
    from verdicts.base.jsonl import write_text

    write_text(output, drawing(plainest(arrows())))
    cli.say(f"rooms: {sum(map(len, FLOORS))} on {len(FLOORS)} floors in {output}")


if __name__ == "__main__":
    cli.run(main)
