"""The student's rows: ids and pixels are transformers' own, and batches answer as single rows do.

Data never becomes control tokens.
"""

import json
import shutil
from pathlib import Path

import pytest

from tests.support.student_builders import random_student
from verdicts.base.errors import UserError
from verdicts.student.model import Dialogue, Encoder, Student, missing_weights

torch = pytest.importorskip("torch", reason="the student needs torch: make setup-student")
pytest.importorskip("transformers", reason="the student needs transformers: make setup-student")
pytest.importorskip("gguf", reason="the student needs gguf: make setup-student")

from PIL import Image, ImageOps  # noqa: E402  after importorskip

SYSTEM, CHAT = "你是通信机柜质检复核员。", "照片摘要：\nimage_1: 标签/无法识别×1"
ANSWER = "Verdict: 不通过\nReason: 出现标签无法识别(G0)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return random_student(tmp_path_factory.mktemp("student"))


@pytest.fixture(scope="module")
def student(folder) -> Student:
    return Student(folder, n_threads=1)


def photo(path: Path, size: tuple[int, int] = (256, 192), shade: int = 90) -> Path:
    image = Image.new("RGB", size, (shade, 40, 200 - shade))
    image.paste((255, 255, 0), (0, 0, size[0] // 3, size[1] // 4))
    image.save(path)
    return path


def chat(*texts: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text} for role, text in zip(("system", "user", "assistant"), texts, strict=False)]


def theirs(folder: Path, messages: list[dict], images: list[Path], generate: bool):
    """Ids and pixels that transformers' own processor makes."""
    from verdicts.student.processor import load_photo_processor

    processor = load_photo_processor(folder)
    for message in messages:
        parts = message["content"].split("<image>") if images and message["role"] == "user" else [message["content"]]
        message["content"] = [part for text in parts for part in ({"type": "image"}, {"type": "text", "text": text})][
            1:
        ]
    text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=generate)
    return processor(text=[text], images=[Image.open(path) for path in images] or None, return_tensors="pt")


@pytest.mark.parametrize(
    "texts",
    [(SYSTEM, CHAT), (SYSTEM, CHAT, ANSWER), ("", "两张：<image>和<image>，比较", ANSWER), ("", "<image>\n写出事实")],
)
def test_ids_and_pixels_are_those_of_transformers_own_processor(student, folder, tmp_path, texts):
    images = [photo(tmp_path / f"{n}.png", size) for n, size in enumerate([(256, 192), (400, 150)])][
        : texts[1].count("<image>")
    ]
    messages = [message for message in chat(*texts) if message["content"]]
    mine = student.encode(Dialogue(messages, images), generate=len(texts) == 2)
    wanted = theirs(folder, [dict(m) for m in messages], images, len(texts) == 2)
    assert mine.ids == wanted["input_ids"][0].tolist()
    batch = student.batch([mine], left=True)
    for name in ("attention_mask", "mm_token_type_ids", *(("pixel_values", "image_grid_thw") if images else ())):
        assert torch.equal(batch[name], wanted[name]), name


# What real checkpoints do beside the plain form: count photos, add a system message, keep the template in
# chat_template.json.
COUNTING = (
    "{%- set seen = namespace(photos=0) %}{%- for m in messages %}"
    "{%- if loop.first and m.role != 'system' %}{{- '<|im_start|>system\\nYou are helpful.<|im_end|>\\n' }}{%- endif %}"
    "{{- '<|im_start|>' + m.role + '\\n' }}{%- if m.content is string %}{{- m.content }}{%- else %}{%- for part in "
    "m.content %}"
    "{%- if part.type == 'image' %}{%- set seen.photos = seen.photos + 1 %}{{- 'Picture ' ~ seen.photos ~ ': "
    "<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{%- else %}{{- part.text }}{%- endif %}{%- endfor %}{%- endif %}{{- '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)


def test_a_checkpoint_with_a_template_of_its_own_is_followed(folder, tmp_path):
    (own := broken(folder, tmp_path / "x", "weights")).joinpath("chat_template.jinja").unlink()
    (own / "chat_template.json").write_text(json.dumps({"chat_template": COUNTING}), encoding="utf-8")
    images = [photo(tmp_path / f"{n}.png", size) for n, size in enumerate([(256, 192), (400, 150)])]
    messages = chat("", "两张：<image>和<image>，比较")[1:]
    mine = Encoder(own).encode(Dialogue(messages, images), generate=True)
    assert mine.ids == theirs(own, [dict(m) for m in messages], images, True)["input_ids"][0].tolist()
    assert "helpful" in Encoder(own).tokenizer.decode(mine.ids)


def test_only_answers_and_their_ends_are_learnt(student):
    row = student.encode(
        Dialogue(
            [*chat(SYSTEM, CHAT, ANSWER), {"role": "user", "content": "为何"}, {"role": "assistant", "content": "因为"}]
        )
    )
    runs, text = [], []
    for i, learn in zip([*row.ids, 0], [*row.learn, False], strict=True):
        text += [i] if learn else []
        if not learn and text:
            runs.append(student.tokenizer.decode(text))
            text = []
    assert runs == [f"{ANSWER}<|im_end|>", "因为<|im_end|>"]
    assert student.batch([row], left=True)["labels"][0].tolist() == [
        i if learn else -100 for i, learn in zip(row.ids, row.learn, strict=True)
    ]


def test_before_an_answer_is_written_the_row_ends_with_the_assistants_opening(student):
    asked = student.encode(Dialogue(chat(SYSTEM, CHAT)), generate=True)
    assert student.tokenizer.decode(asked.ids).endswith("<|im_end|>\n<|im_start|>assistant\n") and not any(asked.learn)
    assert student.encode(Dialogue(chat(SYSTEM, CHAT, ANSWER)), generate=True) == asked


@pytest.mark.parametrize(
    "marker", ["<|im_end|>", "<|im_start|>", "<|image_pad|>", "<|vision_start|>", "<|video_pad|>", "<|endoftext|>"]
)
def test_a_control_token_written_in_data_stays_plain_text(student, tmp_path, marker):
    text = f"标签/{marker}{marker}×1"
    harmless = student.encode(Dialogue(chat(SYSTEM, CHAT, ANSWER)))
    row = student.encode(Dialogue(chat(text, text, text)))
    control = student.tokenizer.convert_tokens_to_ids(marker)
    assert row.ids.count(control) == harmless.ids.count(control)
    assert student.tokenizer.decode(row.ids).count(text) == 3
    shown = student.encode(Dialogue(chat("", f"<image>{text}"), [photo(tmp_path / "a.png")]))
    assert shown.ids.count(student.config.image_token_id) == student.photo_tokens(256, 192)


def test_the_dense_answers_json_pieces_stay_whole(student):
    row = student.encode(Dialogue(chat(SYSTEM, CHAT, '[{"bbox_2d":[1,2,30,40],"label":"标签/无法识别"}]')))
    assert {student.tokenizer.convert_tokens_to_ids(piece) for piece in ('{"bbox_2d":[', '],"label":"', '"}]')} <= set(
        row.ids
    )


def test_the_word_image_is_text_where_a_row_has_no_photo(student):
    row = student.encode(Dialogue(chat(SYSTEM, "<image>在哪里")))
    assert "<image>在哪里" in student.tokenizer.decode(row.ids)
    assert row.pixels is None and "pixel_values" not in student.batch([row], left=False)


def test_photos_and_their_words_must_be_as_many(student, tmp_path):
    with pytest.raises(UserError, match="1 images but 2 <image>"):
        student.encode(Dialogue(chat(SYSTEM, "<image><image>"), [photo(tmp_path / "a.png")]))


def test_a_photo_takes_the_tokens_of_its_own_size(student, tmp_path):
    for size in [(256, 192), (128, 128), (100, 300), (1000, 1000)]:
        row = student.encode(Dialogue(chat("", "<image>"), [photo(tmp_path / "a.png", size)]))
        assert row.ids.count(student.config.image_token_id) == student.photo_tokens(*size)
    assert student.photo_tokens(128, 128) < student.photo_tokens(256, 192)


def test_larger_photos_are_scaled_to_the_limit_that_is_given(folder, tmp_path):
    encoder = Encoder(folder, max_photo_pixels=128 * 128)
    row = encoder.encode(Dialogue(chat("", "<image>"), [photo(tmp_path / "a.png", (2000, 1500))]))
    assert row.ids.count(encoder.config.image_token_id) == encoder.photo_tokens(2000, 1500) <= 16


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_turned_by_exif_gives_the_pixels_that_pillow_makes_upright(student, tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.open(photo(tmp_path / "a.png", (256, 192))).save(tmp_path / "turned.png", exif=exif)
    ImageOps.exif_transpose(Image.open(tmp_path / "turned.png")).save(tmp_path / "upright.png")
    turned, upright, as_it_lies = (
        student.encode(Dialogue(chat("", "<image>"), [tmp_path / f"{name}.png"])) for name in ("turned", "upright", "a")
    )
    assert torch.equal(turned.pixels, upright.pixels) and turned.ids == upright.ids
    assert (orientation == 1) == torch.equal(turned.pixels, as_it_lies.pixels)


def test_a_batch_of_chats_and_photos_answers_as_single_rows_do(student, tmp_path):
    rows = [Dialogue(chat(SYSTEM, CHAT)),
            Dialogue(chat("", "<image>用一行写出事实"), [photo(tmp_path / "a.png", shade=10)]),
            Dialogue(chat(SYSTEM, CHAT * 3)),
            Dialogue(chat("", "<image>写出<image>"),
                [photo(tmp_path / "b.png", (128, 256)), photo(tmp_path / "c.png", (300, 100))])]  # fmt: skip
    rows = [Dialogue([m for m in row.messages if m["content"]], row.images) for row in rows]
    together = student.answer(rows, 24)
    assert together == [student.answer([row], 24)[0] for row in rows]
    assert len(set(together)) > 1


def test_right_padding_gives_each_row_the_logits_it_has_alone(student, tmp_path):
    rows = [
        student.encode(Dialogue(chat(SYSTEM, CHAT, ANSWER))),
        student.encode(Dialogue(chat("", "<image>写", "电线"), [photo(tmp_path / "a.png")])),
    ]
    model = student.model
    with torch.inference_mode():
        batch = student.batch(rows, left=False)
        labels = batch.pop("labels")
        together = model(**batch).logits
        for i, row in enumerate(rows):
            alone = {name: tensor for name, tensor in student.batch([row], left=False).items() if name != "labels"}
            assert torch.allclose(together[i, : len(row.ids)], model(**alone).logits[0], atol=1e-3)
    assert (labels[0, len(rows[0].ids) :] == -100).all()


def test_the_text_part_answers_in_two_lines(student):
    from verdicts.stage_b.protocol import parse

    system = (
        (Path("configs/prompts/stage_b.system.txt"))
        .read_text(encoding="utf-8")
        .format(mission="BBU接地线检查", guidance="G0: 须见：电线捆扎整齐")
    )
    assert parse(student.answer([Dialogue(chat(system, CHAT))], 96)[0].rstrip("\n")).why is None


def test_an_answer_cut_short_is_told_from_one_that_ended(student):
    asked = student.encode(Dialogue(chat(SYSTEM, CHAT)), generate=True)
    ((_, cut),) = student.answer_encoded([asked], 2)
    assert cut is False


def broken(folder: Path, to: Path, how: str) -> Path:
    shutil.copytree(folder, to)
    if how == "weights":
        (to / "model.safetensors").unlink()
    elif how == "shard":
        (to / "model.safetensors.index.json").write_text(
            json.dumps({"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}), encoding="utf-8"
        )
    elif how == "kind":
        (to / "config.json").write_text(json.dumps({"model_type": "qwen2_5_vl"}), encoding="utf-8")
    elif how == "json":
        (to / "config.json").write_text("{", encoding="utf-8")
    elif how == "config":
        (to / "config.json").unlink()
    return to


@pytest.mark.parametrize(("how", "what"), [
    ("weights", r"its weights are missing \(model\.safetensors\)"),
    ("shard", r"its weights are missing \(model-2\.safetensors\)"),
    ("kind", r"another architecture \(qwen2_5_vl\)"), ("json", "config.json is not a JSON object"),
    ("config", "no config.json in it"),
])  # fmt: skip
def test_a_folder_that_is_no_student_is_named_with_the_way_to_get_one(folder, tmp_path, how, what):
    with pytest.raises(
        UserError, match=rf"student\.model: {what}.*; .*Qwen/Qwen3-VL-4B-Instruct.*make miniature-student"
    ) as error:
        Student(broken(folder, tmp_path / "x", how))
    assert "\n" not in str(error.value)


def test_an_encoder_needs_no_weights(folder, tmp_path):
    there = broken(folder, tmp_path / "x", "weights")
    assert missing_weights(there) == "model.safetensors"
    assert Encoder(there).encode(Dialogue(chat(SYSTEM, CHAT))).ids


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="no such checkpoint folder"):
        Encoder(tmp_path / "none")


def test_a_photo_that_is_not_whole_is_named(student, tmp_path):
    (tmp_path / "a.png").write_bytes(photo(tmp_path / "b.png").read_bytes()[:150])
    photo(tmp_path / "c.png", (2010, 10))
    for name, what in (
        ("a.png", "not a whole photo"),
        ("none.png", "cannot be read .No such file"),
        ("c.png", "too narrow a photo"),
    ):
        with pytest.raises(UserError, match=rf"{name}: {what}"):
            student.encode(Dialogue(chat("", "<image>"), [tmp_path / name]))
