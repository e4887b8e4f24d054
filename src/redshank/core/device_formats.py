"""What senseBoxes, luftdaten and hackAIR devices post to openSenseMap, as measurements.

A request is taken as a whole or not at all, as openSenseMap does: one bad value refuses it.
openSenseMap-API, packages/models/src/measurement/decoding.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import orjson

from redshank.core.channels import ChannelMapping, canonical
from redshank.core.clock import MINUTE, parse_time
from redshank.core.errors import FieldError, FileFormatError
from redshank.core.rows import EARLIEST, identifier, number, shown

MOST_VALUES = 2500
"""Values of one request."""
AHEAD = MINUTE
"""How far a device's clock may run ahead."""
BYTES = np.dtype([("id", "V12"), ("value", "<f4")])
BYTES_TS = np.dtype([*BYTES.descr, ("time", "<u4")])

# ending of a luftdaten value_type -> title and unit, as openSenseMap's luftdaten models have them
_LUFTDATEN: Mapping[str, tuple[str, str]] = {
    "P0": ("PM1", "µg/m³"),
    "P1": ("PM10", "µg/m³"),
    "P2": ("PM2.5", "µg/m³"),
    "P4": ("PM4", "µg/m³"),
    "temperature": ("Temperatur", "°C"),
    "humidity": ("rel. Luftfeuchte", "%"),
    "pressure": ("Luftdruck", "Pa"),
    "signal": ("Wifi-Stärke", "dBm"),
}
_HACKAIR: Mapping[str, tuple[str, str]] = {
    "PM2.5_AirPollutantValue": ("PM2.5", "µg/m³"),
    "PM10_AirPollutantValue": ("PM10", "µg/m³"),
}
_VALUE, _TIME, _LOCATION, _SENSOR = "value", "createdAt", "location", "sensor"


@dataclass(frozen=True, slots=True)
class Location:
    """Where a device was: degrees, WGS 84, and metres."""

    longitude: float
    latitude: float
    height: float | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """One value of one of a device's sensors.

    Attributes:
        sensor: the sensor's id within its device, "" where the format names none.
        value: in the sensor's own unit.
        time: microseconds since the epoch.
        location: where it was measured, None if not told.
        channel: what it measures where the format says it.
    """

    sensor: str
    value: float
    time: int
    location: Location | None = None
    channel: ChannelMapping | None = None


def read_json(body: bytes, now: int) -> list[Measurement]:
    """An array of objects, or an object with sensor ids as keys.

    Raises:
        FileFormatError: it is not JSON of one of these shapes.
        FieldError: a value cannot be used.
    """
    parsed = _parsed(body)
    if isinstance(parsed, dict):
        return _checked([_of_entry(key, value, now) for key, value in parsed.items()])
    if not isinstance(parsed, list):
        raise FileFormatError("the body is neither an array nor an object")
    return _checked([_of_object(each, now) for each in parsed])


def read_value(body: bytes, sensor: str, now: int) -> Measurement:
    """One object ``{"value", "createdAt", "location"}``.

    Raises:
        FileFormatError, FieldError: as for :func:`read_json`.
    """
    parsed = _parsed(body)
    if not isinstance(parsed, dict):
        raise FileFormatError("the body is not an object with a value")
    return _of_object({**parsed, _SENSOR: sensor}, now)


def read_csv(body: bytes, now: int) -> list[Measurement]:
    """Lines of ``sensorId,value[,createdAt[,lng,lat[,height]]]`` without a header.

    Raises:
        FileFormatError: it is not text in UTF-8.
        FieldError: a line cannot be used.
    """
    try:
        lines = body.decode("utf-8-sig").splitlines()
        rows = [row for row in csv.reader(lines) if any(cell.strip() for cell in row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileFormatError(f"the body is not CSV in UTF-8: {error}") from None
    return _checked([_of_cells([cell.strip() for cell in row], now) for row in rows])


def read_bytes(body: bytes, now: int, timed: bool) -> list[Measurement]:
    """Blocks of a 12-byte sensor id, a float32 and, with ``timed``, uint32 Unix seconds.

    Raises:
        FileFormatError: the length fits no whole number of blocks.
        FieldError: a value cannot be used.
    """
    kind = BYTES_TS if timed else BYTES
    if len(body) % kind.itemsize:
        raise FileFormatError(f"the body has {len(body)} bytes, no multiple of {kind.itemsize}")
    blocks = np.frombuffer(body, kind)
    times = blocks["time"].tolist() if timed else [None] * len(blocks)
    # The shortest decimal of a float32: 21.3 and not 21.299999237060547.
    values = [float(str(value)) for value in blocks["value"]]
    return _checked(
        [
            _measurement(bytes(name).hex(), value, time, None, now)
            for name, value, time in zip(blocks["id"], values, times, strict=True)
        ]
    )


def read_luftdaten(body: bytes, now: int) -> list[Measurement]:
    """``{"sensordatavalues": [{"value_type", "value"}]}``; types that are not known are dropped.

    Raises:
        FileFormatError: it is not of that shape.
        FieldError: a value cannot be used, or none is of a known type.
    """
    parsed = _parsed(body)
    entries = parsed.get("sensordatavalues") if isinstance(parsed, dict) else None
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise FileFormatError("the body has no list of objects in sensordatavalues")
    found = []
    for entry in entries:
        kind = str(entry.get("value_type", ""))
        title = _LUFTDATEN.get(kind.rpartition("_")[2])
        if title is not None:
            found.append(_known(kind, title, entry.get(_VALUE), now))
    return _checked(found)


def read_hackair(body: bytes, now: int) -> list[Measurement]:
    """``{"reading": {"PM2.5_AirPollutantValue", "PM10_AirPollutantValue"}}``.

    Raises:
        FileFormatError: it is not of that shape.
        FieldError: a value cannot be used, or there is none.
    """
    parsed = _parsed(body)
    entries = parsed.get("reading") if isinstance(parsed, dict) else None
    if not isinstance(entries, dict):
        raise FileFormatError("the body has no object in reading")
    return _checked(
        [
            _known(kind, title, entries[kind], now)
            for kind, title in _HACKAIR.items()
            if kind in entries
        ]
    )


# --- one value ---------------------------------------------------------------------------------


def _checked(found: Sequence[Measurement]) -> list[Measurement]:
    if not 0 < len(found) <= MOST_VALUES:
        raise FieldError("body", len(found), f"values; 1 to {MOST_VALUES} may be in one request")
    return list(found)


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise FileFormatError(f"the body is not JSON: {error}") from None


def _of_object(each: object, now: int) -> Measurement:
    if not isinstance(each, dict):
        raise FieldError("body", shown(each), "is not an object with sensor and value")
    sensor = each.get(_SENSOR, each.get("sensor_id"))
    return _measurement(sensor, each.get(_VALUE), each.get(_TIME), each.get(_LOCATION), now)


def _of_entry(sensor: str, value: object, now: int) -> Measurement:
    if not isinstance(value, list):
        return _measurement(sensor, value, None, None, now)
    if not 1 <= len(value) <= 3:
        raise FieldError(sensor, shown(value), "is no [value, createdAt, location]")
    parts = [*value, None, None]
    return _measurement(sensor, parts[0], parts[1], parts[2], now)


def _of_cells(cells: Sequence[str], now: int) -> Measurement:
    if not 2 <= len(cells) <= 6:
        raise FieldError("body", ",".join(cells)[:200], "has not 2 to 6 fields")
    sensor, value, time, *place = [*cells, ""][: max(3, len(cells))]
    location = [cell for cell in place if cell] or None
    return _measurement(sensor, value, time or None, location, now)


def _known(kind: str, title: tuple[str, str], value: object, now: int) -> Measurement:
    mapping = canonical(*title)
    return Measurement(kind, _number(kind, value), now, channel=mapping)


def _measurement(
    sensor: object, value: object, time: object, location: object, now: int
) -> Measurement:
    name = identifier(_SENSOR, sensor)
    return Measurement(
        name, _number(name, value), _time(time, now), _place(location) if location else None
    )


def _number(name: str, value: object) -> float:
    read = number(value) if isinstance(value, str) else value
    if isinstance(read, bool) or not isinstance(read, (int, float)):
        raise FieldError(name, shown(value), "is not a number")
    try:
        finite = float(read)
    except OverflowError:
        finite = float("inf")
    if not isfinite(finite):
        raise FieldError(name, shown(str(value)), "is not a finite number")
    return finite


def _time(value: object, now: int) -> int:
    if value is None:
        return now
    if isinstance(value, float) and not isfinite(value):
        raise FieldError(_TIME, str(value), "is not a time")
    time = parse_time(value, _TIME)
    if time > now + AHEAD:
        raise FieldError(_TIME, shown(value), "lies more than a minute ahead of now")
    if time < EARLIEST:
        raise FieldError(_TIME, shown(value), "lies before 1990: is the device's clock set?")
    return time


def _place(value: object) -> Location:
    if isinstance(value, dict):
        parts = [value.get("lng"), value.get("lat"), value.get("height")]
    else:
        parts = list(value) if isinstance(value, list) else []
    while len(parts) > 2 and parts[-1] is None:
        parts.pop()
    if not 2 <= len(parts) <= 3:
        raise FieldError(_LOCATION, shown(value), "is no [longitude, latitude, height]")
    longitude, latitude, *height = (_number(_LOCATION, part) for part in parts)
    if abs(longitude) > 180 or abs(latitude) > 90:
        raise FieldError(_LOCATION, shown(value), "is not on this planet")
    return Location(round(longitude, 7), round(latitude, 7), *(round(h, 4) for h in height))


def as_rows(
    found: Sequence[Measurement], channels: Mapping[str, ChannelMapping]
) -> Iterator[tuple[int, dict[str, float]]]:
    """Time and channel values of readings: what came at one time is one reading.

    A second value of a channel at the same time goes into a second reading.

    Args:
        found: measurements.
        channels: the channel of every sensor in ``found``.
    """
    rows: dict[tuple[int, int], dict[str, float]] = {}
    for each in found:
        mapping, copy = channels[each.sensor], 0
        while mapping.name in rows.setdefault((each.time, copy), {}):
            copy += 1
        rows[each.time, copy][mapping.name] = mapping.convert(each.value)
    for (time, _), values in sorted(rows.items(), key=lambda row: row[0]):
        yield time, values
