"""What every store must do; run on each one by discovery.

Each check takes a maker: called with a name it opens the store of that name, empty the first time
and with what was written after that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from redshank.core.batch import Batch, Reading, batches
from redshank.core.clock import DAY, HOUR, MINUTE
from redshank.core.errors import NotFoundError, StoreError
from redshank.core.ports import (
    Commit,
    CountDeadLetters,
    CountIncidents,
    CountSensors,
    Cursor,
    DeadLetters,
    Incidents,
    KnownReadings,
    LatestReadings,
    Query,
    RecoverSensors,
    Sensors,
    SensorSeries,
    Series,
    Setting,
    Store,
    StoredRates,
    StoredVerdicts,
    StoreTotals,
)
from redshank.core.records import (
    ChannelInfo,
    Checkpoint,
    Comment,
    DeadLetter,
    Evidence,
    Incident,
    SensorInfo,
    Status,
    Verdicts,
)

MakeStore = Callable[[str], Store]

START = 1_700_000_000_000_000
"""Event time of the checks' first reading, microseconds."""

ODD_IDS = ("Schnüs 🐦", 'it\'s "quoted"; DROP TABLE sensors', "x" * 1024, " ", "a\nb", "%_")


def readings(
    sensor_id: str,
    values: Mapping[str, Sequence[float]],
    start: int = START,
    step: int = MINUTE,
) -> Batch:
    """Readings of one sensor at a regular rhythm; NaN where a value is missing."""
    channels = tuple(sorted(values))
    columns = np.array([values[name] for name in channels], np.float64).T
    time = start + step * np.arange(len(columns), dtype=np.int64)
    return Batch((sensor_id,), np.zeros(len(time), np.int32), time, channels, columns)


def verdicts(
    batch: Batch,
    rate: ArrayLike = 100.0,
    status: ArrayLike = Status.NORMAL,
    model: str = "streaming",
) -> Verdicts:
    """Plausible verdicts on every row of a batch."""
    count, shape = len(batch), batch.values.shape
    rates = np.broadcast_to(np.asarray(rate, np.float32), (count,)).copy()
    values = batch.values.astype(np.float32)
    return Verdicts(
        sensor_ids=batch.sensor_ids,
        sensor=batch.sensor,
        time=batch.time,
        channels=batch.channels,
        values=batch.values,
        score=(1000 / (1 + rates)).astype(np.float32),
        rate=rates,
        per_month=np.full(count, 43_200, np.float32),
        budget=np.full(count, 3, np.float32),
        status=np.broadcast_to(np.asarray(status, np.uint8), (count,)).copy(),
        cause=np.ones(count, np.uint8),
        flags=np.zeros(shape, np.uint16),
        expected=values + 1,
        lower=values - 1,
        upper=values + 3,
        contributions=np.full(shape, 1 / max(1, shape[1]), np.float32),
        model=model,
        version="1",
    )


def an_incident(
    sensor_id: str, name: str, opened: int = START, closed: int | None = None
) -> Incident:
    """An incident with everything in it."""
    return Incident(
        id=name,
        sensor_id=sensor_id,
        opened=opened,
        last=opened + HOUR,
        closed=closed,
        severity="high",
        kind="stuck",
        rate=0.02,
        score=7.5,
        peak=opened + MINUTE,
        rows=60,
        budget=3.0,
        evidence=(Evidence("humidity", "%", 0.9, 99.99, 84.0, None, 93.0),),
        calm=("temperature",),
        title="humidity stuck at 99.99 %",
        text="Humidity has been at exactly 99.99 % for 1 h.",
    )


def everything(store: Store, sensor_ids: Sequence[str]) -> list[object]:
    """All that can be read of these sensors, for comparing."""
    found: list[object] = [store.read(Sensors(limit=1000)), store.read(Incidents(limit=1000))]
    for name in sensor_ids:
        found += [store.read(LatestReadings(name, limit=10**6, anomalous=a)) for a in (False, True)]
        for points in (10**6, 50, 7):
            found.append(_plain(store.read(SensorSeries(name, -(2**62), 2**62, points))))
        found += [
            (rates.sensor_id, rates.time.tolist(), rates.rate.tolist())
            for rates in store.read(StoredRates(0, name))
        ]
    return found


def settle(store: Store, now: int = START + 400 * DAY) -> None:
    """All the house-keeping there is to do."""
    while store.maintain(now):
        pass


def check_a_new_store_is_empty(make: MakeStore) -> None:
    """Nothing is there, and asking for it is no error."""
    store = make("a")
    assert store.read(Sensors()) == []
    assert store.read(CountSensors())["total"] == 0
    assert store.read(Setting("budget")) is None
    assert store.read(Cursor("http")) is None
    assert store.read(LatestReadings()) == []
    totals = store.read(StoreTotals())
    assert (totals.readings, totals.oldest, totals.newest) == (0, None, None)
    store.close()


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


def check_everything_survives_reopening(make: MakeStore) -> None:
    """A closed store opens with all that was acknowledged."""
    store = make("kept")
    batch = readings("a", {"t": [1, 2, 3], "h": [4, np.nan, 6]})
    store.write(
        Commit(
            readings=[batch],
            verdicts=[verdicts(batch, [5, 1, 9], [1, 3, 1])],
            incidents=[an_incident("a", "i1")],
            sensors=[SensorInfo("a", "Schnus", "Germany", 52.5, 13.4)],
            cursors={"file": "row 3"},
            settings={"budget": {"per_sensor_month": 2.0, "own": {}}},
        )
    )
    before = everything(store, ["a"])
    store.close()
    again = make("kept")
    assert everything(again, ["a"]) == before
    assert again.read(Cursor("file")) == "row 3"
    again.close()


def check_a_failed_write_leaves_nothing(make: MakeStore) -> None:
    """All of a commit or nothing, and the next one works."""
    store = make("a")
    broken = Commit(
        readings=[readings("a", {"t": [1]})],
        sensors=[SensorInfo("new")],
        settings={"x": object()},
    )
    try:
        store.write(broken)
    except (StoreError, TypeError, ValueError):
        assert store.read(StoreTotals()).readings == 0
    else:
        raise AssertionError("a setting that is no JSON was written")
    assert store.read(Sensors()) == []
    store.write(replace(broken, settings={"x": 1}))
    assert store.read(StoreTotals()).readings == 1
    store.close()


def check_sensors_are_listed(make: MakeStore) -> None:
    """Those that need a look first, then by name; with newest values, rhythm and counts."""
    store = make("a")
    for name, status in (("zoe", 1), ("Ann", 1), ("bad", 3), ("quiet", 0)):
        batch = readings(name, {"t": [1, 2], "h": [50, np.nan]})
        store.write(Commit(readings=[batch], verdicts=[verdicts(batch, 2, status)]))
    store.write(
        Commit(
            incidents=[an_incident("zoe", "i")],
            sensors=[
                SensorInfo("quiet", "Bob", site="Roof", channels={"t": ChannelInfo("t", "°C")})
            ],
        )
    )
    listed = store.read(Sensors())
    assert [each.info.sensor_id for each in listed] == ["zoe", "bad", "Ann", "quiet"]
    zoe, *_, quiet = listed
    assert (zoe.open_incidents, zoe.readings, zoe.rhythm, zoe.rate) == (1, 2, 60.0, 2.0)
    assert (zoe.first_seen, zoe.last_seen) == (START, START + MINUTE)
    assert zoe.status is Status.NORMAL
    assert dict(zoe.latest) == {"t": 2.0, "h": 50.0}
    assert quiet.info.channels == {"t": ChannelInfo("t", "°C")}
    assert [each.info.sensor_id for each in store.read(Sensors(text="RO"))] == ["quiet"]
    assert [each.info.sensor_id for each in store.read(Sensors(status="anomaly"))] == ["bad"]
    assert [each.info.sensor_id for each in store.read(Sensors(limit=1, offset=1))] == ["bad"]
    assert [each.info.sensor_id for each in store.read(Sensors(sensor_ids=["Ann", "?"]))] == ["Ann"]
    counts = store.read(CountSensors())
    assert counts == {
        "learning": 1,
        "normal": 2,
        "warning": 0,
        "anomaly": 1,
        "total": 4,
        "with_open_incidents": 1,
    }
    assert store.read(CountSensors(site="Roof"))["total"] == 1
    store.close()


def check_odd_names(make: MakeStore) -> None:
    """Any text is a sensor's name."""
    store = make("a")
    for name in ODD_IDS:
        batch = readings(name, {"température °C": [1.0]})
        store.write(Commit(readings=[batch], verdicts=[verdicts(batch)]))
    for name in ODD_IDS:
        (row,) = store.read(LatestReadings(name))
        assert (row.sensor_id, row.values) == (name, {"température °C": 1.0})
    assert {each.info.sensor_id for each in store.read(Sensors())} == set(ODD_IDS)
    store.close()


def check_unknown_sensors(make: MakeStore) -> None:
    """A sensor that does not exist is said to be so."""
    store = make("a")
    queries: list[Query[Any]] = [
        SensorSeries("?", 0, 1),
        StoredVerdicts("?", 0, 1),
        LatestReadings("?"),
    ]
    for query in queries:
        try:
            store.read(query)
        except NotFoundError as error:
            assert "'?'" in str(error)
        else:
            raise AssertionError(f"{query} was answered")
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
        _fill_up(store)
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


def check_incidents_and_what_people_say(make: MakeStore) -> None:
    """Incidents are replaced by id; marks and comments stay with them until they are taken back."""
    store = make("a")
    first = an_incident("a", "i1")
    other = an_incident("b", "i2", START + DAY, START + 2 * DAY)
    comment = Comment(START, "The heating failed", "Ann")
    store.write(Commit(incidents=[first, other], marks={"i1": "real"}, comments={"i1": [comment]}))
    longer = replace(first, rows=99)
    store.write(Commit(incidents=[longer]))
    assert store.read(Incidents()) == [
        replace(longer, feedback="real", comments=(comment,)),
        other,
    ]
    assert store.read(Incidents(state="closed")) == [other]
    assert store.read(Incidents(sensor_id="b")) == [other]
    assert store.read(Incidents(ids=["i2", "?"])) == [other]
    assert store.read(Incidents(start=START + 2 * HOUR)) == [other]
    counted = store.read(CountIncidents())
    assert (counted.total, counted.open, counted.marked["real"]) == (2, 1, 1)
    store.write(Commit(marks={"i1": None}))
    assert store.read(Incidents(sensor_id="a"))[0].feedback is None
    store.write(Commit(incidents_removed=["i1"]))
    assert store.read(CountIncidents()).total == 1
    assert store.read(CountSensors())["with_open_incidents"] == 0
    store.write(Commit(incidents=[first]))
    assert store.read(Incidents(sensor_id="a"))[0].comments == (comment,)
    store.close()


def check_dead_letters(make: MakeStore) -> None:
    """Dead letters keep their bytes, newest first, until they are removed."""
    store = make("a")
    letters = [DeadLetter(START + i, "http", f"line {i}", b"\x00\xff") for i in range(3)]
    store.write(Commit(dead_letters=[*letters, DeadLetter(START, "file", "x", b"")]))
    found = store.read(DeadLetters("http"))
    assert [letter.reason for letter in found] == ["line 2", "line 1", "line 0"]
    assert found[0].raw == b"\x00\xff"
    store.write(Commit(dead_letters_removed=[each.id for each in found[1:] if each.id is not None]))
    assert store.read(CountDeadLetters()) == 2
    assert store.read(CountDeadLetters("http")) == 1
    store.close()


def check_settings_and_cursors(make: MakeStore) -> None:
    """Settings are any JSON, None removes one; cursors are per source."""
    store = make("a")
    store.write(Commit(settings={"a": [1, {"b": None}], "c": False}, cursors={"x": "1"}))
    store.write(Commit(settings={"c": None}, cursors={"x": "2"}))
    assert store.read(Setting("a")) == [1, {"b": None}]
    assert store.read(Setting("c")) is None
    assert (store.read(Cursor("x")), store.read(Cursor("y"))) == ("2", None)
    store.close()


def check_a_removed_sensor_is_forgotten(make: MakeStore) -> None:
    """Nothing of a removed sensor stays; one of the same name starts anew."""
    store = make("a")
    batch = readings("a", {"t": [1, 2]})
    for _ in range(2):
        _fill_up(store)
        store.write(
            Commit(
                readings=[batch],
                verdicts=[verdicts(batch, 1, 3)],
                incidents=[an_incident("a", "i")],
                checkpoints=[Checkpoint("a", b"x")],
                marks={"i": "false"},
            )
        )
        store.write(Commit(sensors_removed=["a", "unknown"]))
        assert store.read(Sensors(sensor_ids=["a"])) == []
        assert store.read(Incidents()) == []
        assert store.read(RecoverSensors(["a"])) == {}
        assert store.read(StoreTotals()).verdicts == 0
    store.write(Commit(readings=[batch]))
    assert store.read(Sensors(sensor_ids=["a"]))[0].readings == 2
    assert store.read(RecoverSensors(["a"]))["a"].state is None
    store.close()


def check_totals(make: MakeStore) -> None:
    """Totals count rows and know the oldest and newest."""
    store = make("a")
    batch = readings("a", {"t": [1, 2, 3]})
    store.write(Commit(readings=[batch], verdicts=[verdicts(batch)]))
    totals = store.read(StoreTotals())
    assert (totals.sensors, totals.readings, totals.verdicts) == (1, 3, 3)
    assert (totals.oldest, totals.newest) == (START, START + 2 * MINUTE)
    assert totals.bytes > 0
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


def _fill_up(store: Store) -> None:
    """So many commits that house-keeping has something to do, and all of it done."""
    for at in range(70):
        store.write(Commit(readings=[readings("filler", {"t": [at]}, START + at * MINUTE)]))
    settle(store)


def _plain(series: Series) -> tuple[object, ...]:
    """A series as values that compare; means only as exactly as sums allow."""
    exact = (series.low, series.high, series.flags, series.contributions, series.score)
    rounded = (series.mean, series.expected, series.lower, series.upper)
    return (
        series.time.tolist(),
        series.bucket,
        series.channels,
        *(np.nan_to_num(column, nan=-1e9).tolist() for column in (*exact, series.rate)),
        *(
            np.nan_to_num(column, nan=-1e9).astype(np.float32).round(4).tolist()
            for column in rounded
        ),
        series.status.tolist(),
    )


CHECKS: tuple[Callable[[MakeStore], None], ...] = tuple(
    check for name, check in sorted(globals().items()) if name.startswith("check_")
)
"""All of them."""
