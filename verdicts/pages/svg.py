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


def tag(name: str, *children: object, **attributes: object) -> Markup:
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
    """The ends of an axis that holds all intervals: from 0 up, or (``from_top``) from 1 down, in steps that read well."""
    known = [rate for rate in rates if rate.rate is not None]
    reach = max((1 - rate.low if from_top else rate.high for rate in known), default=1.0)
    size = next((end for end in SCALES if reach <= end), 1.0)
    return (1 - size, 1.0) if from_top else (0.0, size)


def curve(
    points: Sequence[Point],
    epochs: Sequence[tuple[int, Rate]],
    changes: dict[int, str],
    scale: tuple[float, float],
    tone: str,
    limit: float | None,
) -> Markup:
    """A rate by round: the line, its 95 % band, epochs as stripes with their own rate as a step, guidance changes as ticks.

    ``epochs``: (epoch, rate) of the whole ones. ``changes``: round -> what it changed; drawn where the next round begins.
    ``limit``: a share that the rate should stay below, dashed.
    """
    low, high = scale
    rounds = [point.round for point in points]
    step = (WIDTH - LEFT - RIGHT) / max(1, len(rounds))
    across = {number: LEFT + step * (place + 0.5) for place, number in enumerate(rounds)}

    def up(share: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (min(high, max(low, share)) - low) / (high - low))

    spans: dict[int, list[float]] = {}
    for point in points:
        spans.setdefault(point.epoch, []).append(across[point.round])
    parts = _frame(low, high, up)
    parts += _stripes(spans, step)
    if limit is not None and low < limit < high:
        parts.append(
            tag(
                "line",
                tag("title", percent(limit)),
                x1=LEFT,
                x2=WIDTH - RIGHT,
                y1=up(limit),
                y2=up(limit),
                class_="limit",
            )
        )
    known = [point for point in points if point.rate.rate is not None]
    ring = [(across[p.round], up(p.rate.high)) for p in known] + [
        (across[p.round], up(p.rate.low)) for p in reversed(known)
    ]
    parts.append(tag("polygon", points=_path(ring), class_="band"))
    parts.append(tag("polyline", points=_path((across[p.round], up(p.rate.rate)) for p in known), class_="line"))
    for epoch, rate in epochs:
        if rate.rate is not None and epoch in spans:
            y = up(rate.rate)
            title = tag("title", f"E{epoch}: {rate_title(rate)}")
            parts.append(
                tag(
                    "line",
                    title,
                    x1=spans[epoch][0] - step / 2,
                    x2=spans[epoch][-1] + step / 2,
                    y1=y,
                    y2=y,
                    class_="epoch",
                )
            )
    for number, what in changes.items():
        if number in across:
            parts.append(_tick(across[number] + step / 2, f"R{number}: {what}"))
    radius = 3.0 if len(rounds) <= MANY else 1.2
    for point in known:
        x, y = across[point.round], up(point.rate.rate)
        parts.append(tag("circle", cx=x, cy=y, r=radius, class_="dot"))
        title = tag("title", f"R{point.round} (E{point.epoch}): {rate_title(point.rate)}")
        parts.append(tag("rect", title, x=x - step / 2, y=TOP, width=step, height=HEIGHT - TOP - BOTTOM, class_="hit"))
    return tag("svg", *parts, viewBox=f"0 0 {WIDTH} {HEIGHT}", class_=f"curve {tone}", role="presentation")


def _frame(low: float, high: float, up) -> list[Markup]:
    """Grid lines with their shares."""
    parts = []
    for share in (low, (low + high) / 2, high):
        y = up(share)
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
        parts.append(tag("text", f"{share * 100:g}%", x=LEFT - 6, y=y + 3.5, text_anchor="end"))
    return parts


def _stripes(spans: dict[int, list[float]], step: float) -> list[Markup]:
    """Every other epoch on a tint, and its number below, as far as the numbers have room."""
    parts, free = [], 0.0
    for epoch, places in spans.items():
        start, end = places[0] - step / 2, places[-1] + step / 2
        if epoch % 2 == 0:
            parts.append(tag("rect", x=start, y=TOP, width=end - start, height=HEIGHT - TOP - BOTTOM, class_="stripe"))
        if start >= free:
            parts.append(tag("text", f"E{epoch}", x=(start + end) / 2, y=HEIGHT - 8, text_anchor="middle"))
            free = (start + end) / 2 + 24
    return parts


def _tick(x: float, title: str) -> Markup:
    """A small triangle on the axis."""
    y = HEIGHT - BOTTOM
    return tag("path", tag("title", title), d=f"M{x:.1f} {y + 2}l4 7h-8z", class_="change")


def _path(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def rule_life(
    tallies: dict[int, RuleTally], born: int, died: int | None, last: int, epoch_ends: Sequence[int]
) -> Markup:
    """A rule's life on the run's rounds: right verdicts that rest on it above the line, wrong ones below, on one scale.

    Stretches to any width (its unit across is a round). ``epoch_ends``: the last round of each epoch but the last.
    """
    width = 0.8 if last > 12 else 0.4
    most = max((max(seen.hits, seen.misses) for seen in tallies.values()), default=0) or 1
    parts = [tag("line", x1=end, x2=end, y1=0, y2=32, class_="epoch-end") for end in epoch_ends]
    parts.append(
        tag("rect", x=born, y=15.5, width=max(0, (last if died is None else died) - born), height=1, class_="life")
    )
    for number, seen in tallies.items():
        above, below = 15 * seen.hits / most, 15 * seen.misses / most
        parts.append(tag("rect", x=number - 0.5 - width / 2, y=15.5 - above, width=width, height=above, class_="hits"))
        parts.append(tag("rect", x=number - 0.5 - width / 2, y=16.5, width=width, height=below, class_="misses"))
        parts.append(
            tag(
                "rect",
                tag("title", f"R{number}: ✓ {seen.hits}  ✗ {seen.misses}"),
                x=number - 1,
                y=0,
                width=1,
                height=32,
                class_="hit",
            )
        )
    return tag("svg", *parts, viewBox=f"0 0 {last} 32", preserveAspectRatio="none", class_="strip", role="presentation")


def interval(rate: Rate, tone: str, scale: float = 1.0) -> Markup:
    """A rate as a dot on a line from 0 to ``scale`` with its interval."""
    parts = [tag("line", x1=4, x2=196, y1=8, y2=8, class_="axis")]
    if rate.rate is not None:
        low, at, high = (4 + 192 * min(1.0, share / scale) for share in (rate.low, rate.rate, rate.high))
        parts.append(tag("line", x1=low, x2=max(high, low + 1), y1=8, y2=8, class_="span"))
        parts.append(tag("circle", cx=at, cy=8, r=4, class_="dot"))
    return tag(
        "svg",
        tag("title", rate_title(rate)),
        *parts,
        viewBox="0 0 200 16",
        class_=f"interval {tone}",
        role="presentation",
    )


def before_and_after(before: Rate | None, after: Rate | None, tone: str) -> Markup:
    """A rate before (hollow, above) and after (full, below), each with its interval, from 0 to 1."""
    parts = [tag("line", x1=4, x2=196, y1=14, y2=14, class_="axis")]
    for name, rate, y in (("before", before, 8), ("after", after, 20)):
        if rate is not None and rate.rate is not None:
            low, at, high = (4 + 192 * share for share in (rate.low, rate.rate, rate.high))
            title = tag("title", rate_title(rate))
            parts.append(
                tag(
                    "g",
                    title,
                    tag("line", x1=low, x2=high, y1=y, y2=y, class_="span"),
                    tag("circle", cx=at, cy=y, r=4, class_="dot"),
                    class_=name,
                )
            )
    return tag("svg", *parts, viewBox="0 0 200 28", class_=f"interval {tone}", role="presentation")


def share_bar(parts: Sequence[tuple[str, int]]) -> Markup:
    """Counts as parts of one bar: (class, count)."""
    total, x, drawn = sum(count for _, count in parts) or 1, 0.0, []
    for name, count in parts:
        width = 100 * count / total
        drawn.append(tag("rect", tag("title", f"{count}"), x=x, y=0, width=width, height=8, class_=name))
        x += width
    return tag("svg", *drawn, viewBox="0 0 100 8", preserveAspectRatio="none", class_="share", role="presentation")
