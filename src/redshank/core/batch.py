"""The one thing that flows: columns of readings, from source to sink."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int32]
Times = NDArray[np.int64]
Flags = NDArray[np.uint16]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Readings that share one set of channels, as columns.

    A single reading is a batch of one. ``n`` readings, ``C`` channels.

    Attributes:
        sensor_ids: the distinct sensors of the batch.
        sensor: (n,) index into ``sensor_ids`` of each reading.
        time: (n,) event time, microseconds since the epoch, UTC.
        channels: the ``C`` channel names, sorted.
        values: (n, C) in each channel's canonical unit; NaN where a reading lacks the channel.
        event_ids: the senders' own ids, where they gave any.
        tags: extra keys of each reading that are not channels, where there are any.
    """

    sensor_ids: tuple[str, ...]
    sensor: Ints
    time: Times
    channels: tuple[str, ...]
    values: Floats
    event_ids: tuple[str | None, ...] | None = None
    tags: tuple[Mapping[str, str] | None, ...] | None = None

    def __len__(self) -> int:
        return len(self.time)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Batch:
        """The readings at these row numbers (or under this mask), with sensors re-indexed."""
        where = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        used, sensor = np.unique(self.sensor[where], return_inverse=True)
        return Batch(
            tuple(self.sensor_ids[i] for i in used),
            sensor.astype(np.int32),
            self.time[where],
            self.channels,
            self.values[where],
            None if self.event_ids is None else tuple(self.event_ids[i] for i in where),
            None if self.tags is None else tuple(self.tags[i] for i in where),
        )

    def sorted_by_time(self) -> Batch:
        """The same readings in event-time order; equal times keep their order."""
        if len(self) < 2 or bool(np.all(self.time[1:] >= self.time[:-1])):
            return self
        return self.take(np.argsort(self.time, kind="stable"))

    def select(self, channels: Sequence[str]) -> Floats:
        """(n, len(channels)) values of these channels; NaN columns for unknown ones."""
        if tuple(channels) == self.channels:
            return self.values
        out = np.full((len(self), len(channels)), np.nan)
        for column, name in enumerate(channels):
            if name in self.channels:
                out[:, column] = self.values[:, self.channels.index(name)]
        return out

    def ids(self) -> Iterator[str]:
        """The sensor id of each reading, in order."""
        return (self.sensor_ids[i] for i in self.sensor)


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading as rows speak of it; the edge form, turned into batches at once.

    Attributes:
        sensor_id: what reported.
        time: event time, microseconds since the epoch, UTC.
        values: channel name to value in the channel's canonical unit.
        event_id: the sender's own id for the reading, if it gave one.
        tags: extra keys that are not channels.
    """

    sensor_id: str
    time: int
    values: Mapping[str, float]
    event_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


def batches(readings: Iterable[Reading]) -> list[Batch]:
    """Columns from rows: one batch for each distinct set of channels, readings in given order."""
    by_channels: dict[tuple[str, ...], list[Reading]] = {}
    for reading in readings:
        by_channels.setdefault(tuple(sorted(reading.values)), []).append(reading)
    return [_columns(channels, rows) for channels, rows in by_channels.items()]


def rows(batch: Batch) -> Iterator[Reading]:
    """Rows from columns; absent channels are left out."""
    for i, sensor_id in enumerate(batch.ids()):
        values = zip(batch.channels, batch.values[i].tolist(), strict=True)
        yield Reading(
            sensor_id,
            int(batch.time[i]),
            {name: value for name, value in values if value == value},
            None if batch.event_ids is None else batch.event_ids[i],
            (batch.tags[i] if batch.tags is not None else None) or {},
        )


def concat(parts: Sequence[Batch]) -> list[Batch]:
    """Join batches that have the same channels; order within each set of channels is kept."""
    by_channels: dict[tuple[str, ...], list[Batch]] = {}
    for part in parts:
        if len(part):
            by_channels.setdefault(part.channels, []).append(part)
    return [_joined(same) for same in by_channels.values()]


def _columns(channels: tuple[str, ...], readings: Sequence[Reading]) -> Batch:
    index: dict[str, int] = {}
    sensor = [index.setdefault(r.sensor_id, len(index)) for r in readings]
    values = [[r.values[name] for name in channels] for r in readings]
    return Batch(
        tuple(index),
        np.array(sensor, np.int32),
        np.array([r.time for r in readings], np.int64),
        channels,
        np.array(values, np.float64).reshape(len(readings), len(channels)),
        tuple(r.event_id for r in readings) if any(r.event_id for r in readings) else None,
        tuple(r.tags or None for r in readings) if any(r.tags for r in readings) else None,
    )


def _joined(parts: Sequence[Batch]) -> Batch:
    if len(parts) == 1:
        return parts[0]
    index: dict[str, int] = {}
    sensor = []
    for part in parts:
        recode = [index.setdefault(sensor_id, len(index)) for sensor_id in part.sensor_ids]
        sensor.append(np.array(recode, np.int32)[part.sensor])
    return replace(
        parts[0],
        sensor_ids=tuple(index),
        sensor=np.concatenate(sensor),
        time=np.concatenate([part.time for part in parts]),
        values=np.concatenate([part.values for part in parts]),
        event_ids=_joined_optional([part.event_ids for part in parts], parts),
        tags=_joined_optional([part.tags for part in parts], parts),
    )


def _joined_optional(
    columns: Sequence[tuple[T | None, ...] | None], parts: Sequence[Batch]
) -> tuple[T | None, ...] | None:
    if all(column is None for column in columns):
        return None
    joined: list[T | None] = []
    for column, part in zip(columns, parts, strict=True):
        joined.extend(column if column is not None else [None] * len(part))
    return tuple(joined)
