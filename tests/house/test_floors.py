"""The rooms of the package stand on floors: a module imports rooms below its own, and nothing else of the project."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES_A_FOLDER = 16

# From the ground up. Rooms on one floor do not import each other; each floor imports those before it.
FLOORS = [
    {"base"},
    {"command", "stats", "models"},
    {"records", "config"},
    {"stage_b", "photos", "pages"},
    {"engines", "review"},
    {"student", "rounds"},
    {"guidance", "corpus"},
    {"evaluation", "sft", "measure"},
    {"runs"},
    {"report"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MODULES = sorted((ROOT / "verdicts").rglob("*.py"))


def imports(path: Path) -> set[str]:
    """The modules that a module imports anywhere, functions included."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    named = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return named | {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}


def test_every_folder_of_the_package_has_its_floor():
    assert FLOOR.keys() == {path.name for path in (ROOT / "verdicts").iterdir() if any(path.glob("*.py"))}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_imports_rooms_below_its_own(path):
    own = path.relative_to(ROOT / "verdicts").parts[0]
    parts = [module.split(".") for module in imports(path)]
    assert not {words[0] for words in parts} & {"tools", "miniature", "tests"}
    rooms = {words[1] for words in parts if words[0] == "verdicts" and len(words) > 1} - {own}
    assert {room for room in rooms if FLOOR[room] >= FLOOR.get(own, len(FLOORS))} == set()


def test_no_folder_holds_more_modules_than_a_reader_can_take_in():
    folders = {path.parent for path in MODULES} | {path for path in (ROOT / "miniature").rglob("*") if path.is_dir()}
    assert {folder: n for folder in folders if (n := len(list(folder.glob("*.py")))) > MODULES_A_FOLDER} == {}
