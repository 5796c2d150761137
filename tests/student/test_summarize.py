"""summarize: photos in, one fact line each out; a killed run goes on.

What cannot be used is refused by name and stops nothing.
"""

import json
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
import yaml

from tests.support.builders import call, snapshot

pytest.importorskip("torch", reason="the student needs torch: make setup-student")
pytest.importorskip("transformers", reason="the student needs transformers: make setup-student")

from PIL import Image

from miniature.world.prompts import prompts_of
from verdicts.base.jsonl import read_json, read_rows
from verdicts.config.load import load
from verdicts.photos.folders import natural
from verdicts.records.summaries import SummariesAsked
from verdicts.records.tickets import Refused, StageA, read_tickets
from verdicts.student import model as model_module
from verdicts.student.model import PhotoInputs
from verdicts.student.summaries import cut_batches, refusal_reason

ROOT = Path(__file__).resolve().parents[2]
GOOD = "标签/无法识别×{}"


class Killed(Exception):
    """The end of a run in the middle."""


class FakeStudent:
    """Says what ``replies`` holds for a photo's red value, else a sound summary.

    Dies before the batch numbered ``dies``.
    """

    replies: ClassVar[dict[int, tuple[str, bool]]] = {}
    dies: int | None = None
    shown: ClassVar[list[list[int]]] = []

    def __init__(self, folder: Path, max_photo_pixels: int, n_threads: int) -> None:
        self.folder, self.model = folder, SimpleNamespace(device=SimpleNamespace(type="cpu"), dtype="float32")

    def photo_tokens(self, width: int, height: int) -> int:
        return width * height // 64

    def see(self, photos) -> PhotoInputs:
        (photo,) = photos
        return PhotoInputs(photo.getpixel((0, 0))[0], None, (1,))

    def encode(self, row, generate: bool, seen: PhotoInputs) -> int:
        assert generate and row.messages == [{"role": "user", "content": "<image>用一行写出照片中的事实，不写坐标。"}]
        return seen.pixels

    def answer_encoded(self, rows, max_new_tokens: int) -> list[tuple[str, bool]]:
        if len(FakeStudent.shown) == FakeStudent.dies:
            raise Killed
        FakeStudent.shown.append(list(rows))
        return [FakeStudent.replies.get(red, (GOOD.format(red), True)) for red in rows]


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(model_module, "Student", FakeStudent)
    for name, value in (("replies", {}), ("dies", None), ("shown", [])):
        monkeypatch.setattr(FakeStudent, name, value)
    return FakeStudent


def settings(folder: Path, model: Path, **changes: object) -> Path:
    limits = {"batch": 4, "batch_tokens": 0, "max_new_tokens": 24, "max_photo_mb": 0.5, "max_photo_megapixels": 1.0}
    limits |= {"broken": "drop_photo", "max_cut_off": 1.0} | changes
    path = folder / "summarize.yaml"
    path.write_text(
        yaml.safe_dump({"student": {"model": str(model), "max_photo_pixels": 0, "n_threads": 1}, "summarize": limits}),
        encoding="utf-8",
    )
    return path


@pytest.fixture
def config(tmp_path) -> Path:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "qwen3_vl"}', encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"weights")
    return settings(tmp_path, folder)


def photo(path: Path, red: int, size: tuple[int, int] = (64, 64)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (red, 0, 0)).save(path, format="PNG")
    return path


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Path:
    """data/: a pass and a fail group of the same id, and a third group; nine photos in all."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    data = Path("data")
    for n, name in enumerate(["10.jpg", "2.jpeg", "1.PNG", "a.png"], start=1):
        photo(data / "审核通过" / "QC-1" / name, n)
    for n in range(5, 8):
        photo(data / "审核不通过" / "QC-1" / f"{n}.jpg", n, (80, 64))
    for n in range(8, 10):
        photo(data / "审核不通过" / "QC-10" / f"{n}.jpg", n, (64, 96))
    return data


def summarize(config: Path, given: Path, output: str = "out/stage_a.jsonl", mission: str = "bbu_line"):
    return call("summarize", config=config, mission=mission, input=given, output=output)


def refused(output: str = "out/stage_a.refused.jsonl") -> list[tuple[str | None, str]]:
    rows = read_rows(Path(output), Refused, allow_empty=True)
    return [(row.image and os.path.basename(row.image), row.reason) for row in rows]


def test_each_photo_becomes_its_line_in_natural_order_under_its_label(fake, config, photos):
    outcome = summarize(config, photos)
    assert (
        outcome.last_line
        == "summarize: 9 photos in = 9 kept + 0 refused; 3 groups in = 3 kept + 0 refused; out/stage_a.jsonl"
    )
    tickets = read_tickets(Path("out/stage_a.jsonl"), "BBU接地线检查")
    assert [(t.ticket_key, t.images[0], list(t.per_image.values())) for t in tickets] == [
        ("QC-1::pass", "data/审核通过/QC-1/1.PNG", [GOOD.format(n) for n in (3, 2, 1, 4)]),
        ("QC-1::fail", "data/审核不通过/QC-1/5.jpg", [GOOD.format(n) for n in (5, 6, 7)]),
        ("QC-10::fail", "data/审核不通过/QC-10/8.jpg", [GOOD.format(n) for n in (8, 9)]),
    ]
    assert refused() == [] and not Path("out/stage_a.part.jsonl").exists()


def test_beside_the_summaries_stands_what_they_were_asked_with(fake, config, photos):
    summarize(config, photos)
    asked = read_json(Path("out/stage_a.asked.json"), SummariesAsked)
    assert (asked.prompt, asked.messages) == (prompts_of().digest("summary"), prompts_of().photo_messages("summary"))
    assert (asked.photos, asked.tickets) == (9, 3)


def test_digits_in_names_count_as_numbers():
    assert sorted(["10.jpg", "2.jpg", "IMG_2_1.jpg", "IMG_10.jpg", "1.jpg"], key=natural) == [
        "1.jpg",
        "2.jpg",
        "10.jpg",
        "IMG_2_1.jpg",
        "IMG_10.jpg",
    ]


def test_a_manifest_gives_the_same_tickets_as_folders(fake, config, photos):
    summarize(config, photos)
    rows = [
        {"group_id": t.group_id, "label": t.label, "images": [i.removeprefix("data/") for i in t.images]}
        for t in read_rows(Path("out/stage_a.jsonl"), StageA)
    ]
    (photos / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    summarize(config, photos / "manifest.jsonl", "again/stage_a.jsonl")
    assert snapshot(Path("again")) == snapshot(Path("out"))


def test_photos_of_similar_size_stand_together_across_groups(fake, config, photos):
    summarize(config, photos)
    assert fake.shown == [[8, 9, 5, 6], [7, 3, 1, 2], [4]]


def test_batches_hold_every_photo_once_whatever_their_order():
    sizes = {f"{n}.jpg": (64 * (n % 3 + 1), 64) for n in range(10)}
    limits = load("miniature", "bbu_line").summarize.model_copy(update={"batch": 4, "max_new_tokens": 4096})
    batches = cut_batches(sizes, lambda width, height: width * height, limits)
    assert batches == cut_batches(dict(reversed(sizes.items())), lambda width, height: width * height, limits)
    assert sorted(image for batch in batches for image in batch) == sorted(sizes)
    assert [len(batch) for batch in batches] == [4, 4, 2]


@pytest.mark.parametrize(
    ("most", "batches"),
    [(0, [4, 4, 2]), (65536, [4, 4, 2]), (40960, [2, 2, 3, 3]), (1, [1] * 10)],
)
def test_a_batch_of_large_photos_holds_fewer_so_that_its_tokens_stay_within_the_limit(most, batches):
    # three of 192 x 64 pixels, three of 128, four of 64, a token a pixel here, and answers of 4096 tokens
    sizes = {f"{n}.jpg": (64 * (n % 3 + 1), 64) for n in range(10)}
    knobs = {"batch": 4, "batch_tokens": most, "max_new_tokens": 4096}
    limits = load("miniature", "bbu_line").summarize.model_copy(update=knobs)
    cut = cut_batches(sizes, lambda width, height: width * height, limits)
    assert [len(batch) for batch in cut] == batches
    assert all(not most or len(b) == 1 or len(b) * (sizes[b[0]][0] * 64 + 4096) <= most for b in cut)


def huge_png(path: Path, width: int, height: int) -> None:
    """A small file that says it is large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10**6)))
        + chunk(b"IEND", b"")
    )


def spoil(path: Path, how: str) -> None:
    """Put something that is no usable photo at ``path``."""
    whole = photo(path, 1, (200, 200)).read_bytes()
    path.unlink()
    if how == "link_loop":
        path.symlink_to(path.name)
    elif how == "missing":
        path.symlink_to("nowhere.jpg")
    elif how == "folder":
        path.mkdir()
    elif how == "pipe":
        os.mkfifo(path)
    elif how in ("bomb", "large"):
        huge_png(path, 60_000 if how == "bomb" else 1_100, 1_000)
    elif how == "narrow":
        photo(path, 1, (2010, 10))
    elif how == "eps":
        path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    else:
        path.write_bytes(
            {
                "truncated": whole[: len(whole) // 2],
                "empty": b"",
                "text": b"not a photo",
                "fat": whole + bytes(600_000),
                "head": whole[:20],
            }[how]
        )


@pytest.mark.parametrize(("how", "name", "reason"), [
    ("truncated", "x.jpg", "broken"), ("head", "x.jpg", "broken"), ("empty", "x.jpg", "empty_file"),
    ("text", "x.png", "not_an_image"),
    ("eps", "x.jpg", "not_an_image"), ("text", "x.heic", "unknown_extension"), ("text", "x", "unknown_extension"),
    ("fat", "x.jpg", "too_large"),
    ("bomb", "x.png", "too_many_pixels"), ("large", "x.png", "too_many_pixels"), ("narrow", "x.png", "too_narrow"),
    ("link_loop", "x.jpg", "unreadable"), ("missing", "x.jpg", "missing"),
    ("folder", "x.jpg", "not_a_file"), ("pipe", "x.jpg", "not_a_file"),
])  # fmt: skip
def test_a_file_that_is_no_usable_photo_is_refused_and_the_others_go_on(fake, config, photos, how, name, reason):
    spoil(photos / "审核通过" / "QC-1" / name, how)
    outcome = summarize(config, photos)
    assert outcome.code == 0 and len(outcome.err.splitlines()) == 1
    assert outcome.last_line.startswith(
        f"summarize: 10 photos in = 9 kept + 1 refused (1 {reason}); 3 groups in = 3 kept + 0 refused"
    )
    assert refused() == [(name, reason)]
    assert len(read_tickets(Path("out/stage_a.jsonl"))[0].images) == 4


def test_a_truncated_jpeg_is_refused_though_its_head_is_sound(fake, config, photos):
    path = photos / "审核通过" / "QC-1" / "x.jpg"
    Image.effect_noise((300, 300), 80).convert("RGB").save(path, format="JPEG")
    path.write_bytes(path.read_bytes()[:-4000])
    assert summarize(config, photos).code == 0 and refused() == [("x.jpg", "broken")]


def test_a_photo_of_a_phone_that_holds_two_pictures_is_read(fake, config, photos):
    both = [Image.new("RGB", (64, 64), (200, 0, 0)), Image.new("RGB", (64, 64))]
    both[0].save(photos / "审核通过" / "QC-1" / "x.jpg", format="MPO", save_all=True, append_images=both[1:])
    summarize(config, photos)
    assert refused() == [] and read_tickets(Path("out/stage_a.jsonl"))[0].per_image["image_5"].startswith(
        "标签/无法识别×"
    )


def test_a_name_that_is_not_utf_8_is_refused_and_spelt_out(fake, config, photos):
    group = os.fsencode(photos / "审核通过")
    os.mkdir(group + b"/\xd6\xd0")
    for name in (b"/QC-1/\xbf.jpg", b"/\xd6\xd0/1.jpg"):
        with open(group + name, "wb") as file:
            file.write((photos / "审核通过/QC-1/1.PNG").read_bytes())
    assert summarize(config, photos).last_line.startswith(
        "summarize: 11 photos in = 9 kept + 2 refused (2 bad_name); 4 groups in = 3 kept + 1 refused"
    )
    rows = read_rows(Path("out/stage_a.refused.jsonl"), Refused)
    assert [(row.image, row.group_id) for row in rows] == [
        ("data/审核通过/QC-1/\\xbf.jpg", "QC-1"), ("data/审核通过/\\xd6\\xd0/1.jpg", "\\xd6\\xd0"), (None, "\\xd6\\xd0")
    ]  # fmt: skip


def test_files_that_are_no_photos_by_custom_are_passed_over(fake, config, photos):
    for name in (".DS_Store", "Thumbs.db", "QC-1/.hidden.jpg", "QC-1/desktop.ini"):
        (photos / "审核通过" / name).write_text("x")
    assert summarize(config, photos).last_line.startswith("summarize: 9 photos in = 9 kept + 0 refused")


def test_empty_groups_and_photos_in_no_group_are_refused(fake, config, photos):
    (photos / "审核通过" / "QC-3").mkdir()
    spoil(photos / "审核不通过" / "QC-4" / "1.jpg", "text")
    photo(photos / "审核不通过" / "stray.jpg", 1)
    (photos / "待审核").mkdir()
    outcome = summarize(config, photos)
    assert outcome.err.splitlines()[0] == "summarize: passing over data/待审核: it is neither of the two label folders"
    assert outcome.last_line.startswith(
        "summarize: 11 photos in = 9 kept + 2 refused (1 no_group, 1 not_an_image); 5 groups in = 3 kept + 2 refused"
    )
    assert refused() == [
        ("stray.jpg", "no_group"),
        (None, "empty_group"),
        ("1.jpg", "not_an_image"),
        (None, "no_photo_left"),
    ]


def test_a_second_group_of_the_same_id_and_label_is_refused(fake, config, photos):
    rows = [
        {"group_id": "G", "label": label, "images": [f"审核通过/QC-1/{name}"]}
        for label, name in (("pass", "1.PNG"), ("fail", "1.PNG"), ("pass", "2.jpeg"))
    ]
    (photos / "m.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in [*rows, rows[0] | {"group_id": "H", "images": []}]), encoding="utf-8"
    )
    outcome = summarize(config, photos / "m.jsonl")
    assert outcome.last_line.startswith(
        "summarize: 3 photos in = 2 kept + 1 refused (1 duplicate_group); 4 groups in = 2 kept + 2 refused"
    )
    assert refused() == [("2.jpeg", "duplicate_group"), (None, "duplicate_group"), (None, "empty_group")]


@pytest.mark.parametrize(("line", "ended", "reason"), [
    (GOOD.format(1), True, None), (GOOD.format(1), False, "cut_off"), ("", True, "empty_summary"),
    ("标签[10,20,30,40]×1", True, "coordinates"),
])  # fmt: skip
def test_an_answer_is_whole_says_something_and_states_no_places(line, ended, reason):
    assert refusal_reason(line, ended) == reason


def test_answers_that_are_no_summary_are_refused_with_what_was_said(fake, config, photos):
    fake.replies = {
        1: ("标签/[1,2,3,4]×1", True),
        2: (" \n ", True),
        5: ("电线", False),
        8: (" 电线/散乱×1，\n备注: 无\u2028", True),
    }
    outcome = summarize(config, photos)
    assert outcome.last_line.startswith(
        "summarize: 9 photos in = 6 kept + 3 refused (1 coordinates, 1 cut_off, 1 empty_summary); 3 groups in = 3 kept"
    )
    assert [(r.reason, r.detail) for r in read_rows(Path("out/stage_a.refused.jsonl"), Refused)] == [
        ("empty_summary", ""), ("coordinates", "标签/[1,2,3,4]×1"), ("cut_off", "电线")
    ]  # fmt: skip
    tickets = read_tickets(Path("out/stage_a.jsonl"))
    assert (
        tickets[0].per_image == {"image_1": GOOD.format(3), "image_2": GOOD.format(4)} and len(tickets[0].images) == 2
    )
    assert tickets[2].per_image["image_1"] == "电线/散乱×1， 备注: 无"


def test_answers_lose_what_stands_around_their_facts_and_the_counts_are_said(fake, config, photos):
    line = "<DOMAIN=BBU>, <TASK=SUMMARY>\n"
    fake.replies = {
        1: (line + '{"统计": [\n {"类别": "标签", "文本": {"10,20,30,40": 1}}\n]}', True),
        2: ("无关图片，这是图纸", True),
        5: (line + "电线/散乱×1", True),
    }
    outcome = summarize(config, photos)
    assert "9 photos in = 9 kept + 0 refused; " in outcome.last_line
    assert "; answers mended: 1 irrelevant, 2 prefix; out/" in outcome.last_line
    first, second, _ = read_tickets(Path("out/stage_a.jsonl"))
    assert list(first.per_image.values())[1:3] == [
        "无关图片",
        '{"统计": [ {"类别": "标签", "文本": {"10,20,30,40": 1}} ]}',
    ]
    assert second.per_image["image_1"] == "电线/散乱×1"


@pytest.mark.parametrize(("share", "warned"), [(0.1, True), (0.12, False)])
def test_a_share_of_answers_cut_off_beyond_the_limit_is_said_aloud(fake, config, photos, tmp_path, share, warned):
    fake.replies = {5: ("电线", False)}
    outcome = summarize(settings(tmp_path, tmp_path / "checkpoint", max_cut_off=share), photos)
    said = "summarize: WARNING: 11.1% of 9 answers were cut off at 24 tokens: raise summarize.max_new_tokens"
    assert (said in outcome.err.splitlines()) is warned


def test_a_group_may_be_left_out_as_a_whole_where_one_of_its_photos_has_no_summary(fake, config, photos, tmp_path):
    fake.replies = {5: ("电线", False)}
    outcome = summarize(settings(tmp_path, tmp_path / "checkpoint", broken="drop_group"), photos)
    assert outcome.last_line.startswith(
        "summarize: 9 photos in = 6 kept + 3 refused (1 cut_off, 2 incomplete_group); 3 groups in = 2 kept + 1 refused"
    )
    rows = read_rows(Path("out/stage_a.refused.jsonl"), Refused)
    assert [(row.image is None, row.reason, row.detail) for row in rows] == [
        (False, "cut_off", "电线"), (False, "incomplete_group", ""), (False, "incomplete_group", ""),
        (True, "incomplete_group", "1 of 3 photos: cut_off"),
    ]  # fmt: skip


def test_an_input_without_any_usable_photo_ends_with_2_and_leaves_the_old_tickets(fake, config, photos):
    summarize(config, photos)
    before = Path("out/stage_a.jsonl").read_bytes()
    spoil(Path("bad/审核通过/QC-1/1.jpg"), "text")
    outcome = summarize(config, Path("bad"))
    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
    assert outcome.last_line == (
        "bad: no photo of it can be summarised: 1 photos in = 0 kept + 1 refused (1 not_an_image); 1 groups in = 0 "
        "kept + 1 refused; see out/stage_a.refused.jsonl"
    )
    assert Path("out/stage_a.jsonl").read_bytes() == before


def test_a_batch_whose_photos_all_break_off_is_refused_and_the_rest_goes_on(fake, config, photos, tmp_path):
    for path in sorted(photos.rglob("QC-10/*")):
        path.write_bytes(path.read_bytes()[:-60])
    settings(tmp_path, tmp_path / "checkpoint", batch=2)
    assert summarize(config, photos).last_line.startswith(
        "summarize: 9 photos in = 7 kept + 2 refused (2 broken); 3 groups in = 2 kept + 1 refused"
    )
    assert fake.shown[0] == []


@pytest.mark.parametrize(("given", "error"), [
    ("none", "none: no such file; check the path"),
    ("empty", "empty: no folder 审核通过 or 审核不通过 in it; give the folder that holds 审核通过 and 审核不通过"),
    (".", ".: no folder 审核通过 or 审核不通过 in it; did you mean data?"),
    ("data/审核通过", "data/审核通过: no folder 审核通过 or 审核不通过 in it; did you mean data?"),
    ("x/bare",
        "x/bare: no group of photos in it; put each group's photos into 审核通过/<group_id>/ or "
        "审核不通过/<group_id>/"),
    ("a.jsonl", "a.jsonl: the file holds no record; give a file with at least one JSON object a line"),
    ("b.jsonl", "b.jsonl:1: lable: unknown field; did you mean 'label'?"),
    ("c.jsonl", "c.jsonl:1: label: input should be 'pass' or 'fail' (\"通过\"); correct the value"),
])  # fmt: skip
def test_an_input_that_cannot_be_meant_is_one_line_and_exit_2(fake, config, photos, given, error):
    Path("empty").mkdir()
    Path("x/bare/审核通过").mkdir(parents=True)
    Path("a.jsonl").write_text("\n")
    Path("b.jsonl").write_text('{"group_id": "a", "lable": "pass", "images": ["x.jpg"]}\n')
    Path("c.jsonl").write_text('{"group_id": "a", "label": "通过", "images": ["x.jpg"]}\n', encoding="utf-8")
    outcome = summarize(config, Path(given))
    assert (outcome.code, outcome.err) == (2, f"{error}\n")
    assert not Path("out").exists()


def test_an_unknown_mission_and_a_missing_student_are_named_first(fake, config, photos, tmp_path):
    assert summarize(config, photos, mission="bbu_lien").last_line.startswith(
        "unknown MISSION 'bbu_lien'; choose one of bbu_cable, "
    )
    outcome = summarize(settings(tmp_path, tmp_path / "models" / "x"), photos)
    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
    assert (
        "models/x: student.model: no such checkpoint folder; download" in outcome.err
        and "make miniature-student" in outcome.err
    )


def stopped(fake, config: Path, photos: Path, after: int) -> None:
    """A run that dies before its batch numbered ``after``."""
    fake.dies, fake.shown = after, []
    with pytest.raises(Killed):
        summarize(config, photos, "killed/stage_a.jsonl")
    fake.dies, fake.shown = None, []


def test_a_stopped_run_answers_only_what_is_left_and_ends_in_the_same_bytes(fake, config, photos):
    summarize(config, photos)
    stopped(fake, config, photos, 2)
    with open("killed/stage_a.part.jsonl", "ab") as file:  # what a kill in the middle of a write leaves
        file.write('[{"image": "data/审核'.encode()[:-1])
    outcome = summarize(config, photos, "killed/stage_a.jsonl")
    assert "summarize: going on after 8 of 9 photos" in outcome.err
    assert fake.shown == [[4]]
    assert snapshot(Path("killed")) == snapshot(Path("out"))


def test_a_photo_that_has_changed_since_is_answered_again_with_its_batch(fake, config, photos):
    stopped(fake, config, photos, 2)
    photo(photos / "审核不通过" / "QC-10" / "9.jpg", 99, (64, 96))
    summarize(config, photos, "killed/stage_a.jsonl")
    assert fake.shown == [[8, 99, 5, 6], [4]]
    summarize(config, photos)
    assert snapshot(Path("killed")) == snapshot(Path("out"))


def test_a_photo_that_has_come_since_moves_the_batches_behind_it_only(fake, config, photos):
    stopped(fake, config, photos, 2)
    photo(photos / "审核不通过" / "QC-1" / "51.jpg", 51, (64, 64))
    summarize(config, photos, "killed/stage_a.jsonl")
    assert fake.shown == [[7, 51, 3, 1], [2, 4]]
    summarize(config, photos)
    assert snapshot(Path("killed")) == snapshot(Path("out"))


@pytest.mark.parametrize("change", ["weights", "batch", "length"])
def test_answers_of_another_student_or_other_settings_are_thrown_away(fake, config, photos, tmp_path, change):
    stopped(fake, config, photos, 2)
    if change == "weights":
        (tmp_path / "checkpoint" / "model.safetensors").write_bytes(b"other weights")
    else:
        settings(tmp_path, tmp_path / "checkpoint", **{"batch": {"batch": 3}, "length": {"max_new_tokens": 30}}[change])
    outcome = summarize(config, photos, "killed/stage_a.jsonl")
    assert "going on" not in outcome.err and sum(map(len, fake.shown)) == 9


def test_a_damaged_line_of_the_kept_answers_costs_its_batch_only(fake, config, photos):
    stopped(fake, config, photos, 2)
    part = Path("killed/stage_a.part.jsonl")
    lines = part.read_bytes().split(b"\n")
    part.write_bytes(b"\n".join([lines[0], b"\0" * 40, *lines[2:]]))
    summarize(config, photos, "killed/stage_a.jsonl")
    assert fake.shown == [[8, 9, 5, 6], [4]]


def test_the_command_killed_in_the_middle_ends_in_the_bytes_of_an_undisturbed_run(tmp_path):
    pytest.importorskip("gguf", reason="the student needs gguf: make setup-student")
    from tests.support.student_builders import random_student

    config, data, killed = (
        settings(tmp_path, random_student(tmp_path / "student"), batch=2, max_new_tokens=64),
        tmp_path / "data",
        tmp_path / "killed",
    )
    for n in range(10):
        photo(
            data / ("审核通过" if n % 3 else "审核不通过") / f"QC-{n // 3}" / f"{n}.jpg",
            25 * n,
            (64 + 32 * (n % 4), 64),
        )
    words = ["--config", config, "--mission", "bbu_line", "--input", data, "--output", killed / "stage_a.jsonl"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tools.summarize", *map(str, words)], cwd=ROOT, stderr=subprocess.PIPE
    )
    part = killed / "stage_a.part.jsonl"
    while process.poll() is None and not (part.exists() and part.read_bytes().count(b"\n") > 2):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (killed / "stage_a.jsonl").exists()

    resumed = summarize(config, data, str(killed / "stage_a.jsonl"))
    assert resumed.code == 0 and "summarize: going on after " in resumed.err
    whole = summarize(config, data, str(tmp_path / "whole" / "stage_a.jsonl"))
    assert len(whole.err.splitlines()) == 1 and whole.err.startswith("summarize: 10 photos in = ")
    assert snapshot(killed) == snapshot(tmp_path / "whole")
