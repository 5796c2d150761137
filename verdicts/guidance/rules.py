"""The rules of a mission and how they change. Pure functions on ``MissionGuidance``.

G0 is the mission's checklist and read-only. A key, once removed, is never used again, and a text that was removed or
refused is remembered and not accepted again until something new to the run was learnt. ``step`` grows by one with every
change of a rule.
"""

from collections.abc import Mapping

from verdicts.guidance.rule_text import normal
from verdicts.records.guidance import MissionGuidance, RemovedRule, RuleMeta
from verdicts.records.reflection import Operation, RuleTally
from verdicts.stage_b.prompts import rule_number

_REPLACED = "replaced by "  # begins the reason of a text that an update took the place of


def confidence(hits: int, misses: int) -> float:
    """(hits + 1) / (hits + misses + 2): Laplace's rule of succession."""
    return round((hits + 1) / (hits + misses + 2), 6)


def new_key(guidance: MissionGuidance) -> str:
    """The next key after every key that was ever used."""
    return f"G{max(rule_number(key) for key in [*guidance.experiences, *guidance.removed]) + 1}"


def next_step(guidance: MissionGuidance) -> MissionGuidance:
    """The guidance with its step counted."""
    return _copy(guidance, step=guidance.step + 1)


def write_rule(
    guidance: MissionGuidance, key: str, operation: Operation, reflection_id: str, round_number: int
) -> MissionGuidance:
    """Give a key the operation's text, and begin to count its hits and misses; no step."""
    meta = RuleMeta(
        hit_count=0, miss_count=0, confidence=confidence(0, 0), reflection_id=reflection_id,
        sources=list(operation.evidence), rationale=operation.rationale, created_round=round_number,
    )  # fmt: skip
    return _copy(
        guidance,
        experiences={**guidance.experiences, key: operation.text},
        metadata={**guidance.metadata, key: meta},
        last_applied_rule_keys=[key],
    )


def remove(guidance: MissionGuidance, leaving: Mapping[str, str], round_number: int) -> MissionGuidance:
    """Take rules out, each with the reason, and keep a snapshot of each; one step."""
    keys = list(leaving)
    snapshots = {
        key: RemovedRule(text=guidance.experiences[key], round=round_number, why=why, metadata=guidance.metadata[key])
        for key, why in leaving.items()
    }
    return _copy(
        guidance,
        step=guidance.step + 1,
        experiences={key: text for key, text in guidance.experiences.items() if key not in keys},
        metadata={key: meta for key, meta in guidance.metadata.items() if key not in keys},
        last_applied_rule_keys=[key for key in guidance.last_applied_rule_keys if key not in keys],
        removed={**guidance.removed, **snapshots},
    )


def tried(guidance: MissionGuidance, trials: int) -> MissionGuidance:
    """Set the number of trials since a proposal was last accepted; no step."""
    return guidance if trials == guidance.trials else _copy(guidance, trials=trials)


def refuse(guidance: MissionGuidance, text: str, why: str) -> MissionGuidance:
    """Remember a text that did harm when it was tried; no step, for no rule changes."""
    return _copy(guidance, refused={**guidance.refused, text: why})


def refuse_replaced(guidance: MissionGuidance, text: str, reflection_id: str) -> MissionGuidance:
    """Remember a text that an update took the place of: it is never accepted again; no step."""
    return refuse(guidance, text, f"{_REPLACED}{reflection_id}")


def end_round(before: MissionGuidance, after: MissionGuidance) -> MissionGuidance:
    """The end of a round; no step.

    Where it accepted a text new to the run, texts that did harm when tried may be tried again.
    """
    known = {normal(text) for text in [*_accepted(before), *before.refused]}
    if all(normal(text) in known for text in _accepted(after)):
        return after
    return _copy(after, refused={text: why for text, why in after.refused.items() if why.startswith(_REPLACED)})


def _accepted(guidance: MissionGuidance) -> list[str]:
    """Texts of the rules in force and of those that left."""
    return [*guidance.experiences.values(), *(removed.text for removed in guidance.removed.values())]


def credit(guidance: MissionGuidance, tallies: Mapping[str, RuleTally]) -> MissionGuidance:
    """Add a round's tallies to the rules' counts; no step."""
    metadata = dict(guidance.metadata)
    for key, seen in tallies.items():
        hits, misses = metadata[key].hit_count + seen.hits, metadata[key].miss_count + seen.misses
        metadata[key] = metadata[key].model_copy(
            update={"hit_count": hits, "miss_count": misses, "confidence": confidence(hits, misses)}
        )
    return _copy(guidance, metadata=metadata)


def _copy(guidance: MissionGuidance, **changes: object) -> MissionGuidance:
    """A checked copy: model_copy would not validate, and a wrong guidance would be found only when its file is read."""
    return MissionGuidance.model_validate(
        {**{name: getattr(guidance, name) for name in MissionGuidance.model_fields}, **changes}
    )
