"""The bench of the alarm budget: its streams, its faults and how it counts."""

import sys
from pathlib import Path

import numpy as np
import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(scope="module")
def bench():
    """The bench's modules."""
    sys.path.insert(0, str(BENCH))
    try:
        import budget
        import injected
        import streams
    finally:
        sys.path.remove(str(BENCH))
    return budget, injected, streams


def test_every_kind_is_a_stream_in_order_and_the_same_twice(bench):
    _, _, streams = bench
    for kind in streams.KINDS:
        made, again = (streams.stream(kind, 900.0, 3.0, (1,), None) for _ in range(2))
        assert np.all(np.diff(made.time) > 0), kind
        assert made.values.shape == (len(made.time), len(made.channels))
        assert not np.isnan(made.values).all(axis=1).any()
        np.testing.assert_array_equal(made.values, again.values)


def test_faults_touch_one_measured_channel_from_their_row_on(bench):
    _, injected, streams = bench
    stream = streams.stream("commands in bursts", 900.0, 6.0, (1,), None)
    rng = np.random.default_rng(0)
    for one in injected.injections(rng, stream, 400, 900.0):
        before = stream.values[400 : 400 + one.event]
        changed = (one.values != before).any(axis=0)
        assert not changed[stream.channels.index("command")]
        assert changed.any() == (one.fault.name != injected.NOTHING)


def test_larger_budgets_bring_more_and_counts_have_exact_intervals(bench):
    budget, *_ = bench
    task = budget.Task("white", 300.0, (1, 2), 8.0, (0.1, 300.0), True, None)
    seen = budget.watch_all(task)
    few, many = (sum(len(one.openings[b]) for one in seen) for b in (0.1, 300.0))
    assert few < many
    cells = list(budget._cells("white", 300.0, seen, (300.0,)))
    week = next(cell for cell in cells if cell.period == "week 1")
    assert week.sensor_months == pytest.approx(14 / 30)
    low, high = week.interval_95
    assert low < week.rate < high
    assert 0 < week.learning < 0.5
    delays = [delay for one in seen for by in one.found.values() for delay in by.values()]
    assert delays
    assert all(0 <= delay <= 1 for delay in delays)
