"""Servers that answer as none should: each ends in an answer, a refusal or a sentence, in time, without the key."""

import base64
import gzip
import json
import os
import resource
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from verdicts.base.errors import UserError
from verdicts.config.engine import OpenAIConfig, Thinking
from verdicts.engines import REFUSED, Decode, open_engine
from verdicts.engines.openai import engine as openai

KEY = "sk-test/4f9aQ+27xyZ_secret"
ROOT = Path(__file__).resolve().parents[2]
TEXT = "Verdict: 通过\nReason: 齐全"
DECODE = Decode(0.5, 0.9, 40, 1)
NONE = {"pass": None, "fail": None}


def choice(content: object = TEXT, finish: object = "stop", **more: object) -> dict:
    return {"message": {"role": "assistant", "content": content}, "finish_reason": finish, **more}


def listed(*tokens: object) -> dict:
    return {"choices": [choice(logprobs={"content": list(tokens)})]}


def token(text: object, logprob: object, **more: object) -> dict:
    other = {"token": text, "logprob": logprob, **more}
    return {**other, "top_logprobs": [other]}


def http(body: object, status: int = 200, **headers: str) -> bytes:
    raw = (
        body
        if isinstance(body, bytes)
        else (body if isinstance(body, str) else json.dumps(body)).encode("utf-8", "surrogatepass")
    )
    lines = [
        f"HTTP/1.1 {status} Any",
        f"Content-Length: {len(raw)}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


def bomb(mebibytes: int) -> bytes:
    """So many blanks, packed."""
    packer, blanks = zlib.compressobj(1, zlib.DEFLATED, 31), b" " * (1 << 20)
    return b"".join(packer.compress(blanks) for _ in range(mebibytes)) + packer.flush()


class Server:
    """Answers each request on loopback with what ``script(number, request)`` gives: bytes, or pieces in turn."""

    def __init__(self, script: Callable[[int, bytes], object], tls: ssl.SSLContext | None = None) -> None:
        self.tls, self.script, self.asked, self.lock, self.is_open = tls, script, [], threading.Lock(), True
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while self.is_open:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        if self.tls:
            try:
                connection = self.tls.wrap_socket(connection, server_side=True)
            except OSError:
                return
        with connection:
            try:
                while request := self._request(connection):
                    with self.lock:
                        number = len(self.asked)
                        self.asked.append(request)
                    reply = self.script(number, request)
                    for piece in [reply] if isinstance(reply, bytes) else reply:
                        connection.sendall(piece)
                    if not isinstance(reply, bytes):
                        return
            except OSError:
                return

    def _request(self, connection: socket.socket) -> bytes:
        raw = b""
        while b"\r\n\r\n" not in raw:
            if not (piece := connection.recv(65536)):
                return b""
            raw += piece
        head, _, body = raw.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        )
        while len(body) < length:
            body += connection.recv(65536)
        return head + b"\r\n\r\n" + body

    def close(self) -> None:
        self.is_open = False
        self.socket.close()


@pytest.fixture
def ask(monkeypatch):
    """Ask a scripted server once: (completion or UserError, server, seconds)."""
    monkeypatch.setattr(openai, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setenv("TEACHER_KEY", KEY)
    opened: list = []

    def call(script: object, url: str = "", how=lambda engine: engine.complete("s", ["u"], [DECODE])[0], **changes):
        server = Server(script if callable(script) else lambda number, request: script)
        opened.append(server)
        started = time.monotonic()
        try:
            engine = connect(url or server.url, **changes)
            opened.append(engine)
            found = how(engine)
        except UserError as error:
            found = error
        return found, server, time.monotonic() - started

    yield call
    for one in reversed(opened):
        one.close()


def connect(url: str, **changes):
    base = {
        "kind": "openai", "model": "teacher", "base_url": url, "api_key_env": "TEACHER_KEY", "chunk": 2,
        "thinking": Thinking(enabled=False, max_new_tokens=100), "timeout_s": 1.0, "retries": 1, "concurrency": 4,
    }  # fmt: skip
    return open_engine(OpenAIConfig(**(base | changes)))


BOMB = bomb(200)
DEEP = "[" * 5000 + "]" * 5000
UNREADABLE = {  # a 200 that holds no answer
    "error body": http({"error": {"message": "CUDA error", "code": 500}}),
    "error text": http({"error": "overloaded"}),
    "error beside choices": http({"error": {"message": "broken off"}, "choices": [choice()]}),
    "choices null": http({"choices": None}),
    "choices empty": http({"choices": []}),
    "choices missing": http({"id": "1", "object": "chat.completion"}),
    "choices a text": http({"choices": "none"}),
    "choices an object": http({"choices": {"0": choice()}}),
    "a choice that is null": http({"choices": [None]}),
    "a choice that is a list": http({"choices": [[1]]}),
    "HTML": http("<html><body>502 Bad Gateway</body></html>", Content_Type="text/html"),
    "nothing": http(b""),
    "cut JSON": http('{"choices": [{"message": {"content": "Verd'),
    "a number": http("42"),
    "a list": http([1, 2]),
    "null": http("null"),
    "no UTF-8": http(b"\xff\xfe\x00\xd8"),
    "a stream of events": http('data: {"choices": [{"delta": {"content": "V"}}]}\n\ndata: [DONE]\n'),
    "message missing": http({"choices": [{"finish_reason": "stop"}]}),
    "message null": http({"choices": [{"message": None}]}),
    "message a text": http({"choices": [{"message": TEXT}]}),
    "content null": http({"choices": [choice(None)]}),
    "content a number": http({"choices": [choice(7)]}),
    "content a list": http({"choices": [choice([{"type": "text", "text": TEXT}])]}),
    "content an object": http({"choices": [choice({"text": TEXT})]}),
    "withheld": http({"choices": [choice(None, "content_filter")]}),
    "a refusal beside": http(
        {"choices": [{"message": {"content": None, "refusal": "I cannot"}, "finish_reason": "stop"}]}
    ),
    "half a character": http('{"choices": [{"message": {"content": "Verdict: \\ud83d"}}]}'),
    "deep": http('{"choices": ' + DEEP + "}"),
    "deep object": http('{"error":' * 5000 + "1" + "}" * 5000),
    "a number of 5,000 digits": http('{"choices": ' + "9" * 5000 + "}"),
    "too long": http(b" " * (9 << 20)),
    "gzip bomb": http(BOMB, Content_Encoding="gzip"),
    "bomb in a bomb": http(gzip.compress(BOMB), Content_Encoding="gzip, gzip"),
    "not gzip": http(b"Verdict", Content_Encoding="gzip"),
    "brotli": http(b"\x0b\x02\x80", Content_Encoding="br"),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "accepted": http({"id": "job-1"}, 202),
}  # fmt: skip


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_200_without_an_answer_is_tried_again_and_then_one_prompts_failure(ask, name):
    found, server, seconds = ask(UNREADABLE[name])
    assert (found.finish, found.text, found.verdict_logprob) == (REFUSED, "", NONE)
    assert len(server.asked) == 2 and seconds < 10
    assert 8 < len(found.detail) <= 300 and found.detail.isprintable()


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_second_try_that_succeeds_is_the_answer(ask, name):
    found, _, _ = ask(lambda number, request: http({"choices": [choice()]}) if number else UNREADABLE[name])
    assert (found.text, found.finish, found.detail) == (TEXT, "stop", "")


ODD = {  # an answer all the same; the log-probabilities are as if the server gave none
    "logprobs a number": {"choices": [choice(logprobs=3)]},
    "logprobs a list": {"choices": [choice(logprobs=[1])]},
    "listed a text": {"choices": [choice(logprobs={"content": "x"})]},
    "a token that is null": listed(None),
    "a token that is a number": listed(5),
    "token missing": listed({"logprob": -0.1, "top_logprobs": []}),
    "token null": listed(token("Verdict: ", 0.0), token(None, -0.1)),
    "token half a character": listed(token("Verdict: ", 0.0), token("\ud83d", -0.1)),
    "logprob null": listed(token("Verdict: ", 0.0), token("通过", None)),
    "logprob NaN": listed(token("Verdict: ", 0.0), token("通过", float("nan"))),
    "logprob infinite": listed(token("Verdict: ", 0.0), token("通过", float("inf"))),
    "logprob minus infinite": listed(token("Verdict: ", 0.0), token("通过", float("-inf"))),
    "logprob a text": listed(token("Verdict: ", 0.0), token("通过", "-0.1")),
    "logprob true": listed(token("Verdict: ", 0.0), token("通过", True)),
    "logprob of 4,000 digits": listed(token("Verdict: ", 0.0), token("通过", -(10**4000))),
    "logprob above 0": listed(token("Verdict: ", 0.0), token("通过", 5)),
    "logprob missing": listed(token("Verdict: ", 0.0), {"token": "通过", "top_logprobs": [{"token": "通过"}]}),
    "bytes out of range": listed(token("Verdict: ", 0.0), token("通过", -0.1, bytes=[300])),
    "bytes below 0": listed(token("Verdict: ", 0.0), token("通过", -0.1, bytes=[-1])),
    "bytes of texts": listed(token("Verdict: ", 0.0), token("通过", -0.1, bytes=["a"])),
    "alternatives a number": listed({"token": "Verdict: 通过", "top_logprobs": 7}),
    "alternatives of numbers": listed({"token": "Verdict: 通过", "top_logprobs": [7]}),
    "finish a list": {"choices": [choice(finish=["stop"])]},
    "unknown fields": {"choices": [choice(index="x")], "usage": "none", "error": None},
}


@pytest.mark.parametrize("name", ODD)
def test_odd_values_beside_a_text_cost_the_probabilities_not_the_answer(ask, name):
    found, server, _ = ask(http(ODD[name]), how=lambda engine: next(engine.rollout("s", ["u"], [[DECODE]]))[0])
    assert (found.text, found.finish, found.verdict_logprob, len(server.asked)) == (TEXT, "stop", NONE, 1)


def test_the_text_counts_where_thinking_took_all_tokens(ask):
    found, _, _ = ask(http({"choices": [choice(None, "length")]}))
    assert (found.text, found.finish) == ("", "length")


def drip(
    pieces: int, pause_s: float, head: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", piece: bytes = b" "
):
    def script(number: int, request: bytes):
        yield head
        for _ in range(pieces):
            time.sleep(pause_s)
            yield piece

    return script


TROUBLE = {  # no answer from anybody: one sentence
    "500": http("out of memory", 500),
    "503 with a page": http("<html>busy</html>", 503),
    "429": http({"error": "slow down"}, 429),
    "closes at once": lambda number, request: iter(()),
    "closes in the middle": lambda number, request: iter([b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"]),
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "headers without end": b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 300_000,
    "a chunk that is none": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    "silent": drip(1, 30.0, b""),
    "a byte at a time": drip(100, 0.2),
    "a header at a time": drip(100, 0.2, b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
    "go on, for ever": drip(100, 0.2, b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "401": http({"error": {"message": f"Incorrect API key provided: {KEY}"}}, 401),
    "403": http("forbidden", 403),
    "404": http({"error": {"code": "model_not_found"}}, 404),
    "405": http("", 405),
    "402": http("Insufficient Balance", 402),
    "400 of a model": http({"error": {"message": "Model not exist", "code": "invalid_parameter"}}, 400),
    "a redirect": http("", 307, Location="http://169.254.169.254/latest"),
    "a redirect to nowhere": http("", 302),
    "wait long": http("busy", 429, Retry_After="99999"),
    "wait for ever": http("busy", 503, Retry_After="9" * 5000),
    "wait until 2099": http("busy", 503, Retry_After="Wed, 21 Oct 2099 07:28:00 GMT"),
}  # fmt: skip
AT_ONCE = {
    "401",
    "403",
    "404",
    "405",
    "402",
    "400 of a model",
    "a redirect",
    "a redirect to nowhere",
    "wait long",
    "wait for ever",
    "wait until 2099",
}


@pytest.mark.parametrize("name", TROUBLE)
def test_a_server_that_answers_nobody_ends_with_one_sentence(ask, name):
    found, server, seconds = ask(TROUBLE[name])
    assert isinstance(found, UserError), found
    assert str(found).isprintable() and len(str(found)) < 800 and "/v1/chat/completions: engine" in str(found)
    assert (len(server.asked) == 1) == (name in AT_ONCE)
    assert seconds < 8  # two tries of a second, on a busy machine
    assert KEY not in str(found)


REFUSALS = {
    "a filter": http({"error": {"code": "data_inspection_failed", "message": "inappropriate content"}}, 400),
    "another filter": http({"error": {"code": "content_filter"}}, 400),
    "moderation by 403": http({"error": {"message": "flagged by moderation"}}, 403),
    "413": http("Request Entity Too Large", 413),
    "422": http({"detail": [{"msg": "bad prompt", "loc": ["body", "messages"]}]}, 422),
    "451": http("unavailable for legal reasons", 451),
    "400 without words": http(b"", 400),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_of_one_prompt_is_that_prompts_alone(ask, name):
    def script(number: int, request: bytes) -> bytes:
        return REFUSALS[name] if b'"bad"' in request else http({"choices": [choice()]})

    rows, server, _ = ask(
        script, how=lambda engine: list(engine.rollout("s", ["a", "bad", "b"], [[DECODE, DECODE]] * 3))
    )
    assert [[one.finish for one in row] for row in rows] == [["stop"] * 2, [REFUSED] * 2, ["stop"] * 2]
    assert rows[1][0].detail.startswith("HTTP ") and len(server.asked) == 6


def test_a_refused_prompt_has_no_probabilities_to_judge(ask):
    found, _, _ = ask(REFUSALS["a filter"], how=lambda engine: engine.judge("s", ["u"]))
    assert found == [NONE]


def test_a_server_that_refuses_the_first_eight_prompts_refuses_all(ask):
    # so many that a busy machine, too, sees eight refusals before the last is asked
    how = lambda engine: engine.complete("s", [f"u{i}" for i in range(400)], [DECODE] * 400)  # noqa: E731
    found, server, _ = ask(http("Unrecognized request argument", 400), how=how)
    assert "engine: the server answered none of the first 8 prompts (HTTP 400: Unrecognized request argument); " in str(
        found
    )
    assert len(server.asked) < 400  # it stops before it has asked all, whatever was under way


def test_eight_refusals_after_an_answer_are_eight_prompts_failures(ask):
    def script(number: int, request: bytes) -> bytes:
        return http("no", 400) if b'"bad' in request else http({"choices": [choice()]})

    users = ["fine", *(f"bad{i}" for i in range(12))]
    found, _, _ = ask(script, how=lambda engine: engine.complete("s", users, [DECODE] * 13))
    assert [one.finish for one in found] == ["stop"] + [REFUSED] * 12


@pytest.mark.parametrize(
    "bad", [http("panic", 500), drip(1, 30.0, b""), lambda number, request: iter(())], ids=["500", "silent", "closes"]
)
def test_a_prompt_that_the_server_always_dies_of_is_that_prompts_failure_while_others_are_answered(ask, bad):
    def script(number: int, request: bytes):
        return (
            (bad if isinstance(bad, bytes) else bad(number, request))
            if b'"bad"' in request
            else http({"choices": [choice()]})
        )

    found, _, seconds = ask(
        script,
        timeout_s=0.5,
        how=lambda engine: [*engine.complete("s", ["a"], [DECODE]), *engine.complete("s", ["bad"], [DECODE])],
    )
    assert [one.finish for one in found] == ["stop", REFUSED] and seconds < 8


def test_a_prompt_whose_tries_fell_into_a_restart_of_the_server_is_asked_once_more(ask):
    tries = []

    def script(number: int, request: bytes) -> bytes:
        tries.extend([number] if b'"late"' in request else [])
        is_down = b'"late"' in request and len(tries) < 3
        return http("Loading model", 503) if is_down else http({"choices": [choice()]})

    how = lambda engine: [*engine.complete("s", ["a"], [DECODE]), *engine.complete("s", ["late"], [DECODE])]  # noqa: E731
    found, server, _ = ask(script, how=how)
    assert [one.finish for one in found] == ["stop", "stop"]
    assert tries == [1, 2, 4] and len(server.asked) == 5  # 3: the prompt of one word, which says that it is back


@pytest.mark.parametrize(
    "asked", ["-5", "soon", "nan", "1e9999", "Wed, 99 Foo", "Wed, 21 Oct 1999 07:28:00 GMT", "\xff", ""]
)
def test_a_retry_after_that_says_nothing_is_not_obeyed(ask, asked):
    found, server, seconds = ask(
        lambda number, request: (
            http({"choices": [choice()]})
            if number
            else b"HTTP/1.1 503 X\r\nContent-Length: 0\r\nRetry-After: " + asked.encode("latin-1") + b"\r\n\r\n"
        )
    )
    assert (found.text, len(server.asked)) == (TEXT, 2) and seconds < 8


@pytest.mark.parametrize("asked", ["1", "1.0", "date"])
def test_a_retry_after_is_obeyed(ask, asked):
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True) if asked == "date" else asked
    found, _, seconds = ask(
        lambda number, request: http({"choices": [choice()]}) if number else http("busy", 429, Retry_After=when)
    )
    assert found.text == TEXT and 0.9 < seconds < 6


def test_the_sentence_on_a_long_wait_names_it(ask):
    found, _, _ = ask(TROUBLE["wait long"])
    assert (
        "engine.base_url: the server asks to wait 99999 s (HTTP 429: busy), longer than the 300 s that are waited; "
        in str(found)
    )


def test_a_redirect_is_named_and_not_followed(ask):
    found, _, _ = ask(TROUBLE["a redirect"])
    assert "(HTTP 307, a redirect to http://169.254.169.254/latest, which is not followed)" in str(found)


ECHOES = {
    "plain": KEY,
    "header": f"Bearer {KEY}",
    "capitals": KEY.upper(),
    "in a URL": urllib.parse.quote(KEY, safe=""),
    "base64": base64.b64encode(KEY.encode()).decode(),
    "base64 of the header": base64.b64encode(f"Bearer {KEY}".encode()).decode(),
    "hexadecimal": KEY.encode().hex(),
    "spaced": " ".join(KEY),
    "in lines": "\n".join(KEY[i : i + 9] for i in range(0, len(KEY), 9)),
    "in two fields": json.dumps({"a": KEY[:12], "b": KEY[12:]}),
    "behind much else": "x" * 240 + KEY,
}


@pytest.mark.parametrize("status", [200, 401, 400, 500])
@pytest.mark.parametrize("name", ECHOES)
def test_a_key_that_is_echoed_is_in_no_message(ask, name, status):
    found, _, _ = ask(http({"error": ECHOES[name]}, status))
    words = str(found) if isinstance(found, UserError) else found.detail
    squeezed = "".join(filter(str.isalnum, words)).lower()
    secret = "".join(filter(str.isalnum, KEY)).lower()
    assert "***" in words
    assert not any(form[i : i + 8] in squeezed for form in (secret, KEY.encode().hex()) for i in range(len(form) - 7))
    assert base64.b64encode(KEY.encode()).decode()[2:14] not in words


def test_a_key_in_an_answer_or_a_redirect_is_masked_too(ask):
    found, _, _ = ask(http({"choices": [choice(f"Verdict: 通过\nReason: {KEY}")]}))
    assert found.text == "Verdict: 通过\nReason: ***"
    found, _, _ = ask(http("", 302, Location=f"http://h/?key={KEY}"))
    assert KEY not in str(found)


def test_a_password_in_the_address_is_sent_and_never_shown(ask, monkeypatch):
    server = Server(lambda number, request: http("no", 500))
    found, _, _ = ask(b"", url=server.url.replace("//", "//crew:pass4word9@"), api_key_env="")
    assert b"authorization: basic " + base64.b64encode(b"crew:pass4word9") in server.asked[0].replace(
        b"Authorization: Basic", b"authorization: basic"
    )
    assert "pass4word9" not in str(found) and "crew" not in str(found)
    server.close()


def test_what_could_steer_a_terminal_is_written_out(ask):
    found, _, _ = ask(http("\x1b[2J\x07\u202eevil\r\nnext\x00", 401))
    assert str(found).isprintable() and r"\x1b[2J\x07\u202eevil next\x00" in str(found)


def test_a_gzip_bomb_takes_no_memory(ask):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found, _, _ = ask(lambda number, request: UNREADABLE["gzip bomb"], retries=0)
    assert found.finish == REFUSED
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


def test_packed_answers_are_read(ask):
    raw = json.dumps({"choices": [choice()]}).encode()
    assert ask(http(gzip.compress(raw), Content_Encoding="gzip"))[0].text == TEXT
    assert ask(http(zlib.compress(raw), Content_Encoding="deflate"))[0].text == TEXT


SCHEMA = {
    "type": "object",
    "properties": {"operations": {"type": "array"}},
    "required": ["operations"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "refusal",
    [
        http("response_format is not supported", 400),
        http({"error": {"message": "unsupported json_schema"}}, 422),
        http({"error": "json_schema?"}, 200),
        http("what?", 400),
        http("response_format: not implemented", 501),
    ],
    ids=["named", "422", "200", "unnamed", "501"],
)  # fmt: skip
def test_a_schema_is_sent_and_left_out_for_good_where_the_server_takes_none(ask, refusal):
    def script(number: int, request: bytes) -> bytes:
        return refusal if b"response_format" in request else http({"choices": [choice("{}")]})

    def how(engine):
        return [
            engine.complete("s", ["u"], [DECODE], json_schema=SCHEMA)[0],
            engine.complete("s", ["v"], [DECODE], json_schema=SCHEMA)[0],
        ]

    found, server, _ = ask(script, how=how)
    assert [one.text for one in found] == ["{}", "{}"]
    assert [b"response_format" in request for request in server.asked] == [True, False, False]
    sent = json.loads(server.asked[0].partition(b"\r\n\r\n")[2])["response_format"]
    assert (sent["type"], sent["json_schema"]["schema"], sent["json_schema"]["strict"]) == ("json_schema", SCHEMA, True)


def test_a_schema_is_kept_where_the_server_takes_it_and_refuses_one_prompt(ask):
    def script(number: int, request: bytes) -> bytes:
        return REFUSALS["a filter"] if b'"bad"' in request else http({"choices": [choice("{}")]})

    how = lambda engine: engine.complete("s", ["bad", "v"], [DECODE] * 2, json_schema=SCHEMA)  # noqa: E731
    found, server, _ = ask(script, how=how, concurrency=1)
    assert [one.finish for one in found] == [REFUSED, "stop"]
    assert b"response_format" in server.asked[-1]


def test_a_server_that_does_not_know_thinking_is_asked_without(ask):
    def script(number: int, request: bytes) -> bytes:
        return (
            http("Unrecognized request argument supplied: chat_template_kwargs", 400)
            if b"chat_template_kwargs" in request
            else http({"choices": [choice()]})
        )

    found, server, _ = ask(script)
    assert (found.text, len(server.asked)) == (TEXT, 2)


ADDRESSES = [
    "localhost:8000/v1",
    "ftp://host/v1",
    "http://",
    "http://[::1/v1",
    "http://host:99999/v1",
    "http://host:port/v1",
    "http://ho st/v1",
    "://",
    "http://\x1b[2J/v1",
    "file:///etc/passwd",
]


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_that_is_none_is_named_before_anything_is_asked(ask, url):
    found, _, _ = ask(b"", url=url)
    assert str(found).startswith("engine.base_url: not an address; ")


def test_an_ipv6_address_is_asked_as_another(ask):
    found, _, _ = ask(b"", url="http://[::1]:9/v1", retries=0)
    assert str(found).startswith(
        "http://[::1]:9/v1/chat/completions: engine.base_url: no answer after 1 tries (ConnectError"
    )


def test_a_server_that_speaks_no_tls_ends_at_once(ask):
    listening = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=lambda: listening.accept()[0].sendall(http("", 400)), daemon=True).start()
    found, _, seconds = ask(b"", url=f"https://127.0.0.1:{listening.getsockname()[1]}/v1", retries=5)
    listening.close()
    assert (
        "engine.base_url: no secure connection (ConnectError [SSL: WRONG_VERSION_NUMBER]" in str(found) and seconds < 8
    )


@pytest.fixture
def secure(tmp_path):
    """A server that speaks TLS with a certificate of its own; (its URL, the certificate)."""
    made = subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "key", "-out", tmp_path / "cert"),
        ],
        capture_output=True,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("no openssl here")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    server = Server(lambda number, request: http({"choices": [choice()]}), context)
    yield server.url.replace("http:", "https:"), tmp_path / "cert"
    server.close()


def test_a_certificate_that_nobody_signed_ends_at_once(ask, secure):
    found, _, seconds = ask(b"", url=secure[0], retries=5)
    assert (
        "engine.base_url: no secure connection (ConnectError [SSL: CERTIFICATE_VERIFY_FAILED]" in str(found)
        and seconds < 8
    )


def test_a_certificate_that_is_named_is_trusted(ask, secure, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(secure[1]))
    assert ask(b"", url=secure[0])[0].text == TEXT


def test_a_secure_address_is_asked_through_a_proxy(ask, secure, monkeypatch):
    seen = []

    def tunnel() -> None:
        inner, _ = listening.accept()
        seen.append(inner.recv(65536))
        inner.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        outer = socket.create_connection(("127.0.0.1", int(secure[0].rsplit(":", 1)[1].split("/")[0])))
        for one, other in ((inner, outer), (outer, inner)):
            threading.Thread(target=pump, args=(one, other), daemon=True).start()

    def pump(one: socket.socket, other: socket.socket) -> None:
        while piece := one.recv(65536):
            other.sendall(piece)

    listening = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=tunnel, daemon=True).start()
    monkeypatch.setenv("SSL_CERT_FILE", str(secure[1]))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{listening.getsockname()[1]}")
    assert ask(b"", url=secure[0])[0].text == TEXT
    assert seen[0].startswith(b"CONNECT 127.0.0.1:")
    listening.close()


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "http://[::1", "ftp://proxy"])
def test_a_proxy_that_cannot_be_used_is_named(ask, monkeypatch, proxy):
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setenv("http_proxy", proxy)
    found, _, _ = ask(b"", url="http://teacher.example/v1")
    assert "engine.base_url: the environment names a proxy for http that cannot be used" in str(found)


def test_a_proxy_is_asked_unless_the_address_is_exempt(ask, monkeypatch):
    proxy = Server(lambda number, request: http({"choices": [choice()]}))
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, proxy.url.removesuffix("/v1").replace("//", "//me:proxypass1@"))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    assert ask(b"", url="http://teacher.example/v1")[0].text == TEXT
    assert proxy.asked[0].startswith(b"POST http://teacher.example/v1/chat/completions ")
    assert ask(http({"choices": [choice("direct")]}))[0].text == "direct"
    proxy.close()


def test_certificates_that_cannot_be_read_are_named(ask, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent/ca.pem")
    found, _, _ = ask(b"", url="https://127.0.0.1:9/v1")
    assert "engine.base_url: the certificates to trust cannot be read (" in str(found) and "unset SSL_CERT_FILE" in str(
        found
    )


@pytest.mark.parametrize("key", ["schlüssel", "a\nb", "a\x00b"])
def test_a_key_that_no_header_can_carry_is_named_and_not_shown(ask, monkeypatch, key):
    if "\0" in key:
        monkeypatch.setattr(os, "environ", {**os.environ, "TEACHER_KEY": key})
    else:
        monkeypatch.setenv("TEACHER_KEY", key)
    found, _, _ = ask(b"")
    assert "engine.api_key_env: the environment variable TEACHER_KEY holds a character that no key has; " in str(
        found
    ) and key not in str(found)


def test_one_prompts_end_ends_the_others_at_once(ask):
    def script(number: int, request: bytes):
        return http("no key", 401) if b'"bad"' in request else drip(1, 30.0, b"")(number, request)

    found, _, seconds = ask(
        script, timeout_s=30.0, retries=5, how=lambda engine: list(engine.rollout("s", ["a", "bad"], [[DECODE]] * 2))
    )
    assert "HTTP 401: no key" in str(found) and seconds < 5


@pytest.mark.parametrize("reply", [http("busy", 503, Retry_After="200"), drip(1, 30.0, b"")], ids=["paused", "silent"])
def test_closing_ends_what_is_under_way(ask, reply):
    def how(engine):
        rows = engine.rollout("s", ["a"] * 4, [[DECODE]] * 4)
        threading.Timer(0.3, engine.close).start()
        with pytest.raises(BaseException):  # noqa: B017  CancelledError or the engine's own end: either is right
            list(rows)

    _, _, seconds = ask(reply, how=how, timeout_s=30.0, retries=5)
    assert seconds < 5


@pytest.mark.parametrize("reply", [http("busy", 503, Retry_After="200"), drip(1, 60.0, b"")], ids=["paused", "silent"])
def test_ctrl_c_does_not_wait_for_a_server(reply, monkeypatch):
    monkeypatch.setenv("TEACHER_KEY", KEY)
    server = Server(reply if callable(reply) else lambda number, request: reply)
    config = connect(server.url, timeout_s=60.0, retries=5).config.model_copy(update={"api_key_env": ""})
    code = f"""
from verdicts.config.engine import OpenAIConfig
from verdicts.engines import Decode, open_engine
engine = open_engine(OpenAIConfig.model_validate_json({config.model_dump_json()!r}))
print("asking", flush=True)
list(engine.rollout("s", ["a"] * 8, [[Decode(0.5, 0.9, 40, 1)]] * 8))
"""
    # whoever runs the tests may ignore it
    code = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n{code}"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    while not server.asked:
        time.sleep(0.02)
    time.sleep(0.2)
    started = time.monotonic()
    process.send_signal(2)
    process.wait(20)
    assert time.monotonic() - started < 8  # on a busy machine; it would wait for minutes
    server.close()


def test_there_are_enough_bad_servers():
    assert len(UNREADABLE) + len(ODD) + len(TROUBLE) + len(REFUSALS) >= 80
