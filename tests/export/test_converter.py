"""What is put right around llama.cpp's converter, and the whole conversion where its programs are compiled."""

import json

import pytest

from tests.support.builders import call
from tests.support.exporting import PROGRAMS, STUDENT
from verdicts.base.errors import UserError
from verdicts.base.jsonl import read_json, write_text
from verdicts.config.load import load
from verdicts.config.tools import section_text
from verdicts.export.convert import key_of
from verdicts.export.converter import QWEN2, cut_as_qwen2, put_right
from verdicts.export.records import Conversion

compiled = pytest.mark.skipif(not (PROGRAMS / "key").is_file(), reason="needs `make llama-programs` (minutes, once)")


class TextModel:
    """The converter's class as far as it is put right: it knows one tokenizer, by its name."""

    def __init__(self, folder):
        self.dir_model, self.asked = folder, []

    def get_vocab_base_pre(self, tokenizer):
        if tokenizer != "known":
            raise NotImplementedError
        return "llama-bpe"

    def _set_vocab_sentencepiece(self):
        self.asked.append("sentencepiece")


@pytest.fixture
def model():
    kind = type("Model", (TextModel,), {})
    put_right(kind)
    return kind


def test_a_vocabulary_of_ones_own_that_is_cut_as_qwen2_cuts_is_named_so(model):
    assert model(STUDENT).get_vocab_base_pre("of one's own") == "qwen2"
    assert model(STUDENT).get_vocab_base_pre("known") == "llama-bpe"


def test_a_vocabulary_that_is_cut_in_another_way_stays_unknown(tmp_path, model):
    tokenizer = json.loads((STUDENT / "tokenizer.json").read_text())
    assert cut_as_qwen2(tokenizer)
    tokenizer["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|")
    write_text(tmp_path / "tokenizer.json", json.dumps(tokenizer))
    with pytest.raises(NotImplementedError):
        model(tmp_path).get_vocab_base_pre("of one's own")
    assert not cut_as_qwen2({})


def test_sentencepiece_is_asked_only_where_the_checkpoint_has_something_for_it(tmp_path, model):
    with pytest.raises(FileNotFoundError):
        model(tmp_path)._set_vocab_sentencepiece()
    (tmp_path / "tokenizer.model").touch()
    there = model(tmp_path)
    there._set_vocab_sentencepiece()
    assert there.asked == ["sentencepiece"]


@pytest.fixture
def config(tmp_path):
    write_text(tmp_path / "export.yaml", section_text(load("miniature", "bbu_line"), "export"))
    return tmp_path / "export.yaml"


def test_without_the_programs_one_sentence_says_how_to_get_them(tmp_path, config):
    with pytest.raises(UserError, match="llama-server: no such file; run `make llama-programs`"):
        key_of(tmp_path)
    out = call("export", config=config, student=STUDENT, programs=tmp_path, output_dir=tmp_path / "out")
    assert out.code == 2 and "run `make llama-programs`" in out.err and not (tmp_path / "out").exists()


def test_a_quantisation_that_is_none_is_refused_with_those_there_are(tmp_path, config):
    out = call("export", config=config, student=STUDENT, quant="q9", output_dir=tmp_path / "out")
    assert out.code == 2 and "QUANT: 'q9' is none that is known; choose one of f32, f16, bf16, q8_0" in out.err


@compiled
@pytest.mark.parametrize(
    ("quant", "kinds"), [("f16", {"F16": 43, "F32": 25}), ("q4_k_m", {"F32": 25, "Q4_K": 38, "Q6_K": 5})]
)
def test_the_student_is_converted_and_every_tensor_is_its_own(tmp_path, config, quant, kinds):
    out = call("export", config=config, student=STUDENT, quant=quant, programs=PROGRAMS, output_dir=tmp_path / "out")
    assert out.code == 0, out.err
    found = read_json(tmp_path / "out/conversion.json", Conversion)
    assert found.found == [] and found.photo_tokens == [16, 64]
    assert [file.kinds for file in found.files] == [kinds, {"F16": 22, "F32": 42}]
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.name != ".made") == [
        "conversion.json", "convert.log", "mmproj.gguf", "model.gguf",
    ]  # fmt: skip
