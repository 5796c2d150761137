"""Reflection: from groups of wrong tickets to operations on guidance.

It learns from two kinds of error: gt=fail and pred=pass (a false release: a failing scene or a missing key
evidence), and gt=pass and pred=fail (a false block: an exception, or a negative of another mission).
"""

import random
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple

from pydantic import ValidationError

from verdicts.config.sections import ReflectSection
from verdicts.engines import LENGTH, STOP, Completion
from verdicts.guidance.model_json import read_object
from verdicts.guidance.operations import FIELDS, OPERATIONS
from verdicts.records.reflection import Direction, Operation, RejectedOperation
from verdicts.records.rollout import Selection
from verdicts.records.tickets import StageA, Verdict
from verdicts.review.decisions import OTHER
from verdicts.stage_b.prompts import Case, Prompts
from verdicts.stats.contrast import Contrast

# direction of error -> the (wrong) verdict its tickets have
DIRECTIONS: dict[Direction, Verdict] = {"false_release": "pass", "false_block": "fail"}
_NOTHING: tuple[object, ...] = (None, "", [])

# Kinds of form that are forgiven in the fields, beside those of verdicts/guidance/model_json.py.
FORGIVEN_FIELDS = {
    "unknown_field": "a field that no operation has",
    "empty_field": "a field of another operation that holds nothing",
    "key_blanks": "blanks around a key",
    "single_operation": "one operation where a list of them is wanted",
    "not_a_list": "one case number, or several in one text, where a list is wanted",
    "case_words": "case numbers as words or fractions: 案例1, Case 1, 1.0",
}
_CASE = re.compile(r"\s*(?:案例|case)?\s*[#:]?\s*(\d{1,6})\s*", re.IGNORECASE)
_BETWEEN = re.compile(r"[,，、;；]")


class ErrorGroup(NamedTuple):
    """Wrong tickets of one direction that are shown together; case numbers count from 1 in this order.

    Their label is the one that the direction says: a person may have corrected the one they came with. ``shared``: what
    they were put together for; "" where chance did.
    ``reason_chars``: so much of people's reasons is shown with a case. None (0) where they passed it: what was written
    of such a ticket is of an earlier rejection.
    """

    direction: Direction
    tickets: list[StageA]
    reason_chars: int = 0
    shared: str = ""

    def fitted(self, prompts: Prompts, most: int, count_tokens: Callable[[str], int]) -> "ErrorGroup":
        """With fewer tickets where its prompt is longer than ``most`` tokens."""
        group = self
        while len(group.tickets) > 1 and count_tokens(group.user(prompts)) > most:
            group = group._replace(tickets=group.tickets[:-1])
        return group

    def user(self, prompts: Prompts) -> str:
        """The user message of the reflection call."""
        verdict = DIRECTIONS[self.direction]
        cases = [Case(OTHER[verdict], verdict, ticket.per_image, self._reasons(ticket)) for ticket in self.tickets]
        return prompts.reflect_user(cases)

    def _reasons(self, ticket: StageA) -> str:
        """Why people failed it, cut to length."""
        text = "；".join(ticket.fail_reasons)
        return text if len(text) <= self.reason_chars else f"{text[: self.reason_chars]}…" if self.reason_chars else ""


def groups_of(
    prompts: Prompts,
    selections: Sequence[Selection],
    tickets: Mapping[str, StageA],
    section: ReflectSection,
    seed: str,
    count_tokens: Callable[[str], int],
    draw: int = 0,
) -> list[ErrorGroup]:
    """Cut a window's errors into groups: seeded order, at most ``groups`` a direction, each of ``prompt_tokens``.

    ``draw``: which time they are shown; each later one puts the same errors together anew.
    """
    groups: list[ErrorGroup] = []
    for direction, verdict in DIRECTIONS.items():
        wrong = [
            tickets[selection.ticket_key]
            for selection in selections
            if selection.verdict == verdict and not selection.label_match
        ]
        random.Random(f"{seed}/{direction}").shuffle(wrong)
        wrong = wrong[: section.groups * section.group_size]
        if draw:
            random.Random(f"{seed}/{direction}/{draw}").shuffle(wrong)
        for start in range(0, len(wrong), section.group_size):
            group = ErrorGroup(direction, wrong[start : start + section.group_size], _reason_chars(section, direction))
            groups.append(group.fitted(prompts, section.prompt_tokens, count_tokens))
    return groups


def groups_of_alike(
    prompts: Prompts,
    found: Mapping[Direction, Sequence[Contrast]],
    tickets: Mapping[str, StageA],
    section: ReflectSection,
    seed: str,
    count_tokens: Callable[[str], int],
) -> list[ErrorGroup]:
    """A group of errors for each thing that sets errors apart, drawn from the half that shares least of the others."""
    groups = []
    for direction, contrasts in found.items():
        for one in contrasts:
            clearest = one.holders[: max(section.group_size, ceil(len(one.holders) / 2))]
            drawn = random.Random(f"{seed}/{direction}/{one.text}").sample(
                clearest, min(section.group_size, len(clearest))
            )
            group = ErrorGroup(direction, [tickets[key] for key in drawn], _reason_chars(section, direction), one.text)
            groups.append(group.fitted(prompts, section.prompt_tokens, count_tokens))
    return groups


def _reason_chars(section: ReflectSection, direction: Direction) -> int:
    """How much of people's reasons is shown with a case: they are of those that people failed."""
    return section.reason_chars if section.show_reasons and direction == "false_release" else 0


class ReflectionAnswer(NamedTuple):
    """A reflection answer read: what it proposes, what of it is no operation, which tickets it cannot explain.

    ``forgiven``: how often each kind of form was forgiven. ``unreadable``: why the answer as a whole could not be read;
    then it proposes nothing, and is no refused operation either.
    """

    operations: list[Operation]
    rejected: list[RejectedOperation]
    unexplainable: list[str]
    forgiven: dict[str, int]
    unreadable: str | None


def read_completion(completion: Completion, ticket_keys: Sequence[str]) -> ReflectionAnswer:
    """Read what a reflection call gave.

    One that never came, or was cut off in the middle, is unreadable for that reason.
    """
    if completion.finish not in (STOP, LENGTH):
        return _unreadable(completion.finish)
    answer = read_answer(completion.text, ticket_keys)
    return _unreadable("cut_off") if answer.unreadable and completion.finish == LENGTH else answer


def read_answer(text: str, ticket_keys: Sequence[str]) -> ReflectionAnswer:
    """Read the JSON answer of a reflection call. Case numbers become ticket keys; form is forgiven and counted
    (``FORGIVEN`` here and in verdicts/guidance/model_json.py), what is meant is never guessed.
    """
    value, kinds, why = read_object(text)
    forgiven = Counter(kinds)
    fields = _fields(value, forgiven) if isinstance(value, dict) else None
    if why or fields is None or "operations" not in fields:
        return _unreadable(why or "not_an_answer: one object with operations (and unexplainable) is expected")
    raws = fields["operations"]
    if isinstance(raws, dict) and "op" in raws:
        forgiven["single_operation"] += 1
        raws = [raws]
    if not isinstance(raws, list):
        return _unreadable("not_an_answer: operations is no list")
    forgiven["unknown_field"] += len(set(fields) - {"operations", "unexplainable"})
    operations, rejected = [], []
    for raw in raws:
        operation = _operation(raw, ticket_keys, forgiven)
        if isinstance(operation, Operation):
            operations.append(operation)
        else:
            rejected.append(RejectedOperation(op=raw, why=operation))
    unexplainable = _keys(fields.get("unexplainable"), ticket_keys, forgiven)
    if unexplainable is None:
        rejected.append(RejectedOperation(op=None, why="unknown_case_number: in unexplainable"))
    return ReflectionAnswer(operations, rejected, unexplainable or [], dict(sorted((+forgiven).items())), None)


def _unreadable(why: str) -> ReflectionAnswer:
    return ReflectionAnswer([], [], [], {}, why)


def _fields(raw: dict[str, Any], forgiven: Counter[str]) -> dict[str, Any] | None:
    """An object with the blanks around its keys gone; None where two of them become one."""
    fields = {name.strip(): value for name, value in raw.items()}
    forgiven["key_blanks"] += sum(name != name.strip() for name in raw)
    return fields if len(fields) == len(raw) else None


def _operation(raw: Any, ticket_keys: Sequence[str], forgiven: Counter[str]) -> Operation | str:
    """One operation, or why it is none."""
    fields = _fields(raw, forgiven) if isinstance(raw, dict) else None
    if fields is None or not isinstance(fields.get("op"), str) or fields["op"] not in OPERATIONS:
        return "unknown_operation"
    wanted = OPERATIONS[fields["op"]].fields
    if missing := sorted(wanted - set(fields)):
        return f"missing_field: {missing[0]}"
    others = set(fields) - wanted - {"op", "rationale", "evidence"}
    if foreign := sorted(name for name in others & FIELDS if fields[name] not in _NOTHING):
        return f"unknown_field: {foreign[0]}"  # such as an add with a key: it may have been meant as an update
    forgiven["unknown_field"] += len(others - FIELDS)
    forgiven["empty_field"] += len(others & FIELDS)
    evidence = _keys(fields.get("evidence"), ticket_keys, forgiven)
    if evidence is None:
        return "unknown_case_number"
    kept = {
        name: value
        for name, value in fields.items()
        if name not in others and (name != "rationale" or value is not None)
    }
    try:
        return Operation.model_validate({**kept, "evidence": evidence})
    except ValidationError as error:
        return f"bad_value: {'.'.join(map(str, error.errors()[0]['loc']))}"


def _keys(said: Any, ticket_keys: Sequence[str], forgiven: Counter[str]) -> list[str] | None:
    """Case numbers as ticket keys, or None where one is no case."""
    if said is None:
        return []
    if not isinstance(said, list):
        forgiven["not_a_list"] += 1
        said = [said]
    said = [part for one in said for part in (_BETWEEN.split(one) if isinstance(one, str) else [one]) if part != ""]
    numbers = [number for one in said if (number := _number(one)) is not None and 1 <= number <= len(ticket_keys)]
    if len(numbers) < len(said):
        return None
    forgiven["case_words"] += any(type(one) is not int for one in said)
    return [ticket_keys[number - 1] for number in dict.fromkeys(numbers)]


def _number(said: Any) -> int | None:
    """A case number: ``1``, ``1.0``, ``"1"``, ``"案例1"``, ``"Case 1"``; None for anything else."""
    if type(said) is int:
        return said
    if type(said) is float:
        return int(said) if said.is_integer() and abs(said) < 1e6 else None
    found = _CASE.fullmatch(unicodedata.normalize("NFKC", said)) if isinstance(said, str) else None
    return int(found[1]) if found else None


def answer_schema(rule_keys: Sequence[str], cases: int, max_rule_chars: int) -> dict[str, Any]:
    """The JSON schema of an answer, for engines that hold a model to one. ``rule_keys``: the learnable rules in force.

    Texts may be twice as long as a rule: one that is too long is refused for that, not cut into another rule.
    """
    text = {"type": "string", "maxLength": 2 * max_rule_chars}
    evidence = {"type": "array", "items": {"type": "integer", "enum": list(range(1, cases + 1))}, "maxItems": cases}
    key = {"type": "string", "enum": list(rule_keys)}
    own = {name: kind.schema(text, key, len(rule_keys)) for name, kind in OPERATIONS.items()}
    kinds = [
        _object({"op": {"type": "string", "enum": [name]}, **fields, "rationale": text, "evidence": evidence})
        for name, fields in own.items()
        if fields is not None
    ]
    return _object(
        {"operations": {"type": "array", "items": {"anyOf": kinds}, "maxItems": 2 * cases}, "unexplainable": evidence}
    )


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
