"""The gate: whether a student may ship, from its scores before and after training on the same questions.

It must release fewer bad tickets, be shown to stay within ``max_frr`` (configs/base.yaml, ``gate``), keep the other
limits and forget nothing. Changes are paired: exact McNemar for verdicts, a bootstrap over groups for the intervals
(verdicts/stats/paired.py). Which metric is held to what: METRICS (verdicts/evaluation/scores.py).
"""

from verdicts.config.sections import GateSection
from verdicts.evaluation.pairs import Pairs
from verdicts.evaluation.scores import METRICS, Metric, value_of
from verdicts.records.evaluation import ChatScores, Difference, Evaluation, GateRecord, McNemar
from verdicts.records.tickets import Verdict
from verdicts.stats.paired import Parts, change_of, mcnemar_exact
from verdicts.stats.rates import Rate, needed, stands, wilson

RETAINED = {metric.name: metric for metric in METRICS if metric.retained}
UNKNOWN = {"false_block": "no passed ticket has a verdict"}  # why a rate has no tickets to count


def judge_student(before: Evaluation, after: Evaluation, pairs: Pairs, limits: GateSection) -> GateRecord:
    """All differences, and the reasons why the student may not ship."""
    changes = {metric.name: change_in(metric, before, after, pairs, limits) for metric in METRICS}
    retention = {name: changes.pop(name) for name in RETAINED}
    found = [
        *limit_reasons(before, after, limits),
        *retention_reasons(retention, limits.max_retention_loss),
        *unknown_tasks(retention),
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


def limit_reasons(before: Evaluation, after: Evaluation, limits: GateSection) -> list[str]:
    """Which limits the student does not keep after training.

    FRR is judged by its interval: it has to be shown below its limit. A malformed answer is no verdict, so a student
    could hide bad tickets from FRR by talking nonsense: each one to a failed ticket counts as a release here. What a
    false block or a malformed answer costs is work, not safety: there the rate itself is judged.
    """
    reasons = [*fall_reasons(before.chat.frr, after.chat.frr), *release_reasons(after.chat, limits.max_frr)]
    for metric in METRICS:
        found = metric.of(after)
        if not metric.limit or metric.name == "frr":
            continue
        limit, share = getattr(limits, metric.limit), value_of(found)
        if metric.limit.startswith("min_"):
            if (share or 0) < limit:
                reasons.append(f"{metric.brief} rate {share or 0:.2%} is below its limit {limit:.2%}")
        elif share is None:
            reasons.append(f"the {metric.brief} rate is unknown: {UNKNOWN.get(metric.name, 'nothing was counted')}")
        elif share > limit:
            reasons.append(f"{metric.brief} rate {share:.2%} is above its limit {limit:.2%}")
    return reasons


def fall_reasons(old: Rate, new: Rate) -> list[str]:
    """Why FRR is not shown to have fallen."""
    if old.rate is None or new.rate is None:
        return [f"FRR is unknown {'before' if old.rate is None else 'after'}: no failed ticket has a verdict"]
    if new.rate >= old.rate:
        return [f"FRR did not fall: {old.rate:.2%} before, {new.rate:.2%} after"]
    return []


def release_reasons(chat: ChatScores, limit: float) -> list[str]:
    """Why FRR is not shown to be below its limit.

    It is above, would be above with the malformed answers, or too few tickets tell.
    """
    hidden = chat.failed_without_verdict
    worst = wilson(chat.frr.k + hidden, chat.frr.n + hidden)
    if chat.frr.rate is not None and chat.frr.rate > limit:
        return [f"FRR {chat.frr.rate:.2%} is above its limit {limit:.2%}"]
    if stands(worst, limit) == "above":
        return [
            f"FRR would be {worst.rate:.2%}, above its limit {limit:.2%}, "
            f"with the {hidden} malformed answers to failed tickets as releases"
        ]
    if stands(worst, limit) != "unsure":
        return []
    enough = needed(worst, limit)
    what = (
        f"FRR may be above its limit {limit:.2%}: {worst.k} of {worst.n} held-out fails released, "
        f"at most {worst.high:.2%} at 95 %"
    )
    if enough is None:
        return [f"{what}; at this rate no number of fails shows it below"]
    return [f"{what}; at this rate {enough} held-out fails are enough: {enough - worst.n} missing"]


def retention_reasons(retention: dict[str, Difference], most: float) -> list[str]:
    """Which retained scores lost more than ``most``."""
    reasons = []
    for name, found in retention.items():
        if found.before is not None and found.after is None:
            what = f"is unknown after, {found.before:.2%} before"
            reasons.append(f"{RETAINED[name].title} {what}: nothing that was found has any")
        elif found.change is not None and -found.change > most:
            lost = f"lost {-100 * found.change:.2f} points, its limit is {100 * most:g}"
            reasons.append(f"{RETAINED[name].title} {lost}: {found.before:.2%} before, {found.after:.2%} after")
    return reasons


def unknown_tasks(retention: dict[str, Difference]) -> list[str]:
    """The tasks of which no held-out photo tells anything; of a kind that none has, nothing need be told."""
    told = {RETAINED[name].task for name, found in retention.items() if found.before is not None}
    tasks = dict.fromkeys(metric.task for metric in RETAINED.values())
    return [
        f"what the student keeps of {task} is unknown: no photo has anything to score"
        for task in tasks
        if task not in told
    ]


def remarks_on(
    before: Evaluation, after: Evaluation, retention: dict[str, Difference], limits: GateSection
) -> list[str]:
    """What is within its limit by its figure and not by its interval, and is let pass."""
    remarks = []
    limit, most = limits.max_false_block, limits.max_retention_loss
    block = wilson(after.chat.false_block.k, after.chat.false_block.n)
    if stands(block, limit) == "unsure" and (enough := needed(block, limit)):
        remarks.append(
            f"false block may be above its limit {limit:.2%}: {block.k} of {block.n} held-out passes blocked, "
            f"at most {block.high:.2%} at 95 %; {enough} held-out passes would tell"
        )
    for name, found in retention.items():
        if found.change is not None and found.low is not None and -found.change <= most < -found.low:
            lost = f"may have lost up to {-100 * found.low:.2f} points, its limit is {100 * most:g}"
            remarks.append(f"{RETAINED[name].title} {lost}; more held-out photos would tell")
    for when, side in (("before", before), ("after", after)):
        for task, scores in (("summary", side.summary), ("dense", side.dense)):
            if scores.cut_off:
                share = f"{scores.cut_off} of {scores.photos} {task} answers {when} were cut off"
                remarks.append(f"{share}: what they left out counts as not found; raise evaluate.max_new_tokens_dense")
    if after.made_from is None:
        remarks.append("an older version made these evaluations: they do not say from which files and which base")
    return remarks
