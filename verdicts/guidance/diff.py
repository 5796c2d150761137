"""What changed between two states of guidance, and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from verdicts.guidance.operations import of_record
from verdicts.records.guidance import MissionGuidance, RuleMeta
from verdicts.records.reflection import Reflection, Trial
from verdicts.stage_b.prompts import rule_number

Sign = Literal["+", "-", "~"]


@dataclass(frozen=True)
class RuleChange:
    """One rule that came (+), went (-) or was reworded (~).

    ``reflection_id`` and ``trial`` are None where no reflection record accounts for the change (a hand edit).
    ``metadata``: of a rule that went, what was known of it; else as it stands after the change.
    """

    sign: Sign
    key: str
    text: str
    old_text: str | None
    why: str
    reflection_id: str | None
    trial: Trial | None
    metadata: RuleMeta | None


@dataclass(frozen=True)
class Cause:
    """The reflection record behind a change of one rule."""

    reflection_id: str
    why: str
    trial: Trial | None


def changes_between(
    before: MissionGuidance, after: MissionGuidance, reflections: Iterable[Reflection]
) -> list[RuleChange]:
    """The changes from one state to the next, in the order of the rule keys.

    ``reflections``: the records between them.
    """
    causes = _causes(reflections)
    changes: list[RuleChange] = []
    for key in sorted(before.experiences.keys() | after.experiences.keys(), key=rule_number):
        old, new = before.experiences.get(key), after.experiences.get(key)
        if old == new:
            continue
        cause = causes.get(key)
        sign: Sign = "~"
        why, metadata = cause.why if cause else "", after.metadata.get(key)
        if old is None:
            sign = "+"
        elif new is None:
            removed = after.removed.get(key)
            sign, why = "-", removed.why if removed else ""
            metadata = removed.metadata if removed else before.metadata.get(key)
        changes.append(
            RuleChange(
                sign=sign,
                key=key,
                text=(old if new is None else new) or "",
                old_text=old if sign == "~" else None,
                why=why or "by hand",
                reflection_id=cause.reflection_id if cause else None,
                trial=cause.trial if cause else None,
                metadata=metadata,
            )
        )
    return changes


def _causes(reflections: Iterable[Reflection]) -> dict[str, Cause]:
    """By rule key, the last record that made, reworded or removed the rule."""
    causes: dict[str, Cause] = {}
    for record in reflections:
        causes.update({key: Cause(record.reflection_id, "cleaned up", None) for key in record.cleaned_up})
        for applied in record.applied:
            cause = Cause(record.reflection_id, applied.op.rationale, applied.trial)
            touched = [applied.key, *of_record(applied.op).keys]
            causes.update({key: cause for key in touched if key is not None})
    return causes


def latest_metadata(last: MissionGuidance) -> dict[str, RuleMeta]:
    """What is known at the end of every rule that ever was: of a rule that went, as it stood then."""
    return {key: removed.metadata for key, removed in last.removed.items()} | last.metadata
