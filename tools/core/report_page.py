"""The page of a report: its verdict in one sentence, its plots, and what the template needs to lay them out."""

from dataclasses import dataclass

from markupsafe import Markup

from tools.core import svg
from tools.core.negatives import Marker, Piece
from tools.core.page import render
from tools.core.report_data import Report
from tools.core.report_rules import Story, changes_by_round

TICKETS_SHOWN = 20  # of the review list; review.html has them all
TEXTS_SHOWN = 12  # refused texts for a reason
TONES = {"frr": "release", "false_block": "plain", "label_match": "plain", "format": "plain"}


@dataclass(frozen=True)
class Verdict:
    """One sentence to act on: ``key`` names its text, ``values`` fill it. ``tone``: good, wait or stop."""

    tone: str
    key: str
    values: dict[str, object]


def verdict_of(report: Report) -> Verdict:
    """What a quality lead should do now: the gate's word where there is one, else what the last whole epoch says."""
    status, now = report.status, report.now
    if report.student and report.student.gate:
        gate = report.student.gate
        before, after = gate.before.chat.frr, gate.after.chat.frr
        said = {"k": after.k, "n": after.n, "rate": svg.percent(after.rate), "before": svg.percent(before.rate), "reasons": len(gate.reasons)}
        return Verdict("good", "verdict.ship", said) if gate.passed else Verdict("stop", "verdict.no_ship", said)
    if status is None or status.status == "running":
        return Verdict("wait", "verdict.running", {"rounds": report.learnt.rounds})
    if status.status == "unreadable":
        return Verdict("stop", "verdict.unreadable", {"rounds": status.rounds})
    if status.status == "max_epochs":
        return Verdict("stop", "verdict.max_epochs", {"epochs": status.epochs})
    frr = (report.corrected or now).frr if now else None
    if frr is None or frr.rate is None:
        return Verdict("wait", "verdict.unknown", {})
    waiting = report.undecided if report.review else now.need_review
    said = {"k": frr.k, "n": frr.n, "rate": svg.percent(frr.rate), "high": svg.percent(frr.high), "review": waiting}
    if report.limit is None:
        return Verdict("wait", "verdict.no_limit", said)
    said["limit"] = svg.percent(report.limit)
    if frr.rate > report.limit:
        return Verdict("stop", "verdict.over" if waiting else "verdict.over_reviewed", said)
    return Verdict("wait", "verdict.unsure", said) if frr.high > report.limit else Verdict("good", "verdict.within", said)


def page(report: Report) -> str:
    """The whole page as text."""
    marker = Marker(report.learnt.states[-1].experiences["G0"], report.guard)
    return render(
        "report",
        report=report,
        verdict=verdict_of(report),
        figures=[(name, getattr(report.corrected, name, getattr(report.now, name)), tone) for name, tone in TONES.items()] if report.now else [],
        curves=curves(report),
        changes=changes_by_round(report.stories),
        strips={story.key: strip(report, story) for story in report.stories},
        tickets=[(ticket, photos(marker, ticket.per_image)) for ticket in (report.review.tickets[:TICKETS_SHOWN] if report.review else [])],
        texts_shown=TEXTS_SHOWN,
        svg=svg,
        percent=svg.percent,
        points=points,
        p_value=p_value,
        size=size,
        tones=TONES,
    )


def curves(report: Report) -> list[tuple[str, Markup]]:
    """The three curves by round; the two kinds of error share a scale."""
    if not report.rounds:
        return []
    changes = changes_by_round(report.stories)
    errors = svg.scale_of([rate for row in report.rounds for rate in (row.frr, row.false_block)], from_top=False)
    matches = svg.scale_of([row.label_match for row in report.rounds], from_top=True)
    drawn = []
    for name, scale in (("frr", errors), ("false_block", errors), ("label_match", matches)):
        rounds = [svg.Point(row.round, row.epoch, getattr(row, name)) for row in report.rounds]
        epochs = [(row.epoch, getattr(row, name)) for row in report.epochs]
        drawn.append((name, svg.curve(rounds, epochs, changes, scale, TONES[name], report.limit if name == "frr" else None)))
    return drawn


def strip(report: Report, story: Story) -> Markup:
    """A rule's hits and misses on the run's rounds."""
    last = report.learnt.rounds
    per_epoch = report.status.rounds_per_epoch if report.status else last or 1
    return svg.strip(story.tallies, story.born, story.died, max(1, last), range(per_epoch, last, per_epoch))


def photos(marker: Marker, per_image: dict[str, str]) -> list[tuple[str, list[Piece]]]:
    """A ticket's summaries cut into pieces, by photo number."""
    return [(name.removeprefix("image_"), marker.pieces(summary)) for name, summary in per_image.items()]


def points(difference: float | None) -> str:
    """A difference of shares in percentage points, with its sign: ``−3.2``."""
    return "–" if difference is None else f"{100 * difference:+.1f}".replace("-", "−")


def p_value(p: float) -> str:
    """``= 0.0012``; records round it to nine digits."""
    return f"= {p:.2g}" if p >= 1e-9 else "< 1e-9"


def size(count: int) -> str:
    """Bytes for people: ``1.2 MB``."""
    for unit, scale in (("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"
