"""Samples for the checks of stores: readings, verdicts, incidents, and everything read at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from redshank.core.batch import Batch
from redshank.core.clock import DAY, HOUR, MINUTE
from redshank.core.ports import Commit, Store
from redshank.core.queries import (
    Incidents,
    LatestReadings,
    Sensors,
    SensorSeries,
    Series,
    StoredRates,
)
from redshank.core.records import (
    Evidence,
    Incident,
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


def fill_up(store: Store) -> None:
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
