"""What a drawn cabinet photo shows: objects in bands, the segment Stage A says of each, and the facts of a ticket.

A ticket starts, as in ``tickets``, from conditions drawn from a profile; here they become objects that a renderer can
draw, and the summary is counted off the objects, so words, boxes and facts agree by construction. Wordings are the
most frequent ones of real summaries, without their slips. RRU parts and some remarks have no drawing (see DRAWABLE).
"""

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from miniature.world.rules import Facts
from miniature.world.tickets import Profile, SyntheticMission
from miniature.world.vocabulary import BAD_OF, BIT, BRANDS, DIRECTION, FITTED, NEGATIVE, NOT_NEEDED, POSITIVE

_NOT_DRAWN = {"备注疑似设备", "备注拍摄不完整", "备注缺少螺丝", "RRU设备", "紧固件紧固合格", "接地端紧固合格",
              "接地线有标签", "尾纤有标签", "尾纤有套管保护",
              "紧固件不合格", "接地端紧固不合格", "接地线没有标签", "尾纤没有标签", "尾纤无套管保护"}  # fmt: skip
DRAWABLE = frozenset(POSITIVE + NEGATIVE) - _NOT_DRAWN
NETWORKS = ("5G", "NR900", "4G")
LABEL_ITEMS = {
    "BBU-接地线": "地线标签",
    "RRU1-光纤": "光纤标签",
    "BBU-传输光纤": "光纤标签",
    "BBU-(正极)": "",
    "BBU-(负极)": "",
}
HOUSINGS = ("蛇形管", "铠装")
BAND_HEIGHT = {"device": 70, "bar": 42, "odf": 42, "cables": 40, "labels": 26}
MAX_HEIGHT, MAX_THINGS, MAX_PHOTOS = 184, 9, 6
_BANDS_OF = {
    "front": ("device", "cables", "labels"),
    "bar": ("bar", "cables", "labels"),
    "odf": ("odf", "cables", "labels"),
}
_CAPACITY = {"bar": 4, "odf": 4, "cables": 3, "labels": 4}
_DEVICE_PLACES = {"mount_screw": (4, 2), "plug": (4, 3), "post_screw": (2, 1)}  # of a whole device, of a cut one
_SCREW_BAND = {"地排处接地螺丝": "bar", "ODF端光纤插头": "odf"}
_PAINTER = {
    "机柜处接地螺丝": "post_screw",
    "地排处接地螺丝": "bar_screw",
    "BBU安装螺丝": "mount_screw",
    "BBU端光纤插头": "plug",
    "ODF端光纤插头": "odf_plug",
}
_NEED_WORDS = {
    NOT_NEEDED: "无需安装",
    FITTED: "机柜空间充足需要安装/这个BBU设备按要求配备了挡风板",
    BIT["未按要求配备挡风板"]: "机柜空间充足需要安装/这个BBU设备未按要求配备挡风板",
}


class Thing(NamedTuple):
    """One object: the painter that draws it, what Stage A says of it, the bits this asserts, and how it looks."""

    painter: str
    segment: str
    bits: int
    look: tuple[str, ...] = ()


class Band(NamedTuple):
    """A horizontal strip of a photo with its things (the renderer finds each its place)."""

    kind: str
    things: tuple[Thing, ...]


class Photo(NamedTuple):
    """What one photo shows, top to bottom."""

    bands: tuple[Band, ...]

    @property
    def things(self) -> list[Thing]:
        """All things of the photo, band after band."""
        return [thing for band in self.bands for thing in band.things]

    @property
    def summary(self) -> str:
        """The Stage-A line: segments in code-point order, as in real tickets, each with its count."""
        counts = Counter(thing.segment for thing in self.things)
        return "，".join(f"{segment}×{counts[segment]}" for segment in sorted(counts))


class PhotoTicket(NamedTuple):
    """Photos in order; duck-typed like ``tickets.Ticket`` for the world's row writers."""

    photos: tuple[Photo, ...]
    facts: Facts

    @property
    def summaries(self) -> tuple[str, ...]:
        """One summary a photo, in order."""
        return tuple(photo.summary for photo in self.photos)

    @property
    def per_image(self) -> dict[str, str]:
        """The summaries as stage_a.jsonl names them."""
        return {f"image_{index}": text for index, text in enumerate(self.summaries, start=1)}


def screw(name: str, good: bool) -> Thing:
    """A screw or plug of vocabulary.SCREWS, compliant or not."""
    return Thing(
        _PAINTER[name],
        f"螺丝、光纤插头/{name},{'符合要求' if good else '不符合要求'}",
        BIT[name if good else BAD_OF[name]],
        ("good" if good else "bad",),
    )


def device_thing(brand: str, shown: str, need: int) -> Thing:
    """A BBU; an empty ``brand`` is a smudged mark, ``need`` 0 a slot that cannot be seen: both become remarks."""
    bits = BIT["BBU设备"] | need
    if brand and need:
        bits |= BIT[f"{brand}品牌"] | BIT["设备显示完整" if shown == "显示完整" else "设备只显示部分"]
        return Thing("device", f"BBU设备/{brand},{shown},{_NEED_WORDS[need]}", bits, (brand, shown))
    doubts = [] if brand else ["品牌"]
    doubts += [] if need else ["是否足够空间安装挡风板"]
    bits = BIT["BBU设备"] | (0 if brand else BIT["备注无法判断品牌"]) | (0 if need else BIT["备注无法判断空间"])
    return Thing("device", f"BBU设备/需复核备注:无法判断{'和'.join(doubts)}", bits, (brand, shown))


def shield_thing(brand: str, shown: str, direction: str) -> Thing:
    """A wind shield; ``direction`` is right, wrong or empty (seen from where it cannot be told)."""
    if not direction:
        return Thing("shield", "挡风板", 0, (direction,))
    bits = DIRECTION if direction == "right" else BIT["挡风板安装方向错误"]
    bits |= (BIT[f"{brand}品牌"] if brand else 0) | BIT["设备显示完整" if shown == "显示完整" else "设备只显示部分"]
    words = "安装方向正确" if direction == "right" else "安装方向错误"
    return Thing("shield", "挡风板/" + ",".join(part for part in (brand, shown, words) if part), bits, (direction,))


def fibre_thing(housing: str, bend: bool, half: bool = False) -> Thing:
    """A fibre; an empty ``housing`` is a bare one, ``half`` one whose sleeve ends half-way."""
    if half:
        return Thing("fibre", "光纤/需复核备注:部分未套蛇形管", BIT["备注部分未套蛇形管"], ("half", "gentle"))
    bits = BIT["光纤有保护措施" if housing else "光纤无保护措施"] | BIT["弯曲半径合理" if bend else "弯曲半径不合理"]
    words = ("有保护措施" if housing else "无保护措施") + (
        "," + ("弯曲半径合理" if bend else "弯曲半径不合理(弯曲半径4cm或者成环)")
    )
    return Thing(
        "fibre", f"光纤/{words}" + (f"/{housing}" if housing else ""), bits, (housing, "gentle" if bend else "tight")
    )


def wires_thing(tidy: bool) -> Thing:
    """A bundle of wires, tidy or in a tangle."""
    return Thing(
        "wires",
        f"电线/{'捆扎整齐' if tidy else '散乱'}",
        BIT["电线捆扎整齐" if tidy else "电线散乱"],
        ("tidy" if tidy else "messy",),
    )


def label_thing(network: str, item: str) -> Thing:
    """A label with a code of NETWORKS and LABEL_ITEMS; an empty network is one that cannot be read."""
    if not network:
        return Thing("label", "标签/无法识别", BIT["标签无法识别"], ("", ""))
    return Thing("label", f"标签/{network}-{item}", BIT.get(LABEL_ITEMS[item], 0), (network, item))


IRRELEVANT = Thing("view", "无关图片", BIT["无关图片"])


@dataclass
class _Draft:
    """A photo being filled."""

    scene: str
    bands: dict[str, list[Thing]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return sum(map(len, self.bands.values()))

    def takes(self, band: str, thing: Thing) -> bool:
        """Whether there is room for one more ``thing`` in this band."""
        height = sum(BAND_HEIGHT[name] for name in self.bands) + (0 if band in self.bands else BAND_HEIGHT[band])
        things = self.bands.get(band, [])
        if self.scene == "irrelevant" or height > MAX_HEIGHT or self.count >= MAX_THINGS:
            return False
        if band != "device":
            return len(things) < _CAPACITY[band]
        part = any(other.painter == "device" and other.look[1] == "只显示部分" for other in things)
        return sum(other.painter == thing.painter for other in things) < _DEVICE_PLACES[thing.painter][part]


class _Ticket:
    """Photos being filled with what holds."""

    def __init__(self, rng: Random, mission: SyntheticMission, profile: Profile):
        self.rng, self.brands = rng, profile.brands
        self.holds = {name for name, rate in profile.rates.items() if rng.random() < rate}
        n = rng.choices((1, 2, 3, 4, 5), profile.photos)[0]
        n = min(MAX_PHOTOS, n + (n == 5 and rng.random() < 0.5))
        n = max(n, 2) if "无关图片" in self.holds else n
        self.drafts = [_Draft(rng.choice(mission.scenes)) for _ in range(n)]
        if "无关图片" in self.holds:
            self.drafts[rng.randrange(n)] = _Draft("irrelevant")

    def put(self, band: str, thing: Thing, times: int = 1) -> None:
        """Place ``thing`` into one photo, ``times`` over where there is room; photos of the band's own scene first."""
        able = [draft for draft in self.drafts if draft.takes(band, thing)]
        if not able:
            return
        chosen = self.rng.choice([draft for draft in able if band in _BANDS_OF[draft.scene]] or able)
        for _ in range(times):
            if chosen.takes(band, thing):
                chosen.bands.setdefault(band, []).append(thing)

    def often(self) -> int:
        """In how many photos a condition shows."""
        return 2 if self.rng.random() < 0.35 else 1


def photo_ticket(rng: Random, mission: SyntheticMission, profile: Profile) -> PhotoTicket:
    """One ticket drawn from a profile; its facts are those of the objects that found a place."""
    ticket = _Ticket(rng, mission, profile)
    _put_devices(ticket)
    _put_screws(ticket)
    _put_cables(ticket)
    _put_labels(ticket)
    photos = tuple(_finish(rng, draft) for draft in ticket.drafts)
    bits = 0
    for photo in photos:
        for thing in photo.things:
            bits |= thing.bits
    return PhotoTicket(photos, Facts.of(bits, len(photos)))


def _put_devices(ticket: _Ticket) -> None:
    rng, holds = ticket.rng, ticket.holds
    shows = [
        word for word, name in (("只显示部分", "设备只显示部分"), ("显示完整", "设备显示完整")) if name in holds
    ] or [rng.choice(("只显示部分", "显示完整"))]
    needs = [BIT["未按要求配备挡风板"]] if "未按要求配备挡风板" in holds else []
    if "按要求配备挡风板" in holds or (not needs and "备注无法判断空间" not in holds):
        needs.append(FITTED if {"挡风板安装方向错误"} & holds or rng.random() < 0.5 else NOT_NEEDED)
    if "备注无法判断空间" in holds or not {"按要求配备挡风板", "未按要求配备挡风板"} & holds:
        needs.append(0)
    if not {"BBU设备", "未按要求配备挡风板"} & holds:
        return
    brand = rng.choices(BRANDS, ticket.brands)[0]
    fronts = [d for d in ticket.drafts if d.scene == "front"] or [d for d in ticket.drafts if d.scene != "irrelevant"][
        :1
    ]
    smudged = rng.randrange(len(fronts)) if "备注无法判断品牌" in holds else -1
    shift = rng.randrange(4)
    for index, draft in enumerate(fronts):
        if index >= max(len(shows), len(needs)) and rng.random() < 0.25:
            continue
        need, shown = needs[(index + shift) % len(needs)], shows[index % len(shows)]
        mark = "" if index == smudged else brand
        things = [device_thing(mark, shown, need)]
        if need == FITTED:
            ways = [
                way for way, name in (("right", "挡风板安装方向正确"), ("wrong", "挡风板安装方向错误")) if name in holds
            ]
            things.append(shield_thing(mark, shown, rng.choice(ways) if ways else ""))
        draft.bands["device"] = things


def _put_screws(ticket: _Ticket) -> None:
    rng = ticket.rng
    for name in BAD_OF:
        band = _SCREW_BAND.get(name, "device")
        for good, wanted in ((True, name), (False, BAD_OF[name])):
            if wanted in ticket.holds:
                for _ in range(ticket.often()):
                    ticket.put(band, screw(name, good), rng.choice((1, 1, 2, 2, 3, 4)) if good and band != "odf" else 1)


def _put_cables(ticket: _Ticket) -> None:
    rng, holds = ticket.rng, ticket.holds
    for name, tidy in (("电线捆扎整齐", True), ("电线散乱", False)):
        if name in holds:
            for _ in range(ticket.often()):
                ticket.put("cables", wires_thing(tidy))
    if "弯曲半径不合理" in holds:
        ticket.put("cables", fibre_thing(rng.choice(HOUSINGS) if "光纤有保护措施" in holds else "", False))
    if "光纤无保护措施" in holds:
        ticket.put("cables", fibre_thing("", "弯曲半径合理" in holds))
    if "光纤有保护措施" in holds and ("弯曲半径合理" in holds or "弯曲半径不合理" not in holds):
        for _ in range(ticket.often()):
            ticket.put("cables", fibre_thing(rng.choice(HOUSINGS), "弯曲半径合理" in holds or rng.random() < 0.5))
    if "备注部分未套蛇形管" in holds:
        ticket.put("cables", fibre_thing("", True, half=True))


def _put_labels(ticket: _Ticket) -> None:
    rng, holds = ticket.rng, ticket.holds
    for name in ("地线标签", "光纤标签"):
        if name in holds:
            for _ in range(ticket.often()):
                ticket.put(
                    "labels",
                    label_thing(
                        rng.choice(NETWORKS), rng.choice([item for item, kind in LABEL_ITEMS.items() if kind == name])
                    ),
                )
    if "标签无法识别" in holds:
        ticket.put("labels", label_thing("", ""), ticket.often())
    if rng.random() < 0.5:
        ticket.put(
            "labels",
            label_thing(rng.choice(NETWORKS), rng.choice([item for item, kind in LABEL_ITEMS.items() if not kind])),
        )


def _finish(rng: Random, draft: _Draft) -> Photo:
    """Order the bands at random and the things in each in reading order; an empty photo gets a label."""
    if draft.scene == "irrelevant":
        return Photo((Band("view", (IRRELEVANT,)),))
    if not draft.count:
        draft.bands["labels"] = [
            label_thing(rng.choice(NETWORKS), rng.choice([item for item, kind in LABEL_ITEMS.items() if not kind]))
        ]
    kinds = list(draft.bands)
    rng.shuffle(kinds)
    bands = []
    for kind in kinds:
        things = draft.bands[kind]
        rng.shuffle(things)
        bands.append(Band(kind, tuple(things)))
    return Photo(tuple(bands))
