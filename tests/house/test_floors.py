"""The rooms of the package stand on floors: a module imports rooms below its own, and nothing else of the project."""

from pathlib import Path

import pytest

from tests.support.builders import call
from tools.rooms import FLOORS, imports, plainest

ROOT = Path(__file__).resolve().parents[2]
MODULES_A_FOLDER = 16
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MODULES = sorted((ROOT / "verdicts").rglob("*.py"))


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


def test_an_arrow_that_two_others_imply_is_left_out_of_the_picture():
    above = {room: set() for floor in FLOORS for room in floor}
    above |= {"stats": {"base"}, "records": {"stats", "base"}, "runs": {"records", "base"}}
    shown = plainest(above)
    assert (shown["stats"], shown["records"], shown["runs"]) == ({"base"}, {"stats"}, {"records"})


def test_the_committed_picture_of_the_rooms_is_up_to_date(tmp_path):
    assert call("rooms", output=tmp_path / "rooms.svg").code == 0
    drawn, committed = (folder / "rooms.svg" for folder in (tmp_path, ROOT / "docs"))
    assert drawn.read_text() == committed.read_text(), "run: python -m tools.rooms --output docs/rooms.svg"


def test_the_page_on_the_design_has_a_line_for_each_room():
    page = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    assert [room for floor in FLOORS for room in floor if f"| `{room}` |" not in page] == []
