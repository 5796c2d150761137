"""Checkpoint folders as people have them: ends of turn that disagree, no pad token, cut or broken weights."""

import json
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the student needs torch: make setup-student")
pytest.importorskip("transformers", reason="the student needs transformers: make setup-student")

from verdicts.base.errors import UserError  # noqa: E402
from verdicts.student.model import Dialogue, Encoder, Student, check_content, check_folder  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "data/miniature/student"
ASKED = Dialogue([{"role": "user", "content": "<image>用一行写出照片中的事实，不写坐标。"}], [])


def changed(to: Path, **files: object) -> Path:
    """A copy of the shipped student with changed files.

    ``config={...}`` lays values over config.json (None takes a key out), bytes replace a file, None deletes it.
    """
    shutil.copytree(SHIPPED, to)
    names = {
        "config": "config.json",
        "generation": "generation_config.json",
        "tokenizer": "tokenizer_config.json",
        "template": "chat_template.jinja",
        "weights": "model.safetensors",
        "ids": "tokenizer.json",
        "photos": "preprocessor_config.json",
    }
    for key, value in files.items():
        path = to / names[key]
        if value is None:
            path.unlink()
        elif isinstance(value, bytes):
            path.write_bytes(value)
        else:
            held = json.loads(path.read_text(encoding="utf-8")) | value
            path.write_text(json.dumps({name: one for name, one in held.items() if one is not None}), encoding="utf-8")
    return to


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    from miniature.drawing.photos import main

    folder = tmp_path_factory.mktemp("photos")
    main("bbu_line", seed=2, tickets=2, tickets_seed=2, flip=0.0, output=folder)
    return sorted(folder.rglob("*.jpg"))[0]


@pytest.fixture(scope="module")
def rows(photo) -> list[Dialogue]:
    return [
        Dialogue([{"role": "user", "content": "<image>用一行写出照片中的事实，不写坐标。"}], [photo]),
        Dialogue([{"role": "user", "content": "<image>列出照片中的对象"}], [photo]),
    ]


@pytest.fixture(scope="module")
def said(rows) -> list[tuple[str, bool]]:
    """What the student as it is shipped says."""
    student = Student(SHIPPED, n_threads=1)
    answers = student.answer_encoded([student.encode(row, generate=True) for row in rows], 48)
    assert answers[0][1] and answers[0][0]
    return answers


ENDS = {
    "the tokenizer ends texts, not turns": {"tokenizer": {"eos_token": "<|endoftext|>"}},
    "generation ends texts, not turns": {"generation": {"eos_token_id": 2043}},
    "both end texts, not turns": {"tokenizer": {"eos_token": "<|endoftext|>"}, "generation": {"eos_token_id": [2043]}},
    "neither says how a turn ends": {"tokenizer": {"eos_token": None}, "generation": None},
    "there is no pad token": {"tokenizer": {"pad_token": None}},
    "generation samples and penalises": {
        "generation": {
            "do_sample": True,
            "temperature": 9.0,
            "repetition_penalty": 3.0,
            "num_beams": 2,
            "min_new_tokens": 40,
        }
    },
}


@pytest.mark.parametrize("how", ENDS)
def test_answers_end_where_a_turn_ends_whatever_the_folder_says(tmp_path, rows, said, how):
    student = Student(changed(tmp_path / "x", **ENDS[how]), n_threads=1)
    assert student.answer_encoded([student.encode(row, generate=True) for row in rows], 48) == said


@pytest.mark.parametrize("how", ["both end texts, not turns", "neither says how a turn ends"])
def test_what_is_learnt_ends_with_the_templates_end_of_turn(tmp_path, how):
    encoder = Encoder(changed(tmp_path / "x", weights=None, **ENDS[how]))
    row = encoder.encode(Dialogue([{"role": "user", "content": "问"}, {"role": "assistant", "content": "答"}]))
    assert (
        encoder.tokenizer.decode([i for i, learnt in zip(row.ids, row.learn, strict=True) if learnt]) == "答<|im_end|>"
    )


def test_ids_are_cut_at_the_first_end():
    from verdicts.models.checkpoints import until_end

    assert until_end([1, 2, 9, 3, 8], {8, 9}) == ([1, 2], True)
    assert until_end([1, 2], {9}) == ([1, 2], False) and until_end([9], {9}) == ([], True)


def weights() -> bytes:
    return (SHIPPED / "model.safetensors").read_bytes()


def with_tensors(change) -> bytes:
    """The shipped weights with a change to the dict of tensors."""
    from safetensors.torch import load, save

    held = load(weights())
    change(held)
    return save(held, metadata={"format": "pt"})


NAME = "model.language_model.layers.3.mlp.up_proj.weight"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 19073584\n"


def spoilt(name: str, value: float):
    def change(held: dict) -> None:
        held[name].view(-1)[5] = value

    return change


HEADS = {  # told before anything is loaded
    "weights cut short": (
        lambda: {"weights": weights()[:-1000]},
        r"model\.safetensors: student\.model: cut short: [\d,]+ of [\d,]+ bytes",
    ),
    "weights cut in their head": (
        lambda: {"weights": weights()[:200]},
        r"model\.safetensors: student\.model: no whole safetensors file \(200 bytes\)",
    ),
    "empty weights": (lambda: {"weights": b""}, r"no whole safetensors file \(0 bytes\)"),
    "weights with something behind": (lambda: {"weights": weights() + b"x"}, "too long: "),
    "a page instead of weights": (lambda: {"weights": b"<!DOCTYPE html><html>" * 40}, "no whole safetensors file"),
    "a pointer instead of weights": (
        lambda: {"weights": LFS},
        r"model\.safetensors: student\.model: a pointer of Git LFS, not the file itself",
    ),
    "a pointer instead of the tokenizer": (
        lambda: {"ids": LFS},
        r"tokenizer\.json: student\.model: a pointer of Git LFS",
    ),
    "no tokenizer": (lambda: {"ids": None}, r"no tokenizer in it \(tokenizer\.json\)"),
    "a config without its language part": (
        lambda: {"config": {"text_config": None}},
        r"its config\.json has no text_config",
    ),
    "another architecture": (
        lambda: {"config": {"model_type": "something_new"}},
        r"another architecture \(something_new\)",
    ),
    "a list for a config": (lambda: {"config": b"[]"}, r"config\.json is not a JSON object"),
    "a deep config": (lambda: {"config": b"[" * 100_000}, r"config\.json is not a JSON object"),
}
TEXT_CONFIG = json.loads((SHIPPED / "config.json").read_text())["text_config"]
LOADED = {
    "no chat template": (
        lambda: {"template": None, "tokenizer": {"chat_template": None}},
        r"no chat template in it \(chat_template\.jinja\)",
    ),
    "a template with a mistake": (lambda: {"template": b"{% for"}, "its chat template cannot be rendered"),
    "a template that ends an answer with nothing": (
        lambda: {"template": b"{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"},
        "its chat template ends an answer with no control token",
    ),
    "a tokenizer that is none": (lambda: {"ids": b'{"a": 1}'}, "its tokenizer or image processor cannot be read"),
    "no image processor": (lambda: {"photos": None}, "its tokenizer or image processor cannot be read"),
    "an end that is no id": (
        lambda: {"generation": {"eos_token_id": "<|im_end|>"}},
        r"generation_config\.json: student\.model: eos_token_id is no token id",
    ),
    "a missing tensor": (
        lambda: {"weights": with_tensors(lambda held: held.pop(NAME))},
        rf"its weights lack 1 tensors \({NAME}\)",
    ),
    "wrong shapes": (
        lambda: {"weights": with_tensors(lambda held: held.update({NAME: held[NAME][:-1].clone()}))},
        rf"its weights do not fit its config\.json \({NAME}: \[767, 256\], but \[768, 256\]",
    ),
    "a config of another size": (
        lambda: {"config": {"text_config": TEXT_CONFIG | {"num_hidden_layers": 9}}},
        "its weights lack ",
    ),
    "a weight that is no number": (
        lambda: {"weights": with_tensors(spoilt(NAME, float("nan")))},
        rf"its weights hold values that are no numbers \({NAME}\)",
    ),
    "an infinite weight of the vision part": (
        lambda: {"weights": with_tensors(spoilt("model.visual.merger.linear_fc1.weight", float("inf")))},
        r"no numbers \(model\.visual\.merger",
    ),
}


@pytest.mark.parametrize("how", HEADS)
def test_what_the_small_files_and_heads_show_is_told_before_anything_is_loaded(tmp_path, how):
    make, what = HEADS[how]
    with pytest.raises(UserError, match=what) as error:
        folder = changed(tmp_path / "x", **make())
        check_folder(folder, weights=True)
        check_content(folder, weights=True)
    assert (
        str(tmp_path / "x") in str(error.value)
        and "\n" not in str(error.value)
        and "make miniature-student" in str(error.value)
    )


@pytest.mark.parametrize("how", LOADED)
def test_a_student_that_cannot_be_right_is_one_sentence_with_its_path(tmp_path, how):
    make, what = LOADED[how]
    with pytest.raises(UserError, match=what) as error:
        Student(changed(tmp_path / "x", **make()), n_threads=1)
    assert str(tmp_path / "x") in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "how",
    ["a missing tensor", "wrong shapes", "a weight that is no number", "no chat template", "a tokenizer that is none"],
)
def test_the_transformers_engine_says_the_same(tmp_path, how):
    from tests.support.checkpoints import config
    from verdicts.engines import open_engine

    make, _ = LOADED[how]
    with pytest.raises(UserError, match=r"engine\.model|engine\.kind") as error:
        open_engine(config(changed(tmp_path / "x", **make())))
    assert str(tmp_path / "x") in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "how", ["weights cut short", "a pointer instead of weights", "no tokenizer", "a list for a config"]
)
def test_the_transformers_engine_looks_at_heads_first(tmp_path, how):
    from tests.support.checkpoints import config
    from verdicts.engines import open_engine

    make, what = HEADS[how]
    with pytest.raises(UserError, match=what.replace(r"student\.model", r"engine\.model")):
        open_engine(config(changed(tmp_path / "x", **make())))


def test_an_index_that_names_no_files_is_told(tmp_path):
    folder = changed(tmp_path / "x")
    for text in ("{", "[]", "{}", '{"weight_map": {"a": "../../etc/passwd"}}', '{"weight_map": {"a": 1}}'):
        (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match=r"model\.safetensors\.index\.json"):
            check_folder(folder, weights=True)


def test_scores_that_are_no_numbers_end_with_a_sentence(rows):
    student = Student(SHIPPED, n_threads=1)
    student.model.model.language_model.norm.weight.data[3] = float("nan")
    with pytest.raises(UserError, match="the model's scores are no numbers"):
        student.answer(rows[:1], 4)


def test_weights_that_are_cut_short_after_loading_do_no_harm(tmp_path):
    """A mapped file that shrinks ends the process with a bus error: in a child, so that it would be seen."""
    import subprocess
    import sys

    folder = changed(
        tmp_path / "x",
        weights=with_tensors(lambda held: held.update({name: value.float() for name, value in held.items()})),
    )
    code = f"""
import os
from pathlib import Path
from verdicts.student.model import Dialogue, Student
student = Student(Path({str(folder)!r}), n_threads=1)
os.truncate({str(folder / "model.safetensors")!r}, 1000)
print(student.answer([Dialogue([{{"role": "user", "content": "问"}}])], 2))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, (done.returncode, done.stderr)
