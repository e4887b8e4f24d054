"""Alignment, rhythm, flat line and profile kernels."""

import numpy as np
import pytest

from redshank.core.clock import DAY, HOUR, MINUTE, SECOND
from redshank.detect.channelstate import Alignment, FlatLine, Profile, Rests, Rhythm

NAN = np.nan
START = 1_700_006_400 * SECOND


def align(rows, alignment=None, tolerance=500_000):
    """Aligned (time, values) of one two-channel sensor's (time, values) messages."""
    alignment = alignment or Alignment(tolerance)
    n = len(rows)
    out = alignment.run(
        np.zeros(n, np.int32),
        np.zeros(n, np.int64),
        np.array([START + t * SECOND for t, _ in rows], np.int64),
        np.array([v for _, v in rows], np.float64),
    )
    return [((t - START) / SECOND, v) for t, v in zip(out.time, out.values.tolist(), strict=True)]


def test_complete_rows_pass_at_once():
    assert align([(0, (1, 2)), (60, (3, 4))]) == [(0, [1, 2]), (60, [3, 4])]


def test_channels_that_arrive_separately_become_one_row():
    messages = [m for t in range(0, 600, 60) for m in ((t, (t, NAN)), (t, (NAN, -t)))]
    rows = align(messages)
    assert rows[2:] == [(t, [t, -t]) for t in range(120, 600, 60)]


def test_messages_within_the_tolerance_belong_together():
    messages = [m for t in range(0, 600, 60) for m in ((t, (t, NAN)), (t + 0.3, (NAN, -t)))]
    assert align(messages)[2:] == [(t, [t, -t]) for t in range(120, 600, 60)]


def test_a_channel_that_falls_silent_stops_holding_rows_back():
    alignment = Alignment()
    align([m for t in range(5) for m in ((t, (t, NAN)), (t, (NAN, t)))], alignment)
    rows = align([(t, (t, NAN)) for t in range(5, 30)], alignment)
    assert rows[-1][0] == 29


def test_late_rows_are_left_out():
    assert [t for t, _ in align([(60, (1, 2)), (0, (9, 9)), (120, (3, 4))])] == [60, 120]


@pytest.mark.parametrize("cut", range(1, 20, 3))
def test_alignment_does_not_depend_on_batches(cut):
    messages = [m for t in range(10) for m in ((t, (t, NAN)), (t, (NAN, -t)))]
    alignment = Alignment()
    assert repr(align(messages[:cut], alignment) + align(messages[cut:], alignment)) == repr(
        align(messages)
    )


def test_rhythm_is_the_median_interval_and_gaps_are_seen():
    time = np.cumsum(np.r_[np.full(50, 60), 3600, np.full(50, 60)]) * SECOND + START
    interval, gap = Rhythm().run(np.zeros(len(time), np.int32), time.astype(np.int64))
    assert np.isnan(interval[0])
    assert interval[-1] == pytest.approx(60, rel=0.05)
    assert np.flatnonzero(gap).tolist() == [50]


def flat_rates(values, rests=Rests.NEVER, flat=None):
    n = len(values)
    rate, held = (flat or FlatLine()).run(
        np.zeros(n, np.int64),
        START + np.arange(n) * MINUTE,
        np.asarray(values, np.float64).reshape(n, 1),
        np.array([rests], np.uint8),
    )
    return rate[:, 0], held[:, 0]


def test_a_stuck_channel_becomes_rarer_with_every_row():
    noise = np.random.default_rng(1).normal(size=2000).round(1)
    rate, held = flat_rates(np.r_[noise, np.full(600, 99.99)])
    assert np.isinf(rate[:2000]).all()
    assert (np.diff(rate[2040:]) <= 0).all()
    assert rate[-1] < 0.5
    assert held[-1] == 599 * 60


def test_zero_is_a_resting_value_only_where_it_may_be():
    noise = np.abs(np.random.default_rng(1).normal(size=2000)).round(1) + 0.1
    values = np.r_[noise, np.zeros(600)]
    for rests in (Rests.ANYWHERE, Rests.AT_ZERO):
        assert np.isinf(flat_rates(values, rests)[0]).all()
    assert flat_rates(values)[0][-1] < 0.5


def test_a_channel_that_never_varied_is_stuck_only_if_it_is_known_to_move():
    assert np.isinf(flat_rates(np.full(5000, 45.0), Rests.ANYWHERE)[0]).all()
    rate, _ = flat_rates(np.full(5000, 45.0))
    assert rate[300] > 1 > rate[2000]


def test_what_rests_at_zero_and_never_varied_is_stuck_elsewhere_after_a_day():
    """A night may be spent beside zero, with an offset."""
    rate, held = flat_rates(np.full(5000, 78.75), Rests.AT_ZERO)
    assert (np.isinf(rate) == (held <= 24 * 3600)).all()
    assert rate[-1] < 1
    assert np.isinf(flat_rates(np.zeros(5000), Rests.AT_ZERO)[0]).all()


def test_a_channel_that_mostly_rests_is_called_stuck_at_its_first_long_rest_only():
    rests = [np.r_[np.full(400, 21.0), np.full(3, 21.5)] for _ in range(4)]
    rate, _ = flat_rates(np.concatenate(rests))
    lowest = [part.min() for part in rate.reshape(4, -1)]
    assert lowest[0] < 1 < 5 < min(lowest[1:])


def test_long_rests_that_come_every_day_become_normal():
    rng = np.random.default_rng(2)
    days = [np.r_[rng.normal(size=900).round(1), np.full(540, 100.0)] for _ in range(40)]
    rate, _ = flat_rates(np.concatenate(days))
    assert rate[1440:2880].min() < 5 < rate[-1440:].min()


def profile(values, minutes=10):
    n = len(values)
    time = START - START % DAY + np.arange(n) * minutes * MINUTE
    first, interval = np.zeros(n, np.int64), np.full(n, minutes * 60.0, np.float32)
    values = np.asarray(values, np.float64).reshape(n, 1)
    bands = Profile().run(first, time, values, interval, np.ones(n, np.uint8))
    return time, *(band[:, 0] for band in bands)


def test_the_band_follows_the_hour_of_the_day():
    n = 144 * 21
    hours = np.arange(n) / 6
    values = 10 * np.sin(2 * np.pi * hours / 24) + np.random.default_rng(3).normal(size=n)
    time, expected, lower, upper = profile(values)
    last = slice(-144 * 5, None)
    inside = (values[last] >= lower[last]) & (values[last] <= upper[last])
    assert 0.8 <= inside.mean() <= 0.97
    noon, midnight = (time[last] // HOUR % 24 == h for h in (6, 18))
    assert expected[last][noon].mean() > 7
    assert expected[last][midnight].mean() < -7


def test_the_band_holds_nine_of_ten_values_though_no_day_is_like_the_one_before():
    rng = np.random.default_rng(4)
    n = 144 * 60
    days = np.repeat(rng.normal(0, 5, n // 144), 144)
    values = days + rng.gamma(2, 1, n)
    _, expected, lower, upper = profile(values)
    later = slice(144 * 5, None)
    inside = (values >= lower) & (values <= upper)
    assert 0.85 <= inside[later].mean() <= 0.95
    assert (lower[1:] <= expected[1:]).all()
    assert (expected[1:] <= upper[1:]).all()


def test_a_channel_at_rest_has_no_band_around_it():
    day = np.r_[np.zeros(72), 100 + np.random.default_rng(5).normal(size=72)]
    _, _, lower, upper = profile(np.tile(day, 30))
    night = slice(-144 + 24, -144 + 48)
    assert upper[night].max() - lower[night].min() < 1


def test_nothing_is_expected_before_the_first_value():
    _, expected, lower, upper = profile([1.0, 1.0])
    assert np.isnan([expected[0], lower[0], upper[0]]).all()
    assert lower[1] <= expected[1] <= upper[1]
