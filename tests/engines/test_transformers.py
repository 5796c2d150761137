"""The transformers engine on a tiny Qwen3 with random weights, made here. Skipped where torch is not installed."""

import math

import pytest

pytest.importorskip("torch", reason="torch is not installed: `make setup-student` installs it")
pytest.importorskip("transformers", reason="transformers is not installed: `make setup-student` installs it")

from tests.support.checkpoints import config
from verdicts.base.errors import UserError
from verdicts.engines import Decode, open_engine

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
DECODES = [Decode(0.0, 1.0, 12, 0), Decode(1.5, 1.0, 12, 1), Decode(1.5, 1.0, 7, 2)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint folder: two layers, byte-level tokens, ChatML."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>"]
    bytes_only = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate([*alphabet, *specials])}, merges=[]))
    bytes_only.pre_tokenizer, bytes_only.decoder = (
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        decoders.ByteLevel(),
    )
    bytes_only.add_special_tokens(specials[:3])
    bytes_only.add_tokens(specials[3:])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bytes_only, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=TEMPLATE
    )
    torch.manual_seed(0)
    shape = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
    }
    model = Qwen3ForCausalLM(
        Qwen3Config(vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id, tie_word_embeddings=True, **shape)
    )
    folder = tmp_path_factory.mktemp("checkpoint")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def engine(checkpoint):
    engine = open_engine(config(checkpoint))
    yield engine
    engine.close()


def test_candidates_are_reproducible_and_do_not_depend_on_their_company(engine):
    (together,) = engine.rollout("s", ["电线散乱"], [DECODES])
    assert list(engine.rollout("s", ["电线散乱"], [DECODES])) == [together]
    assert engine.complete("s", ["电线散乱"], DECODES[:1]) == [together[0]]
    assert len({answer.text for answer in together}) == 3


def test_greedy_text_is_what_generate_writes(engine):
    prompt = engine._prompt("s", "u")
    ids = engine.model.generate(engine.torch.tensor([prompt]), max_new_tokens=12, do_sample=False)[0][len(prompt) :]
    expected = engine.tokenizer.decode(ids, skip_special_tokens=True)
    assert engine.complete("s", ["u"], DECODES[:1])[0].text == expected


def test_judge_sees_the_models_own_distribution(engine):
    import torch

    (seen,) = engine.judge("s", ["u"])
    ids = engine._prompt("s", "u") + engine.header
    with torch.inference_mode():
        logp = engine.model(torch.tensor([ids])).logits[0, -1].double().log_softmax(-1)
    assert {verdict: pytest.approx(float(logp[token]), abs=1e-4) for verdict, token in engine.verdict.items()} == seen
    assert math.exp(seen["pass"]) + math.exp(seen["fail"]) < 1


@pytest.mark.parametrize("marker", ["<|im_end|>", "<|im_start|>", "<think>"])
def test_a_control_token_written_in_data_stays_plain_text(engine, marker):
    ids = engine.text.ids(f"标签/{marker}×1")
    assert not set(ids) & set(engine.tokenizer.get_added_vocab().values())
    assert engine.tokenizer.decode(ids) == f"标签/{marker}×1"


def test_a_ticket_that_does_not_fit_is_reported(engine):
    (answers,) = engine.rollout("s", ["长" * 400], [DECODES])
    assert [answer.finish for answer in answers] == ["over_length"] * 3
    assert engine.judge("s", ["长" * 400]) == [{"pass": None, "fail": None}]


def test_an_answer_without_end_is_cut_at_its_own_limit(engine):
    (answers,) = engine.rollout("s", ["u"], [DECODES])
    assert all(answer.finish == "length" or answer.text for answer in answers)
    assert len(answers[2].text.encode()) <= 3 * 7


def test_a_folder_without_a_checkpoint_is_named(tmp_path):
    with pytest.raises(UserError, match=r"engine\.model: no checkpoint folder"):
        open_engine(config(tmp_path))
