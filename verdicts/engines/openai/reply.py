"""What an OpenAI-compatible server answered, read: an answer, or whose fault it is that there is none.

Nothing is believed that was not looked at: a server may send anything. Whatever it sends ends as one ReplyOutcome.
"""

import json
import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from verdicts.base.progress import add_tokens
from verdicts.engines import LENGTH, NO_VERDICT, OVER_LENGTH, REFUSED, STOP, Completion
from verdicts.engines.openai.endpoint import Reply
from verdicts.stage_b.protocol import HEADER, WORD, strip_thinking

# besides over_length and refused (this prompt): a 200 without an answer, a server in trouble, one with too much to do
ANSWERED, NO_ANSWER, FAILED, BUSY, ENDS = "answered", "unreadable", "failed", "busy", "ends"

_HEAD = 4096  # bytes of an error's body that are read
_TOO_LONG = (
    "context_length", "context length", "context size", "maximum context", "exceed_context", "too long",
    "input length", "reduce the length", "max_model_len", "longer than the m",
)  # fmt: skip
_UNFIT = (
    "content_filter",
    "content filter",
    "content management",
    "data_inspection",
    "content_policy",
    "moderation",
    "inappropriate content",
    "sensitive",
)
_FOR_ALL = (
    "model_not_found", "model not found", "model not exist", "model does not exist", "no such model", "invalid model",
    "unknown model", "server is pinned to", "invalid_api_key", "invalid api key", "incorrect api key",
    "insufficient_quota", "arrearage", "insufficient balance",
)  # fmt: skip
# a field of the request that a server may not know -> how its refusal names it
OPTIONAL = {
    "response_format": (
        "response_format",
        "response format",
        "json_schema",
        "json schema",
        "guided_",
        "grammar",
        "structured output",
    ),
    "chat_template_kwargs": ("chat_template_kwargs",),
}


class ReplyOutcome(NamedTuple):
    """What a reply comes to.

    ``kind``: answered (``completion`` is set) | over_length | refused (this prompt) | unreadable, failed, busy (worth
    another try) | ends (concerns all). ``words`` are the server's, raw. ``after_s``: seconds it asks to wait, where it
    does. ``names``: optional fields it complains of.
    """

    kind: str
    words: str = ""
    completion: Completion | None = None
    after_s: float | None = None
    names: frozenset[str] = frozenset()


def outcome_of(reply: Reply) -> ReplyOutcome:
    """Read one reply of the server."""
    after_s = asked_pause(reply.headers.get("retry-after", ""))
    if reply.status == 200:
        found = f"the answer is {reply.excess}" if reply.excess else read_body(reply.body)
        if isinstance(found, Completion):
            return ReplyOutcome(ANSWERED, completion=found)
        return ReplyOutcome(
            NO_ANSWER,
            found,
            after_s=after_s,
            names=_named(reply.body) if b'"error"' in reply.body[:_HEAD] else frozenset(),
        )
    words = f"HTTP {reply.status}: {reply.body[:_HEAD].decode('utf-8', 'replace').strip()}"
    if 300 <= reply.status < 400:
        return ReplyOutcome(
            ENDS,
            f"HTTP {reply.status}, a redirect to {reply.headers.get('location', 'nowhere')}, which is not followed",
        )
    kind = _kind(reply.status, words.lower())
    return ReplyOutcome(
        kind, words, after_s=after_s, names=frozenset() if kind in (OVER_LENGTH, BUSY) else _named(reply.body)
    )


def _kind(status: int, words: str) -> str:
    """Whose fault a refusal is."""
    if status in (400, 413, 422) and any(sign in words for sign in _TOO_LONG):
        return OVER_LENGTH
    if status in (400, 403, 413, 422, 451, 500) and any(sign in words for sign in _UNFIT):
        return REFUSED
    if status == 429:
        return ENDS if any(sign in words for sign in _FOR_ALL) else BUSY
    if status in (408, 409, 425) or status >= 500:
        return FAILED
    if status < 300:
        return NO_ANSWER
    return REFUSED if status in (400, 413, 415, 422, 451) and not any(sign in words for sign in _FOR_ALL) else ENDS


def _named(body: bytes) -> frozenset[str]:
    words = body[:_HEAD].decode("utf-8", "replace").lower()
    return frozenset(field for field, signs in OPTIONAL.items() if any(sign in words for sign in signs))


def asked_pause(text: str) -> float | None:
    """Seconds that a Retry-After header asks for, a number or a date; None where it is neither, or lies in the past."""
    text = text.strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return seconds if seconds > 0 else None


def read_body(body: bytes) -> Completion | str:
    """The body of a 200 as a completion, or what is wrong with it."""
    try:
        value = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        return f"the answer is no JSON ({getattr(error, 'msg', '') or type(error).__name__}): {_start(body)}"
    if not isinstance(value, dict):
        return f"the answer is no JSON object: {_start(body)}"
    choices = value.get("choices")
    if value.get("error") or not isinstance(choices, list) or not choices:
        return (
            f"the answer is an error: {_start(body)}"
            if value.get("error")
            else f"the answer has no choices: {_start(body)}"
        )
    _count_usage(value.get("usage"))
    return (
        read_choice(choices[0])
        if isinstance(choices[0], dict)
        else f"the answer's first choice is no object: {_start(body)}"
    )


def _count_usage(usage: Any) -> None:
    """Tokens that the server says it read and wrote; one that does not say it counts as none."""
    said = [usage.get(name) if isinstance(usage, dict) else None for name in ("prompt_tokens", "completion_tokens")]
    read, written = (count if type(count) is int and 0 <= count < 10**9 else 0 for count in said)
    add_tokens(read, written)


def read_choice(choice: dict[str, Any]) -> Completion | str:
    """One ``choices[i]`` as a completion, or what is wrong with it. Thinking is dropped, in the text or beside it."""
    message, finish = choice.get("message"), choice.get("finish_reason")
    if not isinstance(message, dict):
        return "the answer has no message"
    content = message.get("content")
    if content is None and finish == "length":
        content = ""  # all tokens went into thinking beside the text
    if finish == "content_filter" or not isinstance(content, str):
        said = message.get("refusal")
        return f"the answer was withheld (finish_reason {_start(finish)})" + (
            f": {said}" if isinstance(said, str) else ""
        )
    try:
        content.encode()
    except UnicodeEncodeError:
        return f"the answer holds half a character: {_start(content)}"
    return Completion(strip_thinking(content), _logprob_of(choice), LENGTH if finish == "length" else STOP)


def _start(value: object) -> str:
    """The beginning of what a server sent, for a message."""
    return (
        value[:_HEAD].decode("utf-8", "replace")
        if isinstance(value, bytes)
        else str(value)[:_HEAD]
        if isinstance(value, str | None)
        else type(value).__name__
    )


class Token(NamedTuple):
    """One token that a server lists. ``others``: bytes and log-probability (None: no number) of the alternatives."""

    raw: bytes
    others: list[tuple[bytes, float | None]]


def _logprob_of(choice: dict[str, Any]) -> dict[str, float | None]:
    """The verdict's log-probabilities of one choice; None for both where the server's list is not sound."""
    logprobs = choice.get("logprobs")
    listed = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(listed, list):
        return NO_VERDICT
    try:
        return verdict_logprob([_token(item) for item in listed])
    except (TypeError, ValueError, KeyError, AttributeError):
        return NO_VERDICT


def _token(item: dict[str, Any]) -> Token:
    return Token(_bytes(item), [(_bytes(other), _number(other["logprob"])) for other in item.get("top_logprobs") or []])


def _bytes(item: dict[str, Any]) -> bytes:
    """Bytes of a token; servers give them where a token is a part of a character."""
    return bytes(item["bytes"]) if isinstance(item.get("bytes"), list) and item["bytes"] else item["token"].encode()


def _number(value: object) -> float | None:
    """A log-probability; None where it is none. Minus infinity stays: a probability of 0."""
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or value != value
        or value > 0.01
        or (value < -1e300 and value != -math.inf)
    ):
        return None
    return float(value)


def verdict_logprob(listed: Sequence[Token]) -> dict[str, float | None]:
    """Log-probabilities of the verdicts from the tokens of an answer and their alternatives.

    Looks at the first token of the answer where the two verdict lines part, and adds up the alternatives there that can
    only become one of them. None for a verdict that is not among them; both None where the answer does not begin so, or
    an alternative there has a value that is no log-probability.
    """
    lines = {verdict: f"{HEADER}{word}\n".encode() for verdict, word in WORD.items()}
    so_far = b""
    for token in _after_thinking(listed):
        sums: dict[str, list[float]] = {verdict: [] for verdict in lines}
        sound = True
        for other, logprob in token.others:
            begun = so_far + other
            able = [verdict for verdict, line in lines.items() if line.startswith(begun) or begun.startswith(line)]
            if len(able) == 1 and len(begun) > len(so_far):
                sound = sound and logprob is not None
                sums[able[0]] += [logprob] if logprob is not None and logprob != -math.inf else []
        so_far += token.raw
        if sum(line.startswith(so_far) for line in lines.values()) < 2:
            parted = any(line.startswith(so_far) or so_far.startswith(line) for line in lines.values())
            return {verdict: _log_sum(found) for verdict, found in sums.items()} if parted and sound else NO_VERDICT
    return NO_VERDICT


def _after_thinking(listed: Sequence[Token]) -> Sequence[Token]:
    """The tokens of the answer itself: those after ``</think>`` and the line ends that follow it."""
    ends = [i for i, token in enumerate(listed) if token.raw.strip() == b"</think>"]
    rest = listed[ends[-1] + 1 :] if ends else listed
    blank = next((i for i, token in enumerate(rest) if token.raw.strip()), len(rest))
    return rest[blank:]


def _log_sum(values: Sequence[float]) -> float | None:
    if not values:
        return None
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))
