"""An engine without a model, for tests of parsing and flow: it says what it is told and records the prompts it saw."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import ClassVar

from verdicts.engines import NO_VERDICT, Completion, Decode
from verdicts.stage_b.protocol import parse

Reply = str | Completion
SURE = {"pass": {"pass": -0.1, "fail": -2.4}, "fail": {"pass": -2.4, "fail": -0.1}}


class FakeEngine:
    """``answers``: queued replies, one a candidate; ``reflections``: one a call; both raise IndexError when used up.

    ``judges``: the verdict of a trial ticket, ``pass``, ``fail`` or None, from its system and user message.
    """

    fingerprint: ClassVar[dict[str, str]] = {"kind": "fake"}

    def __init__(
        self,
        answers: Iterable[Reply] = (),
        reflections: Iterable[Reply] = (),
        judges: Callable[[str, str], str | None] = lambda system, user: "pass",
    ):
        self.answers, self.reflections, self.judges = deque(answers), deque(reflections), judges
        self.rollouts: list[tuple[str, str, Decode]] = []
        self.calls: list[tuple[str, str, Decode]] = []
        self.judged: list[tuple[str, str]] = []
        self.schemas: list[dict | None] = []
        self.closed = False

    def rollout(
        self, system: str, users: Sequence[str], decodes: Sequence[Sequence[Decode]]
    ) -> Iterator[list[Completion]]:
        for user, candidates in zip(users, decodes, strict=True):
            self.rollouts += [(system, user, decode) for decode in candidates]
            yield [_completion(self.answers.popleft()) for _ in candidates]

    def judge(self, system: str, users: Sequence[str]) -> list[dict[str, float | None]]:
        self.judged += [(system, user) for user in users]
        return [SURE.get(self.judges(system, user), NO_VERDICT) for user in users]

    def complete(
        self, system: str, users: Sequence[str], decodes: Sequence[Decode], json_schema: dict | None = None
    ) -> list[Completion]:
        self.schemas.append(json_schema)
        self.calls += [(system, user, decode) for user, decode in zip(users, decodes, strict=True)]
        return [_completion(self.reflections.popleft()) for _ in users]

    def count_tokens(self, text: str) -> int:
        return len(text)

    def close(self) -> None:
        self.closed = True


def _completion(reply: Reply) -> Completion:
    if isinstance(reply, Completion):
        return reply
    return Completion(text=reply, verdict_logprob=SURE.get(parse(reply).verdict, NO_VERDICT), finish="stop")
