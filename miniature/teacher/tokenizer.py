"""The miniature's tokenizer: byte-level BPE in Qwen2 pre-tokenisation, and chats as token ids.

Text that came from data is encoded as plain text, apart from the template pieces around it, exactly as the engines
do: ``<|im_end|>`` in a label photo never becomes a control token. No merge joins a space to what follows, so the
ids of ``Verdict: 通过`` are those of ``Verdict: `` and ``通过`` one after the other; and the words that rules and
summaries share are tokens of their own, so that a rule finds what it speaks of by identity.
"""

import re
from pathlib import Path
from random import Random

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from miniature.teacher.focused_reflection import reflection_sample
from miniature.teacher.verdict_data import VerdictSample, verdict_sample
from miniature.world.vocabulary import BRANDS, SCREWS
from verdicts.stage_b.protocol import HEADER

SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>")
# Qwen2Tokenizer's pattern (transformers, models/qwen2/tokenization_qwen2.py); llama.cpp knows it as pre "qwen2".
QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEACHER_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' "
    "}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
_CUT = re.compile(r"(?<=\n)(?=[^\s])|(?<=[0-9])(?=，)")
_CACHE = 200_000
# Words that rules and summaries share: no merge runs across their borders, so both write them with the same ids.
_SHARED = (
    *SCREWS, *BRANDS, "捆扎整齐", "散乱", "有保护措施", "无保护措施", "弯曲半径合理", "弯曲半径不合理", "BBU设备",
    "RRU设备", "未按要求配备", "按要求配备", "挡风板",
    "安装方向正确", "安装方向错误", "显示完整", "只显示部分", "无法识别", "无关图片", "品牌", "备注", "无法判断",
    "疑似", "缺少", "缺失", "螺丝", "部分未套蛇形管", "拍摄不完整",
    "紧固件", "紧固合格", "紧固不合格", "不合格", "接地端", "接地线", "地线", "没有标签", "有标签", "有套管保护",
    "无套管保护", "套管保护", "不符合要求", "不作为不通过依据", "则不通过", "出现",
    "须见", "可豁免", "不影响通过", "应判", "不通过", "通过", "照片少于", "未见",
)  # fmt: skip
_APART = re.compile("(" + "|".join(sorted(map(re.escape, _SHARED), key=len, reverse=True)) + ")")
_TEACHABLE = ("通过", "不通过")  # one token each


def train_tokenizer(vocab_size: int, samples: int, seed: int) -> Tokenizer:
    """Learn merges from generated chats. Returns a tokenizer whose ids end with SPECIALS."""
    rng = Random(seed)
    texts = ["\n".join(_TEACHABLE)] * samples
    for index in range(samples):
        sample = reflection_sample(rng) if index % 8 == 0 else verdict_sample(rng)
        texts.append("\n".join(_APART.split("\n".join(sample).replace(" ", "\n"))))
    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN2_PATTERN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    ])  # fmt: skip
    plain.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIALS), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    plain.train_from_iterator(texts, trainer)
    return plain


class ChatTokenizer:
    """Chats as ids. ``plain`` knows no special tokens; theirs follow its vocabulary in the order of SPECIALS."""

    def __init__(self, plain: Tokenizer):
        self.plain = plain
        self.special = {name: plain.get_vocab_size() + index for index, name in enumerate(SPECIALS)}
        self._cache: dict[str, list[int]] = {}
        self.vocab_size = plain.get_vocab_size() + len(SPECIALS)
        start, end = self.special["<|im_start|>"], self.special["<|im_end|>"]
        self._system = [start, *self.ids("system\n")]
        self._user = [end, *self.ids("\n"), start, *self.ids("user\n")]
        self._assistant = [end, *self.ids("\n"), start, *self.ids("assistant\n")]
        self._end = [end]
        self.header = self.ids(HEADER)

    @classmethod
    def load(cls, path: Path) -> "ChatTokenizer":
        """Read a tokenizer.json."""
        return cls(Tokenizer.from_file(str(path)))

    def ids(self, text: str) -> list[int]:
        """Plain text as ids; nothing in it is special."""
        return self.plain.encode(text, add_special_tokens=False).ids

    def ids_fast(self, text: str) -> list[int]:
        """The same ids by way of a cache.

        The text is cut where the pre-tokeniser always cuts: after a line end, between a digit and ，
        """
        out: list[int] = []
        for piece in _CUT.split(text):
            known = self._cache.get(piece)
            if known is None:
                known = self._cache[piece] = self.ids(piece)
                if len(self._cache) > _CACHE:
                    self._cache.clear()
            out += known
        return out

    def prompt(self, system: str, user: str) -> list[int]:
        """The ids before an answer."""
        return self._system + self.ids_fast(system) + self._user + self.ids_fast(user) + self._assistant

    def chat(self, sample: VerdictSample) -> tuple[list[int], int]:
        """All ids of a sample, and how many of them come before the answer."""
        prompt = self.prompt(sample.system, sample.user)
        return prompt + self.ids(sample.answer) + self._end, len(prompt)
