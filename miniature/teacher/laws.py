"""Verdict samples under laws that no single rule states: both of two faults, a waiver on a condition, a count.

The words are others than those in which miniature/world/harder.py tells its laws. Beside the law stand nought to two
plain rules. Tickets on which the law and its parts differ are preferred.
"""

from random import Random
from typing import NamedTuple

from miniature.teacher.verdict_data import (
    WEIGHTED_MISSIONS,
    VerdictSample,
    draw_g0,
    draw_rules,
    rule_keys,
    verdict_sample,
    worded_widely,
)
from miniature.teacher.wordings import sentences
from miniature.world.dataset import fail_rules, tune, waive_rules
from miniature.world.missions import SyntheticMission
from miniature.world.prompts import prompts_of
from miniature.world.rules import G0, Facts, Judgement, WorldRule, apply_rules, reason_text, verdict
from miniature.world.tickets import SyntheticTicket, base_profile, plan_ticket, write_ticket
from miniature.world.vocabulary import BIT
from verdicts.stage_b.protocol import render

_SHARE = 0.09  # of the verdict samples
_KINDS = {"both": 0.4, "waiver": 0.35, "count": 0.25}
_BOTH = """
[既|若既]A[又|，又]B[的|，|则|就]<NO>
[只有|仅当]A[并且|且|并|同时还]B[时才|才|，才]<NO>
A[并且|，并且|，同时又|，又]B[的|，|才|则]<NO>
A[和|与|及]B[两者都有|都有|同时存在|兼有][则|才|就|的]<NO>
[单有|只是|仅]A不[打回|否决]，[连同|加上|又]B才<NO>
"""
_WAIVER = """
[有|见到|看到]Y[时|的]，A[可以放行|也通过|仍可通过|不打回|不否决]
A，[有|见到]Y[就|则]通过，[没有|未见]Y[就|则]<NO>
[见到|有|看到]Y的，A[也通过|不打回|可放行]；否则，A[则|就|要]<NO>
A不[打回|否决|判否]，除非[没有|未见|缺少]Y
A[仅|只]在[有|见到|看到]Y时[可通过|放行|不打回|可豁免]
A[可放行|不打回|不要紧]，[但|不过][没有|未见|看不到]Y[的|就|仍|还是]<NO>
"""
_COUNT = """
[至少|最少|须有|要有][两张|2张]照片[见到|拍到|看到|有]X，[否则|不然|不足则|不够就]<NO>
[拍到|看到|有]X的照片[不足|不到|不够][两张|2张][则|就|的|，]<NO>
X[须|要|应|必须]在[两张|2张][以上|或更多]照片中[出现|见到|看到]，[否则|不然]<NO>
只有一张照片[有|见到|拍到]X[，|的|也|则]<NO>，没有的同样
[不足|少于][两张|2张]照片[有|见到|拍到]X[则|就|的]<NO>
"""
_SAID = {
    kind: tuple(sentences(line) for line in patterns.split("\n") if line)
    for kind, patterns in (("both", _BOTH), ("waiver", _WAIVER), ("count", _COUNT))
}


class ToldLaw(NamedTuple):
    """``kind`` of _KINDS; ``one``, ``other``: the rules it is made of (``other`` requires what a waiver asks for)."""

    kind: str
    one: WorldRule
    other: WorldRule

    def text(self, rng: Random) -> str:
        """The law in words."""
        said = rng.choice(rng.choice(_SAID[self.kind]))
        swaps = {"A": _cause(rng, self.one), "B": _cause(rng, self.other), "X": self.one.what, "Y": self.other.what}
        return "".join(swaps.get(letter, letter) for letter in said)

    def fires(self, facts: Facts, seen: tuple[int, ...]) -> bool:
        """Whether the law alone fails a ticket; a waiver never does."""
        if self.kind == "both":
            return _fires(self.one, facts) and _fires(self.other, facts)
        return self.kind == "count" and sum(bool(bits & BIT[self.one.what]) for bits in seen) < 2

    def judge(self, ticket: SyntheticTicket, g0: G0, rules: dict[str, WorldRule], key: str) -> Judgement:
        """The right verdict under a checklist, rules and, by its key, the law."""
        if self.kind == "waiver":
            held = not _fires(self.other, ticket.facts)
            return apply_rules(ticket.facts, g0, rules | {key: self.one} if held else rules)
        found = apply_rules(ticket.facts, g0, rules)
        if not self.fires(ticket.facts, ticket.seen):
            return found
        said = "且".join(map(_plain_cause, (self.one, self.other)))
        cause = said if self.kind == "both" else f"见到{self.one.what}的照片少于2张"
        return Judgement("fail", (*found.causes[:2], (cause, key)), found.waived)


def _fires(rule: WorldRule, facts: Facts) -> bool:
    """Whether a rule alone fails a ticket."""
    return verdict(facts, G0((), ()), {"": rule}) == "fail"


def _plain_cause(rule: WorldRule) -> str:
    """What speaks against a ticket, as reasons say it."""
    said = {"require": "缺少{}", "waive_missing": "缺少{}", "photos": "照片少于{}张"}
    return said.get(rule.kind, "出现{}").format(rule.what)


def _cause(rng: Random, rule: WorldRule) -> str:
    if rule.kind == "photos":
        return _plain_cause(rule)
    missing = rule.kind in ("require", "waive_missing")
    return rng.choice(("缺少", "没有", "未见", "看不到") if missing else ("出现", "有", "见到", "发现")) + rule.what


def draw_law(rng: Random, mission: SyntheticMission, g0: G0) -> ToldLaw:
    """A law whose parts can decide tickets under the checklist."""
    kind = rng.choices(list(_KINDS), list(_KINDS.values()))[0]
    named = (*g0.required, *g0.forbidden)
    fails = [rule for rule in fail_rules(mission) if rule.what not in named]
    if kind == "both":
        return ToldLaw(kind, *rng.sample(fails, 2))
    asked = [rule for rule in fails if rule.kind == "require"]
    if kind == "count":
        return ToldLaw(kind, rng.choice(asked), asked[0])
    waivers = [rule for rule in waive_rules(mission) if rule.what in named]
    return (
        ToldLaw(kind, rng.choice(waivers), rng.choice(asked))
        if waivers
        else ToldLaw("count", rng.choice(asked), asked[0])
    )


def law_sample(rng: Random) -> VerdictSample:
    """One sample under a law and perhaps plain rules."""
    mission = rng.choice(WEIGHTED_MISSIONS)
    g0, words = draw_g0(rng, mission)
    law = draw_law(rng, mission, g0)
    about = {law.one.what, law.other.what}
    rules = [rule for rule in draw_rules(rng, mission) if rule.what not in about][: rng.randrange(3)]
    keys = rule_keys(rng, len(rules) + 1)
    key = keys.pop(rng.randrange(len(keys)))
    meant = dict(zip(keys, rules, strict=True))
    said = {key: law.text(rng)} | {k: worded_widely(rng, rule) for k, rule in meant.items()}
    guidance = {"G0": words} | {k: said[k] for k in sorted(said, key=lambda k: int(k[1:]))}
    profile = base_profile(mission, real=rng.random() < 0.3)
    for rule in (*rules, law.one, law.other):
        tune(profile, rule, rng, wide=True)
    ticket = _ticket(rng, mission, g0, law, meant, profile)
    judgement = law.judge(ticket, g0, meant, key)
    prompts = prompts_of(mission.name)
    return VerdictSample(
        prompts.stage_b_system(guidance),
        prompts.stage_b_user(ticket.per_image),
        render(judgement.verdict, reason_text(ticket.facts, g0, judgement)),
    )


def _ticket(rng: Random, mission: SyntheticMission, g0: G0, law: ToldLaw, rules: dict, profile) -> SyntheticTicket:
    """A ticket that is in order but for the law's parts, mostly; of these each combination about as often."""
    wanted = (rng.random() < 0.55, rng.random() < 0.55)
    careful = rng.random() < 0.8
    for _ in range(16):
        plan = plan_ticket(rng, mission, profile)
        facts = plan.expected()
        first = _fires(WorldRule(_against(law.one), law.one.what), facts)
        if law.kind == "count":
            if careful and (first != (rng.random() < 0.2) or verdict(facts, g0, rules) == "fail"):
                continue
        elif (first, _fires(law.other, facts)) != wanted:
            continue
        waived = rules | {"": law.one} if law.kind == "waiver" else rules
        if not careful or verdict(facts, g0, waived) == "pass":
            break
    return write_ticket(rng, mission, profile, plan)


def _against(rule: WorldRule) -> str:
    """The kind of a rule that fails what the rule fails or waives."""
    return {"waive_missing": "require", "waive_negative": "forbid"}.get(rule.kind, rule.kind)


def any_verdict_sample(rng: Random) -> VerdictSample:
    """One training sample, under plain rules or, now and then, a law."""
    return law_sample(rng) if rng.random() < _SHARE else verdict_sample(rng)
