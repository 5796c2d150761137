"""The tickets of the miniature world.

A ticket starts as the set of conditions that hold (drawn from a ``Profile``), which are then placed into photos
and worded by ``vocabulary``. The facts returned are those of the words written, so they are exact.
"""

from dataclasses import dataclass
from functools import reduce
from operator import or_
from random import Random
from typing import NamedTuple

from miniature.world.missions import BBU_FAULTS, BBU_REMARKS, MISSIONS, RRU_FAULTS, SyntheticMission
from miniature.world.rules import Facts
from miniature.world.vocabulary import (
    BAD_OF,
    BIT,
    BRANDS,
    FITTED,
    NOT_NEEDED,
    REMARKS,
    SCREWS,
    Segment,
    bare_sleeve_remark,
    compliant,
    compliant_together,
    device,
    faulty,
    fibre,
    label,
    mentioned,
    missing_screw_remark,
    pigtail,
    remark,
    rru,
    shield,
    wires,
)  # fmt: skip

__all__ = [
    "MISSIONS",
    "Profile",
    "SyntheticMission",
    "SyntheticTicket",
    "TicketPlan",
    "base_profile",
    "make_ticket",
    "plan_ticket",
    "write_ticket",
]


@dataclass
class Profile:
    """How often a ticket shows each condition, which brand and how many photos (weights of 1, 2, 3, 4, 5+)."""

    rates: dict[str, float]
    brands: list[float]
    photos: list[float]
    extras: float = 1.0


def base_profile(mission: SyntheticMission, real: bool = False) -> Profile:
    """The natural rates of a mission; ``real`` is nearer to real tickets: more remarks, cut views, bad labels."""
    rates = dict.fromkeys(("地线标签", "光纤标签", "电线捆扎整齐"), 0.35)
    if mission.is_bbu:
        rates |= dict.fromkeys(BBU_FAULTS, 0.03 if real else 0.06) | dict.fromkeys(BBU_REMARKS, 0.10 if real else 0.07)
        rates |= {"机柜处接地螺丝": 0.4, "地排处接地螺丝": 0.1, "BBU安装螺丝": 0.5, "BBU端光纤插头": 0.45,
                  "ODF端光纤插头": 0.08,
                  "光纤有保护措施": 0.5, "弯曲半径合理": 0.85, "BBU设备": 0.9, "按要求配备挡风板": 0.92,
                  "挡风板安装方向正确": 0.4,
                  "设备显示完整": 0.4, "设备只显示部分": 0.8 if real else 0.35}  # fmt: skip
    else:
        rates |= dict.fromkeys(RRU_FAULTS, 0.06)
        rates |= {"RRU设备": 0.5, "紧固件紧固合格": 0.4, "接地端紧固合格": 0.4, "接地线有标签": 0.4, "尾纤有标签": 0.5,
                  "尾纤有套管保护": 0.5,
                  "备注拍摄不完整": 0.1}  # fmt: skip
    rates |= {"标签无法识别": 0.4 if real else 0.18, "无关图片": 0.12}
    rates |= (
        dict.fromkeys(mission.side, 0.72)
        | dict.fromkeys(mission.g0.required, 0.89)
        | dict.fromkeys(mission.g0.forbidden, 0.045)
    )
    return Profile(
        rates, [0.7, 0.22, 0.08] if real else [0.55, 0.28, 0.17], [0.08, 0.28, 0.40, 0.14, 0.10], 1.3 if real else 1.0
    )


class SyntheticTicket(NamedTuple):
    """Photo summaries in order, and what they state: all together, and each (its condition bits)."""

    summaries: tuple[str, ...]
    facts: Facts
    seen: tuple[int, ...] = ()

    @property
    def per_image(self) -> dict[str, str]:
        """The summaries as stage_a.jsonl names them."""
        return {f"image_{index}": text for index, text in enumerate(self.summaries, start=1)}


class TicketPlan(NamedTuple):
    """What a ticket is to show, before any word of it is written."""

    holds: set[str]
    photos: int
    brands: tuple[str, ...]

    def expected(self) -> Facts:
        """The facts its words will nearly always state: cheap, for passing over unwanted tickets."""
        bits = 0
        for name in self.holds:
            bits |= BIT[name]
        return Facts(bits | sum({BIT[brand + "品牌"] for brand in self.brands}), self.photos)


def plan_ticket(rng: Random, mission: SyntheticMission, profile: Profile) -> TicketPlan:
    """Draw what a ticket shows."""
    draw = rng.random
    holds = {name for name, rate in profile.rates.items() if draw() < rate}
    if (
        "弯曲半径合理" in holds
        and "光纤有保护措施" not in holds
        and draw() > (0.85 if mission.slug == "bbu_cable" else 0.2)
    ):
        holds.discard("弯曲半径合理")
    n = rng.choices((1, 2, 3, 4, 5), profile.photos)[0]
    if n == 5:
        n = min(24, 5 + int(rng.expovariate(0.45)))
    n = max(n, 2) if "无关图片" in holds else n
    brands = ()
    if mission.is_bbu:
        brands = tuple(rng.choices(BRANDS, profile.brands, k=2 if draw() < 0.06 else 1))
    return TicketPlan(holds, n, brands)


class _Draft:
    """Photos being filled with segments."""

    def __init__(self, rng: Random, mission: SyntheticMission, profile: Profile, plan: TicketPlan):
        self.rng, self.holds, self.extras, self.slug = rng, plan.holds, profile.extras, mission.slug
        holds, n = plan.holds, plan.photos
        self.scenes = [rng.choice(mission.scenes) for _ in range(n)]
        if "无关图片" in holds:
            for _ in range(1 if n < 4 or rng.random() < 0.8 else 2):
                self.scenes[rng.randrange(n)] = "irrelevant"
        self.open = [i for i, scene in enumerate(self.scenes) if scene != "irrelevant"]
        self.photos: list[list[Segment]] = [[] for _ in range(n)]

    def put(self, scene: str, make, *args, **flags) -> None:
        """Write ``make(rng, …)`` into one photo of the scene, now and then into a second one, freshly worded."""
        places = [i for i in self.open if self.scenes[i] == scene] or self.open
        for _ in range(2 if self.rng.random() < 0.35 else 1):
            self.photos[self.rng.choice(places)].append(make(self.rng, *args, **flags))

    def finish(self) -> SyntheticTicket:
        rng, texts, seen = self.rng, [], []
        for index, segments in enumerate(self.photos):
            if self.scenes[index] == "irrelevant":
                segments.append(("无关图片", BIT["无关图片"]))
            elif not segments:
                other = self.photos[rng.choice(self.open)]
                segments.extend(
                    rng.sample(other, min(len(other), 3)) if other and rng.random() < 0.7 else [label(rng, "other")]
                )
            seen.append(reduce(or_, (said for _, said in segments), 0))
            texts.append(_photo_text(rng, [text for text, _ in segments]))
        return SyntheticTicket(tuple(texts), Facts.of(reduce(or_, seen, 0), len(texts)), tuple(seen))


def _photo_text(rng: Random, segments: list[str]) -> str:
    counts = dict.fromkeys(segments, 0)
    for text in segments:
        counts[text] += 1
    names = sorted(counts) if rng.random() < 0.93 else list(counts)
    parts = []
    for text in names:
        roll = rng.random()
        count = counts[text] + (0 if roll < 0.6 else rng.randrange(4) if roll < 0.97 else rng.randrange(30))
        mark = "×" if rng.random() < 0.99 else rng.choice(("××", " ×", "✅×"))
        tail = "" if rng.random() < 0.004 else f"{mark}{count}"
        parts.append(text + (tail if rng.random() < 0.997 else "×" + str(rng.randrange(1000, 20000))))
    if rng.random() < 0.006:
        parts.append(
            rng.choice(("BBU设备/华为,显示完整,机柜", "螺丝、光纤插头/机柜处接", "标签/5G-B", "光纤/有保"))[
                : rng.randrange(2, 6)
            ]
        )
    roll = rng.random()
    return ("，" if roll < 0.985 else "；" if roll < 0.995 else "、").join(parts)


def make_ticket(rng: Random, mission: SyntheticMission, profile: Profile) -> SyntheticTicket:
    """One ticket drawn from a profile."""
    return write_ticket(rng, mission, profile, plan_ticket(rng, mission, profile))


def write_ticket(rng: Random, mission: SyntheticMission, profile: Profile, plan: TicketPlan) -> SyntheticTicket:
    """Put a plan into photos and words."""
    draft = _Draft(rng, mission, profile, plan)
    holds = plan.holds
    if mission.is_bbu:
        _screws(draft)
        _devices(draft, plan.brands)
        _fibres(draft)
    else:
        _rru(draft)
    if "电线捆扎整齐" in holds:
        draft.put("bar", wires, True)
    if "电线散乱" in holds:
        draft.put("bar", wires, False)
    _labels(draft)
    return draft.finish()


_SCENE_OF = {"地排处接地螺丝": "bar", "ODF端光纤插头": "odf"}


def _screws(draft: _Draft) -> None:
    rng, holds = draft.rng, draft.holds
    pair = [name for name in SCREWS if name in holds]
    rng.shuffle(pair)
    together = pair[:2] if len(pair) > 1 and rng.random() < 0.03 else []
    if together:
        draft.put("front", compliant_together, *together)
    for name in SCREWS:
        scene = _SCENE_OF.get(name, "front")
        if name in holds and name not in together:
            draft.put(scene, compliant, name)
        elif name not in holds and rng.random() < 0.12:
            draft.put(scene, mentioned, name)
        if BAD_OF[name] in holds:
            draft.put(scene, faulty, name)
    if "备注缺少螺丝" in holds:
        draft.put("front", missing_screw_remark)


def _devices(draft: _Draft, brands: tuple[str, ...]) -> None:
    rng, holds = draft.rng, draft.holds
    shows = [
        word for word, name in (("只显示部分", "设备只显示部分"), ("显示完整", "设备显示完整")) if name in holds
    ] or [""]
    needs = [BIT["未按要求配备挡风板"]] if "未按要求配备挡风板" in holds else []
    if "按要求配备挡风板" in holds:
        likely = 0.75 if draft.slug == "bbu_wind" else 0.25
        needs += [FITTED if rng.random() < likely else NOT_NEEDED] + ([NOT_NEEDED] if rng.random() < 0.1 else [])
    if "BBU设备" in holds or "未按要求配备挡风板" in holds:
        for index in range(max(len(shows), len(needs), len(brands)) + int(rng.random() * 1.6 * draft.extras)):
            need = needs[index % len(needs)] if needs else 0
            draft.put("front", device, rng.choice(brands), shows[index % len(shows)], need)
        if rng.random() < 0.06:
            draft.put("front", lambda _: ("BBU设备", BIT["BBU设备"]))
    for name, right in (("挡风板安装方向正确", True), ("挡风板安装方向错误", False)):
        if name in holds:
            draft.put("front", shield, rng.choice(brands), rng.choice(shows), right)
    if rng.random() < 0.05:
        draft.put("front", lambda _: ("挡风板", 0))
    said = [name for name in REMARKS if name in holds]
    rng.shuffle(said)
    noun = "BBU设备" if "BBU设备" in holds and rng.random() < 0.88 else "挡风板"
    while said:
        size = min(len(said), 2 if rng.random() < 0.6 else 1)
        draft.put("front", remark, said[:size], noun)
        said = said[size:]


def _fibres(draft: _Draft) -> None:
    rng, holds = draft.rng, draft.holds
    protected, bend = "光纤有保护措施" in holds, "弯曲半径合理" in holds
    if protected:
        for _ in range(1 + int(rng.random() * 1.5)):
            draft.put("front", fibre, protected=True, bend=bend)
    elif bend:
        draft.put("front", fibre, protected=False, bend=True)
    if "光纤无保护措施" in holds:
        draft.put("front", fibre, protected=False, bend=bend, unprotected=True)
    if "弯曲半径不合理" in holds:
        draft.put("front", fibre, protected=protected, bend=False, bad_bend=True)
    if "备注部分未套蛇形管" in holds:
        draft.put("front", bare_sleeve_remark)
    if rng.random() < 0.02:
        draft.put("front", lambda _: ("光纤", 0))


def _rru(draft: _Draft) -> None:
    rng, holds = draft.rng, draft.holds
    for name in (
        "RRU设备",
        "紧固件紧固合格",
        "紧固件不合格",
        "接地端紧固合格",
        "接地端紧固不合格",
        "接地线有标签",
        "接地线没有标签",
    ):
        if name in holds:
            draft.put("rru", rru, name)
    for name, noun in (
        ("紧固件紧固合格", "紧固件"),
        ("接地端紧固合格", "地排接地端"),
        ("接地线有标签", "接地线"),
        ("尾纤有标签", "尾纤"),
    ):
        if name not in holds and rng.random() < 0.12:
            draft.put("rru", rru, noun)
    labelled, sleeved = "尾纤有标签" in holds, "尾纤有套管保护" in holds
    if labelled or sleeved:
        draft.put("rru", pigtail, labelled, sleeved)
    if "尾纤没有标签" in holds:
        draft.put("rru", pigtail, False, sleeved, unlabelled=True)
    if "尾纤无套管保护" in holds:
        draft.put("rru", pigtail, labelled, False, bare=True)
    if "备注拍摄不完整" in holds:
        draft.put(
            "rru",
            remark,
            ["备注拍摄不完整"],
            rng.choice(("RRU设备", "紧固件", "尾纤")) if "RRU设备" in holds else "紧固件",
        )
    if rng.random() < 0.1:
        draft.put("rru", lambda r: (f"站点距离/{r.randrange(1, 200)}", 0))


def _labels(draft: _Draft) -> None:
    rng, holds = draft.rng, draft.holds
    for name, kind in (("地线标签", "ground"), ("光纤标签", "fibre")):
        if name in holds:
            for _ in range(1 + int(rng.random() * 2.2 * draft.extras)):
                draft.put("bar" if kind == "ground" else "odf", label, kind)
    if "标签无法识别" in holds:
        draft.put(rng.choice(("front", "bar", "odf")), label, "unreadable")
    for _ in range(int(rng.random() * 2.2 * draft.extras)):
        draft.put(rng.choice(("front", "bar")), label, "other")
    if rng.random() < 0.05:
        draft.put("front", label, "bare")
    if rng.random() < 0.02:
        draft.put("front", lambda r: (f"站点距离/{r.randrange(1, 200)}", 0))
    if rng.random() < (0.008 if holds & {"BBU设备", "BBU安装螺丝"} else 0.05):
        draft.put("front", lambda r: ("组1:" + label(r, "other")[0], 0))
