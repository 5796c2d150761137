"""Credit: what rests on a rule, and how that compares with chance.

A verdict rests on a rule that it cites if it turns when the rule is left out (or, with ``credit: causal``, on any rule
without which its log-odds fall).
So a rule is a small classifier: among
tickets that have the other verdict without it, it picks some. Its hits are compared with what the same number of
verdicts would hit if it fired at random among those tickets: its **lift** is the share of right ones among what it
turns, less that among all it could turn. Where two labels of three are fail, a rule that fails tickets blindly hits
68 % and lifts nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from verdicts.config.sections import ReflectSection
from verdicts.engines import Engine
from verdicts.guidance.rule_text import counts_photos, photo_class
from verdicts.records.guidance import MissionGuidance
from verdicts.records.reflection import Reflection, RuleTally, Tally
from verdicts.records.rollout import Selection
from verdicts.records.tickets import StageA
from verdicts.stage_b.prompts import Prompts, rule_number
from verdicts.stage_b.protocol import cited_rules
from verdicts.stage_b.selection import OVERRIDE, TIE
from verdicts.stage_b.threshold import judged_verdict
from verdicts.stats.exact_test import Table, exact_p
from verdicts.stats.rates import difference

_UNDECIDED = {OVERRIDE, TIE}


class Birth(NamedTuple):
    """What a rule was learnt from: tickets that reflection was shown or that it was tried on, and its trial's level."""

    tickets: frozenset[str]
    level: float


def births(reflections: Iterable[Reflection]) -> dict[str, Birth]:
    """The births of the rules that these records accepted, by key.

    A rule whose record has no trial (by hand) counts as tried at level 1.
    """
    found: dict[str, Birth] = {}
    for record in reflections:
        for applied in record.applied:
            if applied.key is not None:
                trial = applied.trial
                level = 1.0 if trial is None or trial.level is None else trial.level
                tickets = frozenset(record.ticket_keys) | frozenset(trial.tickets if trial else ())
                found[applied.key] = Birth(tickets, level)
    return found


def tallies_of(
    prompts: Prompts,
    guidance: MissionGuidance,
    selections: Sequence[Selection],
    tickets: Mapping[str, StageA],
    engine: Engine,
    born: Mapping[str, Birth],
    section: ReflectSection,
    threshold: float | None = None,
) -> dict[str, RuleTally]:
    """What rests on each learnable rule among the selections of a round.

    It takes one judgement for each rule that a verdict cites. With ``credit: causal`` it takes one for each ticket and
    rule, and one for each ticket under all rules; a verdict then rests on every rule that raises its log-odds by
    ``min_log_odds``, named in its reason or not, turned by it alone or not. A verdict that the guard gave rests on no
    rule, nor does one that a tie gave. Where a rule turns verdicts both ways, the way of most of them counts.

    ``threshold``: the P(fail) from which on a ticket fails, as in rollout; None: the likelier verdict.
    """
    decided = [selection for selection in selections if not _UNDECIDED & set(selection.warnings)]
    asked = _LeftOut(prompts, guidance, tickets, engine)
    if section.credit == "causal":
        told = asked.judge(guidance.experiences, decided)
        decided = [one for one in decided if judged_verdict(told[one.ticket_key], threshold) == one.verdict]
        resting = dict.fromkeys(guidance.metadata, decided)
    else:
        told, resting = {}, _citing(decided, guidance)
    tallies = {}
    for key in sorted(resting, key=rule_number):
        without = asked.judge({name: text for name, text in guidance.experiences.items() if name != key}, resting[key])
        if told:
            turned = [one for one in resting[key] if _pushes(told, without, one) >= section.min_log_odds]
        else:
            other = {one.ticket_key: judged_verdict(without[one.ticket_key], threshold) for one in resting[key]}
            turned = [one for one in resting[key] if other[one.ticket_key] not in (None, one.verdict)]
        if turned:
            by_photos = not counts_photos(guidance.experiences[key], section.words)
            photos = section.trial.photo_classes if by_photos else None
            fresh_from = born[key].tickets if key in born else frozenset()
            found = _tally_of(turned, selections, tickets, fresh_from, photos)
            tallies[key] = found.model_copy(update={"log_odds": _mean_change(told, without)}) if told else found
    return tallies


def _citing(decided: Sequence[Selection], guidance: MissionGuidance) -> dict[str, list[Selection]]:
    """The verdicts that cite each learnable rule."""
    citing: dict[str, list[Selection]] = defaultdict(list)
    for selection in decided:
        for key in set(cited_rules(selection.reason)) & guidance.metadata.keys():
            citing[key].append(selection)
    return citing


@dataclass(frozen=True)
class _LeftOut:
    """Judges tickets under rules that are not all of the guidance."""

    prompts: Prompts
    guidance: MissionGuidance
    tickets: Mapping[str, StageA]
    engine: Engine

    def judge(
        self, experiences: Mapping[str, str], selections: Sequence[Selection]
    ) -> dict[str, dict[str, float | None]]:
        """Verdict log-probabilities by ticket_key."""
        users = [self.prompts.stage_b_user(self.tickets[one.ticket_key].per_image) for one in selections]
        judged = self.engine.judge(self.prompts.stage_b_system(experiences), users)
        return {one.ticket_key: logprob for one, logprob in zip(selections, judged, strict=True)}


def _mean_change(
    told: Mapping[str, Mapping[str, float | None]], without: Mapping[str, Mapping[str, float | None]]
) -> float:
    """By how much the log-odds of fail are higher with a rule than without it, on average."""
    changes = [
        now - before
        for key, logprob in without.items()
        if (now := _log_odds(told[key])) is not None and (before := _log_odds(logprob)) is not None
    ]
    return round(sum(changes) / len(changes), 6) if changes else 0.0


def _pushes(
    told: Mapping[str, Mapping[str, float | None]],
    without: Mapping[str, Mapping[str, float | None]],
    selection: Selection,
) -> float:
    """By how much a rule raises the log-odds of a selection's verdict; 0 where the model was not asked."""
    now, before = (_log_odds(found[selection.ticket_key]) for found in (told, without))
    if now is None or before is None:
        return 0.0
    return now - before if selection.verdict == "fail" else before - now


def _log_odds(logprob: Mapping[str, float | None]) -> float | None:
    good, bad = logprob["pass"], logprob["fail"]
    return None if good is None or bad is None else bad - good


def _tally_of(
    turned: Sequence[Selection],
    selections: Sequence[Selection],
    tickets: Mapping[str, StageA],
    learnt_from: Collection[str],
    photo_classes: int | None,
) -> RuleTally:
    """The tally of a rule that turned some of a round's selections.

    ``photo_classes``: None for one not tested by them.
    """
    ((gives, _),) = Counter(selection.verdict for selection in turned).most_common(1)
    decided = [selection for selection in turned if selection.verdict == gives]
    left = [row for row in selections if row.verdict != gives and OVERRIDE not in row.warnings]
    photos: dict[str, int] = {}
    if photo_classes is not None:
        keys = [row.ticket_key for row in (*decided, *left)]
        photos = {key: photo_class(tickets[key], photo_classes) for key in keys}
    fresh = _count(
        [row for row in decided if row.ticket_key not in learnt_from],
        [row for row in left if row.ticket_key not in learnt_from],
        photos,
    )
    return RuleTally(**_count(decided, left, photos).model_dump(), gives=gives, fresh=fresh)


def _count(decided: Sequence[Selection], left: Sequence[Selection], photos: Mapping[str, int]) -> Tally:
    """Hits and misses among what a rule decided, errors and corrects among what it left; by photos where these are
    known.
    """

    def four(photo_count: int | None = None) -> list[int]:
        right = [
            [row.label_match for row in rows if photo_count is None or photos[row.ticket_key] == photo_count]
            for rows in (decided, left)
        ]
        return [sum(right[0]), len(right[0]) - sum(right[0]), len(right[1]) - sum(right[1]), sum(right[1])]

    classes = sorted({photos[row.ticket_key] for row in (*decided, *left)}) if photos else []
    return _tally(four(), {str(count): four(count) for count in classes})


def _tally(four: Sequence[int], by_photos: dict[str, list[int]]) -> Tally:
    hits, misses, errors, corrects = four
    return Tally(hits=hits, misses=misses, errors=errors, corrects=corrects, by_photos=by_photos)


def _four(tally: Tally) -> list[int]:
    return [tally.hits, tally.misses, tally.errors, tally.corrects]


def total_tally(tallies: Iterable[Tally]) -> Tally:
    """Tallies of several rounds as one."""
    sums = [0, 0, 0, 0]
    by_photos: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for tally in tallies:
        sums = _added(sums, _four(tally))
        for count, four in tally.by_photos.items():
            by_photos[count] = _added(by_photos[count], four)
    return _tally(sums, dict(sorted(by_photos.items())))


def _added(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [a + b for a, b in zip(one, other, strict=True)]


@dataclass(frozen=True)
class Lift:
    """How much more often than at random a rule's verdicts are right, with a 95 % interval.

    ``chance``: how often at random.
    """

    rate: float
    chance: float
    lift: float
    low: float
    high: float

    def __str__(self) -> str:
        interval = f"[{100 * self.low:+.0f}, {100 * self.high:+.0f}]"
        return f"{self.rate:.0%} right, {self.chance:.0%} by chance: lift {100 * self.lift:+.0f} points {interval}"


def lift_of(tally: Tally) -> Lift | None:
    """The lift of what a tally counts; None where the rule turned nothing, or there was nothing else to turn.

    Turned and untouched tickets are two samples; the interval is that of the difference of their rates
    (metrics.difference), scaled, since the base rate holds the turned ones as well: rate - chance = (rate - rate of the
    rest) * rest / all.
    """
    turned, rest = tally.hits + tally.misses, tally.errors + tally.corrects
    if not turned or not rest:
        return None
    share = rest / (turned + rest)
    apart, low, high = (share * value for value in difference(tally.hits, turned, tally.errors, rest))
    rate = tally.hits / turned
    return Lift(rate, rate - apart, apart, low, high)


def lives_on_the_base_rate(tally: Tally) -> bool:
    """Whether nothing shows that a rule does better than chance: its lift is not surely above zero, or it has none."""
    lift = lift_of(tally)
    return lift is None or lift.low <= 0


def p_value(tally: Tally) -> float:
    """One-sided exact test that what a rule turns is wrong no more often than what it leaves.

    Among tickets with as many photos, unless the rule is about their number.
    """
    return exact_p(strata_in(tally))


def strata_in(tally: Tally) -> list[Table]:
    """The tables of that test: one for each number of photos, or one for all."""
    fours = list(tally.by_photos.values()) or [_four(tally)]
    return [Table(hits, hits + errors, misses, misses + corrects) for hits, misses, errors, corrects in fours]


class Account(NamedTuple):
    """What is known of a rule over the last epoch: on ``all`` learn tickets, and on those it was not learnt from.

    ``gives``: the verdict that it turns tickets to. ``rounds``: how many rounds of an epoch it has been in force, at
    most all.
    """

    all: Tally
    fresh: Tally
    gives: str | None
    rounds: int


def account_of(key: str, created_round: int, lives: Mapping[int, Reflection], last: int, per_epoch: int) -> Account:
    """A rule's account after round ``last``: over the last epoch's worth of life-cycle records, by round."""
    since = max(created_round, last - per_epoch) + 1
    seen = [
        lives[number].tallies[key]
        for number in range(since, last + 1)
        if number in lives and key in lives[number].tallies
    ]
    gives = Counter(tally.gives for tally in seen if tally.gives).most_common(1)
    return Account(
        total_tally(seen),
        total_tally([tally.fresh for tally in seen if tally.fresh]),
        gives[0][0] if gives else None,
        last + 1 - since,
    )
