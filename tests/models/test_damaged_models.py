"""GGUF files that are cut short, pointers, pages, or hold weights that are no numbers: one sentence with the path."""

from pathlib import Path

import pytest

pytest.importorskip("llama_cpp", reason="the teacher needs llama_cpp: make setup")

from tests.support.llama import MODEL, config
from verdicts.base.errors import UserError
from verdicts.engines import Decode, open_engine

DAMAGES = {
    "cut in its weights": (lambda whole: whole[:-100_000], r"llama\.cpp cannot load it \(.*corrupted or incomplete"),
    "cut in its head": (lambda whole: whole[:3_000], r"llama\.cpp cannot load it \((?!no reason)"),
    "empty": (lambda whole: b"", r"llama\.cpp cannot load it \((?!no reason)"),
    "a page": (lambda whole: b"<!DOCTYPE html><html>" * 40, r"llama\.cpp cannot load it \(.*magic"),
    "a pointer": (
        lambda whole: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
        r"a pointer of Git LFS, not the model itself; fetch the file",
    ),
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_model_file_is_named_with_the_reason(tmp_path, how):
    damage, what = DAMAGES[how]
    path = tmp_path / "teacher.gguf"
    path.write_bytes(damage(Path(MODEL).read_bytes()))
    with pytest.raises(UserError, match=what) as error:
        open_engine(config(model=str(path)))
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def with_nan(path: Path, name: str) -> Path:
    gguf = pytest.importorskip("gguf", reason="gguf is not installed: make setup-student")
    path.write_bytes(Path(MODEL).read_bytes())
    held = gguf.GGUFReader(path, "r+")
    next(tensor for tensor in held.tensors if tensor.name == name).data[3] = float("nan")
    held.data.flush()
    return path


@pytest.mark.parametrize("name", ["output_norm.weight", "blk.2.ffn_norm.weight"])
def test_a_weight_that_is_no_number_is_named(tmp_path, name):
    with pytest.raises(UserError, match=rf"teacher\.gguf: engine\.model: llama\.cpp cannot load it \(.*{name}"):
        open_engine(config(model=str(with_nan(tmp_path / "teacher.gguf", name))))


def test_scores_that_are_no_numbers_end_with_a_sentence(tmp_path, monkeypatch):
    from verdicts.engines.llama import runtime as llama_runtime

    engine = open_engine(config())
    real = llama_runtime.np.ctypeslib.as_array
    monkeypatch.setattr(llama_runtime.np.ctypeslib, "as_array", lambda *given: real(*given) * float("nan"))
    try:
        with pytest.raises(
            UserError, match=r"engine\.model: the model's scores are no numbers \(NaN\); its weights are damaged"
        ):
            list(engine.rollout("s", ["u"], [[Decode(0.0, 1.0, 48, 0)]]))
    finally:
        engine.close()
