"""What a count says about a rate."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redshank.core.counts import poisson_interval


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [(0, 0.0, 3.6889), (1, 0.0253, 5.5716), (10, 4.7954, 18.3904), (100, 81.3640, 121.6268)],
)
def test_the_interval_is_that_of_the_tables(count, low, high):
    assert poisson_interval(count) == pytest.approx((low, high), abs=1e-4)


INTERVALS = [poisson_interval(count) for count in range(60)]


@given(st.floats(0.05, 20.0))
def test_it_covers_the_mean_at_least_as_often_as_it_says(mean):
    covered = sum(
        math.exp(-mean + count * math.log(mean) - math.lgamma(count + 1))
        for count, (low, high) in enumerate(INTERVALS)
        if low <= mean <= high
    )
    assert covered >= 0.95 - 1e-9


def test_large_counts_go_on_where_small_ones_end():
    (_, before), (low, after) = poisson_interval(1000), poisson_interval(1001)
    assert 0.99 < after - before < 1.08
    assert low == pytest.approx(939.94, abs=0.01)
    assert poisson_interval(1_000_000) == pytest.approx((998_041, 1_001_962), abs=1)


@pytest.mark.parametrize(("count", "level"), [(-1, 0.95), (1, 0.0), (1, 1.0)])
def test_nonsense_has_no_interval(count, level):
    with pytest.raises(ValueError, match="no interval"):
        poisson_interval(count, level)
