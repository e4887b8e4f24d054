"""Slow drifts: told against neighbours or the own past, once, and not for seasons."""

import numpy as np
import pytest

from redshank.adapters.store.sqlite import SqliteStore
from redshank.core.batch import Batch
from redshank.core.clock import DAY, HOUR, SECOND
from redshank.core.ports import Commit
from redshank.core.queries import Incidents
from redshank.core.records import ChannelInfo, SensorInfo
from redshank.detect.drift import days_of, slow_drift
from redshank.pipeline.accepted import marked
from redshank.pipeline.ageing import Ageing
from redshank.pipeline.budget import Budget
from redshank.pipeline.incidents import retracted
from redshank.pipeline.neighbours import Neighbours
from redshank.pipeline.pipeline import Pipeline

START = 1_700_006_400 * SECOND
DAYS, ONSET = 120, 60


def days(rng, count=DAYS, weekly=0.0):
    """(count, 4) quarters of days with a daily and a weekly season and noise."""
    season = np.array([-1.0, 0.5, 1.5, -0.5])
    weekend = weekly * (np.arange(count) % 7 >= 5)
    return season + weekend[:, None] + rng.normal(0, 0.2, (count, 4))


def rate(parts):
    """Chance of as much; 1 where there is nothing at all."""
    found = slow_drift(parts)
    return 1.0 if found is None else found.rate


def ramp(count=DAYS, onset=ONSET, a_month=1.0):
    return np.maximum(0, np.arange(count) - onset)[:, None] * a_month / 30


@pytest.mark.parametrize("seed", range(5))
def test_a_line_is_told_from_seasons_and_noise(seed):
    quiet = days(np.random.default_rng(seed), weekly=2.0)
    assert rate(quiet) > 1e-3
    found = slow_drift(quiet + ramp())
    assert found.rate < 1e-9
    assert found.change == pytest.approx(28 / 30, rel=0.3)
    assert found.start == pytest.approx(ONSET, abs=10)
    assert found.now - found.before == pytest.approx(2.0, rel=0.3)


def test_a_step_is_no_drift():
    moved = days(np.random.default_rng(1)) + 3.0 * (np.arange(DAYS) >= 70)[:, None]
    assert rate(moved) > 1e-3


def test_what_wandered_before_must_wander_further():
    rng = np.random.default_rng(2)
    slow = np.sin(2 * np.pi * np.arange(DAYS) / 40)[:, None]
    assert rate(days(rng) + slow) > 0.01


def test_single_bad_days_and_gaps_change_little():
    parts = days(np.random.default_rng(3)) + ramp()
    spoiled = parts.copy()
    spoiled[::9] = np.nan
    spoiled[100] = 1e6
    assert slow_drift(spoiled).change == pytest.approx(slow_drift(parts).change, rel=0.3)


def test_too_few_days_say_nothing():
    assert slow_drift(days(np.random.default_rng(4), 20)) is None


def test_quarters_of_days_are_means_of_what_is_there():
    time = START + np.arange(48) * HOUR
    values = np.arange(48.0)
    values[:3] = np.nan
    parts = days_of(time, values, START, 3)
    np.testing.assert_array_equal(parts[0], [4.0, 8.5, 14.5, 20.5])
    assert np.isnan(parts[2]).all()


class Fleet:
    """Sensors of one site, every hour, with a season that all of them share."""

    def __init__(self, store, ids, channel, drifting=(), season=8.0):
        rng = np.random.default_rng(7)
        hours = np.arange(DAYS * 24)
        shared = season * np.sin(2 * np.pi * hours / (24 * 365)) + 2 * np.sin(np.pi * hours / 12)
        aged = np.maximum(0, hours - 24 * ONSET) / (24 * 30) * 0.8
        values = shared[:, None] + rng.normal(0, 0.3, (len(hours), len(ids)))
        for number, sensor_id in enumerate(ids):
            values[:, number] += aged * (sensor_id in drifting)
        self.time = START + hours.repeat(len(ids)) * HOUR
        self.values, self.channel, self.ids = values.reshape(-1, 1), channel, ids
        self.store = store
        self.pipeline = Pipeline(Budget(3.0), lambda sensor_id: SensorInfo(sensor_id, site="hill"))
        for sensor_id in ids:
            self.pipeline.adopt(sensor_id, None)
        known = {channel: ChannelInfo(channel)}
        infos = [SensorInfo(one, site="hill", channels=known) for one in ids]
        store.write(Commit(sensors=infos))
        self.begin()

    def begin(self):
        """As after a start: what was looked at is known from the store only."""
        self.ageing = Ageing(self.store, self.pipeline, Neighbours(self.store))

    def report(self, first, last):
        """Store the readings of some days and look as often as there is something to look at."""
        rows = np.arange(first * 24 * len(self.ids), last * 24 * len(self.ids))
        sensor = (rows % len(self.ids)).astype(np.int32)
        batch = Batch(self.ids, sensor, self.time[rows], (self.channel,), self.values[rows])
        self.pipeline.replay([batch])
        self.store.write(Commit(readings=[batch]))
        while commit := self.ageing.look():
            self.store.write(commit)
            self.ageing.looked(commit)

    def told(self):
        return self.store.read(Incidents())


@pytest.fixture
def store(tmp_path):
    opened = SqliteStore(tmp_path / "store.sqlite")
    yield opened
    opened.close()


SITE = ("a", "b", "c", "d")


def test_ageing_is_told_from_the_season_by_the_neighbours(store):
    fleet = Fleet(store, SITE, "temperature", drifting="b")
    for first in range(0, DAYS, 10):
        fleet.report(first, first + 10)
    (drift,) = fleet.told()
    assert (drift.sensor_id, drift.kind, drift.origin) == ("b", "drift", "sensor")
    assert drift.title.startswith("temperature has crept up by ")
    assert drift.title.endswith("days against its neighbours")
    assert "Looks like a fault of the sensor: ageing, dirt or lost calibration" in drift.text
    assert START + (ONSET - 14) * DAY < drift.opened < START + (ONSET + 21) * DAY
    assert drift.peak < START + (ONSET + 42) * DAY
    assert drift.evidence[0].value - drift.evidence[0].expected == pytest.approx(0.7, abs=0.5)


def test_it_does_not_matter_when_it_is_looked_for(store, tmp_path):
    other = SqliteStore(tmp_path / "other.sqlite")
    often, once = (Fleet(s, SITE, "temperature", drifting="c") for s in (store, other))
    for first in range(0, DAYS, 5):
        often.begin()
        often.report(first, first + 5)
    once.report(0, DAYS)
    assert [one.id for one in often.told()] == [one.id for one in once.told()]
    other.close()


def test_alone_a_sensor_is_compared_with_its_own_past(store):
    fleet = Fleet(store, ("a",), "flow", drifting="a", season=0.0)
    fleet.report(0, DAYS)
    (drift,) = fleet.told()
    assert drift.title.endswith("days against its own past")
    assert drift.origin == "unknown"
    assert "a season" in drift.text
    assert retracted([drift], (), 0) == []


def test_alone_a_seasonal_channel_is_left_alone(store):
    fleet = Fleet(store, ("a",), "temperature", drifting="a")
    fleet.report(0, DAYS)
    assert fleet.told() == []


def test_an_expected_drift_is_over_and_starts_anew(store):
    fleet = Fleet(store, ("a",), "flow", drifting="a", season=0.0)
    fleet.report(0, 95)
    (drift,) = fleet.told()
    assert drift.state == "open"
    store.write(marked(store, fleet.pipeline, drift, expected=True))
    (over,) = fleet.told()
    assert over.closed >= over.last
    fleet.report(95, DAYS)
    assert fleet.told() == [over]
