"""What the rhythm of sensors shows, through the runner and a real store."""

import threading
from functools import partial

import numpy as np
import pytest

from redshank.adapters.bus.memory import MemoryBus
from redshank.adapters.store.sqlite import SqliteStore
from redshank.core.batch import Batch
from redshank.core.clock import HOUR, MINUTE, SECOND, FakeClock
from redshank.core.ports import Parcel
from redshank.core.queries import Incidents
from redshank.core.records import SensorInfo
from redshank.core.registry import patched
from redshank.core.telemetry import Telemetry
from redshank.core.zones import Zones
from redshank.pipeline.budget import Budget
from redshank.pipeline.pipeline import Pipeline
from redshank.pipeline.runner import Runner
from redshank.wiring import described

NOW = 1_800_000_000 * SECOND


class Service:
    """A runner on a store, at a time that stands still until it is moved."""

    def __init__(self, store):
        self.store, self.clock, self.bus = store, FakeClock(NOW), MemoryBus(200_000)
        zones = Zones("UTC", {"Farm": "Europe/Berlin"})
        self.pipeline = Pipeline(Budget(), partial(described, store), zones=zones)
        self.runner = Runner(self.bus, store, self.pipeline, self.clock, Telemetry())
        self.told, self.news = [], threading.Event()
        self.runner.listen(self._hear)
        self.runner.start()

    def _hear(self, commit):
        if commit.incidents:
            self.told += commit.incidents
            self.news.set()

    def send(self, time, **more):
        n = len(time)
        values = np.random.default_rng(0).normal(20, 1, (n, 1))
        rows = Batch(("lake",), np.zeros(n, np.int32), time, ("temperature",), values)
        return self.bus.publish(Parcel([rows], **more), "test").result(30)

    def wait(self, seconds):
        """Let time pass until there is news; the newest."""
        self.news.clear()
        self.clock.advance(seconds)
        assert self.news.wait(30)
        return self.told[-1]


@pytest.fixture
def service(tmp_path):
    store = SqliteStore(tmp_path / "store.sqlite")
    running = Service(store)
    yield running
    running.runner.stop()
    store.close()


def minutes(end, count):
    return end - np.arange(count)[::-1] * MINUTE


def test_a_stuttering_sensor_is_stored_told_and_stays_under_another_budget(service):
    lost = minutes(NOW, 240)[np.random.default_rng(0).random(240) < 0.3]
    service.send(np.concatenate([minutes(NOW - 4 * HOUR, 8000), lost]))
    incident = service.wait(60)
    assert (incident.kind, incident.state) == ("stuttering", "open")
    assert incident.title in {one.title for one in service.store.read(Incidents())}
    service.runner.set_budget(2.0).result(30)
    assert incident.id in {one.id for one in service.store.read(Incidents())}


def test_a_sensor_goes_by_the_clocks_of_its_site_and_of_its_own(service):
    service.send(minutes(NOW, 10), sensors=[SensorInfo("lake", site="Farm")])
    assert service.pipeline.zone_of("lake").name == "Europe/Berlin"
    edit = {"lake": lambda info: patched(info, {"timezone": "Asia/Kathmandu"})}
    service.runner.edit_sensors(edit).result(30)
    assert service.pipeline.zone_of("lake").name == "Asia/Kathmandu"
    service.runner.stop()
    again = Service(service.store)
    again.send(minutes(NOW + MINUTE, 1))
    assert again.pipeline.zone_of("lake").name == "Asia/Kathmandu"
    again.runner.stop()
