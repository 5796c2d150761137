"""Labels that look wrong before a model has judged anything: from the tickets' own words, and from each other.

Four signals, each a number in [0, 1] or absent, none of them tuned on tickets:

- ``twins``: of the tickets that show the same, the share with the other label, the ticket itself counted. Two tickets
  show the same where their summaries are equal in any order; where none are, where their facts are the same, whatever
  their counts, their photos and the text on labels.
- ``checklist``: of a fail without an explicit negative the share of the guard's objects that photos show (everything is
  there, and nothing is wrong); of a pass 1 with an explicit negative, else the share of objects that no photo shows.
- ``other_label``: P(the other label) by a logistic regression on the facts, cross-validated: a ticket's group is never
  among those that it was fitted on.
- ``same_group``: the share of the facts that the same group's ticket of the other label shows too (P. Jaccard 1912).

A ticket's score is the mean of ``checklist`` and of the stronger of ``other_label`` and ``twins``; what is not known
counts as a half. ``same_group`` is shown alone: on audited tickets it ranks no better than chance (docs/evidence.md).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from verdicts.config.sections import FailFirst, Negative
from verdicts.facts.words import LABEL, TEXT
from verdicts.records.review import Suspect, SuspectSignals
from verdicts.records.tickets import StageA, Verdict
from verdicts.review.decisions import OTHER
from verdicts.stage_b.negatives import is_negative, read_for


class TicketSeen(NamedTuple):
    """What a ticket shows. ``facts``: object or object/name=value -> how many; ``negative``: an explicit one."""

    ticket_key: str
    group_id: str
    label: Verdict
    summaries: tuple[str, ...]
    facts: Mapping[str, int]
    objects: frozenset[str]
    negative: str


def shown_of(ticket: StageA, guard: FailFirst) -> TicketSeen:
    """A ticket's facts; the text on labels and remarks are left out, for they name sites."""
    facts: Counter[str] = Counter()
    objects: set[str] = set()
    negative = ""
    for summary in ticket.per_image.values():
        for fact in read_for(summary, guard).facts:
            objects.update(fact.objects)
            facts[fact.category] += fact.count
            for name, value in (*fact.attributes, *fact.shared):
                if name != TEXT and not (fact.category == LABEL and not name):
                    facts[f"{fact.category}/{name}={value}"] += fact.count
            negative = negative or (fact.shown if is_negative(fact, guard) else "")
    return TicketSeen(
        ticket.ticket_key, ticket.group_id, ticket.label, tuple(sorted(ticket.per_image.values())), facts,
        frozenset(objects), negative,
    )  # fmt: skip


def wanted_objects(guard: FailFirst) -> frozenset[str]:
    """The objects that the guard knows a fault of: those that the mission is about."""
    return frozenset(name for one in guard.negatives if isinstance(one, Negative) for name in one.objects)


def by_checklist(ticket: TicketSeen, wanted: frozenset[str]) -> float | None:
    """How little the label follows from objects and explicit negatives; None where no object is known."""
    if not wanted:
        return None
    seen = len(wanted & ticket.objects) / len(wanted)
    if ticket.label == "fail":
        return 0.0 if ticket.negative else seen
    return 1.0 if ticket.negative else 1 - seen


def label_match_at_best(tickets: Sequence[TicketSeen], same: str) -> int:
    """How many labels a reader can match who says the same of tickets that show the same.

    ``same``: ``summaries`` or ``facts``. Where both labels stand on the same, the rarer one is lost.
    """
    return sum(max(labels.values()) for labels in _labels_by(tickets, same).values())


def _labels_by(tickets: Sequence[TicketSeen], same: str) -> dict[object, Counter[str]]:
    found: dict[object, Counter[str]] = defaultdict(Counter)
    for ticket in tickets:
        found[_what(ticket, same)][ticket.label] += 1
    return found


def _what(ticket: TicketSeen, same: str) -> object:
    return ticket.summaries if same == "summaries" else frozenset(ticket.facts)


def by_twins(tickets: Sequence[TicketSeen]) -> list[float | None]:
    """For each ticket the share of the other label among those that show the same; None where there is no other."""
    counts = {same: _labels_by(tickets, same) for same in ("summaries", "facts")}

    def share(ticket: TicketSeen) -> float | None:
        found = (counts[same][_what(ticket, same)] for same in counts)
        labels = next((labels for labels in found if labels.total() > 1), None)
        return labels[OTHER[ticket.label]] / labels.total() if labels else None

    return [share(ticket) for ticket in tickets]


def by_group(tickets: Sequence[TicketSeen]) -> list[float | None]:
    """For each ticket whose group has the other label too: the share of facts that both show."""
    known = {(ticket.group_id, ticket.label): frozenset(ticket.facts) for ticket in tickets}

    def share(ticket: TicketSeen) -> float | None:
        own, other = frozenset(ticket.facts), known.get((ticket.group_id, OTHER[ticket.label]))
        return None if other is None else len(own & other) / max(1, len(own | other))

    return [share(ticket) for ticket in tickets]


def by_cross_validation(tickets: Sequence[TicketSeen], folds: int, seed: int) -> list[float] | None:
    """P(the other label) of each ticket by a reader of facts that never saw its group; None where a label is too rare.

    Logistic regression (scikit-learn, its own defaults, both labels weighing the same) on log(1 + count) of each fact.
    Raises UserError where scikit-learn is not there.
    """
    fewest = min(len({ticket.group_id for ticket in tickets if ticket.label == label}) for label in OTHER)
    if fewest < folds:
        return None
    chances = cross_validated(tickets, folds, seed)
    return [chance if ticket.label == "pass" else 1 - chance for ticket, chance in zip(tickets, chances, strict=True)]


def cross_validated(tickets: Sequence[TicketSeen], folds: int, seed: int) -> list[float]:
    """P(fail) of each ticket, as ``by_cross_validation`` reads it."""
    import numpy as np

    from verdicts.base.errors import mistake

    try:
        from sklearn.feature_extraction import DictVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
        from sklearn.pipeline import make_pipeline
    except ImportError:
        raise mistake("scikit-learn is not installed", "run make suspects, which installs it") from None
    reader = make_pipeline(DictVectorizer(), LogisticRegression(class_weight="balanced", max_iter=1000))
    rows = [{name: float(np.log1p(count)) for name, count in ticket.facts.items()} for ticket in tickets]
    labels = np.array([ticket.label == "fail" for ticket in tickets])
    cut = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    groups = [ticket.group_id for ticket in tickets]
    found = cross_val_predict(reader, rows, labels, groups=groups, cv=cut, method="predict_proba")
    return [round(float(chance), 6) for chance in found[:, 1]]


def suspects_of(tickets: Sequence[TicketSeen], guard: FailFirst, folds: int, seed: int) -> list[Suspect]:
    """Every ticket with its signals, the likeliest label error first; equal scores in the order of their keys."""
    wanted, crossed = wanted_objects(guard), by_cross_validation(tickets, folds, seed)
    others: Sequence[float | None] = crossed or [None] * len(tickets)
    columns = zip(by_twins(tickets), by_group(tickets), others, strict=True)
    found = []
    for ticket, (twins, group, other) in zip(tickets, columns, strict=True):
        signals = SuspectSignals(
            twins=_rounded(twins), checklist=_rounded(by_checklist(ticket, wanted)), other_label=other,
            same_group=_rounded(group),
        )  # fmt: skip
        found.append(
            Suspect(
                ticket_key=ticket.ticket_key, group_id=ticket.group_id, label=ticket.label, score=score_of(signals),
                signals=signals, negative=ticket.negative, why=[*_why(ticket, signals, wanted)],
            )
        )  # fmt: skip
    return sorted(found, key=lambda row: (-row.score, row.ticket_key))


def score_of(signals: SuspectSignals) -> float:
    """How much speaks against a label, all in all."""
    checklist = 0.5 if signals.checklist is None else signals.checklist
    others = max(0.5 if signals.other_label is None else signals.other_label, signals.twins or 0.0)
    return round((checklist + others) / 2, 6)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _why(ticket: TicketSeen, signals: SuspectSignals, wanted: frozenset[str]) -> Iterator[str]:
    """What speaks against the label, in words for a reader."""
    if signals.twins:
        yield "others show the same under the other label"
    if signals.same_group:
        yield "the group has the other label too"
    if ticket.label == "fail" and not ticket.negative:
        yield "nothing wrong in sight" + ("" if (signals.checklist or 0) < 1 else ", nothing missing")
    if ticket.label == "pass" and ticket.negative:
        yield "an explicit negative in sight"
    if ticket.label == "pass" and not ticket.negative and (missing := sorted(wanted - ticket.objects)):
        yield f"no photo shows {'、'.join(missing)}"
