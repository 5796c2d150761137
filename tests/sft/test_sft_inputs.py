"""sft on corpora and states as people have them.

No validation rows, one verdict alone, another log interval, a damaged state.
"""

import json
from pathlib import Path

import pytest

from tests.support.builders import call
from tests.support.teaching import chat, config, files, refused, seen
from verdicts.base.digests import sha256_of
from verdicts.base.jsonl import write_json, write_rows

pytest.importorskip("torch", reason="torch is not installed: `make setup-student` installs it")
pytest.importorskip("peft", reason="peft is not installed: `make setup-student` installs it")

ROOT = Path(__file__).resolve().parents[2]
STUDENT = ROOT / "data/miniature/student"
SHORT = {"epochs": 1.0, "batch_rows": 2, "accumulate": 1, "save_steps": 1, "top_layers": 1, "targets": ["q_proj"]}
PASS, FAIL = "Verdict: 通过\nReason: 齐全(G0)", "Verdict: 不通过\nReason: 缺少(G0)"


@pytest.fixture
def data(tmp_path) -> Path:
    write_rows(tmp_path / "train.jsonl", [chat(f"image_1: 标签×{n}", FAIL if n % 2 else PASS) for n in range(6)])
    write_rows(tmp_path / "val.jsonl", [])
    return tmp_path


def teach(data: Path, options: dict | None = None, **changes: object):
    section = config(data / "sft.yaml", STUDENT, **SHORT | changes)
    places = {"train": data / "train.jsonl", "val": data / "val.jsonl", "output_dir": data / "out"}
    return call("sft", config=section, **places, **options or {})


def test_an_empty_val_file_trains_without_validation_and_says_so(data):
    outcome = teach(data)
    assert outcome.code == 0, outcome.err
    assert f"without validation ({data / 'val.jsonl'} has no rows)" in outcome.last_line
    assert json.loads((data / "out/metrics.json").read_text(encoding="utf-8"))["val"] == {}
    assert (
        call("check_fused", input=data / "val.jsonl").code == 2
    )  # only a file that is named as validation rows may be empty
    (data / "mix.val.jsonl").write_text("")
    assert call("check_fused", input=data / "mix.val.jsonl").last_line.startswith(
        "check_fused: 0 rows: sft trains without validation"
    )


def test_an_empty_train_file_is_refused(data):
    write_rows(data / "train.jsonl", [])
    refused(teach(data), "train.jsonl: the file holds no record")


@pytest.mark.parametrize(("answer", "word"), [(PASS, "通过"), (FAIL, "不通过")])
def test_chats_that_all_state_one_verdict_are_refused_unless_it_is_allowed(data, answer, word):
    photos = [seen(path, "标签×1") for path in sorted(ROOT.glob("data/none/*.jpg"))]
    write_rows(data / "train.jsonl", [chat(f"image_1: 标签×{n}", answer) for n in range(3)] + photos)
    outcome = teach(data)
    refused(
        outcome,
        f"train.jsonl: sft.allow_one_sided: all 3 chat rows say {word}: the student would learn to say nothing else; "
        "add tickets of the other verdict, or set",
    )
    assert not (data / "out").exists()
    assert teach(data, allow_one_sided=True).code == 0


def test_chats_that_state_no_verdict_are_no_side(data):
    write_rows(data / "train.jsonl", [chat("你好", "好"), chat("问", "答")])
    assert teach(data).code == 0


class Stop(Exception):
    """A kill in training."""


def stopped(data: Path, monkeypatch, after: int, **changes: object) -> None:
    """Leave the state of a run that ended after this many steps."""
    from verdicts.sft import train as sft_train

    save = sft_train.Trainer.save

    def dies(self):
        save(self)
        if len(self.history) == after:
            raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(sft_train.Trainer, "save", dies)
        with pytest.raises(Stop):
            teach(data, **changes)
    assert (data / "out/state/state.pt").is_file()


def test_knobs_that_change_no_weight_do_not_throw_a_state_away(data, monkeypatch):
    assert teach(data, log_steps=1, save_steps=2).code == 0
    whole = files(data / "out")
    stopped(data, monkeypatch, 2)
    outcome = teach(data, log_steps=1, save_steps=2, max_tokens=399, allow_one_sided=True)
    assert "sft: going on after step 2 of 3" in outcome.err
    assert files(data / "out") == whole


def test_a_state_of_other_settings_is_said_and_not_used(data, monkeypatch):
    stopped(data, monkeypatch, 1)
    outcome = teach(data, learning_rate=0.02)
    assert (
        outcome.code == 0 and "is of other rows, another base or other settings: training from the start" in outcome.err
    )


def flipped(content: bytes) -> bytes:
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def resealed(value: object) -> bytes:
    import hashlib
    import io

    import torch

    held = io.BytesIO()
    torch.save(value, held)
    return hashlib.sha256(held.getvalue()).hexdigest().encode() + b"\n" + held.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda c: c[: len(c) // 2],
        lambda c: b"",
        lambda c: b"{}",
        flipped,
        lambda c: resealed([1]),
        lambda c: resealed({"run": "x"}),
        lambda c: c.partition(b"\n")[2],
    ],
)
def test_a_damaged_state_is_named_with_what_to_delete_and_left_as_it_is(data, monkeypatch, damage):
    stopped(data, monkeypatch, 1)
    path = data / "out/state/state.pt"
    path.write_bytes(damage(path.read_bytes()))
    before = files(data / "out")
    refused(teach(data), f"{path}: the training state is damaged, or of another version (")
    assert f"; delete {path.parent} to train from the start" in teach(data).err and files(data / "out") == before


@pytest.mark.parametrize(
    ("epochs", "what"),
    [(1.0, "the loss of step 2 is no number (nan); lower"), (0.3, "what was learnt is no number; lower")],
)
def test_a_training_that_runs_away_ends_with_a_sentence_and_is_not_merged(data, monkeypatch, epochs, what):
    import torch

    step = torch.optim.AdamW.step

    def spoils(self, *given, **more):
        step(self, *given, **more)
        with torch.no_grad():
            self.param_groups[0]["params"][0].fill_(float("nan"))

    monkeypatch.setattr(torch.optim.AdamW, "step", spoils)
    refused(teach(data, epochs=epochs), f"sft.learning_rate: {what}")
    assert not (data / "out/merged").exists()


def test_a_base_that_changes_meanwhile_is_not_merged(data, monkeypatch):
    from verdicts.sft import merge as sft_merge

    calls = []
    monkeypatch.setattr(sft_merge, "base_hashes", lambda base: calls.append(base) or {"model": str(len(calls))})
    refused(teach(data), "its files changed while the student was taught")
    assert not (data / "out/metrics.json").exists()


@pytest.mark.parametrize(
    ("knob", "code", "words"),
    [
        ("warn", 0, "sft: WARNING: the rows have 1 error (1 label_leak), 0 warnings; see "),
        ("refuse", 2, "errors: 1 error (1 label_leak), 0 warnings; mend the rows, or set sft.lint: warn"),
        ("off", 0, ""),
    ],
)
def test_sft_says_what_a_lint_of_its_rows_found_or_refuses_them(data, knob, code, words):
    path = data / "corpus_lint.json"
    finding = {"rows": 1, "examples": [{"file": "train.jsonl", "line": 1, "what": "label: pass"}]}
    found = {
        "corpus": "train.jsonl", "sha256": sha256_of(data / "train.jsonl"), "held_out": "", "rows": {"chat": 6},
        "repeats": 0, "verdicts": {}, "prompts": {}, "errors": {"label_leak": finding}, "warnings": {},
        "not_checked": [],
    }  # fmt: skip
    write_json(path, found)
    outcome = teach(data, lint=knob, options={"lint": path})
    assert outcome.code == code and words in outcome.err
    assert ("label_leak" in outcome.err) == (knob != "off")
    write_json(path, found | {"sha256": "0"})
    if knob == "refuse":
        refused(teach(data, lint=knob, options={"lint": path}), "is about other rows than ")
