"""Any OpenAI-compatible chat endpoint (vLLM, SGLang, llama-server): the way past one machine.

Each candidate is one request with its own seed; how exactly a seed reproduces is the server's affair. The server also
keeps what is data apart from control tokens. It cannot be made to share a verdict among candidates, so ``reasons`` is
``all`` in effect, and ``grammar`` is the server's: a malformed answer is handled as any other.
"""

import math
import os
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tools.core.engines import LENGTH, NO_VERDICT, OVER_LENGTH, STOP, Completion, Decode, check_calls, chunks
from tools.core.errors import mistake
from tools.core.protocol import HEADER, WORD, begun_verdict, strip_thinking

if TYPE_CHECKING:
    import httpx

    from tools.core.config import EngineConfig

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
TOP_LOGPROBS = 20  # the most that the API allows
_JUDGE = Decode(temperature=0.0, top_p=1.0, max_new_tokens=12, seed=0)  # the verdict word comes within these tokens
_TOO_LONG = ("context_length", "context length", "maximum context", "exceed_context", "too long")
_OVER_LENGTH = Completion("", NO_VERDICT, OVER_LENGTH)


class OpenAIEngine:
    """See ``tools.core.engines.Engine``. Raises UserError for settings that are missing, for what the server refuses
    (with its words), and when it stays unreachable after all retries."""

    def __init__(self, config: "EngineConfig") -> None:
        import httpx

        if not config.base_url:
            raise mistake("empty", "set it to the endpoint, such as http://127.0.0.1:8000/v1", field="engine.base_url")
        if not config.model:
            raise mistake("empty", "set it to the model's name at the endpoint", field="engine.model")
        key = os.environ.get(config.api_key_env, "") if config.api_key_env else ""
        if config.api_key_env and not key:
            raise mistake(f"the environment variable {config.api_key_env} is empty", "put the key there, or clear engine.api_key_env", field="engine.api_key_env")
        self.config = config
        self.fingerprint = {"engine": "openai", "model": config.model, "sha256": "", "version": f"httpx {httpx.__version__}"}
        self._errors = httpx.TransportError
        self._url = config.base_url.rstrip("/") + "/chat/completions"
        limits = httpx.Limits(max_connections=config.concurrency)
        self._client = httpx.Client(timeout=config.timeout_s, limits=limits, headers={"Authorization": f"Bearer {key}"} if key else {})
        self._pool = ThreadPoolExecutor(config.concurrency)

    def rollout(self, system: str, users: Sequence[str], decodes: Sequence[Sequence[Decode]]) -> Iterator[list[Completion]]:
        """Answer each ticket once for each of its decode settings; see ``Engine.rollout``."""
        check_calls(users, decodes)
        for part in chunks(len(users), self.config.chunk):
            asked = [[self._pool.submit(self._ask, system, users[i], decode, True) for decode in decodes[i]] for i in part]
            try:
                for futures in asked:
                    yield [future.result() for future in futures]
            finally:
                for futures in asked:
                    for future in futures:
                        future.cancel()

    def judge(self, system: str, users: Sequence[str]) -> list[dict[str, float | None]]:
        """Verdict log-probabilities of each ticket, from a greedy answer cut short; see ``Engine.judge``."""
        return [probable(answer) for answer in self._pool.map(lambda user: self._ask(system, user, _JUDGE, True), users)]

    def complete(self, system: str, users: Sequence[str], decodes: Sequence[Decode], json_schema: dict | None = None) -> list[Completion]:
        """Free text for each prompt; see ``Engine.complete``."""
        check_calls(users, decodes)
        return list(self._pool.map(lambda user, decode: self._ask(system, user, decode, False), users, decodes))

    def count_tokens(self, text: str) -> int:
        """An estimate from above, since the endpoint has no common way to count: a token for each character beyond ASCII,
        one for two ASCII characters."""
        wide = sum(character > "\x7f" for character in text)
        return wide + (len(text) - wide + 1) // 2

    def close(self) -> None:
        """Close connections."""
        self._pool.shutdown(cancel_futures=True)
        self._client.close()

    def _ask(self, system: str, user: str, decode: Decode, with_logprobs: bool) -> Completion:
        thinking = self.config.thinking
        body: dict[str, Any] = {
            "model": self.config.model,
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
            "temperature": decode.temperature,
            "top_p": decode.top_p,
            "max_tokens": decode.max_new_tokens + (thinking.max_new_tokens if thinking.enabled else 0),
            "seed": decode.seed,
            "chat_template_kwargs": {"enable_thinking": thinking.enabled},
        }
        if with_logprobs:
            body |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        reply = self._post(body)
        return _OVER_LENGTH if reply is None else read_choice(reply["choices"][0])

    def _post(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """Send one request, again after 429, 5xx, timeouts and broken connections; None where the prompt is too long."""
        failure = ""
        for attempt in range(self.config.retries + 1):
            pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt)
            try:
                response = self._client.post(self._url, json=body)
            except self._errors as error:
                failure = f"{type(error).__name__} {error}".strip()
            else:
                if response.status_code == 200:
                    return response.json()
                failure = f"HTTP {response.status_code}: {response.text.strip()[:500]}"
                if response.status_code != 429 and response.status_code < 500:
                    return self._refused(response, failure)
                pause = _asked_pause(response, pause)
            if attempt < self.config.retries:
                time.sleep(pause * random.uniform(0.75, 1.25))  # not all at the same moment
        raise mistake(f"no answer after {self.config.retries + 1} tries ({failure})", "start the server again, or raise engine.retries", path=self._url, field="engine.base_url")

    def _refused(self, response: "httpx.Response", failure: str) -> None:
        if response.status_code in (400, 413, 422) and any(sign in response.text.lower() for sign in _TOO_LONG):
            return None
        raise mistake(f"the server refuses the request ({failure})", "check engine.model, the key and what the server supports", path=self._url, field="engine")


def probable(answer: Completion) -> dict[str, float | None]:
    """The verdicts' log-probabilities; where the server gave none, or the answer has another form, the verdict it names is certain."""
    said = begun_verdict(answer.text)
    if said is None or any(value is not None for value in answer.verdict_logprob.values()):
        return answer.verdict_logprob
    return {verdict: 0.0 if verdict == said else None for verdict in WORD}


def _asked_pause(response: "httpx.Response", pause: float) -> float:
    """Seconds that a Retry-After header asks for, where it is a number, but never more than the longest pause."""
    asked = response.headers.get("retry-after", "")
    return min(LONGEST_PAUSE_S, float(asked)) if asked.isdecimal() else pause


def read_choice(choice: dict[str, Any]) -> Completion:
    """One ``choices[i]`` of the API as a completion. Thinking is dropped, whether inside the text or beside it."""
    text = strip_thinking(choice["message"].get("content") or "")
    listed = (choice.get("logprobs") or {}).get("content") or []
    return Completion(text, verdict_logprob(listed), LENGTH if choice.get("finish_reason") == "length" else STOP)


def verdict_logprob(listed: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Log-probabilities of the verdicts from the API's ``logprobs.content``: tokens with their ``top_logprobs``.

    Looks at the first token of the answer where the two verdict lines part, and adds up the alternatives there that can
    only become one of them. None for a verdict that is not among them, both None where the answer does not begin so.
    """
    lines = {verdict: f"{HEADER}{word}\n".encode() for verdict, word in WORD.items()}
    answer = _after_thinking(listed)
    so_far = b""
    for token in answer:
        sums: dict[str, list[float]] = {verdict: [] for verdict in lines}
        for other in token.get("top_logprobs") or []:
            begun = so_far + _bytes(other)
            able = [verdict for verdict, line in lines.items() if line.startswith(begun) or begun.startswith(line)]
            if len(able) == 1 and len(begun) > len(so_far):
                sums[able[0]].append(other["logprob"])
        so_far += _bytes(token)
        if sum(line.startswith(so_far) for line in lines.values()) < 2:
            parted = any(line.startswith(so_far) or so_far.startswith(line) for line in lines.values())
            return {verdict: _log_sum(found) for verdict, found in sums.items()} if parted else NO_VERDICT
    return NO_VERDICT


def _after_thinking(listed: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """The tokens of the answer itself: those after ``</think>`` and the line ends that follow it."""
    ends = [i for i, token in enumerate(listed) if token["token"].strip() == "</think>"]
    rest = listed[ends[-1] + 1 :] if ends else listed
    blank = next((i for i, token in enumerate(rest) if token["token"].strip()), len(rest))
    return rest[blank:]


def _bytes(token: dict[str, Any]) -> bytes:
    """Bytes of a token; servers give them where a token is a part of a character."""
    return bytes(token["bytes"]) if token.get("bytes") else token["token"].encode()


def _log_sum(values: Sequence[float]) -> float | None:
    if not values:
        return None
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))
