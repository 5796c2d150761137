"""What people decide of queued tickets, and what that changes.

A decision is laid over a ticket, never written into it: a ticket keeps the key and the label it came with
(``group_id::label``), so a corrected label cannot collide with the group's other ticket, and records of a run agree
with the tickets it was given. Whoever uses labels (learning, the corpus) looks at them through this module.

    label_wrong   the label is the other one: learning and corpus use that
    model_wrong   the label stands, the model erred: learning keeps the ticket, the corpus leaves its answer out
                  (and has the person's, where they wrote the reason)
    exclude       no use in the ticket: learning and corpus leave it out
    unsure        nobody can tell: learning keeps the ticket, the corpus leaves it out
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import get_args

from verdicts.base.errors import mistake
from verdicts.records.review import Decision, ReviewDecision, ReviewSummary, ReviewTicket
from verdicts.records.rollout import Selection
from verdicts.records.tickets import Verdict
from verdicts.stage_b.protocol import render, third_state_word
from verdicts.stats.rates import Rate, wilson

OTHER: dict[Verdict, Verdict] = {"pass": "fail", "fail": "pass"}


def label_after(label: Verdict, said: ReviewDecision | None) -> Verdict:
    """The label to use: the other one where a person called it wrong."""
    return OTHER[label] if said and said.decision == "label_wrong" else label


def taught_by(label: Verdict, said: ReviewDecision | None) -> str:
    """The answer that a person wrote for the corpus: the right verdict and their reason; "" where they wrote none."""
    return render(label_after(label, said), said.corrected_reason) if said and said.corrected_reason else ""


def refuse_unteachable(path: Path, said: Iterable[ReviewDecision]) -> None:
    """Raise UserError for a corrected reason that no answer may have: a model taught on it would be malformed."""
    for decision in said:
        if word := third_state_word(decision.corrected_reason):
            raise mistake(
                f"{decision.ticket_key!r}: an answer knows pass and fail alone, and this says {word!r}",
                "write it without, or decide unsure",
                path=path,
                field="corrected_reason",
            )


def for_learning(selections: Iterable[Selection], said: Mapping[str, ReviewDecision]) -> list[Selection]:
    """The selections that learning sees, in their order.

    Without excluded tickets; wrong labels corrected, and label_match with them.
    """
    seen = []
    for selection in selections:
        decision = said.get(selection.ticket_key)
        if decision and decision.decision == "exclude":
            continue
        label = label_after(selection.label, decision)
        seen.append(selection.model_copy(update={"label": label, "label_match": selection.verdict == label}))
    return seen


def standing_still(before: Mapping[str, ReviewDecision], given: Mapping[str, ReviewDecision]) -> set[str]:
    """Tickets whose earlier decision a given one does not replace: a third person settled them."""
    return {
        key
        for key, decision in given.items()
        if key in before and before[key].adjudicated and not decision.adjudicated and differs(before[key], decision)
    }


def differs(before: ReviewDecision, given: ReviewDecision) -> bool:
    """Whether a given decision says anything else than the one before, who settled it apart."""
    return before != given.model_copy(update={"adjudicated": before.adjudicated})


def merge_decisions(before: Mapping[str, ReviewDecision], given: Mapping[str, ReviewDecision]) -> list[ReviewDecision]:
    """All decisions, sorted by ticket; a given one replaces the one before, but for what was adjudicated."""
    kept = {key: said for key, said in before.items() if said.adjudicated and not _adjudicates(given.get(key))}
    return [decision for _, decision in sorted({**before, **given, **kept}.items())]


def _adjudicates(said: ReviewDecision | None) -> bool:
    return said is not None and said.adjudicated


def count_changes(before: Mapping[str, ReviewDecision], given: Mapping[str, ReviewDecision]) -> str:
    """What a merge does, counted: ``3 given = 1 new + 1 changed + 1 unchanged; 4 others kept``."""
    settled = standing_still(before, given)
    found = Counter(
        "settled by a third person before" if key in settled else _change(before.get(key), decision)
        for key, decision in given.items()
    )
    words = ["new", "changed", "unchanged", *(["settled by a third person before"] if settled else [])]
    parts = " + ".join(f"{found[word]} {word}" for word in words)
    return f"{len(given)} given = {parts}; {len(before.keys() - given.keys())} others kept"


def _change(before: ReviewDecision | None, given: ReviewDecision) -> str:
    if before is None:
        return "new"
    return "changed" if differs(before, given) or given.adjudicated > before.adjudicated else "unchanged"


def summarize(decisions: Iterable[ReviewDecision], queue: Iterable[ReviewTicket]) -> ReviewSummary:
    """How the review stands. A rate's n counts every decided ticket of the queue, whatever the decision."""
    label = {ticket.ticket_key: ticket.gt_label for ticket in queue}
    all_decisions = list(decisions)
    decided = [decision for decision in all_decisions if decision.ticket_key in label]
    words = Counter(decision.decision for decision in decided)
    return ReviewSummary(
        queued=len(label),
        decided=len(decided),
        decisions={word: words[word] for word in get_args(Decision)},
        label_error=_errors(decided),
        label_error_by_label={
            side: _errors([decision for decision in decided if label[decision.ticket_key] == side])
            for side in get_args(Verdict)
        },
        not_queued=len(all_decisions) - len(decided),
    )


def _errors(decided: list[ReviewDecision]) -> Rate:
    return wilson(sum(decision.decision == "label_wrong" for decision in decided), len(decided))


def summary_text(summary: ReviewSummary) -> str:
    """The summary in words."""
    rest = f"; {summary.not_queued} decisions on tickets that are not queued" if summary.not_queued else ""
    return f"{summary.decided} of {summary.queued} queued tickets decided; label errors {summary.label_error}{rest}"
