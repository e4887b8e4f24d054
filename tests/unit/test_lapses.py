"""A channel that gives nothing any more and a clock that is ahead are told without a score."""

import numpy as np
import pytest

from redshank.core.batch import Batch
from redshank.core.clock import HOUR, MINUTE, SECOND
from redshank.core.queries import Recovery
from redshank.core.records import CLOCK, Flag, SensorInfo
from redshank.pipeline.budget import Budget
from redshank.pipeline.lapses import Clocks
from redshank.pipeline.pipeline import Pipeline

START = 1_700_000_000 * SECOND
NAMES = ("temperature", "humidity")


def readings(values, first=0):
    n = len(values)
    time = START + (first + np.arange(n)) * MINUTE
    return Batch(("box",), np.zeros(n, np.int32), time, NAMES, np.asarray(values, float))


def weather(rows, seed=0):
    rng = np.random.default_rng(seed)
    return np.c_[20 + rng.normal(0, 0.1, rows), 60 + rng.normal(0, 0.5, rows)].round(2)


def dropouts(batches, pipeline=None):
    pipeline = Pipeline(Budget(), SensorInfo) if pipeline is None else pipeline
    if "box" not in pipeline:
        pipeline.adopt("box", None)
    last = {}
    for batch in batches:
        told = pipeline.run([batch], START + 1000 * HOUR).incidents
        last |= {one.id: one for one in told if one.kind == "dropout"}
    return list(last.values())


def without_humidity(first, last, rows=1000):
    values = weather(rows)
    values[first:last, 1] = np.nan
    return values


def test_a_channel_that_stays_away_is_a_dropout_until_it_is_back():
    (gone,) = dropouts([readings(without_humidity(600, 700))])
    assert gone.title == "humidity gives no value"
    assert START + 610 * MINUTE < gone.opened < START + 620 * MINUTE
    assert gone.closed == START + 700 * MINUTE
    assert gone.origin == "sensor"
    (evidence,) = gone.evidence
    assert evidence.lower < 60 < evidence.upper


def test_it_is_told_while_it_lasts():
    (gone,) = dropouts([readings(without_humidity(600, 1000))])
    assert gone.state == "open"
    assert gone.last > START + 900 * MINUTE


def test_a_channel_that_comes_in_every_tenth_reading_only_is_not_gone():
    values = weather(4000)
    values[np.arange(4000) % 10 > 0, 1] = np.nan
    assert not dropouts([readings(values)])


def test_an_absence_that_comes_again_is_usual():
    values = weather(3000)
    for first in (600, 1200, 1800, 2400):
        values[first : first + 60, 1] = np.nan
    assert len(dropouts([readings(values)])) == 1


def test_a_channel_that_was_hardly_ever_there_is_not_missed():
    values = weather(1000)
    values[50:, 1] = np.nan
    assert not dropouts([readings(values)])


@pytest.mark.parametrize("cut", [605, 640, 690])
def test_batches_and_restarts_do_not_matter(cut):
    values = without_humidity(600, 700)
    whole = dropouts([readings(values)])
    pipeline = Pipeline(Budget(), SensorInfo)
    before = dropouts([readings(values[:cut])], pipeline)
    (checkpoint,) = pipeline.checkpoints_of(["box"])
    again = Pipeline(Budget(), SensorInfo)
    again.adopt("box", Recovery(checkpoint.state, [], START + (cut - 1) * MINUTE))
    after = dropouts([readings(values[cut:], cut)], again)
    assert {one.id: one for one in (*before, *after)} == {one.id: one for one in whole}


def test_the_values_are_flagged_too():
    pipeline = Pipeline(Budget(), SensorInfo)
    pipeline.adopt("box", None)
    (rows,) = pipeline.run([readings(without_humidity(600, 700))], START + 1000 * HOUR).verdicts
    absent = np.flatnonzero(rows.flags[:, 1] & Flag.ABSENT)
    assert 610 < absent.min() < 620
    assert absent.max() == 699


class Arrivals:
    """Readings that come one by one, stamped by a clock that is some time ahead."""

    def __init__(self):
        self.clocks = Clocks(lambda sensor_id: SensorInfo(sensor_id, "Box"))

    def come(self, ahead, count=10, at=START):
        told = []
        for number in range(count):
            now = at + number * MINUTE
            one = Batch(("box",), np.zeros(1, np.int32), np.array([now + ahead]), NAMES, weather(1))
            told += self.clocks.arrived([one], now, lambda _: 3.0)
        return told


def test_a_clock_that_is_hours_ahead_is_at_fault_until_it_is_right():
    box = Arrivals()
    first = box.come(2 * HOUR)[0]
    assert first.kind == CLOCK
    assert first.title == "clock is 2 h ahead"
    assert first.origin == "sensor"
    (closed,) = box.come(0, at=START + HOUR)
    assert (closed.id, closed.closed) == (first.id, START + HOUR)


def test_one_slip_is_no_clock_fault():
    box = Arrivals()
    assert not box.come(2 * HOUR, 2)
    assert not box.come(0)
    assert not box.come(2 * HOUR, 2)


def test_a_clock_that_is_right_or_behind_is_not_spoken_of():
    assert not Arrivals().come(-3 * HOUR)
    assert not Arrivals().come(MINUTE)


def test_a_clock_fault_goes_on_after_a_restart():
    box = Arrivals()
    told = box.come(2 * HOUR)[-1]
    box.clocks = Clocks(SensorInfo, [told])
    (closed,) = box.come(0, at=START + HOUR)
    assert closed.id == told.id
