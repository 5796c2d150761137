"""Photos in folders: what a person or an archive made of names and places is read, or named.

Nothing is passed over in silence.
"""

from pathlib import Path

import pytest

pytest.importorskip("PIL", reason="photos need Pillow: make setup-student")

from PIL import Image

from verdicts.base.errors import UserError
from verdicts.config.sections import SummarizeSection
from verdicts.photos.intake import Unfit, look, read_input
from verdicts.photos.label_folders import LABEL_FOLDERS, label_of
from verdicts.student.summaries import PhotoAnswer, assemble_tickets

LIMITS = SummarizeSection(
    batch=4,
    batch_tokens=0,
    max_new_tokens=24,
    max_photo_mb=0.5,
    max_photo_megapixels=1.0,
    broken="drop_photo",
    max_cut_off=0.01,
)


def put(*paths: str, kind: str = "PNG") -> None:
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32)).save(path, format=kind)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def outcome(folder: str = "data"):
    """What a run would say of this folder with a student that describes every photo."""
    intake = read_input(Path(folder))
    unfit, answers = {}, {}
    for image in (image for group in intake.groups if not group.unfit for image in group.images):
        try:
            look(image, LIMITS)
            answers[image] = PhotoAnswer(image=image, sha256="", summary="标签×1", reason=None, detail="")
        except Unfit as reason:
            unfit[image] = reason
    return intake, assemble_tickets(intake, "BBU接地线检查", unfit, answers)


@pytest.mark.parametrize("read", ["cp437", "gbk", "gb18030", "latin-1", "cp1252", "cp850", "shift_jis", "euc_kr"])
@pytest.mark.parametrize("written", ["utf-8", "gbk", "big5"])
@pytest.mark.parametrize("lost", ["\ufffd", "?", "_"])
def test_a_label_folder_of_an_archive_read_in_a_wrong_encoding_is_told_or_not_taken_for_the_other(read, written, lost):
    for label, name in LABEL_FOLDERS.items():
        name = {"pass": "審核通過", "fail": "審核不通過"}[label] if written == "big5" else name
        garbled = name.encode(written).decode(read, "replace").replace("\ufffd", lost)
        assert label_of(garbled) in (label, None)
        if (written, read) in (
            ("utf-8", "cp437"),
            ("gbk", "cp437"),
            ("utf-8", "gbk"),
            ("gbk", "latin-1"),
            ("big5", "cp437"),
        ):
            assert label_of(garbled) == label


@pytest.mark.parametrize(("name", "label"), [
    ("审核通过", "pass"), (" 审核不通过 ", "fail"), ("審核通過", "pass"), ("審核不通過", "fail"), ("通过", "pass"),
    ("不通过", "fail"), ("PASS", "pass"), ("Fail", "fail"),
    ("ｐａｓｓ", "pass"), ("审核未通过", "fail"), ("%E5%AE%A1%E6%A0%B8%E9%80%9A%E8%BF%87", "pass"),
    ("#U5ba1#U6838#U4e0d#U901a#U8fc7", "fail"),
    ("待审核", None), ("通过率", None), ("passport", None), ("????", None), ("", None), ("____", None), ("QC-1", None),
    ("#U12", None), ("%zz", None),
])  # fmt: skip
def test_a_folders_name_means_a_label_or_none(name, label):
    assert label_of(name) == label


def test_folders_under_other_names_are_read_and_it_is_said():
    put("data/審核通過/A/1.png", "data/σ«íµá╕Σ╕ìΘÇÜΦ┐ç/B/1.png")
    intake, made = outcome()
    assert [(ticket.group_id, ticket.label) for ticket in made.tickets] == [("A", "pass"), ("B", "fail")]
    assert intake.notes == ["reading data/審核通過 as 审核通过", "reading data/σ«íµá╕Σ╕ìΘÇÜΦ┐ç as 审核不通过"]


def test_a_group_that_stands_under_two_names_of_a_label_is_taken_once():
    put("data/审核通过/A/1.png", "data/pass/A/1.png")
    _, made = outcome()
    assert [ticket.images for ticket in made.tickets] == [["data/审核通过/A/1.png"]]
    assert [row.reason for row in made.refused] == ["duplicate_group", "duplicate_group"]


def test_an_input_without_label_folders_says_what_it_found():
    put("data/待审核/A/1.png", "data/B/1.png")
    with pytest.raises(
        UserError,
        match=r"^data: no folder 审核通过 or 审核不通过 in it \(found B, 待审核\); rename the folders of passed and "
        r"failed groups to 审核通过 and 审核不通过, or",
    ):
        read_input(Path("data"))
    put("zip/data/審核通過/A/1.png")
    with pytest.raises(UserError, match=r"did you mean zip/data\?"):
        read_input(Path("zip"))


def test_photos_in_folders_of_a_group_are_the_groups_in_name_order():
    put(
        "data/审核通过/G/2.png",
        "data/审核通过/G/1-more/10.png",
        "data/审核通过/G/1-more/9.png",
        "data/审核通过/G/3/deep/1.png",
    )
    _, made = outcome()
    assert made.tickets[0].images == [
        f"data/审核通过/G/{name}" for name in ("1-more/9.png", "1-more/10.png", "2.png", "3/deep/1.png")
    ]
    assert (
        made.sentence()
        == "4 photos in = 4 kept + 0 refused; 1 groups in = 1 kept + 0 refused; 3 photos in folders inside their group"
    )


def test_a_folder_of_groups_is_no_group():
    put("data/审核通过/2023-01/G1/1.png", "data/审核通过/2023-01/G2/1.png", "data/审核通过/G3/1.png")
    intake, made = outcome()
    assert [ticket.group_id for ticket in made.tickets] == ["G3"]
    assert "3 photos in = 1 kept + 2 refused (2 nested_groups); 2 groups in = 1 kept + 1 refused" in made.sentence()
    assert intake.notes == [
        "refusing data/审核通过/2023-01 (nested_groups): no photo of its own, but 2 folders of photos (G1, G2); put "
        "these right into 审核通过 if they are groups, else their photos into one folder"
    ]
    assert made.refused[-1].image is None and "2 folders of photos" in made.refused[-1].detail


def test_a_folder_in_a_folder_of_the_same_name_is_the_group_and_links_in_a_circle_end():
    put("data/审核通过/G1/G1/1.png", "data/审核通过/G2/1.png")
    Path("data/审核通过/G2/again").symlink_to("..")
    Path("data/审核通过/G2/self").symlink_to(".")
    _, made = outcome()
    assert [ticket.images[0] for ticket in made.tickets] == ["data/审核通过/G1/G1/1.png", "data/审核通过/G2/1.png"]
    assert {row.reason for row in made.refused} == {"unreadable"}


def test_files_beside_the_label_folders_and_in_other_folders_are_counted():
    put(
        "data/审核通过/A/1.png",
        "data/loose.jpg",
        "data/待审核/B/1.png",
        "data/待审核/B/2.png",
        "data/审核通过/stray.png",
    )
    intake, made = outcome()
    assert (
        made.sentence() == "5 photos in = 1 kept + 4 refused (1 no_group, 3 no_label); 1 groups in = 1 kept + 0 refused"
    )
    assert intake.notes == [
        "passing over data/待审核: it is neither of the two label folders; 2 files in it are refused (no_label): "
        "rename it where it is one of them"
    ]
    assert {row.label for row in made.refused} == {"pass", None}


def test_a_label_folder_in_raw_gbk_bytes_is_told_and_its_photos_are_refused():
    put("data/审核不通过/A/1.png", "data/x/B/1.png")
    Path("data/x").rename(Path("data") / "审核通过".encode("gbk").decode("utf-8", "surrogateescape"))
    intake, made = outcome()
    assert intake.notes == ["reading data/\\xc9\\xf3\\xba\\xcbͨ\\xb9\\xfd as 审核通过"]
    assert [row.reason for row in made.refused] == ["bad_name", "no_photo_left"] and len(made.tickets) == 1


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


@pytest.mark.parametrize(("name", "content", "reason", "detail"), [
    ("x.webp", "WEBP", None, ""), ("x.JFIF", "JPEG", None, ""), ("x.jpe", "JPEG", None, ""), ("x.gif", "GIF", None, ""),
    ("x.bmp", "BMP", None, ""), ("x.TIF", "TIFF", None, ""),
    ("x.png", "JPEG", None, ""), ("x", "JPEG", None, ""), ("x.heic", "JPEG", None, ""),
    ("x.jpg.bak", "JPEG", "unknown_extension", ".bak; it holds a picture"),
    ("x.heic", HEIC, "convert_to_jpeg", "HEIC: convert it to JPEG"),
    ("x.jpg", HEIC, "convert_to_jpeg", "HEIC: convert it to JPEG"),
    ("x.dng", b"II*\0\x08\0\0\0" + bytes(100), "convert_to_jpeg", "DNG: convert it to JPEG"),
    ("x.heif", b"none", "unknown_extension", "HEIC: convert it to JPEG"),
    ("x.txt", b"text", "unknown_extension", ".txt"), ("x.gif", b"GIF89a", "not_an_image", ""),
])  # fmt: skip
def test_the_content_decides_and_the_ending_helps(name, content, reason, detail):
    path = Path("data/审核通过/G", name)
    if isinstance(content, str):
        put(str(path), kind=content)
    else:
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    if reason is None:
        assert look(str(path), LIMITS) == (32, 32)
        return
    with pytest.raises(Unfit) as error:
        look(str(path), LIMITS)
    assert error.value.reason == reason and error.value.detail.startswith(detail)


def test_formats_to_convert_are_counted_in_the_sentence():
    put("data/审核通过/G/1.png")
    for name in ("2.heic", "3.heic", "4.jpg"):
        Path("data/审核通过/G", name).write_bytes(HEIC)
    Path("data/审核通过/G/5.avif").write_bytes(HEIC.replace(b"ftypheic", b"ftypavif"))
    _, made = outcome()
    assert (
        made.sentence()
        == "5 photos in = 1 kept + 4 refused (4 convert_to_jpeg); 1 groups in = 1 kept + 0 refused; convert 1 AVIF, "
        "3 HEIC to JPEG"
    )
