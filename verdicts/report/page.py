"""The page of a report: its verdict in one sentence, its plots, and what the template needs to lay them out."""

from markupsafe import Markup

from verdicts.evaluation.scores import METRICS
from verdicts.pages import svg
from verdicts.pages.renderer import render_page
from verdicts.report.data import Report
from verdicts.report.evidence import p_text, side_rates
from verdicts.report.rules import Story, changes_by_round
from verdicts.review.highlight import Marker, Piece
from verdicts.runs.standing import Advice, Gap, training_advice
from verdicts.stats.rates import Rate

TEXTS_SHOWN = 12  # refused texts for a reason
GUIDED = ("frr", "false_block", "label_match")  # the figures that guidance moves
TONES = {"frr": "release", "false_block": "plain", "label_match": "plain", "format": "plain"}


def advice_of(report: Report) -> Advice:
    """What a quality lead should do now: the gate's word where there is one, else what the last whole epoch says."""
    status, now = report.status, report.now
    if report.student and report.student.gate:
        gate = report.student.gate
        before, after = gate.before.chat.frr, gate.after.chat.frr
        said = {
            "k": after.k,
            "n": after.n,
            "rate": svg.percent(after.rate),
            "before": svg.percent(before.rate),
            "reasons": len(gate.reasons),
        }
        return Advice("good", "verdict.ship", said) if gate.passed else Advice("stop", "verdict.no_ship", said)
    frr = report.standing.rates.frr if report.standing else now.frr if now else None
    return training_advice(status, report.learnt.rounds, frr, report.undecided, report.limit, report.gaps)


def gap_sentence(gap: Gap) -> Advice:
    """The sentence on a gap: stop where it lets more fails through, wait where it blocks more passes."""
    sides = {"holdout": gap.holdout, "learn": gap.learn}
    values = {f"{side}_{name}": getattr(rate, name) for side, rate in sides.items() for name in ("k", "n")}
    values |= {
        f"{side}_{name}": svg.percent(getattr(rate, name))
        for side, rate in sides.items()
        for name in ("rate", "low", "high")
    }
    return Advice("stop" if gap.rate == "frr" else "wait", f"gap.{gap.rate}", values)


def report_page(report: Report) -> str:
    """The whole page as text."""
    marker = Marker(report.learnt.states[-1].experiences["G0"], report.guard)
    return render_page(
        "report",
        texts={metric.name: list(metric.page) for metric in METRICS},
        report=report,
        verdict=advice_of(report),
        gaps=[gap_sentence(gap) for gap in report.gaps],
        figures=figures(report) if report.now else [],
        curves=curves(report),
        changes=changes_by_round(report.stories),
        strips={story.key: story_life(report, story) for story in report.stories},
        tickets=[
            (ticket, photos(marker, ticket.per_image)) for ticket in (report.review.tickets if report.review else [])
        ],
        texts_shown=TEXTS_SHOWN,
        svg=svg,
        percent=svg.percent,
        points=points,
        side_rates=side_rates,
        guided=GUIDED,
        p_text=p_text,
        size=size,
        tones=TONES,
    )


def figures(report: Report) -> list[tuple[str, str, list[tuple[str, Rate]]]]:
    """(name, tone, rates by side) of each figure.

    The sides: all tickets, then learn and hold-out tickets where the run held some out.
    """
    stands = report.standing
    if stands:
        by_side = {
            side: rates
            for side, rates in (("all", stands.rates), ("learn", stands.learn), ("holdout", stands.holdout))
            if rates is not None
        }
    else:
        by_side = {side: side_rates(report.now, side) for side in report.sides}
    drawn = {name: [(side, getattr(rates, name)) for side, rates in by_side.items()] for name in GUIDED} | {
        "format": [("all", report.now.format)]
    }
    return [(name, tone, drawn[name]) for name, tone in TONES.items()]


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
        drawn.append(
            (name, svg.curve(rounds, epochs, changes, scale, TONES[name], report.limit if name == "frr" else None))
        )
    return drawn


def story_life(report: Report, story: Story) -> Markup:
    """A rule's hits and misses on the run's rounds."""
    last = report.learnt.rounds
    per_epoch = report.status.rounds_per_epoch if report.status else last or 1
    return svg.rule_life(story.tallies, story.born, story.died, max(1, last), range(per_epoch, last, per_epoch))


def photos(marker: Marker, per_image: dict[str, str]) -> list[tuple[str, list[Piece]]]:
    """A ticket's summaries cut into pieces, by photo number."""
    return [(name.removeprefix("image_"), marker.pieces(summary)) for name, summary in per_image.items()]


def points(difference: float | None) -> str:
    """A difference of shares in percentage points, with its sign: ``−3.2``."""
    return "–" if difference is None else f"{100 * difference:+.1f}".replace("-", "−")


def size(count: int) -> str:
    """Bytes for people: ``1.2 MB``."""
    for unit, scale in (("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"
