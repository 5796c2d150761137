"""Photos of radio units on a pole, drawn by code with the words and shapes that such teams give them.

The unit hangs at an angle, so that its outline is no box; pigtail and earthing wire are paths; the station distance is
a watermark of digits. A label is paired with the cable that it hangs on (``组``).
"""

from math import cos, radians, sin
from random import Random
from typing import TYPE_CHECKING

from miniature.drawing.pen import HEIGHT, PAINTERS, WIDTH, Pen
from miniature.drawing.photos import lit
from miniature.drawing.scenes import LABEL_ITEMS, NETWORKS
from miniature.formats.shapes import Point, Shape, box, line, poly

if TYPE_CHECKING:
    import numpy as np

# the digits of the watermark, 3 × 5 dots each
_ROWS = {
    "0": "111101101101111", "1": "010110010010111", "2": "111001111100111", "3": "111001111001111",
    "4": "101101111001001", "5": "111100111001111", "6": "111100111101111", "7": "111001001001001",
    "8": "111101111101111", "9": "111101111001111",
}  # fmt: skip
_GREEN, _BLACK, _NYLON = (70, 160, 60), (24, 24, 28), (232, 232, 226)
_DOT = 3


def paint_rru(seed: str) -> tuple["np.ndarray", list[Shape]]:
    """Draw a photo: pixels (192, 256, 3) uint8 and its objects with v1 words. Deterministic in its seed."""
    rng = Random(f"rru:{seed}")
    tone = rng.randint(120, 190)
    pen = Pen(rng, (tone, tone + 12, tone + 24))
    pole = rng.uniform(60, 80)
    pen.rect(pole - 9, -20, pole + 9, HEIGHT + 20, pen.shade((150, 152, 156)), (70, 70, 74))
    seen = [_distance(pen)]
    foot = (pole + 55, 104)  # below the unit, where cables leave it
    if rng.random() < 0.85:
        unit, foot = _unit(pen, pole)
        seen.append(unit)
        if rng.random() < 0.7:
            seen.append(_fastener(pen, pole))
    if rng.random() < 0.5:
        good = rng.random() < 0.8
        extent = PAINTERS["mount_screw"](pen, pole + 20, 118, ("good" if good else "bad",))
        seen.append(box(f"RRU接地端/{'紧固合格' if good else '不合格'}", pen.box(extent)))
    group = 0
    for cable in (_pigtail, _earthing) if rng.random() < 0.6 else (rng.choice((_pigtail, _earthing)),):
        labelled, paired = rng.random() < 0.6, rng.random() < 0.7
        group += labelled and paired
        seen += cable(pen, foot, labelled, f"组{group}: " if labelled and paired else "")
    return lit(pen, rng), seen


def _turned(middle: Point, wide: float, high: float, angle: float) -> list[Point]:
    """Corners of a rectangle about its middle, clockwise, turned by ``angle`` degrees."""
    c, s = cos(radians(angle)), sin(radians(angle))
    half = ((-wide / 2, -high / 2), (wide / 2, -high / 2), (wide / 2, high / 2), (-wide / 2, high / 2))
    return [(middle[0] + x * c - y * s, middle[1] + x * s + y * c) for x, y in half]


def _outlined(pen: Pen, words: str, corners: list[Point]) -> Shape:
    return poly(words, [pen.at(x, y) for x, y in corners])


def _unit(pen: Pen, pole: float) -> tuple[Shape, Point]:
    """The radio unit with its cooling fins, and where cables leave it."""
    middle, angle = (pole + pen.rng.uniform(48, 60), pen.rng.uniform(54, 60)), pen.rng.uniform(-18, 18)
    corners = _turned(middle, 62, 84, angle)
    pen.poly(corners, pen.shade((214, 216, 218), 10), (60, 60, 64))
    for k in range(-2, 3):
        x, _ = _turned((0, 0), 2, 2, angle)[0]
        fin = _turned((middle[0] + 11 * k + x, middle[1]), 2, 66, angle)
        pen.poly(fin, (150, 152, 156))
    return _outlined(pen, "RRU设备", corners), (middle[0], middle[1] + 46)


def _fastener(pen: Pen, pole: float) -> Shape:
    """A clamp on the pole: a good one is bright with both bolts, a bad one is rusty and has lost one."""
    good = pen.rng.random() < 0.8
    corners = _turned((pole, pen.rng.uniform(26, 44)), 30, 15, pen.rng.uniform(-14, 14))
    pen.poly(corners, pen.shade((196, 200, 208) if good else (150, 72, 30)), (30, 30, 34))
    middle = (sum(x for x, _ in corners) / 4, sum(y for _, y in corners) / 4)
    for dx in (-9, 9) if good else (9,):
        pen.disc(middle[0] + dx, middle[1], 3, (40, 40, 44))
    return _outlined(pen, f"紧固件/{'紧固合格' if good else '不合格'}", corners)


def _pigtail(pen: Pen, foot: Point, labelled: bool, group: str) -> list[Shape]:
    """A pigtail that hangs from the unit: in a black tape or white tube, or bare and thin."""
    sleeved = pen.rng.random() < 0.75
    sway = pen.rng.uniform(-22, 22)
    path = [(foot[0] + 8 + sway * sin(3.2 * t / 12), foot[1] + 62 * t / 12) for t in range(13)]
    colour = pen.rng.choice((_BLACK, _NYLON)) if sleeved else (235, 205, 40)
    pen.line(path, pen.shade(colour, 8), 7 if sleeved else 2.4)
    words = f"尾纤/{'有标签' if labelled else '没有标签'},{'有套管保护' if sleeved else '无套管保护'}"
    return [line(group + words, [pen.at(x, y) for x, y in path]), *_tag(pen, path[6], labelled, group, "RRU1-光纤")]


def _earthing(pen: Pen, foot: Point, labelled: bool, group: str) -> list[Shape]:
    """A green earthing wire to the copper bar at the right, with its screw there."""
    end = (WIDTH - 36, pen.rng.uniform(120, 132))
    bend = (foot[0] + 60, foot[1] + pen.rng.uniform(0, 34))
    path = [(foot[0] + 24, foot[1] - 4), bend, end]
    pen.rect(end[0] - 22, end[1] - 2, end[0] + 24, end[1] + 12, pen.shade((190, 118, 58)), (90, 54, 24))
    pen.line(path, pen.shade(_GREEN, 8), 5)
    words = f"{group}接地线/{'有标签' if labelled else '没有标签'}"
    seen = [line(words, [pen.at(x, y) for x, y in path])]
    if pen.rng.random() < 0.6:
        good = pen.rng.random() < 0.8
        extent = PAINTERS["mount_screw"](pen, end[0], end[1] + 5, ("good" if good else "bad",))
        seen.append(box(f"地排接地端螺丝/{'紧固合格' if good else '不合格'}", pen.box(extent)))
    return seen + _tag(pen, bend, labelled, group, "BBU-接地线")


def _tag(pen: Pen, at: Point, labelled: bool, group: str, item: str) -> list[Shape]:
    """The label on a cable, if it has one."""
    if not labelled:
        return []
    assert item in LABEL_ITEMS
    look = (pen.rng.choice(NETWORKS), item) if pen.rng.random() < 0.8 else ("", "")
    extent = PAINTERS["label"](pen, at[0], at[1] + 12, look)
    x1, y1, x2, y2 = extent
    words = f"{group}标签/{'-'.join(look) if look[0] else '无法识别'}"
    return [_outlined(pen, words, [(x1, y1), (x2, y1), (x2, y2), (x1, y2)])]


def _distance(pen: Pen) -> Shape:
    """The watermark in the lower right corner: digits alone."""
    number = str(pen.rng.randrange(1, 400))
    left, top = WIDTH - 44, HEIGHT - 30
    pen.rect(left - 4, top - 4, left + 12 * len(number) + 1, top + 5 * _DOT + 4, (30, 30, 34))
    for place, digit in enumerate(number):
        for index, dot in enumerate(_ROWS[digit]):
            if dot == "1":
                x, y = left + 12 * place + _DOT * (index % 3), top + _DOT * (index // 3)
                pen.rect(x, y, x + _DOT, y + _DOT, (250, 250, 250))
    return box(f"站点距离/{number}", pen.box((left - 4, top - 4, left + 12 * len(number) + 1, top + 5 * _DOT + 4)))
