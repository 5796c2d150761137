"""Reflection: from groups of wrong tickets to operations on guidance.

It learns from two kinds of error: gt=fail and pred=pass (a false release: a failing scene or a missing key
evidence), and gt=pass and pred=fail (a false block: an exception, or a negative of another mission).
"""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from tools.core.config import ReflectSection
from tools.core.decisions import OTHER
from tools.core.prompts import Case, reflect_user
from tools.core.protocol import strip_thinking
from tools.core.records import Operation, RejectedOperation, Selection, StageA

# direction of error -> the (wrong) verdict its tickets have
DIRECTIONS = {"false_release": "pass", "false_block": "fail"}
_FIELDS = {"add": {"text"}, "update": {"key", "text"}, "delete": {"key"}, "merge": {"keys", "text"}}


class Group(NamedTuple):
    """Wrong tickets of one direction that are shown together; case numbers count from 1 in this order.

    Their label is the one that the direction says: a person may have corrected the one they came with.
    """

    direction: str
    tickets: list[StageA]

    @property
    def user(self) -> str:
        """The user message of the reflection call."""
        verdict = DIRECTIONS[self.direction]
        return reflect_user([Case(OTHER[verdict], verdict, ticket.per_image) for ticket in self.tickets])


def groups_of(
    selections: Sequence[Selection], tickets: Mapping[str, StageA], section: ReflectSection, seed: str, count_tokens: Callable[[str], int]
) -> list[Group]:
    """Cut a window's errors into groups: seeded order, at most ``groups`` a direction, each within ``prompt_tokens``."""
    groups = []
    for direction, verdict in DIRECTIONS.items():
        wrong = [tickets[selection.ticket_key] for selection in selections if selection.verdict == verdict and not selection.label_match]
        random.Random(f"{seed}/{direction}").shuffle(wrong)
        for start in range(0, min(len(wrong), section.groups * section.group_size), section.group_size):
            group = Group(direction, wrong[start : start + section.group_size])
            while len(group.tickets) > 1 and count_tokens(group.user) > section.prompt_tokens:
                group = Group(direction, group.tickets[:-1])
            groups.append(group)
    return groups


class Answer(NamedTuple):
    """A reflection answer read: what it proposes, what of it is no operation, which tickets it cannot explain."""

    operations: list[Operation]
    rejected: list[RejectedOperation]
    unexplainable: list[str]


def read_answer(text: str, ticket_keys: Sequence[str]) -> Answer:
    """Read the strict JSON answer of a reflection call. Case numbers become ticket keys; nothing is guessed."""
    try:
        value = json.loads(strip_thinking(text))
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # NaN and half surrogates are read, but cannot be written
    except (ValueError, RecursionError) as error:
        return Answer([], [RejectedOperation(op=None, why=f"not_json: {getattr(error, 'msg', type(error).__name__)}")], [])
    if not isinstance(value, dict) or not isinstance(value.get("operations"), list) or set(value) - {"operations", "unexplainable"}:
        return Answer([], [RejectedOperation(op=None, why="not_an_answer: one object with operations (and unexplainable) is expected")], [])
    operations, rejected = [], []
    for raw in value["operations"]:
        operation = _operation(raw, ticket_keys)
        if isinstance(operation, Operation):
            operations.append(operation)
        else:
            rejected.append(RejectedOperation(op=raw, why=operation))
    unexplainable = _keys(value.get("unexplainable", []), ticket_keys)
    if unexplainable is None:
        rejected.append(RejectedOperation(op=None, why="unknown_case_number: in unexplainable"))
    return Answer(operations, rejected, unexplainable or [])


def _operation(raw: Any, ticket_keys: Sequence[str]) -> Operation | str:
    """One operation, or why it is none."""
    if not isinstance(raw, dict) or not isinstance(raw.get("op"), str) or raw["op"] not in _FIELDS:
        return "unknown_operation"
    if missing := sorted(_FIELDS[raw["op"]] - set(raw)):
        return f"missing_field: {missing[0]}"
    if unknown := sorted(set(raw) - _FIELDS[raw["op"]] - {"op", "rationale", "evidence"}):
        return f"unknown_field: {unknown[0]}"
    evidence = _keys(raw.get("evidence", []), ticket_keys)
    if evidence is None:
        return "unknown_case_number"
    try:
        return Operation.model_validate({**raw, "evidence": evidence})
    except ValidationError as error:
        return f"bad_value: {'.'.join(map(str, error.errors()[0]['loc']))}"


def _keys(numbers: Any, ticket_keys: Sequence[str]) -> list[str] | None:
    """Case numbers as ticket keys, or None where one is no case."""
    if not isinstance(numbers, list) or any(type(number) is not int or not 1 <= number <= len(ticket_keys) for number in numbers):
        return None
    return [ticket_keys[number - 1] for number in dict.fromkeys(numbers)]
