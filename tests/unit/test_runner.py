"""Pipeline and runner on a real store: exactly once, resumed exactly, budgets for the past."""

import threading
from concurrent.futures import Future
from dataclasses import replace

import numpy as np
import pytest

from redshank.adapters.bus.memory import MemoryBus
from redshank.adapters.store.sqlite import SqliteStore
from redshank.core.batch import Batch, Reading, batches
from redshank.core.clock import DAY, HOUR, MINUTE, SECOND, FakeClock
from redshank.core.errors import OverloadedError, StoreError
from redshank.core.ports import Commit, Parcel, Receipt
from redshank.core.queries import (
    Cursor,
    Incidents,
    LatestReadings,
    Sensors,
    SensorSeries,
    Setting,
    StoreTotals,
)
from redshank.core.records import ChannelInfo, DeadLetter, Flag, SensorInfo
from redshank.core.telemetry import Telemetry
from redshank.detect.state import unpack
from redshank.pipeline.budget import Budget, preview, rebuild
from redshank.pipeline.pipeline import Pipeline
from redshank.pipeline.runner import Runner
from redshank.pipeline.sharing import shared_out
from redshank.wiring import described

START = 1_700_000_000 * SECOND
LATER = 1_800_000_000 * SECOND


class Service:
    """A runner on a store, without network."""

    def __init__(self, store, budget=3.0, limit=200_000):
        self.store = store
        self.bus = MemoryBus(limit)
        pipeline = Pipeline(Budget(budget), lambda sensor_id: described(store, sensor_id))
        self.clock = FakeClock(LATER)
        self.runner = Runner(self.bus, store, pipeline, self.clock, Telemetry())
        self.runner.start()

    def send(self, *parts, **more):
        return self.bus.publish(Parcel(parts, **more), "test").result(30)


@pytest.fixture
def store(tmp_path):
    opened = SqliteStore(tmp_path / "store.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def service(store):
    running = Service(store)
    yield running
    running.runner.stop()


def week(sensor="s", rows=2000, fault_at=1500, start=START, seed=0):
    """A quiet sensor with one gross fault of ten rows."""
    rng = np.random.default_rng(seed)
    values = rng.normal([20.0, 60.0], [0.5, 2.0], (rows, 2)).round(2)
    if fault_at is not None:
        values[fault_at : fault_at + 10, 0] += 40
    time = start + np.arange(rows) * 5 * MINUTE
    return Batch((sensor,), np.zeros(rows, np.int32), time, ("temperature", "humidity"), values)


def pieces(batch, size):
    return [batch.take(np.arange(i, min(i + size, len(batch)))) for i in range(0, len(batch), size)]


def told(store):
    """Everything that a user could see of the incidents."""
    return sorted((i.id, i.title, i.rate, i.opened, i.closed) for i in store.read(Incidents()))


def test_a_fault_becomes_an_explained_incident(service):
    receipt = service.send(week())
    assert receipt.stored == 2000
    assert receipt.anomalies >= 10
    incidents = service.store.read(Incidents())
    worst = min(incidents, key=lambda incident: incident.rate)
    assert worst.opened == START + 1500 * 5 * MINUTE
    assert worst.evidence[0].channel == "temperature"
    assert worst.evidence[0].unit == "°C"
    assert worst.calm == ("humidity",)


def test_an_incident_tells_of_the_value_that_was_farthest_off(service):
    batch = week(rows=2000, fault_at=None)
    batch.values[1500:1503, 0] = 45.0
    service.send(batch)
    (incident,) = service.store.read(Incidents())
    assert incident.title.startswith("temperature jumped to 45.00 °C")
    assert incident.evidence[0].value == 45.0


def test_repeated_requests_change_nothing(service):
    service.send(week())
    before = told(service.store), service.store.read(StoreTotals()).readings
    assert service.send(week()) == Receipt(duplicates=2000)
    assert (told(service.store), service.store.read(StoreTotals()).readings) == before


def test_each_sender_gets_its_own_counts(service):
    batch = week(rows=20, fault_at=None)
    parts = pieces(batch, 5)
    futures = [service.bus.publish(Parcel([p]), "test") for p in (*parts, parts[2])]
    assert [future.result(30) for future in futures] == [Receipt(stored=5)] * 4 + [
        Receipt(duplicates=5)
    ]


@pytest.mark.parametrize("size", [1, 7, 300])
def test_request_sizes_do_not_matter(store, tmp_path, size):
    whole = Service(store)
    whole.send(week(rows=1700))
    whole.runner.stop()
    other_store = SqliteStore(tmp_path / "other.sqlite")
    other = Service(other_store)
    for future in [
        other.bus.publish(Parcel([piece]), "test") for piece in pieces(week(rows=1700), size)
    ]:
        future.result(60)
    other.runner.stop()
    span = SensorSeries("s", START, START + 30 * DAY, points=10_000)
    a, b = store.read(span), other_store.read(span)
    for name in ("time", "mean", "rate", "score", "expected", "status"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    assert told(store) == told(other_store)
    other_store.close()


def test_nothing_beyond_what_nature_allows_is_expected(service, store):
    lit = replace(week(rows=600, fault_at=None), channels=("temperature", "illuminance"))
    lit.values[:, 1] = 5000 * (np.arange(600) % 24 < 12) * (1 + np.arange(600) % 5)
    service.send(lit)
    shown = store.read(SensorSeries("s", START, START + 30 * DAY, points=10_000))
    lower = shown.lower[:, shown.channels.index("illuminance")]
    assert np.nanmin(lower) == 0


@pytest.mark.parametrize("cut", [100, 900, 1503, 1700])
def test_a_restart_at_any_row_changes_nothing(tmp_path, cut):
    def run(name, *parts):
        for part in parts:
            opened = SqliteStore(tmp_path / name)
            service = Service(opened)
            for piece in pieces(part, 200):
                service.send(piece)
            service.runner.stop()
            seen = told(opened), opened.read(LatestReadings(limit=50, anomalous=True))
            opened.close()
        return seen

    rows = week()
    halves = rows.take(np.arange(cut)), rows.take(np.arange(cut, len(rows)))
    assert run("cut", *halves) == run("whole", rows)


def test_a_changed_budget_applies_to_the_past(service):
    service.send(week(rows=4000))
    before = told(service.store)
    wider = Budget(30.0)
    expected = {incident.id for incident in preview(service.store, wider)}
    service.runner.set_budget(wider.per_sensor_month).result(30)
    assert {identity for identity, *_ in told(service.store)} == expected
    assert len(expected) > len(before)
    service.runner.set_budget(3.0).result(30)
    assert told(service.store) == before


def test_another_budget_knows_of_the_hours_before_an_incident(service):
    service.send(week(rows=1505))
    alike = Pipeline(Budget(3.0), SensorInfo)
    alike.adopt("s", None)
    alike.run([week(rows=1505)], LATER)
    header, _ = unpack(alike.checkpoints_of(["s"])[0].state)
    (rebuilt,) = rebuild(service.store, Budget(3.0), SensorInfo).running.values()
    online = header["running"]["trace"]
    for part in ("before", "levels", "head", "course"):
        for name in ("temperature", "humidity"):
            values = np.array(online[part][name], float)
            np.testing.assert_allclose(getattr(rebuilt.trace, part)[name], values, rtol=1e-6)
    assert rebuilt.trace.usual == pytest.approx(online["usual"], rel=0.1)


def test_a_changed_budget_keeps_what_sensors_were_given_meanwhile(service):
    service.send(week(rows=500))
    sensor_id = week(rows=1).sensor_ids[0]
    own = service.runner.edit_sensors({sensor_id: lambda info: replace(info, budget=20.0)})
    changed = service.runner.set_budget(2.0)
    own.result(30)
    assert changed.result(30) == service.runner.budget == Budget(2.0, {sensor_id: 20.0})


def test_sensors_that_come_and_go_change_the_shares(service):
    service.send(week("a", rows=50))
    service.runner.set_budget(per_fleet_day=1.0).result(30)
    assert service.runner.budget.per_sensor_month == pytest.approx(30.0)
    shared = threading.Event()
    service.runner.listen(lambda commit: "budget" in commit.settings and shared.set())
    service.send(week("b", rows=50))
    service.clock.advance(2 * HOUR / 1e6)
    assert shared.wait(30)
    assert service.runner.budget.per_sensor_month == pytest.approx(15.0)
    shared.clear()
    service.runner.write(Commit(sensors_removed=["a"])).result(30)
    service.clock.advance(2 * HOUR / 1e6)
    assert shared.wait(30)
    assert service.runner.budget.per_sensor_month == pytest.approx(30.0)


def test_sensors_not_heard_of_for_a_month_take_no_part(service):
    service.send(week("old", rows=50), week("new", rows=50, start=START + 60 * DAY))
    budget = Budget(per_fleet_day=1.0)
    assert shared_out(service.store, budget).per_sensor_month == pytest.approx(30.0)


def test_marked_incidents_survive_a_quieter_budget(service):
    service.send(week(rows=4000))
    service.runner.set_budget(30.0).result(30)
    mildest = max(service.store.read(Incidents()), key=lambda incident: incident.rate)
    service.runner.write(Commit(marks={mildest.id: "real"})).result(30)
    service.runner.set_budget(0.1).result(30)
    assert mildest.id in {identity for identity, *_ in told(service.store)}


def test_late_readings_are_scored_in_their_place(store, tmp_path):
    rows = week()
    gap = np.arange(1400, 1600)
    service = Service(store)
    service.send(rows.take(np.setdiff1d(np.arange(len(rows)), gap)))
    assert not [i for i in store.read(Incidents()) if i.opened == rows.time[1500]]
    amended = threading.Event()
    service.runner.listen(lambda commit: amended.set() if not commit.readings else None)
    service.send(rows.take(gap))
    assert amended.wait(30)
    service.runner.stop()
    assert store.read(Setting("late")) is None
    other = SqliteStore(tmp_path / "in-order.sqlite")
    whole = Service(other)
    whole.send(rows)
    whole.runner.stop()
    span = SensorSeries("s", START, START + 30 * DAY, points=10_000)
    np.testing.assert_array_equal(store.read(span).rate, other.read(span).rate)
    assert told(store) == told(other)
    other.close()


def test_what_if_changes_nothing(service):
    service.send(week(rows=600, fault_at=None))
    before = service.store.read(StoreTotals())
    values = {"temperature": 400.0, "humidity": 60.0}
    asked = batches([Reading("s", START, values), Reading("unknown", START, values)])
    (verdicts,) = service.runner.predict(asked).result(30)
    assert verdicts.status.tolist() == [3, 0]
    assert service.store.read(StoreTotals()) == before


def test_cursor_and_dead_letters_are_written_with_the_readings(service):
    letter = DeadLetter(START, "test", "temperature: 'warm' is not a number", b"{}")
    service.send(week(rows=5, fault_at=None), cursor="row 5", dead_letters=[letter])
    assert service.store.read(Cursor("test")) == "row 5"
    assert service.store.read(StoreTotals()).dead_letters == 1


def test_new_sensors_are_registered_with_units(service):
    service.send(week(rows=5, fault_at=None))
    (status,) = service.store.read(Sensors())
    assert status.info.channels["temperature"].unit == "°C"
    assert status.readings == 5


def test_the_owners_bounds_flag_values(service):
    service.send(week(rows=5, fault_at=None))
    bounded = ChannelInfo("temperature", "°C", minimum=0.0, maximum=10.0)
    service.runner.edit_sensors(
        {"s": lambda info: replace(info, channels={**info.channels, "temperature": bounded})}
    ).result(30)
    service.send(week(rows=5, fault_at=None, start=START + DAY))
    series = service.store.read(SensorSeries("s", START, START + 2 * DAY))
    flagged = series.flags[:, series.channels.index("temperature")] & Flag.GROSS_RANGE
    assert (flagged != 0).tolist() == [False] * 5 + [True] * 5


class FailingStore:
    """A store whose next writes fail, as on a full disk."""

    def __init__(self, store):
        self._store = store
        self.failures = 0

    def write(self, commit):
        if self.failures:
            self.failures -= 1
            raise StoreError("disk full")
        self._store.write(commit)

    def __getattr__(self, name):
        return getattr(self._store, name)


def test_a_failed_write_leaves_no_trace_in_memory(store, tmp_path):
    failing = FailingStore(store)
    service = Service(failing)
    parts = pieces(week(), 500)
    for part in parts:
        failing.failures = 1
        with pytest.raises(StoreError, match="disk full"):
            service.send(part)
        service.send(part)
    service.runner.stop()
    other = SqliteStore(tmp_path / "calm.sqlite")
    calm = Service(other)
    calm.send(week())
    calm.runner.stop()
    assert told(store) == told(other)
    other.close()


def test_a_budget_that_could_not_be_stored_is_not_in_force(store):
    failing = FailingStore(store)
    service = Service(failing)
    service.send(week(rows=1700))
    before = told(store)
    failing.failures = 1
    with pytest.raises(StoreError, match="disk full"):
        service.runner.set_budget(30.0).result(30)
    assert service.runner.budget == Budget(3.0)
    service.send(week(rows=300, fault_at=None, start=START + 1700 * 5 * MINUTE, seed=1))
    assert {row[0] for row in before} <= {row[0] for row in told(store)}
    service.runner.stop()


def test_what_comes_behind_a_failed_parcel_fails_too(store):
    failing = FailingStore(store)
    service = Service(failing)
    first, second, third = pieces(week(rows=60, fault_at=None), 20)
    failing.failures = 1
    lost = service.bus.publish(Parcel([first], cursor="20"), "test")
    with pytest.raises(StoreError, match="disk full"):
        lost.result(30)
    behind = service.bus.publish(Parcel([second], cursor="40"), "test", after=lost)
    last = service.bus.publish(Parcel([third], cursor="60"), "test", after=behind)
    for future in (behind, last):
        with pytest.raises(StoreError, match="before it"):
            future.result(30)
    assert store.read(Cursor("test")) is None
    service.runner.stop()


def test_a_full_queue_pushes_back_and_a_closed_one_says_so():
    bus = MemoryBus(limit=10)
    big = week(rows=30, fault_at=None)
    waiting = bus.publish(Parcel([big]), "test")
    assert isinstance(waiting, Future)
    with pytest.raises(OverloadedError) as full:
        bus.publish(Parcel([big]), "test")
    assert full.value.retry_after > 0
    assert [len(m.parcel.batches[0]) for m in bus.poll(10, 0)] == [30]
    assert bus.waiting == 0
    bus.close()
    with pytest.raises(StoreError, match="stopping"):
        bus.publish(Parcel([big]), "test")
