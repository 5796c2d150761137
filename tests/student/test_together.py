"""Photos answered together: as one generate a photo, whatever the batch, the prompts that share a look, the memory."""

from pathlib import Path

import pytest

from verdicts.base.errors import UserError

torch = pytest.importorskip("torch", reason="the student needs torch: make setup-student")
pytest.importorskip("transformers", reason="the student needs transformers: make setup-student")

from miniature.drawing.photos import main as draw  # noqa: E402  after importorskip
from verdicts.student.model import Dialogue, Student  # noqa: E402

STUDENT = Path("data/miniature/student")
ASKED = [{"role": "user", "content": "<image>用一行写出照片中的事实，不写坐标。"}]
BOXES = [{"role": "user", "content": "<image>列出照片中的对象。"}]
NEW_TOKENS = 48


@pytest.fixture(scope="module")
def student() -> Student:
    return Student(STUDENT, n_threads=1)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> list[Path]:
    """Drawn photos of several sizes, so that batches need padding."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    draw(mission="bbu_line", tickets=2, seed=5, output=folder)
    found = sorted(folder.rglob("*.jpg"))[:5]
    for path, size in zip(found, [(256, 192), (320, 192), (192, 256), (448, 320), (256, 192)], strict=True):
        Image.open(path).resize(size).save(path, quality=95)
    return found


@pytest.fixture(scope="module")
def alone(student, photos) -> list[str]:
    """What transformers' own generate says of each photo, its pixels handed over as its processor makes them."""
    said = []
    for path in photos:
        row = student.encode(Dialogue(ASKED, [path]), generate=True)
        batch = student.batch([row], left=True)
        del batch["labels"]
        with torch.inference_mode():
            (ids,) = student.model.generate(**batch, max_new_tokens=NEW_TOKENS)
        said.append(student.tokenizer.decode(ids[len(row.ids) :], skip_special_tokens=True))
    return said


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_batch_of_any_size_says_of_each_photo_what_one_generate_a_photo_says(student, photos, alone, batch):
    said = []
    for at in range(0, len(photos), batch):
        said += student.answer([Dialogue(ASKED, [path]) for path in photos[at : at + batch]], NEW_TOKENS)
    assert said == alone and len(set(alone)) > 2


def test_two_prompts_of_a_photo_share_one_look_and_say_what_each_says_by_itself(student, photos, alone, monkeypatch):
    apart = student.answer([Dialogue(BOXES, [path]) for path in photos], NEW_TOKENS)
    looks, tower = [], student.model.model.visual.forward
    monkeypatch.setattr(student.model.model.visual, "forward", lambda *a, **k: looks.append(1) or tower(*a, **k))
    batches = [[Dialogue(asked, [path]) for path in photos] for asked in (ASKED, BOXES)]
    both = [[text for text, _ in student.answer_encoded(rows, NEW_TOKENS)] for rows in student.encode_all(batches)]
    assert both == [alone, apart] and len(looks) == len(photos)


def test_rows_of_several_batches_come_in_their_order_and_photos_are_held_for_one_batch_more(
    student, photos, monkeypatch
):
    read, open_one = [], student.photos_of
    monkeypatch.setattr(student, "photos_of", lambda row: read.extend(row.images) or open_one(row))
    first, second, third = photos[:3]
    batches = [[first, second], [second, third], [first, first]]
    asked = [[Dialogue(ASKED, [path]) for path in batch] for batch in batches]
    found = list(student.encode_all([*asked, [Dialogue([{"role": "user", "content": "为何"}])]]))
    assert sorted(read) == sorted([first, second, third, first]), "the second is held, the first was let go"
    assert [[row.ids for row in rows] for rows in found[:3]] == [
        [student.encode(row, generate=True).ids for row in rows] for rows in asked
    ]
    assert found[3][0].vision is None and list(student.encode_all([])) == []


def short_of_memory(student: Student, most: int, monkeypatch) -> list[int]:
    """Have the student's memory hold no more than so many rows; returns how many it was asked for each time."""
    asked, generate = [], student.model.generate

    def limited(input_ids, **more):
        asked.append(len(input_ids))
        if len(input_ids) > most:
            raise torch.OutOfMemoryError
        return generate(input_ids=input_ids, **more)

    monkeypatch.setattr(student.model, "generate", limited)
    monkeypatch.setattr(student, "_fits", 0)
    return asked


def test_a_batch_beyond_the_memory_is_halved_aloud_and_none_as_large_is_tried_again(
    student, photos, alone, monkeypatch, capsys
):
    asked = short_of_memory(student, 2, monkeypatch)
    rows = [student.encode(Dialogue(ASKED, [path]), generate=True) for path in photos]
    assert [text for text, _ in student.answer_encoded(rows, NEW_TOKENS)] == alone
    assert asked[:2] == [5, 3] and "memory is too small for 5 rows" in capsys.readouterr().err
    before = len(asked)
    assert [text for text, _ in student.answer_encoded(rows, NEW_TOKENS)] == alone
    assert max(asked[before:]) <= 2 and capsys.readouterr().err == ""


def test_each_half_is_watched_by_itself(student, photos, monkeypatch):
    short_of_memory(student, 1, monkeypatch)
    rows = [student.encode(Dialogue(ASKED, [path]), generate=True) for path in photos[:2]]
    shown = {}

    def watch(batch):
        return lambda ids, scores: shown.setdefault(tuple(map(id, batch)), []).append(ids.shape) or scores

    student.answer_encoded(rows, 2, watch)
    assert shown == {(id(row),): [(1, len(row.ids)), (1, len(row.ids) + 1)] for row in rows}


def test_one_row_that_does_not_fit_is_an_error(student, photos, monkeypatch):
    short_of_memory(student, 0, monkeypatch)
    row = student.encode(Dialogue(ASKED, photos[:1]), generate=True)
    with pytest.raises(UserError, match=r"GPU memory is too small .* lower the batch"):
        student.answer_encoded([row], 4)
