"""What was learnt, as lines for a terminal: guidance as a diff over rounds, the evidence on its rules, what lacks."""

from collections.abc import Mapping

from verdicts.guidance.diff import RuleChange, changes_between, latest_metadata
from verdicts.records.guidance import MissionGuidance, RuleMeta
from verdicts.records.reflection import Trial
from verdicts.report.evidence import Evidence, NearMiss, SharedByErrors, evidence_of, p_text
from verdicts.report.reach import Reach
from verdicts.runs.view import Learnt
from verdicts.stage_b.prompts import render_guidance, rule_number
from verdicts.stats.power import POWER

_KEYS_SHOWN = 3
_ENOUGH = {1: "", 2: "with twice as many tickets ", 4: "with four times as many "}
_SIDES = {"all": "learn tickets", "fresh": "tickets it was not learnt from"}


def guidance_lines(learnt: Learnt) -> list[str]:
    """The starting guidance, each round's changes, and the guidance at the end with the evidence on its rules."""
    states, evidence = learnt.states, evidence_of(learnt)
    known = latest_metadata(states[-1])
    lines = ["Guidance at the start", *_rule_lines(states[0], {})]
    for number, records in enumerate(learnt.reflections, start=1):
        before, after = states[number - 1], states[number]
        if changes := changes_between(before, after, records):
            lines += ["", f"round {number} (epoch {records[0].epoch}), step {before.step} -> {after.step}"]
            lines += [text for change in changes for text in _change_lines(change, known, evidence)]
    if states[-1].step != states[0].step or states[-1].metadata:
        lines += ["", f"Guidance now (step {states[-1].step})", *_rule_lines(states[-1], evidence)]
    return lines


def _rule_lines(guidance: MissionGuidance, evidence: Mapping[str, Evidence]) -> list[str]:
    """The rules, one a line, in key order, each with the evidence on it below."""
    rules = [
        (key, render_guidance({key: guidance.experiences[key]}))
        for key in sorted(guidance.experiences, key=rule_number)
    ]
    return [
        line
        for key, text in rules
        for line in (f"    {text}", *(_evidence_lines(evidence[key]) if key in evidence else []))
    ]


def _evidence_lines(seen: Evidence) -> list[str]:
    """What rests on a rule, on all learn tickets and on those it was not learnt from, and whether it is chance."""
    rounds = f"round {seen.last}" if seen.first == seen.last else f"rounds {seen.first} to {seen.last}"
    lines = [
        f"        {rounds}, {_SIDES[side.name]}: {side.tally.hits} hits, {side.tally.misses} misses"
        + (f", {side.lift}" if side.lift else "")
        for side in seen.sides
    ]
    return [
        *lines,
        *(
            ["        LIVES ON THE BASE RATE: nothing shows that it does better than chance"]
            if seen.on_the_base_rate
            else []
        ),
        *(
            ["        NO VERDICT RESTS ON IT: the model may not know its words, or no ticket calls for it"]
            if seen.silent
            else []
        ),
    ]


def _change_lines(change: RuleChange, known: Mapping[str, RuleMeta], evidence: Mapping[str, Evidence]) -> list[str]:
    """One change: the rule, then where it comes from and what it did; of a rule that left, the evidence on it too."""
    lines = [f"  {change.sign} {change.key}: {change.text}"]
    if change.old_text is not None:
        lines.append(f"      was: {change.old_text}")
    lines.append(f"      {change.reflection_id or 'no reflection record'}: {change.why}")
    if change.trial:
        lines.append(f"      {_trial_text(change.trial)}")
    if meta := change.metadata if change.sign == "-" else known.get(change.key):
        when = "when it left" if change.sign == "-" else "since"
        lines.append(f"      {when}: {meta.hit_count} hits, {meta.miss_count} misses, confidence {meta.confidence:.2f}")
    return lines + (_evidence_lines(evidence[change.key]) if change.sign == "-" and change.key in evidence else [])


def _trial_text(trial: Trial) -> str:
    """What a trial showed: p-value and its level, harm, a foreign object; tickets fixed and broken."""
    level = f", at most {trial.level:.2g} wanted" if trial.level is not None else ""
    harm = f", harm {trial.harm:.1%}" if trial.harm is not None else ""
    foreign = f", names {trial.foreign}, which the checklist does not" if trial.foreign else ""
    fixed, broke = _keys_text(trial.fixed), _keys_text(trial.broke)
    did = f"fixed {fixed} of {trial.errors} wrong, broke {broke} of {trial.corrects} right"
    return f"trial p {p_text(trial.p_value)}{level}{harm}{foreign}: {did}"


def _keys_text(keys: list[str]) -> str:
    """``5 (a, b, c, …)``."""
    shown = ", ".join(keys[:_KEYS_SHOWN]) + (", …" if len(keys) > _KEYS_SHOWN else "")
    return f"{len(keys)} ({shown})" if keys else "0"


def near_lines(near: list[NearMiss]) -> list[str]:
    """The proposals that more tickets would decide."""
    lines = [
        "What more tickets would decide: refused or not confirmed for want of evidence alone "
        "(raise reflect.trial.rounds with them: a trial takes so many windows)"
    ]
    for miss in near:
        lines += [
            f"  {miss.text}",
            f"      p {p_text(miss.p_value)}, at most {miss.level:.2g} wanted: about {miss.times} times as many "
            "tickets like these would settle it",
        ]
    return lines


def reach_lines(reaches: list[Reach]) -> list[str]:
    """What so many tickets can show of rules that fail tickets, and of rules that release them."""
    lines = [
        f"What so many tickets can show: of rules that are right in {reaches[0].precision:.0%} of what they turn, "
        f"as labels are (1 - life_cycle.label_noise), {POWER:.0%} are confirmed"
    ]
    for reach in reaches:
        tickets = reach.errors + reach.corrects
        kind, now, error = (
            ("fail tickets", "pass", "false releases")
            if reach.gives == "fail"
            else ("release tickets", "fail", "false blocks")
        )
        said = ", ".join(
            _ENOUGH[times] + ("none" if share is None else f"from {share:.1%}" + " of them on" * (times == 1))
            for times, share in reach.by_times
        )
        lines += [
            f"  rules that {kind}, of the {tickets} learn tickets that {now} now: {said}",
            f"      {reach.errors} of these {tickets} are {error}; "
            f"wrong labels alone would make about {reach.by_noise}",
        ]
    return lines


def shared_lines(shared: list[SharedByErrors]) -> list[str]:
    """What wrong verdicts share, and no rule says."""
    return [
        "What wrong verdicts share, right ones do not, and no rule was learnt for: someone who knows the mission may "
        "find the words",
        *(
            f"  {one.what}: {one.direction.replace('_', ' ')}s, shown to reflection in {one.calls} "
            f"call{'s' * (one.calls > 1)}"
            for one in shared
        ),
    ]
