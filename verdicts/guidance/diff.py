"""What changed between two states of guidance, and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from verdicts.records.guidance import MissionGuidance, RuleMeta
from verdicts.records.reflection import Reflection, Trial
from verdicts.stage_b.prompts import rule_number


@dataclass(frozen=True)
class Change:
    """One rule that came (+), went (-) or was reworded (~).

    ``reflection_id`` and ``trial`` are None where no reflection record accounts for the change (a hand edit).
    ``metadata``: of a rule that went, what was known of it; else as it stands after the change.
    """

    sign: Literal["+", "-", "~"]
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


def changes_between(before: MissionGuidance, after: MissionGuidance, reflections: Iterable[Reflection]) -> list[Change]:
    """The changes from one state to the next, in the order of the rule keys.

    ``reflections``: the records between them.
    """
    causes = _causes(reflections)
    changes = []
    for key in sorted(before.experiences.keys() | after.experiences.keys(), key=rule_number):
        old, new = before.experiences.get(key), after.experiences.get(key)
        if old == new:
            continue
        cause = causes.get(key)
        sign, metadata, why = "+" if old is None else "~", after.metadata.get(key), cause.why if cause else ""
        if new is None:
            removed = after.removed.get(key)
            sign, metadata, why = (
                "-",
                removed.metadata if removed else before.metadata.get(key),
                removed.why if removed else "",
            )
        changes.append(
            Change(
                sign=sign,
                key=key,
                text=new if new is not None else old,
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
    causes = {}
    for record in reflections:
        causes.update({key: Cause(record.reflection_id, "cleaned up", None) for key in record.cleaned_up})
        for applied in record.applied:
            cause = Cause(record.reflection_id, applied.op.rationale, applied.trial)
            touched = {applied.key, applied.op.key, *applied.op.keys} - {None}
            causes.update(dict.fromkeys(touched, cause))
    return causes


def latest_metadata(last: MissionGuidance) -> dict[str, RuleMeta]:
    """What is known at the end of every rule that ever was: of a rule that went, as it stood then."""
    return {key: removed.metadata for key, removed in last.removed.items()} | last.metadata
