"""The one rule by which groups are split."""

import pytest

from verdicts.base.split import hash_share, is_in_share


def test_corpus_and_hold_out_split_independently():
    """Both take seed 17 where nobody says otherwise: what is held out must not be what validates."""
    names = [f"g{number}" for number in range(2000)]
    held = [name for name in names if is_in_share(17, name, 0.5)]
    both = [name for name in held if hash_share(17, name) < 0.5]
    assert 0.4 < len(both) / len(held) < 0.6


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0])
def test_a_share_holds_about_that_part_of_all_names(share):
    inside = sum(is_in_share(17, f"g{number}", share) for number in range(5000)) / 5000
    assert inside == pytest.approx(share, abs=0.02)
