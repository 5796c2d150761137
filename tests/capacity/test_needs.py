"""What models take of memory: figures by hand, at the shapes of a Qwen3-VL-4B and of the bundled student."""

import json
from pathlib import Path

import pytest

from verdicts.base.errors import UserError
from verdicts.capacity.needs import GIB, StudentShape, answering, learning, shape_of, taught_bytes
from verdicts.config.load import load

ROOT = Path(__file__).resolve().parents[2]
STUDENT = ROOT / "data/miniature/student"
CONFIG = load("qwen3", "bbu_line", configs=ROOT / "configs")
# https://huggingface.co/Qwen/Qwen3-VL-4B-Instruct/blob/main/config.json; 36 layers x 8 heads x 128 x (key and value)
FOUR_B = StudentShape(4_437_815_808, 2560, 9728, 151_936, 73_728)


def test_the_bundled_student_is_read_from_its_config_and_the_heads_of_its_files():
    shape = shape_of(STUDENT)
    assert shape[1:] == (256, 768, 2056, 6 * 4 * 64 * 2)
    assert shape.weights * 2 == (STUDENT / "model.safetensors").stat().st_size, "numbers of 2 bytes"


def test_rows_that_are_answered_together_take_cells_and_what_a_layer_holds_of_them():
    need = answering(FOUR_B, 1_048_576, 1024, 2)
    # 600 words and 1,024 tokens of a photo are read, 1,024 written: 2,648 cells of 73,728 numbers of 2 bytes; and of
    # what is read, 2 x 9,728 + 8 x 2,560 numbers
    assert need.row == 2648 * 73_728 * 2 + 1624 * 39_936 * 2
    assert need.fixed == 8_875_631_616
    assert need.of(32) == need.fixed + 32 * need.row
    assert (need.most(need.of(32)), need.most(need.of(32) - 1), need.most(0)) == (32, 31, 0)


MEASURED = [(8_072, 26), (8_516, 26.1), (12_018, 31), (24_072, 47), (24_036, 47), (32_036, 57)]


@pytest.mark.parametrize(("tokens", "measured"), MEASURED)
def test_learning_takes_what_was_measured_on_one_h100(tokens, measured):
    need = learning(FOUR_B, CONFIG.sft, 2)
    assert need.of(tokens) / GIB == pytest.approx(measured, abs=1)
    assert need.most(need.of(tokens)) == pytest.approx(tokens, abs=1)


def test_a_student_is_written_once_and_its_adapter_with_two_moments():
    # 8 layers x rank 16 x 7 matrices x (2,560 + 9,728) numbers of 4 bytes, four times
    written = 2 * FOUR_B.weights + 4 * (8 * 16 * 7 * 12_288 * 4)
    assert taught_bytes(FOUR_B, CONFIG) == written
    cached = CONFIG.model_copy(update={"sft": CONFIG.sft.model_copy(update={"cache_gb": 40.0})})
    assert taught_bytes(FOUR_B, cached) == written + 40_000_000_000


def test_a_folder_that_is_no_checkpoint_or_does_not_say_its_sizes_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"no checkpoint folder \(it has no config\.json\)"):
        shape_of(tmp_path)
    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).write_bytes((STUDENT / name).read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    del config["text_config"]["num_key_value_heads"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"config\.json: its text_config does not say its sizes"):
        shape_of(tmp_path)
