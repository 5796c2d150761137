"""One definition of the rates, with Wilson's interval."""

import pytest

from verdicts.records.run import RoundMetrics, SideRates
from verdicts.stats.rates import RATES, VerdictRates, verdict_rates, wilson


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        # from R: binom::binom.confint(k, n, methods = "wilson")
        (8, 10, 0.4901625, 0.9433178),
        (0, 10, 0.0, 0.2775328),
        (10, 10, 0.7224672, 1.0),
        (1, 100, 0.0017674, 0.0544869),
    ],
)
def test_the_interval_is_wilsons(k, n, low, high):
    rate = wilson(k, n)
    assert (rate.k, rate.n, rate.rate) == (k, n, k / n)
    assert rate.low == pytest.approx(low, abs=2e-6)
    assert rate.high == pytest.approx(high, abs=2e-6)


def test_no_ticket_means_no_rate():
    rate = wilson(0, 0)
    assert (rate.rate, rate.low, rate.high) == (None, None, None)
    assert str(wilson(0, 0)) == "n/a (n=0)"


def test_a_rate_reads_with_its_interval_and_its_counts():
    assert str(wilson(8, 10)) == "80.0% [49.0%, 94.3%] (8/10)"


def test_each_rate_counts_over_its_own_label():
    pairs = [("fail", "pass")] * 1 + [("fail", "fail")] * 3 + [("pass", "fail")] * 2 + [("pass", "pass")] * 4
    rates = verdict_rates(iter(pairs))
    assert (rates.frr.k, rates.frr.n) == (1, 4)
    assert (rates.false_block.k, rates.false_block.n) == (2, 6)
    assert (rates.label_match.k, rates.label_match.n) == (7, 10)


def test_the_false_release_rate_of_passes_alone_is_unknown_not_zero():
    assert verdict_rates([("pass", "pass")]).frr.rate is None


def test_every_rate_of_the_table_has_its_fields_in_that_order():
    names = [rate.name for rate in RATES]
    assert list(VerdictRates._fields) == names == list(SideRates.model_fields)
    assert [name for name in RoundMetrics.model_fields if name in names] == names
