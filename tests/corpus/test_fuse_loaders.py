"""Fused files and distill.train.jsonl load unchanged with datasets, TRL, ms-swift and LLaMA-Factory.

Their own loaders are used where they are installed.
"""

import importlib.machinery
import json
import re
import sys
import types
from collections import Counter
from pathlib import Path

import pytest

from tests.support.builders import G0, NO_GUARD, candidates, ticket
from tests.support.fusing import ROOT, Bench, source
from verdicts.base.jsonl import write_rows
from verdicts.config.load import load as load_config
from verdicts.corpus.distill import Item, RowDecision, chat_row, sft_row
from verdicts.corpus.rows import read_fused
from verdicts.stage_b.prompts import load_prompts
from verdicts.stage_b.selection import select

DOCS = Path(__file__).resolve().parents[2] / "docs" / "fusion.md"
SPECIALS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
CHAT_TEMPLATE = (
    "{%- macro text(content) %}{% if content is string %}{{ content }}{% else %}{% for part in content %}\n"
    "{%- if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}"
    "{% endif %}{% endfor %}{% endif %}{% endmacro %}\n"
    "{%- for m in messages %}<|im_start|>{{ m.role }}{{ '\n' }}\n"
    "{%- if m.role == 'assistant' %}{% generation %}{{ text(m.content) }}<|im_end|>{% endgeneration %}"
    "{% else %}{{ text(m.content) }}<|im_end|>{% endif %}{{ '\n' }}{% endfor %}"
)


@pytest.fixture
def fused(tmp_path, monkeypatch):
    """A fused pair of files, mixed from chat, dense and summary rows; the working directory is the project's."""
    monkeypatch.chdir(tmp_path)
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "DISABLE_VERSION_CHECK"):
        monkeypatch.setenv(name, "1")
    for name in ("HF_HOME", "HF_DATASETS_CACHE", "MODELSCOPE_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    bench = Bench(tmp_path)
    bench.configure(*(source(name, name, val={"share": 0.2}) for name in ("chat", "dense", "summary")))
    assert bench.fuse().code == 0
    return bench


def load(library, **files: str):
    """The files by ``datasets``, one split each."""
    return library.load_dataset("json", data_files=files, cache_dir="cache")


def as_plain(rows) -> list[dict]:
    return [row.model_dump() for row in rows]


def test_datasets_reads_every_row_as_it_was_written(fused):
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    loaded = load(datasets, train="out/mix.train.jsonl", validation="out/mix.val.jsonl")
    assert loaded["train"].features == loaded["validation"].features
    for split, name in (("train", "train"), ("validation", "val")):
        assert loaded[split].to_list() == as_plain(read_fused(Path(f"out/mix.{name}.jsonl")))


def test_datasets_reads_the_chat_corpus_as_distill_wrote_it(fused):
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    assert load(datasets, train="in/chat.jsonl")["train"].to_list() == fused.lines("chat")


def test_a_corpus_whose_first_flag_comes_late_or_in_one_split_alone_still_loads(fused):
    """datasets fixes the types at its first 10 MB, and those of all splits by the first."""
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    item = corpus_item("conflict")
    rows = [sft_row(corpus_item()).model_dump()] * 9000 + [sft_row(item).model_dump()]
    write_rows(Path("train.jsonl"), rows)
    write_rows(Path("val.jsonl"), [sft_row(item)])
    assert Path("train.jsonl").stat().st_size > 15e6
    loaded = load(datasets, train="train.jsonl", validation="val.jsonl")
    assert loaded["train"].to_list() == rows and loaded["validation"]["flags"] == ["conflict"]


def corpus_item(*flags: str) -> Item:
    """A kept row of the corpus as distill has it."""
    one = ticket("g1", "pass", ("螺丝、光纤插头/机柜处接地螺丝,符合要求×1，" * 20,))
    selection = select(one, candidates(one, "pass pass"), NO_GUARD)
    config = load_config("miniature", "bbu_line", configs=ROOT / "configs")
    prompts = load_prompts(config.prompts, config.mission)
    return Item(one, selection, chat_row(prompts, {"G0": G0}, one, selection), RowDecision("pass", flags=flags))


def test_a_file_whose_photos_come_late_still_loads(fused):
    """datasets fixes the types at its first 10 MB; there ``images: []`` alone would be a list of nothing."""
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    rows = fused.lines("chat")
    for row in rows:
        row["messages"][1]["content"] = "电线×1，" * 30_000
    (fused.folder / "in" / "chat.jsonl").write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )
    fused.configure(source("chat", "chat", rows=200, ratio=None), source("dense", "dense", rows=1, ratio=None))
    assert fused.fuse().code == 0
    assert (fused.folder / "out" / "mix.train.jsonl").stat().st_size > 40e6
    assert Counter(map(len, load(datasets, train="out/mix.train.jsonl")["train"]["images"])) == {0: 200, 1: 1}


def tokenizer():
    """Bytes and the special tokens of Qwen3-VL."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: at for at, token in enumerate([*sorted(pre_tokenizers.ByteLevel.alphabet()), *SPECIALS])}
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=SPECIALS[1:],
        chat_template=CHAT_TEMPLATE,
    )


def tiny_student():
    """A Qwen3-VL of a few thousand weights and its processor (without the video part, which would need torchvision)."""
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
    from transformers.processing_utils import ProcessorMixin

    words = tokenizer()
    ids = dict(zip(SPECIALS, words.convert_tokens_to_ids(SPECIALS), strict=True))

    class Processor(Qwen3VLProcessor):
        attributes = ("image_processor", "tokenizer")

        def __init__(self, image_processor, tokenizer, chat_template=None):
            for name, token in (
                ("image", "<|image_pad|>"),
                ("video", "<|video_pad|>"),
                ("vision_start", "<|vision_start|>"),
                ("vision_end", "<|vision_end|>"),
            ):
                setattr(self, f"{name}_token", token)
                setattr(self, f"{name}_token_id", ids[token])
            ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)

    pixels = Qwen2VLImageProcessorPil(
        patch_size=16, temporal_patch_size=2, merge_size=2, min_pixels=32 * 32, max_pixels=64 * 64
    )
    rope = {"rope_theta": 10000.0, "rope_type": "default", "mrope_section": [4, 2, 2], "mrope_interleaved": True}
    text = {
        "vocab_size": len(words), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 2048,
        "pad_token_id": ids["<|endoftext|>"], "rope_parameters": rope,
    }  # fmt: skip
    vision = {
        "depth": 1, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "patch_size": 16,
        "spatial_merge_size": 2, "temporal_patch_size": 2, "out_hidden_size": 32, "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0],
    }  # fmt: skip
    named = {
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    }
    config = Qwen3VLConfig(
        text_config=text, vision_config=vision, **{name: ids[token] for name, token in named.items()}
    )
    return Qwen3VLForConditionalGeneration(config), Processor(pixels, words, chat_template=CHAT_TEMPLATE)


def learned(trainer, words) -> Counter:
    """The texts that the batches of one epoch put loss on."""
    return Counter(
        words.decode(labels[labels >= 0]) for batch in trainer.get_train_dataloader() for labels in batch["labels"]
    )


def settings(trl):
    return trl.SFTConfig(output_dir="trained", max_steps=1, per_device_train_batch_size=8, max_length=None,
                         assistant_only_loss=True, use_cpu=True, bf16=False,
                         report_to=[], save_strategy="no")  # fmt: skip


def test_trl_trains_a_vision_model_on_photo_and_chat_rows_of_one_file(fused):
    trl, datasets = (
        pytest.importorskip("trl", reason="trl is not installed"),
        pytest.importorskip("datasets", reason="datasets is not installed"),
    )
    model, processor = tiny_student()
    data = load(datasets, train="out/mix.train.jsonl")["train"]
    trainer = trl.SFTTrainer(model=model, args=settings(trl), train_dataset=data, processing_class=processor)
    assert trainer.train().training_loss > 0
    assert learned(trainer, processor.tokenizer) == Counter(
        f"{row['messages'][-1]['content']}<|im_end|>" for row in data
    )
    assert {row["task"] for row in data} == {"chat", "dense", "summary"}


def test_trl_trains_a_text_model_on_the_chat_corpus(fused):
    trl, datasets = (
        pytest.importorskip("trl", reason="trl is not installed"),
        pytest.importorskip("datasets", reason="datasets is not installed"),
    )
    from transformers import Qwen3Config, Qwen3ForCausalLM

    words = tokenizer()
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(words),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
        )
    )
    data = load(datasets, train="in/chat.jsonl")["train"]
    trainer = trl.SFTTrainer(model=model, args=settings(trl), train_dataset=data, processing_class=words)
    assert trainer.train().training_loss > 0
    assert learned(trainer, words) == Counter(f"{row['messages'][-1]['content']}<|im_end|>" for row in data)


def test_ms_swift_reads_every_row(fused):
    pytest.importorskip("swift.dataset", reason="ms-swift is not installed")
    from swift.dataset import load_dataset

    for path, rows in (
        ("out/mix.train.jsonl", as_plain(read_fused(Path("out/mix.train.jsonl")))),
        ("in/chat.jsonl", fused.lines("chat")),
    ):
        loaded = list(load_dataset([path], split_dataset_ratio=0.0, strict=True, num_proc=1)[0])
        assert [row["messages"] for row in loaded] == [row["messages"] for row in rows]
        assert [[image["path"] for image in row.get("images") or []] for row in loaded] == [
            row.get("images", []) for row in rows
        ]


def test_llama_factory_reads_every_row_with_the_entry_in_the_docs(fused, monkeypatch):
    pytest.importorskip("llamafactory", reason="LLaMA-Factory is not installed")
    sound = types.ModuleType("torchaudio")  # imported by its data module, used for sound alone
    sound.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
    monkeypatch.setitem(sys.modules, "torchaudio", sound)
    from llamafactory.data.loader import _load_single_dataset
    from llamafactory.data.parser import get_dataset_list
    from llamafactory.hparams import DataArguments

    entries = dataset_info()
    for name, path, rows in (
        ("fused", "out/mix.train.jsonl", as_plain(read_fused(Path("out/mix.train.jsonl")))),
        ("chat", "in/chat.jsonl", fused.lines("chat")),
    ):
        Path("dataset_info.json").write_text(json.dumps({name: entries[name] | {"file_name": path}}), encoding="utf-8")
        nothing = types.SimpleNamespace(cache_dir="cache", hf_hub_token=None, local_process_index=0, should_log=False)
        found = _load_single_dataset(
            get_dataset_list([name], ".")[0],
            nothing,
            DataArguments(dataset_dir=".", media_dir=".", overwrite_cache=True),
            nothing,
        )
        assert [row["_response"][0]["content"] for row in found] == [row["messages"][-1]["content"] for row in rows]
        assert [[str(Path(image)) for image in row["_images"] or []] for row in found] == [
            row.get("images", []) for row in rows
        ]
        assert {row["_system"] != "" for row in found if not row["_images"]} == {True}, (
            "the system message of a chat row is kept"
        )


def dataset_info() -> dict:
    """The dataset_info.json shown in docs/fusion.md."""
    return json.loads(
        re.search(r"```json\n(\{\s+\"fused\".*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL).group(1)
    )


def test_the_documented_formats_of_ms_swift_and_llama_factory_hold(fused):
    """What both documents ask for of one row.

    Roles in turn, one ``<image>`` a photo in the user's text, photos that open from the working directory.
    """
    assert set(dataset_info()) == {"fused", "chat"}
    for row in read_fused(Path("out/mix.train.jsonl")):
        roles = [message.role for message in row.messages if message.role != "system"]
        assert roles == ["user", "assistant"]
        assert [message.content.count("<image>") for message in row.messages if message.role == "user"] == [
            len(row.images)
        ]
        assert all(Path(image).is_file() for image in row.images)
