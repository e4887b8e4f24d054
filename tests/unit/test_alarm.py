"""The decision: budget, N of M, how long an incident lasts."""

import numpy as np
import pytest

from redshank.core.clock import HOUR, MINUTE
from redshank.core.errors import FieldError
from redshank.detect import alarm as deciding
from redshank.detect.alarm import AT_ONCE, Alarm, Confirmation, alarm_column, decide_one

QUIET = 1000.0


def rates(*spans):
    """Rates of a series given as (rows, rate) spans."""
    return np.concatenate([np.full(rows, rate, np.float32) for rows, rate in spans])


def minutes(rows, interval=5 * MINUTE):
    return np.arange(rows, dtype=np.int64) * interval


def decide_series(series, budget, confirmation=AT_ONCE):
    return deciding.decide_series(minutes(len(series)), series, budget, confirmation)


def opened(alarm):
    return np.flatnonzero(alarm & Alarm.OPENED).tolist()


def test_a_rare_row_opens_at_once():
    alarm = decide_series(rates((10, QUIET), (1, 2.0), (80, QUIET)), budget=3.0)
    assert opened(alarm) == [10]
    assert np.flatnonzero(alarm & Alarm.CLOSED).tolist() == [70]


def test_rates_above_the_budget_do_not_open():
    assert opened(decide_series(rates((10, QUIET), (5, 3.1)), budget=3.0)) == []


def test_a_long_incident_is_anomalous_until_it_is_over():
    alarm = decide_series(rates((200, 0.1), (100, QUIET)), budget=3.0)
    assert np.flatnonzero(alarm & Alarm.OPEN).tolist() == list(range(259))


def test_rows_around_the_budget_belong_to_the_incident():
    alarm = decide_series(rates((1, 1.0), (30, QUIET), (1, 14.0), (59, QUIET)), budget=3.0)
    assert opened(alarm) == [0]
    assert (alarm & Alarm.OPEN).all()


def test_the_next_one_opens_after_enough_quiet_rows():
    series = rates((1, 1.0), (59, QUIET), (1, 1.0), (60, QUIET), (1, 1.0))
    assert opened(decide_series(series, budget=3.0)) == [0, 121]


def test_rare_readings_need_fewer_quiet_ones():
    series = rates((1, 1.0), (70, QUIET))
    alarm = deciding.decide_series(minutes(71, HOUR), series, 3.0)
    assert np.flatnonzero(alarm & Alarm.CLOSED).tolist() == [12]
    without_times = deciding.decide_series(np.zeros(71, np.int64), series, 3.0)
    assert np.flatnonzero(without_times & Alarm.CLOSED).tolist() == [60]


def test_n_of_m_waits_for_confirmation():
    single = rates((10, QUIET), (1, 1.0), (10, QUIET))
    twice = rates((10, QUIET), (1, 1.0), (2, QUIET), (1, 1.0), (10, QUIET))
    two_of_five = Confirmation.parse("2 of 5")
    assert opened(decide_series(single, 3.0, two_of_five)) == []
    assert opened(decide_series(twice, 3.0, two_of_five)) == [13]
    assert opened(decide_series(twice, 3.0, Confirmation(2, 3))) == []


@pytest.mark.parametrize("cut", [1, 10, 12, 40])
def test_batches_do_not_matter(cut):
    series = rates((10, QUIET), (1, 1.0), (2, QUIET), (30, 1.0), (40, QUIET))
    rule = Confirmation(2, 5)
    states = alarm_column()
    time = minutes(len(series))
    parts = [
        decide_one(states, time[part], series[part], 3.0, rule)
        for part in (slice(cut), slice(cut, None))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), decide_series(series, 3.0, rule))


@pytest.mark.parametrize("text", ["0 of 3", "4 of 3", "2 of 33", "often", "2"])
def test_impossible_confirmations_are_refused(text):
    with pytest.raises(FieldError, match="confirmation"):
        Confirmation.parse(text)
