"""The operations on guidance, a class each: which fields it has, when it does not fit, what it does to guidance.

A further operation is a class here, in ``OPERATIONS``, and its word in ``OperationName``
(verdicts/records/reflection.py).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from verdicts.config.sections import ReflectSection
from verdicts.guidance.rule_text import normal, text_refusal
from verdicts.guidance.rules import new_key, next_step, refuse_replaced, remove, write_rule
from verdicts.records.guidance import MissionGuidance
from verdicts.records.reflection import Operation, OperationName

Schema = dict[str, Any]


class RuleOperation(ABC):
    """One change of guidance, as its record has it.

    ``fields``: what its record holds beside op, rationale and evidence. ``replaces``: its text takes the place of a
    rule that may be missed on tickets of the other verdict. ``may_do_nothing``: it is accepted though no verdict turns.
    """

    name: ClassVar[OperationName]
    fields: ClassVar[frozenset[str]]
    replaces: ClassVar[bool] = False
    may_do_nothing: ClassVar[bool] = False

    def __init__(self, record: Operation):
        self.record = record

    @classmethod
    def schema(cls, text: Schema, key: Schema, rules: int) -> Schema | None:
        """The JSON schema of its fields where so many ``rules`` are in force; None where it cannot be.

        ``text`` and ``key``: the schemas of a rule's text and of the key of one in force.
        """
        known = {"key": key, "text": text}
        return {name: known[name] for name in sorted(cls.fields)} if rules or "key" not in cls.fields else None

    @property
    def text(self) -> str:
        """The text that it brings, "" for none."""
        return (self.record.text or "") if "text" in self.fields else ""

    @property
    def keys(self) -> Sequence[str | None]:
        """The rules that it changes or takes out; None stands for one that its record should name."""
        return [self.record.key] if "key" in self.fields else []

    def misfit(self, guidance: MissionGuidance) -> str | None:
        """Why it cannot be applied at all (a reason word and the value), or None."""
        for key in self.keys:
            if key == "G0":
                return "g0_is_read_only"
            if key not in guidance.experiences:
                return f"unknown_key: {key}"
        if "text" in self.fields and (not normal(self.text) or self.text.splitlines() != [self.text]):
            return "not_one_line"
        return None

    def refusal(self, guidance: MissionGuidance, details: Iterable[str], section: ReflectSection) -> str | None:
        """Why it may not be tried as a proposal (a reason word and the value), or None."""
        if why := self.misfit(guidance):
            return why
        if not self.record.evidence:
            return "no_evidence"
        if not self.fits(len(guidance.experiences) - 1, section.max_rules):
            return "too_many_rules"
        if "text" in self.fields:
            return text_refusal(self.text, guidance, details, section.details, section.max_rule_chars)
        return None

    def fits(self, rules: int, max_rules: int) -> bool:
        """Whether guidance with so many learnable rules has room for it."""
        return True

    @abstractmethod
    def apply(
        self, guidance: MissionGuidance, reflection_id: str, round_number: int
    ) -> tuple[MissionGuidance, str | None]:
        """The guidance after it, one step on, and the key of its text (None where it brings none)."""


class Add(RuleOperation):
    """A new rule."""

    name = "add"
    fields = frozenset({"text"})

    def fits(self, rules: int, max_rules: int) -> bool:
        """Only an add makes rules more."""
        return rules < max_rules

    def apply(
        self, guidance: MissionGuidance, reflection_id: str, round_number: int
    ) -> tuple[MissionGuidance, str | None]:
        """As ``RuleOperation.apply``."""
        key = new_key(guidance)
        return write_rule(next_step(guidance), key, self.record, reflection_id, round_number), key


class Update(RuleOperation):
    """Another text for a rule, which keeps its key and starts to count anew; the old text is never accepted again."""

    name = "update"
    fields = frozenset({"key", "text"})
    replaces = True

    def apply(
        self, guidance: MissionGuidance, reflection_id: str, round_number: int
    ) -> tuple[MissionGuidance, str | None]:
        """As ``RuleOperation.apply``. Raises KeyError for a rule that is not there (``misfit`` says so before)."""
        key = str(self.record.key)
        guidance = refuse_replaced(next_step(guidance), guidance.experiences[key], reflection_id)
        return write_rule(guidance, key, self.record, reflection_id, round_number), key


class Delete(RuleOperation):
    """A rule less."""

    name = "delete"
    fields = frozenset({"key"})

    def apply(
        self, guidance: MissionGuidance, reflection_id: str, round_number: int
    ) -> tuple[MissionGuidance, str | None]:
        """As ``RuleOperation.apply``."""
        return remove(guidance, {str(self.record.key): f"delete by {reflection_id}"}, round_number), None


class Merge(RuleOperation):
    """One rule for several: it has to keep verdicts, not to mend them."""

    name = "merge"
    fields = frozenset({"keys", "text"})
    replaces = True
    may_do_nothing = True

    @classmethod
    def schema(cls, text: Schema, key: Schema, rules: int) -> Schema | None:
        """As ``RuleOperation.schema``: it takes two rules at least."""
        keys = {"type": "array", "items": key, "minItems": 2, "maxItems": rules}
        return {"keys": keys, "text": text} if rules > 1 else None

    @property
    def keys(self) -> Sequence[str | None]:
        """The rules that it takes out."""
        return self.record.keys

    def misfit(self, guidance: MissionGuidance) -> str | None:
        """As ``RuleOperation.misfit``."""
        return "merge_needs_two_keys" if len(set(self.record.keys)) < 2 else super().misfit(guidance)

    def apply(
        self, guidance: MissionGuidance, reflection_id: str, round_number: int
    ) -> tuple[MissionGuidance, str | None]:
        """As ``RuleOperation.apply``."""
        guidance = remove(guidance, dict.fromkeys(self.record.keys, f"merge by {reflection_id}"), round_number)
        key = new_key(guidance)
        return write_rule(guidance, key, self.record, reflection_id, round_number), key


# word of a record -> its class, in the order in which the schema of answers names them
OPERATIONS: dict[str, type[RuleOperation]] = {kind.name: kind for kind in (Add, Update, Delete, Merge)}
FIELDS = frozenset().union(*(kind.fields for kind in OPERATIONS.values()))


def of_record(record: Operation) -> RuleOperation:
    """The operation that a record describes."""
    return OPERATIONS[record.op](record)
