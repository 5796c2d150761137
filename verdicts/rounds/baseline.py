"""What the verdicts under the checklist alone say of the labels, one selection at a time."""

from collections import Counter

from verdicts.records.baseline import AgreementClass, Baseline, BaselineCase, PhotoClass
from verdicts.records.rollout import Selection, Trajectory
from verdicts.records.run import SideRates
from verdicts.records.tickets import StageA
from verdicts.stage_b.selection import OVERRIDE
from verdicts.stats.rates import RATES, Counts, VerdictRates, wilson

MOST_PHOTOS = 7  # tickets of so many photos or more are one class
WRONG = {"pass": "false release", "fail": "false block"}  # by verdict


class BaselineTally:
    """Counts of selections by label, verdict, photos and agreement."""

    def __init__(self) -> None:
        self._photos: dict[int, Counts] = {}
        self._agreement: dict[float, Counter[bool]] = {}
        self._overridden = self._valid = self._candidates = self._answered = 0

    def see(self, ticket: StageA, selection: Selection) -> None:
        """Take in a ticket's verdict."""
        self._answered += 1
        photos = min(len(ticket.per_image), MOST_PHOTOS)
        self._photos.setdefault(photos, Counter())[ticket.label, selection.verdict] += 1
        share = round(selection.vote_strength, 2)
        self._agreement.setdefault(share, Counter())[selection.verdict == ticket.label] += 1
        self._overridden += OVERRIDE in selection.warnings

    def see_candidate(self, row: Trajectory) -> None:
        """Take in a candidate; the guard's is no answer of the model."""
        if row.source == "model":
            self._valid, self._candidates = self._valid + row.format_ok, self._candidates + 1

    def figures(self, mission: str, tickets: int) -> Baseline:
        """The figures, of so many tickets in all."""
        return Baseline(
            mission=mission,
            tickets=tickets,
            answered=self._answered,
            unanswered=tickets - self._answered,
            overridden=self._overridden,
            rates=_rates(sum(self._photos.values(), Counter())),
            format=wilson(self._valid, self._candidates),
            by_photos=[
                PhotoClass(photos=photos, or_more=photos == MOST_PHOTOS, rates=_rates(self._photos[photos]))
                for photos in sorted(self._photos)
            ],
            by_agreement=[
                AgreementClass(agreement=share, label_match=wilson(counts[True], counts.total()))
                for share, counts in sorted(self._agreement.items())
            ],
        )


def _rates(counts: Counts) -> SideRates:
    """The rates of some tickets by (label, verdict)."""
    found = VerdictRates(**{rate.name: wilson(*rate.counted(counts)) for rate in RATES})
    return SideRates.model_validate(found._asdict())


def summary_lines(figures: Baseline) -> list[str]:
    """The figures as a table for a terminal."""
    of_all = {rate.name: getattr(figures.rates, rate.name) for rate in RATES}
    answered = f"{figures.answered} of {figures.tickets} tickets answered"
    guard = f", {figures.overridden} passes overridden by the guard" if figures.overridden else ""
    columns = [rate for rate in RATES if rate.is_error]
    return [
        f"{figures.mission}: the checklist alone against the labels ({answered}{guard})",
        *(f"  {rate.label:<12} {of_all[rate.name]}" for rate in RATES),
        f"  {'format':<12} {figures.format}",
        "",
        f"  {'photos':<12} " + "  ".join(f"{rate.label:<30}" for rate in columns).rstrip(),
        *(
            f"  {_photos(row):<12} " + "  ".join(f"{getattr(row.rates, rate.name)!s:<30}" for rate in columns).rstrip()
            for row in figures.by_photos
        ),
        "",
        f"  {'agreement':<12} label match",
        *(f"  {row.agreement:<12.0%} {row.label_match}" for row in figures.by_agreement),
    ]


def _photos(row: PhotoClass) -> str:
    return f"{row.photos} or more" if row.or_more else str(row.photos)


def case_lines(case: BaselineCase) -> list[str]:
    """A ticket for people to read: label and verdict, both reasons, the summaries."""
    said = [f"  people: {text}" for text in case.fail_reasons]
    return [
        f"{case.ticket_key}: {WRONG[case.verdict]} (labelled {case.label}, {case.vote_strength:.0%} of the votes)",
        *said,
        f"  model: {case.reason}",
        *(f"  {name}: {text}" for name, text in case.per_image.items()),
    ]
