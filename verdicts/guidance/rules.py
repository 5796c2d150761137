"""Guidance: numbered rules that are added, changed, credited and dropped. Pure functions on ``MissionGuidance``.

G0 is the mission's checklist and read-only. A key, once removed, is never used again, and a text that was removed or
refused is remembered and not accepted again until something new to the run was learnt. ``step`` grows by one with every
change of a rule.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping

from verdicts.base.errors import mistake
from verdicts.config.sections import Mission
from verdicts.records.guidance import MissionGuidance, RemovedRule, RuleMeta
from verdicts.records.reflection import Operation, Reflection, RuleTally
from verdicts.records.tickets import StageA
from verdicts.stage_b.prompts import rule_number
from verdicts.stage_b.protocol import third_state_word

_NOT_TEXT = re.compile(r"[\W_]+")
_ID = re.compile(r"QC-|\d{5,}", re.IGNORECASE)
_LABEL_TEXT = re.compile(r"标签[/:：]?([^，；,×]+)")
CLEANED_UP = "confidence below threshold"  # why a rule left whose record, of an older version, does not say
_REPLACED = "replaced by "  # begins the reason of a text that an update took the place of
_DETAIL = re.compile(r"[A-Za-z0-9]|站$|局$|机房$")


def start(mission: Mission) -> MissionGuidance:
    """The guidance a run starts from: the checklist, and the mission's own rules where it has any."""
    guidance = MissionGuidance(step=0, experiences={"G0": mission.g0}, metadata={}, last_applied_rule_keys=[])
    for text in mission.rules:
        guidance, _ = change(
            guidance, Operation(op="add", text=text, rationale="mission config", evidence=[]), "start", 0
        )
    return guidance


def confidence(hits: int, misses: int) -> float:
    """(hits + 1) / (hits + misses + 2): Laplace's rule of succession."""
    return round((hits + 1) / (hits + misses + 2), 6)


def normal(text: str) -> str:
    """A rule text without width, case, space and punctuation, for telling equal rules."""
    return _NOT_TEXT.sub("", unicodedata.normalize("NFKC", text)).lower()


def details_of(tickets: Iterable[StageA]) -> set[str]:
    """Texts that belong to single tickets and must not enter a rule: group ids, and label texts with ids or site names.

    A label that is one plain acronym (RRU, GPS) is a word of the trade, not a detail.
    """
    details: set[str] = set()
    for ticket in tickets:
        details.add(ticket.group_id)
        labels = (found.strip() for summary in ticket.per_image.values() for found in _LABEL_TEXT.findall(summary))
        details.update(
            label
            for label in labels
            if len(label) >= 3 and _DETAIL.search(label) and not (label.isascii() and label.isalpha())
        )
    return details


def misfit(operation: Operation, guidance: MissionGuidance) -> str | None:
    """Why an operation cannot be applied at all (a reason word and the value), or None."""
    keys = (
        [operation.key] if operation.op in ("update", "delete") else operation.keys if operation.op == "merge" else []
    )
    if operation.op == "merge" and len(set(keys)) < 2:
        return "merge_needs_two_keys"
    for key in keys:
        if key == "G0":
            return "g0_is_read_only"
        if key not in guidance.experiences:
            return f"unknown_key: {key}"
    text = operation.text or ""
    if operation.op != "delete" and (not normal(text) or text.splitlines() != [text]):
        return "not_one_line"
    return None


def refusal(
    operation: Operation, guidance: MissionGuidance, details: Iterable[str], max_chars: int, max_rules: int
) -> str | None:
    """Why a proposed operation may not be applied (a reason word and the value), or None."""
    if why := misfit(operation, guidance):
        return why
    if not operation.evidence:
        return "no_evidence"
    if operation.op == "delete":
        return None
    if operation.op == "add" and len(guidance.experiences) > max_rules:
        return "too_many_rules"
    return _text_refusal(operation.text, guidance, details, max_chars)


def _text_refusal(text: str, guidance: MissionGuidance, details: Iterable[str], max_chars: int) -> str | None:
    if len(text) > max_chars:
        return f"too_long: {len(text)} characters"
    if word := third_state_word(text):
        return f"third_state: {word}"
    if _ID.search(text):
        return f"copied_detail: {_ID.search(text).group()}"
    if copied := sorted(detail for detail in details if detail in text):
        return f"copied_detail: {copied[0]}"
    wanted = normal(text)
    for key, known in guidance.experiences.items():
        if normal(known) == wanted:
            return f"duplicate_of: {key}"
    left = {key: removed.round for key, removed in guidance.removed.items() if normal(removed.text) == wanted}
    if left and not _learnt_since(max(left.values()), guidance, wanted):
        return f"removed_before: {max(left, key=rule_number)}"
    for known, why in guidance.refused.items():
        if normal(known) == wanted:
            return f"refused_before: {why}"
    return None


def _learnt_since(round_number: int, guidance: MissionGuidance, but: str) -> bool:
    """Whether in this round or later a text (normal, not ``but``) was accepted that no earlier rule had.

    A right rule may leave because verdicts that rest on it fail for a reason that is still to be learnt; when that is
    learnt, it may be tried again. What was known when it left is no ground, so two rules cannot call each other back
    for ever.
    """
    accepted = [
        (guidance.metadata[key].created_round, text)
        for key, text in guidance.experiences.items()
        if key in guidance.metadata
    ]
    accepted += [(removed.metadata.created_round, removed.text) for removed in guidance.removed.values()]
    first = {normal(text): created for created, text in sorted(accepted, reverse=True)}
    return any(created >= round_number for text, created in first.items() if text != but)


def new_key(guidance: MissionGuidance) -> str:
    """The next key after every key that was ever used."""
    return f"G{max(rule_number(key) for key in [*guidance.experiences, *guidance.removed]) + 1}"


def change(
    guidance: MissionGuidance, operation: Operation, reflection_id: str, round_number: int
) -> tuple[MissionGuidance, str | None]:
    """Apply one accepted operation. Returns the guidance after it and the key of the new text (None for a delete).

    An update keeps its key and starts to count anew; the replaced text is remembered as refused.
    """
    gone = {"delete": [operation.key], "merge": operation.keys}.get(operation.op, [])
    refused = dict(guidance.refused)
    key = None
    if operation.op == "update":
        key = operation.key
        refused[guidance.experiences[key]] = f"{_REPLACED}{reflection_id}"
    elif operation.op in ("add", "merge"):
        key = new_key(guidance)
    guidance = (
        remove(guidance, dict.fromkeys(gone, f"{operation.op} by {reflection_id}"), round_number)
        if gone
        else _copy(guidance, step=guidance.step + 1)
    )
    if key is None:
        return guidance, None
    meta = RuleMeta(
        hit_count=0, miss_count=0, confidence=confidence(0, 0), reflection_id=reflection_id,
        sources=list(operation.evidence), rationale=operation.rationale, created_round=round_number,
    )  # fmt: skip
    return _copy(
        guidance,
        experiences={**guidance.experiences, key: operation.text},
        metadata={**guidance.metadata, key: meta},
        last_applied_rule_keys=[key],
        refused=refused,
    ), key


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


def settle(before: MissionGuidance, after: MissionGuidance) -> MissionGuidance:
    """The end of a round: where it accepted a text new to the run, texts that did harm when tried may be tried again;
    no step.
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


def replay(guidance: MissionGuidance, reflections: Iterable[Reflection]) -> MissionGuidance:
    """The guidance after a round, from the guidance before it and the round's reflection records.

    Raises UserError (without a place) for a record, edited by hand, that does not fit the guidance before it.
    """
    before = guidance
    for record in reflections:
        guidance = replay_record(guidance, record)
    return settle(before, guidance)


def replay_record(guidance: MissionGuidance, record: Reflection) -> MissionGuidance:
    """The guidance after one record of a round, which has not settled yet. Raises as ``replay`` does."""
    for field, keys in (("tallies", record.tallies), ("cleaned_up", record.cleaned_up)):
        if unknown := sorted(set(keys) - set(guidance.metadata)):
            raise mistake(f"unknown_key: {unknown[0]}", "correct the key or remove it", field=field)
    guidance = credit(guidance, record.tallies)
    if record.cleaned_up:
        guidance = remove(guidance, {key: record.left.get(key, CLEANED_UP) for key in record.cleaned_up}, record.round)
    for applied in record.applied:
        if why := misfit(applied.op, guidance):
            raise mistake(why, "correct the operation or remove it", field="applied")
        guidance, _ = change(guidance, applied.op, record.reflection_id, record.round)
    for rejected in (rejected for rejected in record.rejected if rejected.remembered):
        if not isinstance(rejected.op, dict) or not isinstance(rejected.op.get("text"), str):
            raise mistake(
                "remembered, but op holds no text", "give the text or set remembered to false", field="rejected"
            )
        guidance = refuse(guidance, rejected.op["text"], rejected.why)
    return tried(guidance, guidance.trials if record.trials is None else record.trials)


def _copy(guidance: MissionGuidance, **changes: object) -> MissionGuidance:
    return MissionGuidance.model_validate(
        {**{name: getattr(guidance, name) for name in MissionGuidance.model_fields}, **changes}
    )
