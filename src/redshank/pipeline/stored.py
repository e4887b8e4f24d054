"""A sensor's stored readings as rows that can be scored again."""

from __future__ import annotations

import numpy as np

from redshank.core.batch import Batch
from redshank.core.clock import HOUR
from redshank.core.ports import Store
from redshank.core.queries import SensorSeries

_PIECE = 10_000
_ALL = 1 << 40


def rows_of(store: Store, sensor_id: str, start: int, end: int) -> Batch:
    """The sensor's readings in event-time order, ends included; what came separately is one row."""
    series = store.read(SensorSeries(sensor_id, start, end, points=_ALL))
    sensor = np.zeros(len(series.time), np.int32)
    return Batch((sensor_id,), sensor, series.time, series.channels, series.mean)


def latest_rows(store: Store, sensor_id: str, start: int, end: int, most: int) -> Batch:
    """The latest rows of a span, so many at most; no more is read than a few times as many."""
    span = HOUR
    while True:
        first = max(start, end - span)
        rows = rows_of(store, sensor_id, first, end)
        if len(rows) >= most or first == start:
            return rows.take(np.arange(max(0, len(rows) - most), len(rows)))
        span *= 4


def pieces_of(store: Store, sensor_id: str, start: int, end: int) -> list[Batch]:
    """The same in pieces."""
    whole = rows_of(store, sensor_id, start, end)
    cuts = range(0, len(whole), _PIECE)
    return [whole.take(np.arange(i, min(i + _PIECE, len(whole)))) for i in cuts]
