"""Trying a change of guidance on tickets before it is accepted."""

from math import comb

import pytest

from tests.builders import NO_GUARD, candidates, ticket
from tools.core.config import TrialSection
from tools.core.records import Selection, Trial
from tools.core.selection import select
from tools.core.trial import (
    Sample,
    does_harm,
    does_nothing,
    draw_sample,
    fisher_exact,
    verdict_on,
    weigh,
)

LIMITS = TrialSection(errors=48, corrects=48, min_fixed=2, alpha=0.005, min_precision=0.75)


def selected(count: int, label: str, verdict: str, name: str = "t") -> list[Selection]:
    """Selections of tickets ``t0 …`` with one label and one verdict."""
    of = [ticket(f"{name}{number}", label) for number in range(count)]
    return [select(one, candidates(one, verdict), NO_GUARD) for one in of]


def released(wrong: int, right: int) -> Sample:
    """A sample of passes: ``wrong`` with label fail (keys w0::fail …), ``right`` with label pass (r0::pass …)."""
    return draw_sample(selected(wrong, "fail", "pass", "w") + selected(right, "pass", "pass", "r"), "pass", LIMITS, "seed")


def flipped(sample: Sample, *changed: str) -> tuple[dict[str, str], dict[str, str]]:
    """Verdicts before and after a change that turns the named tickets to fail."""
    before = {selection.ticket_key: "pass" for selection in [*sample.errors, *sample.corrects]}
    return before, before | dict.fromkeys(changed, "fail")


# Hand-computed hypergeometric tails: P(at least k of the changed tickets are errors) when changed tickets are drawn blindly.
@pytest.mark.parametrize(
    ("changed_errors", "errors", "changed_corrects", "corrects", "p"),
    [
        (3, 3, 0, 3, 1 / 20),  # C(3,3)·C(3,0) / C(6,3)
        (3, 4, 1, 4, 17 / 70),  # the lady tasting tea with one slip: (16 + 1) / C(8,4)
        (4, 4, 0, 4, 1 / 70),
        (1, 2, 1, 2, 5 / 6),  # (C(2,1)·C(2,1) + C(2,2)) / C(4,2)
        (0, 5, 3, 5, 1.0),  # at least none: always
        (2, 10, 0, 90, 45 / 4950),
        (5, 5, 0, 0, 1.0),  # every ticket is an error: a change cannot tell them apart
        (0, 0, 0, 0, 1.0),
    ],
)
def test_fisher_exact_gives_the_values_computed_by_hand(changed_errors, errors, changed_corrects, corrects, p):
    assert fisher_exact(changed_errors, errors, changed_corrects, corrects) == pytest.approx(p, abs=1e-12)


def test_fisher_exact_is_the_whole_upper_tail():
    total = sum(comb(6, k) * comb(9, 5 - k) for k in range(2, 6)) / comb(15, 5)
    assert fisher_exact(2, 6, 3, 9) == pytest.approx(total)


def test_where_every_label_is_fail_a_rule_that_fails_more_tickets_is_refused():
    sample = released(wrong=40, right=0)
    trial = weigh(sample, *flipped(sample, *[selection.ticket_key for selection in sample.errors[:30]]))
    assert (len(trial.fixed), trial.broke, trial.precision, trial.p_value) == (30, [], 1.0, 1.0)
    assert verdict_on(trial, LIMITS) == "rides_on_the_base_rate: p 1.0000"


def test_a_change_that_hits_errors_and_right_verdicts_alike_is_refused_even_where_most_labels_are_fail():
    sample = released(wrong=40, right=10)
    changed = [selection.ticket_key for selection in sample.errors[:20] + sample.corrects[:5]]
    trial = weigh(sample, *flipped(sample, *changed))
    assert trial.precision == 0.8
    assert verdict_on(trial, LIMITS).startswith("rides_on_the_base_rate")


def test_a_change_that_tells_errors_from_right_verdicts_is_accepted():
    sample = released(wrong=10, right=40)
    trial = weigh(sample, *flipped(sample, *[selection.ticket_key for selection in sample.errors[:5]]))
    assert verdict_on(trial, LIMITS) is None


@pytest.mark.parametrize(("wrong", "right", "precision"), [(10, 100, 8 / (8 + 10)), (100, 10, 80 / (80 + 1)), (10, 10, 8 / 9)])
def test_each_side_of_the_sample_is_weighted_by_its_number_in_the_window(wrong, right, precision):
    small = LIMITS.model_copy(update={"errors": 10, "corrects": 10})
    sample = draw_sample(selected(wrong, "fail", "pass", "w") + selected(right, "pass", "pass", "r"), "pass", small, "seed")
    assert (len(sample.errors), len(sample.corrects), sample.errors_in_window, sample.corrects_in_window) == (10, 10, wrong, right)
    changed = [selection.ticket_key for selection in sample.errors[:8] + sample.corrects[:1]]
    trial = weigh(sample, *flipped(sample, *changed))
    assert trial.precision == pytest.approx(precision, abs=1e-6)
    assert (verdict_on(trial, LIMITS) == "breaks_too_many: fixed 8, broke 1") is (precision < 0.75)


def test_a_sample_holds_one_verdict_only_and_is_drawn_by_its_seed():
    selections = selected(60, "fail", "pass", "w") + selected(60, "pass", "pass", "r") + selected(5, "pass", "fail", "b")
    sample = draw_sample(selections, "pass", LIMITS, "1")
    assert {selection.verdict for selection in [*sample.errors, *sample.corrects]} == {"pass"}
    assert (len(sample.errors), len(sample.corrects)) == (48, 48)
    assert sample == draw_sample(selections, "pass", LIMITS, "1") != draw_sample(selections, "pass", LIMITS, "2")


def test_tickets_that_the_unchanged_guidance_judges_otherwise_are_left_out():
    sample = released(wrong=4, right=4)
    before, after = flipped(sample, "w0::fail", "w1::fail", "r0::pass")
    trial = weigh(sample, before | {"w1::fail": "fail", "r0::pass": "fail"}, after)
    assert (trial.errors, trial.corrects, trial.fixed, trial.broke) == (3, 3, ["w0::fail"], [])


def tried(fixed: int, broke: int, precision: float | None = 1.0, p_value: float = 0.0) -> Trial:
    names = {"fixed": [f"f{n}" for n in range(fixed)], "broke": [f"b{n}" for n in range(broke)]}
    return Trial(errors=48, corrects=48, precision=precision, p_value=p_value, **names)


@pytest.mark.parametrize(
    ("trial", "why"),
    [
        (tried(0, 0, precision=None, p_value=1.0), "fixes_too_few: 0"),
        (tried(1, 0), "fixes_too_few: 1"),
        (tried(2, 0), None),
        (tried(3, 1, precision=0.75), None),
        (tried(3, 1, precision=0.749), "breaks_too_many: fixed 3, broke 1"),
        (tried(2, 0, p_value=0.005), None),
        (tried(2, 0, p_value=0.0051), "rides_on_the_base_rate: p 0.0051"),
    ],
)
def test_a_change_is_accepted_at_its_limits_and_refused_beyond_them(trial, why):
    assert verdict_on(trial, LIMITS) == why


@pytest.mark.parametrize(("fixed", "broke", "harm"), [(0, 2, False), (0, 3, True), (2, 3, False), (2, 4, True), (6, 7, False), (0, 0, False)])
def test_harm_is_breaking_three_tickets_or_more_and_twice_as_many_as_it_fixes(fixed, broke, harm):
    assert does_harm(tried(fixed, broke)) is harm


def test_a_change_does_nothing_only_where_no_verdict_changes():
    assert does_nothing(tried(0, 0)) and not does_nothing(tried(1, 0)) and not does_nothing(tried(0, 1))
