"""miniature.drawing.scenes and photos: drawn tickets are deterministic and agree with their truth."""

from pathlib import Path
from random import Random

import numpy as np
import pytest

from miniature.drawing.photos import main, paint_photo
from miniature.drawing.scenes import DRAWABLE, MAX_THINGS, photo_ticket
from miniature.world.photo_worlds import draw_photo_tickets, drawable_world
from miniature.world.tickets import MISSIONS, base_profile
from miniature.world.vocabulary import BIT
from verdicts.student.coordinates import has_coordinates
from verdicts.student.photo_scores import segments

pytest.importorskip("PIL", reason="photos need Pillow: make setup-student")

BBU = [slug for slug, mission in MISSIONS.items() if mission.is_bbu]


def some_photos(slug: str, n: int = 30) -> list:
    rng, mission = Random(slug), MISSIONS[slug]
    return [photo for _ in range(n) for photo in photo_ticket(rng, mission, base_profile(mission)).photos]


@pytest.mark.parametrize("slug", BBU)
def test_the_same_photo_and_seed_give_the_same_pixels_and_boxes(slug: str) -> None:
    for index, photo in enumerate(some_photos(slug, 5)):
        (first, seen), (again, seen_again) = paint_photo(photo, index), paint_photo(photo, index)
        assert np.array_equal(first, again) and seen == seen_again
        assert not np.array_equal(first, paint_photo(photo, index + 1)[0])


@pytest.mark.parametrize("slug", BBU)
def test_every_box_lies_inside_its_photo_and_no_object_is_lost(slug: str) -> None:
    for index, photo in enumerate(some_photos(slug)):
        pixels, seen = paint_photo(photo, index)
        assert pixels.shape == (192, 256, 3) and pixels.dtype == np.uint8
        assert sorted(s.label for s in seen) == sorted(t.segment for t in photo.things)
        for x1, y1, x2, y2 in (s.bbox_2d for s in seen):
            assert 0 <= x1 < x2 <= 1000 and 0 <= y1 < y2 <= 1000
            assert (x2 - x1) * 0.256 >= 9 and (y2 - y1) * 0.192 >= 9


@pytest.mark.parametrize("slug", BBU)
def test_a_summary_counts_the_objects_in_the_vocabulary_and_order_of_real_tickets(slug: str) -> None:
    for photo in some_photos(slug):
        parts = photo.summary.split("，")
        assert all(part.rpartition("×")[2].isdigit() for part in parts)
        names = [part.rpartition("×")[0] for part in parts]
        assert names == sorted(set(names)) and not has_coordinates(photo.summary) and "\n" not in photo.summary
        assert {name.split("/")[0] for name in names} <= {
            "BBU设备",
            "光纤",
            "挡风板",
            "标签",
            "电线",
            "螺丝、光纤插头",
            "无关图片",
        }
        assert sum(segments(photo.summary).values()) == len(photo.things) <= MAX_THINGS


@pytest.mark.parametrize("slug", BBU)
def test_every_drawable_condition_of_the_mission_is_drawn_now_and_then_and_no_other(slug: str) -> None:
    rng, mission, seen = Random(1), MISSIONS[slug], 0
    for _ in range(600):
        seen |= photo_ticket(rng, mission, base_profile(mission)).facts.bits
    drawn = {name for name, bit in BIT.items() if seen & bit}
    assert drawn <= DRAWABLE
    assert drawn >= (set(mission.g0.required) | set(mission.g0.forbidden)) & DRAWABLE


def test_labels_follow_the_world_and_a_share_is_flipped() -> None:
    world = drawable_world(1, "bbu_line")
    rows = draw_photo_tickets(world, 40, 3, flip=0.1)
    assert all(row.clean == world.verdict(row.ticket.facts) for row in rows)
    assert sum(row.label != row.clean for row in rows) == 4
    assert len({row.group_id for row in rows} | {row.group_id for row in draw_photo_tickets(world, 40, 4)}) == 80


def test_the_command_writes_folders_and_truth_and_again_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        main("bbu_line", seed=1, tickets=3, tickets_seed=2, flip=0.0, output=tmp_path / name)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert any(p.suffix == ".jpg" and p.parts[1] in ("审核通过", "审核不通过") for p in files)
    assert files == sorted(p.relative_to(tmp_path / "b") for p in (tmp_path / "b").rglob("*") if p.is_file())
    for path in files:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()
