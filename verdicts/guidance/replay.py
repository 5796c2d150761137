"""From reflection records to guidance, without a model: how a run's guidance begins, and what each round made of it."""

from collections.abc import Iterable

from verdicts.base.errors import mistake
from verdicts.config.sections import Mission
from verdicts.guidance.operations import of_record
from verdicts.guidance.rules import credit, end_round, refuse, remove, tried
from verdicts.records.guidance import MissionGuidance
from verdicts.records.reflection import Operation, Reflection

CLEANED_UP = "confidence below threshold"  # why a rule left whose record, of an older version, does not say


def start(mission: Mission) -> MissionGuidance:
    """The guidance a run starts from: the checklist, and the mission's own rules where it has any."""
    guidance = MissionGuidance(step=0, experiences={"G0": mission.g0}, metadata={}, last_applied_rule_keys=[])
    for text in mission.rules:
        record = Operation(op="add", text=text, rationale="mission config", evidence=[])
        guidance, _ = of_record(record).apply(guidance, "start", 0)
    return guidance


def replay(guidance: MissionGuidance, reflections: Iterable[Reflection]) -> MissionGuidance:
    """The guidance after a round, from the guidance before it and the round's reflection records.

    Raises UserError (without a place) for a record, edited by hand, that does not fit the guidance before it.
    """
    before = guidance
    for record in reflections:
        guidance = replay_record(guidance, record)
    return end_round(before, guidance)


def replay_record(guidance: MissionGuidance, record: Reflection) -> MissionGuidance:
    """The guidance after one record of a round that has not ended yet. Raises as ``replay`` does."""
    for field, keys in (("tallies", set(record.tallies)), ("cleaned_up", set(record.cleaned_up))):
        if unknown := sorted(keys - set(guidance.metadata)):
            raise mistake(f"unknown_key: {unknown[0]}", "correct the key or remove it", field=field)
    guidance = credit(guidance, record.tallies)
    if record.cleaned_up:
        guidance = remove(guidance, {key: record.left.get(key, CLEANED_UP) for key in record.cleaned_up}, record.round)
    for applied in record.applied:
        operation = of_record(applied.op)
        if why := operation.misfit(guidance):
            raise mistake(why, "correct the operation or remove it", field="applied")
        guidance, _ = operation.apply(guidance, record.reflection_id, record.round)
    for rejected in (rejected for rejected in record.rejected if rejected.remembered):
        if not isinstance(rejected.op, dict) or not isinstance(rejected.op.get("text"), str):
            raise mistake(
                "remembered, but op holds no text", "give the text or set remembered to false", field="rejected"
            )
        guidance = refuse(guidance, rejected.op["text"], rejected.why)
    return tried(guidance, guidance.trials if record.trials is None else record.trials)
