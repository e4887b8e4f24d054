"""Chunks: what house-keeping makes of them, and laws of steps and merging."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redshank.adapters.store.sqlite import SqliteStore
from redshank.adapters.store.sqlite.codec import Groups
from redshank.adapters.store.sqlite.series import WIDTHS, width_for
from redshank.checks.stores import START, everything, readings, settle, verdicts
from redshank.core.batch import Batch
from redshank.core.clock import DAY, HOUR, MINUTE
from redshank.core.ports import Commit
from redshank.core.queries import DeadLetters, LatestReadings, Sensors, SensorSeries, StoreTotals
from redshank.core.records import Checkpoint, DeadLetter

ROWS = st.lists(
    st.tuples(
        st.integers(0, 40),  # minute
        st.sampled_from(["t", "h"]),
        st.floats(-1e6, 1e6) | st.just(np.nan),
        st.booleans(),  # begin a new commit
    ),
    min_size=1,
    max_size=60,
)


def counts(store, table):
    found = store._writer.execute(f"SELECT count FROM {table}").fetchall()
    return [count for (count,) in found]


def write_minutes(store, commits, per_commit, sensor="a"):
    for at in range(commits):
        start = START + at * per_commit * MINUTE
        batch = readings(sensor, {"t": np.arange(per_commit, dtype=float).tolist()}, start)
        store.write(
            Commit(
                readings=[batch], verdicts=[verdicts(batch)], checkpoints=[Checkpoint(sensor, b"")]
            )
        )


def test_house_keeping_makes_large_chunks_of_small_ones():
    store = SqliteStore()
    for _ in range(10):
        write_minutes(store, 100, 8)
        settle(store)
    assert counts(store, "tail_readings") == []
    large = counts(store, "readings")
    assert sum(large) == sum(counts(store, "verdicts")) == 8000
    assert max(large) <= 2048
    assert len(large) <= 16
    store.close()


def test_rows_that_recovery_replays_stay_apart():
    store = SqliteStore()
    for at in range(100):
        store.write(Commit(readings=[readings("a", {"t": [at]}, START + at * MINUTE)]))
    settle(store)
    assert counts(store, "readings") == [1] * 100
    write_minutes(store, 100, 8)
    settle(store)
    assert len(counts(store, "readings")) == 1
    store.close()


def test_retention_forgets_old_rows_and_keeps_counts_right():
    store = SqliteStore(retention=30 * DAY)
    write_minutes(store, 100, 50)
    settle(store, START)
    late = readings("a", {"t": [7.0]}, START + 40 * DAY)
    store.write(Commit(readings=[late]))
    settle(store, START + 40 * DAY)
    assert store.read(StoreTotals()).readings == 1
    assert store.read(StoreTotals()).verdicts == 0
    assert store.read(Sensors())[0].readings == 1
    assert [row.values for row in store.read(LatestReadings("a"))] == [{"t": 7.0}]
    store.close()


def test_retention_forgets_old_dead_letters():
    store = SqliteStore(retention=30 * DAY)
    times = [*(START + at for at in range(1200)), START + 20 * DAY]
    store.write(Commit(dead_letters=[DeadLetter(at, "mqtt", "x: 1 is odd", b"1") for at in times]))
    settle(store, START + 40 * DAY)
    assert [letter.time for letter in store.read(DeadLetters())] == [START + 20 * DAY]
    store.close()


@given(ROWS)
@settings(max_examples=40, deadline=None)
def test_reads_are_the_same_after_house_keeping(rows):
    store = SqliteStore()
    parts = []
    for minute, channel, value, new in rows:
        parts.append(readings("a", {channel: [value]}, START + minute * MINUTE))
        if new:
            store.write(Commit(readings=parts, verdicts=[verdicts(part) for part in parts]))
            parts = []
    store.write(Commit(readings=parts, checkpoints=[Checkpoint("a", b"")]))
    for at in range(70):
        store.write(Commit(readings=[readings("other", {"t": [1.0]}, START + at)]))
    before = everything(store, ["a"])
    settle(store, START)
    assert everything(store, ["a"]) == before
    store.close()


@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=400),
    st.integers(1, 60),
    st.sampled_from([MINUTE, 7 * MINUTE, HOUR, 13 * HOUR]),
)
@settings(max_examples=60, deadline=None)
def test_no_zoom_hides_a_peak(values, points, step):
    store = SqliteStore()
    batch = readings("a", {"t": values}, step=step)
    judged = verdicts(batch, rate=np.abs(values).tolist())
    store.write(Commit(readings=[batch], verdicts=[judged]))
    series = store.read(SensorSeries("a", -(2**60), 2**60, points))
    assert len(series.time) <= max(points, 2)
    assert (series.low.min(), series.high.max()) == (min(values), max(values))
    assert series.rate.min() == judged.rate.min()
    assert series.score.max() == judged.score.max()
    for at, value in zip(batch.time, values, strict=True):
        place = np.searchsorted(series.time, at, side="right") - 1
        assert series.low[place, 0] <= value <= series.high[place, 0]
    store.close()


def test_rollups_and_rows_come_to_the_same_steps():
    store = SqliteStore()
    rng = np.random.default_rng(3)
    for day in range(20):
        columns = {"h": rng.normal(size=1440).tolist(), "t": rng.normal(size=1440).tolist()}
        batch = readings("a", columns, START + day * DAY)
        judged = verdicts(batch, rng.random(1440) * 50)
        store.write(Commit(readings=[batch], verdicts=[judged], checkpoints=[Checkpoint("a", b"")]))
    write_minutes(store, 70, 1, "filler")
    spans = [(START, START + 20 * DAY), (START + 5 * HOUR + 7, START + 19 * DAY + 3 * HOUR)]
    before = [store.read(SensorSeries("a", *span, 300)) for span in spans]
    settle(store, START)
    assert (
        store._writer.execute("SELECT count(*) FROM readings WHERE rollup IS NULL").fetchone()[0]
        < 3
    )
    for span, old in zip(spans, before, strict=True):
        new = store.read(SensorSeries("a", *span, 300))
        assert new.bucket == old.bucket == 2 * HOUR
        for name in ("time", "low", "high", "score", "rate", "status", "flags", "contributions"):
            assert np.array_equal(getattr(new, name), getattr(old, name)), name
        for name in ("mean", "expected", "lower", "upper"):
            assert np.allclose(getattr(new, name), getattr(old, name)), name
    store.close()


@given(st.integers(-(2**55), 2**55), st.integers(0, 2**55), st.integers(1, 5000))
def test_widths_are_readable_and_fit(first, length, points):
    width = width_for((first, first + length), points)
    assert width in WIDTHS or width % WIDTHS[-1] == 0
    assert (first + length) // width - first // width < max(points, 2)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=40))
def test_groups_keep_order_and_know_their_newest_row(rows):
    keys, time = np.array(rows, np.int64).T
    groups = Groups.of(keys)
    ordered_keys, ordered_time = keys[groups.order], time[groups.order]
    newest = groups.newest(ordered_time)
    for key, start, end, at in zip(
        groups.keys, groups.bounds[:-1], groups.bounds[1:], newest, strict=True
    ):
        assert set(ordered_keys[start:end]) == {key}
        assert ordered_time[start:end].tolist() == time[keys == key].tolist()
        assert start <= at < end
        assert ordered_time[at] == ordered_time[start:end].max()


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_a_late_row_does_not_become_the_newest(order):
    store = SqliteStore()
    parts = [readings("a", {"t": [20.0]}, START), readings("a", {"t": [30.0]}, START + HOUR)]
    for at in order:
        judged = verdicts(parts[at], rate=at + 1.0, status=at)
        store.write(Commit(readings=[parts[at]], verdicts=[judged]))
    (sensor,) = store.read(Sensors())
    assert (sensor.latest["t"], sensor.rate, int(sensor.status)) == (30.0, 2.0, 1)
    assert (sensor.first_seen, sensor.last_seen) == (START, START + HOUR)
    store.close()


def test_an_empty_batch_is_nothing():
    store = SqliteStore()
    nothing = Batch((), np.empty(0, np.int32), np.empty(0, np.int64), ("t",), np.empty((0, 1)))
    store.write(Commit(readings=[nothing]))
    assert store.read(StoreTotals()).readings == 0
    store.close()
