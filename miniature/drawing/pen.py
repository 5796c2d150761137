"""A pen with a tilt, and how each object of a cabinet photo is drawn with it.

Coordinates are pixels of an untilted 256 × 192 photo. A painter draws one object at a place and returns the corners of
its extent; the pen turns them into the box that is seen. Every painter takes (pen, x, y, look) with its centre.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import cos, pi, radians, sin
from random import Random

WIDTH, HEIGHT = 256, 192
_OVERSAMPLE = 2
Colour = tuple[int, int, int]
Extent = tuple[float, float, float, float]

BRAND_COLOURS = {"华为": (205, 25, 35), "中兴": (20, 95, 200), "爱立信": (35, 35, 40)}
_SLEEVE, _ARMOUR, _BARE = (28, 28, 32), (150, 156, 165), (235, 205, 40)
_STEEL, _RUST, COPPER, _EARTH = (196, 200, 208), (150, 72, 30), (190, 118, 58), (70, 160, 60)
_GLYPHS = {
    "5G": ("11111", "1....", "1111.", "....1", "....1", "1...1", ".111."),
    "NR900": ("1...1", "11..1", "11..1", "1.1.1", "1..11", "1..11", "1...1"),
    "4G": ("...1.", "..11.", ".1.1.", "1..1.", "11111", "...1.", "...1."),
    "BBU-接地线": ("..1..", "..1..", "11111", ".....", ".111.", ".....", "..1.."),
    "RRU1-光纤": (".111.", "1...1", "1...1", "1...1", "1...1", "1...1", ".111."),
    "BBU-传输光纤": ("1...1", ".1.1.", "..1..", ".1.1.", "1...1", ".1.1.", "..1.."),
    "BBU-(正极)": (".....", "..1..", "..1..", "11111", "..1..", "..1..", "....."),
    "BBU-(负极)": (".....", ".....", ".....", "11111", ".....", ".....", "....."),
}  # fmt: skip
_LABEL_STRIPES = {
    "BBU-接地线": (60, 160, 60),
    "RRU1-光纤": (235, 150, 30),
    "BBU-传输光纤": (120, 60, 170),
    "BBU-(正极)": (215, 40, 40),
    "BBU-(负极)": (30, 60, 180),
}


class Pen:
    """Draws on an oversampled canvas through a similarity transform about the centre of the photo."""

    def __init__(self, rng: Random, background: Colour):
        from PIL import Image, ImageDraw

        self.rng = rng
        self.image = Image.new("RGB", (WIDTH * _OVERSAMPLE, HEIGHT * _OVERSAMPLE), background)
        self._draw = ImageDraw.Draw(self.image)
        angle, self.scale = radians(rng.uniform(-3.0, 3.0)), rng.uniform(0.9, 1.0)
        self._cos, self._sin = cos(angle) * self.scale, sin(angle) * self.scale
        self._dx, self._dy = rng.uniform(-4, 4), rng.uniform(-3, 3)
        self._path: list[tuple[float, float]] = []

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point comes to lie in the photo, in pixels."""
        x, y = x - WIDTH / 2, y - HEIGHT / 2
        return (
            x * self._cos - y * self._sin + WIDTH / 2 + self._dx,
            x * self._sin + y * self._cos + HEIGHT / 2 + self._dy,
        )

    def box(self, extent: Extent) -> Extent:
        """The axis-parallel box around an extent (x1, y1, x2, y2), cut at the border, in pixels."""
        x1, y1, x2, y2 = extent
        xs, ys = zip(*(self.at(x, y) for x in (x1, x2) for y in (y1, y2)), strict=True)
        return max(0.0, min(xs)), max(0.0, min(ys)), min(float(WIDTH), max(xs)), min(float(HEIGHT), max(ys))

    def corners(self, extent: Extent) -> tuple[tuple[float, float], ...]:
        """The corners of an extent as they are seen, clockwise from the upper left, held to the border, in pixels."""
        x1, y1, x2, y2 = extent
        x1, x2 = max(x1, -8.0), min(x2, WIDTH + 8.0)  # a tilted edge that leaves the photo is cut near its border
        seen = (self.at(x, y) for x, y in ((x1, y1), (x2, y1), (x2, y2), (x1, y2)))
        return tuple((min(max(x, 0.0), float(WIDTH)), min(max(y, 0.0), float(HEIGHT))) for x, y in seen)

    def trace(self, points: Sequence[tuple[float, float]]) -> None:
        """Note the path of the cable that is being drawn."""
        self._path = [self.at(x, y) for x, y in points]

    def traced(self) -> list[tuple[float, float]]:
        """The path noted since the last call, in pixels; empty where nothing was."""
        path, self._path = self._path, []
        return path

    def shade(self, colour: Colour, spread: int = 14) -> Colour:
        """The colour under a slightly different paint."""
        change = self.rng.randint(-spread, spread)
        return tuple(max(0, min(255, c + change + self.rng.randint(-5, 5))) for c in colour)

    def _on_canvas(self, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(x * _OVERSAMPLE, y * _OVERSAMPLE) for x, y in (self.at(*p) for p in points)]

    def poly(self, points: Sequence[tuple[float, float]], fill: Colour, outline: Colour | None = None) -> None:
        """Draw a filled polygon."""
        self._draw.polygon(self._on_canvas(points), fill=fill, outline=outline)

    def rect(self, x1: float, y1: float, x2: float, y2: float, fill: Colour, outline: Colour | None = None) -> None:
        """Draw a filled rectangle."""
        self.poly(((x1, y1), (x2, y1), (x2, y2), (x1, y2)), fill, outline)

    def line(self, points: Sequence[tuple[float, float]], fill: Colour, width: float) -> None:
        """Draw a line through the points, ``width`` pixels wide."""
        self._draw.line(
            self._on_canvas(points), fill=fill, width=max(1, round(width * self.scale * _OVERSAMPLE)), joint="curve"
        )

    def disc(self, x: float, y: float, radius: float, fill: Colour, outline: Colour | None = None) -> None:
        """Draw a filled circle about (x, y)."""
        (cx, cy), r = self._on_canvas([(x, y)])[0], radius * self.scale * _OVERSAMPLE
        self._draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=fill, outline=outline, width=_OVERSAMPLE)

    def glyph(self, name: str, x: float, y: float, size: float, fill: Colour) -> None:
        """A 5 × 7 glyph whose upper left corner is (x, y), ``size`` pixels a dot."""
        for row, dots in enumerate(_GLYPHS[name]):
            for column, dot in enumerate(dots):
                if dot == "1":
                    self.rect(x + column * size, y + row * size, x + (column + 1) * size, y + (row + 1) * size, fill)

    def finished(self):
        """The photo at its true size."""
        return self.image.reduce(_OVERSAMPLE)


def _hexagon(x: float, y: float, radius: float, turn: float) -> list[tuple[float, float]]:
    return [(x + radius * cos(turn + k * pi / 3), y + radius * sin(turn + k * pi / 3)) for k in range(6)]


def _head(pen: Pen, x: float, y: float, good: bool, slot: bool) -> None:
    """A screw head: good is round and bright on its washer, bad is rusty and off its dark hole."""
    if not good:
        pen.disc(x - 3, y - 2, 7.5, (12, 12, 14))
        x, y = x + 4, y + 3
    else:
        pen.disc(x, y, 9.5, pen.shade((228, 230, 234), 8), (60, 60, 66))
    colour = pen.shade(_STEEL if good else _RUST)
    pen.poly(_hexagon(x, y, 6.5, pen.rng.uniform(0, 1)), colour, (30, 30, 34))
    if slot:
        pen.line(((x - 4, y), (x + 4, y)), (35, 35, 40), 1.6)
        pen.line(((x, y - 4), (x, y + 4)), (35, 35, 40), 1.6)


def mount_screw(pen: Pen, x: float, y: float, look: tuple[str, ...]) -> Extent:
    """Draw a mounting screw of a device."""
    _head(pen, x, y, look[0] == "good", True)
    return x - 10, y - 10, x + 11, y + 10


def post_screw(pen: Pen, x: float, y: float, look: tuple[str, ...]) -> Extent:
    """An earthing screw on the cabinet post with its green-yellow wire going up."""
    wire = pen.shade(_EARTH, 8)
    pen.line(((x, y), (x, y - 20)), wire, 5)
    for k in range(3):
        pen.line(((x - 1.5, y - 8 - 5 * k), (x + 1.5, y - 10 - 5 * k)), (235, 220, 60), 2.4)
    _head(pen, x, y, look[0] == "good", False)
    return x - 10, y - 20, x + 10, y + 10


def bar_screw(pen: Pen, x: float, y: float, look: tuple[str, ...]) -> Extent:
    """An earthing screw on the copper bar, its lug and wire going down."""
    pen.rect(x - 5, y, x + 5, y + 13, pen.shade((205, 205, 212)), (70, 70, 76))
    pen.line(((x, y + 11), (x, y + 25)), pen.shade(_EARTH, 8), 5)
    _head(pen, x, y, look[0] == "good", False)
    return x - 10, y - 10, x + 11, y + 25


def plug(pen: Pen, x: float, y: float, look: tuple[str, ...]) -> Extent:
    """A blue plug in a BBU port: a bad one hangs half out, its white ferrule showing."""
    pen.rect(x - 8, y - 11, x + 8, y - 1, (8, 8, 10), (120, 124, 130))
    body, drop = pen.shade((40, 110, 215)), 0 if look[0] == "good" else 7
    if drop:
        pen.rect(x - 2.5, y - 6, x + 2.5, y + 3, (245, 245, 245))
    pen.rect(x - 6, y - 8 + 1.5 * drop, x + 6, y + 4 + drop, body, (14, 40, 90))
    pen.rect(x - 2.5, y + 4 + drop, x + 2.5, y + 11, (25, 60, 130))
    return x - 8, y - 11, x + 8, y + 12


def odf_plug(pen: Pen, x: float, y: float, look: tuple[str, ...]) -> Extent:
    """A green square plug in the ODF: a bad one has slid down and left its adapter open."""
    pen.rect(x - 10, y - 14, x + 10, y + 4, (16, 18, 20), (200, 204, 210))
    if look[0] == "good":
        pen.rect(x - 8, y - 12, x + 8, y + 8, pen.shade((60, 175, 80)), (10, 70, 30))
        pen.line(((x, y + 8), (x, y + 14)), _BARE, 3)
    else:
        pen.rect(x - 2.5, y - 8, x + 2.5, y + 3, (245, 245, 245))
        pen.rect(x - 8, y + 2, x + 8, y + 13, pen.shade((60, 175, 80)), (10, 70, 30))
    return x - 10, y - 14, x + 10, y + 14


def paint_fibre(pen: Pen, x: float, y: float, look: tuple[str, ...]) -> Extent:
    """A fibre in a slot 56 × 34: a gentle wave or a tight loop; sleeve, armour, half a sleeve, or bare."""
    housing, bend = look
    if bend == "gentle":
        sway = pen.rng.choice((-1, 1)) * pen.rng.uniform(7, 11)
        path = [(x - 25 + 50 * t / 16, y + sway * sin(2 * pi * t / 16)) for t in range(17)]
    else:
        path = [(x - 25, y + 12), (x - 10, y + 13)]
        path += [(x + 13 * sin(2 * pi * t / 14) * 0.95, y - 1 + 13 * cos(2 * pi * t / 14)) for t in range(15)]
        path += [(x + 10, y + 13), (x + 25, y + 12)]
    pen.trace(path)
    pen.line(path, pen.shade(_BARE, 8), 2.4)
    if housing:
        covered = path[: len(path) // 2 + 1] if housing == "half" else path
        pen.line(covered, (126, 126, 130), 9)
        pen.line(covered, pen.shade(_ARMOUR if housing == "铠装" else _SLEEVE, 8), 7)
        if housing == "铠装":
            for a, b in pairwise(covered):
                mx, my = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
                pen.line(((mx - 1.5, my - 3.5), (mx + 1.5, my + 3.5)), (72, 76, 84), 1.4)
    xs, ys = [p[0] for p in path], [p[1] for p in path]
    return min(xs) - 3, min(ys) - 4, max(xs) + 3, max(ys) + 4


def paint_wires(pen: Pen, x: float, y: float, look: tuple[str, ...]) -> Extent:
    """Power wires in a slot 56 × 34: parallel with white ties, or tangled."""
    colours = [(35, 70, 190), (25, 25, 28), (200, 40, 40), (60, 150, 60)]
    pen.trace(((x - 27, y), (x + 27, y)))
    if look[0] == "tidy":
        for k, colour in enumerate(colours):
            pen.line(((x - 27, y - 9 + 6 * k), (x + 27, y - 9 + 6 * k)), pen.shade(colour), 4.4)
        for tie in (-14, 13):
            pen.line(((x + tie, y - 13), (x + tie, y + 13)), (245, 245, 240), 3.4)
        return x - 27, y - 13, x + 27, y + 13
    for colour in colours:
        a, b, c, d = (pen.rng.uniform(-14, 14) for _ in range(4))
        path = ((x - 27, y + a), (x - 9, y + b), (x + 9, y + c), (x + 27, y + d))
        pen.line(path, pen.shade(colour), 3.2)
        pen.trace(path)  # of a tangle, the wire on top
    return x - 27, y - 15, x + 27, y + 15


def paint_label(pen: Pen, x: float, y: float, look: tuple[str, ...]) -> Extent:
    """A white tag with two glyphs and a stripe; an unreadable one is smeared."""
    network, item = look
    pen.rect(x - 21, y - 10, x + 21, y + 10, pen.shade((244, 243, 236), 6), (90, 90, 90))
    if network:
        pen.glyph(network, x - 18, y - 7, 2, (20, 20, 24))
        pen.glyph(item, x - 4, y - 7, 2, (20, 20, 24))
        pen.rect(x + 9, y - 8, x + 19, y + 8, pen.shade(_LABEL_STRIPES[item], 8))
    else:
        for _ in range(6):
            dx, dy = pen.rng.uniform(-15, 13), pen.rng.uniform(-6, 6)
            pen.line(
                ((x + dx - 4, y + dy), (x + dx + 5, y + dy + pen.rng.uniform(-2, 2))),
                pen.shade((176, 172, 166), 8),
                3.6,
            )
    return x - 21, y - 10, x + 21, y + 10


def brand_mark(pen: Pen, x: float, y: float, brand: str) -> None:
    """The maker's mark, 28 × 12 around (x, y); empty is a smudge."""
    if not brand:
        for _ in range(4):
            dx = pen.rng.uniform(-9, 9)
            pen.line(
                ((x + dx - 5, y + pen.rng.uniform(-4, 4)), (x + dx + 5, y + pen.rng.uniform(-4, 4))),
                pen.shade((150, 150, 148), 10),
                5,
            )
        return
    colour = pen.shade(BRAND_COLOURS[brand], 8)
    if brand == "华为":
        for k in range(5):
            turn = pi + k * pi / 4
            pen.line(((x, y + 5), (x + 11 * cos(turn), y + 5 + 10 * sin(turn))), colour, 3.2)
    elif brand == "中兴":
        pen.rect(x - 13, y - 6, x + 13, y + 6, colour)
        pen.line(((x - 7, y - 3), (x + 7, y - 3), (x - 7, y + 3), (x + 7, y + 3)), (240, 240, 245), 2)
    else:
        for k in (-1, 0, 1):
            pen.line(((x - 10, y + 4 * k + 2), (x + 10, y + 4 * k - 2)), colour, 2.6)


def slats(pen: Pen, x1: float, y1: float, x2: float, y2: float, direction: str) -> None:
    """A wind shield: slats lean one way when right, the other when wrong; face-on it shows no slats."""
    pen.rect(x1, y1, x2, y2, pen.shade((208, 196, 158)), (90, 84, 60))
    lean = {"right": 7, "wrong": -7}.get(direction)
    at = x1 + 10
    while lean and at < x2 - 8:
        pen.line(((at - lean, y2 - 3), (at + lean, y1 + 3)), (96, 86, 56), 3)
        at += 13
    if not lean:
        pen.line(((x1 + 5, (y1 + y2) / 2), (x2 - 5, (y1 + y2) / 2)), (150, 140, 108), 2)


PAINTERS: dict[str, Callable[[Pen, float, float, tuple[str, ...]], Extent]] = {
    "mount_screw": mount_screw, "post_screw": post_screw, "bar_screw": bar_screw, "plug": plug, "odf_plug": odf_plug,
    "fibre": paint_fibre, "wires": paint_wires, "label": paint_label,
}  # fmt: skip
