"""Parcels become batches in arrival order; repeated readings are told apart."""

import numpy as np
import pytest

from redshank.adapters.store.sqlite import SqliteStore
from redshank.core.batch import Reading, batches, rows
from redshank.core.clock import SECOND
from redshank.core.ports import Commit, Parcel
from redshank.detect.channelstate import NEVER
from redshank.pipeline.intake import fresh, gather

START = 1_700_000_000 * SECOND


def reading(sensor, second, **values):
    return Reading(sensor, START + second * SECOND, values)


def parcel(*readings):
    return Parcel(batches(readings))


def told(gathered):
    """Sensor, second and values of all rows."""
    return [
        (r.sensor_id, (r.time - START) // SECOND, dict(r.values))
        for load in gathered
        for r in rows(load.batch)
    ]


def test_rows_of_one_parcel_stand_in_time_order():
    load = gather([parcel(reading("s", 2, t=2), reading("s", 1, t=1))])
    assert told(load) == [("s", 1, {"t": 1}), ("s", 2, {"t": 2})]


def test_parcels_keep_their_order_and_their_rows():
    loads = gather([parcel(reading("s", 5, t=5)), parcel(reading("s", 1, t=1))])
    assert told(loads) == [("s", 5, {"t": 5}), ("s", 1, {"t": 1})]
    assert loads[0].parcel.tolist() == [0, 1]


def test_a_sensor_with_changing_channels_gets_one_batch_with_all_of_them():
    loads = gather([parcel(reading("s", 1, t=1), reading("s", 1, h=2), reading("other", 1, t=9))])
    by_channels = {load.batch.channels: load.batch for load in loads}
    assert set(by_channels) == {("t",), ("h", "t")}
    assert by_channels["h", "t"].values.shape == (2, 2)


@pytest.fixture
def store():
    opened = SqliteStore()
    yield opened
    opened.close()


def one(*readings):
    (load,) = gather([parcel(*readings)])
    return load.batch


def test_new_rows_pass_untouched(store):
    batch = one(reading("s", 1, t=1), reading("s", 2, t=2))
    assert fresh(batch, np.array([NEVER]), store).batch is batch


def test_a_repeated_row_is_a_duplicate_and_another_value_is_a_conflict(store):
    store.write(Commit(readings=[one(reading("s", 1, t=1), reading("s", 2, t=2))]))
    again = one(reading("s", 1, t=1), reading("s", 2, t=7), reading("s", 3, t=3))
    news = fresh(again, np.array([START + 2 * SECOND]), store)
    assert news.duplicate.tolist() == [True, False, False]
    assert news.conflict.tolist() == [False, True, False]
    assert [r.values for r in rows(news.batch)] == [{"t": 3}]


def test_a_row_that_comes_twice_in_one_request_counts_once(store):
    batch = one(reading("s", 1, t=1), reading("s", 1, t=1))
    news = fresh(batch, np.array([NEVER]), store)
    assert news.kept.tolist() == [True, False]
    assert news.duplicate.tolist() == [False, True]


def test_a_known_time_may_bring_another_channel(store):
    store.write(Commit(readings=[one(reading("s", 1, t=1))]))
    more = one(reading("s", 1, t=1), reading("s", 1, h=50))
    news = fresh(more, np.array([START + SECOND]), store)
    assert [dict(r.values) for r in rows(news.batch)] == [{"h": 50}]


def test_late_rows_are_new_rows(store):
    store.write(Commit(readings=[one(reading("s", 10, t=1))]))
    news = fresh(one(reading("s", 4, t=4)), np.array([START + 10 * SECOND]), store)
    assert news.kept.all()
