"""Any OpenAI-compatible chat endpoint (vLLM, SGLang, llama-server): the way past one machine.

Each candidate is one request with its own seed; how exactly a seed reproduces is the server's affair. The server also
keeps what is data apart from control tokens. It cannot be made to share a verdict among candidates, so each writes its
own reason, and a grammar is the server's: a malformed answer is handled as any other.

What fails is asked again with growing pauses. What then still fails is one prompt's failure (``finish`` "refused") as
long as the server answers others, and ends the run in one sentence where it does not, or where the refusal concerns all
prompts.
"""

import json
import os
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx

from verdicts.base.errors import UserError, mistake
from verdicts.engines import NO_VERDICT, OVER_LENGTH, REFUSED, Completion, Decode, check_calls, chunks
from verdicts.engines.openai import reply as openai_reply
from verdicts.engines.openai.endpoint import Endpoint, Unreachable
from verdicts.engines.openai.reply import ReplyOutcome, outcome_of
from verdicts.engines.openai.server_words import ServerWords
from verdicts.stage_b.protocol import WORD, begun_verdict

if TYPE_CHECKING:
    from verdicts.config.engine import OpenAIConfig

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0  # our own pauses, doubled from try to try
LONGEST_WAIT_S = 300.0  # what a server may ask for by Retry-After; a longer wait ends the run
FIRST_PROMPTS = 8  # where the server answers none of so many, the run ends
# an answer may have so many bytes, and so many more a token (20 alternatives each)
BODY_BYTES, TOKEN_BYTES = 2 << 20, 4096
TOP_LOGPROBS = 20  # the most that the API allows
_JUDGE = Decode(temperature=0.0, top_p=1.0, max_new_tokens=12, seed=0)  # the verdict word comes within these tokens
_OVER_LENGTH = Completion("", NO_VERDICT, OVER_LENGTH)


class OpenAIEngine:
    """See ``verdicts.engines.Engine``.

    Raises UserError for settings that are missing, for what the server refuses to all prompts (with its words), and
    when it stays unreachable after all retries. Once it has, every call raises the same.
    """

    def __init__(self, config: "OpenAIConfig") -> None:
        if not config.base_url:
            raise mistake("empty", "set it to the endpoint, such as http://127.0.0.1:8000/v1", field="engine.base_url")
        if not config.model:
            raise mistake("empty", "set it to the model's name at the endpoint", field="engine.model")
        self.config = config
        self.fingerprint = {
            "engine": "openai",
            "model": config.model,
            "sha256": "",
            "version": f"httpx {httpx.__version__}",
        }
        self._endpoint = Endpoint(config.base_url, _key(config.api_key_env), config.timeout_s, config.concurrency)
        self._words = ServerWords(self._endpoint.secrets)
        self._workers = _Workers(config.concurrency)
        self._stop = threading.Event()  # wakes those who pause
        self._lock = threading.Lock()
        self._end: UserError | None = None
        self._has_answered = False
        self._first: dict[str, bool] = {}  # the first prompts of all, and whether they were refused
        self._unsupported: set[str] = set()  # fields that this server does not take

    def rollout(
        self, system: str, users: Sequence[str], decodes: Sequence[Sequence[Decode]]
    ) -> Iterator[list[Completion]]:
        """Answer each ticket once for each of its decode settings; see ``Engine.rollout``."""
        check_calls(users, decodes)
        for part in chunks(len(users), self.config.chunk):
            asked = [
                [self._workers.submit(self._ask, system, users[i], decode, logprobs=True) for decode in decodes[i]]
                for i in part
            ]
            try:
                for futures in asked:
                    yield [future.result() for future in futures]
            finally:
                _cancel([future for futures in asked for future in futures])

    def judge(self, system: str, users: Sequence[str]) -> list[dict[str, float | None]]:
        """Verdict log-probabilities of each ticket, from a greedy answer cut short; see ``Engine.judge``."""
        return [
            probable(answer)
            for answer in self._all(
                [self._workers.submit(self._ask, system, user, _JUDGE, logprobs=True) for user in users]
            )
        ]

    def complete(
        self, system: str, users: Sequence[str], decodes: Sequence[Decode], json_schema: dict[str, Any] | None = None
    ) -> list[Completion]:
        """Free text for each prompt, held to a schema where the server takes one; see ``Engine.complete``."""
        check_calls(users, decodes)
        return self._all(
            [
                self._workers.submit(self._ask, system, user, decode, json_schema=json_schema)
                for user, decode in zip(users, decodes, strict=True)
            ]
        )

    def count_tokens(self, text: str) -> int:
        """An estimate from above, since endpoints have no common way to count.

        A token for each character beyond ASCII, one for two ASCII characters.
        """
        wide = sum(character > "\x7f" for character in text)
        return wide + (len(text) - wide + 1) // 2

    def close(self) -> None:
        """End what is under way, at once, and close connections."""
        self._stop.set()
        self._endpoint.cut()
        if self._workers.end(2.0):
            self._endpoint.close()

    def _all(self, futures: list["Future[Completion]"]) -> list[Completion]:
        try:
            return [future.result() for future in futures]
        finally:
            _cancel(futures)

    def _ask(
        self, system: str, user: str, decode: Decode, logprobs: bool = False, json_schema: dict[str, Any] | None = None
    ) -> Completion:
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
        if logprobs:
            body |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        if json_schema is not None:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": json_schema},
            }
        return self._answer(body, f"{system}\0{user}")

    def _answer(self, body: dict[str, Any], prompt: str) -> Completion:
        """Ask until there is an answer, a refusal or no try left."""
        with self._lock:
            if len(self._first) < FIRST_PROMPTS:
                self._first.setdefault(prompt, False)
        tries, others_are_answered = self.config.retries + 1, False
        for attempt in range(tries + 1):
            outcome = self._try(body)
            if outcome.completion:
                self._has_answered = True
                return replace(outcome.completion, text=self._words.without_secrets(outcome.completion.text))
            if outcome.kind == OVER_LENGTH:
                return _OVER_LENGTH
            words, asked_s = self._words.safe(outcome.words), outcome.after_s or 0
            if outcome.kind == REFUSED:
                return self._refused(prompt, words)
            if outcome.kind == openai_reply.ENDS:
                raise self._ended(
                    f"the server refuses the request ({words})",
                    "check engine.base_url, engine.model, the key and what the server supports",
                    "engine",
                )
            if asked_s > LONGEST_WAIT_S:
                what = f"the server asks to wait {asked_s:.0f} s ({words})"
                limit = f"longer than the {LONGEST_WAIT_S:.0f} s that are waited"
                raise self._ended(f"{what}, {limit}", "start again when it is free", "engine.base_url")
            if attempt < self.config.retries:
                pause = max(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt), asked_s)
                self._stop.wait(pause * random.uniform(1, 1.25))  # not all at the same moment
            elif attempt == self.config.retries:
                others_are_answered = outcome.kind == openai_reply.FAILED and self._has_answered and self._lives()
                if not others_are_answered:
                    break  # else a try more: the server may have been down for the others, and be back now
        if outcome.kind == openai_reply.NO_ANSWER or (
            outcome.kind == openai_reply.FAILED and others_are_answered and self._lives()
        ):
            return self._refused(prompt, words)
        raise self._ended(
            f"no answer after {tries} tries ({words})",
            "start the server again, or raise engine.retries",
            "engine.base_url",
        )

    def _try(self, body: dict[str, Any]) -> ReplyOutcome:
        """Send a request, again at once without a field that the server does not take; it is left out from then on."""
        sent = {field: value for field, value in body.items() if field not in self._unsupported}
        outcome = self._send(sent)
        if unknown := outcome.names & set(sent):
            self._unsupported |= unknown
            return self._try(body)
        if outcome.kind == REFUSED and "response_format" in sent:  # a server may not name what it dislikes
            outcome = self._send({field: value for field, value in sent.items() if field != "response_format"})
            if outcome.completion:
                self._unsupported.add("response_format")
        return outcome

    def _send(self, body: dict[str, Any]) -> ReplyOutcome:
        """One request and what came of it."""
        try:
            self._go_on()
            reply = self._endpoint.post(json.dumps(body).encode(), BODY_BYTES + TOKEN_BYTES * body["max_tokens"])
        except Unreachable as error:
            self._go_on()  # cut off by us?
            if error.hopeless:
                what = f"no secure connection ({self._words.safe(str(error))})"
                raise self._ended(
                    what,
                    "let SSL_CERT_FILE name the certificates to trust, or correct engine.base_url",
                    "engine.base_url",
                ) from None
            return ReplyOutcome(openai_reply.FAILED, str(error))
        return outcome_of(reply)

    def _go_on(self) -> None:
        """Raise where the engine was closed or has ended."""
        if self._stop.is_set():
            raise self._end or CancelledError

    def _lives(self) -> bool:
        """Whether the server answers another prompt: then what fails is the prompt's fault."""
        probe = {"model": self.config.model, "messages": [{"role": "user", "content": "1"}], "max_tokens": 1}
        return self._send(probe).kind in (openai_reply.ANSWERED, openai_reply.NO_ANSWER)

    def _refused(self, prompt: str, words: str) -> Completion:
        """One prompt's failure; the end, where no prompt at all was answered."""
        with self._lock:
            self._first |= {prompt: True} if prompt in self._first else {}
            none = len(self._first) == FIRST_PROMPTS and all(self._first.values())
        if none and not self._has_answered:
            what = f"the server answered none of the first {FIRST_PROMPTS} prompts ({words})"
            raise self._ended(what, "check engine.base_url, engine.model and what the server supports", "engine")
        return Completion("", NO_VERDICT, REFUSED, words)

    def _ended(self, what: str, todo: str, field: str) -> UserError:
        """The error that ends the run, for every request under way."""
        if self._end is None:
            self._end = mistake(what, todo, path=self._endpoint.shown, field=field)
        self._stop.set()
        self._endpoint.cut()
        return self._end


def probable(answer: Completion) -> dict[str, float | None]:
    """The verdicts' log-probabilities.

    Where the server gave none, or the answer has another form, the verdict that it names is certain.
    """
    said = begun_verdict(answer.text)
    if said is None or any(value is not None for value in answer.verdict_logprob.values()):
        return answer.verdict_logprob
    return {verdict: 0.0 if verdict == said else None for verdict in WORD}


class _Workers:
    """Threads that do jobs in the order given.

    They are daemons, unlike those of ThreadPoolExecutor: a request under way must not hold Ctrl-C up.
    """

    def __init__(self, count: int) -> None:
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._count, self._threads = count, list[threading.Thread]()

    def submit(self, call: Callable[..., Any], *values: Any, **named: Any) -> "Future[Any]":
        """Queue ``call(*values, **named)``; its result or exception comes with the Future."""
        if not self._threads:
            self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._count)]
            for thread in self._threads:
                thread.start()
        future: Future[Any] = Future()
        self._jobs.put((future, lambda: call(*values, **named)))
        return future

    def end(self, seconds: float) -> bool:
        """Let the threads end after the jobs that are queued; whether all did within ``seconds``."""
        for _ in self._threads:
            self._jobs.put(None)
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while job := self._jobs.get():
            future, call = job
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:  # noqa: BLE001  raised where the result is read
                    future.set_exception(error)


def _cancel(futures: Sequence["Future[Any]"]) -> None:
    for future in futures:
        future.cancel()


def _key(variable: str) -> str:
    """The key that an environment variable holds; raises UserError where it holds none."""
    if not variable:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise mistake(
            f"the environment variable {variable} is empty",
            "put the key there, or clear engine.api_key_env",
            field="engine.api_key_env",
        )
    if not key.isascii() or not key.isprintable():
        raise mistake(
            f"the environment variable {variable} holds a character that no key has",
            "put the key alone there",
            field="engine.api_key_env",
        )
    return key
