"""The view of a student that a server reads, and what the stock AutoProcessor makes of folders without torchvision."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the student needs torch: make setup-student")

from transformers import AutoProcessor
from transformers.utils.import_utils import is_torchvision_available

from verdicts.serving.view import write_view
from verdicts.student.model import Encoder
from verdicts.student.processor import load_photo_processor, register_photo_processor

STUDENT = Path("data/miniature/student")


@pytest.fixture
def view(tmp_path) -> Path:
    return write_view(Encoder(STUDENT, max_photo_pixels=20_000), tmp_path)


def test_the_view_is_greedy_shows_photos_of_the_configured_size_and_leaves_the_folder_as_it_is(view):
    before = {path.name: path.read_bytes() for path in STUDENT.iterdir()}
    held = json.loads((view / "generation_config.json").read_text())
    assert held == {"do_sample": False, "eos_token_id": [2045], "pad_token_id": 2043}
    assert json.loads((view / "preprocessor_config.json").read_text())["size"] == {
        "shortest_edge": 16384, "longest_edge": 20_000,
    }  # fmt: skip
    assert (view / "model.safetensors").resolve() == (STUDENT / "model.safetensors").resolve()
    assert not any("processor_class" in path.read_text() for path in view.glob("*.json"))
    assert {path.name: path.read_bytes() for path in STUDENT.iterdir()} == before


def test_the_stock_auto_processor_loads_the_view_with_the_ids_and_pixels_of_our_own(view):
    import torch
    from PIL import Image

    register_photo_processor()
    photo = Image.effect_noise((301, 203), 60).convert("RGB")
    asked = [{"role": "user", "content": [{"type": "image", "image": photo}, {"type": "text", "text": "说明"}]}]
    stock, ours = (
        processor.apply_chat_template(
            asked, add_generation_prompt=True, return_tensors="pt", return_dict=True, tokenize=True
        )
        for processor in (AutoProcessor.from_pretrained(view), load_photo_processor(view))
    )
    assert stock.keys() == ours.keys() and all(torch.equal(stock[name], ours[name]) for name in ours)


@pytest.mark.skipif(is_torchvision_available(), reason="with torchvision the stock class loads any student")
def test_without_torchvision_the_stock_auto_processor_says_what_it_lacks_for_the_folder_itself():
    with pytest.raises(ImportError, match="requires the Torchvision library"):
        AutoProcessor.from_pretrained(STUDENT)
