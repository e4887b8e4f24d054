"""Silences: by the sensor's own rhythm, against the alarm budget, on the wall clock."""

import numpy as np
import pytest

from redshank.core.batch import Batch
from redshank.core.clock import DAY, HOUR, MINUTE, SECOND
from redshank.core.records import SensorInfo
from redshank.pipeline.budget import Budget
from redshank.pipeline.pipeline import Pipeline
from redshank.pipeline.silence import Silences

START = 1_700_000_000 * SECOND


@pytest.fixture
def pipeline():
    return Pipeline(Budget(3.0), lambda sensor_id: SensorInfo(sensor_id, "Lake Barmen"))


def report(pipeline, time):
    """Rows of one sensor at these times, arriving about as they happen."""
    if "lake" not in pipeline:
        pipeline.adopt("lake", None)
    for part in np.array_split(np.asarray(time, np.int64), max(1, len(time) // 100)):
        n = len(part)
        rows = Batch(("lake",), np.zeros(n, np.int32), part, ("t",), np.ones((n, 1)))
        pipeline.run([rows], int(part[-1]))
    return int(time[-1])


def times(rows, seconds=65, seed=0):
    """Times with some jitter and a missed row now and then."""
    rng = np.random.default_rng(seed)
    steps = seconds * (1 + (rng.random(rows) < 0.02)) + rng.normal(0, 0.5, rows)
    return START + (np.cumsum(steps) * SECOND).astype(np.int64)


def test_a_silent_sensor_becomes_an_incident_and_ends_when_it_reports(pipeline):
    newest = report(pipeline, times(2000))
    silences = Silences(pipeline, START)
    assert silences.look(newest + 3 * MINUTE) == []
    (incident,) = silences.look(newest + 3 * HOUR + 20 * MINUTE)
    assert incident.title == "silent for 3 h 20 min"
    assert incident.text.startswith(
        "Lake Barmen usually reports every 1 min 5 s; silent for 3 h 20 min, since "
    )
    assert incident.opened == newest
    back = report(pipeline, [newest + 4 * HOUR])
    (over,) = silences.look(back + SECOND)
    assert (over.id, over.closed) == (incident.id, back)


def test_a_sensor_that_pauses_often_may_pause(pipeline):
    days = [times(300, seed=k) + k * DAY for k in range(30)]
    newest = report(pipeline, np.concatenate(days))
    assert Silences(pipeline, START).look(newest + 12 * HOUR) == []


def test_a_young_sensor_is_left_alone(pipeline):
    newest = report(pipeline, times(20))
    assert Silences(pipeline, START).look(newest + DAY) == []


def test_old_readings_that_arrive_now_are_no_silence(pipeline):
    pipeline.adopt("lake", None)
    time = times(2000)
    rows = Batch(("lake",), np.zeros(2000, np.int32), time, ("t",), np.ones((2000, 1)))
    now = int(time[-1]) + 6 * DAY
    pipeline.run([rows], now)
    silences = Silences(pipeline, START)
    assert silences.look(now + MINUTE) == []
    assert [i.title for i in silences.look(now + 3 * HOUR)] == ["silent for 3 h"]


def test_a_restart_goes_on_with_the_same_silence(pipeline):
    newest = report(pipeline, times(2000))
    (incident,) = Silences(pipeline, START).look(newest + 3 * HOUR)
    again = Silences(pipeline, newest + 3 * HOUR, [incident])
    (later,) = again.look(newest + 9 * HOUR)
    assert (later.id, later.title) == (incident.id, "silent for 9 h")
