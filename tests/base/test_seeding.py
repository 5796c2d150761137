"""Seeds and shares are results: these were computed before there was one function for them, and never change."""

import hashlib

import numpy as np
import pytest

from verdicts.base.seeding import seeded_int
from verdicts.base.split import hash_share
from verdicts.config.sections import LearnSection
from verdicts.corpus.mix import order_of
from verdicts.guidance.learning import _call_seed
from verdicts.rounds.holdout import is_held_out
from verdicts.rounds.trajectories import candidate_seed


@pytest.mark.parametrize(
    "seed, group, index, value", [(17, "g1", 0, 1292681600), (17, "g1", 3, 672937338), (0, "QC-组/7", 12, 1433215567)]
)
def test_a_candidate_keeps_its_seed(seed, group, index, value):
    assert candidate_seed(seed, group, index) == value


@pytest.mark.parametrize("seed, number, call, value", [(17, 1, 0, 508870092), (17, 12, 3, 2053912032)])
def test_a_reflection_call_keeps_its_seed(seed, number, call, value):
    assert _call_seed(seed, number, call) == value


@pytest.mark.parametrize(
    "seed, name, value",
    [(17, "g1", 0.5481972933129036), (3, "audit:工单::fail", 0.7882554787307092), (0, "", 0.7283713340583249)],
)
def test_a_row_of_the_corpus_keeps_its_share(seed, name, value):
    assert hash_share(seed, name) == value


def test_a_group_keeps_its_side_of_the_hold_out():
    learn = LearnSection(holdout=0.2, seed=17)
    assert [number for number in range(40) if is_held_out(f"组{number}", learn)] == [13, 15, 16, 30, 31, 32, 33]
    assert is_held_out("half \ud800", learn) is False


def test_a_mix_keeps_its_order():
    assert order_of(12, 17, "chat").tolist() == [8, 11, 0, 10, 3, 6, 4, 2, 7, 9, 1, 5]


def test_a_step_of_training_keeps_its_seed():
    assert seeded_int(17, 3, 0, bits=64, between=":") == 4950568728852694721


@pytest.mark.parametrize("bits", [1, 31, 64, 256])
def test_the_first_bits_of_a_digest_are_taken(bits):
    digest = bin(int(hashlib.sha256(b"5/a/b").hexdigest(), 16))[2:].zfill(256)
    assert seeded_int(5, "a", "b", bits=bits) == int(digest[:bits], 2)


def test_a_half_surrogate_is_hashed_too():
    assert 0 <= seeded_int(17, "\ud800", bits=64) < 2**64


def test_shares_are_even():
    shares = np.array([hash_share(1, str(number)) for number in range(4000)])
    assert shares.min() >= 0 and shares.max() < 1
    assert np.histogram(shares, 4, (0, 1))[0].min() > 900
