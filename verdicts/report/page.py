"""The page of a report: its verdict in one sentence, its plots, and what the template needs to lay them out."""

import re

from markupsafe import Markup

from verdicts.evaluation.counts import COUNTS
from verdicts.evaluation.gate_words import gate_in_chinese
from verdicts.evaluation.scores import METRICS
from verdicts.pages import svg
from verdicts.pages.renderer import render_page
from verdicts.records.run import RoundMetrics
from verdicts.report.data import Report
from verdicts.report.evidence import p_text, side_rates
from verdicts.report.headline import confusion_of, state_of, student_state, teachers_frr
from verdicts.report.rules import Story, changes_by_round
from verdicts.review.highlight import Marker, Piece
from verdicts.runs.spent import spent_cells
from verdicts.runs.standing import Advice, Gap, training_advice
from verdicts.stats.rates import RATE, RATES, Rate

TEXTS_SHOWN = 12  # refused texts for a reason


def advice_of(report: Report) -> Advice:
    """What a quality lead should do now: the gate's word where there is one, else what the last whole epoch says."""
    status = report.status
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
    frr = teachers_frr(report.standing, report.now)
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
    marker = Marker(report.learnt.states[-1].experiences["G0"], report.guard)  # marks what the guard looks at
    shown = figures(report, report.now) if report.now else []
    return render_page(
        "report",
        texts=rate_texts(),
        report=report,
        verdict=advice_of(report),
        gaps=[gap_sentence(gap) for gap in report.gaps],
        headline=report.headline,
        figures=shown,
        error_scale=error_scale(shown, report.limits),
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
        guided=list(RATE),
        p_text=p_text,
        size=size,
        state=lambda name, rate: state_of(name, rate, report.limits.get(name)),
        student_state=lambda name, rate, side: student_state(name, rate, side, report.limits.get(name)),
        confusion_of=confusion_of,
        sureness=sureness,
        gate_in_chinese=gate_in_chinese,
        spent=list(spent_cells(report.spent)),
        in_chinese=oscillation_in_chinese,
    )


Figure = tuple[str, list[tuple[str, Rate]]]


def figures(report: Report, now: RoundMetrics) -> list[Figure]:
    """(name, rates by side) of each figure of the teacher.

    The sides: all tickets, then learn and hold-out tickets where the run held some out.
    """
    stands = report.standing
    if stands:
        sides = {"all": stands.rates, "learn": stands.learn, "holdout": stands.holdout}
        by_side = {side: rates._asdict() for side, rates in sides.items() if rates is not None}
    else:
        by_side = {side: side_rates(now, side) for side in report.sides}
    drawn = {name: [(side, rates[name]) for side, rates in by_side.items()] for name in RATE}
    drawn["format"] = [("all", now.format)]
    return list(drawn.items())


def error_scale(shown: list[Figure], limits: dict[str, float]) -> float:
    """Where the scales of errors end: all of them at the same share, which holds their intervals and limits."""
    errors = {rate.name for rate in RATES if rate.is_error}
    rates = [rate for name, by_side in shown if name in errors for _, rate in by_side]
    return max(svg.scale_of(rates, from_top=False)[1], *(limits.get(name, 0.0) for name in errors))


def curves(report: Report) -> list[tuple[str, Markup]]:
    """A curve by round for each rate. Errors share a scale that begins at 0, the others one that ends at 1."""
    if not report.rounds:
        return []
    changes = changes_by_round(report.stories)
    rounds = [(row, side_rates(row, "all")) for row in report.rounds]
    epochs = [(row.epoch, side_rates(row, "all")) for row in report.epochs]
    scales = {}
    for errors in (True, False):
        shown = [rate.name for rate in RATES if rate.is_error == errors]
        scales[errors] = svg.scale_of([rates[name] for _, rates in rounds for name in shown], from_top=not errors)
    drawn = []
    for rate in RATES:
        points = [svg.Point(row.round, row.epoch, rates[rate.name]) for row, rates in rounds]
        steps = [(epoch, rates[rate.name]) for epoch, rates in epochs]
        limit = report.limits.get(rate.name)
        tone = state_of(rate.name, points[-1].rate if not steps else steps[-1][1], limit)
        drawn.append((rate.name, svg.curve(points, steps, changes, scales[rate.is_error], tone, limit)))
    return drawn


def rate_texts() -> dict[str, list[str]]:
    """The report's texts on rates and metrics, by key; they stand with the rates, not in report.yaml."""
    texts = {metric.name: metric.page for metric in METRICS} | {count.title: count.page for count in COUNTS}
    for rate in RATES:
        texts |= {rate.name: rate.title, f"{rate.name}.short": rate.short, f"{rate.name}.what": rate.what}
        if rate.gap:
            texts[f"gap.{rate.name}"] = rate.gap
    return {key: list(pair) for key, pair in texts.items()}


def story_life(report: Report, story: Story) -> Markup:
    """A rule's hits and misses on the run's rounds."""
    last = report.learnt.rounds
    per_epoch = report.status.rounds_per_epoch if report.status else last or 1  # not judged yet: no epoch is drawn
    return svg.rule_life(story.tallies, story.born, story.died, max(1, last), range(per_epoch, last, per_epoch))


def photos(marker: Marker, per_image: dict[str, str]) -> list[tuple[str, list[Piece]]]:
    """A ticket's summaries cut into pieces, by photo number."""
    return [(name.removeprefix("image_"), marker.pieces(summary)) for name, summary in per_image.items()]


def points(difference: float | None) -> str:
    """A difference of shares in percentage points, with its sign: ``−3.2``."""
    return "–" if difference is None else f"{100 * difference:+.1f}".replace("-", "−")


def sureness(odds: float | None) -> str:
    """The name of the words for how sure the model is that a label is wrong, by its mean log-odds against it.

    3 is odds of 20 to 1, 7 of a thousand to 1.
    """
    if odds is None:
        return "sure.unknown"
    return "sure.not" if odds < 0 else "sure.little" if odds < 3 else "sure.much" if odds < 7 else "sure.most"


def oscillation_in_chinese(sentence: str) -> str:
    """What loop.json says of a return to earlier rules; "" for another sentence."""
    found = re.fullmatch(r"round (\d+) returns to the rules after round (\d+)", sentence)
    return "第 {} 轮回到第 {} 轮之后的规则".format(*found.groups()) if found else ""


def size(count: int) -> str:
    """Bytes for people: ``1.2 MB``."""
    for unit, scale in (("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"
