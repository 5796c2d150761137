"""The exported miniature on llama-server itself: what the student says, it says; what is broken says something else.

Skipped where llama.cpp's programs are not compiled: `make llama-programs` takes minutes, once.
"""

from pathlib import Path

import pytest

from miniature.world.dataset import draw_tickets, sample_world, stage_a_rows
from tests.support.exporting import PROGRAMS, STUDENT, write_export
from verdicts.base.errors import UserError
from verdicts.base.jsonl import write_json
from verdicts.config.load import load
from verdicts.export import asking
from verdicts.export.asking import serving_student
from verdicts.export.convert import MMPROJ, MODEL
from verdicts.export.records import Conversion
from verdicts.models.fingerprint import checkpoint_hash
from verdicts.records.evaluation import Named
from verdicts.stage_b.prompts import load_prompts
from verdicts.stage_b.threshold import p_fail
from verdicts.student.model import Dialogue, Encoder, Student
from verdicts.student.processor import scaled

compiled = pytest.mark.skipif(not (PROGRAMS / "key").is_file(), reason="needs `make llama-programs` (minutes, once)")
CONFIG = load("miniature", "bbu_line")
ASK = load_prompts(CONFIG.prompts, CONFIG.mission).photo_messages("summary")


@pytest.fixture(scope="module")
def tickets() -> list[Dialogue]:
    prompts = load_prompts(CONFIG.prompts, CONFIG.mission)
    world = sample_world(3, "bbu_line")
    first = {"role": "system", "content": prompts.stage_b_system({"G0": CONFIG.mission.g0})}
    rows = stage_a_rows(world, draw_tickets(world, 12, 5))
    return [Dialogue([first, {"role": "user", "content": prompts.stage_b_user(row["per_image"])}]) for row in rows]


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> list[Dialogue]:
    """A photo as the student was taught with, one that has to be scaled, and one that has to be turned."""
    from PIL import Image

    folder, out = tmp_path_factory.mktemp("photos"), []
    for name, size, turn in (("a", (256, 192), 1), ("b", (300, 211), 1), ("c", (192, 256), 6)):
        picture = Image.new("RGB", size, (120, 130, 140))
        picture.paste((40, 40, 60), (size[0] // 8, size[1] // 3, size[0] * 7 // 8, size[1] // 2))
        exif = Image.Exif()
        exif[0x0112] = turn
        picture.save(folder / f"{name}.jpg", quality=95, exif=exif)
        out.append(Dialogue(ASK, [folder / f"{name}.jpg"]))
    return out


@pytest.fixture
def answers(tmp_path, monkeypatch):
    """What llama-server says with the files in ``tmp_path``."""
    monkeypatch.setattr(asking, "PROGRAMS", PROGRAMS)

    def ask(rows: list[Dialogue], photos: str = "prepared") -> list[str]:
        named = Named(folder=STUDENT.as_posix(), sha256=checkpoint_hash(STUDENT))
        write_json(
            tmp_path / "conversion.json",
            Conversion(
                student=named, llama_cpp="x", quant="f16", mmproj_quant="f16", files=[], settings_checked=0,
                photo_tokens=[16, 64], found=[],
            ),
        )  # fmt: skip
        knobs = CONFIG.llama_server.model_copy(update={"photos": photos, "n_threads": 1})
        with serving_student(tmp_path, STUDENT, knobs, 0, tmp_path / "log") as served:
            said = [text for text, _ in served.answer_encoded([served.encode(row) for row in rows], 96)]
            assert served.other_ids == 0 and served.prompts == sum(not row.images for row in rows)
            sure.extend(served.answer_verdicts([served.encode(row) for row in rows if not row.images], 96))
        return said

    sure: list[tuple[str, bool, tuple[float, float] | None]] = []
    ask.sure = sure
    return ask


@pytest.fixture(scope="module")
def by_transformers(tickets, photos) -> list[str]:
    return Student(STUDENT, 0, 1).answer([*tickets, *photos], 96)


@compiled
def test_tickets_and_photos_are_answered_as_by_transformers(tmp_path, answers, tickets, photos, by_transformers):
    write_export(tmp_path)
    assert answers([*tickets, *photos]) == by_transformers
    student = Student(STUDENT, 0, 1)
    wanted = student.answer_verdicts([student.encode(row, generate=True) for row in tickets], 96)
    assert [p_fail(sure) for _, _, sure in answers.sure] == pytest.approx(
        [p_fail(sure) for _, _, sure in wanted], abs=0.01
    )


def swap(file: str, held: dict) -> None:
    if file == MODEL:
        held["blk.2.attn_v.weight"], held["blk.4.attn_v.weight"] = (
            held["blk.4.attn_v.weight"], held["blk.2.attn_v.weight"],
        )  # fmt: skip


def shuffle(file: str, held: dict) -> None:
    if file == MMPROJ:
        held["mm.2.weight"] = held["mm.2.weight"][::-1].copy()


def other_template(file: str, fields: dict) -> None:
    if file == MODEL:
        fields["tokenizer.chat_template"] = (
            "{% for message in messages %}<|im_start|>{{ message['content'] }}<|im_end|>{% endfor %}"
        )


@compiled
def test_a_swapped_tensor_changes_what_is_said_of_tickets(tmp_path, answers, tickets, by_transformers):
    write_export(tmp_path, tensors=swap)
    assert answers(tickets) != by_transformers[: len(tickets)]


@compiled
def test_shuffled_vision_changes_what_is_said_of_photos_alone(tmp_path, answers, tickets, photos, by_transformers):
    write_export(tmp_path, tensors=shuffle)
    said = answers([*tickets[:2], *photos])
    assert said[:2] == by_transformers[:2] and said[2:] != by_transformers[len(tickets) :]


@compiled
def test_another_chat_template_makes_other_ids_of_every_prompt(tmp_path, answers, tickets):
    write_export(tmp_path, settings=other_template)
    with pytest.raises(AssertionError, match=f"assert {len(tickets)} == 0|assert \\({len(tickets)} == 0"):
        answers(tickets)


@compiled
def test_a_file_that_is_cut_short_ends_the_server_and_says_so(tmp_path, answers, tickets):
    write_export(tmp_path)
    whole = (tmp_path / MODEL).read_bytes()
    (tmp_path / MODEL).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="llama-server ended by itself"):
        answers(tickets)


def test_a_prepared_photo_is_in_the_size_that_the_student_sees_and_gives_the_same_pixels(photos):
    from PIL import Image, ImageOps

    encoder = Encoder(STUDENT)
    sizes = []
    for row in photos:
        picture = ImageOps.exif_transpose(Image.open(Path(row.images[0]))).convert("RGB")
        ready = scaled(picture, encoder.photos)
        sizes.append(ready.size)
        # 32 by 32 pixels a token: transformers' own processor makes the same of both, and the student sees that
        theirs = encoder.photos([picture], return_tensors="pt")["pixel_values"]
        assert (encoder.photos([ready], return_tensors="pt")["pixel_values"] == theirs).all()
        assert (encoder.see([picture]).pixels == theirs).all()
    assert sizes == [(256, 192), (288, 224), (256, 192)]  # 300 by 211 stretched; 192 by 256 turned
