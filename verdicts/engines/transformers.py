"""A checkpoint folder through transformers: the student, text only. Simple on purpose; llama_cpp is the fast engine.

One ticket at a time: its prompt is read once for the verdict's probabilities, then its candidates are generated as a
batch, each token drawn by our own sampler from the candidate's own random numbers.
"""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from verdicts.base.errors import mistake
from verdicts.base.progress import add_tokens
from verdicts.engines import LENGTH, NO_VERDICT, OVER_LENGTH, STOP, Completion, Decode, check_calls
from verdicts.engines.sampling import draw_tokens, log_softmax
from verdicts.models import chat_template as chat
from verdicts.models.checkpoints import (
    LOCAL,
    Checkpoint,
    check_small_files,
    check_weights,
    ends_of_turn,
    load_model,
    settings,
)
from verdicts.models.fingerprint import checkpoint_hash
from verdicts.models.threads import quiet_openmp
from verdicts.stage_b.protocol import HEADER, WORD

if TYPE_CHECKING:
    from verdicts.config.engine import TransformersConfig


class TransformersEngine:
    """See ``verdicts.engines.Engine``. Each candidate writes its own reason, without a grammar and without thinking.

    Raises UserError for a folder that is missing or holds no model.
    """

    def __init__(self, config: "TransformersConfig") -> None:
        path = Path(config.model)
        checkpoint = Checkpoint(path, "engine.model", "check engine.model, or fetch the model again")
        if not (path / "config.json").is_file():
            raise mistake(
                "no checkpoint folder (it has no config.json)", "check engine.model", path=path, field="engine.model"
            )
        settings(checkpoint)
        check_small_files(checkpoint)
        check_weights(checkpoint)
        quiet_openmp()
        try:
            import torch
            import transformers
        except ImportError as error:
            raise mistake(f"{error.name} is not installed", "run `make setup-student`", field="engine.kind") from None
        self.config, self.torch = config, torch
        with checkpoint.reading("tokenizer"):
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(path, **LOCAL)
        self.text = chat.PlainText(self.tokenizer)
        _, self.ends = ends_of_turn(checkpoint, self.tokenizer, self.tokenizer.chat_template)
        with checkpoint.reading("config.json"):
            known = transformers.AutoConfig.from_pretrained(path, **LOCAL)
        kind = (
            transformers.AutoModelForImageTextToText
            if hasattr(known, "vision_config")
            else transformers.AutoModelForCausalLM
        )
        self.model = load_model(
            kind, checkpoint, dtype="auto", device_map="auto" if torch.cuda.is_available() else None
        )
        self.broken = checkpoint.wrong("the model's scores are no numbers (NaN)")
        self.fingerprint = {
            "engine": "transformers",
            "model": path.name,
            "sha256": checkpoint_hash(path),
            "version": version("transformers"),
        }
        special = {"bos": self.tokenizer.bos_token or "", "eos": self.tokenizer.eos_token or ""}
        self.pieces = chat.pieces(self.tokenizer.chat_template, **special, thinking=False, source=str(path))
        lines = {verdict: self.text.ids(f"{HEADER}{word}\n") for verdict, word in WORD.items()}
        split = next(i for i, (a, b) in enumerate(zip(lines["pass"], lines["fail"], strict=False)) if a != b)
        self.header, self.verdict = lines["pass"][:split], {verdict: ids[split] for verdict, ids in lines.items()}

    def _prompt(self, system: str, user: str) -> list[int]:
        ids, plain = self.text.template_ids, self.text.ids
        return ids(self.pieces.head) + plain(system) + ids(self.pieces.middle) + plain(user) + ids(self.pieces.tail)

    def rollout(
        self, system: str, users: Sequence[str], decodes: Sequence[Sequence[Decode]]
    ) -> Iterator[list[Completion]]:
        """Answer each ticket once for each of its decode settings; tickets never touch each other."""
        check_calls(users, decodes)
        for user, own in zip(users, decodes, strict=True):
            yield self._write(self._prompt(system, user), own)

    def judge(self, system: str, users: Sequence[str]) -> list[dict[str, float | None]]:
        """Verdict log-probabilities of each ticket, from one forward pass over prompt and header."""
        return [self._look(self._prompt(system, user)) for user in users]

    def complete(
        self, system: str, users: Sequence[str], decodes: Sequence[Decode], json_schema: dict[str, Any] | None = None
    ) -> list[Completion]:
        """Free text for each prompt: there is no grammar here, so ``json_schema`` is ignored."""
        check_calls(users, decodes)
        pairs = zip(users, decodes, strict=True)
        return [self._write(self._prompt(system, user), [decode])[0] for user, decode in pairs]

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text`` as data."""
        return len(self.text.ids(text))

    def close(self) -> None:
        """Let go of the weights."""
        self.model = None

    def _forward(self, ids: Sequence[Sequence[int]], cache: Any) -> tuple[np.ndarray, Any]:
        """Feed ids ``[rows, tokens]``. Returns float32 logits of the last one ``[rows, vocabulary]``, and the cache."""
        tensor = self.torch.tensor(ids, device=self.model.device)
        with self.torch.inference_mode():
            out = self.model(input_ids=tensor, past_key_values=cache, use_cache=True, logits_to_keep=1)
        logits = out.logits[:, -1].float().cpu().numpy()
        if np.isnan(logits).any():
            raise self.broken
        return logits, out.past_key_values

    def _fits(self, tokens: int) -> bool:
        return tokens <= self.config.context_tokens

    def _look(self, prompt: list[int]) -> dict[str, float | None]:
        if not self._fits(len(prompt) + len(self.header)):
            return NO_VERDICT
        add_tokens(read=len(prompt) + len(self.header))
        return self._verdicts(self._forward([prompt + self.header], None)[0][0])

    def _verdicts(self, row: np.ndarray) -> dict[str, float | None]:
        logp = log_softmax(row)
        return {verdict: float(logp[token]) for verdict, token in self.verdict.items()}

    def _write(self, prompt: list[int], decodes: Sequence[Decode]) -> list[Completion]:
        """Generate all candidates of one prompt together; a row that has ended is fed its last token and ignored."""
        most = max(decode.max_new_tokens for decode in decodes)
        if not self._fits(len(prompt) + most):
            return [Completion("", NO_VERDICT, OVER_LENGTH)] * len(decodes)
        random = [np.random.default_rng(decode.seed) for decode in decodes]
        temperature, top_p = (
            np.array([decode.temperature for decode in decodes], np.float32),
            np.array([decode.top_p for decode in decodes]),
        )
        written: list[list[int]] = [[] for _ in decodes]
        finish = [LENGTH] * len(decodes)
        logprob = [NO_VERDICT] * len(decodes)
        logits, cache = self._forward([prompt], None)
        add_tokens(read=len(prompt))
        cache.batch_repeat_interleave(len(decodes))
        logits = np.repeat(logits, len(decodes), axis=0)
        for _ in range(most):
            tokens = draw_tokens(
                logits, range(len(decodes)), temperature, top_p, np.array([stream.random() for stream in random])
            )
            for i, token in enumerate(tokens):
                if finish[i] == STOP or len(written[i]) >= decodes[i].max_new_tokens:
                    continue
                if written[i] == self.header:
                    logprob[i] = self._verdicts(logits[i])
                if int(token) in self.ends:
                    finish[i] = STOP
                else:
                    written[i].append(int(token))
            if all(finish[i] == STOP or len(written[i]) >= decodes[i].max_new_tokens for i in range(len(decodes))):
                break
            logits, cache = self._forward([[int(token)] for token in tokens], cache)
        plain = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
        add_tokens(written=sum(map(len, written)))
        texts = [str(self.tokenizer.decode(ids, **plain)) for ids in written]
        return [Completion(*answer) for answer in zip(texts, logprob, finish, strict=True)]
