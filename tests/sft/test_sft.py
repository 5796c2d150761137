"""sft: only the top language layers learn, from answers alone, and a killed run goes on.

What is wrong is said before weights are loaded.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.builders import call
from tests.support.teaching import SETTINGS, chat, config, files, refused, seen, turn
from verdicts.base.jsonl import write_rows
from verdicts.config.load import load
from verdicts.evaluation.scores import taught_from
from verdicts.models.fingerprint import checkpoint_hash

pytest.importorskip("torch", reason="torch is not installed: `make setup-student` installs it")
pytest.importorskip("peft", reason="peft is not installed: `make setup-student` installs it")

ROOT = Path(__file__).resolve().parents[2]
TARGETED = [
    f"model.language_model.layers.{layer}.{part}.weight"
    for layer in (4, 5)
    for part in [
        *(f"self_attn.{name}_proj" for name in "qkvo"),
        *(f"mlp.{name}_proj" for name in ("gate", "up", "down")),
    ]
]


@pytest.fixture(scope="module")
def student(tmp_path_factory) -> Path:
    from tests.support.student_builders import random_student

    return random_student(tmp_path_factory.mktemp("student"))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A folder with photos of several sizes and train.jsonl and val.jsonl, chats and photos mixed."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("data")
    photos = []
    for at, size in enumerate(((256, 192), (128, 160), (192, 192))):
        photos.append(folder / f"{at}.jpg")
        lying = Image.Exif()
        lying[0x0112] = (1, 6, 8)[at]  # EXIF orientation
        Image.effect_noise(size, 60).convert("RGB").save(photos[-1], exif=lying)
    rows = [
        chat(
            f"照片摘要：\nimage_1: 标签/齐全×{n}",
            f"Verdict: {'不通过' if n else '通过'}\nReason: 缺少地排处接地螺丝(G{n})",
            weight=1.0 if n % 2 else 0.5,
        )
        for n in range(5)
    ]
    rows += [seen(photo, f"标签/齐全×{at}，电线/捆扎整齐×1") for at, photo in enumerate(photos)]
    write_rows(folder / "train.jsonl", rows)
    write_rows(folder / "val.jsonl", [rows[0], rows[6]])
    return folder


def teach(student: Path, data: Path, folder: Path, output: Path, **changes: object):
    return call(
        "sft",
        config=config(folder / "sft.yaml", student, **changes),
        train=data / "train.jsonl",
        val=data / "val.jsonl",
        output_dir=output,
    )


@pytest.fixture(scope="module")
def taught(student, data, tmp_path_factory) -> Path:
    """checkpoints/<name> of an undisturbed run."""
    folder = tmp_path_factory.mktemp("taught")
    outcome = teach(student, data, folder, folder / "checkpoint")
    assert outcome.code == 0, outcome.err
    assert outcome.last_line.startswith("sft: 10 steps of 4 rows on language layers 4-5; val loss chat ")
    return folder / "checkpoint"


def tensors(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Dtype and bytes of every tensor, from the file as it lies there.

    The safetensors format: header length, JSON header, data.
    """
    raw = (folder / "model.safetensors").read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:start])
    return {
        name: (at["dtype"], raw[start + at["data_offsets"][0] : start + at["data_offsets"][1]])
        for name, at in header.items()
        if name != "__metadata__"
    }


def test_every_frozen_tensor_is_byte_identical_and_exactly_the_targeted_ones_differ(student, taught):
    base, merged = tensors(student), tensors(taught / "merged")
    assert list(merged) and merged.keys() == base.keys()
    assert {dtype for dtype, _ in merged.values()} == {"F16"}
    assert sorted(name for name in base if base[name] != merged[name]) == sorted(TARGETED)


def test_the_merged_folder_holds_the_bases_other_files_as_they_are(student, taught):
    base, merged = files(student), files(taught / "merged")
    assert (
        merged.keys()
        == base.keys()
        > {"config.json", "generation_config.json", "tokenizer.json", "preprocessor_config.json", "chat_template.jinja"}
    )
    assert [name for name in base if base[name] != merged[name]] == ["model.safetensors"]


def test_the_merged_checkpoint_loads_as_the_base_does_and_answers_as_base_and_adapter_do(student, data, taught):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, Qwen3VLForConditionalGeneration

    from verdicts.student.model import Dialogue, Encoder
    from verdicts.student.processor import load_processor

    merged = AutoModelForImageTextToText.from_pretrained(taught / "merged", dtype=torch.float32).eval()
    assert type(merged) is Qwen3VLForConditionalGeneration
    assert merged.lm_head.weight.data_ptr() == merged.model.language_model.embed_tokens.weight.data_ptr()
    assert load_processor(taught / "merged").tokenizer.eos_token == "<|im_end|>"
    base = AutoModelForImageTextToText.from_pretrained(student, dtype=torch.float32).eval()
    encoder = Encoder(taught / "merged")
    given = encoder.batch([encoder.encode(Dialogue(turn("<image>写出事实。", "标签"), [data / "0.jpg"]))], left=False)
    given.pop("labels")
    with torch.inference_mode():
        before = base(**given).logits
        after = PeftModel.from_pretrained(base, taught / "adapter").eval()(**given).logits
        assert not torch.allclose(before, after, atol=0.5)
        assert torch.allclose(merged(**given).logits, after, atol=0.05)


def test_metrics_say_what_was_learnt_and_no_time(taught, data, student):
    metrics = json.loads((taught / "metrics.json").read_text(encoding="utf-8"))
    assert (metrics["layers"], metrics["adapted_modules"], metrics["steps"], metrics["rows_per_step"]) == (
        [4, 5],
        14,
        10,
        4,
    )
    assert (metrics["base"], metrics["base_sha256"]) == (str(student), checkpoint_hash(student))
    assert tuple(vars(taught_from(taught / "merged")).values()) == (str(student), checkpoint_hash(student))
    assert [line["step"] for line in metrics["log"]] == [2, 4, 6, 8, 10]
    learnt = {task: facts["learnt_tokens"] for task, facts in metrics["train"].items()}
    assert {task: sum(line["learnt_tokens"][task] for line in metrics["log"]) for task in learnt} == {
        task: 5 * count for task, count in learnt.items()
    }
    assert metrics["val"]["summary"]["after"] < metrics["val"]["summary"]["before"]
    assert sorted(path.name for path in taught.iterdir()) == ["adapter", "merged", "metrics.json"]


def test_whoever_may_read_the_metrics_may_read_the_weights(taught):
    """safetensors writes for the owner alone; the student is served by another user."""
    weights = [*taught.glob("*/*.safetensors")]
    assert {path.parent.name for path in weights} == {"adapter", "merged"}
    assert {path.stat().st_mode for path in weights} == {(taught / "metrics.json").stat().st_mode}


def test_a_second_run_gives_the_same_bytes_with_dropout_too(student, data, tmp_path):
    for name in ("one", "two"):
        assert teach(student, data, tmp_path, tmp_path / name, dropout=0.2, epochs=0.5).code == 0
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_loss_falls_on_answers_and_their_ends_alone(student, data):
    from verdicts.sft.rows import FusedFile
    from verdicts.student.model import NOT_LEARNT, Encoder

    encoder = Encoder(student)
    rows = FusedFile(data / "train.jsonl", encoder, 400)
    written = [json.loads(line) for line in (data / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    batch = encoder.batch([rows.encode(index) for index in range(len(written))], left=False)
    for row, labels, fact in zip(written, batch["labels"], rows.facts, strict=True):
        learnt = labels[labels != NOT_LEARNT]
        assert encoder.tokenizer.decode(learnt) == row["messages"][-1]["content"] + "<|im_end|>"
        assert (fact.learnt, fact.task, fact.weight) == (len(learnt), row["task"], row["weight"])
    assert [fact.tokens for fact in rows.facts] == batch["attention_mask"].sum(1).tolist()


@pytest.fixture
def trainer(student, data, tmp_path):
    """A function that makes a trainer with these settings."""
    import torch
    from accelerate import Accelerator
    from transformers import AutoModelForImageTextToText

    from verdicts.sft.lora import adapt, adapted, lora_config
    from verdicts.sft.rows import FusedFile
    from verdicts.sft.train import StudentLoss, Trainer
    from verdicts.student.model import Encoder

    def make(run: object = "", **changes: object) -> Trainer:
        section = load("miniature", "bbu_line").sft.model_copy(update=SETTINGS | changes)
        torch.manual_seed(1)
        model = adapt(
            AutoModelForImageTextToText.from_pretrained(student, dtype=torch.float32),
            lora_config([4, 5], section),
            adapted([4, 5], section.targets),
        )
        return Trainer(
            StudentLoss(model),
            FusedFile(data / "train.jsonl", Encoder(student), 400),
            section,
            Accelerator(cpu=True),
            tmp_path / "state",
            {"run": run},
        )

    return make


def test_chats_and_photos_in_one_batch_lose_what_each_loses_alone(trainer):
    import torch

    from verdicts.sft.train import Minibatch

    made = trainer()
    with torch.inference_mode():
        together = made.learner(Minibatch(made.rows, [0, 5, 6, 3, 7], made.accelerator.device).tensors)
        alone = torch.cat(
            [made.learner(Minibatch(made.rows, [index], made.accelerator.device).tensors) for index in (0, 5, 6, 3, 7)]
        )
    assert torch.allclose(together, alone, atol=1e-4)


def test_a_steps_loss_is_the_mean_over_learnt_tokens_each_by_its_rows_weight(trainer):
    import torch
    from torch.nn import functional as F

    made = trainer(epochs=1.0, keep=[])
    picked = made.plan.rows(0)
    total, count, weights = 0.0, 0, set()
    with torch.inference_mode():
        for index in picked:  # by transformers' own logits, a row at a time
            row = made.rows.encode(index)
            given = made.rows.encoder.batch([row], left=False)
            labels = given.pop("labels")[0, 1:]
            nll = F.cross_entropy(
                made.learner.model(**given).logits[0, :-1], labels, ignore_index=-100, reduction="sum"
            )
            total += float(nll) * made.rows.facts[index].weight
            count += int((labels != -100).sum())
            weights.add(made.rows.facts[index].weight)
    assert len(weights) == 2
    made.train()
    assert made.history[0]["loss"] == pytest.approx(total / count, rel=1e-4)


def test_a_kept_row_loses_its_divergence_from_the_base_and_nothing_before_the_first_step(trainer):
    import torch

    from verdicts.sft.train import Minibatch

    made = trainer(keep=["summary"])
    batch = Minibatch(made.rows, [0, 5, 6], made.accelerator.device, made.config.keep)
    assert 0 < batch.kept.sum() < len(batch.kept)
    with torch.no_grad():
        before, taught = made.learner(batch.tensors, batch.kept), made.learner(batch.tensors)
    assert torch.equal(before[~batch.kept], taught[~batch.kept]) and before[batch.kept].abs().max() < 1e-5
    made.train()
    row = made.rows.encode(5)
    given = made.rows.encoder.batch([row], left=False)
    learnt = given.pop("labels")[0, 1:] != -100
    with torch.no_grad():
        now = made.learner.model(**given).logits[0, :-1][learnt].log_softmax(-1)
        with made.learner.model.disable_adapter():
            base = made.learner.model(**given).logits[0, :-1][learnt].log_softmax(-1)
        alone = Minibatch(made.rows, [5], made.accelerator.device, made.config.keep)
        losses = made.learner(alone.tensors, alone.kept)
    divergence = (base.exp() * (base - now)).sum(-1)  # KL(base || student) from its definition
    assert torch.allclose(losses, divergence, atol=1e-4) and divergence.max() > 1e-3


def test_long_answers_in_parts_have_the_losses_and_gradients_of_all_at_once(trainer, monkeypatch):
    import torch

    from verdicts.sft import train

    made = trainer(keep=["summary"])
    made.train()  # before the first step a kept token's gradient is nothing
    batch = train.Minibatch(made.rows, [0, 5, 6], made.accelerator.device, made.config.keep)

    def step() -> tuple[torch.Tensor, list[torch.Tensor]]:
        losses = made.learner(batch.tensors, batch.kept)
        losses.sum().backward()
        found = [parameter.grad.clone() for parameter in made.parameters.values()]
        made.optimizer.zero_grad()
        return losses.detach(), found

    sizes, logits = [], train.StudentLoss._logits
    monkeypatch.setattr(train.StudentLoss, "_logits", lambda self, h: sizes.append(len(h)) or logits(self, h))
    whole = step()
    assert max(sizes) == len(batch.kept) > 14
    sizes.clear()
    monkeypatch.setattr(train, "LOGITS_AT_ONCE", 7 * 2056)
    parts = step()
    assert max(sizes) == 7
    assert torch.allclose(whole[0], parts[0], atol=1e-5)
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(whole[1], parts[1], strict=True))
    assert max(float(gradient.abs().max()) for gradient in whole[1]) > 1e-2


def test_a_step_in_two_batches_is_the_step_in_one(trainer):
    import torch

    whole, cut = trainer(batch_rows=4, accumulate=1, save_steps=9), trainer(batch_rows=2, accumulate=2, save_steps=9)
    for made in (whole, cut):
        made.train()
    assert [step["loss"] for step in whole.history] == pytest.approx([step["loss"] for step in cut.history], rel=1e-3)
    for name, value in whole.parameters.items():
        assert torch.allclose(value, cut.parameters[name], atol=2e-3), name


def test_nothing_below_the_top_layers_keeps_activations(trainer):
    made = trainer()
    layers = made.learner.model.get_base_model().model.language_model.layers
    kept: dict[int, bool] = {}
    for at, layer in enumerate(layers):
        layer.register_forward_hook(lambda *call, at=at: kept.__setitem__(at, call[2].requires_grad))
    made.train()
    assert kept == {0: False, 1: False, 2: False, 3: False, 4: True, 5: True}


def test_a_state_of_another_run_is_not_gone_on_from(trainer):
    first = trainer("one", epochs=1.0)
    first.train()
    assert first.history and not trainer("two", epochs=1.0).resume()
    again = trainer("one", epochs=1.0)
    assert again.resume() and again.history == first.history


def test_killed_in_training_and_in_writing_a_run_ends_in_the_same_bytes(student, data, taught, tmp_path):
    output = tmp_path / "checkpoint"
    arguments = [
        "--config",
        config(tmp_path / "sft.yaml", student),
        "--train",
        data / "train.jsonl",
        "--val",
        data / "val.jsonl",
        "--output-dir",
        output,
    ]

    def start() -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "tools.sft", *map(str, arguments)], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )

    begins = []
    for sign in ("state/state.pt", "state/made/adapter"):  # in training; in writing results
        process = start()
        while not (output / sign).exists() and process.poll() is None:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        _, errors = process.communicate()
        assert process.returncode == -signal.SIGKILL, errors
        assert not (output / "metrics.json").exists()
        begins.append(errors)
    process = start()
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert ["sft: going on after step " in said for said in (*begins, errors)] == [False, True, True]
    assert "after step 10 of 10" not in begins[1]  # else the kill came too late to show anything
    assert files(output) == files(taught)


def test_two_processes_learn_what_one_learns_with_twice_the_batches(student, data, taught, tmp_path):
    import torch
    from safetensors.torch import load_file

    arguments = [
        "--config",
        config(tmp_path / "sft.yaml", student, accumulate=1),
        "--train",
        data / "train.jsonl",
        "--val",
        data / "val.jsonl",
    ]
    launch = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--multi_gpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
        "--mixed_precision",
        "no",
    ]
    launch += [
        "--dynamo_backend",
        "no",
        "--main_process_port",
        "0",
        "-m",
        "tools.sft",
        *map(str, arguments),
        "--output-dir",
        str(tmp_path / "two"),
    ]
    done = subprocess.run(
        launch, cwd=ROOT, capture_output=True, text=True, timeout=600, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    )
    assert done.returncode == 0, done.stderr
    one, two = (
        json.loads((folder / "metrics.json").read_text(encoding="utf-8")) for folder in (taught, tmp_path / "two")
    )
    assert (one["processes"], two["processes"]) == (1, 2)
    assert [line["loss"] for line in one["log"]] == pytest.approx([line["loss"] for line in two["log"]], rel=1e-2)
    first, second = (
        load_file(folder / "adapter" / "adapter_model.safetensors") for folder in (taught, tmp_path / "two")
    )
    assert first.keys() == second.keys()
    for name in first:
        assert torch.allclose(first[name], second[name], atol=5e-3), name


def test_the_real_4b_would_learn_in_its_top_language_layers_alone():
    import torch
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    from verdicts.sft.lora import adapt, adapted, lora_config

    # Qwen/Qwen3-VL-4B-Instruct's config.json
    text = {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32,
            "num_key_value_heads": 8, "head_dim": 128,
            "vocab_size": 151936, "tie_word_embeddings": True,
            "rope_parameters": {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [24, 20, 20],
                "mrope_interleaved": True}}  # fmt: skip
    vision = {
        "depth": 24,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_heads": 16,
        "out_hidden_size": 2560,
        "deepstack_visual_indexes": [5, 11, 17],
    }
    with torch.device("meta"):
        model = Qwen3VLForConditionalGeneration(
            Qwen3VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True)
        )
        assert 4.3e9 < sum(parameter.numel() for parameter in model.parameters()) < 4.5e9
        section = load("qwen3", "bbu_line").sft.model_copy(update={"top_layers": 4})
        names = adapted([32, 33, 34, 35], section.targets)
        learner = adapt(model, lora_config([32, 33, 34, 35], section), names)
    learning = {name for name, parameter in learner.named_parameters() if parameter.requires_grad}
    assert len(names) == 4 * 7 and len(learning) == 2 * len(names)
    assert all("base_model.model.model.language_model.layers.3" in name and ".lora_" in name for name in learning)


def test_an_adapter_that_would_catch_another_module_is_refused(student):
    import torch
    from peft import LoraConfig
    from transformers import AutoModelForImageTextToText

    from verdicts.sft.lora import adapt, adapted

    model = AutoModelForImageTextToText.from_pretrained(student, dtype=torch.float32)
    with pytest.raises(RuntimeError, match="visual"):
        adapt(model, LoraConfig(r=2, target_modules="all-linear"), adapted([5], ["q_proj"]))


def without_assistant(row: dict) -> dict:
    return row | {"messages": row["messages"][:-1]}


def with_unknown_role(row: dict) -> dict:
    return row | {"messages": [{"role": "bot", "content": "说"}, *row["messages"][1:]]}


BAD_ROWS = {
    "a chat row without assistant": (
        without_assistant,
        "train.jsonl:2: messages: no assistant message (found system, user); add the answer",
    ),
    "an unknown role": (with_unknown_role, "train.jsonl:2: messages.0.role: "),
    "a photo that is not there": (
        lambda row: seen(Path("nowhere.png"), "x"),
        "train.jsonl:2: images.0: no such file (nowhere.png); correct the path",
    ),
    "a file that is no photo": (
        lambda row: seen(ROOT / "README.md", "x"),
        f"train.jsonl:2: images.0: not a photo ({ROOT / 'README.md'}: ",
    ),
    "a row that is too long": (
        lambda row: chat("很长" * 500, "x"),
        "tokens, more than sft.max_tokens (400); raise it to ",
    ),
    "an unknown field": (
        lambda row: row | {"wieght": 1},
        "train.jsonl:2: wieght: unknown field; did you mean 'weight'?",
    ),
}


@pytest.fixture
def earlier(tmp_path) -> Path:
    """Results of an earlier run, which a refused run must not touch."""
    folder = tmp_path / "checkpoint"
    (folder / "merged").mkdir(parents=True)
    (folder / "merged" / "model.safetensors").write_bytes(b"weights")
    (folder / "metrics.json").write_text("{}", encoding="utf-8")
    return folder


@pytest.mark.parametrize("bad", BAD_ROWS)
def test_a_bad_row_is_named_before_weights_are_loaded_and_nothing_is_overwritten(
    student, data, earlier, tmp_path, monkeypatch, bad
):
    import transformers

    monkeypatch.setattr(
        transformers.AutoModelForImageTextToText, "from_pretrained", lambda *_, **__: pytest.fail("weights were loaded")
    )
    change, words = BAD_ROWS[bad]
    rows = [json.loads(line) for line in (data / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    write_rows(tmp_path / "train.jsonl", [rows[0], change(rows[1]), rows[6]])
    before = files(earlier)
    outcome = call(
        "sft",
        config=config(tmp_path / "sft.yaml", student),
        train=tmp_path / "train.jsonl",
        val=data / "val.jsonl",
        output_dir=earlier,
    )
    refused(outcome, words)
    assert files(earlier) == before


def test_the_number_of_rows_that_are_too_long_is_said(student, data, tmp_path):
    outcome = teach(student, data, tmp_path, tmp_path / "new", max_tokens=60)
    refused(outcome, "and ")
    assert "more rows are too long; raise it to " in outcome.err


def test_rows_that_are_too_long_may_be_left_out_and_are_counted_where_eyes_land_first(student, data, tmp_path):
    rows = [json.loads(line) for line in (data / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    longer = tmp_path / "data"
    longer.mkdir()
    write_rows(longer / "train.jsonl", [*rows, chat("很长" * 500, rows[0]["messages"][-1]["content"])])
    shutil.copy(data / "val.jsonl", longer)
    limits = {"max_tokens": 400, "long_rows": "leave_out", "max_left_out": 0.01}
    outcome = teach(student, longer, tmp_path, tmp_path / "left_out", **limits)
    assert outcome.code == 0, outcome.err
    assert f"; 1 of {len(rows) + 1} rows of train.jsonl left out as longer than sft.max_tokens (" in outcome.last_line
    assert "sft: WARNING: 1 of " in outcome.err
    metrics = json.loads((tmp_path / "left_out" / "metrics.json").read_text(encoding="utf-8"))
    left_out = metrics["too_long"]["train"]
    assert (left_out["rows"], left_out["share"]) == ({"chat": 1}, round(1 / (len(rows) + 1), 6))
    assert metrics["too_long"]["val"] == {"rows": {}, "share": 0.0, "longest": 0} and left_out["longest"] > 1000
    # what is learnt is what the file without the row teaches
    assert teach(student, data, tmp_path, tmp_path / "without", **limits).code == 0
    assert tensors(tmp_path / "left_out" / "merged") == tensors(tmp_path / "without" / "merged")


def test_a_file_of_which_every_row_is_too_long_is_refused_though_rows_may_be_left_out(student, data, tmp_path):
    refused(teach(student, data, tmp_path, tmp_path / "new", max_tokens=2, long_rows="leave_out"), "raise it to ")
    assert not (tmp_path / "new" / "metrics.json").exists()


BAD_CONFIGS = {
    "layers outside the model": ({"top_layers": 7}, "sft.top_layers: 7, but the model has 6 language layers"),
    "no layers": ({"top_layers": 0}, "sft.top_layers: input should be greater than 0 (0)"),
    "a module that is not there": ({"targets": ["q_proj", "lm_head"]}, "sft.targets.1: input should be 'q_proj'"),
    "an unknown knob": ({"top_layer": 2}, "sft.top_layer: unknown field; did you mean 'top_layers'?"),
}


@pytest.mark.parametrize("bad", BAD_CONFIGS)
def test_a_bad_setting_is_one_line_and_nothing_is_overwritten(student, data, earlier, tmp_path, bad):
    changes, words = BAD_CONFIGS[bad]
    before = files(earlier)
    refused(teach(student, data, tmp_path, earlier, **changes), words)
    assert files(earlier) == before


def test_a_base_of_another_architecture_is_refused(student, data, earlier, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    before = files(earlier)
    refused(teach(tmp_path / "other", data, tmp_path, earlier), "another architecture (llama)")
    assert files(earlier) == before


def test_a_base_without_its_weights_is_refused_with_the_way_to_get_them(student, data, earlier, tmp_path):
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "config.json").write_bytes((student / "config.json").read_bytes())
    refused(teach(tmp_path / "bare", data, tmp_path, earlier), "its weights are missing (model.safetensors)")
    model = Path(load("qwen3", "bbu_line").student.model)
    refused(teach(model, data, tmp_path, earlier), f"hf download Qwen/Qwen3-VL-4B-Instruct --local-dir {model}")


def test_a_base_inside_the_output_folder_is_refused(taught, data, tmp_path):
    before = files(taught)
    refused(teach(taught / "merged", data, tmp_path, taught), "is inside the output folder")
    assert files(taught) == before
