"""When a learnable rule leaves: for a fault that the last epoch shows, or because its first one did not confirm it.

docs/guidance.md (When a rule leaves).
"""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from verdicts.config.sections import LifeCycle
from verdicts.guidance.credit import Account, Birth, account_of, lift_of, p_value, strata_in
from verdicts.guidance.trial import harm_of
from verdicts.records.guidance import MissionGuidance
from verdicts.records.reflection import Reflection
from verdicts.stats.exact_test import exact_p
from verdicts.stats.rates import wilson

_EVEN = 0.5  # a p-value up to this: tickets speak for a rule rather than against it


def leaving(
    guidance: MissionGuidance,
    lives: Mapping[int, Reflection],
    born: Mapping[str, Birth],
    life: LifeCycle,
    last: int,
    per_epoch: int,
) -> dict[str, str]:
    """The rules that have to leave after round ``last``, each with the reason.

    ``lives``: the life-cycle records so far, that of ``last`` included.
    """
    verdicts: Counter[tuple[str, str]] = Counter()
    for number in range(max(0, last - per_epoch) + 1, last + 1):
        if number in lives:
            for pair, count in lives[number].verdicts.items():
                label, _, verdict = pair.partition("/")
                verdicts[label, verdict] += count
    accounts = {
        key: account_of(key, meta.created_round, lives, last, per_epoch) for key, meta in guidance.metadata.items()
    }
    why = {}
    for key, account in accounts.items():
        others = [_surely_right(other) for name, other in accounts.items() if name != key and other.gives == "fail"]
        found = _fault(account, life, verdicts, per_epoch, max(others, default=0.0))
        if found is None and last == guidance.metadata[key].created_round + per_epoch:
            found = _unconfirmed(account, life, born.get(key))
        if found:
            why[key] = found
    return why


def _surely_right(account: Account) -> float:
    """How often at least the verdicts that rest on a rule are right: the lower end of the 95 % interval."""
    return wilson(account.all.hits, account.all.hits + account.all.misses).low or 0.0


def _fault(
    account: Account, life: LifeCycle, verdicts: Mapping[tuple[str, str], int], per_epoch: int, others: float
) -> str | None:
    """What counts against a rule: it is wrong too often, no better than chance, or (over a whole epoch) does harm.

    ``others``: how often at least the best of the other rules that fail tickets is right.
    """
    seen = account.all
    if seen.misses < life.min_miss:
        return None
    turned = seen.hits + seen.misses
    said = f"{seen.hits} right, {seen.misses} wrong"
    upper = wilson(seen.hits, turned).high
    if upper is not None and upper < life.min_precision * (1 - life.label_noise):
        return f"breaks_too_many: {said}"
    settled = account.rounds == per_epoch
    if settled and account.gives == "fail" and upper is not None and upper < life.fail_precision * others:
        return f"no_reason_to_fail: {said}, another rule is right in at least {others:.0%}"
    lift = lift_of(seen)
    if lift is not None and lift.high <= 0:
        return f"no_lift: {said}, {lift.chance:.0%} by chance"
    if settled:
        labelled = sum(count for (label, _), count in verdicts.items() if label != account.gives)
        wrong = (wilson(seen.misses, turned).low or 0.0) * turned if life.sure_harm else seen.misses
        harm = harm_of(turned - wrong, wrong, labelled, life.label_noise)
        if harm > life.max_harm:
            return f"does_harm: {said}, {'at least ' * life.sure_harm}{harm:.1%} more of the other error"
    return None


class Confirming(NamedTuple):
    """The levels of which a rule has to reach one in its first epoch: on fresh tickets, or on all."""

    fresh: float
    all: float


def confirming_levels(account: Account, life: LifeCycle, birth: Birth | None) -> Confirming:
    """What a rule has to show in its first epoch: what its trial left to show.

    On fresh tickets ``confirm``, or what makes ``proof`` together with the level of its trial, whichever asks for less;
    at least that they speak for it rather than against it. On all tickets, of which some were chosen for showing it,
    ``proof``, or ``confirm`` times the level of its trial, whichever asks for less; that level itself where fresh ones
    are too few to show anything.
    """
    level = birth.level if birth else 1.0
    fresh = min(_EVEN, max(life.confirm, life.proof / level)) if level > life.proof else _EVEN
    telling = exact_p(table.best for table in strata_in(account.fresh)) <= fresh
    return Confirming(fresh, max(life.proof, level * (life.confirm if telling or not birth else 1)))


def _unconfirmed(account: Account, life: LifeCycle, birth: Birth | None) -> str | None:
    """Whether its first epoch fails to confirm a rule.

    A rule that a run began with (no birth) is not asked while it has done little wrong: it may be about what is rare.
    """
    if birth is None and account.all.misses < life.min_miss:
        return None
    fresh, seen = account.fresh, account.all
    p_fresh, p_all = p_value(fresh), p_value(seen)
    wanted = confirming_levels(account, life, birth)
    if p_fresh <= wanted.fresh or p_all <= wanted.all:
        return None
    return (
        f"not_confirmed: {fresh.hits} right, {fresh.misses} wrong on tickets that it was not learnt from "
        f"(p {p_fresh:.2g}), {seen.hits} and {seen.misses} on all (p {p_all:.2g})"
    )
