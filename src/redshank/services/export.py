"""What is stored as one wide table: a row per sensor and time, a column per channel.

Read and written part by part, so that years of readings need no more memory than a day of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redshank.core.batch import Batch
from redshank.core.channels import quantity
from redshank.core.errors import FieldError, NotFoundError
from redshank.core.flags import flag_names
from redshank.core.ports import Readable
from redshank.core.queries import Extent, Sensors, StoredExtent, StoredReadings, StoredVerdicts
from redshank.core.records import SensorInfo, SensorStatus, Status, Verdicts
from redshank.core.table_writer import Column, Kind
from redshank.core.wide import SENSOR, TIME, WideTable, wide_table

ROWS = 50_000
"""Rows of one part, about."""
_FLAGS = "{}.flags"
_VERDICT = ("verdict.status", "verdict.score", "verdict.rate")
_FOREVER = (-(2**62), 2**62)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to export.

    Attributes:
        sensor_ids: of these sensors.
        start: microseconds; None for the first reading.
        end: microseconds, included; None for the last one.
        channels: only these; none for all.
        flags: a column ``CHANNEL.flags`` beside each channel, with the names of its quality flags.
        verdicts: columns ``verdict.status``, ``verdict.score`` and ``verdict.rate``.
        units: with each channel's unit in the name of its column.
        flagged: only rows of which a value carries one of these flags, or-ed; 0 for all.
    """

    sensor_ids: Sequence[str]
    start: int | None = None
    end: int | None = None
    channels: Sequence[str] = ()
    flags: bool = False
    verdicts: bool = False
    units: bool = False
    flagged: int = 0


@dataclass(frozen=True, slots=True)
class Export:
    """A table that is read as it is written.

    Attributes:
        columns: name to kind of every column, in order.
        channels: names of those that are channels.
        parts: columns of some rows after another, in the order of time; can be read once.
    """

    columns: Mapping[str, Kind]
    channels: tuple[str, ...]
    parts: Iterator[Mapping[str, Column]]


def export(store: Readable, wanted: Wanted, rows: int = ROWS) -> Export:
    """The stored readings of some sensors.

    Args:
        store: where they are.
        wanted: which ones, with what.
        rows: about how many to hold in memory at once.

    Raises:
        NotFoundError: there is no such sensor.
        FieldError: a channel is none of theirs.
    """
    known = _known(store, wanted.sensor_ids)
    span = tuple(
        default if given is None else given
        for given, default in zip((wanted.start, wanted.end), _FOREVER, strict=True)
    )
    extent = store.read(StoredExtent(wanted.sensor_ids, span[0], span[1], rows))
    channels = _chosen(known, extent, wanted.channels)
    table = _Table(store, wanted, channels, extent, [status.info for status in known])
    return Export(table.columns(), channels, table.parts())


def _known(store: Readable, sensor_ids: Sequence[str]) -> Sequence[SensorStatus]:
    found = store.read(Sensors(sensor_ids=sensor_ids, limit=len(sensor_ids)))
    ids = {status.info.sensor_id for status in found}
    missing = next((one for one in sensor_ids if one not in ids), None)
    if missing is not None:
        raise NotFoundError(f"sensor {missing!r} is not known here")
    return found


def _chosen(
    known: Sequence[SensorStatus], extent: Extent, wanted: Sequence[str]
) -> tuple[str, ...]:
    if not wanted:
        return tuple(extent.channels)
    there = {name for status in known for name in (*status.info.channels, *status.latest)}
    for name in wanted:
        if name not in there:
            reason = f"is none of these sensors' channels: {', '.join(sorted(there))}"
            raise FieldError("channel", name, reason)
    return tuple(sorted(set(wanted)))


@dataclass(frozen=True, slots=True)
class _Table:
    """How the columns of one export come about."""

    store: Readable
    wanted: Wanted
    channels: tuple[str, ...]
    extent: Extent
    infos: Sequence[SensorInfo] = field(repr=False)

    def columns(self) -> dict[str, Kind]:
        columns: dict[str, Kind] = {TIME: "time", SENSOR: "text"}
        for name in self.channels:
            columns[self._title(name)] = "number"
            if self.wanted.flags:
                columns[_FLAGS.format(name)] = "text"
        if self.wanted.verdicts:
            columns.update(zip(_VERDICT, ("text", "number", "number"), strict=True))
        for name, number in self.extent.tags.items():
            columns.setdefault(name, "number" if number else "text")
        return columns

    def parts(self) -> Iterator[Mapping[str, Column]]:
        for span in self.extent.spans:
            read = [self._readings(sensor_id, span) for sensor_id in self.wanted.sensor_ids]
            table = wide_table([batch for batch in read if len(batch)])
            if len(table):
                yield self._part(table, span)

    def _readings(self, sensor_id: str, span: tuple[int, int]) -> Batch:
        return self.store.read(StoredReadings(sensor_id, *span))

    def _part(self, table: WideTable, span: tuple[int, int]) -> Mapping[str, Column]:
        missing = np.full(len(table), np.nan)
        have = dict(table.columns)
        for name in self.channels:
            have[self._title(name)] = table.columns.get(name, missing)
        kept = None
        if self.wanted.flags or self.wanted.verdicts or self.wanted.flagged:
            judged = _Judged(table, self.channels)
            for sensor_id in self.wanted.sensor_ids:
                for _, found in self.store.read(StoredVerdicts(sensor_id, *span)):
                    judged.add(sensor_id, found)
            have.update(judged.columns())
            kept = judged.carrying(self.wanted.flagged) if self.wanted.flagged else None
        columns = self.columns()
        part = {name: have.get(name, _absent(kind, table)) for name, kind in columns.items()}
        return part if kept is None else {name: _taken(part[name], kept) for name in part}

    def _title(self, channel: str) -> str:
        if not self.wanted.units:
            return channel
        told = (info.channels[channel].unit for info in self.infos if channel in info.channels)
        known = quantity(channel)
        unit = next((unit for unit in told if unit), known.unit if known else "")
        return f"{channel} [{unit}]" if unit else channel


class _Judged:
    """Verdicts beside the rows of a table.

    Args:
        table: the rows.
        channels: whose flags are looked at.
    """

    def __init__(self, table: WideTable, channels: Sequence[str]) -> None:
        time = table.columns[TIME]
        assert isinstance(time, np.ndarray)
        self._time = time.astype(np.int64)
        self._sensor = np.array(table.columns[SENSOR], object)
        self._channels = channels
        count = len(table)
        self._flags = np.zeros((count, len(channels)), np.uint16)
        self._status = np.full(count, "", object)
        self._score, self._rate = np.full(count, np.nan), np.full(count, np.nan)

    def add(self, sensor_id: str, found: Verdicts) -> None:
        """Verdicts on some rows of a sensor."""
        mine = np.flatnonzero(self._sensor == sensor_id)
        place = np.minimum(np.searchsorted(self._time[mine], found.time), len(mine) - 1)
        if not len(mine):
            return
        there = self._time[mine[place]] == found.time
        at = mine[place[there]]
        names = np.array([status.name.lower() for status in Status], object)
        self._status[at] = names[found.status[there]]
        self._score[at], self._rate[at] = found.score[there], found.rate[there]
        for column, name in enumerate(self._channels):
            if name in found.channels:
                self._flags[at, column] = found.flags[there, found.channels.index(name)]

    def columns(self) -> dict[str, Column]:
        """All of it by name."""
        judged = (self._status.tolist(), self._score, self._rate)
        flags = {
            _FLAGS.format(name): [" ".join(flag_names(bits)) for bits in column.tolist()]
            for name, column in zip(self._channels, self._flags.T, strict=True)
        }
        return {**flags, **dict(zip(_VERDICT, judged, strict=True))}

    def carrying(self, bits: int) -> NDArray[np.bool_]:
        """(n,) which rows have a value with one of these flags."""
        found: NDArray[np.bool_] = np.any(self._flags & np.uint16(bits), axis=1)
        return found


def _absent(kind: Kind, table: WideTable) -> Column:
    return np.full(len(table), np.nan) if kind == "number" else [""] * len(table)


def _taken(column: Column, kept: NDArray[np.bool_]) -> Column:
    if isinstance(column, np.ndarray):
        return column[kept]
    taken: Any = np.array(column, object)[kept].tolist()
    return list(taken)
