"""open_photo: one function shows every tool the photo that people see, in 8-bit RGB."""

import io
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL", reason="photos need Pillow: make setup-student")

from PIL import Image

from verdicts.photos.files import NotAPhoto, named_format, open_photo, other_format, stored_size

GREY = np.add.outer(np.arange(40), np.arange(60)).astype(np.uint8) * 2  # 0 to 196
RAMP = Image.fromarray(np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1))
SIZE = RAMP.size
PALETTE = Image.new("P", (4, 4), 2)
PALETTE.putpalette(bytes(range(30)))


def written(picture: Image.Image, kind: str, **options) -> io.BytesIO:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    file.seek(0)
    return file


def seen(picture: Image.Image, kind: str, **options) -> np.ndarray:
    whole = open_photo(written(picture, kind, **options))
    assert whole.mode == "RGB"
    return np.asarray(whole).astype(int)


def close(found: np.ndarray, wanted: np.ndarray, within: int = 1) -> bool:
    wanted = np.stack([wanted] * 3, axis=-1) if wanted.ndim == 2 else wanted
    return found.shape == wanted.shape and int(np.abs(found - wanted.astype(int)).max()) <= within


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("times", [256, 257])
def test_grey_of_16_bits_is_the_grey_of_8_bits_it_was_made_from(kind, times):
    deep = Image.fromarray((GREY.astype(np.uint32) * times).astype(np.uint16))
    assert deep.mode == "I;16"
    assert close(seen(deep, kind), GREY, 0)


def test_grey_of_16_bits_with_the_upper_byte_first_is_the_same():
    raw = (GREY.astype(np.uint32) * 257).astype(">u2").tobytes()
    assert close(seen(Image.frombytes("I;16B", SIZE, raw), "TIFF"), GREY, 0)


@pytest.mark.parametrize(("scale", "dtype", "within"), [
    (1, np.int32, 0), (257, np.int32, 0), (1, np.float32, 0), (1 / 255, np.float32, 1), (257, np.float32, 0),
])  # fmt: skip
def test_grey_of_32_bits_is_scaled_by_the_white_it_can_mean(scale, dtype, within):
    assert close(seen(Image.fromarray((GREY * np.float64(scale)).astype(dtype)), "TIFF"), GREY, within)


def test_floats_that_are_no_numbers_are_black_and_stop_nothing():
    values = GREY.astype(np.float32)
    values[0, :3] = np.nan, np.inf, -np.inf
    found = seen(Image.fromarray(values), "TIFF")
    assert not found[0, :3].any() and close(found[1:], GREY[1:])


def test_grey_beyond_any_usual_white_spans_black_to_white():
    found = seen(Image.fromarray(GREY.astype(np.int32) * 10_000 - 5), "TIFF")
    assert (found.min(), found.max()) == (0, 255)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_what_is_transparent_is_white_and_what_is_hidden_is_not_seen(kind):
    alpha = np.zeros(GREY.shape, np.uint8)
    alpha[:, :30] = 255
    options = {"lossless": True} if kind == "WEBP" else {}
    found = seen(Image.merge("RGBA", (*RAMP.split(), Image.fromarray(alpha))), kind, **options)
    assert close(found[:, :30], np.asarray(RAMP)[:, :30], 0) and (found[:, 30:] == 255).all()


def test_half_transparent_is_half_white():
    assert abs(seen(Image.new("RGBA", (4, 4), (0, 0, 0, 128)), "PNG")[0, 0, 0] - 127) <= 1
    assert abs(seen(Image.new("LA", (4, 4), (0, 128)), "PNG")[0, 0, 0] - 127) <= 1


@pytest.mark.parametrize(("picture", "transparent"), [
    (Image.new("L", (4, 4), 7), 7), (Image.new("RGB", (4, 4), (1, 2, 3)), (1, 2, 3)), (PALETTE, 2),
    (Image.new("1", (4, 4), 0), 0),
    (Image.fromarray(np.full((4, 4), 900, np.uint16)), 900), (PALETTE, b"\xff\xff\x00"),
])  # fmt: skip
def test_a_colour_or_palette_entry_marked_transparent_is_white(picture, transparent):
    assert (seen(picture, "PNG", transparency=transparent) == 255).all()


def test_black_and_white_and_palettes_keep_their_colours():
    assert close(seen(Image.fromarray(GREY > 90), "PNG"), (GREY > 90) * 255, 0)
    few = RAMP.quantize(16)
    assert close(seen(few, "PNG"), np.asarray(few.convert("RGB")), 0) and close(
        seen(few, "GIF"), np.asarray(few.convert("RGB")), 0
    )


def test_print_colours_are_read_the_right_way_round():
    cmyk = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # red
    for kind, options in (
        ("JPEG", {"quality": 100}),
        ("TIFF", {}),
    ):  # Pillow writes CMYK JPEGs as Adobe does: inverted, with its mark
        red = seen(cmyk, kind, **options)[8, 8]
        assert red[0] > 200 and red[1] < 60 and red[2] < 60


def test_lab_and_ycbcr_are_colours_too():
    assert close(seen(Image.new("LAB", (4, 4), (255, 128, 128)), "TIFF"), np.full((4, 4), 255), 2)
    assert close(seen(RAMP.convert("YCbCr"), "TIFF"), np.asarray(RAMP), 3)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_what_moves_the_first_frame_is_seen(kind):
    first, second = Image.new("RGB", (20, 20), (250, 0, 0)), Image.new("RGB", (20, 20), (0, 0, 250))
    file = written(first, kind, save_all=True, append_images=[second, first])
    if kind != "TIFF":
        assert Image.open(file).is_animated
    file.seek(0)
    assert tuple(np.asarray(open_photo(file))[10, 10]) >= (240, 0, 0) and np.asarray(open_photo(file))[10, 10, 2] < 10


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_format_is_turned_upright_once(kind, orientation):
    from PIL import ImageOps

    lying = Image.Exif()
    lying[0x0112] = orientation
    half = Image.new("RGB", (32, 16), "black")
    half.paste("white", (0, 0, 16, 8))
    file = written(half, kind, exif=lying)
    file.seek(0)
    plain = Image.new("RGB", half.size)
    plain.paste(half)
    plain.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(plain)).astype(int)
    assert close(np.asarray(open_photo(file)).astype(int), upright, 40)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_picture_that_ends_early_is_no_photo(kind):
    noise = Image.effect_noise((200, 200), 90).convert("RGB")
    whole = written(noise, kind).getvalue()
    for keep in (0.3, 0.6, 0.9):
        with pytest.raises(NotAPhoto) as error:
            open_photo(io.BytesIO(whole[: int(len(whole) * keep)]))
        assert error.value.reason in ("broken", "not_an_image")


def test_a_picture_above_pillows_limit_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        for read in (open_photo, stored_size):
            with pytest.raises(NotAPhoto) as error:
                read(written(RAMP, kind))
            assert error.value.reason == "too_many_pixels"


@pytest.mark.parametrize(("name", "head", "kind"), [
    ("a.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"), ("a", b"\0\0\0\x1cftypmif1\0\0\0\0", "HEIC"),
    ("a.heic", b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
    ("a.dng", b"II*\0\x08\0\0\0", "DNG"), ("a.NEF", b"MM\0*\0\0\0\x08", "NEF"),
    ("a.tif", b"II*\0\x10\0\0\0CR\x02\0", "CR2"), ("a.jpg", b"\xff\x0a\xfa\x1f", "JPEG XL"),
    ("a.tif", b"II*\0\x08\0\0\0", None), ("a.jpg", b"\xff\xd8\xff\xe0", None), ("a.mp4", b"\0\0\0\x18ftypisom", None),
    ("a.heic", b"\xff\xd8\xff\xe0", None),
])  # fmt: skip
def test_formats_that_are_not_read_are_told_by_their_first_bytes(name, head, kind):
    assert other_format(name, head) == kind
    if kind:
        with pytest.raises(NotAPhoto, match=f"{kind}: convert it to JPEG"):
            file = io.BytesIO(head + bytes(40))
            file.name = name
            open_photo(file)


def test_endings_that_promise_such_a_format_are_known():
    assert [named_format(name) for name in ("a.HEIC", "b.heif", "c.Dng", "d.jpg", "e")] == [
        "HEIC",
        "HEIC",
        "DNG",
        None,
        None,
    ]


def test_the_field_cases_are_seen_as_they_are(tmp_path: Path):
    """16-bit grey once came out 99.7 % white, and what alpha 0 hides was described."""
    Image.fromarray(GREY.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    with open(tmp_path / "deep.png", "rb") as file:
        assert (np.asarray(open_photo(file)) == 255).mean() < 0.01
