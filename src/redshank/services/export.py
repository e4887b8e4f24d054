"""What is stored as one wide table: a row per sensor and time, a column per channel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from redshank.core.batch import Batch
from redshank.core.clock import DAY
from redshank.core.errors import NotFoundError
from redshank.core.ports import Store
from redshank.core.queries import LatestReadings, Sensors, SensorSeries, Series
from redshank.core.records import SensorStatus
from redshank.core.wide import WideTable, wide_table

STEP = 30 * DAY
"""Event time that is read at once."""
_EVERY_ROW = 1 << 40
_PAGE = 5000


def stored_table(
    store: Store, sensor_ids: Sequence[str], start: int | None = None, end: int | None = None
) -> WideTable:
    """All stored readings of some sensors.

    Args:
        store: where they are.
        sensor_ids: the sensors.
        start: microseconds; None for the first reading.
        end: microseconds, included; None for the last one.

    Raises:
        NotFoundError: there is no such sensor.
    """
    found = store.read(Sensors(sensor_ids=sensor_ids, limit=len(sensor_ids)))
    known = {status.info.sensor_id: status for status in found}
    missing = next((one for one in sensor_ids if one not in known), None)
    if missing is not None:
        raise NotFoundError(f"sensor {missing!r} is not known here")
    parts = [part for one in known.values() for part in _batches(store, one, start, end)]
    return wide_table(parts)


def _batches(
    store: Store, status: SensorStatus, start: int | None, end: int | None
) -> Iterator[Batch]:
    """The readings of one sensor, oldest first."""
    if status.first_seen is None or status.last_seen is None:
        return
    first = status.first_seen if start is None else max(start, status.first_seen)
    last = status.last_seen if end is None else min(end, status.last_seen)
    sensor_id = status.info.sensor_id
    for begin in range(first, last + 1, STEP):
        until = min(begin + STEP - 1, last)
        series = store.read(SensorSeries(sensor_id, begin, until, points=_EVERY_ROW))
        if len(series.time):
            tags = _tags(store, sensor_id, begin, until)
            yield _with_tags(_batch(sensor_id, series), tags)


def _batch(sensor_id: str, series: Series) -> Batch:
    order = np.argsort(np.array(series.channels))
    names = tuple(series.channels[i] for i in order.tolist())
    sensor = np.zeros(len(series.time), np.int32)
    return Batch((sensor_id,), sensor, series.time, names, series.mean[:, order])


def _tags(store: Store, sensor_id: str, begin: int, end: int) -> dict[int, dict[str, str]]:
    """Tags of the readings that carry any, such as the places of a mobile box, by time."""
    out: dict[int, dict[str, str]] = {}
    while True:
        page = store.read(LatestReadings(sensor_id, begin, end, limit=_PAGE))
        out.update((row.time, dict(row.tags)) for row in page if row.tags)
        if len(page) < _PAGE:
            return out
        end = page[-1].time - 1


def _with_tags(batch: Batch, tags: dict[int, dict[str, str]]) -> Batch:
    if not tags:
        return batch
    return replace(batch, tags=tuple(tags.get(time) for time in batch.time.tolist()))
