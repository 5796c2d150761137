"""What sets wrong tickets apart: by an exact test, within strata, at a level that all that is looked at shares."""

import random

from verdicts.stats.contrast import contrasts

WRONG, RIGHT = [f"w{n}" for n in range(20)], [f"r{n}" for n in range(40)]
NONE: set[str] = set()


def found(held, *, strata=None, whole=(), level=0.05, wrong=WRONG, right=RIGHT):
    features = {key: held.get(key, NONE) for key in (*wrong, *right)}
    return contrasts(features, wrong, right, strata or {}, whole, level)


def test_what_wrong_tickets_have_and_right_ones_lack_is_named_with_its_holders():
    (one,) = found({key: {"broken"} for key in WRONG[:8]} | {RIGHT[0]: {"broken"}})
    assert (one.what, one.lacks, one.text, one.holders) == ("broken", False, "broken", tuple(WRONG[:8]))
    assert one.p_value < 0.001


def test_what_wrong_tickets_lack_and_right_ones_have_is_named_so():
    (one,) = found({key: {"seen"} for key in (*WRONG[8:], *RIGHT)})
    assert (one.text, one.holders) == ("without seen", tuple(WRONG[:8]))


def test_what_both_have_alike_is_no_contrast():
    assert found({key: {"cable"} for key in (*WRONG[:10], *RIGHT[:20])}) == []


def test_of_what_the_same_tickets_have_the_first_stays_and_the_clearest_comes_first():
    held = {key: {"a", "b"} for key in WRONG[:8]} | {key: {"c"} for key in WRONG[8:18]}
    assert [one.what for one in found(held)] == ["c", "a"]


def test_a_feature_that_follows_the_stratum_is_no_contrast_but_one_that_is_whole_is():
    """Whoever has few photos lacks the plug and fails; among those with as many the plug says nothing."""
    few = [*WRONG[:16], *RIGHT[:4]]
    strata = {key: 1 if key in few else 2 for key in (*WRONG, *RIGHT)}
    held = {key: {"no plug", "few"} for key in few}
    assert {one.what for one in found(held)} == {"few"}  # the same tickets: the first by name
    assert [one.what for one in found(held, strata=strata, whole={"few"})] == ["few"]
    assert found(held, strata=strata) == []


def test_holders_that_share_least_of_what_else_sets_wrong_ones_apart_come_first():
    held = {key: {"few"} for key in WRONG[:12]} | {key: {"few", "blurred"} for key in WRONG[4:10]}
    few = next(one for one in found(held) if one.what == "few")
    assert few.holders == (*WRONG[:4], *WRONG[10:12], *WRONG[4:10])


def test_of_a_whole_feature_nothing_lacks_it():
    held = {key: {"many"} for key in RIGHT}
    assert [one.text for one in found(held)] == ["without many"]
    assert found(held, whole={"many"}) == []


def test_hundreds_of_features_share_the_level():
    """Two random features out of three are rare, and could reach no level: they cost nothing. The others do."""
    rng = random.Random(1)
    noise = {key: {f"n{at}" for at in range(200) if rng.random() < 0.5} for key in (*WRONG, *RIGHT)}
    rare = {key: {f"{key} {at}" for at in range(50)} for key in (*WRONG, *RIGHT)}
    some = {key: {"broken"} for key in WRONG[:7]}
    assert [one.what for one in found({key: rare[key] | some.get(key, NONE) for key in rare})] == ["broken"]
    assert found({key: noise[key] | some.get(key, NONE) for key in noise}) == []
    at_any_level = found({key: noise[key] | some.get(key, NONE) for key in noise}, level=1)
    assert at_any_level[0].what == "broken"


def test_labels_at_random_name_anything_about_as_often_as_the_level_says():
    rng, named = random.Random(7), 0
    for _ in range(60):
        keys = [*WRONG, *RIGHT]
        held = {key: {f"f{at}" for at in range(30) if rng.random() < 0.3} for key in keys}
        named += bool(found(held, level=0.1))
    assert named <= 12  # 6 expected at most; 12 or more of 60 would come once in 70


def test_without_wrong_or_right_tickets_there_is_nothing_to_tell_apart():
    assert found({"w0": {"broken"}}, wrong=["w0"], right=[]) == []
    assert found({"r0": {"broken"}}, wrong=[], right=["r0"]) == []
    assert found({}, wrong=[], right=[]) == []
