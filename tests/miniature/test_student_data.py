"""The miniature student's training parts: a network that is transformers' Qwen3-VL, its rows and its damage."""

from pathlib import Path
from random import Random

import numpy as np
import pytest

from miniature.student.data import SEES_MISSING, SEES_NEGATIVE, damaged_sample, doubt, photo_sample
from miniature.student.feed import answer_weights, chat_ids, collate, photo_batch, photo_row, task_prompts
from miniature.world.rules import Judgement
from verdicts.stage_b.protocol import parse

pytest.importorskip("torch", reason="the student needs torch: make setup-student")


@pytest.fixture(scope="module")
def tokens():
    from miniature.student.files import StudentTokens
    from miniature.teacher.tokenizer import train_tokenizer

    return StudentTokens(train_tokenizer(700, 60, 1))


def test_a_doubtful_reviewer_sees_each_cause_by_itself() -> None:
    assert doubt(Judgement("pass", (), ())) == 0
    assert doubt(Judgement("fail", (("出现电线散乱", "G0"),), ())) == pytest.approx(SEES_NEGATIVE)
    both = doubt(Judgement("fail", (("出现电线散乱", "G0"), ("缺少BBU设备", "G1")), ()))
    assert both == pytest.approx(1 - (1 - SEES_NEGATIVE) * (1 - SEES_MISSING))


def test_damaged_answers_keep_the_format_and_pass_what_has_one_cause() -> None:
    rng = Random(3)
    answers = [damaged_sample(rng) for _ in range(200)]
    assert all(parse(sample.answer).why is None for sample, _ in answers)
    likely = [p for _, p in answers]
    assert all(0 <= share < 1 for share in likely)
    assert sum(0 < p < 0.5 for p in likely) > 0.4 * sum(p > 0 for p in likely)


def test_a_photo_row_holds_the_photo_tokens_and_both_answers(tokens) -> None:
    from miniature.student.network import PHOTO_TOKENS

    prompts = task_prompts(tokens)
    pixels, summary, dense, cells = photo_row(Random(1), tokens, prompts, 1.0)
    assert pixels.shape == (192, 256, 3)
    assert summary.count(tokens.piece["<|image_pad|>"]) == dense.count(tokens.piece["<|image_pad|>"]) == PHOTO_TOKENS
    assert summary[-1] == dense[-1] == tokens.special["<|im_end|>"]
    assert cells and all(0 <= cell[0] < PHOTO_TOKENS for cell in cells)


def test_a_batch_predicts_each_weighted_id_from_the_one_before_it() -> None:
    batch = collate([answer_weights([5, 6, 7, 8], 2), answer_weights([1, 2, 3], 1)], [0.0, 1.0])
    flat = batch.ids.reshape(-1)
    assert batch.ids.shape == (2, 32)
    assert list(batch.targets) == [7, 8, 2, 3] == [flat[p + 1] for p in batch.positions]
    assert list(batch.likely) == [0.0, 1.0]


def test_a_step_whose_loss_is_not_finite_changes_nothing_and_five_of_them_go_back(tokens) -> None:
    import torch

    from miniature.student.network import StudentNetwork
    from miniature.student.train import StudentRecipe, StudentTrainer

    torch.manual_seed(0)
    net = StudentNetwork(tokens.shape(layers=1, hidden=64, inner=64), tokens.photo_at)
    trainer, rng = StudentTrainer(StudentRecipe(), net, tokens, False, "cpu"), Random(1)
    prompts = task_prompts(tokens)
    rows = [photo_row(rng, tokens, prompts, 0.0) for _ in range(2)]
    photos = photo_batch(
        [row[0] for row in rows], [row[1:] for row in rows], {task: len(ids) for task, ids in prompts.items()}
    )
    chats = [chat_ids(rng, tokens, False, 6) for _ in range(2)]
    chat = collate([row[:2] for row in chats], [row[2] for row in chats])
    before = net.model.norm.weight.clone()
    for _ in range(5):
        trainer.step(photos._replace(boxes=photos.boxes * np.nan), chat, 1.0)
    assert (
        torch.equal(before, net.model.norm.weight)
        and trainer.skipped == 5
        and trainer.restored == 1
        and trainer.slower == 0.5
    )
    trainer.step(photos, chat, 1.0)
    assert not torch.equal(before, net.model.norm.weight)


def test_the_plain_network_is_transformers_qwen3_vl(tokens, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    import torch
    from PIL import Image
    from transformers import AutoModelForImageTextToText

    from miniature.drawing.photos import paint_photo
    from miniature.student.files import save_checkpoint
    from miniature.student.network import StudentNetwork
    from verdicts.student.processor import load_photo_processor

    torch.manual_seed(0)
    net = StudentNetwork(tokens.shape(layers=2), tokens.photo_at)
    net.load_state_dict({name: value.half().float() for name, value in net.state_dict().items()})
    save_checkpoint(tmp_path, net, tokens)
    theirs = AutoModelForImageTextToText.from_pretrained(tmp_path, dtype=torch.float32).eval()
    pixels, _ = paint_photo(*photo_sample(Random(1)))
    processor = load_photo_processor(tmp_path)
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "列出照片中的对象"}]}]
    text = processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    given = processor(text=[text], images=[Image.fromarray(pixels)], return_tensors="pt")
    assert given["input_ids"][0].tolist() == tokens.photo_prompt("列出照片中的对象")
    with torch.no_grad():
        photo, deep = net.visual(torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1)
        mine = net.logits(net.forward_photos(given["input_ids"], photo, deep))
        assert torch.allclose(mine, theirs(**given).logits.float(), atol=1e-4)


def test_the_committed_teacher_comes_back_as_the_files_the_student_starts_from(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    from miniature.student.train import build
    from miniature.teacher.import_gguf import main

    main(output_dir=tmp_path)
    tokens, net = build(tmp_path / "tokenizer.json", tmp_path / "teacher.safetensors")
    (passed,), (failed,) = tokens.ids("通过"), tokens.ids("不通过")
    assert passed != failed and net.shape.vocab_size == tokens.vocab_size == 2056
    assert float(net.model.embed_tokens.weight[failed].detach().abs().max()) > 0
