"""A cache of rows on disk gives back what was put there or nothing, and stays below its limit."""

import os
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-student` installs it")

from verdicts.sft.row_cache import RowCache  # noqa: E402  after the line above

ROW = {"lower": torch.arange(500, dtype=torch.float32).view(10, 50).bfloat16(), "places": torch.zeros(3, 10).long()}
PLENTY = 10**9


def key(number: int) -> str:
    return f"{number:064x}"


def filled(folder: Path, numbers: range, limit: int = PLENTY, share: tuple[int, int] = (0, 1)) -> RowCache:
    cache = RowCache(folder, limit, share)
    for number in numbers:
        cache.put(key(number), ROW)
        cache.wait()
    return cache


def there(folder: Path) -> list[int]:
    return sorted(int(path.stem, 16) for path in folder.rglob("*.row"))


def size_of_one(folder: Path) -> int:
    return filled(folder, range(1)).bytes


def test_a_later_run_reads_the_bytes_that_were_put(tmp_path):
    filled(tmp_path, range(2))
    later = RowCache(tmp_path, PLENTY)
    found = later.get(key(1), {"lower", "places"})
    assert found is not None and {name: (t.dtype, t.shape) for name, t in found.items()} == {
        name: (t.dtype, t.shape) for name, t in ROW.items()
    }
    assert all(torch.equal(found[name], ROW[name]) for name in ROW)
    assert later.get(key(7), {"lower"}) is None and later.get(key(1), {"lower", "base"}) is None
    assert (later.read, later.made, later.damaged) == (1, 0, 0)


@pytest.mark.parametrize(
    "damage",
    [lambda raw: raw[: len(raw) // 2], lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), lambda raw: b"", lambda raw: b"x"],
    ids=["half", "a bit", "empty", "other"],
)
def test_an_entry_that_is_not_what_was_written_is_counted_removed_and_made_anew(tmp_path, damage):
    filled(tmp_path, range(1))
    (path,) = tmp_path.rglob("*.row")
    path.write_bytes(damage(path.read_bytes()))
    cache = RowCache(tmp_path, PLENTY)
    assert cache.get(key(0), {"lower"}) is None and (cache.damaged, there(tmp_path), cache.bytes) == (1, [], 0)
    cache.put(key(0), ROW)
    cache.wait()
    assert cache.get(key(0), {"lower"}) is not None
    assert "1 times computed, 1 of them made anew, for their files were damaged" in cache.said()


def test_rows_that_this_run_has_not_used_go_for_room_the_longest_unused_first(tmp_path):
    one = size_of_one(tmp_path / "one")
    filled(tmp_path / "cache", range(4))
    for age, number in enumerate((2, 0, 1, 3)):  # 2 was used first
        (path,) = (tmp_path / "cache").rglob(f"{key(number)}.row")
        os.utime(path, (1000 + age, 1000 + age))
    cache = RowCache(tmp_path / "cache", 4 * one)
    assert cache.get(key(0), {"lower"}) is not None
    for number in (10, 11):
        cache.put(key(number), ROW)
    cache.wait()
    assert there(tmp_path / "cache") == [0, 3, 10, 11] and (cache.evicted, cache.not_kept) == (2, 0)
    assert cache.bytes == 4 * one == sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.row"))


def test_an_epoch_that_is_larger_than_the_limit_keeps_what_fits_and_says_so(tmp_path):
    one = size_of_one(tmp_path / "one")
    cache = filled(tmp_path / "cache", range(5), limit=3 * one + one // 2)
    assert there(tmp_path / "cache") == [0, 1, 2] and (cache.evicted, cache.not_kept) == (0, 2)
    assert "2 not kept: raise sft.cache_gb" in cache.said()


def test_two_processes_stay_below_the_limit_together(tmp_path):
    one = size_of_one(tmp_path / "one")
    numbers = [number << 224 for number in range(8)]  # the first digits say whose an entry is
    for number in numbers[:6]:
        filled(tmp_path / "cache", range(number, number + 1))
    first, second = (RowCache(tmp_path / "cache", 6 * one, (at, 2)) for at in (0, 1))
    assert first.bytes == second.bytes == 3 * one
    for cache, number in ((first, numbers[7]), (second, numbers[6])):
        cache.put(key(number), ROW)
        cache.wait()
    assert len(there(tmp_path / "cache")) == 6 and first.evicted == second.evicted == 1
    assert first.said().endswith(" GB used, the share of one of 2 processes")


def test_a_disk_that_refuses_costs_entries_and_no_training(tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = filled(tmp_path / "file", range(2))
    assert cache.get(key(0), {"lower"}) is None and cache.not_kept == 2 and cache.bytes == 0
    assert "2 not kept: the disk refused (Not a directory)" in cache.said()


def test_what_a_killed_writer_left_is_swept_away(tmp_path):
    filled(tmp_path, range(1))
    left = next(tmp_path.rglob("*.row")).with_name(f".{key(1)}.row.999999999-abcdef.tmp")
    left.write_bytes(b"half")
    RowCache(tmp_path, PLENTY)
    assert not left.exists()
