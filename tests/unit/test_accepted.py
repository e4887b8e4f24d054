"""A lasting change that a person calls expected is normal at once, and stays so."""

import shutil
import threading

import numpy as np
import pytest

from redshank.adapters.bus.memory import MemoryBus
from redshank.adapters.store.sqlite import SqliteStore
from redshank.core.batch import Batch
from redshank.core.clock import DAY, MINUTE, SECOND, FakeClock
from redshank.core.ports import Commit, Parcel
from redshank.core.queries import Incidents, SensorSeries, Setting
from redshank.core.records import Status
from redshank.core.telemetry import Telemetry
from redshank.detect.transfer import transfer
from redshank.pipeline.accepted import SAID, marked, setting
from redshank.pipeline.budget import Budget
from redshank.pipeline.pipeline import Pipeline
from redshank.pipeline.rhythm import Rhythms
from redshank.pipeline.runner import Runner
from redshank.wiring import described

START = 1_700_000_000 * SECOND
LATER = 1_800_000_000 * SECOND
CHANGE, MARKED, END = 2000, 2030, 2600


class Service:
    """A runner on a store, without network."""

    def __init__(self, store):
        self.store = store
        self.bus = MemoryBus(200_000)
        pipeline = Pipeline(Budget(3.0), lambda sensor_id: described(store, sensor_id))
        self.runner = Runner(self.bus, store, pipeline, FakeClock(LATER), Telemetry())
        self.runner.start()

    def send(self, batch):
        return self.bus.publish(Parcel([batch]), "test").result(30)

    def mark(self, feedback):
        """Mark the incident of the change."""
        self.runner.mark(self.change().id, feedback).result(30)

    def change(self):
        (found,) = [i for i in self.store.read(Incidents()) if near_change(i)]
        return found

    def series(self, start, end):
        span = SensorSeries("s", int(TIME[start]), int(TIME[end - 1]), points=10_000)
        found = self.store.read(span)
        assert len(found.time) == end - start
        return found

    def rates(self, start, end):
        return self.series(start, end).rate


TIME = START + np.arange(END) * 5 * MINUTE


def near_change(incident):
    return TIME[CHANGE] <= incident.opened <= TIME[MARKED]


def rows(start, end, moved=8.0, back_at=END):
    """A greenhouse; its thermometer reads 8 degrees more from row CHANGE to row back_at."""
    rng = np.random.default_rng(4)
    values = rng.normal([20.0, 60.0], [0.5, 2.0], (END, 2)).round(2)
    values[CHANGE:back_at, 0] += moved
    sensor = np.zeros(END, np.int32)
    whole = Batch(("s",), sensor, TIME, ("temperature", "humidity"), values)
    return whole.take(np.arange(start, end))


@pytest.fixture
def service(tmp_path):
    store = SqliteStore(tmp_path / "store.sqlite")
    running = Service(store)
    running.send(rows(0, MARKED))
    yield running
    running.runner.stop()
    store.close()


def test_an_expected_change_is_normal_at_once(service):
    assert service.change().state == "open"
    service.mark("expected")
    told = service.change()
    assert told.state == "closed"
    assert told.feedback == "expected"
    assert told.text.endswith(SAID)
    service.send(rows(MARKED, END))
    assert (service.series(MARKED, END).status < Status.ANOMALY).all()
    assert service.change() == told


def test_the_new_normal_is_watched_as_closely_as_the_old_one(service):
    service.mark("expected")
    gross = rows(MARKED, END)
    gross.values[400:410, 0] += 8.0
    service.send(gross)
    assert [i for i in service.store.read(Incidents()) if i.opened == gross.time[400]]


def test_what_has_gone_away_again_is_marked_only(tmp_path):
    services = []
    for name in ("marked", "left alone"):
        one = Service(SqliteStore(tmp_path / name))
        one.send(rows(0, MARKED + 100, back_at=CHANGE + 10))
        if name == "marked":
            one.mark("expected")
            assert one.change().feedback == "expected"
            assert not one.change().text.endswith(SAID)
        one.send(rows(MARKED + 100, END, back_at=CHANGE + 10))
        services.append(one)
    a, b = (one.rates(MARKED, END) for one in services)
    np.testing.assert_array_equal(a, b)
    for one in services:
        one.runner.stop()
        one.store.close()


def test_a_spike_that_has_just_ended_is_no_new_normal(tmp_path):
    one = Service(SqliteStore(tmp_path / "store"))
    one.send(rows(0, CHANGE + 12, back_at=CHANGE + 3))
    assert one.change().state == "open"
    one.mark("expected")
    assert one.change().state == "open"
    assert one.store.read(Setting(setting("s"))) is None
    one.runner.stop()
    one.store.close()


def test_after_a_crash_it_is_still_normal(service, tmp_path):
    service.mark("expected")
    service.send(rows(MARKED, MARKED + 70))
    for file in tmp_path.glob("store.sqlite*"):  # as a crash leaves them
        shutil.copy(file, tmp_path / file.name.replace("store", "crashed"))
    crashed = Service(SqliteStore(tmp_path / "crashed.sqlite"))
    for one in (service, crashed):
        one.send(rows(MARKED + 70, END))
    np.testing.assert_array_equal(crashed.rates(MARKED, END), service.rates(MARKED, END))
    assert crashed.change() == service.change()
    crashed.runner.stop()
    crashed.store.close()


def test_late_readings_do_not_undo_it(service):
    service.mark("expected")
    service.send(rows(MARKED, MARKED + 200))
    amended = threading.Event()
    service.runner.listen(lambda commit: amended.set() if not commit.readings else None)
    late = rows(1000, 1001)
    late.time[0] += MINUTE
    service.send(late)
    assert amended.wait(30)
    assert service.change().text.endswith(SAID)
    assert service.change().state == "closed"
    assert (service.series(MARKED, MARKED + 200).status < Status.ANOMALY).all()
    assert service.store.read(Setting(setting("s")))


def test_another_mark_undoes_it(service):
    service.mark("expected")
    service.mark("real")
    assert service.store.read(Setting(setting("s"))) is None
    assert service.change().feedback == "real"
    service.send(rows(MARKED, MARKED + 5))
    assert service.rates(MARKED, MARKED + 5).max() < 3 * 5


def test_a_removed_sensor_leaves_nothing_accepted(service):
    service.mark("expected")
    service.runner.write(Commit(sensors_removed=["s"])).result(30)
    assert service.store.read(Setting(setting("s"))) is None


def test_the_past_is_carried_over_in_level_and_movement():
    rng = np.random.default_rng(1)
    time = START + np.arange(4032) * 5 * MINUTE
    season = 5 * np.sin(2 * np.pi * time / DAY)
    past = np.stack([season + rng.normal(size=4032), rng.normal(size=4032)], axis=1)
    after_time = time[-1] + np.arange(1, 200) * 5 * MINUTE
    noise = rng.normal(size=(199, 2))
    after = noise * [3.0, 1.0] + np.stack(
        [5 * np.sin(2 * np.pi * after_time / DAY) + 20, np.zeros(199)], axis=1
    )
    found = transfer(time, past, after_time, after)
    assert found.changed.tolist() == [True, False]
    assert found.shift[0] == pytest.approx(20, abs=0.7)
    assert found.ratio[0] == pytest.approx(3, rel=0.25)
    mapped = found.apply(time, past)
    np.testing.assert_array_equal(mapped[:, 1], past[:, 1])
    assert np.std(mapped[:, 0] - season - 20) == pytest.approx(3, rel=0.25)


def test_an_expected_rhythm_is_usual_at_once(tmp_path):
    store = SqliteStore(tmp_path / "store.sqlite")
    pipeline = Pipeline(Budget(3.0), lambda sensor_id: described(store, sensor_id))
    pipeline.adopt("s", None)
    rhythms = Rhythms(pipeline, START)
    known = rows(0, CHANGE)
    half_as_often = rows(CHANGE, END).take(np.arange(0, END - CHANGE, 2))
    told = []
    for batch in (known, *pieces(half_as_often, 10)):
        pipeline.replay([batch])
        store.write(Commit(readings=[batch]))
        found = rhythms.look(int(batch.time[-1]))
        store.write(Commit(incidents=found))
        told += found
        if len(told) == 1 and told[0].state == "open":
            store.write(marked(store, pipeline, told[0], expected=True))
    first, *more = told
    assert first.kind == "stuttering"
    assert {one.id for one in more} <= {first.id}
    assert all(one.state == "closed" for one in more)
    store.close()


def pieces(batch, size):
    return [batch.take(np.arange(i, min(i + size, len(batch)))) for i in range(0, len(batch), size)]
