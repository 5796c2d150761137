"""tools.core.part_file: what is whole is kept, what is torn or foreign is forgotten."""

from tools.core.part_file import PartFile


def test_what_was_appended_is_loaded_in_order(tmp_path):
    part = PartFile(tmp_path / "new" / "part", "inputs")
    assert part.load() == []
    part.append([["电线", True]])
    part.append([])
    assert part.load() == [[["电线", True]], []]


def test_a_line_torn_inside_a_character_is_forgotten_and_overwritten(tmp_path):
    part = PartFile(tmp_path / "part", "inputs")
    part.load()
    part.append("first")
    part.append("电线")
    part.path.write_bytes(part.path.read_bytes()[:-3])
    assert part.load() == ["first"]
    part.append("second")
    assert part.load() == ["first", "second"]


def test_a_file_of_other_inputs_is_begun_again(tmp_path):
    old = PartFile(tmp_path / "part", "inputs")
    old.load()
    old.append(1)
    assert PartFile(old.path, "other inputs").load() == []
    assert old.load() == []
