"""First stage: parcels become batches in which every sensor's rows stand in arrival order.

What is there already is told apart here, so that a repeated request changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from redshank.core.batch import Batch, Floats, Ints, Times, concat
from redshank.core.ports import Parcel, Store
from redshank.core.queries import KnownReadings

Channels = tuple[str, ...]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """Rows of several parcels as one batch.

    Attributes:
        batch: the rows.
        parcel: (n,) number of the parcel that each row came in.
    """

    batch: Batch
    parcel: Ints


def gather(parcels: Sequence[Parcel]) -> list[Gathered]:
    """Batches of all parcels' readings in which each sensor appears in one batch only.

    A sensor that reports different channels at different times gets a batch with all of them.
    Rows stand in the order of their parcels, and by event time within a parcel.
    """
    targets = _targets(parcels)
    joined: dict[Channels, list[tuple[int, Batch]]] = {}
    for number, parcel in enumerate(parcels):
        by_target: dict[Channels, list[Batch]] = {}
        for part in parcel.batches:
            for channels, rows in _by_target(part, targets):
                by_target.setdefault(channels, []).append(rows)
        for channels, parts in by_target.items():
            for batch in concat(parts):
                joined.setdefault(channels, []).append((number, batch.sorted_by_time()))
    return [_gathered(parts) for parts in joined.values()]


def _gathered(parts: Sequence[tuple[int, Batch]]) -> Gathered:
    (batch,) = concat([batch for _, batch in parts])
    numbers = np.array([number for number, _ in parts], np.int32)
    return Gathered(batch, np.repeat(numbers, [len(batch) for _, batch in parts]))


def _targets(parcels: Sequence[Parcel]) -> dict[str, Channels]:
    """Each sensor's channels over all parcels."""
    targets: dict[str, Channels] = {}
    for parcel in parcels:
        for part in parcel.batches:
            for sensor_id in part.sensor_ids:
                known = targets.get(sensor_id)
                if known is None:
                    targets[sensor_id] = part.channels
                elif known != part.channels:
                    targets[sensor_id] = tuple(sorted({*known, *part.channels}))
    return targets


def _by_target(part: Batch, targets: dict[str, Channels]) -> list[tuple[Channels, Batch]]:
    """The rows of a batch by the channels that their sensors have over all parcels."""
    wanted = [targets[sensor_id] for sensor_id in part.sensor_ids]
    distinct = dict.fromkeys(wanted)
    if list(distinct) == [part.channels]:
        return [(part.channels, part)]
    number = {channels: i for i, channels in enumerate(distinct)}
    of_sensor = np.array([number[channels] for channels in wanted])
    of_row = of_sensor[part.sensor]
    return [
        (channels, _widened(part.take(of_row == i), channels)) for channels, i in number.items()
    ]


def _widened(batch: Batch, channels: Channels) -> Batch:
    return replace(batch, channels=channels, values=batch.select(channels))


@dataclass(frozen=True, slots=True, eq=False)
class Fresh:
    """What of some rows is new.

    Attributes:
        batch: rows that bring at least one new value; known values are NaN in them.
        kept: (n,) True for these rows.
        duplicate: (n,) True for rows that were there already with the same values.
        conflict: (n,) True for rows with another value than the one that is there.
        late: sensors with a new row older than one before it, and the oldest such time.
    """

    batch: Batch
    kept: Mask
    duplicate: Mask
    conflict: Mask
    late: Mapping[str, int] = field(default_factory=dict)


def fresh(batch: Batch, newest: Times, store: Store) -> Fresh:
    """Tell new readings from repeated ones.

    Args:
        batch: rows in arrival order.
        newest: (sensors of the batch,) event time of each one's newest stored reading.
        store: asked only about rows of sensors with a row that is not newer than all before.
    """
    kept = np.ones(len(batch), np.bool_)
    duplicate, conflict = np.zeros_like(kept), np.zeros_like(kept)
    doubtful = _doubtful_sensors(batch, newest)
    if not doubtful.any():
        return Fresh(batch, kept, duplicate, conflict)
    rows = np.flatnonzero(doubtful[batch.sensor])
    (known,) = store.read(KnownReadings([batch.take(rows)]))
    values = batch.values.copy()
    seen: dict[tuple[int, int], Floats] = {}
    for row, stored in zip(rows.tolist(), known, strict=True):
        key = (int(batch.sensor[row]), int(batch.time[row]))
        empty_and_first = key not in seen and batch.time[row] > newest[key[0]]
        there = seen.setdefault(key, stored.copy())
        came = values[row]
        new = np.isnan(there) & ~np.isnan(came)
        conflict[row] = np.any(~np.isnan(there) & ~np.isnan(came) & (there != came))
        kept[row] = new.any() or (empty_and_first and np.isnan(came).all())
        duplicate[row] = not kept[row] and not conflict[row]
        there[new] = came[new]
        came[~new] = np.nan
    news = replace(batch, values=values)
    late = _late(batch, newest, kept & doubtful[batch.sensor])
    return Fresh(news if kept.all() else news.take(kept), kept, duplicate, conflict, late)


def _late(batch: Batch, newest: Times, among: Mask) -> dict[str, int]:
    late: dict[str, int] = {}
    for sensor in np.unique(batch.sensor[among]).tolist():
        time = batch.time[among & (batch.sensor == sensor)]
        before = np.maximum.accumulate(np.r_[newest[sensor], time[:-1]])
        if (behind := time < before).any():
            late[batch.sensor_ids[sensor]] = int(time[behind].min())
    return late


def _doubtful_sensors(batch: Batch, newest: Times) -> Mask:
    """(sensors,) True where a row is not newer than all before it."""
    order = np.argsort(batch.sensor, kind="stable")
    sensor, time = batch.sensor[order], batch.time[order]
    before = np.empty_like(time)
    before[1:] = time[:-1]
    starts = np.r_[True, sensor[1:] != sensor[:-1]]
    before[starts] = newest[sensor[starts]]
    doubtful = np.zeros(len(batch.sensor_ids), np.bool_)
    doubtful[sensor[time <= before]] = True
    return doubtful
