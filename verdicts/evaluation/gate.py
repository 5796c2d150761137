"""The gate: whether a student may ship, from its scores before and after training on the same questions.

It must release fewer bad tickets, be shown to stay within ``max_frr`` (configs/base.yaml, ``gate``), keep the other
limits and forget nothing. Changes are paired: exact McNemar for verdicts, a bootstrap over groups for the intervals
(verdicts/stats/paired.py). Which metric is held to what: METRICS (verdicts/evaluation/scores.py).
"""

from statistics import NormalDist

from verdicts.config.sections import GateSection
from verdicts.evaluation.gate_words import gate_sentence
from verdicts.evaluation.pairs import Pairs
from verdicts.evaluation.scores import METRICS, Metric, value_of
from verdicts.records.evaluation import Behaviour, ChatScores, Difference, Evaluation, GateRecord, McNemar
from verdicts.records.tickets import Verdict
from verdicts.stats.paired import Parts, change_of, mcnemar_exact
from verdicts.stats.rates import Z95, Rate, needed, stands, wilson

LEVEL = 0.05  # of the interval that FRR is judged by, where looks are free
RETAINED = {metric.name: metric for metric in METRICS if metric.retained}
UNKNOWN = {"false_block": "no passed ticket has a verdict"}  # why a rate has no tickets to count


def judge_student(
    before: Evaluation,
    after: Evaluation,
    pairs: Pairs,
    limits: GateSection,
    behaviour: Behaviour | None = None,
    level: float = LEVEL,
) -> GateRecord:
    """All differences, and the reasons why the student may not ship.

    ``behaviour``: of the taught student. ``level``: of the interval that FRR is judged by, 0.05 for 95 %.
    """
    changes = {metric.name: change_in(metric, before, after, pairs, limits) for metric in METRICS}
    retention = {name: changes.pop(name) for name in RETAINED}
    found = [
        *limit_reasons(before, after, limits, level),
        *retention_reasons(retention, limits.max_retention_loss),
        *unknown_tasks(retention),
        *(behaviour_reasons(behaviour, limits.max_behaviour) if behaviour else []),
    ]
    return GateRecord(
        passed=not found,
        reasons=found,
        remarks=remarks_on(before, after, retention, limits),
        before=before,
        after=after,
        mcnemar={"false_release": mcnemar(pairs, "fail"), "false_block": mcnemar(pairs, "pass")},
        chat=changes,
        retention=retention,
    )


def change_in(metric: Metric, before: Evaluation, after: Evaluation, pairs: Pairs, limits: GateSection) -> Difference:
    """The change of one metric, unknown where a side has nothing to score."""
    was, now = value_of(metric.of(before)), value_of(metric.of(after))
    if was is None or now is None:
        return Difference(before=was, after=now, change=None, low=None, high=None)
    groups: dict[str, list[Parts]] = {}
    for old, new in pairs:
        if old.task == metric.task:
            groups.setdefault(old.group_id, []).append(Parts(*metric.adds(old), *metric.adds(new)))
    change = change_of(groups, limits.resamples, limits.seed)
    return Difference(before=was, after=now, **change._asdict())


def mcnemar(pairs: Pairs, label: Verdict) -> McNemar:
    """Wrong verdicts on the tickets of a label, before against after."""
    of_label = [(old, new) for old, new in pairs if old.task == "chat" and old.label == label]
    whole = [(old.right, new.right) for old, new in of_label if old.verdict and new.verdict]
    only_before, only_after = whole.count((False, True)), whole.count((True, False))
    return McNemar(
        pairs=len(whole),
        only_before=only_before,
        only_after=only_after,
        left_out=len(of_label) - len(whole),
        p_value=mcnemar_exact(only_before, only_after),
    )


def limit_reasons(before: Evaluation, after: Evaluation, limits: GateSection, level: float = LEVEL) -> list[str]:
    """Which limits the student does not keep after training.

    FRR is judged by its interval: it has to be shown below its limit. A malformed answer is no verdict, so a student
    could hide bad tickets from FRR by talking nonsense: each one to a failed ticket counts as a release here. What a
    false block or a malformed answer costs is work, not safety: there the rate itself is judged.
    """
    reasons = [*fall_reasons(before.chat.frr, after.chat.frr), *release_reasons(after.chat, limits.max_frr, level)]
    for metric in METRICS:
        found = metric.of(after)
        if not metric.limit or metric.name == "frr":
            continue
        limit, share = getattr(limits, metric.limit), value_of(found)
        if metric.limit.startswith("min_"):
            if (share or 0) < limit:
                said = {"rate": f"{share or 0:.2%}", "limit": f"{limit:.2%}"}
                reasons.append(gate_sentence("below", metric=metric.brief, **said))
        elif share is None:
            why = UNKNOWN.get(metric.name, "nothing was counted")
            reasons.append(gate_sentence("unknown", metric=metric.brief, why=why))
        elif share > limit:
            said = {"rate": f"{share:.2%}", "limit": f"{limit:.2%}"}
            reasons.append(gate_sentence("above", metric=metric.brief, **said))
    return reasons


def behaviour_reasons(behaviour: Behaviour, limit: float | None) -> list[str]:
    """Which kinds of behavioural tests fail too often, and which no ticket fits."""
    reasons = []
    for name, kind in behaviour.kinds.items():
        found = kind.failed
        if limit is None:
            continue
        if found.rate is None:
            reasons.append(gate_sentence("behaviour_unknown", kind=name))
        elif found.rate > limit:
            said = {"k": found.k, "n": found.n, "rate": f"{found.rate:.2%}", "limit": f"{limit:.2%}"}
            reasons.append(gate_sentence("behaviour", kind=name, **said))
    return reasons


def fall_reasons(old: Rate, new: Rate) -> list[str]:
    """Why FRR is not shown to have fallen."""
    if old.rate is None or new.rate is None:
        return [gate_sentence("frr_unknown", when="before" if old.rate is None else "after")]
    if new.rate >= old.rate:
        return [gate_sentence("frr_stays", old=f"{old.rate:.2%}", new=f"{new.rate:.2%}")]
    return []


def release_reasons(chat: ChatScores, limit: float, level: float = LEVEL) -> list[str]:
    """Why FRR is not shown to be below its limit.

    It is above, would be above with the malformed answers, or too few tickets tell.
    """
    hidden, z = chat.failed_without_verdict, Z95 if level == LEVEL else NormalDist().inv_cdf(1 - level / 2)
    worst = wilson(chat.frr.k + hidden, chat.frr.n + hidden, z)
    if chat.frr.rate is not None and chat.frr.rate > limit:
        return [gate_sentence("frr_above", rate=f"{chat.frr.rate:.2%}", limit=f"{limit:.2%}")]
    if stands(worst, limit) == "above":
        return [gate_sentence("frr_hidden", rate=f"{worst.rate:.2%}", limit=f"{limit:.2%}", n=hidden)]
    if stands(worst, limit) != "unsure":
        return []
    enough, sure = needed(worst, limit, z), f"{100 * (1 - level):.4g} %"
    said = {"limit": f"{limit:.2%}", "k": worst.k, "n": worst.n, "high": f"{worst.high:.2%}", "sure": sure}
    if enough is None:
        return [gate_sentence("frr_hopeless", **said)]
    return [gate_sentence("frr_unsure", **said, enough=enough, missing=enough - worst.n)]


def retention_reasons(retention: dict[str, Difference], most: float) -> list[str]:
    """Which retained scores lost more than ``most``."""
    reasons = []
    for name, found in retention.items():
        if found.before is not None and found.after is None:
            reasons.append(gate_sentence("lost_sight", metric=RETAINED[name].title, before=f"{found.before:.2%}"))
        elif found.change is not None and -found.change > most:
            sides = {"before": f"{found.before:.2%}", "after": f"{found.after:.2%}"}
            fall = {"points": f"{-100 * found.change:.2f}", "most": f"{100 * most:g}"}
            reasons.append(gate_sentence("lost", metric=RETAINED[name].title, **fall, **sides))
    return reasons


def unknown_tasks(retention: dict[str, Difference]) -> list[str]:
    """The tasks of which no held-out photo tells anything; of a kind that none has, nothing need be told."""
    told = {RETAINED[name].task for name, found in retention.items() if found.before is not None}
    tasks = dict.fromkeys(metric.task for metric in RETAINED.values())
    return [gate_sentence("task_unknown", task=task) for task in tasks if task not in told]


def remarks_on(
    before: Evaluation, after: Evaluation, retention: dict[str, Difference], limits: GateSection
) -> list[str]:
    """What is within its limit by its figure and not by its interval, and is let pass."""
    remarks = []
    limit, most = limits.max_false_block, limits.max_retention_loss
    block = wilson(after.chat.false_block.k, after.chat.false_block.n)
    if stands(block, limit) == "unsure" and (enough := needed(block, limit)):
        said = {"limit": f"{limit:.2%}", "high": f"{block.high:.2%}"}
        remarks.append(gate_sentence("block_unsure", k=block.k, n=block.n, enough=enough, **said))
    for name, found in retention.items():
        if found.change is not None and found.low is not None and -found.change <= most < -found.low:
            fall = {"points": f"{-100 * found.low:.2f}", "most": f"{100 * most:g}"}
            remarks.append(gate_sentence("may_have_lost", metric=RETAINED[name].title, **fall))
    for when, side in (("before", before), ("after", after)):
        for task, scores in (("summary", side.summary), ("dense", side.dense)):
            if scores.cut_off:
                remarks.append(gate_sentence("cut_off", k=scores.cut_off, n=scores.photos, task=task, when=when))
    if after.made_from is None:
        remarks.append(gate_sentence("old_version"))
    return remarks
