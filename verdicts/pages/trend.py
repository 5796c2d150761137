"""A rate over runs: a dot a run with its interval and its limit, as inline SVG."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from verdicts.pages.svg import SCALES, percent, rate_title, tag
from verdicts.stats.rates import Rate

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 480, 210, 40, 8, 12, 26
NAMED = 6  # from which on names below would run into each other
SHORT = 11  # characters of a name


class TrendStep(NamedTuple):
    """A run: its name, a rate with a known share, its limit (None: there is none), and how the two stand."""

    name: str
    rate: Rate
    limit: float | None
    tone: str


def trend(steps: Sequence[TrendStep]) -> Markup:
    """The rates from left to right, joined by a line, on a scale from 0 that holds all intervals and limits."""
    reach = max(max(step.rate.high or 0, step.limit or 0) for step in steps)
    high = next((end for end in SCALES if reach <= end), 1.0)
    apart = (WIDTH - LEFT - RIGHT) / len(steps)

    def up(share: float | None) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - min(1.0, (share or 0.0) / high))

    parts = []
    for share in (0.0, high / 2, high):
        y = up(share)
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
        parts.append(tag("text", f"{share * 100:g}%", x=LEFT - 6, y=y + 4, text_anchor="end"))
    across = [LEFT + apart * (place + 0.5) for place in range(len(steps))]
    line = " ".join(f"{x:.1f},{up(step.rate.rate):.1f}" for x, step in zip(across, steps, strict=True))
    parts.append(tag("polyline", points=line, class_="line"))
    for x, step in zip(across, steps, strict=True):
        parts += _run(x, apart, up, step)
        if len(steps) <= NAMED:
            short = step.name if len(step.name) <= SHORT else step.name[: SHORT - 1] + "…"
            parts.append(tag("text", short, x=x, y=HEIGHT - 7, text_anchor="middle"))
    return tag("svg", *parts, viewBox=f"0 0 {WIDTH} {HEIGHT}", class_="curve trend", role="presentation")


def _run(x: float, apart: float, up: Callable[[float | None], float], step: TrendStep) -> list[Markup]:
    """One run: its interval as an upright line, its rate as a dot, its limit across, and a column for the pointer."""
    parts = []
    if step.limit is not None:
        y = up(step.limit)
        parts.append(tag("line", x1=x - apart / 2, x2=x + apart / 2, y1=y, y2=y, class_="limit"))
    parts.append(tag("line", x1=x, x2=x, y1=up(step.rate.low), y2=up(step.rate.high), class_="span"))
    parts.append(tag("circle", cx=x, cy=up(step.rate.rate), r=4.5, class_="dot"))
    limit = f" ≤ {percent(step.limit)}" if step.limit is not None else ""
    title = tag("title", f"{step.name}: {rate_title(step.rate)}{limit}")
    column = {"x": x - apart / 2, "y": TOP, "width": apart, "height": HEIGHT - TOP - BOTTOM}
    return [tag("g", *parts, class_=step.tone), tag("rect", title, **column, class_="hit")]
