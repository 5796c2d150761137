"""Small plots as inline SVG: curves with interval bands, bars of hits and misses, intervals on a scale.

Every mark has a ``<title>`` that a pointer shows; titles hold numbers and keys only, so they read the same in each
language. Colours come from the page's style, by class. Lengths are CSS pixels of the drawing's own width.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from verdicts.records.reflection import RuleTally
from verdicts.stats.rates import Rate

WIDTH, HEIGHT = 360, 210
LEFT, RIGHT, TOP, BOTTOM = 36, 8, 10, 32
SCALES = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)  # where an axis may end
MANY = 60  # rounds from which on a dot each would run together


class Point(NamedTuple):
    """One round on a curve."""

    round: int
    epoch: int
    rate: Rate


def tag(name: str, *children: str, **attributes: object) -> Markup:
    """One element; ``stroke_width=2`` becomes ``stroke-width="2"``, None is left out, all text is escaped."""
    shown = (
        (key.rstrip("_").replace("_", "-"), _number(value)) for key, value in attributes.items() if value is not None
    )
    opened = Markup("").join(Markup(' {}="{}"').format(key, value) for key, value in shown)
    return Markup("<{0}{1}>{2}</{0}>").format(name, opened, Markup("").join(children))


def _number(value: object) -> object:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def percent(share: float | None) -> str:
    """``12.5%``; a dash for None. What is not all or nothing does not read as 100.0% or 0.0%."""
    if share is None:
        return "–"
    return "<0.1%" if 0 < share < 0.0005 else ">99.9%" if 0.9995 <= share < 1 else f"{share:.1%}"


def rate_title(rate: Rate) -> str:
    """``12.5% [2.2%, 47.1%] 1/8``."""
    return f"{percent(rate.rate)} [{percent(rate.low)}, {percent(rate.high)}] {rate.k}/{rate.n}"


def scale_of(rates: Iterable[Rate], *, from_top: bool) -> tuple[float, float]:
    """The ends of an axis that holds all intervals, in steps that read well: from 0 up, ``from_top`` from 1 down."""
    known = [shares for rate in rates if (shares := _known(rate))]
    reach = max((1 - low if from_top else high for low, _, high in known), default=1.0)
    size = next((end for end in SCALES if reach <= end), 1.0)
    return (1 - size, 1.0) if from_top else (0.0, size)


def _known(rate: Rate | None) -> tuple[float, float, float] | None:
    """The low end, the share and the high end of a rate; None where n is 0."""
    if rate is None or rate.low is None or rate.rate is None or rate.high is None:
        return None
    return rate.low, rate.rate, rate.high


def curve(
    points: Sequence[Point],
    epochs: Sequence[tuple[int, Rate]],
    changes: dict[int, str],
    scale: tuple[float, float],
    tone: str,
    limit: float | None,
) -> Markup:
    """A rate by round: the line, its 95 % band, epochs as stripes with their rate as a step, changes as ticks.

    ``epochs``: (epoch, rate) of the whole ones. ``changes``: round -> what it changed, drawn where the next begins.
    ``limit``: a share that the rate should stay below, dashed.
    """
    plot = _Plot(points, scale)
    parts = [  # later parts lie above earlier ones; what a pointer finds lies on top
        *plot.grid(),
        *plot.stripes(),
        *plot.limit(limit),
        *plot.band_and_line(),
        *plot.epochs(epochs),
        *plot.ticks(changes),
        *plot.dots(),
    ]
    return tag("svg", *parts, viewBox=f"0 0 {WIDTH} {HEIGHT}", class_=f"curve {tone}", role="presentation")


class _Plot:
    """Where rounds and shares lie on a curve's drawing, and its parts."""

    def __init__(self, points: Sequence[Point], scale: tuple[float, float]):
        self.points, (self.low, self.high) = points, scale
        self.step = (WIDTH - LEFT - RIGHT) / max(1, len(points))
        self.across = {point.round: LEFT + self.step * (place + 0.5) for place, point in enumerate(points)}
        self.known = [(point, shares) for point in points if (shares := _known(point.rate))]
        self.spans: dict[int, list[float]] = {}  # epoch -> where its rounds lie
        for point in points:
            self.spans.setdefault(point.epoch, []).append(self.across[point.round])

    def up(self, share: float) -> float:
        """Where a share lies; what the axis does not reach lies at its end."""
        inside = min(self.high, max(self.low, share))
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (inside - self.low) / (self.high - self.low))

    def grid(self) -> list[Markup]:
        """Grid lines with their shares."""
        parts = []
        for share in (self.low, (self.low + self.high) / 2, self.high):
            y = self.up(share)
            parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
            parts.append(tag("text", f"{share * 100:g}%", x=LEFT - 6, y=y + 3.5, text_anchor="end"))
        return parts

    def stripes(self) -> list[Markup]:
        """Every other epoch on a tint, and its number below, as far as the numbers have room."""
        parts, free = [], 0.0
        for epoch, (start, end) in self._ends().items():
            if epoch % 2 == 0:
                sides = {"x": start, "y": TOP, "width": end - start, "height": HEIGHT - TOP - BOTTOM}
                parts.append(tag("rect", **sides, class_="stripe"))
            if start >= free:
                middle = (start + end) / 2
                parts.append(tag("text", f"E{epoch}", x=middle, y=HEIGHT - 8, text_anchor="middle"))
                free = middle + 24
        return parts

    def _ends(self) -> dict[int, tuple[float, float]]:
        """Of each epoch, where its first round begins and its last one ends."""
        half = self.step / 2
        return {epoch: (places[0] - half, places[-1] + half) for epoch, places in self.spans.items()}

    def limit(self, limit: float | None) -> list[Markup]:
        """The limit as a line across, where the axis reaches it."""
        if limit is None or not self.low < limit < self.high:
            return []
        y = self.up(limit)
        return [tag("line", tag("title", percent(limit)), x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="limit")]

    def band_and_line(self) -> list[Markup]:
        """The intervals as one area (along the upper ends, back along the lower ones), and the rates as a line."""
        places = [(self.across[point.round], shares) for point, shares in self.known]
        ring = [(x, self.up(high)) for x, (_, _, high) in places]
        ring += [(x, self.up(low)) for x, (low, _, _) in reversed(places)]
        line = [(x, self.up(share)) for x, (_, share, _) in places]
        return [
            tag("polygon", points=_path(ring), class_="band"),
            tag("polyline", points=_path(line), class_="line"),
        ]

    def epochs(self, epochs: Sequence[tuple[int, Rate]]) -> list[Markup]:
        """Each whole epoch's own rate as a step over its rounds."""
        parts = []
        for epoch, rate in epochs:
            if rate.rate is not None and epoch in self.spans:
                (start, end), y = self._ends()[epoch], self.up(rate.rate)
                title = tag("title", f"E{epoch}: {rate_title(rate)}")
                parts.append(tag("line", title, x1=start, x2=end, y1=y, y2=y, class_="epoch"))
        return parts

    def ticks(self, changes: dict[int, str]) -> list[Markup]:
        """A small triangle on the axis behind each round that changed guidance."""
        parts, y = [], HEIGHT - BOTTOM
        for number, what in changes.items():
            if number in self.across:
                x = self.across[number] + self.step / 2
                title = tag("title", f"R{number}: {what}")
                parts.append(tag("path", title, d=f"M{x:.1f} {y + 2}l4 7h-8z", class_="change"))
        return parts

    def dots(self) -> list[Markup]:
        """A dot for each round, and over it a column that shows its figures to a pointer."""
        parts, radius = [], 3.0 if len(self.points) <= MANY else 1.2
        for point, (_, share, _) in self.known:
            x = self.across[point.round]
            parts.append(tag("circle", cx=x, cy=self.up(share), r=radius, class_="dot"))
            title = tag("title", f"R{point.round} (E{point.epoch}): {rate_title(point.rate)}")
            column = {"x": x - self.step / 2, "y": TOP, "width": self.step, "height": HEIGHT - TOP - BOTTOM}
            parts.append(tag("rect", title, **column, class_="hit"))
        return parts


def _path(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def rule_life(
    tallies: dict[int, RuleTally], born: int, died: int | None, last: int, epoch_ends: Sequence[int]
) -> Markup:
    """A rule's life on the run's rounds: right verdicts that rest on it above the line, wrong ones below, on one scale.

    Fits any width (its unit across is a round). ``epoch_ends``: the last round of each epoch but the last.
    """
    thick = 0.8 if last > 12 else 0.4
    most = max((max(seen.hits, seen.misses) for seen in tallies.values()), default=0) or 1
    parts = [tag("line", x1=end, x2=end, y1=0, y2=32, class_="epoch-end") for end in epoch_ends]
    lived = max(0, (last if died is None else died) - born)
    parts.append(tag("rect", x=born, y=15.5, width=lived, height=1, class_="life"))
    for number, seen in tallies.items():
        above, below = 15 * seen.hits / most, 15 * seen.misses / most
        x = number - 0.5 - thick / 2
        parts.append(tag("rect", x=x, y=15.5 - above, width=thick, height=above, class_="hits"))
        parts.append(tag("rect", x=x, y=16.5, width=thick, height=below, class_="misses"))
        title = tag("title", f"R{number}: {seen.hits}/{seen.hits + seen.misses}")
        parts.append(tag("rect", title, x=number - 1, y=0, width=1, height=32, class_="hit"))
    return tag("svg", *parts, viewBox=f"0 0 {last} 32", preserveAspectRatio="none", class_="strip", role="presentation")


def interval(rate: Rate, tone: str, scale: float = 1.0, limit: float | None = None) -> Markup:
    """A rate as a dot on a line from 0 to ``scale`` with its interval, and its limit as a mark across."""
    parts = [tag("line", x1=4, x2=196, y1=8, y2=8, class_="axis"), *_mark(limit, scale, 0, 16)]
    if shares := _known(rate):
        low, at, high = (4 + 192 * min(1.0, share / scale) for share in shares)
        parts.append(tag("line", x1=low, x2=max(high, low + 1), y1=8, y2=8, class_="span"))
        parts.append(tag("circle", cx=at, cy=8, r=4, class_="dot"))
    title = tag("title", rate_title(rate))
    return tag("svg", title, *parts, viewBox="0 0 200 16", class_=f"interval {tone}", role="presentation")


def _mark(limit: float | None, scale: float, top: float, bottom: float) -> list[Markup]:
    """A limit across a line that runs from 4 to 196."""
    if limit is None or not 0 <= limit <= scale:
        return []
    x = 4 + 192 * limit / scale
    return [tag("line", x1=x, x2=x, y1=top, y2=bottom, class_="limit")]


def gauge(rate: Rate | None, tone: str, limit: float | None) -> Markup:
    """The first figure of a page: a rate with its interval on a scale that says its ends, and its limit with its name.

    The scale ends where interval and limit have room.
    """
    reach = max(1.25 * (limit or 0), (rate.high if rate else None) or 0)
    scale = next((end for end in SCALES if reach <= end), 1.0)

    def at(share: float) -> float:
        return 8 + 344 * min(1.0, share / scale)

    parts = [tag("rect", x=8, y=24, width=344, height=8, rx=4, class_="axis")]
    if limit is not None:
        parts.append(tag("rect", x=8, y=24, width=at(limit) - 8, height=8, rx=4, class_="allowed"))
    if shares := _known(rate):
        low, share, high = map(at, shares)
        parts.append(tag("rect", x=low, y=24, width=max(high - low, 2), height=8, rx=4, class_="span"))
        parts.append(tag("circle", cx=share, cy=28, r=7, class_="dot"))
    if limit is not None:
        parts.append(tag("line", x1=at(limit), x2=at(limit), y1=18, y2=38, class_="limit"))
        parts.append(tag("text", f"≤ {percent(limit)}", x=at(limit), y=12, text_anchor="middle", class_="limit-text"))
    parts += [tag("text", "0%", x=8, y=52), tag("text", f"{scale:.0%}", x=352, y=52, text_anchor="end")]
    title = [tag("title", rate_title(rate))] if rate is not None else []
    return tag("svg", *title, *parts, viewBox="8 0 344 56", class_=f"gauge {tone}", role="presentation")


def before_and_after(before: Rate | None, after: Rate | None, tone: str, limit: float | None = None) -> Markup:
    """A rate before (hollow, above) and after (full, below), each with its interval, from 0 to 1, and its limit."""
    parts = [tag("line", x1=4, x2=196, y1=14, y2=14, class_="axis"), *_mark(limit, 1.0, 2, 26)]
    for name, rate, y in (("before", before, 8), ("after", after, 20)):
        if rate is not None and (shares := _known(rate)):
            low, at, high = (4 + 192 * share for share in shares)
            span = tag("line", x1=low, x2=high, y1=y, y2=y, class_="span")
            dot = tag("circle", cx=at, cy=y, r=4, class_="dot")
            parts.append(tag("g", tag("title", rate_title(rate)), span, dot, class_=name))
    return tag("svg", *parts, viewBox="0 0 200 28", class_=f"interval {tone}", role="presentation")


def share_bar(parts: Sequence[tuple[str, int]]) -> Markup:
    """Counts as parts of one bar: (class, count)."""
    total, x, drawn = sum(count for _, count in parts) or 1, 0.0, []
    for name, count in parts:
        width = 100 * count / total
        drawn.append(tag("rect", tag("title", f"{count}"), x=x, y=0, width=width, height=8, class_=name))
        x += width
    return tag("svg", *drawn, viewBox="0 0 100 8", preserveAspectRatio="none", class_="share", role="presentation")
