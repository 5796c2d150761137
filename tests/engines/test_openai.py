"""The openai engine against a small server on the loopback: retries, refusals, log-probabilities, resume."""

import json
import math
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from verdicts.base.errors import UserError
from verdicts.config.engine import OpenAIConfig, Thinking
from verdicts.engines import NO_VERDICT, Completion, Decode, open_engine
from verdicts.engines.openai import engine as openai
from verdicts.engines.openai.engine import probable

DECODES = [Decode(0.5, 0.9, 40, 1), Decode(0.9, 0.95, 40, 2)]


class Server(ThreadingHTTPServer):
    """Answers POST with ``script(body, number)``: (status, headers, body); keeps what was asked."""

    daemon_threads = True

    def __init__(self, script: Callable[[dict, int], tuple[int, dict[str, str], object]]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.asked, self.headers_seen, self.lock = script, [], [], threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number = len(self.server.asked)
            self.server.asked.append(body)
            self.server.headers_seen.append((self.path, dict(self.headers)))
        status, headers, reply = self.server.script(body, number)
        raw = (reply if isinstance(reply, str) else json.dumps(reply)).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(raw))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def serve(monkeypatch):
    """Start a scripted server; pauses between tries are made short."""
    monkeypatch.setattr(openai, "FIRST_PAUSE_S", 0.01)
    servers = []

    def start(script) -> Server:
        servers.append(Server(script))
        threading.Thread(target=servers[-1].serve_forever, args=(0.02,), daemon=True).start()
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def connect():
    """Open engines on an address; they are closed at the end of the test."""
    engines = []

    def opener(url: str, **changes):
        base = {
            "kind": "openai", "model": "teacher", "base_url": url, "api_key_env": "", "chunk": 2, "timeout_s": 5.0,
            "thinking": Thinking(enabled=False, max_new_tokens=100), "retries": 3, "concurrency": 4,
        }  # fmt: skip
        engines.append(open_engine(OpenAIConfig(**(base | changes))))
        return engines[-1]

    yield opener
    for engine in engines:
        engine.close()


def says(text: str, logprobs=None, finish: str = "stop") -> tuple[int, dict, dict]:
    return (
        200,
        {},
        {
            "choices": [
                {"message": {"role": "assistant", "content": text}, "logprobs": logprobs, "finish_reason": finish}
            ]
        },
    )


def echo(body: dict, number: int):
    """The answer names its prompt and its seed, so that a mix-up would show."""
    return says(f"Verdict: 通过\nReason: {body['messages'][1]['content']} {body['seed']}")


def token(text: str, *others: tuple[str, float], raw: bytes | None = None) -> dict:
    listed = [{"token": other, "logprob": value, "bytes": None} for other, value in others] or [
        {"token": text, "logprob": 0.0, "bytes": None}
    ]
    return {"token": text, "logprob": 0.0, "bytes": list(raw) if raw else None, "top_logprobs": listed}


def test_a_server_that_fails_twice_is_asked_a_third_time(serve, connect):
    server = serve(
        lambda body, number: (
            [(503, {}, "loading"), (429, {"Retry-After": "0"}, "busy")][number] if number < 2 else echo(body, number)
        )
    )
    (answer,) = connect(server.url).complete("s", ["u"], DECODES[:1])
    assert (answer.text, answer.finish) == ("Verdict: 通过\nReason: u 1", "stop")
    assert len(server.asked) == 3


def test_a_server_that_keeps_failing_ends_with_its_words_after_all_retries(serve, connect):
    server = serve(lambda body, number: (500, {}, "out of memory"))
    with pytest.raises(
        UserError,
        match=r"/v1/chat/completions: engine\.base_url: no answer after 4 tries \(HTTP 500: out of memory\); ",
    ):
        connect(server.url).complete("s", ["u"], DECODES[:1])
    assert len(server.asked) == 4


def test_a_slow_answer_is_a_failure_like_another(serve, connect):
    gate = threading.Event()

    def slow_once(body: dict, number: int):
        if number == 0:
            gate.wait(3)
        return echo(body, number)

    server = serve(slow_once)
    (answer,) = connect(server.url, timeout_s=0.3).complete("s", ["u"], DECODES[:1])
    gate.set()
    assert answer.text.endswith("u 1")
    assert len(server.asked) == 2


def test_an_endpoint_where_nobody_listens_is_named(connect):
    with pytest.raises(
        UserError,
        match=r"http://127\.0\.0\.1:9/v1/chat/completions: engine\.base_url: "
        r"no answer after 1 tries \(ConnectError.*\); ",
    ):
        connect("http://127.0.0.1:9/v1", retries=0).judge("s", ["u"])


def test_a_refused_request_is_not_repeated_and_carries_the_servers_words(serve, connect):
    server = serve(lambda body, number: (404, {}, '{"error": "no model teacher"}'))
    with pytest.raises(UserError, match=r"engine: the server refuses the request \(HTTP 404: .*no model teacher.*\); "):
        connect(server.url).complete("s", ["u"], DECODES[:1])
    assert len(server.asked) == 1


def test_a_prompt_that_is_too_long_for_the_server_is_a_result_not_an_error(serve, connect):
    def script(body: dict, number: int):
        return (
            (400, {}, "This model's maximum context length is 4096 tokens")
            if body["messages"][1]["content"] == "long"
            else echo(body, number)
        )

    answers = list(connect(serve(script).url).rollout("s", ["a", "long", "b"], [DECODES] * 3))
    assert [answer.finish for row in answers for answer in row] == ["stop"] * 2 + ["over_length"] * 2 + ["stop"] * 2
    assert answers[1][0].text == ""


def test_candidates_come_back_in_order_and_a_resumed_caller_gets_the_same(serve, connect):
    engine = connect(serve(echo).url)
    users, decodes = (
        [f"t{i}" for i in range(7)],
        [[Decode(0.5, 0.9, 40, 10 * i + k) for k in range(3)] for i in range(7)],
    )
    whole = list(engine.rollout("s", users, decodes))
    assert [[answer.text for answer in row] for row in whole] == [
        [f"Verdict: 通过\nReason: t{i} {10 * i + k}" for k in range(3)] for i in range(7)
    ]
    assert list(engine.rollout("s", users[4:], decodes[4:])) == whole[4:]


def test_no_more_than_a_chunk_is_asked_ahead_of_the_reader(serve, connect):
    server = serve(echo)
    rows = connect(server.url, chunk=2).rollout("s", ["a", "b", "c", "d"], [DECODES] * 4)
    next(rows)
    next(rows)
    assert len(server.asked) == 4  # two tickets of two candidates
    rows.close()


def test_settings_of_a_candidate_and_thinking_reach_the_server(serve, connect):
    server = serve(echo)
    connect(server.url, thinking=Thinking(enabled=True, max_new_tokens=100)).complete("system", ["user"], DECODES[1:])
    (body,) = server.asked
    assert (body["model"], body["temperature"], body["top_p"], body["seed"], body["max_tokens"]) == (
        "teacher",
        0.9,
        0.95,
        2,
        140,
    )
    assert body["chat_template_kwargs"] == {"enable_thinking": True}
    assert body["messages"] == [{"role": "system", "content": "system"}, {"role": "user", "content": "user"}]


def test_thinking_is_never_kept(serve, connect):
    server = serve(lambda body, number: says("<think>\n电线散乱?\n</think>\n\nVerdict: 通过\nReason: x"))
    (answer,) = connect(server.url).complete("s", ["u"], DECODES[:1])
    assert answer.text == "Verdict: 通过\nReason: x"


def test_the_key_comes_from_the_environment_alone(serve, connect, monkeypatch):
    server = serve(echo)
    monkeypatch.setenv("TEACHER_KEY", "secret")
    engine = connect(server.url, api_key_env="TEACHER_KEY")
    engine.complete("s", ["u"], DECODES[:1])
    path, headers = server.headers_seen[0]
    assert (path, headers["Authorization"]) == ("/v1/chat/completions", "Bearer secret")
    assert "secret" not in str(engine.fingerprint)
    monkeypatch.delenv("TEACHER_KEY")
    with pytest.raises(UserError, match=r"engine\.api_key_env: the environment variable TEACHER_KEY is empty; "):
        connect(server.url, api_key_env="TEACHER_KEY")


@pytest.mark.parametrize("field,value", [("base_url", ""), ("model", "")])
def test_an_endpoint_or_model_left_empty_is_named_before_anything_is_asked(connect, field, value):
    with pytest.raises(UserError, match=rf"engine\.{field}: empty; "):
        connect(**({"url": "http://127.0.0.1:9/v1"} | ({"url": value} if field == "base_url" else {field: value})))


@pytest.mark.parametrize(
    "tokens,passed,failed",
    [
        ([token("Verdict"), token(":"), token(" 通过", (" 通过", -0.1), (" 不通过", -2.4)), token("\n")], -0.1, -2.4),
        (
            [token("Verdict: "), token("不", ("不", -0.5), ("通", -1.0), ("通过", -2.0)), token("通过")],
            math.log(math.exp(-1) + math.exp(-2)),
            -0.5,
        ),
        ([token("Verdict: "), token("通过", ("通过", -0.1), ("好", -3.0))], -0.1, None),
        ([token("Verdict: "), token("�", ("�", -0.3), ("不通过", -1.5), raw="通".encode()[:2])], None, -1.5),
        (
            [
                token("<think>"),
                token("\n"),
                token("Verdict: "),
                token("</think>"),
                token("\n\n"),
                token("Verdict: "),
                token("通过", ("通过", -0.7), ("不", -0.8)),
            ],
            -0.7,
            -0.8,
        ),
        ([token("好的")], None, None),
        ([token("Verdict: "), token("需复核", ("需复核", -0.1), ("通过", -3.0))], None, None),
        ([], None, None),
    ],
)
def test_verdict_probabilities_are_read_where_the_verdicts_part(serve, connect, tokens, passed, failed):
    text = "".join(t["token"] for t in tokens)
    server = serve(lambda body, number: says(text, {"content": tokens}))
    (seen,) = connect(server.url).judge("s", ["u"])
    assert (seen["pass"], seen["fail"]) == (
        pytest.approx(passed) if passed else None,
        pytest.approx(failed) if failed else None,
    )
    assert server.asked[0]["logprobs"] is True


def test_a_server_without_log_probabilities_gives_none(serve, connect):
    (row,) = connect(serve(echo).url).rollout("s", ["u"], [DECODES])
    assert [answer.verdict_logprob for answer in row] == [{"pass": None, "fail": None}] * 2


def test_an_answer_that_was_cut_off_says_so(serve, connect):
    server = serve(lambda body, number: says("Verdict: 通过\nReason: 缺", finish="length"))
    assert connect(server.url).complete("s", ["u"], DECODES[:1])[0].finish == "length"


def test_tokens_are_estimated_from_above(connect):
    assert connect("http://127.0.0.1:9/v1").count_tokens("缺少BBU") == 4


@pytest.mark.parametrize(
    ("text", "logprob", "want"),
    [
        ("Verdict：不通过", NO_VERDICT, {"pass": None, "fail": 0.0}),
        ("Verdict: 通过\nReason: 齐", NO_VERDICT, {"pass": 0.0, "fail": None}),
        ("Verdict: 通过", {"pass": -0.1, "fail": None}, {"pass": -0.1, "fail": None}),
        ("说不清", NO_VERDICT, NO_VERDICT),
    ],
)
def test_a_trial_takes_the_verdict_that_is_named_where_the_server_gives_no_probabilities(text, logprob, want):
    assert probable(Completion(text, logprob, "length")) == want
