"""Rules of the miniature world: their texts, G0 checklists, and the verdict that follows from facts.

G0 lists required and forbidden conditions. A learnable rule requires, forbids, asks for a number of photos, or
waives one cause *of G0* (never a cause another rule gives). Texts and rules map to each other exactly, so that an
experiment can count which hidden rules a loop has found.
"""

from collections.abc import Mapping
from typing import NamedTuple

from miniature.world.vocabulary import BIT, DIRECTION, FITTED, NEGATIVE, NOT_NEEDED, POSITIVE

WORDINGS = {
    "require": ("须见{}，缺失则不通过", "缺少{}则不通过", "必须有{}，否则不通过"),
    "forbid": ("出现{}则不通过", "有{}的不通过", "发现{}应判不通过"),
    "waive_missing": ("缺少{}不作为不通过依据", "缺少{}可豁免", "未见{}不影响通过"),
    "waive_negative": ("出现{}不作为不通过依据", "出现{}可豁免", "有{}不影响通过"),
    "photos": ("照片少于{}张则不通过", "至少{}张照片，否则不通过"),
}
PHOTO_COUNTS = (2, 3, 4)
_MAX_CAUSES, _MAX_G0_CAUSES = 3, 2


class WorldRule(NamedTuple):
    """A learnable rule: ``kind`` of WORDINGS, ``what`` a condition name, or a photo count as text."""

    kind: str
    what: str

    def text(self, wording: int = 0) -> str:
        """The rule in words; 0 is the wording that reflection proposes."""
        return WORDINGS[self.kind][wording].format(self.what)


class Facts(NamedTuple):
    """What a ticket shows: the condition bits and the number of photos."""

    bits: int
    photos: int

    @classmethod
    def of(cls, asserted: int, photos: int) -> "Facts":
        """Derive the wind-shield conditions, which hold too where no shield is needed."""
        if asserted & (FITTED | NOT_NEEDED):
            asserted |= BIT["按要求配备挡风板"]
        exempt = asserted & NOT_NEEDED and not asserted & (FITTED | BIT["未按要求配备挡风板"])
        if asserted & DIRECTION or exempt:
            asserted |= BIT["挡风板安装方向正确"]
        return cls(asserted, photos)


class G0(NamedTuple):
    """A mission's checklist."""

    required: tuple[str, ...]
    forbidden: tuple[str, ...]

    def text(self, style: int = 0) -> str:
        """The checklist in words; style 0 is the shipped one."""
        need, ban = "、".join(self.required), "、".join(self.forbidden)
        wind = bool({"按要求配备挡风板", "挡风板安装方向正确"} & set(self.required))
        if style == 0:
            head = "机柜空间充足需要安装时，须见且符合要求：" if wind else "须见且符合要求："
            return (
                head
                + need
                + ("（无需安装视为满足）" if wind else "")
                + (f"；出现以下任一情形不通过：{ban}" if ban else "")
            )
        if style == 1:
            return f"必备：{need}" + (f"；否决：{ban}" if ban else "")
        if style == 2:
            return "；".join(
                [f"须有{name}" for name in self.required] + [f"出现{name}则不通过" for name in self.forbidden]
            )
        if style == 3:
            return f"缺少{'或'.join(self.required)}不通过" + (f"；有{'或'.join(self.forbidden)}不通过" if ban else "")
        return f"检查{need}是否齐全且合格" + (f"，并且不得有{ban}" if ban else "")


G0_STYLES = 5


class Judgement(NamedTuple):
    """A verdict (``pass`` or ``fail``), its causes and the waived ones, each with the rule key it rests on."""

    verdict: str
    causes: tuple[tuple[str, str], ...]
    waived: tuple[tuple[str, str], ...]


def _all_rules() -> list[WorldRule]:
    rules = [WorldRule(kind, name) for kind in ("require", "waive_missing") for name in POSITIVE]
    rules += [WorldRule(kind, name) for kind in ("forbid", "waive_negative") for name in NEGATIVE]
    return rules + [WorldRule("photos", str(n)) for n in PHOTO_COUNTS]


ALL_RULES = tuple(_all_rules())
_BY_TEXT = {rule.text(w): rule for rule in ALL_RULES for w in range(len(WORDINGS[rule.kind]))}


def parse_rule(text: str) -> WorldRule | None:
    """The rule a text states, in any of its wordings; None for any other text."""
    return _BY_TEXT.get(text.strip().rstrip("。"))


def apply_rules(facts: Facts, g0: G0, rules: Mapping[str, WorldRule | None]) -> Judgement:
    """The right verdict under a checklist and learnable rules (key -> rule; None has no effect)."""
    missing_ok = {rule.what: key for key, rule in reversed(rules.items()) if rule and rule.kind == "waive_missing"}
    negative_ok = {rule.what: key for key, rule in reversed(rules.items()) if rule and rule.kind == "waive_negative"}
    causes: list[tuple[str, str]] = []
    waived: list[tuple[str, str]] = []
    for name in g0.required:
        if not facts.bits & BIT[name]:
            _sort_cause(f"缺少{name}", missing_ok.get(name), causes, waived)
    for name in g0.forbidden:
        if facts.bits & BIT[name]:
            _sort_cause(f"出现{name}", negative_ok.get(name), causes, waived)
    more = []
    for key, rule in rules.items():
        if rule is None:
            continue
        if rule.kind == "require" and not facts.bits & BIT[rule.what]:
            more.append((f"缺少{rule.what}", key))
        elif rule.kind == "forbid" and facts.bits & BIT[rule.what]:
            more.append((f"出现{rule.what}", key))
        elif rule.kind == "photos" and facts.photos < int(rule.what):
            more.append((f"照片少于{rule.what}张", key))
    return Judgement(
        "fail" if causes or more else "pass",
        (*causes[:_MAX_G0_CAUSES], *more) if more else tuple(causes),
        tuple(waived),
    )


def _sort_cause(cause: str, waiver: str | None, causes: list[tuple[str, str]], waived: list[tuple[str, str]]) -> None:
    if waiver is None:
        causes.append((cause, "G0"))
    else:
        waived.append((cause, waiver))


def verdict(facts: Facts, g0: G0, rules: Mapping[str, WorldRule | None]) -> str:
    """``pass`` or ``fail``: apply_rules without the causes, for the many tickets that are drawn and passed over."""
    bits, meant = facts.bits, set(rules.values())
    for rule in meant:
        if rule is not None and _fails(rule, facts):
            return "fail"
    for name in g0.required:
        if not bits & BIT[name] and ("waive_missing", name) not in meant:
            return "fail"
    for name in g0.forbidden:
        if bits & BIT[name] and ("waive_negative", name) not in meant:
            return "fail"
    return "pass"


def _fails(rule: WorldRule, facts: Facts) -> bool:
    kind, what = rule
    if kind == "require":
        return not facts.bits & BIT[what]
    if kind == "forbid":
        return bool(facts.bits & BIT[what])
    return kind == "photos" and facts.photos < int(what)


def reason_text(facts: Facts, g0: G0, judgement: Judgement) -> str:
    """The one-line reason a teacher should write: causes, or what is in order and what was waived."""
    if judgement.verdict == "fail":
        return "；".join(f"{cause}({key})" for cause, key in judgement.causes[:_MAX_CAUSES])
    seen = [name for name in g0.required if facts.bits & BIT[name]][:_MAX_CAUSES]
    parts = ["、".join(seen) + "符合要求(G0)" if seen else "无不通过情形(G0)"]
    return "；".join(parts + [f"{cause}可豁免({key})" for cause, key in judgement.waived[:2]])
