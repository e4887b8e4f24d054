"""What every store must do with readings and verdicts."""

from __future__ import annotations

import threading

import numpy as np

from redshank.checks.store_samples import (
    START,
    MakeStore,
    everything,
    fill_up,
    readings,
    settle,
    verdicts,
)
from redshank.core.batch import Batch, Reading, batches
from redshank.core.clock import DAY, HOUR, MINUTE
from redshank.core.ports import Commit
from redshank.core.queries import (
    KnownReadings,
    LatestReadings,
    RecoverSensors,
    Sensors,
    SensorSeries,
    StoredRates,
    StoredVerdicts,
)
from redshank.core.records import (
    Checkpoint,
    Status,
)


def check_readings_come_back(make: MakeStore) -> None:
    """What was written is read, newest first, with ids and tags."""
    store = make("a")
    tagged = Reading("a", START, {"t": 1.5, "h": 60.0}, "my-id", {"room": "north"})
    store.write(
        Commit(readings=batches([tagged, Reading("a", START + MINUTE, {"t": 2.0, "h": 61.0})]))
    )
    newer, older = store.read(LatestReadings("a"))
    assert (newer.time, newer.values) == (START + MINUTE, {"h": 61.0, "t": 2.0})
    assert newer.event_id == f"a@{'2023-11-14T22:14:20.000Z'}"
    assert (older.event_id, older.tags, older.values) == (
        "my-id",
        {"room": "north"},
        {"h": 60.0, "t": 1.5},
    )
    store.close()


def check_channels_that_come_apart_are_one_row(make: MakeStore) -> None:
    """One sensor and time is one row, however many messages it took; the first value stays."""
    store = make("a")
    for value in ({"t": [1.0, 2.0]}, {"h": [60.0, 61.0]}, {"t": [9.0, 9.0], "p": [5.0, np.nan]}):
        store.write(Commit(readings=[readings("a", value)]))
    rows = store.read(LatestReadings("a"))
    assert [row.values for row in rows] == [
        {"h": 61.0, "t": 2.0},
        {"h": 60.0, "p": 5.0, "t": 1.0},
    ]
    series = store.read(SensorSeries("a", START, START + HOUR))
    assert series.channels == ("h", "p", "t")
    assert series.mean[0].tolist() == [60.0, 5.0, 1.0]
    (known,) = store.read(KnownReadings([readings("a", {"p": [0.0], "t": [0.0]})]))
    assert known.tolist() == [[5.0, 1.0]]
    store.close()


def check_known_readings(make: MakeStore) -> None:
    """The stored value where there is one, NaN where nothing is: new times, channels, sensors."""
    store = make("a")
    store.write(Commit(readings=[readings("a", {"t": [1, 2, 3]}), readings("b", {"t": [7]})]))
    late = readings("a", {"t": [0, 0, 0, 0], "x": [0, 0, 0, 0]}, START - MINUTE)
    both = Batch(("b", "new"), np.array([0, 1], np.int32), late.time[1:3], ("t",), np.zeros((2, 1)))
    first, second = store.read(KnownReadings([late, both]))
    assert np.array_equal(first[:, 0], [np.nan, 1, 2, 3], equal_nan=True)
    assert np.isnan(first[:, 1]).all()
    assert np.array_equal(second[:, 0], [7, np.nan], equal_nan=True)
    store.close()


def check_recovery_replays_what_no_checkpoint_covers(make: MakeStore) -> None:
    """The newest state, and what came after it, as it came, tidied up or not."""
    store = make("a")
    one, two = readings("a", {"t": [1, 2]}), readings("a", {"t": [4, 3]}, START + HOUR, -MINUTE)
    store.write(Commit(readings=[one], checkpoints=[Checkpoint("a", b"after one")]))
    store.write(Commit(readings=[readings("b", {"t": [9]})]))
    store.write(Commit(readings=[two, readings("a", {"h": [5]}, START + HOUR)]))
    for _ in range(80):
        store.write(Commit(readings=[readings("filler", {"t": [0]})]))
    for _ in range(2):
        found = store.read(RecoverSensors(["a", "b", "unknown"]))
        assert sorted(found) == ["a", "b"]
        assert (found["a"].state, found["b"].state) == (b"after one", None)
        values = [(part.channels, part.values[:, 0].tolist()) for part in found["a"].readings]
        assert values == [(("t",), [4, 3]), (("h",), [5])]
        assert found["a"].newest == START + HOUR
        assert [part.time.tolist() for part in found["b"].readings] == [[START]]
        settle(store)
    store.write(Commit(checkpoints=[Checkpoint("a", b"after all")]))
    recovered = store.read(RecoverSensors(["a"]))["a"]
    assert (recovered.state, list(recovered.readings)) == (b"after all", [])
    store.close()


def check_verdicts_come_back(make: MakeStore) -> None:
    """Verdicts row by row beside merged values; of two verdicts on a row the newer one counts."""
    store = make("a")
    batch = readings("a", {"t": [1, 2, 3], "h": [4, 5, 6]})
    store.write(Commit(readings=[batch], verdicts=[verdicts(batch, [9, 8, 7])]))
    store.write(Commit(verdicts=[verdicts(batch.take(np.array([1])), 0.5, Status.ANOMALY)]))
    for _ in range(2):
        ((rows, found),) = store.read(StoredVerdicts("a", START, START + HOUR))
        assert rows.values.tolist() == found.values.tolist() == [[4, 1], [5, 2], [6, 3]]
        assert found.rate.tolist() == [9, 0.5, 7]
        assert found.status.tolist() == [1, 3, 1]
        assert found.expected.tolist() == [[5, 2], [6, 3], [7, 4]]
        (rates,) = store.read(StoredRates(START + MINUTE))
        assert (rates.sensor_id, rates.rate.tolist()) == ("a", [0.5, 7])
        (rare,) = store.read(StoredRates(0, "a", highest=1.0))
        assert rare.time.tolist() == [START + MINUTE]
        fill_up(store)
    store.close()


def check_anomalies_follow_the_budget(make: MakeStore) -> None:
    """Anomalous rows are those that are rare enough for the budget in force now."""
    store = make("a")
    for name in ("a", "b"):
        batch = readings(name, {"t": [1, 2, 3]})
        judged = verdicts(batch, [0.5, 2.0, 50.0], [3, 3, 1])
        store.write(Commit(readings=[batch], verdicts=[judged]))
    assert [row.rate for row in store.read(LatestReadings("a", anomalous=True))] == [2.0, 0.5]
    store.write(Commit(settings={"budget": {"per_sensor_month": 1.0, "own": {"b": 3.0}}}))
    found = store.read(LatestReadings(anomalous=True))
    assert [(row.sensor_id, row.rate) for row in found] == [("b", 2.0), ("a", 0.5), ("b", 0.5)]
    row = found[0]
    assert (row.status, row.model, row.version, row.contributions) == (
        3,
        "streaming",
        "1",
        {"t": 1.0},
    )
    assert row.values == {"t": 2.0}
    assert store.read(LatestReadings(anomalous=True, limit=1, offset=1)) == found[1:2]
    store.close()


def check_the_latest_come_in_order(make: MakeStore) -> None:
    """Newest first over sensors, commits and late rows, page by page, before and after tidying."""
    store = make("a")
    rng = np.random.default_rng(5)
    times = START + MINUTE * rng.permutation(900)
    for at, some in enumerate(np.split(times, 90)):
        name = "ab"[at % 2]
        zeros = np.zeros(len(some), np.int32)
        store.write(
            Commit(readings=[Batch((name,), zeros, some, ("t",), some[:, None].astype(np.float64))])
        )
    expected = sorted(times.tolist(), reverse=True)
    for _ in range(2):
        rows = store.read(LatestReadings(limit=1000))
        assert [row.time for row in rows] == expected
        pages = [store.read(LatestReadings(limit=7, offset=7 * page)) for page in range(4)]
        assert [row.time for page in pages for row in page] == expected[:28]
        mine = store.read(LatestReadings("a", start=expected[500], end=expected[100], limit=1000))
        assert all(row.sensor_id == "a" for row in mine)
        assert [row.time for row in mine] == [
            row.time for row in rows[100:501] if row.sensor_id == "a"
        ]
        settle(store)
    store.close()


def check_no_zoom_hides_a_peak(make: MakeStore) -> None:
    """Steps keep lowest and highest values, rarest rates, worst status and all flags."""
    store = make("a")
    values = np.sin(np.arange(5000) / 50)
    values[[1234, 4321]] = 50, -60
    batch = readings("a", {"t": values.tolist()})
    judged = verdicts(batch)
    judged.rate[1234], judged.status[1234], judged.score[1234] = 0.01, 3, 999
    judged.flags[4321] = 2
    judged.contributions[1234] = 0.75
    store.write(Commit(readings=[batch], verdicts=[judged]))
    for points in (2, 10, 100, 1000, 5000):
        series = store.read(SensorSeries("a", START, START + 5000 * MINUTE, points))
        assert len(series.time) <= points
        assert (series.bucket is None) == (points == 5000)
        assert (series.high.max(), series.low.min()) == (50, -60)
        assert series.rate.min() == np.float32(0.01)
        assert series.status.max() == Status.ANOMALY
        assert series.score.max() == 999
        assert series.contributions[np.argmax(series.score)].tolist() == [0.75]
        assert np.bitwise_or.reduce(series.flags[:, 0]) == 2
        assert bool(np.all(series.low <= series.mean + 1e-9))
        assert bool(np.all(series.mean <= series.high + 1e-9))
        assert np.allclose(series.expected - series.mean, 1, atol=1e-4)
    store.close()


def check_a_series_of_some_channels(make: MakeStore) -> None:
    """Only the channels that were asked for, only the span, and an empty one is no error."""
    store = make("a")
    store.write(Commit(readings=[readings("a", {"h": [1, 2, 3], "t": [4, 5, 6]})]))
    series = store.read(
        SensorSeries("a", START + MINUTE, START + 2 * MINUTE, channels=["t", "unknown"])
    )
    assert series.channels == ("t",)
    assert series.mean.tolist() == [[5], [6]]
    assert np.isnan(series.rate).all()
    nothing = store.read(SensorSeries("a", START + DAY, START + 2 * DAY))
    assert (len(nothing.time), nothing.low.shape[0]) == (0, 0)
    store.close()


def check_house_keeping_changes_no_answer(make: MakeStore) -> None:
    """Whatever is read is the same before, during and after house-keeping."""
    store = make("a")
    rng = np.random.default_rng(7)
    for commit in range(90):
        start = START + commit * 20 * MINUTE + int(rng.integers(3)) * MINUTE
        wide = readings("a", {"h": rng.normal(size=20).tolist(), "t": [1.0] * 20}, start)
        narrow = readings("b", {"p": rng.normal(size=3).tolist()}, start)
        judged = verdicts(wide, rng.random(20) * 4, rng.integers(0, 4, 20))
        saved = [Checkpoint("a", b"state")] if commit % 3 == 0 else []
        store.write(Commit(readings=[wide, narrow], verdicts=[judged], checkpoints=saved))
    before = everything(store, ["a", "b"])
    while store.maintain(START):
        assert everything(store, ["a", "b"]) == before
    assert everything(store, ["a", "b"]) == before
    store.close()


def check_readers_see_whole_commits(make: MakeStore) -> None:
    """A reader beside the writer never sees half a commit."""
    store = make("a")
    store.write(Commit(readings=[readings("a", {"t": [0]}), readings("b", {"t": [0]})]))
    torn: list[object] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            counts = {each.readings for each in store.read(Sensors(sensor_ids=["a", "b"]))}
            if len(counts) != 1:
                torn.append(counts)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for at in range(1, 100):
        pair = [readings(name, {"t": [at]}, START + at * MINUTE) for name in "ab"]
        store.write(Commit(readings=pair))
        store.maintain(START)
    done.set()
    watcher.join()
    assert torn == []
    store.close()
