"""verdicts.base.part_file: what is whole is kept, what is torn or foreign is forgotten."""

import pytest

from verdicts.base.part_file import PartFile


def test_what_was_appended_is_loaded_in_order(tmp_path):
    part = PartFile(tmp_path / "new" / "part", "inputs")
    assert part.load() == []
    part.append([["电线", True]])
    part.append([])
    assert part.load() == [[["电线", True]], []]


def test_each_value_is_found_again_at_its_place(tmp_path):
    part = PartFile(tmp_path / "part", "inputs")
    part.load()
    assert list(part.places()) == []
    values = [["电线", True], [], "散乱"]
    for value in values:
        part.append(value)
    places = list(part.places())
    assert [value for _, value in places] == values
    assert [part.at(place) for place, _ in reversed(places)] == values[::-1]


def test_a_line_torn_at_any_byte_is_forgotten_and_overwritten(tmp_path):
    part = PartFile(tmp_path / "part", "inputs")
    part.load()
    part.append("first")
    whole = part.path.read_bytes()
    part.append(["电线", {"捆扎整齐": 1}])
    both = part.path.read_bytes()
    assert any(both[at] & 0xC0 == 0x80 for at in range(len(whole), len(both)))  # inside a Chinese character too
    for at in range(len(whole), len(both)):
        part.path.write_bytes(both[:at])
        assert part.load() == ["first"]
        assert part.path.read_bytes() == whole
    part.append("second")
    assert part.load() == ["first", "second"]


@pytest.mark.parametrize("at", [0, 1, 5, 6])
def test_a_digest_torn_or_without_its_line_end_means_nothing_is_done(tmp_path, at):
    part = PartFile(tmp_path / "part", "inputs")
    part.path.write_bytes(b"inputs"[:at])
    assert part.load() == []


def test_a_damaged_line_ends_the_list_unless_each_value_stands_for_itself(tmp_path):
    part = PartFile(tmp_path / "part", "inputs")
    part.load()
    for value in (1, 2, 3, 4):
        part.append(value)
    damaged = part.path.read_bytes().replace(b"2\n", b"\0\0\n")
    part.path.write_bytes(damaged)
    assert part.load(lambda value: value != 3) == [1, 4]
    assert part.load() == [1, 4]
    part.path.write_bytes(damaged)
    assert part.load() == [1]


def test_forgetting_twice_does_no_harm(tmp_path):
    part = PartFile(tmp_path / "part", "inputs")
    part.load()
    part.remove()
    part.remove()
    assert not part.path.exists()


def test_a_file_of_other_inputs_is_begun_again(tmp_path):
    old = PartFile(tmp_path / "part", "inputs")
    old.load()
    old.append(1)
    assert PartFile(old.path, "other inputs").load() == []
    assert old.load() == []


def test_a_file_cut_without_holding_its_values_keeps_those_before_the_first_that_is_damaged_or_misplaced(tmp_path):
    part = PartFile(tmp_path / "part", "inputs", list[int])
    assert part.cut(lambda place, value: True) == 0 and part.path.read_bytes() == b"inputs\n"
    for value in ([0], [1, 1], [2]):
        part.append(value)
    whole = part.path.read_bytes()
    assert part.cut(lambda place, value: True) == 3 and part.path.read_bytes() == whole
    values = part.stream(2)
    assert next(values) == [0]
    part.append([3])  # what is asked of the file goes on beside
    assert list(values) == [[1, 1]] and list(part.stream(4)) == [[0], [1, 1], [2], [3]]

    part.path.write_bytes(whole[:-1])  # a torn last line
    assert part.cut(lambda place, value: True) == 2 and part.path.read_bytes() == whole[:-4]
    part.path.write_bytes(whole.replace(b"[1, 1]", b"[1, x]"))
    assert part.cut(lambda place, value: True) == 1
    part.path.write_bytes(whole)
    assert part.cut(lambda place, value: value == [place]) == 1
    assert PartFile(part.path, "other", list[int]).cut(lambda place, value: True) == 0
    assert part.path.read_bytes() == b"other\n" and list(part.stream(0)) == []
