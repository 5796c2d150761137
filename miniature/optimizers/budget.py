"""One wrapper round the engine that counts what an arm asks, and refuses what its budget does not hold.

A **call** is one answer: each candidate of a rollout, each verdict judged, each reflection. **Tokens** are those of the
prompts that are read (a ticket once, however many candidates it has) and of all that is written; the few of the chat
template are left out. A question that was asked before counts again, whoever asks.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from verdicts.engines import Completion, Decode, Engine

_BLOCK = 16  # questions asked together: so few are lost where a call would go beyond the budget


class Budget(NamedTuple):
    """The most that a search may ask: answers, and tokens read and written."""

    calls: int
    tokens: int


class BudgetSpent(Exception):
    """The next question might go beyond the budget; it was not asked."""


class Counted:
    """An engine with a budget. ``calls``, ``tokens``: what was asked. ``spent``: a question was refused."""

    def __init__(self, engine: Engine, budget: Budget):
        self.engine, self.budget, self.fingerprint = engine, budget, engine.fingerprint
        self.count_tokens, self.close = engine.count_tokens, engine.close
        self.calls = self.tokens = 0
        self.spent = False
        self._lengths: dict[str, int] = {}

    def rollout(
        self, system: str, users: Sequence[str], decodes: Sequence[Sequence[Decode]]
    ) -> Iterator[list[Completion]]:
        """As Engine.rollout; raises BudgetSpent where an answer of full length would be too much."""
        for at in range(0, len(users), _BLOCK):
            asked, grids = users[at : at + _BLOCK], decodes[at : at + _BLOCK]
            flat = [decode for grid in grids for decode in grid]
            read = self._reserve(system, asked, len(flat), sum(decode.max_new_tokens for decode in flat))
            rows = list(self.engine.rollout(system, asked, grids))
            self._pay(len(flat), read, [answer for row in rows for answer in row])
            yield from rows

    def judge(self, system: str, users: Sequence[str]) -> list[dict[str, float | None]]:
        """As Engine.judge; raises BudgetSpent before what does not fit is asked."""
        found: list[dict[str, float | None]] = []
        for at in range(0, len(users), _BLOCK):
            asked = users[at : at + _BLOCK]
            read = self._reserve(system, asked, len(asked), 0)
            found += self.engine.judge(system, asked)
            self._pay(len(asked), read, [])
        return found

    def complete(
        self, system: str, users: Sequence[str], decodes: Sequence[Decode], json_schema: dict[str, Any] | None = None
    ) -> list[Completion]:
        """As Engine.complete; raises BudgetSpent where an answer of full length would be too much."""
        read = self._reserve(system, users, len(users), sum(decode.max_new_tokens for decode in decodes))
        answers = self.engine.complete(system, users, decodes, json_schema=json_schema)
        self._pay(len(users), read, answers)
        return answers

    def _reserve(self, system: str, users: Sequence[str], calls: int, written: int) -> int:
        """The tokens that these prompts are; refused where they and the most that may be written do not fit."""
        read = sum(self._length(system) + self._length(user) for user in users)
        if self.calls + calls > self.budget.calls or self.tokens + read + written > self.budget.tokens:
            self.spent = True
            raise BudgetSpent
        return read

    def _pay(self, calls: int, read: int, answers: Sequence[Completion]) -> None:
        self.calls += calls
        self.tokens += read + sum(self.count_tokens(answer.text) for answer in answers)

    def _length(self, text: str) -> int:
        if text not in self._lengths:
            self._lengths[text] = self.count_tokens(text)
        return self._lengths[text]
