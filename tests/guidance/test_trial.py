"""Trying a change of guidance on tickets, and the verdict on that trial."""

from math import comb

import pytest

from tests.support.report_runs import LIFE as KNOBS
from tests.support.trial_samples import LIMITS, drawn, passes, released, selected
from verdicts.config.sections import LifeCycle
from verdicts.guidance.sample import TrialSample
from verdicts.guidance.trial import (
    counts,
    does_harm,
    does_nothing,
    harm_of,
    more_tickets,
    near_misses,
    verdict_on,
    weigh,
)
from verdicts.records.reflection import Trial

LIFE = LifeCycle(**KNOBS | {"label_noise": 0.1})
LEVEL = 0.005


def flipped(sample: TrialSample, *changed: str) -> tuple[dict[str, str], dict[str, str]]:
    """Verdicts before and after a change that turns the named tickets to fail."""
    before = {selection.ticket_key: "pass" for selection in [*sample.errors, *sample.corrects]}
    return before, before | dict.fromkeys(changed, "fail")


def test_where_every_label_is_fail_a_rule_that_fails_more_tickets_is_refused():
    sample = released(wrong=40, right=0)
    trial = weigh(sample, *flipped(sample, *[selection.ticket_key for selection in sample.errors[:30]]), level=LEVEL)
    assert (len(trial.fixed), trial.broke, trial.precision, trial.p_value) == (30, [], 1.0, 1.0)
    assert verdict_on(trial, LIMITS, LIFE) == "rides_on_the_base_rate: p 1, level 0.005"


def test_a_change_that_hits_errors_and_right_verdicts_alike_is_refused_even_where_most_labels_are_fail():
    sample = released(wrong=40, right=10)
    changed = [selection.ticket_key for selection in sample.errors[:20] + sample.corrects[:5]]
    trial = weigh(sample, *flipped(sample, *changed), level=LEVEL)
    assert (trial.precision, trial.harm) == (0.8, 0.5)  # five of the ten that are labelled pass would be blocked
    assert verdict_on(trial, LIMITS, LIFE) == "does_harm: broke 5 of 10 right, 50.0% more of the other error"
    assert verdict_on(trial, LIMITS, LIFE.model_copy(update={"max_harm": 0.25})).startswith(
        "rides_on_the_base_rate: p 0.64, "
    )


def test_a_change_that_tells_errors_from_right_verdicts_is_accepted():
    sample = released(wrong=10, right=40)
    trial = weigh(sample, *flipped(sample, *[selection.ticket_key for selection in sample.errors[:5]]), level=LEVEL)
    assert verdict_on(trial, LIMITS, LIFE) is None


@pytest.mark.parametrize(
    ("wrong", "right", "precision"), [(10, 100, 8 / (8 + 10)), (100, 10, 80 / (80 + 1)), (10, 10, 8 / 9)]
)
def test_each_side_of_the_sample_is_weighted_by_its_number_among_all_tickets(wrong, right, precision):
    small = LIMITS.model_copy(update={"errors": 10, "corrects": 10})
    sample = drawn(passes(wrong, right), small)
    assert (len(sample.errors), len(sample.corrects), sample.errors_in_all, sample.corrects_in_all) == (
        10,
        10,
        wrong,
        right,
    )
    changed = [selection.ticket_key for selection in sample.errors[:8] + sample.corrects[:1]]
    trial = weigh(sample, *flipped(sample, *changed), level=LEVEL)
    assert trial.precision == pytest.approx(precision, abs=1e-6)
    assert (verdict_on(trial, LIMITS, LIFE) == "breaks_too_many: fixed 8, broke 1") is (precision < 0.75)


def test_tickets_that_the_unchanged_guidance_judges_otherwise_are_left_out():
    sample = released(wrong=4, right=4)
    before, after = flipped(sample, "w0::fail", "w1::fail", "r0::pass")
    trial = weigh(sample, before | {"w1::fail": "fail", "r0::pass": "fail"}, after)
    assert (trial.errors, trial.corrects, trial.fixed, trial.broke) == (3, 3, ["w0::fail"], [])


def tried(fixed: int, broke: int, precision: float | None = 1.0, p_value: float = 0.0, **more: object) -> Trial:
    names = {"fixed": [f"f{n}" for n in range(fixed)], "broke": [f"b{n}" for n in range(broke)]}
    return Trial(
        **{"errors": 48, "corrects": 48, "level": LEVEL, "harm": 0.0} | more,
        precision=precision,
        p_value=p_value,
        **names,
    )


@pytest.mark.parametrize(
    ("trial", "why"),
    [
        (tried(0, 0, precision=None, p_value=1.0), "fixes_too_few: 0"),
        (tried(1, 0), "fixes_too_few: 1"),
        (tried(2, 0), None),
        (tried(3, 1, precision=0.675), None),  # of labels one in ten may be wrong: 0.75 * 0.9
        (tried(3, 1, precision=0.674), "breaks_too_many: fixed 3, broke 1"),
        (tried(20, 3, harm=0.1), None),  # twice what a rule in force may do
        (tried(20, 3, harm=0.101), "does_harm: broke 3 of 48 right, 10.1% more of the other error"),
        (tried(2, 0, p_value=0.005), None),
        (tried(2, 0, p_value=0.0051), "rides_on_the_base_rate: p 0.0051, level 0.005"),
        (
            tried(2, 0, p_value=0.003, level=0.0025, foreign="避雷器"),
            "rides_on_the_base_rate: p 0.003, level 0.0025 for 避雷器, which the checklist does not name",
        ),
        (tried(2, 0, p_value=0.0025, level=0.0025, foreign="避雷器"), None),
    ],
)
def test_a_change_is_accepted_at_its_limits_and_refused_beyond_them(trial, why):
    assert verdict_on(trial, LIMITS, LIFE) == why


@pytest.mark.parametrize(
    ("fixed", "broke", "harm"), [(0, 2, False), (0, 3, True), (2, 3, False), (2, 4, True), (6, 7, False), (0, 0, False)]
)
def test_harm_is_breaking_three_tickets_or_more_and_twice_as_many_as_it_fixes(fixed, broke, harm):
    assert does_harm(tried(fixed, broke), LIMITS) is harm


def test_a_change_does_nothing_only_where_no_verdict_changes():
    assert does_nothing(tried(0, 0)) and not does_nothing(tried(1, 0)) and not does_nothing(tried(0, 1))


# -- what a trial costs
@pytest.mark.parametrize(
    ("fixed", "broke", "level", "costs"),
    [
        (2, 0, 0.0268, False),  # C(10,2) / C(50,2) = 0.037: no two tickets could have been significant
        (3, 0, 0.0268, True),  # 0.0061
        (0, 3, 0.0268, True),  # the same three tickets, had they been errors
        (2, 1, 0.0061, False),
        (2, 1, 0.0062, True),
        (0, 0, 0.5, False),
    ],
)
def test_a_trial_costs_something_only_if_it_could_have_been_significant(fixed, broke, level, costs):
    assert counts(tried(fixed, broke, errors=10, corrects=40, level=level), LIMITS) is costs


@pytest.mark.parametrize(
    ("level", "most", "times"),
    [
        (0.2, 50, 4),  # four trials in five: wanted at -0.842 - 0.842 = -1.683 standard deviations, 0.046
        (0.05, 50, 5),  # -1.645 - 0.842: 0.0065
        (0.02, 50, 6),  # -2.054 - 0.842: 0.0019
        (0.005, 50, 7),  # -2.576 - 0.842: 0.00032
        (0.005, 6, None),
        (0.0, 50, None),
    ],  # one of one against none of one: 1/2, then 1/6, 1/20, 1/70, 1/252, 1/924, 1/3432
)
def test_how_many_times_as_many_tickets_would_show_it_in_four_trials_of_five(level, most, times):
    assert more_tickets(tried(1, 0, errors=1, corrects=1, level=level), most) == times


def test_no_number_of_tickets_shows_what_is_not_there():
    assert more_tickets(tried(1, 1, errors=2, corrects=2)) is None


def test_a_near_miss_lacks_nothing_but_evidence():
    lacking = tried(2, 0, p_value=0.01)
    others = [
        tried(2, 0),
        tried(1, 0, p_value=0.5),
        tried(3, 3, precision=0.5, p_value=0.5),
        tried(2, 0, p_value=0.01, harm=0.2),
        tried(2, 0, p_value=0.01, level=None),
    ]
    assert near_misses([lacking, *others], LIMITS, LIFE) == [lacking]


# -- harm, and labels that are wrong anyway
@pytest.mark.parametrize(
    ("gain", "loss", "labelled", "noise", "harm"),
    [
        (0, 5, 100, 0.0, 0.05),
        (18, 2, 100, 0.05, 0.01),  # of twenty changes one is put down to its label
        (19, 1, 100, 0.05, 0.0),
        (40, 0, 100, 0.05, 0.0),  # no harm is never less than none
        (10, 10, 40, 0.1, 0.2),
        (3, 4, 0, 0.0, 0.0),
    ],
)
def test_harm_is_what_is_broken_beyond_the_noise_as_a_share_of_its_label(gain, loss, labelled, noise, harm):
    assert harm_of(gain, loss, labelled, noise) == pytest.approx(harm)


def test_the_harm_of_a_trial_is_drawn_up_from_its_sample():
    small = LIMITS.model_copy(update={"errors": 10, "corrects": 10})
    fails = selected(18, "fail", "fail", "f") + selected(2, "pass", "fail", "b")
    sample = drawn(passes(100, 60) + fails, small)
    assert sample.labels == {"fail": 118, "pass": 62}
    changed = [selection.ticket_key for selection in sample.errors[:2] + sample.corrects[:1]]
    trial = weigh(sample, *flipped(sample, *changed), noise=0.1)
    assert trial.harm == pytest.approx((6 - 0.1 * 26) / 62, abs=1e-6)  # 2 of 10 mends 20 of 100, 1 of 10 breaks 6 of 60


def test_a_rule_that_only_follows_the_number_of_photos_shows_nothing_among_tickets_with_as_many():
    """All tickets with one photo fail and miss the object, those with three pass and show it: alike within each."""
    sample = released(wrong=10, right=10)
    photos = {selection.ticket_key: 1 for selection in sample.errors} | {
        selection.ticket_key: 3 for selection in sample.corrects
    }
    changed = flipped(sample, *[selection.ticket_key for selection in sample.errors])
    assert weigh(sample, *changed).p_value == pytest.approx(1 / comb(20, 10), abs=1e-9)
    trial = weigh(sample, *changed, photos=photos)
    assert trial.strata == [[10, 10, 0, 0], [0, 0, 0, 10]] and trial.p_value == 1
