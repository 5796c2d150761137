"""Trying a change of guidance on tickets before it is accepted."""

from collections.abc import Collection, Sequence
from itertools import pairwise
from math import comb

import pytest

from tests.support.builders import NO_GUARD, candidates, ticket
from verdicts.config.load import CONFIGS, load
from verdicts.config.sections import LifeCycle, TrialSection
from verdicts.guidance.exact_test import Table, exact_p, level_of
from verdicts.guidance.rule_text import counts_photos, foreign_object
from verdicts.guidance.sample import TrialSample, draw_sample
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
from verdicts.records.rollout import Selection
from verdicts.stage_b.selection import select

BASE = load("miniature", "bbu_line", configs=CONFIGS)
LIMITS = BASE.reflect.trial.model_copy(update={"errors": 48, "corrects": 48})
WORDS = BASE.reflect.words
LIFE = LifeCycle(confirm=0.05, min_miss=3, min_precision=0.75, label_noise=0.1, max_harm=0.05)
LEVEL = 0.005
LINE = BASE.mission.g0


def selected(count: int, label: str, verdict: str, name: str = "t") -> list[Selection]:
    """Selections of tickets ``t0 …`` with one label and one verdict."""
    of = [ticket(f"{name}{number}", label) for number in range(count)]
    return [select(one, candidates(one, verdict), NO_GUARD) for one in of]


def drawn(
    selections: Sequence[Selection],
    limits: TrialSection = LIMITS,
    seed: str = "seed",
    shown: Collection[str] = (),
    gone: Collection[str] = (),
) -> TrialSample:
    """A sample of passes, none of which present guidance has changed but those that are ``gone``."""
    return draw_sample(
        selections,
        "pass",
        limits,
        seed,
        shown,
        lambda some: [selection for selection in some if selection.ticket_key not in gone],
    )


def passes(wrong: int, right: int) -> list[Selection]:
    """Passes: ``wrong`` with label fail (keys w0::fail …), ``right`` with label pass (r0::pass …)."""
    return selected(wrong, "fail", "pass", "w") + selected(right, "pass", "pass", "r")


def released(wrong: int, right: int) -> TrialSample:
    """A sample of so many passes."""
    return drawn(passes(wrong, right))


def flipped(sample: TrialSample, *changed: str) -> tuple[dict[str, str], dict[str, str]]:
    """Verdicts before and after a change that turns the named tickets to fail."""
    before = {selection.ticket_key: "pass" for selection in [*sample.errors, *sample.corrects]}
    return before, before | dict.fromkeys(changed, "fail")


# Hand-computed hypergeometric tails: P(at least k of the changed tickets are errors), changed tickets drawn blindly.
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
def test_fishers_exact_test_gives_the_values_computed_by_hand(changed_errors, errors, changed_corrects, corrects, p):
    assert exact_p([Table(changed_errors, errors, changed_corrects, corrects)]) == pytest.approx(p, abs=1e-12)


def test_fishers_exact_test_is_the_whole_upper_tail():
    total = sum(comb(6, k) * comb(9, 5 - k) for k in range(2, 6)) / comb(15, 5)
    assert exact_p([Table(2, 6, 3, 9)]) == pytest.approx(total)


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


def test_a_sample_holds_one_verdict_only_and_is_drawn_by_its_seed():
    selections = passes(60, 60) + selected(5, "pass", "fail", "b")
    sample = drawn(selections, seed="1")
    assert {selection.verdict for selection in [*sample.errors, *sample.corrects]} == {"pass"}
    assert (len(sample.errors), len(sample.corrects)) == (48, 48)
    assert sample == drawn(selections, seed="1") != drawn(selections, seed="2")


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


# -- the level of a test, and what a trial costs
def test_the_level_falls_with_every_trial_that_accepts_nothing():
    # half of 0.5 * 0.07720838 * ln(max(t, 2)) / (t * exp(sqrt(ln t))) for t = 1, 2 and 10
    assert level_of(0, 0.5, 0.5) == pytest.approx(0.25 * 0.07720838 * 0.693147181, rel=1e-8)
    assert level_of(1, 0.5, 0.5) == pytest.approx(0.25 * 0.07720838 * 0.693147181 / (2 * 2.29918452), rel=1e-6)
    assert level_of(9, 0.5, 0.5) == pytest.approx(0.25 * 0.07720838 * 2.302585093 / (10 * 4.56046), rel=1e-5)
    levels = [level_of(trials, 0.5, 0.5) for trials in range(1000)]
    assert all(later < earlier for earlier, later in pairwise(levels))


def test_all_trials_together_spend_no_more_than_what_there_is_to_spend():
    spent = sum(level_of(trials, 0.5, 0.5) for trials in range(100_000))
    assert 0.1 < spent <= 0.25
    assert sum(level_of(trials, 0.25, 0.5) for trials in range(1000)) == pytest.approx(
        sum(level_of(trials, 0.5, 0.5) for trials in range(1000)) / 2
    )


@pytest.mark.parametrize(
    ("changed", "errors", "corrects", "p"),
    [
        (0, 5, 5, 1.0),
        (1, 1, 9, 1 / 10),
        (2, 2, 2, 1 / 6),  # both errors: C(2,2) / C(4,2)
        (3, 2, 4, 4 / 20),  # both errors and one of four right ones: C(2,2)·C(4,1) / C(6,3)
        (3, 10, 40, 120 / 19600),  # C(10,3) / C(50,3)
        (4, 0, 8, 1.0),
    ],
)
def test_the_least_p_value_is_that_of_a_change_which_hits_errors_alone(changed, errors, corrects, p):
    assert exact_p([Table(0, errors, changed, corrects).best]) == pytest.approx(p, abs=1e-12)


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
        (0.2, 50, 2),
        (0.05, 50, 3),
        (0.0143, 50, 4),
        (0.005, 50, 5),
        (0.005, 4, None),
    ],  # one of one against none of one: 1/2, then 1/6, 1/20, 1/70, 1/252
)
def test_how_many_times_as_many_tickets_would_have_shown_it(level, most, times):
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


# -- objects that the checklist does not name
@pytest.mark.parametrize(
    ("text", "foreign"),
    [
        ("出现避雷器则不通过", "避雷器"),
        ("缺少地线标签则不通过", "地线标签"),
        ("机柜处接地螺丝、挡风板须见，缺失则不通过", "挡风板"),  # the first of them that is nowhere in the checklist
        ("出现电线散乱且避雷器缺失则不通过", "避雷器"),
        ("缺少RRU则不通过", None),  # no Chinese words: nothing is said of them
        # things of the checklist, in its words or in parts of them
        ("接地螺丝缺失则不通过", None),
        ("未见地排处接地螺丝的不通过", None),
        ("出现电线散乱可豁免", None),
        ("电线捆扎不齐则不通过", None),
        (LINE, None),
        # rules about photos name no object
        ("照片少于3张则不通过", None),
        ("照片数量不足两张则不通过", None),
        ("至少3张照片，否则不通过", None),
        ("只有一张图片时判定为不通过", None),
        ("照片少于2张或无法识别的，视为不通过", None),
        ("照片两张以上且电线散乱则不通过", None),
        ("仅提供一张照片则不通过", None),
        ("画面模糊则不通过", None),
        ("每张照片均须清晰", None),
        ("", None),
        # words that only say what is required, and names that hold such a character
        ("缺少机柜处接地螺丝不作为不通过依据", None),
        ("缺少时钟则不通过", "时钟"),
        ("缺少感应器则不通过", "感应器"),
        ("缺少中继器则不通过", "中继器"),
    ],
)
def test_a_rule_names_a_foreign_object_if_it_shares_no_two_characters_with_the_checklist(text, foreign):
    assert foreign_object(text, LINE, WORDS) == foreign


def test_what_is_foreign_to_one_mission_is_at_home_in_another():
    wind = load("miniature", "bbu_wind", configs=CONFIGS).mission.g0
    assert (
        foreign_object("出现挡风板则不通过", LINE, WORDS) == "挡风板"
        and foreign_object("出现挡风板则不通过", wind, WORDS) is None
    )


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


# -- what of it reflection was shown, and what present guidance has mended since
def test_a_change_is_tried_on_errors_that_reflection_was_not_shown():
    shown = {f"w{number}::fail" for number in range(18)}
    sample = drawn(passes(30, 30), shown=shown)
    assert {selection.ticket_key for selection in sample.errors} == {f"w{number}::fail" for number in range(18, 30)}
    assert (len(sample.corrects), sample.errors_in_all) == (30, 30)  # twelve stand for all thirty


def test_shown_errors_are_tried_on_too_where_less_than_a_quarter_of_what_is_wanted_is_left():
    shown = {f"w{number}::fail" for number in range(19)}
    sample = drawn(passes(30, 30), shown=shown)
    assert (len(sample.errors), sample.errors_in_all) == (30, 30)  # eleven are left, of 48 wanted
    many = drawn(passes(100, 0), shown={f"w{number}::fail" for number in range(90)})
    unseen = {f"w{number}::fail" for number in range(90, 100)}
    assert (
        len(many.errors) == 48
        and unseen < {selection.ticket_key for selection in many.errors}
        and many.errors_in_all == 100
    )


def test_what_present_guidance_has_changed_is_passed_over_and_others_are_drawn_for_it():
    gone = {f"w{number}::fail" for number in range(300)} | {f"r{number}::pass" for number in range(0, 60, 2)}
    sample = drawn(passes(308, 60), gone=gone)
    assert {selection.ticket_key for selection in sample.errors} == {f"w{number}::fail" for number in range(300, 308)}
    assert {selection.ticket_key for selection in sample.corrects} == {f"r{number}::pass" for number in range(1, 60, 2)}
    assert (sample.errors_in_all, sample.corrects_in_all) == (8, 30)


def test_no_more_tickets_are_asked_than_a_sample_needs_and_its_share_stands_for_the_rest():
    asked = []

    def standing(some: Sequence[Selection]) -> list[Selection]:
        asked.append(len(some))
        return list(some[::2])  # every other one

    limits = LIMITS.model_copy(update={"errors": 8, "corrects": 1})
    sample = draw_sample(passes(80, 0), "pass", limits, "seed", (), standing)
    assert asked == [8, 4, 2, 1] and len(sample.errors) == 8  # 4, then 2, 1 and 1 of what is lacking
    assert sample.errors_in_all == pytest.approx(80 * 8 / 15)


def test_a_sample_of_nothing_that_stands_is_empty():
    sample = drawn(passes(5, 5), gone={selection.ticket_key for selection in passes(5, 5)})
    assert (sample.errors, sample.corrects, sample.errors_in_all, sample.corrects_in_all) == ([], [], 0, 0)


def test_strata_are_tested_together_with_the_margins_of_each_fixed():
    """Two tables by hand: 2 of 2 errors and 0 of 2 corrects, then 1 of 1 and 0 of 1: 1/6 * 1/2."""
    assert exact_p([Table(2, 2, 0, 2), Table(1, 1, 0, 1)]) == pytest.approx(1 / 12, abs=1e-12)


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


def test_large_counts_are_no_burden():
    assert 0 <= exact_p([Table(40_000, 60_000, 10_000, 60_000)]) < 1e-9


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("照片少于3张则不通过", True),
        ("至少须有2张照片", True),
        ("图片数量不足则不通过", True),
        ("出现无关图片则不通过", False),
        ("须见设备显示完整，缺失则不通过", False),
        ("出现无法识别则不通过", False),
    ],
)
def test_only_a_rule_about_the_number_of_photos_is_tested_among_all_tickets_at_once(text, counts):
    assert counts_photos(text, WORDS) is counts
