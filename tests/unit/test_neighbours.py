"""Neighbours: a change that they share is an event, one that nobody shares is a fault."""

from concurrent.futures import Future
from dataclasses import replace
from math import asin, atan2, cos, degrees, radians, sin

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redshank.adapters.bus.memory import MemoryBus
from redshank.adapters.store.sqlite import SqliteStore
from redshank.core.batch import Batch
from redshank.core.clock import MINUTE, SECOND, FakeClock
from redshank.core.geography import EARTH_KM, degrees_around, kilometres
from redshank.core.ports import Commit, Parcel
from redshank.core.queries import Incidents, SensorSeries
from redshank.core.records import Flag, SensorInfo
from redshank.core.telemetry import Telemetry
from redshank.pipeline.budget import Budget
from redshank.pipeline.neighbours import LATER, Neighbours
from redshank.pipeline.pipeline import Pipeline
from redshank.pipeline.runner import Runner
from redshank.wiring import described

START = 1_700_000_000 * SECOND
ROWS, FAULT = 2000, 1600
IDS = ("a", "b", "c", "d")


@pytest.fixture
def store(tmp_path):
    opened = SqliteStore(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def site(seed=0):
    """(rows, sensors) values of four sensors with shared weather and noise of their own."""
    rng = np.random.default_rng(seed)
    hours = np.arange(ROWS) / 12
    weather = 15 + 4 * np.sin(2 * np.pi * hours / 24) + np.cumsum(rng.normal(0, 0.03, ROWS))
    own = rng.normal(0, 0.15, (ROWS, len(IDS))) + rng.normal(0, 1, len(IDS))
    return (weather[:, None] + own).round(2)


def detected(store, values, infos=None, rows=100):
    """Incidents of the sensors after all of their readings came, every 5 minutes."""
    bus = MemoryBus(200_000)
    pipeline = Pipeline(Budget(), lambda sensor_id: described(store, sensor_id))
    runner = Runner(bus, store, pipeline, FakeClock(START + 10 * ROWS * MINUTE), Telemetry())
    runner.start()
    infos = infos or [SensorInfo(one, site="hill") for one in IDS]
    waiting: list[Future] = []
    for first in range(0, ROWS, rows):
        time = START + np.arange(first, first + rows).repeat(len(IDS)) * 5 * MINUTE
        sensor = np.tile(np.arange(len(IDS), dtype=np.int32), rows)
        part = values[first : first + rows].reshape(-1, 1)
        parcel = Parcel([Batch(IDS, sensor, time, ("temperature",), part)], infos)
        waiting.append(bus.publish(parcel, "test"))
        waiting[-1].result(30)
    runner.stop()
    since = START + (FAULT - 1) * 5 * MINUTE
    return [one for one in store.read(Incidents()) if one.opened >= since]


def flags(store, sensor_id):
    series = store.read(SensorSeries(sensor_id, START, START + 10 * ROWS * MINUTE, points=10_000))
    return np.flatnonzero(series.flags[:, 0] & Flag.DISAGREES)


def test_a_change_of_one_sensor_alone_is_its_fault(store):
    values = site()
    values[FAULT : FAULT + 100, 0] += 8
    (incident,) = [one for one in detected(store, values) if one.sensor_id == "a"][-1:]
    assert incident.origin == "sensor"
    assert "Looks like a fault of the sensor: its neighbours are at" in incident.text
    told = flags(store, "a")
    assert len(told)
    assert told.min() >= FAULT
    assert not len(flags(store, "b"))


def test_a_change_that_all_share_is_an_event(store):
    values = site()
    values[FAULT : FAULT + 100] += 8
    found = detected(store, values)
    assert {one.sensor_id for one in found} == set(IDS)
    closed = [one for one in found if one.opened < START + (FAULT + 50) * 5 * MINUTE]
    assert {one.origin for one in closed} == {"event"}
    assert all("Looks like a real event" in one.text for one in closed)
    assert not any(len(flags(store, one)) for one in IDS)


def test_neighbours_that_changed_by_more_share_it(store):
    values = site()
    values[FAULT : FAULT + 100, 0] -= 8
    values[FAULT : FAULT + 100, 1:] -= 24
    first = next(one for one in detected(store, values)[::-1] if one.sensor_id == "a")
    assert first.kind == "level shift"
    assert first.origin == "event"
    assert not len(flags(store, "a"))


def test_strangers_say_nothing(store):
    values = site()
    values[FAULT : FAULT + 100, 0] += 8
    strangers = [SensorInfo(one) for one in IDS]
    found = [one for one in detected(store, values, strangers) if one.sensor_id == "a"]
    assert {one.origin for one in found} == {"unknown"}


def test_how_readings_were_grouped_does_not_matter(store, tmp_path):
    values = site(1)
    values[FAULT : FAULT + 100, 2] -= 8
    other = SqliteStore(tmp_path / "other.sqlite")
    told = [
        {(one.sensor_id, one.opened): (one.origin, one.closed) for one in found}
        for found in (detected(store, values), detected(other, values, rows=20))
    ]
    assert told[0] == told[1]
    np.testing.assert_array_equal(flags(store, "c"), flags(other, "c"))
    other.close()


def test_who_is_near(store):
    values = site()
    infos = [
        SensorInfo("a", latitude=52.0, longitude=7.0, exposure="outdoor"),
        SensorInfo("b", latitude=52.1, longitude=7.0),
        SensorInfo("c", latitude=52.05, longitude=7.0, exposure="indoor"),
        SensorInfo("d", latitude=52.3, longitude=7.0),
    ]
    detected(store, values, infos)
    assert Neighbours(store).near("a", "temperature") == ["b"]
    assert Neighbours(store).near("a", "humidity") == []


def test_distance_along_the_earth():
    assert kilometres((51.96, 7.63), (52.52, 13.40)) == pytest.approx(398, abs=4)
    assert kilometres((0.0, 179.5), (0.0, -179.5)) == pytest.approx(111.2, abs=0.1)


@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(0, 360), st.floats(0.1, 2000))
def test_nothing_near_lies_outside_of_the_rectangle(latitude, longitude, bearing, km):
    along, across = degrees_around(latitude, km)
    a, turn, reach = radians(latitude), radians(bearing), 0.999 * km / EARTH_KM
    there = asin(min(1, max(-1, sin(a) * cos(reach) + cos(a) * sin(reach) * cos(turn))))
    east = atan2(sin(turn) * sin(reach) * cos(a), cos(reach) - sin(a) * sin(there))
    assert abs(degrees(there) - latitude) <= along + 1e-9
    assert abs(degrees(east)) <= across + 1e-9
    assert kilometres((latitude, longitude), (degrees(there), longitude + degrees(east))) <= km


def outcome(incident, batches=()):
    return Commit(incidents=[incident], readings=list(batches))


def test_neighbours_that_report_later_are_heard_at_another_look(store):
    values = site()
    values[FAULT : FAULT + 100, 0] += 8
    (incident,) = [one for one in detected(store, values) if one.sensor_id == "a"][-1:]
    text = incident.text.replace("neighbours", "others")
    unknown = replace(incident, origin="unknown", text=text, sensor_id="nobody")
    neighbours = Neighbours(store)
    (told,) = neighbours.complete(outcome(unknown)).incidents
    assert told.origin == "unknown"
    store.write(Commit(incidents=[replace(told, sensor_id="a")]))
    looks = [neighbours.again() for _ in range(LATER + 1)]
    (judged,) = [one for look in looks for one in look.incidents]
    assert judged.origin == "sensor"
    assert not neighbours.again().incidents


def test_incidents_of_a_changed_budget_are_judged_soon(store):
    values = site()
    values[FAULT : FAULT + 100, 0] += 8
    (incident,) = [one for one in detected(store, values) if one.sensor_id == "a"][-1:]
    new = replace(incident, id="f" * 16, origin="unknown", text="Temperature was unusual.")
    neighbours = Neighbours(store)
    (kept,) = neighbours.remembered([new])
    store.write(Commit(incidents=[kept]))
    (judged,) = neighbours.again().incidents
    assert judged.origin == "sensor"
