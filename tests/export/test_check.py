"""The check of an exported student: what is as the student has it passes, and each thing that is not has its word."""

import shutil

import numpy as np
import pytest

from tests.support.exporting import STUDENT, write_export
from verdicts.export.check import Check, photo_tokens
from verdicts.export.convert import MMPROJ, MODEL


def findings(folder) -> list[tuple[str, str, str]]:
    return [(found.file, found.wrong, found.detail) for found in Check(STUDENT, folder, "f16", "f16").found]


def swap(one: str, other: str):
    def change(file: str, held: dict) -> None:
        if one in held:
            held[one], held[other] = held[other], held[one]

    return change


def test_a_sound_export_has_every_tensor_setting_and_token_of_the_student(tmp_path):
    check = Check(STUDENT, write_export(tmp_path), "f16", "f16")
    assert check.found == []
    kinds = {file.name: (file.tensors, file.kinds, file.error) for file in check.files}
    # 11 of each of 6 layers, the embedding and the last norm; norms are 4 a layer and that one
    assert kinds[MODEL] == (68, {"F16": 43, "F32": 25}, {"F16": 0.0, "F32": 0.0})
    # 12 of each of 4 blocks, 4 of the merger and its norm's 2, 6 of one deepstack layer, 3 of patches, positions
    assert kinds[MMPROJ][0] == 4 * 12 + 6 + 6 + 3 + 1


def test_two_tensors_of_one_shape_that_changed_places_are_both_named(tmp_path):
    write_export(tmp_path, tensors=swap("blk.2.attn_q.weight", "blk.3.attn_q.weight"))
    found = findings(tmp_path)
    assert [(file, wrong) for file, wrong, _ in found] == [(MODEL, "values")] * 2
    assert found[0][2].startswith(
        "blk.2.attn_q.weight is not model.language_model.layers.2.self_attn.q_proj.weight of the student: off by 1."
    )


def test_values_that_are_off_by_one_place_of_f16_are_named(tmp_path):
    def change(file: str, held: dict) -> None:
        if file == MMPROJ:
            value = held["mm.2.weight"]
            value.flat[0] = np.nextafter(value.flat[0], np.float16(np.inf))

    write_export(tmp_path, tensors=change)
    assert [(file, wrong) for file, wrong, _ in findings(tmp_path)] == [(MMPROJ, "values")]


def test_a_tensor_that_is_gone_and_one_too_many_are_named(tmp_path):
    def change(file: str, held: dict) -> None:
        if file == MODEL:
            held["output.weight"] = held.pop("blk.5.ffn_up.weight")

    write_export(tmp_path, tensors=change)
    assert [(wrong, detail.split()[0]) for _, wrong, detail in findings(tmp_path)] == [
        ("missing", "blk.5.ffn_up.weight"),
        ("extra", "output.weight"),
    ]


@pytest.mark.parametrize(
    ("change", "wrong", "words"),
    [
        (
            lambda held: held.update({"blk.0.ffn_up.weight": held["blk.0.ffn_up.weight"].T.copy()}),
            "shape",
            "(256, 768)",
        ),
        (
            lambda held: held.update({"output_norm.weight": held["output_norm.weight"].astype(np.float16)}),
            "kind",
            "output_norm.weight is F16, F32 is needed",
        ),
        (
            lambda held: held.update({"blk.1.attn_k.weight": held["blk.1.attn_k.weight"].astype(np.float32)}),
            "kind",
            "blk.1.attn_k.weight is F32, f16 was asked for",
        ),
    ],
)
def test_a_tensor_of_another_shape_or_kind_is_named(tmp_path, change, wrong, words):
    write_export(tmp_path, tensors=lambda file, held: change(held) if file == MODEL else None)
    found = findings(tmp_path)
    assert len(found) == 1 and found[0][1] == wrong and words in found[0][2], found


@pytest.mark.parametrize(
    ("file", "name", "value", "wrong"),
    [
        (MODEL, "tokenizer.chat_template", "{{ messages }}", "chat_template"),
        (MODEL, "tokenizer.ggml.eos_token_id", 2043, "tokens"),
        (MODEL, "tokenizer.ggml.pre", "llama-bpe", "setting"),
        (MODEL, "qwen3vl.rope.freq_base", 1000000.0, "setting"),
        (MODEL, "qwen3vl.n_deepstack_layers", 3, "setting"),
        (MMPROJ, "clip.vision.image_mean", [0.48, 0.46, 0.41], "setting"),
        (MMPROJ, "clip.vision.spatial_merge_size", 1, "setting"),
        (MMPROJ, "clip.vision.is_deepstack_layers", [True, False, False, False], "setting"),
    ],
)
def test_a_setting_that_is_not_the_students_is_named(tmp_path, file, name, value, wrong):
    write_export(tmp_path, settings=lambda at, fields: fields.update({name: value}) if at == file else None)
    assert [(where, what) for where, what, _ in findings(tmp_path)] == [(file, wrong)]


def test_control_tokens_that_text_could_become_are_named(tmp_path):
    def change(file: str, fields: dict) -> None:
        if file == MODEL:
            fields["tokenizer.ggml.token_type"][2050] = 1

    write_export(tmp_path, settings=change)
    assert [detail for _, _, detail in findings(tmp_path)] == ["'<|image_pad|>' (2050) is no control token"]


def test_a_file_that_is_no_gguf_is_one_finding(tmp_path):
    write_export(tmp_path)
    (tmp_path / MMPROJ).write_bytes(b"GGUF")
    assert [(file, wrong) for file, wrong, _ in findings(tmp_path)] == [(MMPROJ, "unreadable")]


def test_a_photos_tokens_are_the_folders_limits_under_the_configured_one():
    # 16,384 and 65,536 pixels in its preprocessor_config.json; a token is 32 by 32 pixels
    assert photo_tokens(STUDENT, 0) == (16, 64)
    assert photo_tokens(STUDENT, 1048576) == (16, 64)
    assert photo_tokens(STUDENT, 32768) == (16, 32)
    assert photo_tokens(STUDENT, 8192) == (8, 8)


def test_a_tensor_of_the_student_that_no_place_is_known_for_is_named(tmp_path):
    from safetensors.torch import load_file, save_file

    student = tmp_path / "student"
    shutil.copytree(STUDENT, student)
    tensors = load_file(student / "model.safetensors")
    name = "model.language_model.layers.0.mlp.experts.gate_up_proj"
    save_file(tensors | {name: tensors["model.language_model.norm.weight"].clone()}, student / "model.safetensors")
    write_export(tmp_path / "files")
    found = Check(student, tmp_path / "files", "f16", "f16").found
    assert [(one.wrong, one.detail) for one in found] == [
        ("missing", f"{name} of the student has no place that is known")
    ]
