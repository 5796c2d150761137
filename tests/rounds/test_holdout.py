"""Which tickets guidance is learnt from, and which it is only judged on."""

import hashlib
import random

import pytest

from tests.support.builders import NO_GUARD, candidates, ticket
from verdicts.config.load import CONFIGS, load
from verdicts.config.sections import LearnSection
from verdicts.rounds.holdout import SIDES, is_held_out, side_of, to_learn_from
from verdicts.stage_b.selection import select

LEARN = LearnSection(holdout=0.2, seed=17)
GROUPS = [f"QC-2023{number:07d}" for number in range(10_000)]


def test_the_share_that_is_held_out_is_the_configured_one():
    held = sum(is_held_out(group, LEARN) for group in GROUPS)
    assert abs(held - 2000) < 160  # four standard deviations of 10,000 draws at 0.2: 4 * sqrt(10000 * 0.2 * 0.8)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.95])
def test_any_share_may_be_held_out_and_none_at_all(share):
    held = sum(is_held_out(group, LEARN.model_copy(update={"holdout": share})) for group in GROUPS) / len(GROUPS)
    assert abs(held - share) < 0.02 and (share > 0 or held == 0)


def test_a_larger_share_holds_out_what_a_smaller_one_did_and_more():
    few, many = (
        {group for group in GROUPS if is_held_out(group, LEARN.model_copy(update={"holdout": share}))}
        for share in (0.1, 0.3)
    )
    assert few < many


def test_the_seed_decides_which_groups_are_held_out():
    other = LEARN.model_copy(update={"seed": 18})
    both = sum(is_held_out(group, LEARN) and is_held_out(group, other) for group in GROUPS)
    assert abs(both - 400) < 80  # 0.2 * 0.2


def test_a_group_is_on_one_side_whatever_else_is_in_the_set_and_in_whatever_order():
    rows = [ticket(group) for group in GROUPS[:500]]
    kept = {row.group_id for row in to_learn_from(rows, LEARN)}
    for seed in range(5):
        some = random.Random(seed).sample(rows, 100)
        assert {row.group_id for row in to_learn_from(some, LEARN)} == kept & {row.group_id for row in some}
    more = [*rows, *(ticket(group) for group in GROUPS[500:1000])]
    assert {row.group_id for row in to_learn_from(more, LEARN)} & {row.group_id for row in rows} == kept


def test_both_labels_of_a_group_are_on_one_side():
    rows = [ticket(group, label) for group in GROUPS[:200] for label in ("pass", "fail")]
    kept = [row.ticket_key for row in to_learn_from(rows, LEARN)]
    assert 0 < len(kept) < 400
    assert {key.split("::")[0] + "::fail" for key in kept} | {key.split("::")[0] + "::pass" for key in kept} == set(
        kept
    )


def test_tickets_keep_their_order_and_selections_go_with_their_tickets():
    rows = [ticket(group) for group in GROUPS[:100]]
    chosen = [select(row, candidates(row, "pass"), NO_GUARD) for row in rows]
    kept = to_learn_from(rows, LEARN)
    assert kept == [row for row in rows if side_of(row.group_id, LEARN) == "learn"]
    assert [selection.ticket_key for selection in to_learn_from(chosen, LEARN)] == [row.ticket_key for row in kept]


def test_there_are_two_sides():
    assert {side_of(group, LEARN) for group in GROUPS[:100]} == set(SIDES) == {"learn", "holdout"}


@pytest.mark.parametrize("group", ["QC-1", "锦原机房", " QC-1", "a/b", "\ud83d", "x" * 10_000])
def test_any_id_is_on_a_side_even_one_that_is_no_text(group):
    assert side_of(group, LEARN) in SIDES


def test_ids_that_look_alike_are_drawn_apart():
    assert (
        len({tuple(side_of(f"{prefix}{number}", LEARN) for number in range(64)) for prefix in ("a", "A", "a ", "ａ")})
        == 4
    )


@pytest.mark.parametrize(
    ("group", "begins", "held"), [("a", 0x20, True), ("QC-4", 0x69, False), ("b", 0x8D, False), ("QC-1", 0xC2, False)]
)
def test_a_group_is_held_out_if_its_hash_is_in_the_lowest_share(group, begins, held):
    """``echo -n 17/a | sha256sum`` begins with 20; a fifth of 0x100 is 0x33."""
    assert hashlib.sha256(f"17/{group}".encode()).digest()[0] == begins
    assert is_held_out(group, LEARN) is held and is_held_out(
        group, LEARN.model_copy(update={"holdout": (begins + 1) / 256})
    )
    assert not is_held_out(group, LEARN.model_copy(update={"holdout": begins / 256}))


def test_a_fifth_is_held_out_unless_somebody_says_otherwise():
    assert load("miniature", "bbu_line", configs=CONFIGS).learn == LEARN
