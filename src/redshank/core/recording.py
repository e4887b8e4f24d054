"""Recorded files as readings: sensors, times and channels found in whatever columns they have."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from redshank.core.batch import Batch
from redshank.core.channels import ChannelMapping, canonical, map_channels, quantity
from redshank.core.decode import RowError, decode_rows
from redshank.core.errors import FileFormatError
from redshank.core.files import stem
from redshank.core.headings import LABEL_NAMES, SENSOR_NAMES, TIME_NAMES, plain
from redshank.core.records import ChannelInfo, SensorInfo
from redshank.core.rows import RESERVED, SENSOR, TIME
from redshank.core.tabular import Cells, TableFile

_PHENOMENON, _VALUE, _UNIT = "phenomenon", "value", "unit"
_LONG = frozenset((_PHENOMENON, _VALUE))


class Recording:
    """Readings of one file, in the file's order.

    Wide files have a row per reading and a column per channel; long ones, the form of openSenseMap
    exports, a row per value with ``createdAt``, ``phenomenon``, ``value`` and perhaps ``unit``.
    A file without a column for the sensor is of one sensor, called like the file.

    Args:
        path: CSV, Parquet or NDJSON.
        metadata: of the sensor: ``sensor_id``, ``name``, ``site``, ``latitude``, ``longitude``,
            ``exposure``, ``tags``, ``units`` by title; all optional.
        now: times more than a year after this are refused, microseconds.
    """

    def __init__(self, path: Path, metadata: Mapping[str, Any], now: int) -> None:
        self._file = TableFile(path)
        self._default = str(metadata.get("sensor_id") or stem(path))
        self._metadata = metadata
        self._now = now
        self._roles: dict[str, str | None] = {}
        self._mappings: dict[tuple[str, str | None], ChannelMapping] = {}
        self._by_name: dict[str, ChannelInfo] = {}
        self._known: dict[str, set[str]] = {}
        self._fresh: set[str] = set()
        self._row = 0

    @property
    def progress(self) -> float:
        """Part of the file that is read, 0 to 1."""
        return self._file.progress

    def pieces(self, size: int = 5000) -> Iterator[tuple[list[Batch], list[RowError]]]:
        """Readings of about ``size`` rows at a time, and the rows that cannot be used.

        Raises:
            FileFormatError: the file cannot be read.
        """
        for rows in _whole_times(self._file.pieces(size)):
            batches, errors = self.read(rows)
            yield batches, [replace(error, index=self._row + error.index) for error in errors]
            self._row += len(rows)

    def read(self, rows: list[Any]) -> tuple[list[Batch], list[RowError]]:
        """Readings of rows as a file of this kind holds them, and those that cannot be used.

        The bytes of an error are its row as JSON, and an array of the rows that it was put together
        from in the long form, so that it can be read again by itself.
        """
        if _is_long(rows):
            widened = self._widened(rows)
            named = [wide for wide, _ in widened]
            origin: list[Any] = [own for _, own in widened]
        else:
            named, origin = [self._named(row) for row in rows], rows
        decoded = decode_rows(
            named,
            arrival=self._now,
            sensor_id=self._default,
            raw=lambda i: _as_json(origin[i]),
        )
        batches = [self._converted(batch) for batch in decoded.batches]
        for batch in batches:
            self._note(batch)
        return batches, decoded.errors

    def new_sensors(self, source: str) -> list[SensorInfo]:
        """Sensors that were found, or found to have more channels, since the last call."""
        fresh, self._fresh = sorted(self._fresh), set()
        return [self._info(sensor_id, source) for sensor_id in fresh]

    def _named(self, row: Any) -> Any:
        """The row with canonical names for its keys; labels and empty cells left out."""
        if not isinstance(row, dict):
            return row
        named: Cells = {TIME: ""}
        for key, value in row.items():
            role = self._roles[key] if key in self._roles else self._role(key)
            if role is not None and (value is not None or role not in (SENSOR, TIME)):
                named[role] = value
        return named

    def _role(self, key: str) -> str | None:
        """What a column is called in a reading; None for labels."""
        name = plain(key)
        role: str | None = key
        if name in SENSOR_NAMES:
            role = SENSOR
        elif name in TIME_NAMES:
            role = TIME
        elif name in LABEL_NAMES:
            role = None
        elif key not in RESERVED and canonical(key, self._unit(key)) is not None:
            role = self._mapping(key, self._unit(key)).name
        self._roles[key] = role
        return role

    def _unit(self, title: str) -> str | None:
        units: Mapping[str, str] = self._metadata.get("units", {})
        return units.get(title)

    def _mapping(self, title: str, unit: str | None) -> ChannelMapping:
        """The channel of a title and unit; the second title of a quantity gets a number."""
        known = self._mappings.get((title, unit))
        if known is not None:
            return known
        pairs = [*self._mappings, (title, unit)]
        found = map_channels(pairs)[-1]
        self._mappings[title, unit] = found
        self._by_name[found.name] = ChannelInfo(found.name, found.unit, title, unit or found.unit)
        return found

    def _widened(self, rows: list[Any]) -> list[tuple[Cells, list[Any]]]:
        """A row per sensor and time from a row per value, and the rows that each is made of.

        A second value of a channel goes apart.
        """
        wide: dict[tuple[Any, Any, int], tuple[Cells, list[Any]]] = {}
        for long in rows:
            row = self._long_cells(long)
            if row is None:
                alone = long if isinstance(long, dict) else {"row": long}
                wide[None, None, len(wide)] = alone, [long]
                continue
            sensor, time, channel, value = row
            head, copy = {SENSOR: sensor, TIME: time}, 0
            while channel in wide.setdefault((sensor, time, copy), (head.copy(), []))[0]:
                copy += 1
            cells, origin = wide[sensor, time, copy]
            cells[channel] = value
            origin.append(long)
        return list(wide.values())

    def _long_cells(self, row: Any) -> tuple[str, Any, str, Any] | None:
        """Sensor, time, channel and value of a row of the long form; None if it has no title."""
        if not isinstance(row, dict) or not isinstance(row.get(_PHENOMENON), str):
            return None
        cells: Cells = {}
        for key, value in row.items():
            role = self._roles[key] if key in self._roles else self._role(key)
            if role is not None:
                cells[role] = value
        title = cells[_PHENOMENON]
        unit = cells.get(_UNIT) or self._unit(title)
        sensor = cells.get(SENSOR) or self._default
        return sensor, cells.get(TIME, ""), self._mapping(title, unit).name, cells.get(_VALUE)

    def _converted(self, batch: Batch) -> Batch:
        """The batch with its values in canonical units."""
        convert = [m for m in self._mappings.values() if (m.scale, m.offset) != (1.0, 0.0)]
        if not any(mapping.name in batch.channels for mapping in convert):
            return batch
        values = batch.values.copy()
        for mapping in convert:
            if mapping.name in batch.channels:
                column = batch.channels.index(mapping.name)
                values[:, column] = mapping.convert(values[:, column])
        return replace(batch, values=values)

    def _note(self, batch: Batch) -> None:
        for sensor_id in batch.sensor_ids:
            channels = self._known.setdefault(sensor_id, set())
            if not channels.issuperset(batch.channels):
                channels.update(batch.channels)
                self._fresh.add(sensor_id)

    def _info(self, sensor_id: str, source: str) -> SensorInfo:
        own = self._metadata if sensor_id == self._default else {}
        return SensorInfo(
            sensor_id,
            name=str(own.get("name", "")),
            site=str(own.get("site", "")),
            latitude=own.get("latitude"),
            longitude=own.get("longitude"),
            exposure=str(own.get("exposure", "")),
            timezone=str(own.get("timezone", "")),
            source=source,
            channels={name: self._channel(name) for name in sorted(self._known[sensor_id])},
            tags=own.get("tags", {}),
        )

    def _channel(self, name: str) -> ChannelInfo:
        if name in self._by_name:
            return self._by_name[name]
        known = quantity(name)
        return ChannelInfo(name, known.unit if known else "")


def described_by(path: Path) -> Mapping[str, Any]:
    """What ``sensors.json`` beside a file, or in a folder, says; nothing if there is none.

    Raises:
        FileFormatError: it is not JSON.
    """
    file = (path if path.is_dir() else path.parent) / "sensors.json"
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FileFormatError(f"{file} is not JSON: {error}") from error
    return found if isinstance(found, dict) else {}


def _as_json(value: Any) -> bytes:
    try:
        return orjson.dumps(value, default=str)
    except orjson.JSONEncodeError:  # whole numbers beyond 64 bits, broken surrogates
        return json.dumps(value, default=str).encode()


def _is_long(rows: list[Any]) -> bool:
    return bool(rows) and isinstance(rows[0], dict) and rows[0].keys() >= _LONG


def _whole_times(pieces: Iterator[list[Any]]) -> Iterator[list[Any]]:
    """Pieces in which the values of one time in the long form are not cut apart."""
    rest: list[Any] = []
    for piece in pieces:
        rows = rest + piece
        cut = len(rows)
        if _is_long(rows):
            while cut > 0 and _time_cell(rows[cut - 1]) == _time_cell(rows[-1]):
                cut -= 1
        # A piece of one single time is passed on, or memory would not be bounded.
        rest = rows[cut:] if cut else []
        yield rows[: cut or len(rows)]
    if rest:
        yield rest


def _time_cell(row: Any) -> Any:
    if not isinstance(row, dict):
        return None
    return next((row[key] for key in row if plain(key) in TIME_NAMES), None)
