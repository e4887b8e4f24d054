"""The cadence kernel: laws that hold for every sensor."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redshank.core.clock import DAY, HOUR, MINUTE, SECOND
from redshank.detect.cadence import Cadence

START = 1_700_000_000 * SECOND
RATES = ("silence", "stutter", "odd")


def learned(time, shift=0, cadence=None, slot=0):
    """A cadence that has seen one sensor report at these times."""
    cadence = cadence or Cadence()
    time = np.asarray(time, np.int64)
    cadence.run(np.full(len(time), slot, np.int32), time, np.full(len(time), shift, np.int64))
    return cadence


def seen(cadence, last, after, slot=0):
    """How it stands with the sensor some time after its last reading."""
    one = np.array([slot], np.int32), np.array([last], np.int64), np.array([last + after], np.int64)
    return cadence.attendance(*one, np.zeros(1, np.int64))[0]


def steady(days=10, seconds=60, seed=0):
    steps = np.random.default_rng(seed).normal(
        seconds, 0.05 * seconds, int(days * 86_400 / seconds)
    )
    return START + (np.cumsum(steps) * SECOND).astype(np.int64)


def test_the_interval_is_the_median_and_nothing_is_known_before_the_second_reading():
    assert np.isnan(seen(learned([START]), START, HOUR)["interval"])
    time = steady()
    assert seen(learned(time), time[-1], 0)["interval"] == pytest.approx(60, rel=0.02)


def test_a_silence_becomes_rarer_with_time():
    time = steady()
    cadence = learned(time)
    rates = [seen(cadence, time[-1], k * MINUTE)["silence"] for k in range(1, 600)]
    assert np.isinf(rates[0])
    assert (np.diff(rates[1:]) <= 0).all()
    assert rates[-1] < 0.01


def test_a_young_sensor_may_have_outages_that_did_not_happen_yet():
    young, old = steady(1), steady(40)
    an_hour = [seen(learned(time), time[-1], HOUR)["silence"] for time in (young, old)]
    assert an_hour[0] > 0.1 > 10 * an_hour[1]


def test_readings_that_are_older_than_the_newest_change_nothing():
    time = steady(1)
    cadence = learned(time)
    before = cadence.sensors.get(0)
    learned(time[:100] + SECOND, cadence=cadence)
    assert cadence.sensors.get(0) == before


def test_sensors_do_not_influence_one_another():
    a, b = steady(2, seed=1), steady(2, 97, seed=2)
    both = np.concatenate([a, b])
    slots = np.r_[np.zeros(len(a), np.int32), np.ones(len(b), np.int32)]
    order = np.argsort(both, kind="stable")
    mixed = Cadence()
    mixed.run(slots[order], both[order], np.zeros(len(both), np.int64))
    alone = learned(a)
    learned(b, cadence=alone, slot=1)
    assert mixed.sensors.get(0, 2) == alone.sensors.get(0, 2)


@settings(deadline=None, max_examples=60)
@given(
    steps=st.lists(st.integers(1, 3 * 365 * DAY), min_size=1, max_size=300),
    shift=st.integers(-14 * HOUR, 14 * HOUR),
    cut=st.integers(0, 300),
)
def test_any_times_give_finite_state_whatever_the_batches(steps, shift, cut):
    time = START + np.cumsum(np.array(steps, np.int64))
    whole = learned(time, shift)
    parts = learned(time[cut:], shift, learned(time[:cut], shift))
    assert whole.sensors.get(0) == parts.sensors.get(0)
    told = seen(whole, int(time[-1]), 10 * DAY)
    assert all(told[name] >= 0 for name in RATES)
    assert len(time) < 2 or np.isfinite(told["interval"])


def test_the_state_of_a_sensor_is_small():
    assert Cadence().sensors.row_bytes <= 512
